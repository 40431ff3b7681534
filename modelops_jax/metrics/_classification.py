"""Scores of predicted labels. Labels are integers or booleans; higher is better throughout."""

import math
from typing import Any, get_args

from ._call import call
from ._counts import ConfusionCounts, MatchCounts, OneVsRestCounts
from ._finalizers import (
    Absent,
    Average,
    ClassRatio,
    DiagonalShare,
    MatchShare,
    Quantity,
    Table,
)
from ._metric import Metric
from ._types import Value, Vector


def accuracy_score_metric(*, num_classes: int | None = None) -> Metric:
    """The metric of `accuracy_score`; with `num_classes` it shares the confusion matrix."""
    if num_classes is None:
        return Metric("accuracy_score", (MatchCounts(),), MatchShare())
    return Metric("accuracy_score", (_confusion(num_classes),), DiagonalShare())


def confusion_matrix_metric(*, num_classes: int) -> Metric:
    """The metric of `confusion_matrix`."""
    return Metric("confusion_matrix", (_confusion(num_classes),), Table())


def precision_score_metric(**config: Any) -> Metric:
    """The metric of `precision_score`."""
    return _class_ratio("precision", **config)


def recall_score_metric(**config: Any) -> Metric:
    """The metric of `recall_score`."""
    return _class_ratio("recall", **config)


def f1_score_metric(**config: Any) -> Metric:
    """The metric of `f1_score`."""
    return _class_ratio("f1", **config)


def _class_ratio(
    quantity: Quantity,
    *,
    average: str | None = "binary",
    positive_class: int = 1,
    num_classes: int | None = None,
    zero_division: float | int = 0.0,
    absent: str = "skip",
) -> Metric:
    name = f"{quantity}_score"
    if average is not None and average not in get_args(Average):
        raise ValueError(f"average must be one of {get_args(Average)} or None, not {average!r}")
    if absent not in get_args(Absent):
        raise ValueError(f"absent must be one of {get_args(Absent)}, not {absent!r}")
    if not (zero_division in (0, 1) or math.isnan(zero_division)):
        raise ValueError(f"zero_division must be 0, 1 or nan, not {zero_division!r}")
    zero_division = float(zero_division)
    if num_classes is None and average == "micro":
        # Of one label a row, micro-averaged precision, recall and F1 are the share that match.
        return Metric(name, (MatchCounts(),), MatchShare(zero_division))
    if num_classes is None and average == "binary":
        finalizer = ClassRatio(quantity, average, 1, zero_division, absent)
        return Metric(name, (OneVsRestCounts(positive_class),), finalizer)
    if num_classes is None:
        raise ValueError(f"average={average!r} needs num_classes, the number of classes")
    if average == "binary" and not 0 <= positive_class < num_classes:
        raise ValueError(
            f"positive_class must be in 0 to {num_classes - 1} (num_classes is {num_classes}), "
            f"not {positive_class!r}"
        )
    finalizer = ClassRatio(quantity, average, positive_class, zero_division, absent)
    return Metric(name, (_confusion(num_classes),), finalizer)


def _confusion(num_classes: int) -> ConfusionCounts:
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, not {num_classes!r}")
    return ConfusionCounts(num_classes)


