"""Rows of small integers that lie on devices, each distinct one once, counted where they lie."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from ._distinct import placed_rows

# Rows are counted in a table, rather than sorted, where it has at most so many cells.
_SMALL_TABLE = 1 << 16
# Rows of weight 0 are put behind all others.
_NOWHERE = np.iinfo(np.int32).max


@dataclass(frozen=True)
class DistinctRows:
    """The distinct rows in lexicographic order.

    Args:
        rows: int64, shape (n, columns).
        counts: how many rows of positive weight are each, positive, int64.
        weights: what those weigh, float64; None: they have no weights other than 0 and 1.
    """

    rows: np.ndarray
    counts: np.ndarray
    weights: np.ndarray | None


def distinct_rows_of_shards(
    columns: Sequence[jax.Array],
    widths: Sequence[int],
    weight: jax.Array | None,
    mesh: Mesh,
    axes: tuple[str, ...],
) -> DistinctRows:
    """Count the rows of columns: only a table leaves the devices, or the distinct rows of each.

    Args:
        columns: integers of at least 0, each of shape (n,).
        widths: of each column a number that its integers are below, at most 2**31 - 1; few
            different ones, each of which compiles.
        weight: None, a mask or numbers of at least 0, shape (n,).
        mesh: the devices on which the rows of all of these lie.
        axes: the axes of the mesh over which the rows are divided.
    """
    given = tuple(columns), weight
    with jax.enable_x64(True):
        if math.prod(widths) <= _SMALL_TABLE:
            counts, weights = jax.device_get(_table_program(mesh, axes, tuple(widths))(*given))
            filled = np.flatnonzero(counts)
            rows = np.stack(np.unravel_index(filled, tuple(widths)), axis=1)
            return DistinctRows(rows, counts[filled], None if weights is None else weights[filled])
        several, *rows = _sorting_program(mesh, axes)(*given)
        # Few sizes, each of which compiles.
        size = 1 << (int(several) - 1).bit_length()
        keys, counts, weights = jax.device_get(_summing_program(mesh, axes, size)(*rows))
    there = counts > 0
    distinct, places = placed_rows(np.stack([key[there] for key in keys], axis=1))
    numbers = np.bincount(places, counts[there], len(distinct)).astype(np.int64)
    if weights is not None:
        weights = np.bincount(places, weights[there], len(distinct))
    return DistinctRows(distinct, numbers, weights)


def distinct_of_shards(
    columns: Sequence[jax.Array], most: int, mesh: Mesh, axes: tuple[str, ...]
) -> np.ndarray | None:
    """The distinct integers of all columns in order, int64: those of each device leave it.

    Args:
        columns: integers of which int64 holds each, of shape (n,).
        most: of more than so many the answer is None.
        mesh: the devices on which they lie.
        axes: the axes of the mesh over which they are divided.
    """
    with jax.enable_x64(True):
        several, ordered = _ordering_program(mesh, axes)(tuple(columns))
        if int(several) > most:
            return None
        size = 1 << (int(several) - 1).bit_length()
        found = jax.device_get(_naming_program(mesh, axes, size)(ordered))
    distinct = np.unique(np.concatenate(found))
    return None if len(distinct) > most else distinct


def group_codes_of_shards(
    groups: jax.Array, mesh: Mesh, axes: tuple[str, ...]
) -> tuple[jax.Array, int]:
    """For every row the place of its group's id among all ids in order, and how many there are.

    Args:
        groups: integers, shape (n,).
        mesh: the devices on which they lie.
        axes: the axes of the mesh over which they are divided.
    """
    with jax.enable_x64(True):
        codes, number = _coding_program(mesh, axes)(groups)
        return codes, int(jax.device_get(number))


@functools.lru_cache(maxsize=16)
def _coding_program(mesh: Mesh, axes: tuple[str, ...]) -> Any:
    def code(ids: Any) -> Any:
        every = jnp.sort(lax.all_gather(ids, axes, tiled=True))
        news = jnp.concatenate([jnp.zeros_like(every[:1], bool), every[1:] != every[:-1]])
        number = jnp.cumsum(news, dtype=jnp.int32)
        return number[jnp.searchsorted(every, ids)], number[-1] + 1

    divided = PartitionSpec(axes)
    return jax.jit(
        jax.shard_map(
            code,
            mesh=mesh,
            in_specs=divided,
            out_specs=(divided, PartitionSpec()),
            check_vma=False,
        )
    )


@functools.lru_cache(maxsize=16)
def _ordering_program(mesh: Mesh, axes: tuple[str, ...]) -> Any:
    """Columns in order, and how many are distinct on the device and in the column with the most."""

    def order(columns: Any) -> Any:
        ordered = [jnp.sort(column.astype(jnp.int64)) for column in columns]
        numbers = [_places(column)[-1] + 1 for column in ordered]
        return lax.pmax(functools.reduce(jnp.maximum, numbers), axes), ordered

    divided = PartitionSpec(axes)
    return jax.jit(
        jax.shard_map(order, mesh=mesh, in_specs=divided, out_specs=(PartitionSpec(), divided))
    )


@functools.lru_cache(maxsize=16)
def _naming_program(mesh: Mesh, axes: tuple[str, ...], size: int) -> Any:
    """The distinct ones of columns in order, and behind them the first one again."""

    def name(ordered: Any) -> Any:
        return [
            jnp.broadcast_to(column[0], size).at[_places(column)].set(column) for column in ordered
        ]

    divided = PartitionSpec(axes)
    return jax.jit(jax.shard_map(name, mesh=mesh, in_specs=divided, out_specs=divided))


def _places(*keys: Any) -> Any:
    """The place of each row, which are in order by these keys, among the distinct ones."""
    news = functools.reduce(jnp.logical_or, [key[1:] != key[:-1] for key in keys])
    none = jnp.zeros_like(news, jnp.int32, shape=(1,))
    return jnp.concatenate([none, jnp.cumsum(news, dtype=jnp.int32)])


@functools.lru_cache(maxsize=32)
def _table_program(mesh: Mesh, axes: tuple[str, ...], widths: tuple[int, ...]) -> Any:
    """How many rows of all devices are in each cell of a table, and what they weigh."""

    def count(columns: Any, weight: Any) -> Any:
        cells = jnp.zeros_like(columns[0], jnp.int32)
        for width, column in zip(widths, columns, strict=True):
            cells = cells * width + column.astype(jnp.int32)
        none = jnp.zeros_like(cells, shape=(math.prod(widths),))
        mask = jnp.ones_like(cells) if weight is None else (weight != 0).astype(jnp.int32)
        numbers = lax.psum(none.at[cells].add(mask).astype(jnp.int64), axes)
        if weight is None or weight.dtype == bool:
            return numbers, None
        weights = none.astype(jnp.float64).at[cells].add(weight.astype(jnp.float64))
        return numbers, lax.psum(weights, axes)

    divided, same = PartitionSpec(axes), PartitionSpec()
    return jax.jit(jax.shard_map(count, mesh=mesh, in_specs=divided, out_specs=same))


@functools.lru_cache(maxsize=16)
def _sorting_program(mesh: Mesh, axes: tuple[str, ...]) -> Any:
    """The columns and weights in the order of the rows, the place of each row among the distinct
    ones of its device, and how many of these there are where there are the most."""

    def sort(columns: Any, weight: Any) -> Any:
        mask = jnp.ones_like(columns[0], bool) if weight is None else weight != 0
        keys = [jnp.where(mask, c.astype(jnp.int32), jnp.int32(_NOWHERE)) for c in columns]
        *keys, weight = lax.sort((*keys, mask if weight is None else weight), num_keys=len(keys))
        places = _places(*keys)
        return lax.pmax(places[-1] + 1, axes), tuple(keys), weight, places

    divided, same = PartitionSpec(axes), PartitionSpec()
    return jax.jit(
        jax.shard_map(
            sort, mesh=mesh, in_specs=divided, out_specs=(same, divided, divided, divided)
        )
    )


@functools.lru_cache(maxsize=32)
def _summing_program(mesh: Mesh, axes: tuple[str, ...], size: int) -> Any:
    """The distinct rows of each device, how many there are of each, and what they weigh."""

    def add(keys: Any, weight: Any, places: Any) -> Any:
        none = jnp.zeros_like(places, shape=(size,))
        found = tuple(none.at[places].set(key) for key in keys)
        counts = none.at[places].add((weight != 0).astype(jnp.int32))
        if weight.dtype == bool:
            return found, counts, None
        return found, counts, none.astype(jnp.float64).at[places].add(weight.astype(jnp.float64))

    divided = PartitionSpec(axes)
    return jax.jit(jax.shard_map(add, mesh=mesh, in_specs=divided, out_specs=divided))
