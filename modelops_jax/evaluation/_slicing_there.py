"""Slices of rows that lie on devices."""

from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

import modelops_jax.metrics as numeric
from modelops_jax._distinct_shards import distinct_rows_of_shards

from ._labels import CodedLabels
from ._sharded import classes_of, codes_from, on_devices, put_as, span_of
from ._slicing import Asked, Slicing, check_keys, read_columns


def columns_there(slices: Asked, beside: jax.Array) -> dict[str, CodedLabels]:
    """By name the labels of each column, coded where the rows lie; integers are not fetched.

    Args:
        slices: what a caller asks for.
        beside: a column of the rows.

    Raises:
        TypeError: what `read_slices` refuses of columns.
        ValueError: what `read_slices` refuses of columns.
    """
    check_keys(slices)
    there: dict[Any, CodedLabels | None] = {
        name: _codes_of(column)
        for name, column in slices.items()
        if isinstance(name, str) and _lies_there(column)
    }
    others = {name: column for name, column in slices.items() if there.get(name) is None}
    rows = beside.shape[0]
    coded: dict[str, Any] = dict(read_columns(others, rows))
    for name, labels in coded.items():
        ids: Any = put_as(labels.codes["ids"], numeric.row_layout(beside))
        coded[name] = CodedLabels(labels.classes, {"ids": ids})
    return coded | {name: labels for name, labels in there.items() if labels is not None}


def slicings_there(
    names: list[tuple[str, ...]], coded: Mapping[str, CodedLabels], weight: jax.Array | None
) -> list[Slicing]:
    """The slices of rows of positive weight that occur.

    Args:
        names: of each slicing the columns.
        coded: by column its labels.
        weight: of each row; None: each counts once.
    """
    found = []
    for columns in names:
        ids, keys, rows = None, [()], np.zeros(0, np.int64)
        for name in columns:
            labels = coded[name]
            ids, keys, rows = _divided(ids, keys, labels, weight)
        found.append(Slicing(columns, ids, tuple(keys), rows))
    return found


def _lies_there(column: Any) -> bool:
    return on_devices(column) and column.ndim == 1


def _codes_of(column: jax.Array) -> CodedLabels | None:
    span = span_of(column)
    if span is None:
        return None
    low, width = span
    (ids,) = codes_from(low, column)
    return CodedLabels(classes_of(np.arange(width), low, column), {"ids": ids})


def _divided(
    ids: jax.Array | None,
    keys: list[tuple[Hashable, ...]],
    labels: CodedLabels,
    weight: jax.Array | None,
) -> tuple[jax.Array, list[tuple[Hashable, ...]], np.ndarray]:
    """Of slices those by one column more: the slice of each row, by slice its key, and its rows."""
    codes: Any = labels.codes["ids"]
    layout: Any = numeric.row_layout(codes)
    columns = [codes] if ids is None else [ids, codes]
    width = max(2, len(keys), len(labels.classes))
    found = distinct_rows_of_shards(columns, width, weight, *layout)
    both = found.rows if ids is not None else np.insert(found.rows, 0, 0, axis=1)
    size = len(labels.classes)
    with jax.enable_x64(True):
        placed = _finding_program(layout)(
            ids, codes, both[:, 0] * size + both[:, 1], np.asarray(size, np.int64)
        )
    named = [(*keys[first], labels.classes[second]) for first, second in both.tolist()]
    return placed, named, found.counts


@lru_cache(maxsize=16)
def _finding_program(layout: Any) -> Any:
    """The place of each row's pair among those that occur; of other rows that of some."""

    def find(ids: Any, codes: Any, occurring: Any, size: Any) -> Any:
        before = jnp.zeros_like(codes) if ids is None else ids
        pairs = before.astype(jnp.int64) * size + codes.astype(jnp.int64)
        places = jnp.searchsorted(occurring, pairs).astype(jnp.int32)
        return jnp.minimum(places, jnp.int32(occurring.shape[0] - 1))

    divided, same = PartitionSpec(layout.axes), PartitionSpec()
    return jax.jit(
        jax.shard_map(
            find, mesh=layout.mesh, in_specs=(divided, divided, same, same), out_specs=divided
        )
    )
