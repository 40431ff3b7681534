"""Sums over rows under many sets of row weights at once: one matrix product a block of rows.

A bootstrap resample weighs rows by Poisson(1) draws, a permutation by signs, a jackknife leaves
parts of them out. What a row, or a group of rows, draws depends on its key alone, so that neither
the blocks in which the rows arrive nor other metrics and models in the same pass change it.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._compute import computed_now, numbers, padded, precision_scope
from ._counts import TableStatistic
from ._metric import Metric
from ._pair import Pair
from ._statistic import SummedStatistic, check_rows, columns_of, float_type, shared_axes
from ._types import Column, DType, Matrix, State, Vector

# Units whose draws come from one key, whatever the blocks the rows arrive in.
GROUP = 512
_BLOCK = 4096
# Numbers in the rows of one block, to bound memory where a row has many.
_BLOCK_NUMBERS = 1 << 20
# Parts of the jackknife: with more the noise of the acceleration, 0.65 / parts, hardly falls.
PARTS = 512
_SIGNS_KEY = np.uint32(2**32 - 1)


@dataclass(frozen=True)
class Draws:
    """How many sets of weights of each kind; a set of ones, the sample itself, comes first."""

    poisson: int = 0
    signs: int = 0
    parts: int = 0

    @property
    def count(self) -> int:
        """All sets."""
        return 1 + self.poisson + self.signs + self.parts

    def of_block(
        self, key: jax.Array, first: Column, places: Column | None, size: int
    ) -> jax.Array:
        """The weights of a block of rows, shape (sets, rows).

        `first` is the number of the group of units that the block begins with, and `places` the
        unit of each row, counted from that group's first; None: each row is a unit.
        """
        # Rows in the order of their units may begin inside a group.
        more = size // GROUP + (places is not None)
        groups = first + jnp.arange(more, dtype=jnp.int32)
        sets = [jnp.ones((1, size), jnp.int32)]
        for kind, draw, several in (
            (key, poisson, self.poisson),
            (jax.random.fold_in(key, _SIGNS_KEY), signs, self.signs),
        ):
            if several:
                keys = jax.vmap(functools.partial(jax.random.fold_in, kind))(groups)
                drawn = jax.vmap(functools.partial(draw, count=several))(keys)
                of_units = jnp.swapaxes(drawn, 0, 1).reshape(several, -1)
                sets.append(of_units if places is None else of_units[:, places])
        if self.parts:
            place = jnp.arange(size, dtype=jnp.int32) if places is None else places
            part = (first * GROUP + place) % self.parts
            every = jnp.arange(self.parts, dtype=jnp.int32)
            sets.append((part[None, :] != every[:, None]).astype(jnp.int32))
        return jnp.concatenate(sets)


@dataclass(frozen=True)
class RowSums:
    """The sums of every statistic's columns, for every set of weights and every model."""

    draws: Draws
    states: Mapping[SummedStatistic, State]
    sums: Mapping[SummedStatistic, np.ndarray]  # shape (sets, models, columns), float64

    def sample(self) -> "RowSums":
        """The sample itself."""
        return self._slice(0, 1)

    def resampled(self) -> "RowSums":
        """The bootstrap's resamples."""
        return self._slice(1, self.draws.poisson)

    def signed(self) -> "RowSums":
        """Sums of the rows, each with a random sign."""
        return self._slice(1 + self.draws.poisson, self.draws.signs)

    def left_out(self) -> "RowSums":
        """The jackknife's samples."""
        return self._slice(1 + self.draws.poisson + self.draws.signs, self.draws.parts)

    def _slice(self, first: int, count: int) -> "RowSums":
        part = {s: sums[first : first + count] for s, sums in self.sums.items()}
        return replace(self, sums=part)

    def values(self, metric: Metric) -> np.ndarray:
        """The metric's value for every set of weights and every model, shape (sets, models, ...).

        In float64 whatever the rows were: ties of resampled values have to stay ties.
        """
        sets, models = self.sums[self._own(metric)[0]].shape[:2]
        with computed_now(), jax.enable_x64(True):
            states = _of_sums(
                tuple(self._own(metric)),
                tuple(self.sums[s].reshape(sets * models, -1) for s in self._own(metric)),
                tuple(jax.tree.map(_widened, self.states[s]) for s in self._own(metric)),
            )
        values = np.asarray(metric.finalizer(np, *jax.device_get(states)).value, np.float64)
        return values.reshape(sets, models, *values.shape[1:])

    @staticmethod
    def _own(metric: Metric) -> list[SummedStatistic]:
        assert metric.resampling is not None
        return [s for s in metric.statistics if isinstance(s, SummedStatistic)]


