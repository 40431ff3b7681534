"""Metrics of predicted labels: accuracy, precision, recall and F1."""

import abc
import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_args

import numpy as np

import modelops_jax.metrics as numeric

from ._builtin import Computed, Confidence, OnePassMetric, Pair, Reader
from ._labels import CodedLabels, encode_labels, shorten
from ._per_class import LARGEST_TABLE, values_by_class
from ._result import ClassResult
from ._sharded import count_labels, on_devices
from ._slicing import SliceOutcome, Slicing
from ._vectors import check_same_length

Average = Literal["binary", "micro", "macro", "weighted", "auto"]


@dataclass(frozen=True)
class LabelPair(Pair):
    """True and predicted labels over one set of classes.

    Args:
        labels: both vectors, coded.
        num_classes: the classes of the table that all metrics of the pass are to share; None
            where none of them needs a table.
        counts: how many rows each entry stands for, int64; None: one.
        kept: which of the rows as they were given these are; None: all.
    """

    labels: CodedLabels
    num_classes: int | None = None
    counts: np.ndarray | None = None
    kept: np.ndarray | None = None

    @property
    def y_true(self) -> np.ndarray:
        return self.labels.codes["y_true"]

    @property
    def y_pred(self) -> np.ndarray:
        return self.labels.codes["y_pred"]

    @property
    def rows(self) -> int:
        return len(self.y_true) if self.counts is None else int(self.counts.sum())

    def report(self, bound: Mapping[str, numeric.Metric]) -> numeric.Report:
        if self.counts is None:
            return super().report(bound)
        return numeric.compute_counts(bound, self.y_true, self.y_pred, self.counts)

    def intervals(
        self, bound: Mapping[str, numeric.Metric], confidence: Confidence | None
    ) -> dict[str, numeric.Interval]:
        if self.counts is None or confidence is None:
            return super().intervals(bound, self._own(confidence))
        states = self.report(bound).states
        return numeric.state_intervals(bound, states, level=confidence.level, seed=confidence.seed)

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
            outcomes.update(Pair.compute(self, whole, None))
        averaged = {name: m for name, m in averaged.items() if m.class_by_class}
        names = {f"{metric.quantity}_score" for metric in averaged.values()}
        values = values_by_class(sorted(names), self.y_true, self.y_pred, classes, self.counts)
        for name, metric in averaged.items():
            mean = metric.mean(self, values[f"{metric.quantity}_score"])
            missing = len(metric.missing(self))
            rule = f"{name}: {metric.rule(self)}" if missing else None
            outcomes[name] = Computed(mean, rule, facts=metric.facts(self), undefined=missing)
        return outcomes

    def facts(self) -> dict[str, Any]:
        """The classes, for the metadata of a result: their number, and a few by name."""
        classes = self.labels.classes
        listed = {"classes": list(classes)} if len(classes) <= LARGEST_TABLE else {}
        return {"num_classes": len(classes), **listed}

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
        return replace(self, labels=CodedLabels(self.labels.classes, codes), kept=None)

    def slices(
        self, metrics: Mapping[str, Any], slicings: list[Slicing], confidence: Confidence | None
    ) -> list[list[dict[str, SliceOutcome]]]:
        if self.kept is not None:
            confidence = self._own(confidence)
            slicings = [replace(slicing, ids=slicing.ids[self.kept]) for slicing in slicings]
            return replace(self, kept=None).slices(metrics, slicings, confidence)
        if not any(metric.averages(self) for metric in metrics.values()):
            return super().slices(metrics, slicings, confidence)
        if len(self.labels.classes) <= LARGEST_TABLE:
            return Pair.slices(self.tabled, metrics, slicings, confidence)
        return self.slices_one_by_one(metrics, slicings, confidence)

    def _own(self, confidence: Confidence | None) -> Confidence | None:
        """What is asked for, with the groups of these rows alone."""
        if confidence is None or confidence.groups is None or self.kept is None:
            return confidence
        groups = [group for group, kept in zip(confidence.groups, self.kept, strict=True) if kept]
        return replace(confidence, groups=groups)

    @property
    def per_class(self) -> tuple[ClassResult, ...]:
        """Precision, recall and F1 of every class; none of more classes than are listed."""
        classes = self.labels.classes
        if not 0 < len(classes) <= LARGEST_TABLE:
            return ()
        right = self.y_true == self.y_pred
        hits = self.rows_by_class(self.y_true[right], right)
        rows, predicted = self.rows_by_class(self.y_true), self.rows_by_class(self.y_pred)
        ratios = {
            "precision": hits / np.maximum(predicted, 1),
            "recall": hits / np.maximum(rows, 1),
            "f1": 2 * hits / np.maximum(rows + predicted, 1),
        }
        return tuple(
            ClassResult(
                label,
                int(rows[place]),
                int(predicted[place]),
                {name: float(values[place]) for name, values in ratios.items()},
            )
            for place, label in enumerate(classes)
        )

    def rows_by_class(self, codes: np.ndarray, chosen: Any = slice(None)) -> np.ndarray:
        """How many rows each class has among these entries, int64."""
        weights = None if self.counts is None else self.counts[chosen]
        return np.bincount(codes, weights, len(self.labels.classes)).astype(np.int64)

    def without_rows(self, side: str) -> tuple[Hashable, ...]:
        """The classes that do not occur in `"y_true"` or `"y_pred"`."""
        rows = self.rows_by_class(self.labels.codes[side])
        return tuple(self.labels.classes[place] for place in np.flatnonzero(rows == 0))


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
            ValueError: two lengths, more than one axis, or labels that are nan or fractions.
        """
        vectors = on_devices(y_true, y_pred) and y_true.shape == y_pred.shape and y_true.ndim == 1
        if vectors and self.ignore_index is None:
            counted = count_labels(y_true, y_pred)
            if counted is not None:
                labels, counts = counted
                return LabelPair(labels, counts=counts)
        labels = encode_labels({"y_true": y_true, "y_pred": y_pred})
        check_same_length(labels.codes["y_true"], labels.codes["y_pred"], ("y_true", "y_pred"))
        ignored = labels.index.get(self.ignore_index)
        if self.ignore_index is None or ignored is None:
            return LabelPair(labels)
        kept = labels.codes["y_true"] != ignored
        return LabelPair(labels.of_rows(kept), kept=kept)


class _LabelMetric(OnePassMetric):
    """A metric of true and predicted labels."""

    value_of_no_rows = 0.0
    class_by_class: ClassVar[bool] = True
    """Whether its value of a class needs no other class's counts."""

    def __init__(self, *, ignore_index: Hashable | None = None) -> None:
        hash(ignore_index)
        self.ignore_index = ignore_index

    @property
    def reader(self) -> Reader:
        return LabelReader(self.ignore_index)

    def averages(self, pair: LabelPair) -> bool:
        """Whether it is a mean over classes on these rows, and so needs every class's counts."""
        return False

    def facts(self, pair: LabelPair) -> Mapping[str, Any]:
        return pair.facts()


