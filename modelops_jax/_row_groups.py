"""Ids of the groups that rows are in."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ._is_nan import is_nan


def group_codes(groups: Any, rows: int) -> np.ndarray:
    """For every row the place of its group among all groups in order.

    Raises:
        ValueError: groups that are no vector of as many entries as there are rows, or nan (NaT).
        TypeError: ids that have no order, or that are not all texts where some are.
    """
    try:
        array = np.asarray(groups)
    except ValueError as error:  # ids that are rows of several lengths
        raise ValueError(f"groups must have shape ({rows},), one entry a row: {error}") from error
    if array.shape != (rows,):
        raise ValueError(f"groups must have shape ({rows},), one entry a row; found {array.shape}")
    missing = _missing(array)
    if missing.any():
        raise ValueError(f"groups holds {int(missing.sum()):,} nan; expected an id a row")
    if array.dtype.kind == "U" and not (
        hasattr(groups, "dtype") or all(isinstance(one, str) for one in groups)
    ):
        # In an array of texts the number 1 and the text "1" are one.
        raise TypeError("groups mixes texts and other ids; expected ids of one kind")
    try:
        return np.unique(array, return_inverse=True)[1].reshape(rows)
    except TypeError as error:
        raise TypeError(f"groups holds ids that have no order: {error}") from error


class GrowingGroups:
    """The ids seen so far, numbered in the order in which they were first seen."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._numbers)

    def read(self, groups: Any, rows: int) -> tuple[list[Any], np.ndarray]:
        """The distinct ids of a batch, and for every row which of them it has, int64.

        Raises:
            ValueError: groups that are no vector of as many entries as there are rows, or nan.
            TypeError: ids that have no order, or that are not all texts where some are.
        """
        codes = group_codes(groups, rows)
        ids = np.unique(np.asarray(groups)).tolist()
        self.check(ids)
        return ids, codes

    def check(self, ids: Iterable[Any]) -> None:
        """Refuse ids of another kind than those seen so far (TypeError)."""
        for before, new in zip(self._numbers, ids, strict=False):
            if isinstance(before, str) is not isinstance(new, str) or not _have_order(before, new):
                kinds = (type(one).__name__ for one in (before, new))
                raise TypeError(
                    "groups are of two kinds: the rows before have {}, this batch has "
                    "{}; expected ids of one kind".format(*kinds)
                )
            break

    def add(self, ids: Iterable[Any]) -> np.ndarray:
        """Number the ids that are new; give the numbers of all of these, int64."""
        found = [self._numbers.setdefault(one, len(self._numbers)) for one in ids]
        return np.array(found, np.int64)

    def to_json(self) -> list[Any]:
        """The ids in the order of their numbers.

        Raises:
            TypeError: ids that JSON does not have.
        """
        ids = [one.item() if isinstance(one, np.generic) else one for one in self._numbers]
        for one in ids:
            if type(one) not in (int, float, bool, str):
                raise TypeError(
                    f"the id {one!r} ({type(one).__name__}) of a group cannot be saved; expected "
                    "numbers, bools or strings"
                )
        return ids

    def in_order(self) -> np.ndarray:
        """The numbers of the groups in the order of their ids, int64."""
        ids = list(self._numbers)
        return np.array(sorted(range(len(ids)), key=ids.__getitem__), np.int64)

    def places(self) -> np.ndarray:
        """The place of each number in the order of the ids, int64."""
        order = self.in_order()
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        return places


def _missing(ids: np.ndarray) -> np.ndarray:
    """Where there is no id, boolean."""
    if ids.dtype.kind == "O":
        return np.fromiter(map(is_nan, ids.tolist()), bool, len(ids))
    if ids.dtype.kind in "fc":
        return np.isnan(ids)
    return np.isnat(ids) if ids.dtype.kind in "mM" else np.zeros(0, bool)


def _have_order(one: Any, other: Any) -> bool:
    try:
        sorted((one, other))
    except TypeError:
        return False
    return True
