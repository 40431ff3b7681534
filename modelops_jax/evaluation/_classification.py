"""Metrics of predicted labels: accuracy, precision, recall and F1."""

import abc
import math
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar, Literal, get_args

import numpy as np

import modelops_jax.metrics as numeric

from ._builtin import OnePassMetric, Reader
from ._label_pair import LabelPair, LabelReader
from ._labels import CodedLabels, shorten

Average = Literal["binary", "micro", "macro", "weighted", "auto"]


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
        zero_division: float | int | str = 0.0,
    ) -> None:
        super().__init__(ignore_index=ignore_index)
        hash(positive_class)
        # Refuses what is none of the choices.
        numeric.metric(f"{self.quantity}_score", zero_division=zero_division)
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
        # The rule is warned of in any case.
        self.zero_division = 0.0 if zero_division == "warn" else float(zero_division)

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
        average = self.decided(pair.labels)
        given = {"zero_division": self.zero_division, "num_classes": pair.num_classes}
        name = f"{self.quantity}_score"
        if average != "binary":
            return numeric.metric(name, average=average, **given)
        position = pair.labels.position(self.positive_class)
        if position is None:  # a class that no row has
            given, position = given | {"num_classes": None}, -1
        return numeric.metric(name, positive_class=position, **given)

    def of_no_rows(self) -> float:
        return self.zero_division

    def mean(self, pair: LabelPair, values: np.ndarray) -> float:
        """The mean of one value per class that occurs, alike or by the classes' true rows."""
        values = np.array(values)
        values[[pair.labels.index[label] for label in self.missing(pair)]] = self.zero_division
        macro = self.decided(pair.labels) == "macro"
        weight = np.ones(len(values)) if macro else pair.weight_by_class(pair.y_true)
        some = pair.occurring & ~np.isnan(values)
        total = math.fsum(weight[some])
        return math.fsum((weight * values)[some]) / total if total else self.zero_division

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
                f"the class {self.positive_class!r} is {self.missing_because}, so 0/0 counts as "
                f"{self.zero_division}"
            )
        missing, classes = self.missing(pair), pair.labels.classes
        counts = f"0/0 counts as {self.zero_division} in"
        if math.isnan(self.zero_division):
            counts = "they are left out of"
        return (
            f"{len(missing)} of {len(classes)} classes ({shorten(missing)}) "
            f"are {self.missing_because}, so {counts} the mean"
        )

    def facts(self, pair: LabelPair) -> Mapping[str, Any]:
        average = self.decided(pair.labels)
        positive = {"positive_class": self.positive_class} if average == "binary" else {}
        return {**super().facts(pair), "averaging": average, **positive}

    def __repr__(self) -> str:
        other = f", zero_division={self.zero_division}" if self.zero_division != 0 else ""
        return (
            f"{type(self).__name__}(positive_class={self.positive_class!r}, "
            f"average={self.average!r}{_ignoring(self.ignore_index, ', ')}{other})"
        )


def _ignoring(label: Hashable | None, before: str = "") -> str:
    return "" if label is None else f"{before}ignore_index={label!r}"


class PrecisionMetric(_ClassRatio):
    """Precision: of the rows predicted as a class, the share that is of it, TP / (TP + FP).

    In [0, 1]; best 1. Where nothing is predicted as the class 0/0 counts as 0.0, and no rows at
    all give 0.0 (`zero_division` says otherwise), each with an `UndefinedMetricWarning`.

    Args:
        positive_class: the class of `average="binary"`, any label (a tuple, too, where the labels
            are such in a NumPy array of objects); all other labels are its opposite. Names that do
            not occur are an error.
        average: `"binary"` (of the positive class), `"micro"` (of all classes' counts together),
            `"macro"` (mean over the classes that occur in either list), `"weighted"` (mean
            weighted by the classes' true rows), or `"auto"` (binary with positive class 1 if all
            labels are 0, 1 or bools, else macro).
        ignore_index: rows with this true label are left out, whatever was predicted; None: none.
        zero_division: what 0/0 counts as: 0, 1 or nan, which is left out of means. "warn" is 0, as
            a warning is given in any case. What a result says of single classes has 0.0.

    Raises:
        ValueError: an unknown average or `zero_division`, or a positive class given to another
            average than `"binary"`.
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
        zero_division: as in `PrecisionMetric`.

    Raises:
        ValueError: an unknown average or `zero_division`, or a positive class given to another
            average than `"binary"`.
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
        zero_division: as in `PrecisionMetric`.

    Raises:
        ValueError: an unknown average or `zero_division`, or a positive class given to another
            average than `"binary"`.
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
