"""Agreement of predicted with true classes that does not reward guessing the frequent one."""

from typing import get_args

from ._call import call
from ._classification import confusion
from ._count_finalizers import ClassCorrelation, Distance, Kappa, MeanRecall
from ._metric import Metric
from ._types import Value, Vector


def balanced_accuracy_score_metric(
    *, num_classes: int, adjusted: bool = False, ignore_index: int | None = None
) -> Metric:
    """The metric of `balanced_accuracy_score`."""
    statistic = confusion(num_classes, ignore_index)
    return Metric("balanced_accuracy_score", (statistic,), MeanRecall(adjusted))


def matthews_corrcoef_metric(*, num_classes: int, ignore_index: int | None = None) -> Metric:
    """The metric of `matthews_corrcoef`."""
    return Metric("matthews_corrcoef", (confusion(num_classes, ignore_index),), ClassCorrelation())


def cohen_kappa_score_metric(
    *, num_classes: int, distance: str | None = None, ignore_index: int | None = None
) -> Metric:
    """The metric of `cohen_kappa_score`."""
    if distance is not None and distance not in get_args(Distance):
        raise ValueError(f"distance must be one of {get_args(Distance)} or None, not {distance!r}")
    return Metric("cohen_kappa_score", (confusion(num_classes, ignore_index),), Kappa(distance))


def balanced_accuracy_score(
    y_true: Vector,
    y_pred: Vector,
    *,
    num_classes: int,
    weight: Vector | None = None,
    adjusted: bool = False,
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Balanced accuracy: the mean of the recall of every class that has true rows.

    Args:
        y_true: reference labels, shape (n,), integers in 0 to num_classes - 1.
        y_pred: predicted labels, shape (n,), of the same classes.
        num_classes: the number of classes.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        adjusted: move and scale it so that chance, 1 / c of the c classes with true rows, is 0:
            (score - 1 / c) / (1 - 1 / c).
        ignore_index: rows with this true label are as good as absent.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1], adjusted in [-1 / (c - 1), 1]; best 1. nan of no rows, and adjusted of
        one class. A class that was predicted and has no true rows is left out and counts as
        undefined.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete labels outside the classes
            (under tracing these give nan).
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import balanced_accuracy_score
        >>> float(balanced_accuracy_score([0, 1, 0, 0, 1, 0], [0, 1, 0, 0, 0, 1], num_classes=2))
        0.625

    Source: the definition of `sklearn.metrics.balanced_accuracy_score`.
    """
    metric = balanced_accuracy_score_metric(
        num_classes=num_classes, adjusted=adjusted, ignore_index=ignore_index
    )
    return call(metric, y_true, y_pred, weight, axis_name)


def matthews_corrcoef(
    y_true: Vector,
    y_pred: Vector,
    *,
    num_classes: int,
    weight: Vector | None = None,
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Matthews' correlation: Pearson's, of the indicators of the true and the predicted class.

    Of two classes (TP TN - FP FN) / sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN)).

    Args:
        y_true: reference labels, shape (n,), integers in 0 to num_classes - 1.
        y_pred: predicted labels, shape (n,), of the same classes.
        num_classes: the number of classes.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        ignore_index: rows with this true label are as good as absent.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [-1, 1]; best 1, and 0 for predictions independent of the truth. Undefined
        where either list has a single class: 0, by custom. nan of no rows.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete labels outside the classes
            (under tracing these give nan).
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import matthews_corrcoef
        >>> round(float(matthews_corrcoef([1, 1, 1, 0], [1, 0, 1, 1], num_classes=2)), 4)
        -0.3333

    Source: Gorodkin, "Comparing two K-category assignments by a K-category correlation
    coefficient", 2004.
    """
    metric = matthews_corrcoef_metric(num_classes=num_classes, ignore_index=ignore_index)
    return call(metric, y_true, y_pred, weight, axis_name)


def cohen_kappa_score(
    y_true: Vector,
    y_pred: Vector,
    *,
    num_classes: int,
    weight: Vector | None = None,
    distance: Distance | None = None,
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Cohen's kappa: 1 - (mean distance of two labels) / (that of independent labels).

    Args:
        y_true: labels of one rater, shape (n,), integers in 0 to num_classes - 1.
        y_pred: labels of the other, shape (n,), of the same classes.
        num_classes: the number of classes.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        distance: between the classes i and j: None (1 unless they are equal), "linear" (|i - j|)
            or "quadratic" ((i - j)^2), of the class numbers, whether or not a class occurs.
        ignore_index: rows with this true label are as good as absent.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [-1, 1]; best 1, and 0 for independent labels. nan of no rows, and where all
        labels of both are of one class.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete labels outside the classes
            (under tracing these give nan); an unknown distance.
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import cohen_kappa_score
        >>> float(cohen_kappa_score([0, 0, 1, 1], [0, 0, 0, 1], num_classes=2))
        0.5

    Source: Cohen, "Weighted kappa", Psychological Bulletin, 1968.
    """
    metric = cohen_kappa_score_metric(
        num_classes=num_classes, distance=distance, ignore_index=ignore_index
    )
    return call(metric, y_true, y_pred, weight, axis_name)
