"""Slices of rows that come in batches: which there are, and how many rows each has."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from ._growing import GrowingClasses
from ._slicing import Asked, Slicing


class RunningSlices:
    """The slices seen so far, numbered in the order in which they were first seen.

    Args:
        slicings: those of a batch.
    """

    def __init__(self, slicings: Sequence[Slicing] = ()) -> None:
        self._all = [_RunningSlicing(slicing) for slicing in slicings]
        self._ids: list[list[np.ndarray]] = [[slicing.ids] for slicing in slicings]

    @property
    def columns(self) -> list[tuple[str, ...]]:
        """What each slicing is by."""
        return [one.columns for one in self._all]

    @property
    def given(self) -> bool:
        """Whether rows are divided by some column."""
        return bool(self._all)

    def of_no_rows(self) -> "RunningSlices":
        """Slicings by the same columns."""
        none, nothing = np.zeros(0, np.int32), np.zeros(0, np.int64)
        return RunningSlices([Slicing(names, none, (), nothing) for names in self.columns])

    def check(self, other: "RunningSlices") -> None:
        """Refuse slices by other columns (ValueError) or of other kinds (TypeError)."""
        if self.columns != other.columns:
            before, given = (
                ", ".join(" x ".join(names) for names in one.columns) or "no column"
                for one in (self, other)
            )
            raise ValueError(f"these rows have slices by {given}; the rows before by {before}")
        for mine, new in zip(self._all, other._all, strict=True):
            mine.check(new)

    def merge(self, other: "RunningSlices", *, keep: bool) -> list[np.ndarray]:
        """Add the slices of more rows; `keep` the slice of each row as well.

        Returns:
            For each slicing the number here of each of the other's slices.
        """
        numbers = [mine.merge(new) for mine, new in zip(self._all, other._all, strict=True)]
        for mine, theirs, number in zip(self._ids, other._ids, numbers, strict=True):
            mine += [number[ids] for ids in theirs] if keep else []
        return numbers

    def slicings(self) -> tuple[list[Slicing], list[np.ndarray]]:
        """The slicings with their slices in order, and for each the numbers in that order.

        `ids` are of the rows that were kept.
        """
        found, orders = [], []
        for one, ids in zip(self._all, self._ids, strict=True):
            keys, order = one.in_order()
            place = np.empty(len(order), np.int32)
            place[order] = np.arange(len(order), dtype=np.int32)
            rows = place[np.concatenate(ids)]
            found.append(Slicing(one.columns, rows, keys, one.rows[order]))
            orders.append(order)
        return found, orders

    def saved(self) -> tuple[list[Any], dict[str, np.ndarray]]:
        """As JSON and named arrays; TypeError for labels that JSON does not have."""
        facts, arrays = [], {}
        for place, (one, ids) in enumerate(zip(self._all, self._ids, strict=True)):
            facts.append({"columns": one.columns, "keys": one.keys_to_json()})
            arrays |= {f"{place}/rows": one.rows, f"{place}/ids": np.concatenate(ids)}
        return facts, arrays

    @classmethod
    def restored(cls, facts: Any, arrays: Mapping[str, np.ndarray]) -> "RunningSlices":
        """What `saved` gave."""
        slicings = []
        for place, one in enumerate(facts):
            ids, rows = (arrays[f"{place}/{name}"] for name in ("ids", "rows"))
            columns, keys = tuple(one["columns"]), tuple(map(tuple, one["keys"]))
            slicings.append(Slicing(columns, ids, keys, rows))
        return cls(slicings)


def asked_again(slices: "RunningSlices | None", columns: Mapping[str, Any] | None) -> Asked:
    """What `read_slices` takes to make these slicings of kept columns again."""
    found: dict[str | tuple[str, ...], Any] = {}
    for names in slices.columns if slices else ():
        assert columns is not None
        one = ", ".join(names)
        found |= {names: None} if len(names) > 1 else {one: columns[one]}
    return found


class _RunningSlicing:
    def __init__(self, slicing: Slicing) -> None:
        self.columns = slicing.columns
        self.rows = slicing.rows
        self._numbers = {key: number for number, key in enumerate(slicing.keys)}
        self._classes = [
            GrowingClasses(dict.fromkeys(key[place] for key in slicing.keys))
            for place in range(len(slicing.columns))
        ]

    def check(self, other: "_RunningSlicing") -> None:
        for mine, new in zip(self._classes, other._classes, strict=True):
            mine.check(tuple(new))

    def merge(self, other: "_RunningSlicing") -> np.ndarray:
        for mine, new in zip(self._classes, other._classes, strict=True):
            mine.add(tuple(new))
        for key in other._numbers:
            self._numbers.setdefault(key, len(self._numbers))
        numbers = np.array([self._numbers[key] for key in other._numbers], np.int64)
        rows = np.zeros(len(self._numbers), np.int64)
        rows[: len(self.rows)] = self.rows
        rows[numbers] += other.rows
        self.rows = rows
        return numbers

    def keys_to_json(self) -> list[tuple[Hashable, ...]]:
        """The keys in the order of their numbers."""
        for classes in self._classes:
            classes.to_json()  # refuses labels that JSON does not have
        return list(self._numbers)

    def in_order(self) -> tuple[tuple[tuple[Hashable, ...], ...], np.ndarray]:
        """The slices in the order of their labels, and the number of each."""
        sides = [classes.sorted()[0] for classes in self._classes]
        places = [{label: place for place, label in enumerate(labels)} for labels in sides]
        keys = [
            tuple(place[label] for place, label in zip(places, key, strict=True))
            for key in self._numbers
        ]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        named = tuple(
            tuple(labels[at] for labels, at in zip(sides, keys[number], strict=True))
            for number in order
        )
        return named, np.array(order, np.int64)
