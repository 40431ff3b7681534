"""Groups of rows that come in batches: which there are."""

from typing import Any

import numpy as np

from modelops_jax._row_groups import GrowingGroups

from ._slicing import Slicing


class RunningGroups:
    """The groups seen so far, numbered in the order in which they were first seen.

    It stands in the place of `RunningSlices` for rows that have groups and no slices.
    """

    def __init__(self) -> None:
        self._groups = GrowingGroups()

    @classmethod
    def of_batch(cls, groups: Any, rows: int) -> tuple["RunningGroups", list[Slicing]]:
        """The groups of a batch, and the slicing by which states read them.

        Raises:
            ValueError: not one id for each row, or nan.
            TypeError: ids that have no order, or of two kinds.
        """
        found = cls()
        ids, codes = found._groups.read(groups, rows)
        found._groups.add(ids)
        keys = tuple((one,) for one in ids)
        counts = np.bincount(codes, minlength=len(ids))
        return found, [Slicing(("groups",), codes.astype(np.int32), keys, counts)]

    @property
    def given(self) -> bool:
        """Whether rows are divided: they are."""
        return True

    @property
    def ids(self) -> np.ndarray:
        """As many ids as there are groups."""
        return np.arange(len(self._groups))

    def of_no_rows(self) -> "RunningGroups":
        """Of none yet."""
        return RunningGroups()

    def check(self, other: "RunningGroups") -> None:
        """Refuse ids of another kind (TypeError)."""
        self._groups.check(other._groups)

    def merge(self, other: "RunningGroups", *, keep: bool) -> list[np.ndarray]:
        """Add the groups of more rows.

        Returns:
            One entry, the number here of each of the other's groups.
        """
        return [self._groups.add(other._groups)]

    def slicings(self) -> tuple[list[Slicing], list[np.ndarray]]:
        """No slicings of a result, and one entry, the numbers of the groups in their order."""
        return [], [self._groups.in_order()]

    def saved(self) -> tuple[list[Any], dict[str, np.ndarray]]:
        """As JSON and named arrays; TypeError for ids that JSON does not have."""
        return self._groups.to_json(), {}

    @classmethod
    def restored(cls, facts: Any) -> "RunningGroups":
        """What `saved` gave."""
        found = cls()
        found._groups.add(facts)
        return found
