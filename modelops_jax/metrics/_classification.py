"""Shares of rows by their labels, and the confusion matrix. Labels are integers or booleans."""

import math
from typing import Literal

from ._call import call
from ._count_finalizers import MatchShare, Table
from ._counts import ConfusionCounts, MatchCounts
from ._metric import Metric
from ._types import Value, Vector


def accuracy_score_metric(*, num_classes: int | None = None) -> Metric:
    """The metric of `accuracy_score`; with `num_classes` it shares the confusion matrix."""
    return _match_share("accuracy_score", "equal", 0.0, num_classes)


def hamming_loss_metric(*, num_classes: int | None = None) -> Metric:
    """The metric of `hamming_loss`; with `num_classes` it shares the confusion matrix."""
    return _match_share("hamming_loss", "different", math.nan, num_classes)


def zero_one_loss_metric(*, num_classes: int | None = None) -> Metric:
    """The metric of `zero_one_loss`; with `num_classes` it shares the confusion matrix."""
    return _match_share("zero_one_loss", "different", math.nan, num_classes)


def confusion_matrix_metric(*, num_classes: int) -> Metric:
    """The metric of `confusion_matrix`."""
    return Metric("confusion_matrix", (confusion(num_classes),), Table())


def _match_share(
    name: str, ratio: Literal["equal", "different"], empty: float, num_classes: int | None
) -> Metric:
    statistic = MatchCounts() if num_classes is None else confusion(num_classes)
    return Metric(name, (statistic,), MatchShare(ratio, num_classes is not None, empty))


def confusion(num_classes: int) -> ConfusionCounts:
    """The statistic of a confusion matrix, which all metrics of that many classes share.

    Raises:
        ValueError: fewer than one class.
    """
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


def zero_one_loss(
    y_true: Vector,
    y_pred: Vector,
    *,
    weight: Vector | None = None,
    num_classes: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Zero-one loss: the weighted share of rows whose predicted label is not the true one.

    Args:
        y_true: reference labels, shape (n,), integers or booleans.
        y_pred: predicted labels, shape (n,), integers or booleans.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        num_classes: if given, labels outside 0 to num_classes - 1 are invalid.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1]; best 0. nan of no rows.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete labels outside the classes
            (under tracing these give nan).
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import zero_one_loss
        >>> float(zero_one_loss([0, 1, 2, 3], [0, 2, 2, 3]))
        0.25

    Source: the definition of `sklearn.metrics.zero_one_loss`.
    """
    return call(zero_one_loss_metric(num_classes=num_classes), y_true, y_pred, weight, axis_name)


def hamming_loss(
    y_true: Vector,
    y_pred: Vector,
    *,
    weight: Vector | None = None,
    num_classes: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Hamming loss: the weighted share of labels that are wrong.

    Of one label a row, as here, it is the zero-one loss.

    Args:
        y_true: reference labels, shape (n,), integers or booleans.
        y_pred: predicted labels, shape (n,), integers or booleans.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        num_classes: if given, labels outside 0 to num_classes - 1 are invalid.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1]; best 0. nan of no rows.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete labels outside the classes
            (under tracing these give nan).
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import hamming_loss
        >>> float(hamming_loss([0, 1, 2, 3], [0, 2, 2, 3]))
        0.25

    Source: the definition of `sklearn.metrics.hamming_loss`.
    """
    return call(hamming_loss_metric(num_classes=num_classes), y_true, y_pred, weight, axis_name)


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
