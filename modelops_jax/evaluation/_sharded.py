"""Arguments whose rows lie on devices, several or an accelerator, and stay there."""

from collections.abc import Mapping, Sequence
from functools import lru_cache, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

import modelops_jax.metrics as numeric
from modelops_jax._distinct_shards import group_codes_of_shards

# The widest range of labels, or the most of them, that is counted on the devices: cells are the
# square.
WIDEST = 4096


def on_devices(*columns: Any) -> bool:
    """Whether all are JAX arrays whose rows lie on devices, or are many on one."""
    return all(numeric.row_layout(column) is not None for column in columns)


def gathered(column: Any) -> Any:
    """The column, or every column of a dict, on the host if it lies on devices, else as it is."""
    if isinstance(column, Mapping):
        return {name: gathered(part) for name, part in column.items()}
    return np.asarray(column) if on_devices(column) else column


def span_of(*sides: jax.Array) -> tuple[int, int] | None:
    """The least label, and a power of two above the differences from it.

    None for labels that are no integers or too far apart for a table.
    """
    wide = (jnp.uint32, jnp.uint64)
    if any(side.dtype in wide or side.dtype.kind not in "biu" for side in sides):
        return None
    with jax.enable_x64(True):  # else 2**32 + 1 would be 1
        low = min(int(jnp.min(side)) for side in sides)
        width = max(int(jnp.max(side)) for side in sides) - low + 1
    return None if width > WIDEST else (low, max(2, 1 << (width - 1).bit_length()))


def codes_from(low: int, *sides: jax.Array) -> list[jax.Array]:
    """How much more than the least label each label is, int32."""
    wide = jnp.int64 if any(side.dtype.itemsize == 8 for side in sides) else jnp.int32
    with jax.enable_x64(True):
        return [(side.astype(wide) - low).astype(jnp.int32) for side in sides]


def placed_among(codes: jax.Array, present: np.ndarray) -> jax.Array:
    """The position of each code among those that occur."""
    place = np.zeros(int(present.max(initial=0)) + 1, np.int32)
    place[present] = np.arange(len(present))
    return entries_at(place, codes)


def entries_at(table: np.ndarray, places: jax.Array) -> jax.Array:
    """The entry of a table at the place of each row, where the rows lie."""
    layout = numeric.row_layout(places)
    assert layout is not None
    return _placing_program(layout)(table, places)


@lru_cache(maxsize=16)
def _placing_program(layout: Any) -> Any:
    # Outside shard_map a mesh of explicit axes would want to be told where the entries lie.
    divided = PartitionSpec(layout.axes)
    return jax.jit(
        jax.shard_map(
            lambda table, places: table[places],
            mesh=layout.mesh,
            in_specs=(PartitionSpec(), divided),
            out_specs=divided,
        )
    )


def table_of(first: jax.Array, second: jax.Array, size: int) -> np.ndarray:
    """How many rows each pair of codes has, shape (size, size)."""
    metrics = {"table": numeric.metric("confusion_matrix", num_classes=size)}
    return np.asarray(numeric.compute(metrics, first, second).values["table"])


def classes_of(present: np.ndarray, low: int, *sides: jax.Array) -> tuple[bool | int, ...]:
    kind = bool if all(side.dtype == bool for side in sides) else int
    return tuple(kind(low + code) for code in present.tolist())


def put_as(column: np.ndarray, layout: Any) -> jax.Array:
    """A column of the host, divided over devices as others are."""
    with jax.enable_x64(True):
        return jax.device_put(column, NamedSharding(layout.mesh, PartitionSpec(layout.axes)))


def side_by_side(columns: Sequence[jax.Array]) -> jax.Array:
    """Columns of floats, divided alike, as a matrix where they lie: float32, or float64."""
    layout = numeric.row_layout(columns[0])
    assert layout is not None
    with jax.enable_x64(True):
        return _stacking_program(layout)(tuple(columns))


