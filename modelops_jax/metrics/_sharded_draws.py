"""Sums under many sets of weights of rows that lie on several devices, and stay there.

Every device draws for its own rows, whose places among all rows it knows, and the sums are added.
Rows of a group may lie on several devices: what a group adds is summed first, and then it is the
groups that are divided over the devices.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec

from ._draws import GROUP, Draws, add_columns, block_columns, block_rows
from ._pair import Pair
from ._sharded import Layout
from ._statistic import SummedStatistic, columns_of
from ._types import DType, State


def sums_by_group(
    statistics: tuple[SummedStatistic, ...],
    states: tuple[State, ...],
    y_true: jax.Array,
    y_pred: jax.Array,
    weight: jax.Array | None,
    codes: jax.Array,
    units: int,
    layout: Layout,
) -> list[jax.Array]:
    """The column sums of every statistic by group, float64 of shape (units, 1, columns).

    Args:
        statistics: what to sum the columns of.
        states: for each statistic the state to centre by.
        y_true: of one model.
        y_pred: the same.
        weight: None, a mask or numbers.
        codes: the number of each row's group.
        units: how many groups there are, or more.
        layout: how the rows of all of these are divided.
    """
    longest = block_rows(statistics, 1, columns_of(y_pred))
    program = _grouping_program(statistics, units, longest, layout)
    return program(states, ((y_true,), (y_pred,), weight, codes))


def sums_of_shards(
    statistics: tuple[SummedStatistic, ...],
    dtype: DType,
    draws: Draws,
    states: tuple[State, ...],
    key: jax.Array,
    y_trues: Sequence[jax.Array],
    y_preds: Sequence[jax.Array],
    weight: jax.Array | None,
    codes: jax.Array | None,
    units: int | None,
    layout: Layout,
) -> tuple[Pair, ...]:
    """The column sums of every statistic, shape (sets, models, columns), the same everywhere.

    Args:
        statistics: what to sum the columns of.
        dtype: the float type of the sums.
        draws: the sets of weights.
        states: for each statistic the state of all rows.
        key: of the draws.
        y_trues: one for all models, or one for each.
        y_preds: one for each model.
        weight: None, a mask or numbers.
        codes: None, or the number of each row's group.
        units: None, or how many groups there are.
        layout: how the rows of all of these are divided.
    """
    longest = block_rows(statistics, len(y_preds), columns_of(y_preds[0]))
    program = _drawing_program(statistics, dtype, draws, units, longest, layout)
    return program(states, key, (tuple(y_trues), tuple(y_preds), weight, codes))


@functools.lru_cache(maxsize=64)
def _drawing_program(
    statistics: tuple[SummedStatistic, ...],
    dtype: DType,
    draws: Draws,
    units: int | None,
    longest: int,
    layout: Layout,
) -> Any:
    """The program of `sums_of_shards`."""

    def draw(states: tuple[State, ...], key: jax.Array, rows: Any) -> tuple[Pair, ...]:
        here, devices = lax.axis_index(layout.axes), lax.axis_size(layout.axes)
        parts = _blocks_of_rows(statistics, dtype, states, rows, longest)
        if units is None:
            own = _fold(draws, dtype, key, here * parts.units, parts)
        else:
            share = -(-units // devices)
            tables = _by_code(parts, share * devices)
            tables = [lax.psum_scatter(table, layout.axes, tiled=True) for table in tables]
            own = _fold(draws, dtype, key, here * share, _blocks_of_sums(tables, longest))
        every = jax.tree.map(lambda leaf: lax.all_gather(leaf, layout.axes), own)
        first, rest = (
            jax.tree.map(lambda leaf, at=at: leaf[at], every) for at in (0, slice(1, None))
        )

        def merge(one: Any, other: Any) -> tuple[Any, None]:
            return tuple(a + b for a, b in zip(one, other, strict=True)), None

        return lax.scan(merge, first, rest)[0]

    same, divided = PartitionSpec(), PartitionSpec(layout.axes)
    # That every device has the same in the end is true, and nothing JAX could see.
    return jax.jit(
        jax.shard_map(
            draw,
            mesh=layout.mesh,
            in_specs=(same, same, divided),
            out_specs=same,
            check_vma=False,
        )
    )


@functools.lru_cache(maxsize=64)
def _grouping_program(
    statistics: tuple[SummedStatistic, ...], units: int, longest: int, layout: Layout
) -> Any:
    """The program of `sums_by_group`."""

    def add(states: tuple[State, ...], rows: Any) -> list[jax.Array]:
        parts = _blocks_of_rows(statistics, np.dtype(np.float64), states, rows, longest)
        return [lax.psum(table, layout.axes) for table in _by_code(parts, units)]

    same, divided = PartitionSpec(), PartitionSpec(layout.axes)
    return jax.jit(
        jax.shard_map(
            add, mesh=layout.mesh, in_specs=(same, divided), out_specs=same, check_vma=False
        )
    )


class _Blocks(NamedTuple):
    """What a device sums: its rows, or its share of the groups."""

    units: int
    """How many there are."""
    size: int
    """How many a block has."""
    number: int
    """How many blocks."""
    columns: Callable[[Any], list[jax.Array]]
    """By block what each adds to each statistic, shape (size, models, columns)."""
    codes: Callable[[Any], jax.Array] | None = None
    """Of rows in groups by block the number of each one's group."""


