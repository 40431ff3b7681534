"""What is kept of the labels that several models gave to the same rows."""

import functools
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

import modelops_jax.metrics as numeric
from modelops_jax._distinct_shards import DistinctRows
from modelops_jax._prefixed import below, prefixed
from modelops_jax._row_groups import GrowingGroups

from ._compared import Question, RowSample, bind_all, only_right
from ._growing import GrowingClasses
from ._joint import Compared, Joint, Tests
from ._joint_counts import GrowingCounts, JointCounts
from ._label_pair import LabelPair
from ._labels import CodedLabels
from ._per_class import LARGEST_TABLE
from ._told_apart import told_apart
from ._weights import unless_alike


class JointLabels(Joint):
    """Rows by (group, true label, what each model said), of the combinations that occur.

    Of weighted rows without groups what each pair of labels weighs in every resample and swap, too.
    """

    def __init__(self, *arguments: Any, n_resamples: int, seed: int) -> None:
        super().__init__(*arguments)
        self.drawing = {"n_resamples": n_resamples, "seed": seed}
        self._classes, self._groups = GrowingClasses(), GrowingGroups()
        self._counts = GrowingCounts(2 + len(self.models))
        self._ignored = 0
        self._alike, self._grouped = True, False
        self._drawn: numeric.PairedCountStream | None = None
        # Of a batch of weighted rows the labels and weights of each.
        self._batch: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def resampled(self) -> tuple[str, ...]:
        return () if self._alike or self._grouped else tuple(self.members)

    @property
    def unmerged(self) -> tuple[str, ...]:
        return () if self._drawn is None else tuple(self.members)

    def of_rows(
        self, y_true: Any, seconds: Mapping[str, Any], weight: np.ndarray | None, groups: Any
    ) -> "JointLabels":
        state = JointLabels(self.read, self.members, self.models, **self.drawing)
        columns: list[np.ndarray] = []
        kept: Any = slice(None)
        for model in self.models:
            pair = self.read(y_true, seconds[model])
            assert isinstance(pair, LabelPair)
            assert pair.counts is None
            state._classes.check(pair.labels.classes)
            place = state._classes.add(pair.labels.classes)
            columns = columns or [place[pair.y_true]]
            columns.append(place[pair.y_pred])
            state._ignored = pair.ignored
            kept = slice(None) if pair.kept is None else pair.kept
        labels, rows = np.stack(columns), len(columns[0])
        codes = np.zeros(rows, np.int64)
        if groups is not None:
            groups = np.asarray(groups)[kept] if hasattr(groups, "dtype") else _chosen(groups, kept)
            ids, codes = self._groups.read(groups, rows)
            state._groups.add(ids)  # which numbers them in their order
            state._grouped = True
        own = None if weight is None else weight[kept]
        if own is not None and groups is None:
            state._batch = labels, own
        own = unless_alike(own)
        state._alike = own is None
        state._counts.add(JointCounts.of_rows(np.stack([codes, *columns], axis=1), own))
        return state

    def of_counts(
        self, classes: tuple[Hashable, ...], found: DistinctRows, ignored: int
    ) -> "JointLabels":
        """The state of rows, in no groups, that were counted where they lie.

        Args:
            classes: the labels that occur.
            found: the distinct rows of positions among them: the true label, then by model.
            ignored: how many rows have the label to be ignored, and are not among these.
        """
        state = JointLabels(self.read, self.members, self.models, **self.drawing)
        state._classes, state._ignored = GrowingClasses(classes), ignored
        rows = np.insert(found.rows, 0, 0, axis=1).astype(np.int32)
        weights = None
        if found.weights is not None:
            weights = np.stack([found.weights, np.zeros_like(found.weights)])
        state._counts.add(JointCounts(rows, found.counts, weights))
        state._alike = weights is None
        return state

    def check(self, other: "JointLabels") -> None:
        self._classes.check(tuple(other._classes))
        self._groups.check(other._groups)

    def merge(self, other: "JointLabels") -> None:
        place = self._classes.add(tuple(other._classes))
        numbers = self._groups.add(other._groups) if other._grouped else np.zeros(1, np.int64)
        columns = [numbers, *[place] * (1 + len(self.models))]
        self._counts.add(other._counts.whole().renumbered(*columns))
        self._ignored += other._ignored
        self._alike, self._grouped = self._alike and other._alike, other._grouped
        if other._batch is not None:
            # Rows that weigh 1 are drawn, too, in case that the next ones do not.
            (labels, weight), models = other._batch, self.models
            if self._drawn is None:
                self._drawn = numeric.PairedCountStream(models, **self.drawing)
            true, *preds = place[labels]
            pairs = {model: (true, pred) for model, pred in zip(models, preds, strict=True)}
            if len(self._classes) > LARGEST_TABLE:
                apart = functools.partial(told_apart, self._classes, self.members)
                self._drawn.relabel({m: apart(*own) for m, own in self._drawn.labels.items()})
                pairs = {model: apart(*own) for model, own in pairs.items()}
            true, pred = ({m: own[side] for m, own in pairs.items()} for side in (0, 1))
            self._drawn.update(true, pred, weight)

    def saved(self) -> tuple[Any, dict[str, np.ndarray]]:
        facts = {
            "labels": self._classes.to_json(),
            "groups": self._groups.to_json(),
            "ignored": self._ignored,
            "given": [self._alike, self._grouped],
            "drawn": None,
        }
        arrays = self._counts.to_arrays()
        if self._drawn is not None:
            facts["drawn"], drawn = self._drawn.to_arrays()
            arrays |= prefixed("drawn/", drawn)
        return facts, arrays

    def restore(self, facts: Any, arrays: Mapping[str, np.ndarray]) -> None:
        self._classes, self._ignored = GrowingClasses(facts["labels"]), facts["ignored"]
        self._groups.add(facts["groups"])
        self._counts.set_arrays(arrays)
        self._alike, self._grouped = facts["given"]
        if facts["drawn"] is not None:
            self._drawn = numeric.PairedCountStream(self.models, **self.drawing)
            self._drawn.set_arrays(facts["drawn"], below("drawn/", arrays))

    def evidence(self, model: str) -> LabelPair:
        """Of the classes that occur with this model."""
        classes, rows, counted = self._in_order()
        found = replace(counted, rows=rows).by(1, 2 + self.models.index(model))
        true, pred = found.rows.T
        labels = CodedLabels(classes, {"y_true": true, "y_pred": pred})
        labels = labels.of_rows(np.ones(len(found.rows), bool))
        return LabelPair(labels, counts=found.counts, weight=found.weight, left_out=self._ignored)

    def compare(self, question: Question) -> Compared:
        _, rows, counted = self._in_order()
        groups, true, *preds = rows.T
        said = dict(zip(self.models, preds, strict=True))
        bound, refused = self.bind(unlike=self._grouped or not self._alike)
        if self._grouped:
            # Rows of one group and the same labels are one row, of their weight.
            weight = counted.counts.astype(np.float64) if self._alike else counted.weight
            asked = replace(question, confidence=replace(question.confidence, groups=groups))
            sample = RowSample({model: true for model in said}, said, asked, weight)
            return sample.compare(bound), refused
        if not self._alike:
            return self._compare_drawn(question, bound, true, said, counted), refused
        reports = {
            model: numeric.compute_counts(bound, true, pred, counted.counts)
            for model, pred in said.items()
        }
        options = question.confidence.options
        intervals = {
            model: numeric.state_intervals(bound, report.states, **options)
            for model, report in reports.items()
        }
        drawn = numeric.paired_count_differences(
            bound, true, said, counted.counts, **question.drawn
        )
        only = only_right(np.stack([true == pred for pred in preds]), counted.counts)
        values = {model: report.values for model, report in reports.items()}
        test = Tests(bound, drawn, only, self.models)
        return question.compared(bound, values, intervals, test), refused

    def bind(self, *, unlike: bool) -> tuple[dict[str, numeric.Metric], dict[str, str]]:
        """The metrics that can be compared, which know the classes of all models, and why not."""
        classes, rows, counted = self._in_order()
        _, true, *preds = rows.T
        several = len(preds)
        codes = {"y_true": np.tile(true, several), "y_pred": np.concatenate(preds)}
        joint = LabelPair(CodedLabels(classes, codes), counts=np.tile(counted.counts, several))
        return bind_all(joint.for_all(self.members), self.members, unlike=unlike)

    def _compare_drawn(
        self,
        question: Question,
        bound: Mapping[str, numeric.Metric],
        true: np.ndarray,
        said: Mapping[str, np.ndarray],
        counted: JointCounts,
    ) -> Any:
        assert self._drawn is not None
        values = {
            model: numeric.compute(bound, true, pred, weight=counted.weight).values
            for model, pred in said.items()
        }
        level, places = question.confidence.level, self._classes.sorted()[1]
        method = question.confidence.method
        intervals = self._drawn.intervals(bound, level, places, method=method)
        drawn = self._drawn.differences(bound, level, places, pairs=question.pairs)
        test = Tests(bound, drawn, None, self.models)
        return question.compared(bound, values, intervals, test)

    def _in_order(self) -> tuple[tuple[Any, ...], np.ndarray, JointCounts]:
        """The classes in order, the rows over them and over the groups in order, and how often."""
        classes, position = self._classes.sorted()
        counted = self._counts.whole()
        place = self._groups.places() if self._grouped else np.zeros(1, np.int64)
        columns = [place, *[position] * (1 + len(self.models))]
        return classes, counted.renumbered(*columns).rows, counted


def _chosen(groups: Any, kept: Any) -> list[Any]:
    if isinstance(kept, slice):
        return list(groups)
    return [group for group, there in zip(groups, kept, strict=True) if there]