@lru_cache(maxsize=16)
def _stacking_program(layout: Any) -> Any:
    def stack(columns: Any) -> Any:
        wide = reduce(jnp.promote_types, [c.dtype for c in columns], jnp.float32)
        return jnp.stack([column.astype(wide) for column in columns], axis=1)

    divided = PartitionSpec(layout.axes)
    return jax.jit(jax.shard_map(stack, mesh=layout.mesh, in_specs=divided, out_specs=divided))


def ids_in_order(ids: jax.Array) -> tuple[jax.Array, int]:
    """Of rows that lie on devices the place of each id among all in order, and how many there are.

    The devices exchange the ids.
    """
    layout = numeric.row_layout(ids)
    assert layout is not None
    return group_codes_of_shards(ids, *layout)


def sets_there(y_true: Any, y_other: Any, *, scored: bool) -> bool:
    """Whether label sets and others of one shape, or their scores, lie on several devices."""
    if not on_devices(y_true, y_other) or y_true.ndim != 2 or y_true.shape != y_other.shape:
        return False
    return not scored or jnp.issubdtype(y_other.dtype, jnp.floating)


def as_indicators_there(
    matrix: jax.Array,
    name: str,
    ignore_index: int | None = None,
    seen: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array | None]:
    """As `as_indicators`, where the rows lie."""
    if matrix.dtype == bool and ignore_index is None:
        return matrix, None
    if matrix.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {matrix.dtype}; expected 0 and 1, or bools")
    layout = numeric.row_layout(matrix)
    assert layout is not None
    kind = np.dtype(np.int8) if matrix.dtype == bool else matrix.dtype
    mark = None
    if ignore_index is not None and _holds(kind, ignore_index):
        mark = np.asarray(ignore_index, kind)
    with jax.enable_x64(True):
        ones, ignored, first, found = _indicator_program(layout)(matrix, mark, seen)
        if int(first) < matrix.size:
            row, label = divmod(int(first), matrix.shape[1])
            raise ValueError(f"{name} has {found} in row {row}, label {label}; expected 0 or 1")
    return ones, None if ignore_index is None else ignored


def _holds(kind: np.dtype, number: int) -> bool:
    """Whether a number can be an entry of an array: none that would wrap around."""
    if kind.kind not in "iu":
        return True
    return np.iinfo(kind).min <= number <= np.iinfo(kind).max


def first_of(rows: Any, values: Any, axes: Any) -> tuple[Any, Any]:
    """In `shard_map`: the place among all rows of the first that is marked, and what it holds.

    The number of all rows, and zeros, where none is.
    """
    place, own = jnp.argmax(rows), rows.shape[0]
    begin, every = lax.axis_index(axes).astype(jnp.int64) * own, lax.psum(own, axes)
    places = lax.pmin(jnp.where(rows[place], begin + place, every), axes)
    value = values[place]
    summed = value.astype(jnp.int32) if value.dtype == bool else value
    held = lax.psum(jnp.where(begin + place == places, summed, jnp.zeros_like(summed)), axes)
    return places, held.astype(value.dtype)


@lru_cache(maxsize=16)
def _indicator_program(layout: Any) -> Any:
    """Entries as booleans, those to ignore, and the place and value of the first that is wrong."""

    def indicate(own: Any, mark: Any, seen: Any) -> Any:
        own = own.astype(jnp.int8) if own.dtype == bool else own
        ignored = jnp.zeros_like(own, bool) if mark is None else own == mark
        asked = ~ignored if seen is None else seen & ~ignored
        wrong = (own != 0) & (own != 1) & asked
        return (
            (own == 1) & asked,
            ignored,
            *first_of(wrong.reshape(-1), own.reshape(-1), layout.axes),
        )

    divided, same = PartitionSpec(layout.axes), PartitionSpec()
    return jax.jit(
        jax.shard_map(
            indicate,
            mesh=layout.mesh,
            in_specs=(divided, same, divided),
            out_specs=(divided, divided, same, same),
        )
    )
