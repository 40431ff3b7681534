"""What is kept of labels of rows in groups."""

import functools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import modelops_jax.metrics as numeric
from modelops_jax._prefixed import below, prefixed

from ._builtin import Reader
from ._computed import Confidence
from ._growing import GrowingClasses
from ._joint_counts import GrowingCounts, JointCounts
from ._label_pair import LabelPair
from ._labels import CodedLabels
from ._running import Running
from ._sliced_groups import SliceUnits
from ._slicing import Slicing
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
        whole = _pair_of(classes, of_groups.renumbered(place, position, position))
        parts, tests = [], []
        for counted, slices in zip(of_units, slicings, strict=True):
            by_slice = _by_slice(counted, slices, position)
            parts.append([_pair_of(classes, part) for part in by_slice])
            tests.append(functools.partial(_tests_of, by_slice, slices))
        return replace(whole, left_out=self._ignored, parts=parts or None, tests=tests)

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


def _pair_of(classes: tuple[Hashable, ...], counted: JointCounts) -> LabelPair:
    """The pair of rows of (place of the group, true class, predicted class)."""
    pairs = counted.by(1, 2)

    def drawn(
        metrics: Mapping[str, numeric.Metric], confidence: Confidence
    ) -> dict[str, numeric.Interval]:
        group, true, pred = counted.rows.T
        return numeric.confidence_intervals(
            metrics, true, pred, weight=_weight_of(counted), groups=group, **confidence.options
        )

    return LabelPair(
        CodedLabels(classes, {"y_true": pairs.rows[:, 0], "y_pred": pairs.rows[:, 1]}),
        counts=pairs.counts,
        weight=pairs.weight,
        drawn=drawn,
    )


def _weight_of(counted: JointCounts) -> np.ndarray:
    """Rows of one group and the same labels are one row, of their weight."""
    weight = counted.weight
    return counted.counts.astype(np.float64) if weight is None else weight


def _by_slice(
    counted: JointCounts, slices: Sequence[SliceUnits], position: np.ndarray
) -> list[JointCounts]:
    """Of rows by unit those of each slice, with the place of the unit in it."""
    which, place = np.zeros((2, sum(len(one.units) for one in slices)), np.int64)
    for number, one in enumerate(slices):
        which[one.units], place[one.units] = number, np.arange(len(one.units))
    slice_of_row = which[counted.rows[:, 0]]
    order = np.argsort(slice_of_row, kind="stable")
    ends = np.searchsorted(slice_of_row[order], np.arange(1, len(slices)))
    placed = counted.renumbered(place, position, position)
    return [placed.take(rows) for rows in np.split(order, ends)]


def _tests_of(
    by_slice: Sequence[JointCounts],
    slices: Sequence[SliceUnits],
    bound: Mapping[str, numeric.Metric],
) -> dict[str, list[float]]:
    """By metric that is a mean or a share the p-value of each slice against the other rows."""
    number = np.repeat(np.arange(len(by_slice)), [len(part.counts) for part in by_slice])
    group = np.concatenate(
        [one.groups[part.rows[:, 0]] for part, one in zip(by_slice, slices, strict=True)]
    )
    _, true, pred = np.concatenate([part.rows for part in by_slice]).T
    weight = np.concatenate([_weight_of(part) for part in by_slice])
    found = {}
    for name, metric in bound.items():
        ratio = numeric.row_ratios(metric, true, pred)
        if ratio is not None:
            p_values = numeric.grouped_slice_tests(number, group, *(weight * r for r in ratio))
            # The last slices may have no row of this pair, and then have no test of their own.
            found[name] = p_values + [1.0] * (len(slices) - len(p_values))
    return found
