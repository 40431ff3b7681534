"""Agreement of predicted with true classes that does not reward guessing the frequent one."""

from dataclasses import replace
from typing import Any, get_args

from ._call import call
from ._class_outcomes import ClassOutcomes
from ._classification import confusion, label_counts, outcomes
from ._count_finalizers import ClassCorrelation, Distance, Kappa, MeanRecall
from ._label_finalizers import AverageOfLabels, OfLabels, refuse_average, require_average_of_labels
from ._metric import Metric
from ._types import Matrix, Value, Vector


def balanced_accuracy_score_metric(*, adjusted: bool = False, **config: Any) -> Metric:
    """The metric of `balanced_accuracy_score`."""
    return _agreement("balanced_accuracy_score", MeanRecall(adjusted), **config)


def matthews_corrcoef_metric(**config: Any) -> Metric:
    """The metric of `matthews_corrcoef`."""
    return _agreement("matthews_corrcoef", ClassCorrelation(), **config)


def cohen_kappa_score_metric(*, distance: str | None = None, **config: Any) -> Metric:
    """The metric of `cohen_kappa_score`."""
    if distance is not None and distance not in get_args(Distance):
        raise ValueError(f"distance must be one of {get_args(Distance)} or None, not {distance!r}")
    return _agreement("cohen_kappa_score", Kappa(distance), **config)


def _agreement(
    name: str,
    finalizer: MeanRecall | ClassCorrelation | Kappa,
    /,
    num_classes: int | None = None,
    num_labels: int | None = None,
    average: str | None = "macro",
    ignore_index: int | None = None,
) -> Metric:
    if num_labels is not None:
        counts = label_counts(num_labels, num_classes, ignore_index)
        require_average_of_labels(average)
        return Metric(name, (counts,), OfLabels(finalizer, average))
    refuse_average(name, average)
    classes = 2 if num_classes is None else num_classes
    if isinstance(finalizer, Kappa) and finalizer.distance is not None:
        return Metric(name, (confusion(classes, ignore_index),), finalizer)
    statistic = outcomes(classes, ignore_index)
    if isinstance(statistic, ClassOutcomes):
        finalizer = replace(finalizer, counted="outcomes")
    return Metric(name, (statistic,), finalizer)


def balanced_accuracy_score(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_classes: int | None = None,
    num_labels: int | None = None,
    average: AverageOfLabels | str | None = "macro",
    adjusted: bool = False,
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Balanced accuracy: the mean of the recall of every class that has true rows.

    Args:
        y_true: reference labels, shape (n,), integers in 0 to num_classes - 1.
        y_pred: predicted labels, shape (n,), of the same classes.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        num_classes: the number of classes; None: 2. Of more than 4,096 the hits, misses and false
            alarms of each class are counted in place of all pairs, and there are no intervals.
        num_labels: if given, y_true and y_pred have shape (n, num_labels), 0 or 1 (booleans) for
            each of the labels that a row may have, and a label is a table of two classes.
        average: with `num_labels`, "micro" (of all labels' tables together), "macro" (mean over
            labels), "weighted" (by their true rows) or None (one value per label).
        adjusted: move and scale it so that chance, 1 / c of the c classes with true rows, is 0:
            (score - 1 / c) / (1 - 1 / c).
        ignore_index: rows with this true label are as good as absent; of rows of several, the
            labels with it.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1], adjusted in [-1 / (c - 1), 1]; best 1. nan of no rows, and adjusted of
        one class. A class that was predicted and has no true rows is left out and counts as
        undefined. Without an average of labels shape (num_labels,).

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
        num_classes=num_classes,
        num_labels=num_labels,
        average=average,
        adjusted=adjusted,
        ignore_index=ignore_index,
    )
    return call(metric, y_true, y_pred, weight, axis_name)


def matthews_corrcoef(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_classes: int | None = None,
    num_labels: int | None = None,
    average: AverageOfLabels | str | None = "macro",
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Matthews' correlation: Pearson's, of the indicators of the true and the predicted class.

    Of two classes (TP TN - FP FN) / sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN)).

    Args:
        y_true: reference labels, shape (n,), integers in 0 to num_classes - 1.
        y_pred: predicted labels, shape (n,), of the same classes.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        num_classes: the number of classes; None: 2. Of more than 4,096 the hits, misses and false
            alarms of each class are counted in place of all pairs, and there are no intervals.
        num_labels: if given, y_true and y_pred have shape (n, num_labels), 0 or 1 (booleans) for
            each of the labels that a row may have, and a label is a table of two classes.
        average: with `num_labels`, "micro" (of all labels' tables together), "macro" (mean over
            labels), "weighted" (by their true rows) or None (one value per label).
        ignore_index: rows with this true label are as good as absent; of rows of several, the
            labels with it.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [-1, 1]; best 1, and 0 for predictions independent of the truth. Undefined
        where either list has a single class: 0, by custom. nan of no rows. Without an average of
        labels shape (num_labels,).

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
    metric = matthews_corrcoef_metric(
        num_classes=num_classes, num_labels=num_labels, average=average, ignore_index=ignore_index
    )
    return call(metric, y_true, y_pred, weight, axis_name)


def cohen_kappa_score(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_classes: int | None = None,
    num_labels: int | None = None,
    average: AverageOfLabels | str | None = "macro",
    distance: Distance | None = None,
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Cohen's kappa: 1 - (mean distance of two labels) / (that of independent labels).

    Args:
        y_true: labels of one rater, shape (n,), integers in 0 to num_classes - 1.
        y_pred: labels of the other, shape (n,), of the same classes.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        num_classes: the number of classes; None: 2. Of more than 4,096 the hits, misses and false
            alarms of each class are counted in place of all pairs, and there are no intervals.
        num_labels: if given, y_true and y_pred have shape (n, num_labels), 0 or 1 (booleans) for
            each of the labels that a row may have, and a label is a table of two classes.
        average: with `num_labels`, "micro" (of all labels' tables together), "macro" (mean over
            labels), "weighted" (by their true rows) or None (one value per label).
        distance: between the classes i and j: None (1 unless they are equal), "linear" (|i - j|)
            or "quadratic" ((i - j)^2), of the class numbers, whether or not a class occurs. A
            distance is of pairs, so that with one there are at most 16,384 classes.
        ignore_index: rows with this true label are as good as absent; of rows of several, the
            labels with it.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [-1, 1]; best 1, and 0 for independent labels. nan of no rows, and where all
        labels of both are of one class, as of a label that no row has nor is predicted to have:
        means leave such a label out. Without an average of labels shape (num_labels,).

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
        num_classes=num_classes,
        num_labels=num_labels,
        average=average,
        distance=distance,
        ignore_index=ignore_index,
    )
    return call(metric, y_true, y_pred, weight, axis_name)
