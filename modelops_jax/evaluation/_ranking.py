"""Metrics of scores that should order the rows."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

import modelops_jax.metrics as numeric

from ._builtin import OnePassMetric, Reader
from ._evidence import Pair
from ._label_codes import labels_there
from ._labels import CodedLabels, encode_labels, shorten
from ._numbers import as_values
from ._vectors import check_same_length, flat_columns


@dataclass(frozen=True)
class ScorePair(Pair):
    """Labels of at most two classes, and a score for each row."""

    labels: CodedLabels
    positive: np.ndarray | jax.Array
    scores: np.ndarray | jax.Array

    @property
    def y_true(self) -> np.ndarray | jax.Array:
        return self.positive

    @property
    def y_pred(self) -> np.ndarray | jax.Array:
        return self.scores


@dataclass(frozen=True)
class ScoreReader:
    """Reads labels, of which one is the positive class, and finite scores."""

    positive_class: Hashable | None

    def __call__(self, y_true: Any, y_pred: Any) -> ScorePair:
        """Read both.

        Raises:
            TypeError: labels of two kinds, or scores that are no numbers.
            ValueError: two lengths, more than two classes, two classes without the positive one,
                or scores that are not finite.
        """
        there = labels_there(y_true, y_pred)
        if there is None:
            y_true, y_pred = flat_columns(y_true, y_pred)
        labels = encode_labels({"y_true": y_true}) if there is None else there
        scores = as_values(y_pred, "y_pred") if there is None else y_pred
        check_same_length(labels.codes["y_true"], scores, ("y_true", "y_pred"))
        return self.pair(labels, scores)

    def pair(self, labels: CodedLabels, scores: Any) -> ScorePair:
        """The pair of labels and scores that have been read.

        Raises:
            ValueError: more than two classes, or two without the positive one.
        """
        self.check_number(labels.classes)
        if self.positive_class is None:
            position = _position_of_one(labels)
        else:
            position = labels.position(self.positive_class)
        if position is None and len(labels.classes) == 2:
            raise ValueError(
                f"positive_class={self.positive_class!r} is not one of the two labels "
                f"{shorten(labels.classes)}; give the metric positive_class=<the label whose rows "
                "should have the high scores> (--positive on the command line)"
            )
        no_row = -1
        codes = labels.codes["y_true"]
        return ScorePair(labels, codes == (no_row if position is None else position), scores)

    def check_number(self, classes: tuple[Hashable, ...]) -> None:
        """Refuse more than two classes (ValueError)."""
        if len(classes) > 2:
            raise ValueError(
                f"y_true has {len(classes)} classes, {shorten(classes)}; the area under the ROC "
                "curve is defined for two"
            )


def _position_of_one(labels: CodedLabels) -> int | None:
    """The position of the label 1 where nobody could mean another one.

    Raises:
        ValueError: the labels are none of the pairs in which 1 is the positive one.
    """
    if not (labels.index.keys() <= {0, 1} or labels.index.keys() <= {-1, 1}):
        raise ValueError(
            f"y_true has the labels {shorten(labels.classes)}; expected 0 and 1, bools or -1 and "
            "1, or positive_class=<the label whose rows should have the high scores> of the metric "
            "(--positive on the command line)"
        )
    return labels.index.get(1)


class AUCROCMetric(OnePassMetric):
    """Exact area under the ROC curve.

    The chance that a row of the positive class has a higher score than one of the other class,
    ties counting one half. Only the order of the scores matters: logits serve as well as
    probabilities. `compute(y_true, y_pred)` takes labels of two classes, of any type, and scores
    (not predicted labels).

    In [0, 1]; best 1, chance 0.5. Undefined, nan with an `UndefinedMetricWarning`, unless both
    classes occur.

    Args:
        positive_class: the label whose rows should have the high scores. None: 1, and the labels
            have to be 0 and 1, bools, or -1 and 1.

    Raises:
        TypeError: `positive_class` is not hashable.

    Example:
        >>> from modelops_jax.evaluation import AUCROCMetric
        >>> AUCROCMetric().compute([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        0.75
        >>> AUCROCMetric(positive_class="spam").compute(["ham", "spam"], [-3.0, 2.5])
        1.0
    """

    def __init__(self, positive_class: Hashable | None = None) -> None:
        hash(positive_class)
        self.positive_class = positive_class

    @property
    def name(self) -> str:
        """`"auc_roc"`."""
        return "auc_roc"

    @property
    def reader(self) -> Reader:
        return ScoreReader(self.positive_class)

    def bind(self, pair: ScorePair) -> numeric.Metric:
        return numeric.metric("roc_auc_score")

    def rule(self, pair: ScorePair) -> str:
        return (
            f"y_true holds only the label {pair.labels.classes[0]!r} and two classes are needed, "
            "so the value is nan"
        )

    def __repr__(self) -> str:
        return f"AUCROCMetric(positive_class={self.positive_class!r})"
