"""Sets of row weights, and the sums of a block of rows under them.

What a row, or a group of rows, draws depends on its key alone, so that neither the blocks in which
the rows arrive nor the devices they lie on, nor other metrics and models in the same pass, change
it.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np

from . import _platform
from ._counts import IN_BOUNDS, ConfusionCounts, TableStatistic
from ._pair import Pair
from ._statistic import Rows, SummedStatistic, check_rows, shared_axes
from ._types import Column, DType, State

# Units whose draws come from one key, whatever the blocks the rows arrive in.
GROUP = 512
# Sets of kept rows that are drawn from one key.
AT_ONCE = 16
# Units of those that are drawn in one call: of more the last calls are padded.
CALLS = (GROUP, 4 * GROUP, 16 * GROUP, 64 * GROUP)
_BLOCK = 4096
# Cells up to which a product with a table is as fast.
_FEW_CELLS = 256
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


def block_rows(
    statistics: Sequence[SummedStatistic], models: int, columns: int, *, scattered: bool = False
) -> int:
    """How many rows to take at once of so many models with so many columns of y_pred.

    `scattered`: of large tables only the cell of each row is there, as in `add_block`.
    """
    tables = [s for s in statistics if isinstance(s, TableStatistic)]
    cells = [math.prod(s.shape) for s in tables if not (scattered and _is_scattered(s))]
    width = models * max(columns, *cells, 1)
    return max(1, min(_BLOCK, _BLOCK_NUMBERS // width) // GROUP) * GROUP


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def add_block(
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
    sets = draws.of_block(key, first, places, y_trues.shape[1]).astype(dtype)
    own = _own_weight(weight, filled, y_trues.shape[1], dtype)
    added = []
    for statistic, state in zip(statistics, states, strict=True):
        if _is_scattered(statistic):
            sum_block = functools.partial(_scattered, statistic, sets)
            added.append(_by_model(sum_block, statistics, y_trues, y_preds, own))
        else:
            columns = functools.partial(_columns, statistic, state, dtype)
            added.append(_product(sets, _by_model(columns, statistics, y_trues, y_preds, own)))
    return _add(sums, added)


def block_columns(
    statistics: tuple[SummedStatistic, ...],
    dtype: DType,
    states: tuple[State, ...],
    filled: Any,
    y_trues: Any,
    y_preds: Any,
    weight: Any,
) -> list[jax.Array]:
    """What each row of a block adds to each statistic, shape (rows, models, columns)."""
    own = _own_weight(weight, filled, y_trues.shape[1], dtype)
    found = []
    for statistic, state in zip(statistics, states, strict=True):
        columns = functools.partial(_columns, statistic, state, dtype)
        found.append(_by_model(columns, statistics, y_trues, y_preds, own))
    return found


def add_columns(
    sums: tuple[Pair, ...] | None, sets: jax.Array, columns: Sequence[jax.Array]
) -> tuple[Pair, ...]:
    """Add what sets of weights, shape (sets, rows), make of columns to the sums so far."""
    return _add(sums, [_product(sets, column) for column in columns])


def _add(sums: tuple[Pair, ...] | None, added: Sequence[jax.Array]) -> tuple[Pair, ...]:
    before = [Pair.of(jnp.zeros_like(block)) for block in added] if sums is None else sums
    return tuple(total + block for total, block in zip(before, added, strict=True))


def _own_weight(weight: Any, filled: Any, size: int, dtype: DType) -> jax.Array:
    """The weight of each row of a block that is filled so far."""
    inside = jnp.arange(size, dtype=jnp.int32) < filled
    if weight is None or weight.dtype == bool:
        return inside if weight is None else inside & weight
    return jnp.where(inside, weight.astype(dtype), jnp.zeros((), dtype))


def _by_model(
    of_rows: Callable[[Rows], jax.Array],
    statistics: Sequence[SummedStatistic],
    y_trues: Any,
    y_preds: Any,
    weight: jax.Array,
) -> jax.Array:
    """What a function makes of the rows of each model, beside each other on axis 1."""

    def of_one(true: Any, pred: Any) -> jax.Array:
        return of_rows(check_rows(true, pred, weight, shared_axes(statistics)))

    shared = y_trues.shape[0] == 1
    of_models = jax.vmap(of_one, in_axes=(None if shared else 0, 0), out_axes=1)
    return of_models(y_trues[0] if shared else y_trues, y_preds)


def _columns(statistic: SummedStatistic, state: State, dtype: DType, rows: Rows) -> jax.Array:
    return statistic.row_columns(rows, state).astype(dtype)


def _product(sets: jax.Array, column: jax.Array) -> jax.Array:
    flat = column.reshape(column.shape[0], -1)
    product = jnp.matmul(sets, flat, precision=jax.lax.Precision.HIGHEST)
    return product.reshape(sets.shape[0], *column.shape[1:])


def _is_scattered(statistic: SummedStatistic) -> TypeGuard[ConfusionCounts]:
    """Whether a row is added to its cell: of a product with a large table most is times 0.

    A processor does so in a third of the time with 1,024 cells, and in a twelfth with 16,384.
    """
    is_large = isinstance(statistic, ConfusionCounts) and statistic.size > _FEW_CELLS
    return is_large and _platform.platform() == "cpu"


def _scattered(statistic: ConfusionCounts, sets: jax.Array, rows: Rows) -> jax.Array:
    """What sets of weights make of the cells of a table, shape (sets, cells)."""
    weighted = sets if rows.weight is None else sets * rows.weight
    table = jnp.zeros_like(sets, shape=(statistic.size + 4, sets.shape[0]))
    return table.at[statistic.slots(rows)].add(weighted.T, mode=IN_BOUNDS)[: statistic.size].T


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


@functools.partial(jax.jit, static_argnums=(0, 3))
def draw_units(kind: str, key: jax.Array, first: jax.Array, size: int) -> jax.Array:
    """What so many units from a group's first on draw, uint8 of shape (sets, size)."""
    keys = jax.vmap(functools.partial(jax.random.fold_in, key))(
        first + jnp.arange(size // GROUP, dtype=jnp.int32)
    )
    draw: Callable[..., jax.Array] = poisson if kind == "poisson" else signs
    drawn = jax.vmap(functools.partial(draw, count=AT_ONCE))(keys)
    if kind != "poisson":
        drawn = (drawn + 1) // 2
    return jnp.swapaxes(drawn, 0, 1).reshape(AT_ONCE, size).astype(jnp.uint8)