def draw_rows(
    states: Mapping[SummedStatistic, State],
    y_trues: Sequence[Vector | Matrix],
    y_preds: Sequence[Vector | Matrix],
    *,
    weight: Vector | None,
    groups: Vector | None,
    poisson: int = 0,
    signs: int = 0,
    jackknife: bool = False,
    seed: int,
) -> RowSums:
    """Sum the columns of statistics over rows under many sets of weights.

    Args:
        states: the statistics, with a concrete state each to centre by.
        y_trues: one for all models, or one for each, shape (n,) or (n, k).
        y_preds: for each model, shape (n,) or (n, k).
        weight: None, a boolean mask or numbers, shape (n,), by which the sets are multiplied.
        groups: None, or for every row its group, shape (n,): all rows of a group draw alike.
        poisson: how many bootstrap resamples.
        signs: how many sets of random signs.
        jackknife: whether to leave out rows, or groups: each alone up to 512 of them.
        seed: of the draws.
    """
    trues = np.stack([np.asarray(numbers(true, "y_true")) for true in y_trues])
    preds = np.stack([np.asarray(numbers(pred, "y_pred")) for pred in y_preds])
    weights = None if weight is None else np.asarray(numbers(weight, "weight"))
    units = None if groups is None else group_codes(groups, trues.shape[1])
    if units is not None:
        order = np.argsort(units, kind="stable")
        trues, preds, units = trues[:, order], preds[:, order], units[order]
        weights = None if weights is None else weights[order]
    rows = trues.shape[1]
    found = rows if units is None else int(units[-1]) + 1 if rows else 0
    draws = Draws(poisson, signs, max(1, min(found, PARTS)) if jackknife else 0)
    statistics = tuple(states)
    with computed_now(), precision_scope(trues, preds, weights):
        boolean = weights is None or weights.dtype == bool
        dtype = float_type(trues, preds, None if boolean else weights)
        key = jax.random.key(seed)
        sums: tuple[Pair, ...] | None = None
        longest = _block_rows(statistics, preds)
        for start in range(0, max(1, rows), longest):
            stop = min(start + longest, rows)
            size = GROUP if stop - start <= GROUP else longest
            first, places = start // GROUP, None
            if units is not None and rows:
                first = int(units[start]) // GROUP
                places = padded((units[start:stop] - first * GROUP).astype(np.int32), size)
            sums = _add_block(
                statistics, dtype, draws, tuple(states.values()), sums, key,
                np.asarray(first, np.int32),
                places,
                np.asarray(stop - start, np.int32),
                np.stack([padded(true[start:stop], size) for true in trues]),
                np.stack([padded(pred[start:stop], size) for pred in preds]),
                None if weights is None else padded(weights[start:stop], size),
            )  # fmt: skip
        assert sums is not None
        totals = [np.asarray(pair.value(), np.float64) for pair in jax.device_get(sums)]
    return RowSums(draws, states, dict(zip(statistics, totals, strict=True)))


def group_codes(groups: Vector, rows: int) -> np.ndarray:
    """For every row the place of its group among all groups in order.

    Raises:
        ValueError: groups that are no vector of as many entries as there are rows, or nan.
    """
    array = np.asarray(groups)
    if array.shape != (rows,):
        raise ValueError(f"groups must have shape ({rows},), one entry a row; found {array.shape}")
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise ValueError(f"groups holds {int(np.isnan(array).sum()):,} nan; expected an id a row")
    return np.unique(array, return_inverse=True)[1].reshape(rows)


