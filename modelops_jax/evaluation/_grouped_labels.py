"""What is kept of labels of rows in groups."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import modelops_jax.metrics as numeric

from ._builtin import Reader
from ._computed import Confidence
from ._growing import GrowingClasses
from ._joint_counts import GrowingCounts, JointCounts
from ._label_pair import LabelPair
from ._labels import CodedLabels
from ._running import Running
from ._slicing import Slicing
from ._weights import unless_alike


class GroupedLabels(Running):
    """Rows by (group, true label, predicted label), those that occur, and their weight.

    Of its methods `slicings`, `numbers` and `orders` have one entry, that of the groups.
    """

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._classes, self._counts, self._ignored = GrowingClasses(), GrowingCounts(3), 0

    def of_rows(
        self,
        y_true: Any,
        y_pred: Any,
        slicings: Sequence[Slicing] = (),
        weight: np.ndarray | None = None,
    ) -> "GroupedLabels":
        (grouping,) = slicings
        pair = self._read(y_true, y_pred)
        assert isinstance(pair, LabelPair)
        assert pair.counts is None
        if (own := unless_alike(weight)) is not None:
            pair = pair.weighted(own)
        groups = grouping.ids if pair.kept is None else grouping.ids[pair.kept]
        state = GroupedLabels(self._read)
        state._classes, state._ignored = GrowingClasses(pair.labels.classes), pair.ignored
        rows = np.stack([groups, pair.y_true, pair.y_pred], axis=1)
        state._counts.add(JointCounts.of_rows(rows, pair.weight))
        return state

    def check(self, other: "GroupedLabels") -> None:
        self._classes.check(tuple(other._classes))

    def merge(self, other: "GroupedLabels", numbers: Sequence[np.ndarray] = ()) -> None:
        places = self._classes.add(tuple(other._classes))
        self._counts.add(other._counts.whole().renumbered(*numbers, places, places))
        self._ignored += other._ignored

    def evidence(self, orders: Sequence[np.ndarray] = ()) -> LabelPair:
        classes, position = self._classes.sorted()
        counted = self._counts.whole()
        pairs = counted.by(1, 2)
        codes = {"y_true": position[pairs.rows[:, 0]], "y_pred": position[pairs.rows[:, 1]]}

        def drawn(
            metrics: Mapping[str, numeric.Metric], confidence: Confidence
        ) -> dict[str, numeric.Interval]:
            (order,) = orders
            place = np.empty(len(order), np.int64)
            place[order] = np.arange(len(order))
            group, true, pred = counted.renumbered(place, position, position).rows.T
            # Rows of one group and the same labels are one row, of their weight.
            weight = counted.weight
            weight = counted.counts.astype(np.float64) if weight is None else weight
            return numeric.confidence_intervals(
                metrics, true, pred, weight=weight, groups=group, **confidence.options
            )

        return LabelPair(
            CodedLabels(classes, codes),
            counts=pairs.counts,
            weight=pairs.weight,
            left_out=self._ignored,
            drawn=drawn,
        )

    def saved(self) -> tuple[Any, dict[str, np.ndarray]]:
        facts = {"labels": self._classes.to_json(), "ignored": self._ignored}
        return facts, self._counts.to_arrays()

    def restore(self, facts: Any, arrays: Mapping[str, np.ndarray]) -> None:
        self._classes, self._ignored = GrowingClasses(facts["labels"]), facts["ignored"]
        self._counts.set_arrays(arrays)
