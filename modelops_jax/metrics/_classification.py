"""Shares of rows by their labels, and the confusion matrix. Labels are integers or booleans."""

import math
from typing import Literal

from ._call import call
from ._class_outcomes import ClassOutcomes
from ._count_finalizers import MatchShare, Table
from ._counts import ConfusionCounts, MatchCounts, OneVsRestCounts
from ._ignored import as_ignored, as_integer
from ._label_rows import LabelCounts, LabelSetMatchCounts
from ._metric import Metric
from ._types import Matrix, Value, Vector

# A state of as many cells as this squared takes 2 GB, of which a pass needs several.
_MOST_CLASSES = 16_384
# Up to so many classes their pairs are counted also where less would do: metrics share the table.
_MOST_SHARED = 4_096
# And so many of outcomes, of which a class has three.
MOST_OUTCOMES = 1 << 24


def accuracy_score_metric(
    *,
    num_classes: int | None = None,
    num_labels: int | None = None,
    ignore_index: int | None = None,
) -> Metric:
    """The metric of `accuracy_score`; with `num_classes` it shares the confusion matrix."""
    return _match_share("accuracy_score", "equal", 0.0, num_classes, num_labels, ignore_index)


def zero_one_loss_metric(
    *,
    num_classes: int | None = None,
    num_labels: int | None = None,
    ignore_index: int | None = None,
) -> Metric:
    """The metric of `zero_one_loss`; with `num_classes` it shares the confusion matrix."""
    return _match_share(
        "zero_one_loss", "different", math.nan, num_classes, num_labels, ignore_index
    )


def confusion_matrix_metric(*, num_classes: int, ignore_index: int | None = None) -> Metric:
    """The metric of `confusion_matrix`."""
    return Metric("confusion_matrix", (confusion(num_classes, ignore_index),), Table())


def _match_share(
    name: str,
    ratio: Literal["equal", "different"],
    empty: float,
    num_classes: int | None,
    num_labels: int | None,
    ignore_index: int | None,
) -> Metric:
    if num_labels is not None:
        counts = label_counts(num_labels, num_classes, ignore_index)
        sets = LabelSetMatchCounts(counts.num_labels, ignore_index=counts.ignore_index)
        return Metric(name, (sets,), MatchShare(ratio, "matches", empty))
    if num_classes is None:
        return Metric(name, (matches(ignore_index),), MatchShare(ratio, "matches", empty))
    statistic = confusion(num_classes, ignore_index)
    return Metric(name, (statistic,), MatchShare(ratio, "classes", empty))


def confusion(num_classes: int, ignore_index: int | None = None) -> ConfusionCounts:
    """The statistic of a confusion matrix, which all metrics of that many classes share.

    Raises:
        ValueError: fewer than one class, or more than a table is made for.
        TypeError: no integers.
    """
    num_classes = as_integer(num_classes, "num_classes")
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, not {num_classes!r}")
    if num_classes > _MOST_CLASSES:
        raise ValueError(
            f"num_classes is {num_classes:,}, a table of {num_classes**2:,} cells; expected at "
            f"most {_MOST_CLASSES:,} classes"
        )
    return ConfusionCounts(num_classes, ignore_index=as_ignored(ignore_index))


def outcomes(num_classes: int, ignore_index: int | None = None) -> ConfusionCounts | ClassOutcomes:
    """The statistic of metrics of every class's outcomes: the table that all share, if it is small.

    Raises:
        ValueError: fewer than one class, or more than are counted.
        TypeError: no integers.
    """
    num_classes = as_integer(num_classes, "num_classes")
    if num_classes <= _MOST_SHARED:
        return confusion(num_classes, ignore_index)
    if num_classes > MOST_OUTCOMES:
        raise ValueError(
            f"num_classes is {num_classes:,}; expected at most {MOST_OUTCOMES:,} classes"
        )
    return ClassOutcomes(num_classes, ignore_index=as_ignored(ignore_index))


def matches(ignore_index: int | None) -> MatchCounts:
    """The statistic of how many rows match.

    Raises:
        TypeError: an ignore_index that is no integer.
    """
    return MatchCounts(ignore_index=as_ignored(ignore_index))


def one_vs_rest(positive_class: int, ignore_index: int | None) -> OneVsRestCounts:
    """The statistic of one class against all others.

    Raises:
        TypeError: options that are no integers.
    """
    positive_class = as_integer(positive_class, "positive_class")
    return OneVsRestCounts(positive_class, ignore_index=as_ignored(ignore_index))


def label_counts(
    num_labels: int, num_classes: int | None = None, ignore_index: int | None = None
) -> LabelCounts:
    """The statistic of rows of several labels, which all metrics of so many labels share.

    Raises:
        ValueError: fewer than one label, or options of rows of one label.
        TypeError: no integer.
    """
    num_labels = as_integer(num_labels, "num_labels")
    if num_labels < 1:
        raise ValueError(f"num_labels must be at least 1, not {num_labels!r}")
    if num_classes is not None:
        raise ValueError(
            f"num_classes={num_classes!r} is for rows of one label each and "
            f"num_labels={num_labels} for rows of several: pass one of the two"
        )
    return LabelCounts(num_labels, as_ignored(ignore_index))


def accuracy_score(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_classes: int | None = None,
    num_labels: int | None = None,
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Accuracy: the weighted share of rows whose predicted label is the true one.

    Args:
        y_true: reference labels, shape (n,), integers or booleans.
        y_pred: predicted labels, shape (n,), integers or booleans.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        num_classes: if given, labels outside 0 to num_classes - 1 are invalid.
        num_labels: if given, y_true and y_pred have shape (n, num_labels), 0 or 1 (booleans) for
            each of the labels that a row may have; a row counts as right if all of its labels are.
        ignore_index: rows with this true label are as good as absent; of rows of several, the
            labels with it.
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
    metric = accuracy_score_metric(
        num_classes=num_classes, num_labels=num_labels, ignore_index=ignore_index
    )
    return call(metric, y_true, y_pred, weight, axis_name)


def zero_one_loss(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_classes: int | None = None,
    num_labels: int | None = None,
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Zero-one loss: the weighted share of rows whose predicted label is not the true one.

    Args:
        y_true: reference labels, shape (n,), integers or booleans.
        y_pred: predicted labels, shape (n,), integers or booleans.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        num_classes: if given, labels outside 0 to num_classes - 1 are invalid.
        num_labels: if given, y_true and y_pred have shape (n, num_labels), 0 or 1 (booleans) for
            each of the labels that a row may have; a row counts as wrong unless all of them are
            right.
        ignore_index: rows with this true label are as good as absent; of rows of several, the
            labels with it.
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
    metric = zero_one_loss_metric(
        num_classes=num_classes, num_labels=num_labels, ignore_index=ignore_index
    )
    return call(metric, y_true, y_pred, weight, axis_name)


def confusion_matrix(
    y_true: Vector,
    y_pred: Vector,
    *,
    num_classes: int,
    weight: Vector | None = None,
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Confusion matrix: how many rows of each true class (row) got each predicted one (column).

    Args:
        y_true: reference labels, shape (n,), integers in 0 to num_classes - 1.
        y_pred: predicted labels, shape (n,), of the same classes.
        num_classes: the number of classes, at most 16,384.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        ignore_index: rows with this true label are as good as absent.
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
    metric = confusion_matrix_metric(num_classes=num_classes, ignore_index=ignore_index)
    return call(metric, y_true, y_pred, weight, axis_name)
