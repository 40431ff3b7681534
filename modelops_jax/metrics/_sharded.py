"""Rows that lie on several devices: each counts its own, and only states are exchanged."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ._exact import ExactCount
from ._statistic import Statistic, block_all, check_rows, shared_axes
from ._types import Column, DType, State


class Layout(NamedTuple):
    """How the rows of a pass lie on the devices."""

    mesh: Mesh
    axes: tuple[str, ...]
    """The axes of the mesh over which rows are divided."""


def row_layout(column: Any) -> Layout | None:
    """How the rows of an array are divided over devices; None where they are not.

    Raises:
        ValueError: the columns of a row lie on different devices.
    """
    sharding = getattr(column, "sharding", None)
    if isinstance(column, Tracer) or not isinstance(sharding, NamedSharding):
        return None
    spec = [*sharding.spec, *[None] * (column.ndim - len(sharding.spec))]
    names = [entry if isinstance(entry, tuple) else (entry,) for entry in spec if entry is not None]
    axes = tuple(name for entry in names for name in entry if sharding.mesh.shape[name] > 1)
    if not axes or not isinstance(sharding.mesh, Mesh):
        return None
    if spec[0] is None or len(names) > 1:
        raise ValueError(
            f"an array of shape {column.shape} is sharded as {sharding.spec}; expected rows, the "
            "first axis, to be divided and nothing else"
        )
    return Layout(sharding.mesh, axes)


def shared_layout(columns: dict[str, Any]) -> Layout | None:
    """The layout that all columns on devices share.

    Raises:
        ValueError: columns that lie on the devices in different ways.
    """
    found = {name: row_layout(column) for name, column in columns.items()}
    layouts = {name: layout for name, layout in found.items() if layout is not None}
    if not layouts:
        return None
    apart = {
        name: getattr(column, "sharding", None)
        for name, column in columns.items()
        if isinstance(column, jax.Array)
    }
    if len(set(layouts.values())) > 1 or len(layouts) < len(apart):
        raise ValueError(
            f"the rows lie on devices in different ways: {apart}; put them there alike with "
            "jax.device_put"
        )
    return next(iter(layouts.values()))


def states_of_shards(
    statistics: tuple[Statistic, ...],
    columns: Sequence[Column | None],
    layout: Layout,
    dtype: DType,
) -> tuple[tuple[State, ...], int]:
    """The concrete states of rows on several devices, and the rows of positive weight.

    Args:
        statistics: none of them keeping rows.
        columns: y_true, y_pred, weight and segments; those on the host are divided likewise.
        layout: how those on devices are divided.
        dtype: the float type of weights that are numbers.
    """
    rows = NamedSharding(layout.mesh, PartitionSpec(layout.axes))
    placed = [
        column if column is None or isinstance(column, jax.Array) else jax.device_put(column, rows)
        for column in columns
    ]
    program = counting_program(statistics, layout, dtype)
    states, count = jax.device_get(program(*placed))
    return states, int(count.integers())


@functools.lru_cache(maxsize=256)
def counting_program(statistics: tuple[Statistic, ...], layout: Layout, dtype: DType) -> Any:
    """The program that every device runs on its rows."""

    def count(y_true: Any, y_pred: Any, weight: Any, segments: Any) -> Any:
        kept = jnp.ones_like(y_true, dtype=bool) if weight is None else weight != 0
        if weight is not None and weight.dtype != bool:
            weight = weight.astype(dtype)
        rows = check_rows(y_true, y_pred, weight, shared_axes(statistics))
        states = block_all(statistics, rows._replace(segments=segments))
        both = zip(statistics, states, strict=True)
        merged = tuple(statistic.collect(state, layout.axes) for statistic, state in both)
        number = ExactCount.of(jnp.sum(kept, dtype=jnp.int32))
        return merged, number.psum(layout.axes)

    divided = PartitionSpec(layout.axes)
    return jax.jit(
        jax.shard_map(count, mesh=layout.mesh, in_specs=divided, out_specs=PartitionSpec())
    )
