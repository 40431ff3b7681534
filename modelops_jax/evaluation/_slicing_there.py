"""Slices of rows that lie on devices."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

import modelops_jax.metrics as numeric
from modelops_jax._distinct_shards import distinct_rows_of_shards

from ._labels import CodedLabels
from ._sharded import classes_of, codes_from, ids_in_order, on_devices, put_as, span_of
from ._slice_units import SliceUnits, UnitsThere
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


def in_units(
    slicings: Sequence[Slicing], groups: jax.Array, weight: jax.Array | None
) -> list[Slicing]:
    """The slicings with the units of rows that are in groups.

    Args:
        slicings: of rows that lie on devices.
        groups: the id of each row, there.
        weight: of each row; None: each counts once.
    """
    codes, several = ids_in_order(groups)
    found = []
    for slicing in slicings:
        ids, pairs, _ = _pairs_of(slicing.ids, codes, (len(slicing.keys), several), weight)
        ends = np.searchsorted(pairs[:, 0], np.arange(1, len(slicing.keys)))
        numbers, of_groups = (np.split(c, ends) for c in (np.arange(len(pairs)), pairs[:, 1]))
        units = [SliceUnits(*own) for own in zip(numbers, of_groups, strict=True)]
        found.append(replace(slicing, units=UnitsThere(ids, units)))
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
    placed, both, counts = _pairs_of(ids, codes, (len(keys), len(labels.classes)), weight)
    named = [(*keys[first], labels.classes[second]) for first, second in both.tolist()]
    return placed, named, counts


def _pairs_of(
    ids: jax.Array | None, codes: jax.Array, several: tuple[int, int], weight: jax.Array | None
) -> tuple[jax.Array, np.ndarray, np.ndarray]:
    """The place of each row's pair among those that occur, these in order, and their rows.

    Args:
        ids: the first number of each row, less than the first of several; None: it is 0.
        codes: the second one.
        several: how many of each there are.
        weight: of each row; None: each counts once.
    """
    layout: Any = numeric.row_layout(codes)
    columns, widths = [codes] if ids is None else [ids, codes], list(map(_rounded, several))
    found = distinct_rows_of_shards(columns, widths[-len(columns) :], weight, *layout)
    both = found.rows if ids is not None else np.insert(found.rows, 0, 0, axis=1)
    size, last = several[1], len(both) - 1
    occurring = np.full(_rounded(len(both)), np.iinfo(np.int64).max)
    occurring[: len(both)] = both[:, 0] * size + both[:, 1]
    with jax.enable_x64(True):
        facts = np.array([size, last], np.int64)
        return _finding_program(layout)(ids, codes, occurring, facts), both, found.counts


def _rounded(size: int) -> int:
    """Up to a power of two: a size compiles."""
    return 1 << max(1, (size - 1).bit_length())


@lru_cache(maxsize=16)
def _finding_program(layout: Any) -> Any:
    """The place of each row's pair among those that occur; of other rows that of some."""

    def find(ids: Any, codes: Any, occurring: Any, facts: Any) -> Any:
        size, last = facts
        before = jnp.zeros_like(codes) if ids is None else ids
        pairs = before.astype(jnp.int64) * size + codes.astype(jnp.int64)
        places = jnp.searchsorted(occurring, pairs)
        return jnp.minimum(places, last).astype(jnp.int32)

    divided, same = PartitionSpec(layout.axes), PartitionSpec()
    return jax.jit(
        jax.shard_map(
            find, mesh=layout.mesh, in_specs=(divided, divided, same, same), out_specs=divided
        )
    )
