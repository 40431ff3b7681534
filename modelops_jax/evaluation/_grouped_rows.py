"""Rows that come in batches with their groups."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ._batch import Batch
from ._finish import Group, read_together
from ._running import joined, json_rows, own_copy
from ._running_slices import RunningSlices, asked_again
from ._slicing import Slicing, read_slices
from ._weights import unless_alike

_COLUMNS = ("y_true", "y_pred", "y_score", "groups", "weight", "slices")


class GroupedRows:
    """Every row as it came: what is resampled, or ranked, is a group, and its rows are anywhere.

    Args:
        batches: the columns of each batch by name, of those that are given.
    """

    def __init__(self, *batches: Mapping[str, Any]) -> None:
        self._batches = list(batches)

    @classmethod
    def of_batch(cls, **columns: Any) -> "GroupedRows":
        """The rows of one batch, copied; a column may be None, or a dict of columns."""
        given = {name: column for name, column in columns.items() if column is not None}
        return cls(
            {
                name: {key: own_copy(part) for key, part in column.items()}
                if isinstance(column, Mapping)
                else own_copy(column)
                for name, column in given.items()
            }
        )

    def __add__(self, other: "GroupedRows") -> "GroupedRows":
        """These rows, then the other ones.

        Raises:
            ValueError: only one of the two has a column.
        """
        both = [*self._batches, *other._batches]
        shapes = {tuple(sorted(_flat(batch))): None for batch in both}
        if len(shapes) > 1:
            one, another, *_ = (", ".join(map(str, names)) for names in shapes)
            raise ValueError(f"these rows have {another}; the rows before have {one}")
        return GroupedRows(*both)

    @property
    def in_groups(self) -> bool:
        """Whether there is the group of each row."""
        return any("groups" in batch for batch in self._batches)

    def columns(self) -> dict[str, Any]:
        """All rows: each of the columns, None where there is none."""
        if len(self._batches) > 1:
            self._batches = [_joined(self._batches)]
        return dict.fromkeys(_COLUMNS) | dict(self._batches[0] if self._batches else {})

    def saved(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The rows as JSON and arrays.

        Raises:
            TypeError: entries other than numbers, bools and strings, or scores by class.
        """
        facts: dict[str, Any] = {}
        arrays: dict[str, np.ndarray] = {}
        columns = self.columns()
        slices = columns.pop("slices") or {}
        columns |= {f"slices/{name}": column for name, column in slices.items()}
        for name, column in columns.items():
            if isinstance(column, Mapping):
                raise TypeError(f"{name} is a dict, which cannot be saved with groups or slices")
            if isinstance(column, np.ndarray) and column.dtype.kind in "biuf":
                arrays[name] = column
            elif column is not None:
                facts[name] = json_rows(list(column), name)
        return facts, arrays

    @classmethod
    def restored(cls, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> "GroupedRows":
        """What `saved` gave."""
        columns = {**facts, **arrays}
        named = [name for name in columns if name.startswith("slices/")]
        slices = {name.removeprefix("slices/"): columns.pop(name) for name in named}
        return cls(columns | ({"slices": slices} if slices else {}))


def read_grouped(metrics: Mapping[str, Any], batch: Batch) -> GroupedRows:
    """The rows of a batch, if these metrics can read them.

    Raises:
        TypeError: entries of the wrong kind.
        ValueError: two lengths, or entries that no definition covers.
    """
    columns = batch.columns
    if batch.groups is not None and not hasattr(batch.groups, "__array__"):
        columns["groups"] = list(batch.groups)
    if batch.groups is not None and len(columns["groups"]) != batch.rows:
        raise ValueError(f"groups has {len(columns['groups'])} entries and y_true has {batch.rows}")
    for group in read_together(metrics, **columns | {"weight": unless_alike(batch.weight)}):
        group.evidence()
    given = batch.slices or {}
    slices = {name: column for name, column in given.items() if isinstance(name, str)}
    return GroupedRows.of_batch(**columns, slices=slices or None)


def read_again(
    metrics: Mapping[str, Any], kept: GroupedRows, slices: RunningSlices | None, count: int
) -> tuple[list[Group], Any, list[Slicing], Any]:
    """What a result of these metrics is made of: groups, columns, slicings, and ids of rows."""
    rows = kept.columns()
    rows["weight"] = unless_alike(rows["weight"])
    slicings = read_slices(asked_again(slices, rows.pop("slices")), count)
    return (
        read_together(metrics, **rows),
        (rows["y_true"], rows["y_pred"]),
        slicings,
        rows["groups"],
    )


def _flat(batch: Mapping[str, Any]) -> list[str]:
    """The names of the columns, and those of a dict of them."""
    return [
        inner
        for name, column in batch.items()
        for inner in (
            [f"{name}[{key!r}]" for key in column] if isinstance(column, Mapping) else [name]
        )
    ]


def _joined(batches: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, column in batches[0].items():
        parts = [batch[name] for batch in batches]
        if isinstance(column, Mapping):
            found[name] = {key: joined(tuple(part[key] for part in parts)) for key in column}
        else:
            found[name] = joined(tuple(parts))
    return found
