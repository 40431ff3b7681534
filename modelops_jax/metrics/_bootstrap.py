"""Percentile bootstrap intervals that resample statistics instead of rows.

Resampling n rows with replacement and counting cells is one multinomial draw over the cells:
for metrics of a table of unweighted counts the cost does not depend on n. Everything else that
is a function of sums takes Poisson(1) weights of the rows: all resamples of all sums are one
matrix product a block.
"""

import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from ._compute import compute, computed_now, numbers, padded, precision_scope
from ._counts import CellStatistic, Counts
from ._exact import ExactCount
from ._finalizers import Mean
from ._metric import Metric
from ._pair import Pair
from ._row_functions import target
from ._rowwise import RowMean
from ._statistic import (
    Statistic,
    SummedStatistic,
    check_rows,
    columns_of,
    float_type,
    shared_axes,
)
from ._types import Column, DType, Matrix, State, Vector

# Rows whose resampling weights come from one key, whatever the blocks the rows arrive in.
_GROUP = 512
_BLOCK = 4096
# Numbers in the rows of one block, to bound memory where a row has many.
_BLOCK_NUMBERS = 1 << 20
# Cells drawn at once, to bound memory.
_DRAWN_CELLS = 1 << 24
_MEAN = Metric("mean", (RowMean(target),), Mean())


@dataclass(frozen=True)
class Interval:
    """A confidence interval, and all that is needed to get it again."""

    low: float | np.ndarray
    """Lower end: a float, or an array for a metric with an entry per class."""

    high: float | np.ndarray
    """Upper end."""

    level: float
    """Nominal coverage, in (0, 1)."""

    method: str
    """How it was made."""

    n_resamples: int
    seed: int