def accuracy_score(
    y_true: Vector,
    y_pred: Vector,
    *,
    weight: Vector | None = None,
    num_classes: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Accuracy: the weighted share of rows whose predicted label is the true one.

    Args:
        y_true: reference labels, shape (n,), integers or booleans.
        y_pred: predicted labels, shape (n,), integers or booleans.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        num_classes: if given, labels outside 0 to num_classes - 1 are invalid.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1]; best 1. 0 of no rows, which counts as undefined.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete labels outside the classes
            (under tracing these give nan).
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import accuracy_score
        >>> float(accuracy_score([0, 1, 2, 3], [0, 2, 1, 3]))
        0.5

    Source: the definition of `sklearn.metrics.accuracy_score`.
    """
    return call(accuracy_score_metric(num_classes=num_classes), y_true, y_pred, weight, axis_name)


def confusion_matrix(
    y_true: Vector,
    y_pred: Vector,
    *,
    num_classes: int,
    weight: Vector | None = None,
    axis_name: str | None = None,
) -> Value:
    """Confusion matrix: how many rows of each true class (row) got each predicted one (column).

    Args:
        y_true: reference labels, shape (n,), integers in 0 to num_classes - 1.
        y_pred: predicted labels, shape (n,), of the same classes.
        num_classes: the number of classes.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        Shape (num_classes, num_classes): exact integers (int64; int32 under tracing), or sums of
        weights where the weights are numbers. All 0 of no rows.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete labels outside the classes
            (under tracing these make every entry -1, or nan if weighted).
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import confusion_matrix
        >>> confusion_matrix([2, 0, 2, 2, 0, 1], [0, 0, 2, 2, 0, 2], num_classes=3)
        array([[2, 0, 0],
               [0, 0, 1],
               [1, 0, 2]])

    Source: the definition of `sklearn.metrics.confusion_matrix`.
    """
    return call(confusion_matrix_metric(num_classes=num_classes), y_true, y_pred, weight, axis_name)


def precision_score(
    y_true: Vector,
    y_pred: Vector,
    *,
    weight: Vector | None = None,
    average: Average | None = "binary",
    positive_class: int = 1,
    num_classes: int | None = None,
    zero_division: float | int = 0.0,
    absent: Absent = "skip",
    axis_name: str | None = None,
) -> Value:
    """Precision: TP / (TP + FP), the share of rows predicted as a class that are of it.

    Args:
        y_true: reference labels, shape (n,), integers or booleans.
        y_pred: predicted labels, shape (n,), integers or booleans.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        average: "binary" (of `positive_class` against all others), "micro" (of all classes'
            counts together), "macro" (mean over classes), "weighted" (mean weighted by true
            rows), or None (one value per class).
        positive_class: the class of "binary".
        num_classes: classes are 0 to num_classes - 1. Needed by "macro", "weighted" and None;
            where given, other labels are invalid.
        zero_division: the value of 0 / 0: 0, 1 or nan. nan is left out of means.
        absent: whether means "skip" or "count" classes that occur in neither list.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar, or shape (num_classes,) without average, in [0, 1]; best 1. Undefined where
        nothing was predicted as the class: `zero_division`.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete labels outside the classes
            (under tracing these give nan); an option that is none of its choices.
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import precision_score
        >>> float(precision_score([0, 1, 1, 0], [1, 1, 0, 0]))
        0.5
        >>> precision_score([0, 1, 2, 2], [0, 1, 2, 1], average=None, num_classes=3)
        array([1. , 0.5, 1. ])

    Source: the definition of `sklearn.metrics.precision_score`.
    """
    metric = precision_score_metric(
        average=average,
        positive_class=positive_class,
        num_classes=num_classes,
        zero_division=zero_division,
        absent=absent,
    )
    return call(metric, y_true, y_pred, weight, axis_name)


def recall_score(
    y_true: Vector,
    y_pred: Vector,
    *,
    weight: Vector | None = None,
    average: Average | None = "binary",
    positive_class: int = 1,
    num_classes: int | None = None,
    zero_division: float | int = 0.0,
    absent: Absent = "skip",
    axis_name: str | None = None,
) -> Value:
    """Recall: TP / (TP + FN), the share of rows of a class that are predicted as it.

    Args:
        y_true: reference labels, shape (n,), integers or booleans.
        y_pred: predicted labels, shape (n,), integers or booleans.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        average: as in `precision_score`.
        positive_class: the class of "binary".
        num_classes: as in `precision_score`.
        zero_division: the value of 0 / 0: 0, 1 or nan. nan is left out of means.
        absent: whether means "skip" or "count" classes that occur in neither list.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar, or shape (num_classes,) without average, in [0, 1]; best 1. Undefined where no
        true row is of the class: `zero_division`.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete labels outside the classes
            (under tracing these give nan); an option that is none of its choices.
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import recall_score
        >>> float(recall_score([0, 1, 1, 0], [1, 1, 0, 0]))
        0.5

    Source: the definition of `sklearn.metrics.recall_score`.
    """
    metric = recall_score_metric(
        average=average,
        positive_class=positive_class,
        num_classes=num_classes,
        zero_division=zero_division,
        absent=absent,
    )
    return call(metric, y_true, y_pred, weight, axis_name)


def f1_score(
    y_true: Vector,
    y_pred: Vector,
    *,
    weight: Vector | None = None,
    average: Average | None = "binary",
    positive_class: int = 1,
    num_classes: int | None = None,
    zero_division: float | int = 0.0,
    absent: Absent = "skip",
    axis_name: str | None = None,
) -> Value:
    """F1: 2 TP / (2 TP + FP + FN), the harmonic mean of precision and recall.

    Args:
        y_true: reference labels, shape (n,), integers or booleans.
        y_pred: predicted labels, shape (n,), integers or booleans.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        average: as in `precision_score`.
        positive_class: the class of "binary".
        num_classes: as in `precision_score`.
        zero_division: the value of 0 / 0: 0, 1 or nan. nan is left out of means.
        absent: whether means "skip" or "count" classes that occur in neither list.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar, or shape (num_classes,) without average, in [0, 1]; best 1. Undefined where the
        class occurs in neither list: `zero_division`.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete labels outside the classes
            (under tracing these give nan); an option that is none of its choices.
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import f1_score
        >>> round(float(f1_score([0, 1, 2, 2], [0, 1, 2, 1], average="macro", num_classes=3)), 4)
        0.7778

    Source: the definition of `sklearn.metrics.f1_score`.
    """
    metric = f1_score_metric(
        average=average,
        positive_class=positive_class,
        num_classes=num_classes,
        zero_division=zero_division,
        absent=absent,
    )
    return call(metric, y_true, y_pred, weight, axis_name)