def _blocks_of_rows(
    statistics: tuple[SummedStatistic, ...],
    dtype: DType,
    states: tuple[State, ...],
    rows: Any,
    longest: int,
) -> _Blocks:
    trues, preds, weight, codes = rows
    count = trues[0].shape[0]
    stacked = jnp.stack(trues, 1), jnp.stack(preds, 1), weight, codes
    size, number, padded = _in_blocks(stacked, count, longest)

    def columns(block: Any) -> list[jax.Array]:
        true, pred, own, _ = _block(padded, block, size)
        filled = jnp.minimum(count - block * size, size)
        models = jnp.swapaxes(true, 0, 1), jnp.swapaxes(pred, 0, 1)
        return block_columns(statistics, dtype, states, filled, *models, own)

    return _Blocks(count, size, number, columns, lambda block: _block(padded, block, size)[3])


def _blocks_of_sums(tables: list[jax.Array], longest: int) -> _Blocks:
    count = tables[0].shape[0]
    size, number, padded = _in_blocks(tables, count, longest)

    def columns(block: Any) -> list[jax.Array]:
        return _block(padded, block, size)

    return _Blocks(count, size, number, columns)


def _in_blocks(columns: Any, count: int, longest: int) -> tuple[int, int, Any]:
    """Rows a block, how many blocks, and the columns with zeros up to that many rows."""
    size = min(longest, max(1, -(-count // GROUP)) * GROUP)
    blocks = max(1, -(-count // size))

    def padded(column: jax.Array) -> jax.Array:
        more = jnp.zeros((blocks * size - count, *column.shape[1:]), column.dtype)
        return jnp.concatenate([column, more])

    return size, blocks, jax.tree.map(padded, columns)


def _block(columns: Any, block: Any, size: int) -> Any:
    return jax.tree.map(
        lambda column: lax.dynamic_slice_in_dim(column, block * size, size), columns
    )


def _by_code(rows: _Blocks, several: int) -> list[jax.Array]:
    """For each statistic what the rows of each of so many groups add, on one device."""

    def add(tables: list[jax.Array], block: Any) -> tuple[list[jax.Array], None]:
        assert rows.codes is not None
        code = rows.codes(block)
        each = zip(tables, rows.columns(block), strict=True)
        return [table.at[code].add(column) for table, column in each], None

    shapes = jax.eval_shape(rows.columns, jnp.int32(0))
    tables = [jnp.zeros((several, *shape.shape[1:]), shape.dtype) for shape in shapes]
    return lax.scan(add, tables, jnp.arange(rows.number, dtype=jnp.int32))[0]


def _fold(
    draws: Draws, dtype: DType, key: jax.Array, offset: Any, units: _Blocks
) -> tuple[Pair, ...]:
    """The sums over a device's blocks, the first unit of which is the `offset`th of all."""

    def step(sums: tuple[Pair, ...], block: Any) -> tuple[tuple[Pair, ...], None]:
        start = offset + block * units.size
        places = start % GROUP + jnp.arange(units.size, dtype=jnp.int32)
        sets = draws.of_block(key, start // GROUP, places, units.size).astype(dtype)
        return add_columns(sums, sets, units.columns(block)), None

    shapes = jax.eval_shape(units.columns, jnp.int32(0))
    zeros = [jnp.zeros((draws.count, *shape.shape[1:]), shape.dtype) for shape in shapes]
    start = tuple(Pair.of(zero) for zero in zeros)
    return lax.scan(step, start, jnp.arange(units.number, dtype=jnp.int32))[0]