def bootstrap_intervals(
    metrics: Mapping[str, Metric],
    y_true: Vector,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    groups: Vector | None = None,
    level: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Percentile bootstrap intervals of metrics, rows being independent draws.

    A metric whose `Metric.resampling` is "closed" gets the interval of its own formula instead:
    exact AUROC gets DeLong's (`roc_auc_interval`). Metrics of ranked groups resample groups.

    Args:
        metrics: the metrics under the names their intervals will have.
        y_true: reference labels or values, shape (n,).
        y_pred: predicted labels or values, shape (n,), or what else the metrics take.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        groups: for metrics of ranked groups, the integer id of each row's group, shape (n,).
        level: nominal coverage, in (0, 1).
        n_resamples: how many resamples.
        seed: the same seed gives the same interval.

    Returns:
        By metric its interval. Resamples in which the metric is undefined or infinite are left
        out; nan if it is so in all.

    Raises:
        ValueError: a metric without a bootstrap (`Metric.resampling` is None), a level outside
            (0, 1), too few resamples, rows that `compute` refuses, or for exact AUROC weights
            other than 0 and 1.

    Example:
        >>> from modelops_jax.metrics import bootstrap_intervals, metric
        >>> accuracy = {"accuracy": metric("accuracy_score")}
        >>> found = bootstrap_intervals(accuracy, [1] * 100, [1] * 80 + [0] * 20)["accuracy"]
        >>> found.low < 0.8 < found.high, found.method
        (True, 'multinomial percentile')

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    _check(metrics, level, n_resamples)
    states = compute(metrics, y_true, y_pred, weight=weight, groups=groups).states
    weighted = weight is not None and numbers(weight, "weight").dtype != bool
    by_cells = {
        name: metric
        for name, metric in metrics.items()
        if metric.resampling == "cells" and not weighted
    }
    closed = {name: metric for name, metric in metrics.items() if metric.resampling == "closed"}
    by_groups = {name: metric for name, metric in metrics.items() if metric.resampling == "groups"}
    other = {*by_cells, *closed, *by_groups}
    by_rows = {name: metric for name, metric in metrics.items() if name not in other}
    found = count_intervals(by_cells, states, level=level, n_resamples=n_resamples, seed=seed)
    for name, metric in closed.items():
        low, high, method = metric.interval([states[s] for s in metric.statistics], level)
        found[name] = Interval(low, high, level, method, 0, seed)
    for name, metric in by_groups.items():
        values, share = metric.of_groups([states[s] for s in metric.statistics])
        mean = {name: _MEAN}
        found |= bootstrap_intervals(
            mean, values, values, weight=share, level=level, n_resamples=n_resamples, seed=seed
        )
    if by_rows:
        statistics = tuple(dict.fromkeys(s for m in by_rows.values() for s in m.statistics))
        own = {s: states[s] for s in statistics if isinstance(s, SummedStatistic)}
        resampled = _resample_rows(own, y_true, y_pred, weight, n_resamples, seed)
        for name, metric in by_rows.items():
            values = metric.finalizer(np, *(resampled[s] for s in metric.statistics)).value
            low, high = _ends(values, level)
            found[name] = Interval(low, high, level, "Poisson percentile", n_resamples, seed)
    return {name: found[name] for name in metrics}


def count_intervals(
    metrics: Mapping[str, Metric],
    states: Mapping[Statistic, State],
    *,
    level: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Percentile bootstrap intervals of count metrics from their concrete states alone.

    Exactly the bootstrap of independent, unweighted rows with one label each, at a cost that
    does not depend on how many there were. Weighted rows need `bootstrap_intervals`: drawing
    cells would give them intervals that are too narrow.

    Args:
        metrics: metrics whose `resampling` is "cells".
        states: the concrete state of each of their statistics, as in `Report.states`.
        level: nominal coverage, in (0, 1).
        n_resamples: how many resamples.
        seed: the same seed gives the same interval.

    Returns:
        By metric its interval.

    Raises:
        ValueError: a metric that is not of counts, a weighted state, a level outside (0, 1), or
            too few resamples.

    Example:
        >>> from modelops_jax.metrics import compute, count_intervals, metric
        >>> metrics = {"f1": metric("f1_score")}
        >>> report = compute(metrics, [1, 1, 0, 0] * 25, [1, 0, 0, 1] * 25)
        >>> interval = count_intervals(metrics, report.states)["f1"]
        >>> interval.low < 0.5 < interval.high
        True
    """
    _check(metrics, level, n_resamples)
    drawn: dict[Statistic, list[Counts]] = {}
    found = {}
    for name, metric in metrics.items():
        (statistic,) = metric.statistics
        state = states[statistic]
        if not isinstance(statistic, CellStatistic) or not isinstance(state.cells, ExactCount):
            raise ValueError(f"{name}: drawing cells needs a table of unweighted counts")
        if statistic not in drawn:
            drawn[statistic] = list(_draw_tables(state, n_resamples, seed))
        values = [metric.finalizer(np, tables).value for tables in drawn[statistic]]
        low, high = _ends(np.concatenate(values), level)
        found[name] = Interval(low, high, level, "multinomial percentile", n_resamples, seed)
    return found


def _check(metrics: Mapping[str, Metric], level: float, n_resamples: int) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, not {level!r}")
    if n_resamples < 2:
        raise ValueError(f"n_resamples must be at least 2, not {n_resamples!r}")
    for name, metric in metrics.items():
        if metric.resampling is None:
            raise ValueError(f"{name}: {metric.name} has no bootstrap of its statistic")


def _draw_tables(state: Counts, n_resamples: int, seed: int) -> Iterator[Counts]:
    assert isinstance(state.cells, ExactCount)
    counts = state.cells.integers()
    filled = np.flatnonzero(counts)
    total = int(counts.sum())
    share = counts.reshape(-1)[filled] / max(total, 1)
    random = np.random.default_rng(seed)
    size = max(1, min(n_resamples, _DRAWN_CELLS // counts.size))
    for start in range(0, n_resamples, size):
        several = min(size, n_resamples - start)
        tables = np.zeros((several, counts.size))
        if total:
            tables[:, filled] = random.multinomial(total, share, size=several)
        tables = tables.reshape(several, *counts.shape)
        yield Counts(Pair(tables, np.zeros_like(tables)), state.invalid)


def _resample_rows(
    states: Mapping[SummedStatistic, State],
    y_true: Vector,
    y_pred: Vector | Matrix,
    weight: Vector | None,
    n_resamples: int,
    seed: int,
) -> dict[Statistic, State]:
    """The states of every resample, in NumPy."""
    statistics = tuple(states)
    true, pred = np.asarray(numbers(y_true, "y_true")), np.asarray(numbers(y_pred, "y_pred"))
    weights = None if weight is None else np.asarray(numbers(weight, "weight"))
    columns = (true, pred, weights)
    with computed_now(), precision_scope(*columns):
        dtype = float_type(
            true, pred, None if weights is None or weights.dtype == bool else weights
        )
        key = jax.random.key(seed)
        sums: tuple[Pair, ...] | None = None
        groups = min(_BLOCK, _BLOCK_NUMBERS // columns_of(pred)) // _GROUP
        longest = max(1, groups) * _GROUP
        for start in range(0, max(1, true.shape[0]), longest):
            block = [None if c is None else c[start : start + longest] for c in columns]
            filled = min(longest, true.shape[0] - start)
            size = _GROUP if filled <= _GROUP else longest
            block = [None if c is None else padded(c, size) for c in block]
            sums = _add_block(
                statistics, dtype, n_resamples, tuple(states.values()), sums, key,
                np.asarray(start // _GROUP, np.int32), np.asarray(filled, np.int32), *block,
            )  # fmt: skip
        assert sums is not None
        resampled = tuple(
            statistic.of_column_sums(total.value(), state)
            for (statistic, state), total in zip(states.items(), sums, strict=True)
        )
        return dict(zip(statistics, jax.device_get(resampled), strict=True))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _add_block(
    statistics: tuple[SummedStatistic, ...],
    dtype: DType,
    n_resamples: int,
    states: tuple[State, ...],
    sums: tuple[Pair, ...] | None,
    key: jax.Array,
    group: Column,
    filled: Column,
    y_true: Column,
    y_pred: Column,
    weight: Column | None,
) -> tuple[Pair, ...]:
    """Add one block's resampled column sums, shape (resamples, columns), to those so far."""
    size = y_true.shape[0]
    inside = jnp.arange(size, dtype=jnp.int32) < filled
    if weight is None or weight.dtype == bool:
        weight = inside if weight is None else inside & weight
    else:
        weight = jnp.where(inside, weight.astype(dtype), jnp.zeros((), dtype))
    rows = check_rows(y_true, y_pred, weight, shared_axes(statistics))
    groups = group + jnp.arange(size // _GROUP, dtype=jnp.int32)
    draws = jax.vmap(lambda index: _poisson(jax.random.fold_in(key, index), n_resamples))(groups)
    draws = jnp.swapaxes(draws, 0, 1).reshape(n_resamples, size).astype(dtype)
    added = [
        jnp.matmul(
            draws,
            statistic.row_columns(rows, state).astype(dtype),
            precision=jax.lax.Precision.HIGHEST,
        )
        for statistic, state in zip(statistics, states, strict=True)
    ]
    before = [Pair.of(jnp.zeros_like(block)) for block in added] if sums is None else sums
    return tuple(total + block for total, block in zip(before, added, strict=True))


def _poisson(key: jax.Array, n_resamples: int) -> jax.Array:
    """Poisson(1) draws, shape (resamples, group), by comparing random bits with the quantiles.

    JAX's own sampler loops. Beyond 12 the chance is below one in 2**32.
    """
    bits = jax.random.bits(key, (n_resamples, _GROUP), jnp.uint32)
    below = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(12)])
    draws = jnp.zeros(bits.shape, jnp.int32)
    for quantile in np.floor(below * 2.0**32).astype(np.uint32):
        draws = draws + (bits >= quantile).astype(jnp.int32)
    return draws


def _ends(values: np.ndarray, level: float) -> tuple[float | np.ndarray, float | np.ndarray]:
    """The two quantiles over resamples, of those in which the value is defined and finite."""
    values = np.where(np.isfinite(values), values, np.nan)
    never = np.isnan(values).all(axis=0)
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.nanquantile(np.where(never, 0.0, values), tails, axis=0)
    low, high = np.where(never, np.nan, low), np.where(never, np.nan, high)
    return (float(low), float(high)) if low.ndim == 0 else (low, high)
