"""Slices of rows in groups that come in batches: which there are, and whose rows each has."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ._running_groups import RunningGroups
from ._running_slices import RunningSlices
from ._slice_units import SliceUnits
from ._slicing import Slicing


class SlicedGroups:
    """The slices and the groups seen so far, and the units that have rows of both.

    It stands in the place of `RunningSlices` for rows that have groups as well. States read such
    rows by their groups, then by each slicing, then by the units of each slicing.
    """

    def __init__(self, slices: RunningSlices) -> None:
        self.slices, self.groups = slices, RunningGroups()
        # For each slicing the number of each (slice, group) that has rows.
        self._units: list[dict[tuple[int, int], int]] = [{} for _ in slices.columns]

    @classmethod
    def of_batch(
        cls, groups: Any, slicings: Sequence[Slicing], rows: int
    ) -> tuple["SlicedGroups", list[Slicing]]:
        """Those of a batch, and the slicings by which states read them.

        Raises:
            ValueError: not one id for each row, or nan.
            TypeError: ids that have no order, or of two kinds.
        """
        found = cls(RunningSlices(slicings))
        found.groups, (grouping,) = RunningGroups.of_batch(groups, rows)
        several, by_unit = max(1, len(grouping.keys)), []
        for place, slicing in enumerate(slicings):
            pairs = slicing.ids.astype(np.int64) * several + grouping.ids
            units, ids = np.unique(pairs, return_inverse=True)
            keys = [divmod(unit, several) for unit in units.tolist()]
            found._units[place] = {key: number for number, key in enumerate(keys)}
            counts = np.bincount(ids, minlength=len(keys))
            by_unit.append(Slicing(slicing.columns, ids.astype(np.int32), tuple(keys), counts))
        return found, [grouping, *slicings, *by_unit]

    @property
    def given(self) -> bool:
        """Whether rows are divided: they are."""
        return True

    @property
    def ids(self) -> np.ndarray:
        """As many ids as there are groups."""
        return self.groups.ids

    def of_no_rows(self) -> "SlicedGroups":
        """Of none yet, by the same columns."""
        return SlicedGroups(self.slices.of_no_rows())

    def merge(self, other: "SlicedGroups", *, keep: bool) -> list[np.ndarray]:
        """Add those of more rows.

        Returns:
            The number here of each of the other's groups, for each slicing of its slices, and for
            each slicing of its units.
        """
        (groups,) = self.groups.merge(other.groups, keep=False)
        slices = self.slices.merge(other.slices, keep=False)
        units = []
        for mine, theirs, own in zip(self._units, other._units, slices, strict=True):
            pairs = np.array(list(theirs), np.int64).reshape(-1, 2)
            keys = zip(own[pairs[:, 0]].tolist(), groups[pairs[:, 1]].tolist(), strict=True)
            units.append(np.array([mine.setdefault(key, len(mine)) for key in keys], np.int64))
        return [groups, *slices, *units]

    def slicings(self) -> tuple[list[Slicing], list[Any]]:
        """The slicings with their slices in order, and what states take as `orders`.

        That is the numbers of the groups in their order, for each slicing those of its slices, and
        for each slicing the `SliceUnits` of each slice.
        """
        found, orders = self.slices.slicings()
        _, (of_groups,) = self.groups.slicings()
        place = np.empty(len(of_groups), np.int64)
        place[of_groups] = np.arange(len(of_groups))
        units = []
        for own, order in zip(self._units, orders, strict=True):
            at = np.empty(len(order), np.int64)
            at[order] = np.arange(len(order))
            pairs = np.array(list(own), np.int64).reshape(-1, 2)
            slices, groups = at[pairs[:, 0]], place[pairs[:, 1]]
            numbers = np.lexsort((groups, slices))
            ends = np.searchsorted(slices[numbers], np.arange(1, len(order)))
            parts = zip(np.split(numbers, ends), np.split(groups[numbers], ends), strict=True)
            units.append([SliceUnits(*part) for part in parts])
        return found, [of_groups, *orders, *units]

    def saved(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """As JSON and named arrays; TypeError for ids or labels that JSON does not have."""
        groups, _ = self.groups.saved()
        slices, arrays = self.slices.saved()
        for place, own in enumerate(self._units):
            arrays[f"{place}/units"] = np.array(list(own), np.int64).reshape(-1, 2)
        return {"groups": groups, "slices": slices}, arrays

    @classmethod
    def restored(cls, facts: Any, arrays: Mapping[str, np.ndarray]) -> "SlicedGroups":
        """What `saved` gave."""
        found = cls(RunningSlices.restored(facts["slices"], arrays))
        found.groups = RunningGroups.restored(facts["groups"])
        for place in range(len(found._units)):
            keys = map(tuple, arrays[f"{place}/units"].tolist())
            found._units[place] = {key: number for number, key in enumerate(keys)}
        return found