def _block_rows(statistics: Sequence[SummedStatistic], preds: np.ndarray) -> int:
    cells = [math.prod(s.shape) for s in statistics if isinstance(s, TableStatistic)]
    width = preds.shape[0] * max(columns_of(preds[0]), *cells, 1)
    return max(1, min(_BLOCK, _BLOCK_NUMBERS // width) // GROUP) * GROUP


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _add_block(
    statistics: tuple[SummedStatistic, ...],
    dtype: DType,
    draws: Draws,
    states: tuple[State, ...],
    sums: tuple[Pair, ...] | None,
    key: jax.Array,
    first: Column,
    places: Column | None,
    filled: Column,
    y_trues: Column,
    y_preds: Column,
    weight: Column | None,
) -> tuple[Pair, ...]:
    """Add one block's column sums, shape (sets, models, columns), to those so far."""
    size = y_trues.shape[1]
    shared = y_trues.shape[0] == 1
    inside = jnp.arange(size, dtype=jnp.int32) < filled
    if weight is None or weight.dtype == bool:
        weight = inside if weight is None else inside & weight
    else:
        weight = jnp.where(inside, weight.astype(dtype), jnp.zeros((), dtype))
    sets = draws.of_block(key, first, places, size).astype(dtype)
    added = []
    for statistic, state in zip(statistics, states, strict=True):

        def columns(
            true: Any, pred: Any, statistic: Any = statistic, state: Any = state
        ) -> jax.Array:
            rows = check_rows(true, pred, weight, shared_axes(statistics))
            return statistic.row_columns(rows, state).astype(dtype)

        of_models = jax.vmap(columns, in_axes=(None if shared else 0, 0), out_axes=1)(
            y_trues[0] if shared else y_trues, y_preds
        )
        flat = of_models.reshape(size, -1)
        product = jnp.matmul(sets, flat, precision=jax.lax.Precision.HIGHEST)
        added.append(product.reshape(draws.count, *of_models.shape[1:]))
    before = [Pair.of(jnp.zeros_like(block)) for block in added] if sums is None else sums
    return tuple(total + block for total, block in zip(before, added, strict=True))


@functools.partial(jax.jit, static_argnums=0)
def _of_sums(
    statistics: tuple[SummedStatistic, ...],
    sums: tuple[Column, ...],
    states: tuple[State, ...],
) -> tuple[State, ...]:
    triples = zip(statistics, sums, states, strict=True)
    return tuple(statistic.of_column_sums(total, state) for statistic, total, state in triples)


def _widened(leaf: Any) -> np.ndarray:
    leaf = np.asarray(leaf)
    return leaf.astype(np.float64) if leaf.dtype.kind == "f" else leaf


def poisson(key: jax.Array, count: int) -> jax.Array:
    """Poisson(1) draws, shape (count, group), by comparing random bits with the quantiles.

    JAX's own sampler loops. Beyond 12 the chance is below one in 2**32.
    """
    bits = jax.random.bits(key, (count, GROUP), jnp.uint32)
    below = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(12)])
    draws = jnp.zeros(bits.shape, jnp.int32)
    for quantile in np.floor(below * 2.0**32).astype(np.uint32):
        draws = draws + (bits >= quantile).astype(jnp.int32)
    return draws


def signs(key: jax.Array, count: int) -> jax.Array:
    """Draws of 1 and -1, shape (count, group), a random bit each."""
    bits = jax.random.bits(key, (-(-count // 32), 1, GROUP), jnp.uint32)
    each = (bits >> jnp.arange(32, dtype=jnp.uint32)[None, :, None]) & np.uint32(1)
    return 2 * each.reshape(-1, GROUP)[:count].astype(jnp.int32) - 1
