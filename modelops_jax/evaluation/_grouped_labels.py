"""What is kept of labels of rows in groups."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from modelops_jax._prefixed import below, prefixed

from ._builtin import Reader
from ._growing import GrowingClasses
from ._joint_counts import GrowingCounts, JointCounts
from ._label_pair import LabelPair
from ._running import Running
from ._slicing import Slicing
from ._unit_labels import pair_of_groups, with_slices
from ._weights import unless_alike


class GroupedLabels(Running):
    """Rows by (group, true label, predicted label), those that occur, and their weight.

    Of rows with slices also by (unit, true label, predicted label), for each slicing: see
    `SlicedGroups`, as for what its methods take as `slicings`, `numbers` and `orders`.
    """

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._classes, self._ignored = GrowingClasses(), 0
        # By group, and for each slicing by unit.
        self._counts = [GrowingCounts(3)]

    def of_rows(
        self,
        y_true: Any,
        y_pred: Any,
        slicings: Sequence[Slicing] = (),
        weight: np.ndarray | None = None,
    ) -> "GroupedLabels":
        pair = self._read(y_true, y_pred)
        assert isinstance(pair, LabelPair)
        assert pair.counts is None
        if (own := unless_alike(weight)) is not None:
            pair = pair.weighted(own)
        state = GroupedLabels(self._read)
        state._classes, state._ignored = GrowingClasses(pair.labels.classes), pair.ignored
        state._counts = []
        for slicing in _counted_by(slicings):
            ids = slicing.ids if pair.kept is None else slicing.ids[pair.kept]
            rows = np.stack([ids, pair.y_true, pair.y_pred], axis=1)
            state._counts.append(GrowingCounts(3))
            state._counts[-1].add(JointCounts.of_rows(rows, pair.weight))
        return state

    def check(self, other: "GroupedLabels") -> None:
        self._classes.check(tuple(other._classes))

    def merge(self, other: "GroupedLabels", numbers: Sequence[np.ndarray] = ()) -> None:
        places = self._classes.add(tuple(other._classes))
        self._counts += [GrowingCounts(3) for _ in other._counts[len(self._counts) :]]
        by = _counted_by(numbers)
        for mine, theirs, number in zip(self._counts, other._counts, by, strict=True):
            mine.add(theirs.whole().renumbered(number, places, places))
        self._ignored += other._ignored

    def evidence(self, orders: Sequence[Any] = ()) -> LabelPair:
        classes, position = self._classes.sorted()
        of_groups, *of_units = (counts.whole() for counts in self._counts)
        order: np.ndarray = np.arange(_numbers_of(of_groups))
        slicings: list[Any] = []
        if orders:
            order, *slicings = _counted_by(orders)
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        whole = pair_of_groups(classes, of_groups.renumbered(place, position, position))
        units = [np.arange(_numbers_of(counted)) for counted in of_units]
        numbered = zip(of_units, units, slicings, strict=True)
        sliced = [(c.renumbered(unit, position, position), own) for c, unit, own in numbered]
        return replace(with_slices(whole, sliced), left_out=self._ignored)

    def saved(self) -> tuple[Any, dict[str, np.ndarray]]:
        facts = {"labels": self._classes.to_json(), "ignored": self._ignored}
        of_groups, *of_units = (counts.to_arrays() for counts in self._counts)
        for place, arrays in enumerate(of_units):
            of_groups |= prefixed(f"units/{place}/", arrays)
        return facts | {"slicings": len(of_units)}, of_groups

    def restore(self, facts: Any, arrays: Mapping[str, np.ndarray]) -> None:
        self._classes, self._ignored = GrowingClasses(facts["labels"]), facts["ignored"]
        of_units = range(facts.get("slicings", 0))
        found = [arrays, *(below(f"units/{place}/", arrays) for place in of_units)]
        self._counts = [GrowingCounts(3) for _ in found]
        for counts, own in zip(self._counts, found, strict=True):
            counts.set_arrays(own)


def _counted_by(divisions: Sequence[Any]) -> list[Any]:
    """Of what there is for groups, slicings and units that of groups and units."""
    of_groups, *rest = divisions
    return [of_groups, *rest[len(rest) // 2 :]]


def _numbers_of(counted: JointCounts) -> int:
    return int(counted.rows[:, 0].max(initial=-1)) + 1