class AccuracyMetric(_LabelMetric):
    """Accuracy: the share of rows whose predicted label is the true one.

    In [0, 1]; best 1. No rows: 0.0 with an `UndefinedMetricWarning`.

    Args:
        ignore_index: rows with this true label are left out, whatever was predicted; None: none.

    Example:
        >>> from modelops_jax.evaluation import AccuracyMetric
        >>> AccuracyMetric().compute(["ham", "spam", "ham"], ["ham", "ham", "ham"])
        0.6666666666666666
    """

    @property
    def name(self) -> str:
        """`"accuracy"`."""
        return "accuracy"

    def bind(self, pair: LabelPair) -> numeric.Metric:
        return numeric.metric("accuracy_score", num_classes=pair.num_classes)

    def __repr__(self) -> str:
        return f"AccuracyMetric({_ignoring(self.ignore_index)})"


class _ClassRatio(_LabelMetric):
    """Precision, recall or F1."""

    def __init__(
        self,
        positive_class: Hashable = 1,
        *,
        average: Average | str = "binary",
        ignore_index: Hashable | None = None,
    ) -> None:
        super().__init__(ignore_index=ignore_index)
        hash(positive_class)
        if average not in get_args(Average):
            choices = ", ".join(map(repr, get_args(Average)))
            raise ValueError(f"average is {average!r}; choose one of: {choices}")
        if average != "binary" and positive_class != 1:
            raise ValueError(
                f"positive_class={positive_class!r} has no meaning with average={average!r}; "
                "it is for average='binary'"
            )
        self.positive_class = positive_class
        self.average = average

    @property
    @abc.abstractmethod
    def quantity(self) -> str:
        """`"precision"`, `"recall"` or `"f1"`."""

    @property
    def name(self) -> str:
        """`"precision"`, `"recall"` or `"f1"`."""
        return self.quantity

    def decided(self, labels: CodedLabels) -> str:
        """The average, `"auto"` being settled by the labels."""
        if self.average != "auto":
            return self.average
        return "binary" if labels.is_binary else "macro"

    def averages(self, pair: LabelPair) -> bool:
        return self.decided(pair.labels) in ("macro", "weighted")

    def bind(self, pair: LabelPair) -> numeric.Metric:
        average, num_classes = self.decided(pair.labels), pair.num_classes
        name = f"{self.quantity}_score"
        if average != "binary":
            return numeric.metric(name, average=average, num_classes=num_classes)
        position = pair.labels.position(self.positive_class)
        if position is None:
            return numeric.metric(name, positive_class=-1)  # a class that no row has
        return numeric.metric(name, positive_class=position, num_classes=num_classes)

    def mean(self, pair: LabelPair, values: np.ndarray) -> float:
        """The mean of one value per class, alike or by the classes' true rows."""
        if self.decided(pair.labels) == "macro":
            return math.fsum(values) / len(values)
        support = pair.rows_by_class(pair.y_true)
        return math.fsum(support * values) / pair.rows

    @abc.abstractmethod
    def missing(self, pair: LabelPair) -> tuple[Hashable, ...]:
        """The classes whose value is 0/0."""

    @property
    @abc.abstractmethod
    def missing_because(self) -> str:
        """What is wrong with a class whose value is 0/0."""

    def rule(self, pair: LabelPair) -> str:
        if not self.averages(pair):
            return (
                f"the class {self.positive_class!r} is {self.missing_because}, so 0/0 counts as 0.0"
            )
        missing, classes = self.missing(pair), pair.labels.classes
        return (
            f"{len(missing)} of {len(classes)} classes ({shorten(missing)}) "
            f"are {self.missing_because}, so 0/0 counts as 0.0 in the mean"
        )

    def facts(self, pair: LabelPair) -> Mapping[str, Any]:
        average = self.decided(pair.labels)
        positive = {"positive_class": self.positive_class} if average == "binary" else {}
        return {**super().facts(pair), "averaging": average, **positive}

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(positive_class={self.positive_class!r}, "
            f"average={self.average!r}{_ignoring(self.ignore_index, ', ')})"
        )


