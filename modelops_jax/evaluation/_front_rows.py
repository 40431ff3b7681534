"""Rows that count, put before all others on the devices that they lie on.

What a row draws for an interval follows from its place. On the host rows that do not count are left
out first; where these lie between others on devices, the others move up, from device to device.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import PartitionSpec

import modelops_jax.metrics as numeric

from ._sharded import first_of


class Front(NamedTuple):
    """Rows of positive weight, and behind them others that hold what the first of these does.

    Args:
        weight: of each row, positive or 0; or a mask. None: all rows count.
        columns: what was given.
    """

    weight: jax.Array | None
    columns: Any


def only_these(rows: jax.Array, weight: jax.Array | None) -> jax.Array:
    """The weights, or a mask, of which all but some rows have 0."""
    with jax.enable_x64(True):
        return _masking_program(_layout_of(rows))(rows, weight)


def put_in_front(weight: jax.Array, columns: Any) -> Front:
    """Let the rows of positive weight, at least one, move up before all others, in their order.

    Args:
        weight: a mask, or numbers of at least 0, shape (n,).
        columns: a tree of arrays of shape (n, ...), divided likewise.
    """
    layout = _layout_of(weight)
    with jax.enable_x64(True):
        several, last = jax.device_get(_looking_program(layout)(weight))
        if several == last:
            return Front(weight, fill_absent(weight, columns))
        return Front(*_moving_program(layout)(weight, columns))


def fill_absent(weight: jax.Array, columns: Any) -> Any:
    """Columns in which rows of weight 0 hold what the first other row, of at least one, does."""
    with jax.enable_x64(True):
        return _filling_program(_layout_of(weight))(weight, columns)


def _layout_of(column: jax.Array) -> Any:
    layout = numeric.row_layout(column)
    assert layout is not None
    return layout


@lru_cache(maxsize=16)
def _masking_program(layout: Any) -> Any:
    def mask(rows: Any, weight: Any) -> Any:
        return rows if weight is None else jnp.where(rows, weight, jnp.zeros_like(weight))

    divided = PartitionSpec(layout.axes)
    return jax.jit(jax.shard_map(mask, mesh=layout.mesh, in_specs=divided, out_specs=divided))


@lru_cache(maxsize=16)
def _looking_program(layout: Any) -> Any:
    """How many rows have a positive weight, and behind which place none has."""

    def look(weight: Any) -> Any:
        there, own = _counts(weight), weight.shape[0]
        places = lax.axis_index(layout.axes).astype(jnp.int64) * own + jnp.arange(1, own + 1)
        last = lax.pmax(jnp.max(jnp.where(there, places, 0)), layout.axes)
        return lax.psum(jnp.sum(there, dtype=jnp.int64), layout.axes), last

    divided, same = PartitionSpec(layout.axes), PartitionSpec()
    return jax.jit(jax.shard_map(look, mesh=layout.mesh, in_specs=divided, out_specs=same))


@lru_cache(maxsize=16)
def _filling_program(layout: Any) -> Any:
    def fill(weight: Any, columns: Any) -> Any:
        return jax.tree.map(lambda column: _filled(_counts(weight), column, layout.axes), columns)

    divided = PartitionSpec(layout.axes)
    return jax.jit(jax.shard_map(fill, mesh=layout.mesh, in_specs=divided, out_specs=divided))


def _counts(weight: Any) -> Any:
    return weight if weight.dtype == bool else weight > 0


def _filled(there: Any, column: Any, axes: Any) -> Any:
    return _where(there, column, first_of(there, column, axes)[1])


def _where(rows: Any, column: Any, row: Any) -> Any:
    return jnp.where(rows.reshape(-1, *[1] * (column.ndim - 1)), column, row)


@lru_cache(maxsize=16)
def _moving_program(layout: Any) -> Any:
    """Each device shows its rows in turn, and those whose place they have take them."""
    axes = layout.axes

    def move(weight: Any, columns: Any) -> Any:
        there, own = _counts(weight), weight.shape[0]
        here, devices = lax.axis_index(axes).astype(jnp.int64), lax.axis_size(axes)
        number = jnp.cumsum(there, dtype=jnp.int64)
        every = lax.all_gather(number[-1], axes)
        before = jnp.sum(jnp.where(jnp.arange(devices) < here, every, 0))
        # Of a row that does not count no device has the place.
        places = jnp.where(there, before + number - 1, -1)
        leaves, tree = jax.tree.flatten((weight, columns))
        firsts = (first_of(there, column, axes)[1] for column in leaves[1:])
        firsts = [jnp.zeros_like(weight, shape=()), *firsts]
        none = jnp.zeros_like(there)
        begun = [_where(none, leaf, row) for leaf, row in zip(leaves, firsts, strict=True)]

        def turn(device: Any, moved: Any) -> Any:
            def shown(leaf: Any) -> Any:
                whole = leaf.astype(jnp.int32) if leaf.dtype == bool else leaf
                found = lax.psum(jnp.where(here == device, whole, jnp.zeros_like(whole)), axes)
                return found.astype(leaf.dtype)

            place = shown(places) - here * own
            place = jnp.where((place >= 0) & (place < own), place, own)
            return [
                old.at[place].set(shown(leaf), mode="drop")
                for old, leaf in zip(moved, leaves, strict=True)
            ]

        moved = lax.fori_loop(jnp.int64(0), jnp.int64(devices), turn, begun)
        return jax.tree.unflatten(tree, moved)

    divided = PartitionSpec(axes)
    return jax.jit(
        jax.shard_map(move, mesh=layout.mesh, in_specs=divided, out_specs=(divided, divided))
    )
