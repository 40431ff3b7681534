"""Order statistics of predicted numbers: medians and ranks need all rows."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._exact import ExactCount, count_true
from ._kept_rows import KeptRows
from ._row_functions import Domain
from ._statistic import Rows, float_type


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Values:
    """Rows of numbers. `weight` is boolean for rows that count or not, a float if weighted."""

    true: Any
    pred: Any
    weight: Any
    invalid: ExactCount


@dataclass(frozen=True)
class ValueRows(KeptRows):
    """Every row's true and predicted value and weight."""

    def identity(self, *, weighted: bool = False, dtype: Any = jnp.float32) -> Values:
        none = jnp.zeros((0,), dtype)
        weight = jnp.zeros((0,), dtype if weighted else jnp.bool_)
        return Values(none, none, weight, ExactCount.zeros((3,)))

    def complaints(self) -> dict[str, str]:
        return Domain().complaints()

    def of_rows(self, rows: Rows) -> Values:
        on_host = isinstance(rows.y_true, np.ndarray)
        xp = np if on_host else jnp
        columns = [rows.y_true, rows.y_pred]
        wide = all(c.dtype.itemsize < 8 and jnp.issubdtype(c.dtype, jnp.floating) for c in columns)
        dtype = np.float64 if on_host and not wide else float_type(*columns)
        true, pred = (column.astype(dtype) for column in columns)
        # A row of several outputs counts for all of them or for none.
        good_true, good_pred = (
            xp.isfinite(values).all(axis=tuple(range(1, values.ndim))) for values in (true, pred)
        )
        asked = xp.ones_like(good_true) if rows.keep is None else rows.keep
        keep = asked & good_true & good_pred
        weight = keep if rows.weight is None else xp.where(keep, rows.weight, 0)
        invalid = count_true(xp, keep, asked & ~good_true, asked & ~good_pred, rows.bad_weight)
        wide = xp.broadcast_to(keep.reshape(-1, *[1] * (true.ndim - 1)), true.shape)
        none = xp.zeros_like(true)
        return Values(xp.where(wide, true, none), xp.where(wide, pred, none), weight, invalid)


def median_error(xp: Any, state: Values) -> tuple[Any, Any]:
    """The weighted median of |true - pred|, and whether there is none.

    The middle of all values m with at most half of the weight on either side of them. Integer
    and float weights alike are summed in 64 bits, within this function only.
    """
    with jax.enable_x64(True):
        true, pred, weight = _counting(xp, state)
        error = xp.abs(true - pred)
        if error.shape[0] == 0:
            return xp.full((), np.nan, error.dtype), xp.ones((), bool)
        order = xp.argsort(jax.lax.stop_gradient(error) if xp is jnp else error, stable=True)
        error, weight = error[order], weight[order]
        upto = xp.cumsum(weight)
        below, total = upto - weight, upto[-1]
        # The first row with half of the weight up to it, and the last with half from it on.
        low = xp.where((2 * upto >= total) & (weight > 0), error, xp.full_like(error, np.inf))
        high = xp.where((2 * below <= total) & (weight > 0), error, xp.full_like(error, -np.inf))
        median = 0.5 * (xp.min(low) + xp.max(high))
        none = total == 0
        value = xp.where(none, xp.full_like(median, np.nan), median)
        return value.astype(state.true.dtype) if xp is jnp else value, none


def rank_moments(xp: Any, state: Values) -> tuple[Any, Any, Any]:
    """Centred squares and products of the mid-ranks: of true, of pred, and of both.

    A weight counts as that many rows: a row's rank is the weight below its value and half of
    that on it, and the mean of all ranks is half of the total weight.
    """
    with jax.enable_x64(True):
        true, pred, weight = _counting(xp, state)
        weight = weight.astype(np.float64)
        one, other = (_centred_ranks(xp, values, weight) for values in (true, pred))
        found = (xp.sum(weight * a * b) for a, b in ((one, one), (other, other), (one, other)))
        if xp is np:
            return tuple(found)
        # Scaled to the size of a share, as the squares of ranks may be too large for 32 bits.
        scale = xp.maximum(xp.sum(weight), 1.0) ** 3
        return tuple((value / scale).astype(state.true.dtype) for value in found)


def _counting(xp: Any, state: Values) -> tuple[Any, Any, Any]:
    """The columns, on the host without rows that do not count; masks as integers of 64 bits."""
    columns = (state.true, state.pred, state.weight)
    if xp is np:
        true, pred, weight = (np.asarray(column) for column in columns)
        true, pred, weight = (column[weight > 0] for column in (true, pred, weight))
        true, pred = true.astype(np.float64), pred.astype(np.float64)
    else:
        true, pred, weight = columns
    return true, pred, weight.astype(np.int64 if weight.dtype == bool else np.float64)


def _centred_ranks(xp: Any, values: Any, weight: Any) -> Any:
    values = xp.where(values == 0, xp.zeros_like(values), values)  # -0.0 ties with 0.0
    order = xp.argsort(values)
    ordered = values[order]
    passed = xp.concatenate([xp.zeros_like(weight[:1]), xp.cumsum(weight[order])])
    below = passed[xp.searchsorted(ordered, values, side="left")]
    upto = passed[xp.searchsorted(ordered, values, side="right")]
    return 0.5 * (below + upto) - 0.5 * xp.sum(weight)