def _ignoring(label: Hashable | None, before: str = "") -> str:
    return "" if label is None else f"{before}ignore_index={label!r}"


class PrecisionMetric(_ClassRatio):
    """Precision: of the rows predicted as a class, the share that is of it, TP / (TP + FP).

    In [0, 1]; best 1. Where nothing is predicted as the class 0/0 counts as 0.0, and no rows at
    all give 0.0, each with an `UndefinedMetricWarning`.

    Args:
        positive_class: the class of `average="binary"`, any hashable label; all other labels
            are its opposite. Names that do not occur are an error.
        average: `"binary"` (of the positive class), `"micro"` (of all classes' counts together),
            `"macro"` (mean over the classes that occur in either list), `"weighted"` (mean
            weighted by the classes' true rows), or `"auto"` (binary with positive class 1 if all
            labels are 0, 1 or bools, else macro).
        ignore_index: rows with this true label are left out, whatever was predicted; None: none.

    Raises:
        ValueError: an unknown average, or a positive class given to another than `"binary"`.
        TypeError: `positive_class` is not hashable.

    Example:
        >>> from modelops_jax.evaluation import PrecisionMetric
        >>> PrecisionMetric().compute([0, 1, 1, 0], [1, 1, 0, 0])
        0.5
        >>> PrecisionMetric(positive_class="spam").compute(["ham", "spam"], ["spam", "spam"])
        0.5
    """

    @property
    def quantity(self) -> str:
        return "precision"

    def missing(self, pair: LabelPair) -> tuple[Hashable, ...]:
        return pair.without_rows("y_pred")

    @property
    def missing_because(self) -> str:
        return "never predicted"


class RecallMetric(_ClassRatio):
    """Recall: of the rows of a class, the share that is predicted as it, TP / (TP + FN).

    In [0, 1]; best 1. Where no true label is the class 0/0 counts as 0.0, and no rows at all
    give 0.0, each with an `UndefinedMetricWarning`.

    Args:
        positive_class: as in `PrecisionMetric`.
        average: as in `PrecisionMetric`.
        ignore_index: as in `PrecisionMetric`.

    Raises:
        ValueError: an unknown average, or a positive class given to another than `"binary"`.
        TypeError: `positive_class` is not hashable.

    Example:
        >>> from modelops_jax.evaluation import RecallMetric
        >>> RecallMetric().compute([0, 1, 1, 0], [1, 1, 0, 0])
        0.5
        >>> RecallMetric(average="macro").compute(["a", "b", "c"], ["a", "b", "b"])
        0.6666666666666666
    """

    @property
    def quantity(self) -> str:
        return "recall"

    def missing(self, pair: LabelPair) -> tuple[Hashable, ...]:
        return pair.without_rows("y_true")

    @property
    def missing_because(self) -> str:
        return "never the true label"


class F1Metric(_ClassRatio):
    """F1: the harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN).

    In [0, 1]; best 1. Where the class occurs in neither list 0/0 counts as 0.0, and no rows at
    all give 0.0, each with an `UndefinedMetricWarning`.

    Args:
        positive_class: as in `PrecisionMetric`.
        average: as in `PrecisionMetric`.
        ignore_index: as in `PrecisionMetric`.

    Raises:
        ValueError: an unknown average, or a positive class given to another than `"binary"`.
        TypeError: `positive_class` is not hashable.

    Example:
        >>> from modelops_jax.evaluation import F1Metric
        >>> F1Metric().compute([0, 1, 1, 0], [1, 1, 0, 0])
        0.5
        >>> round(F1Metric(average="macro").compute([0, 1, 2, 2], [0, 1, 2, 1]), 4)
        0.7778
    """

    @property
    def quantity(self) -> str:
        return "f1"

    def missing(self, pair: LabelPair) -> tuple[Hashable, ...]:
        return ()  # every class of a mean occurs in one of the lists

    @property
    def missing_because(self) -> str:
        return "in neither list"
