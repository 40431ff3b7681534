"""Rows that lie on devices: each counts its own, and only states are exchanged.

Many rows on one accelerator are rows on a mesh of one device.

States that are the rows themselves stay where the rows lie. What is made of them all at once, a
rank above all, every device makes of the rows of all, which the devices exchange among themselves.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from . import _platform
from ._exact import ExactCount
from ._packed import Packed
from ._statistic import Statistic, block_all, check_rows, shared_axes
from ._types import Column, DType, State

# Numbers that the host reads from an accelerator faster than it calls programs there; so many rows
# also take few shapes.
FEW_NUMBERS = 1 << 18
# The axis of a mesh of one device.
_ROWS = ("rows",)
# More rows than these are padded to one of so many sizes between a power of two and the next.
_SIZES_AN_OCTAVE = 4


class Layout(NamedTuple):
    """How the rows of a pass lie on the devices."""

    mesh: Mesh
    axes: tuple[str, ...]
    """The axes of the mesh over which rows are divided."""


def row_layout(column: Any) -> Layout | None:
    """How the rows of an array lie on devices; None where the host is to read them.

    Raises:
        ValueError: the columns of a row lie on different devices.
    """
    sharding = getattr(column, "sharding", None)
    if isinstance(column, Tracer) or not isinstance(sharding, jax.sharding.Sharding):
        return None
    if len(sharding.device_set) == 1:
        (device,) = sharding.device_set
        many = _platform.is_accelerator(device) and column.size > FEW_NUMBERS
        return Layout(_mesh_of(device), _ROWS) if many else None
    if not isinstance(sharding, NamedSharding):
        return None
    spec = [*sharding.spec, *[None] * (column.ndim - len(sharding.spec))]
    names = [entry if isinstance(entry, tuple) else (entry,) for entry in spec if entry is not None]
    axes = tuple(name for entry in names for name in entry if sharding.mesh.shape[name] > 1)
    # Of no rows XLA compiles no program that divides them.
    if not axes or not column.shape[0] or not isinstance(sharding.mesh, Mesh):
        return None
    if spec[0] is None or len(names) > 1:
        raise ValueError(
            f"an array of shape {column.shape} is sharded as {sharding.spec}; expected rows, the "
            "first axis, to be divided and nothing else"
        )
    return Layout(sharding.mesh, axes)


@functools.lru_cache(maxsize=16)
def _mesh_of(device: Any) -> Mesh:
    return Mesh(np.asarray([device]), _ROWS)


def shared_layout(columns: dict[str, Any]) -> Layout | None:
    """The layout that all columns on devices share.

    Raises:
        ValueError: columns that lie on the devices in different ways.
    """
    there = {name: column for name, column in columns.items() if isinstance(column, jax.Array)}
    layouts = {name: row_layout(column) for name, column in there.items()}
    shared = next((layout for layout in layouts.values() if layout is not None), None)
    if shared is None:
        return None

    def fits(name: str) -> bool:
        # Few numbers beside many on one device have no layout, and are where they should be.
        few = shared.mesh.size == 1 and layouts[name] is None
        return layouts[name] == shared or (few and there[name].devices() == {*shared.mesh.devices})

    if not all(map(fits, there)):
        apart = {name: column.sharding for name, column in there.items()}
        raise ValueError(
            f"the rows lie on devices in different ways: {apart}; put them there alike with "
            "jax.device_put"
        )
    return shared


def states_of_shards(
    statistics: tuple[Statistic, ...],
    columns: Sequence[Column | None],
    layout: Layout,
    dtype: DType,
) -> tuple[tuple[State, ...], int]:
    """The concrete states of rows on several devices, and the rows of positive weight.

    Args:
        statistics: what to count. The states of those that keep rows stay on the devices.
        columns: y_true, y_pred, weight, segments and groups; those on the host are divided
            likewise.
        layout: how those on devices are divided.
        dtype: the float type of weights that are numbers.
    """

    def run() -> Any:
        placed, filled = placed_together(columns, layout)
        return counting_program(statistics, layout, dtype)(*placed, filled=filled)

    packed, kept = _now(run)
    counted, count = packed.fetched()
    rows = iter(kept)
    states = tuple(
        dataclasses.replace(next(rows), invalid=state) if statistic.keeps_rows else state
        for statistic, state in zip(statistics, counted, strict=True)
    )
    return states, int(count.integers())


def _now(run: Callable[[], Any]) -> Any:
    """What a program gives, and not the tracers of a function that calls it with constants.

    `jax.ensure_compile_time_eval` is not for `shard_map`; in a thread of its own nothing is traced.
    """
    found, wide = run(), jax.config.read("jax_enable_x64")
    if not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(found)):
        return found

    def elsewhere() -> Any:
        with jax.enable_x64(wide):  # which a thread does not inherit
            return run()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(elsewhere).result()


def placed_alike(column: Column, layout: Layout) -> jax.Array:
    """The column, divided over the devices; as it is where it is on them already."""
    if isinstance(column, jax.Array) and (
        layout.mesh.size > 1 or getattr(column.sharding, "mesh", layout.mesh) == layout.mesh
    ):
        return column
    # A view: of an array that the caller divided before, without 64-bit types, JAX would take the
    # narrow buffers again for the wide array that it is here (0.10.2), which ends the process.
    host = column[:] if isinstance(column, np.ndarray) else column
    return jax.device_put(host, NamedSharding(layout.mesh, PartitionSpec(layout.axes)))


def placed_together(
    columns: Sequence[Column | None], layout: Layout
) -> tuple[list[Any], jax.Array | None]:
    """The columns on the devices, and how many of their rows count where zeros follow them."""
    placed: list[Any] = [None if c is None else placed_alike(c, layout) for c in columns]
    if layout.mesh.size > 1:
        return placed, None
    # Numbers of rows are as many as arrays; of a mesh, whose rows divide evenly, there are few.
    rows = placed[0].shape[0]
    return _longer(placed, few_sizes(rows)), _there(rows, layout)


@functools.lru_cache(maxsize=64)
def _there(number: int, layout: Layout) -> jax.Array:
    """An int32 on the devices, where each call would have to put it."""
    with jax.ensure_compile_time_eval():  # what a trace would give is of no use to the next call
        return jax.device_put(np.int32(number), NamedSharding(layout.mesh, PartitionSpec()))


def few_sizes(rows: int) -> int:
    """The least of four sizes an octave that so many rows fit in."""
    step = 1 << max(0, (rows - 1).bit_length() - 1 - _SIZES_AN_OCTAVE.bit_length() + 1)
    return -(-rows // step) * step


@functools.partial(jax.jit, static_argnums=1)
def _longer(columns: list[Any], size: int) -> list[Any]:
    """Columns with zeros after their rows."""

    def padded(column: Any) -> Any:
        return jnp.pad(column, [(0, size - column.shape[0]), *[(0, 0)] * (column.ndim - 1)])

    return jax.tree.map(padded, columns)


@functools.lru_cache(maxsize=256)
def counting_program(statistics: tuple[Statistic, ...], layout: Layout, dtype: DType) -> Any:
    """The program that every device runs on its rows, of which `filled` count: by default all."""

    def count(
        y_true: Any, y_pred: Any, weight: Any, segments: Any, groups: Any, filled: Any
    ) -> Any:
        rows = y_true.shape[:1]
        if filled is not None:
            inside = jnp.arange(rows[0], dtype=jnp.int32) < filled
            weight = inside if weight is None else jnp.where(inside, weight, jnp.zeros_like(weight))
        present = jnp.ones_like(y_true, bool, rows) if weight is None else weight != 0
        if weight is not None and weight.dtype != bool:
            weight = weight.astype(dtype)
        checked = check_rows(y_true, y_pred, weight, shared_axes(statistics), groups=groups)
        states = block_all(statistics, checked._replace(segments=segments))
        merged, kept = [], []
        for statistic, state in zip(statistics, states, strict=True):
            if statistic.keeps_rows:
                merged.append(state.invalid.psum(layout.axes))
                kept.append(dataclasses.replace(state, invalid=ExactCount.zeros((0,))))
            else:
                merged.append(statistic.collect(state, layout.axes))
        number = ExactCount.of(jnp.sum(present, dtype=jnp.int32))
        return Packed.of((tuple(merged), number.psum(layout.axes))), tuple(kept)

    divided, same = PartitionSpec(layout.axes), PartitionSpec()
    mapped = jax.shard_map(
        count,
        mesh=layout.mesh,
        in_specs=(*[divided] * 5, same),
        out_specs=(same, divided),
    )

    def program(
        y_true: Any, y_pred: Any, weight: Any, segments: Any, groups: Any = None, filled: Any = None
    ) -> Any:
        return mapped(y_true, y_pred, weight, segments, groups, filled)

    return jax.jit(program)


def only_rows(
    weight: Column | None, start: int, stop: int, count: int, layout: Layout
) -> jax.Array:
    """The weight, or a mask, of which all but the rows from `start` to `stop` are 0."""

    def run() -> Any:
        placed = None if weight is None else placed_alike(weight, layout)
        return _window_program(layout, count)(placed, np.asarray([start, stop], np.int64))

    with jax.enable_x64(True):
        return _now(run)


def rows_of_id(ids: Column, number: int, weight: Column | None, layout: Layout) -> jax.Array:
    """The weight, or a mask, of which all but the rows of one id are 0."""
    with jax.enable_x64(True):
        own = placed_alike(ids, layout) == number
        return own if weight is None else jnp.where(own, placed_alike(weight, layout), 0)


def rows_by_id(ids: Column, weight: Column | None, size: int, layout: Layout) -> np.ndarray:
    """How many rows of positive weight each id from 0 to size - 1 has, int64."""
    with jax.enable_x64(True):
        placed = None if weight is None else placed_alike(weight, layout)
        found = _tally_program(layout, size)(placed_alike(ids, layout), placed)
    return jax.device_get(found).integers()


@functools.lru_cache(maxsize=64)
def _tally_program(layout: Layout, size: int) -> Any:
    def tally(ids: Any, weight: Any) -> Any:
        present = jnp.ones_like(ids, bool) if weight is None else weight != 0
        table = jnp.zeros_like(ids, jnp.int32, (size,)).at[ids].add(present.astype(jnp.int32))
        return ExactCount.of(table).psum(layout.axes)

    divided = PartitionSpec(layout.axes)
    return jax.jit(
        jax.shard_map(tally, mesh=layout.mesh, in_specs=divided, out_specs=PartitionSpec())
    )


@functools.lru_cache(maxsize=16)
def _window_program(layout: Layout, count: int) -> Any:
    devices = math.prod(layout.mesh.shape[name] for name in layout.axes)

    def mask(weight: Any, window: Any) -> Any:
        own = count // devices
        places = lax.axis_index(layout.axes).astype(window.dtype) * own
        places = places + jnp.arange(own, dtype=window.dtype)
        inside = (window[0] <= places) & (places < window[1])
        return inside if weight is None else jnp.where(inside, weight, jnp.zeros_like(weight))

    divided = PartitionSpec(layout.axes)
    return jax.jit(
        jax.shard_map(
            mask, mesh=layout.mesh, in_specs=(divided, PartitionSpec()), out_specs=divided
        )
    )


def layout_of_states(states: Any) -> Layout | None:
    """How the rows that states keep are divided over devices; None where there are none."""
    found = (row_layout(leaf) for leaf in jax.tree.leaves(states) if isinstance(leaf, jax.Array))
    return next((layout for layout in found if layout is not None), None)


def of_all_rows(function: Any, states: Sequence[State], layout: Layout) -> Any:
    """What a function makes of states that keep the rows of all devices, in NumPy.

    Every device gets the rows of all and makes the same of them, in float64: only what the
    function returns leaves the devices. A function whose `orders` is True gets them as they are.

    Args:
        function: from an array namespace and states to arrays.
        states: one for each statistic, rows or not.
        layout: how their rows are divided.
    """
    with jax.enable_x64(True):
        divided = tuple(row_layout(leaf) is not None for leaf in jax.tree.leaves(states))
        program = gathering_program(function, divided, layout)
        return jax.device_get(_now(lambda: program(*states)))


@functools.lru_cache(maxsize=256)
def gathering_program(function: Any, divided: tuple[bool, ...], layout: Layout) -> Any:
    """The program of `of_all_rows`; of its leaves some are divided over the devices."""

    def make(*states: Any) -> Any:
        leaves, tree = jax.tree.flatten(states)
        return function(
            jnp, *jax.tree.unflatten(tree, whole_rows(leaves, divided, layout, function))
        )

    def program(*states: Any) -> Any:
        leaves, tree = jax.tree.flatten(states)
        specs = [PartitionSpec(layout.axes) if rows else PartitionSpec() for rows in divided]
        # That all devices make the same of the same rows is true, and nothing JAX could see.
        mapped = jax.shard_map(
            lambda *leaves: make(*jax.tree.unflatten(tree, leaves)),
            mesh=layout.mesh,
            in_specs=tuple(specs),
            out_specs=PartitionSpec(),
            check_vma=False,
        )
        return mapped(*leaves)

    return jax.jit(program)


def whole_rows(
    leaves: Sequence[Any], divided: tuple[bool, ...], layout: Layout, function: Any
) -> list[Any]:
    """Of leaves of states, some of them divided over the devices, the rows of all, inside a map."""
    # What only orders rows sorts them as narrow as they are: wider ones take longer.
    widens = not getattr(function, "orders", False)

    def whole(leaf: Any, of_rows: bool) -> Any:
        every = lax.all_gather(leaf, layout.axes, tiled=True) if of_rows else leaf
        wide = widens and jnp.issubdtype(every.dtype, jnp.floating)
        return every.astype(jnp.float64) if wide else every

    return list(map(whole, leaves, divided))


def joined_rows(columns: Sequence[Any]) -> Any | None:
    """Columns as one, each device joining its own; None where not all are divided alike."""
    layouts = {row_layout(column) for column in columns}
    if None in layouts or len(layouts) > 1:
        return None
    (layout,) = layouts
    assert layout is not None
    with jax.enable_x64(True):
        return _joining_program(layout)(*columns)


@functools.lru_cache(maxsize=16)
def _joining_program(layout: Layout) -> Any:
    divided = PartitionSpec(layout.axes)

    def join(*columns: Any) -> Any:
        return jnp.concatenate(columns)

    return jax.jit(jax.shard_map(join, mesh=layout.mesh, in_specs=divided, out_specs=divided))
