"""True and predicted labels, read once for all metrics of them."""

import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import modelops_jax.metrics as numeric

from ._class_intervals import ClassRatio, class_ratios
from ._computed import BOOTSTRAPS, Computed, Confidence
from ._counted_labels import CountedLabels, count_labels
from ._evidence import NOT_KEPT, Pair, outcomes_of
from ._labels import CodedLabels, encode_labels, label_to_ignore
from ._per_class import LARGEST_TABLE, values_by_class
from ._result import ClassResult
from ._sharded import on_devices
from ._slice_outcomes import slice_outcomes
from ._slicing import SliceOutcome, Slicing
from ._vectors import check_same_length, flat_columns

# Of so many classes the ratios have an interval whatever it takes.
_FEW_CLASSES = 16
# Rows whose cells are made at once: they stay in the cache.
_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class LabelPair(Pair):
    """True and predicted labels over one set of classes.

    Args:
        labels: both vectors, coded.
        num_classes: the classes of the table that all metrics of the pass are to share; None
            where none of them needs a table.
        counts: how many rows each entry stands for, int64; None: one.
        kept: which of the rows as they were given these are; None: all.
        left_out: how many rows as they were given these are not.
            Of counted rows `weight` is what all rows of the entry weigh.
        parts: of counted rows for each slicing the pair of each slice, over the same classes.
        tests: of counted rows in groups for each slicing what gives the p-values of its slices.
        there: of counted rows that lie on devices, where they are.
        drawn: of counted rows that have weights or groups what gives the intervals of metrics, if
            a stream has what to draw them from.
    """

    labels: CodedLabels
    num_classes: int | None = None
    counts: np.ndarray | None = None
    kept: np.ndarray | None = None
    left_out: int = 0
    parts: Any = None
    tests: Sequence[Callable[[Mapping[str, numeric.Metric]], dict[str, list[float]]]] = ()
    there: CountedLabels | None = None
    drawn: (
        Callable[[Mapping[str, numeric.Metric], Confidence], dict[str, numeric.Interval]] | None
    ) = None

    @property
    def ignored(self) -> int:
        return self.left_out

    @property
    def y_true(self) -> Any:
        return self.labels.codes["y_true"]

    @property
    def y_pred(self) -> Any:
        return self.labels.codes["y_pred"]

    @property
    def rows(self) -> int:
        return len(self.y_true) if self.counts is None else int(self.counts.sum())

    def report(self, bound: Mapping[str, numeric.Metric]) -> numeric.Report:
        if self.counts is None:
            return super().report(bound)
        if self.weight is not None:
            return replace(super().report(bound), rows=self.rows)
        return numeric.compute_counts(bound, self.y_true, self.y_pred, self.counts)

    def intervals(
        self, bound: Mapping[str, numeric.Metric], confidence: Confidence | None
    ) -> dict[str, numeric.Interval]:
        if self.counts is None or confidence is None:
            return super().intervals(bound, self._own(confidence))
        if self.drawn is not None:
            own = {name: metric for name, metric in bound.items() if metric.no_interval is None}
            return self.drawn(own, confidence)
        if self.there is not None and not (confidence.groups is None and self.weight is None):
            return self._intervals_there(bound, confidence)
        if self.weight is not None:
            return {}
        states = self.report(bound).states
        return numeric.state_intervals(bound, states, **confidence.options)

    def _intervals_there(
        self, bound: Mapping[str, numeric.Metric], confidence: Confidence
    ) -> dict[str, numeric.Interval]:
        assert self.there is not None
        weight, (true, pred, groups) = self.there.drawn(self.labels, confidence.groups)
        labels = CodedLabels(self.labels.classes, {"y_true": true, "y_pred": pred})
        rows = LabelPair(labels, self.num_classes, weight=weight)
        return rows.intervals(bound, replace(confidence, groups=groups))

    def for_all(self, metrics: Mapping[str, Any]) -> "LabelPair":
        averaged = any(metric.averages(self) for metric in metrics.values())
        return self.tabled if averaged and len(self.labels.classes) <= LARGEST_TABLE else self

    def compute(
        self, metrics: Mapping[str, Any], confidence: Confidence | None
    ) -> dict[str, Computed | Exception]:
        averaged = {name: metric for name, metric in metrics.items() if metric.averages(self)}
        if not averaged:
            return super().compute(metrics, confidence)
        classes = len(self.labels.classes)
        if classes <= LARGEST_TABLE:
            return Pair.compute(self.tabled, metrics, confidence)
        rest = {name: metric for name, metric in metrics.items() if name not in averaged}
        outcomes = super().compute(rest, confidence)
        # A table this large is counted, but its cells are too many to be drawn again and again.
        whole = {name: m for name, m in averaged.items() if not m.class_by_class}
        if whole:
            found = Pair.compute(self, whole, None)
            outcomes |= {name: _without_interval(one, confidence) for name, one in found.items()}
        averaged = {name: m for name, m in averaged.items() if m.class_by_class}
        names = {f"{metric.quantity}_score" for metric in averaged.values()}
        counts = self.counts if self.weight is None else None
        values = values_by_class(
            sorted(names), self.y_true, self.y_pred, classes, counts, self.weight
        )
        for name, metric in averaged.items():
            mean = metric.mean(self, values[f"{metric.quantity}_score"])
            missing = len(metric.missing(self))
            rule = f"{name}: {metric.rule(self)}" if missing else None
            outcome = Computed(mean, rule, facts=metric.facts(self), undefined=missing)
            outcomes[name] = _without_interval(outcome, confidence)
        return outcomes

    def _no_interval(self, metric: numeric.Metric, confidence: Confidence) -> str:
        streamed = self.drawn is None and self.there is None
        if self.counts is not None and self.weight is not None and streamed:
            return NOT_KEPT
        return super()._no_interval(metric, confidence)

    def facts(self) -> dict[str, Any]:
        """The classes, for the metadata of a result: their number, and a few by name."""
        classes = self.labels.classes
        listed = {"classes": list(classes)} if len(classes) <= LARGEST_TABLE else {}
        return {"num_classes": len(classes), **listed}

    @property
    def num_listed(self) -> int:
        classes = len(self.labels.classes)
        return classes if classes <= LARGEST_TABLE else 0

    def class_ratios(
        self, metrics: Mapping[str, Any], confidence: Confidence
    ) -> Mapping[str, ClassRatio]:
        drawn = self.weight is not None or confidence.groups is not None
        # Each cell of a table is drawn, which takes minutes where no other metric needs it.
        if (drawn or confidence.method in BOOTSTRAPS) and self.num_listed > _FEW_CLASSES:
            if not any(metric.averages(self) for metric in metrics.values()):
                return {}
        return class_ratios(num_classes=self.tabled.num_classes)

    @property
    def tabled(self) -> "LabelPair":
        """The pair with a table of all classes, which metrics that average over them need.

        Rounded up to few sizes, each of which is compiled once; empty classes are skipped.
        """
        size = max(2, 1 << (len(self.labels.classes) - 1).bit_length())
        return replace(self, num_classes=size)

    def take(self, rows: np.ndarray) -> "LabelPair":
        assert self.counts is None
        codes = {side: column[rows] for side, column in self.labels.codes.items()}
        weight = None if self.weight is None else self.weight[rows]
        labels = CodedLabels(self.labels.classes, codes)
        return replace(self, labels=labels, kept=None, weight=weight)

    def weighted(self, weight: Any) -> "LabelPair":
        assert self.counts is None
        return replace(self, weight=weight if self.kept is None else weight[self.kept])

    def slices(
        self, metrics: Mapping[str, Any], slicings: list[Slicing], confidence: Confidence | None
    ) -> list[list[dict[str, SliceOutcome]]]:
        if self.parts is None and self.there is not None:
            parts = [self._parts_there(slicing) for slicing in slicings]
            return replace(self, there=None, parts=parts).slices(metrics, [], confidence)
        if self.parts is not None:
            return self._slices_of_counts(metrics, confidence)
        if self.kept is not None:
            confidence = self._own(confidence)
            slicings = [replace(slicing, ids=slicing.ids[self.kept]) for slicing in slicings]
            return replace(self, kept=None).slices(metrics, slicings, confidence)
        if not any(metric.averages(self) for metric in metrics.values()):
            return super().slices(metrics, slicings, confidence)
        if len(self.labels.classes) <= LARGEST_TABLE:
            return Pair.slices(self.tabled, metrics, slicings, confidence)
        return self.slices_one_by_one(metrics, slicings, confidence)

    def _parts_there(self, slicing: Slicing) -> list["LabelPair"]:
        """The pair of each slice, counted where the rows lie."""
        assert self.there is not None
        classes = self.there.labels.classes
        size, ids = max(2, 1 << (len(classes) - 1).bit_length()), {"": slicing.ids}
        table = {"table": numeric.metric("confusion_matrix", num_classes=size)}
        weights: list[Any] = [self.there.mask]
        weights += [] if self.weight is None else [self.there.weight]
        reports = [
            numeric.compute_slices(table, *self.there.rows, ids, weight=own).slices[""]
            for own in weights
        ]
        places = np.array([self.labels.index.get(label, -1) for label in classes], np.int32)
        found = []
        for place, of_slice in enumerate(zip(*reports, strict=True)):
            tables = [np.array(r.values["table"])[: len(classes), : len(classes)] for r in of_slice]
            if self.there.ignored is not None:
                tables[0][self.there.ignored] = 0
            true, pred = np.nonzero(tables[0])
            codes = {"y_true": places[true], "y_pred": places[pred]}
            counts, *weighed = (table[true, pred] for table in tables)
            part = LabelPair(CodedLabels(self.labels.classes, codes), counts=counts)
            if weighed:
                there = self.there.only(slicing.ids == place)
                part = replace(part, weight=weighed[0], there=there)
            found.append(part)
        none = CodedLabels(self.labels.classes, dict.fromkeys(("y_true", "y_pred"), places[:0]))
        empty = LabelPair(none, counts=np.zeros(0, np.int64))
        return found + (len(slicing.keys) - len(found)) * [empty]

    def _slices_of_counts(
        self, metrics: Mapping[str, Any], confidence: Confidence | None
    ) -> list[list[dict[str, SliceOutcome]]]:
        # Weighted slices are tested in groups alone.
        tested = confidence if self.weight is None else None
        averaged = any(metric.averages(self) for metric in metrics.values())
        if averaged and len(self.labels.classes) > LARGEST_TABLE:
            return [
                [outcomes_of(part.compute(metrics, confidence)) for part in parts]
                for parts in self.parts
            ]
        whole = self.tabled if averaged else self
        bound = {name: metric.bind(whole) for name, metric in metrics.items()}
        found = []
        for parts, tests in itertools.zip_longest(self.parts, self.tests):
            several = []
            of_groups = {} if tests is None or confidence is None else tests(bound)
            for place, part in enumerate(parts):
                report = part.report(bound)
                intervals = part.intervals(bound, confidence) if report.rows else {}
                p_values = {name: values[place] for name, values in of_groups.items()}
                several.append(slice_outcomes(bound, bound, report, intervals, tested, p_values))
            found.append(several)
        return found

    def _own(self, confidence: Confidence | None) -> Confidence | None:
        """What is asked for, with the groups of these rows alone."""
        if confidence is None or confidence.groups is None or self.kept is None:
            return confidence
        groups = [group for group, kept in zip(confidence.groups, self.kept, strict=True) if kept]
        return replace(confidence, groups=groups)

    @property
    def per_class(self) -> tuple[ClassResult, ...]:
        """Precision, recall and F1 of every class; none of more classes than are listed."""
        if not self.num_listed:
            return ()
        number = self._table_of(self.counts)
        weighed = number if self.weight is None else self._table_of(self.weight)
        hits, true, pred = np.diag(weighed), weighed.sum(axis=1), weighed.sum(axis=0)
        rows, predicted = number.sum(axis=1), number.sum(axis=0)
        ratios = {
            name: above / np.where(below > 0, below, 1)
            for name, above, below in (
                ("precision", hits, pred),
                ("recall", hits, true),
                ("f1", 2 * hits, true + pred),
            )
        }
        return tuple(
            ClassResult(
                label,
                int(rows[place]),
                int(predicted[place]),
                {name: float(values[place]) for name, values in ratios.items()},
            )
            for place, label in enumerate(self.labels.classes)
        )

    def _table_of(self, each: np.ndarray | None) -> np.ndarray:
        """The sum of what each entry is worth, by default 1, for each pair of classes, float64."""
        size, table = len(self.labels.classes), np.zeros(0)
        for start in range(0, max(1, len(self.y_true)), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            cells = self.y_true[part] * np.int32(size) + self.y_pred[part]
            worth = None if each is None else each[part]
            found = np.bincount(cells, worth, size * size)
            table = table + found if start else found.astype(np.float64)
        return table.reshape(size, size)

    def weight_by_class(self, codes: np.ndarray) -> np.ndarray:
        """The weight of the rows that each class has among these entries, float64."""
        weights = self.counts if self.weight is None else self.weight
        return np.bincount(codes, weights, len(self.labels.classes)).astype(np.float64)

    def rows_by_class(self, codes: np.ndarray) -> np.ndarray:
        """How many rows each class has among these entries, int64."""
        return np.bincount(codes, self.counts, len(self.labels.classes)).astype(np.int64)

    @property
    def occurring(self) -> np.ndarray:
        """Whether each class is in either list: in a slice those of the other rows are not."""
        return (self.rows_by_class(self.y_true) + self.rows_by_class(self.y_pred)) > 0

    def without_rows(self, side: str) -> tuple[Hashable, ...]:
        """The classes that occur, but not in `"y_true"` or `"y_pred"`."""
        missing = self.occurring & (self.rows_by_class(self.labels.codes[side]) == 0)
        return tuple(self.labels.classes[place] for place in np.flatnonzero(missing))


@dataclass(frozen=True)
class LabelReader:
    """Reads two vectors of labels of one kind and one length.

    Args:
        ignore_index: rows with this true label are left out; None: no row is.
    """

    ignore_index: Hashable | None = None

    def __call__(self, y_true: Any, y_pred: Any) -> LabelPair:
        """Read both.

        Raises:
            TypeError: labels of two kinds, or that are not hashable.
            ValueError: two lengths, more than one axis, labels that are nan or fractions, or an
                `ignore_index` of another kind than they are.
        """
        there = self.there(y_true, y_pred)
        if there is not None:
            return there
        y_true, y_pred = flat_columns(y_true, y_pred)
        labels = encode_labels({"y_true": y_true, "y_pred": y_pred})
        check_same_length(labels.codes["y_true"], labels.codes["y_pred"], ("y_true", "y_pred"))
        return self._without_ignored(LabelPair(labels))

    def there(self, y_true: Any, y_pred: Any, weight: Any = None) -> LabelPair | None:
        """The pair of rows that lie on devices, counted there; None: the host has to read them.

        Raises:
            ValueError: an `ignore_index` of another kind than the labels are.
        """
        if not on_devices(y_true, y_pred) or y_true.shape != y_pred.shape or y_true.ndim != 1:
            return None
        counted = count_labels(y_true, y_pred, weight)
        if counted is None:
            return None
        pair = LabelPair(
            counted.labels, counts=counted.counts, weight=counted.weights, there=counted
        )
        return self._without_ignored(pair)

    def _without_ignored(self, pair: LabelPair) -> LabelPair:
        ignored = label_to_ignore(self.ignore_index, pair.labels)
        if ignored is None:
            return pair
        kept = pair.y_true != ignored
        labels = pair.labels.of_rows(kept)
        if pair.counts is not None:
            left_out = int(pair.counts[~kept].sum())
            there = None if pair.there is None else replace(pair.there, ignored=ignored)
            weight = None if pair.weight is None else pair.weight[kept]
            return LabelPair(
                labels, counts=pair.counts[kept], left_out=left_out, there=there, weight=weight
            )
        return LabelPair(labels, kept=kept, left_out=int((~kept).sum()))


def _without_interval(
    outcome: Computed | Exception, confidence: Confidence | None
) -> Computed | Exception:
    if confidence is None or isinstance(outcome, Exception):
        return outcome
    reason = f"a mean over more than {LARGEST_TABLE} classes is not resampled"
    return replace(outcome, no_interval=reason)
