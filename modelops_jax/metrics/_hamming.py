"""Hamming loss: the share of labels that are wrong, of all, of each class or of each label."""

import math

from ._call import call
from ._class_shares import ClassShare
from ._classification import confusion, label_counts, matches
from ._count_finalizers import MatchShare
from ._label_finalizers import AverageOfLabels, require_average_of_labels
from ._metric import Metric
from ._types import Matrix, Value, Vector


def hamming_loss_metric(
    *,
    num_classes: int | None = None,
    num_labels: int | None = None,
    average: AverageOfLabels | str | None = "micro",
    ignore_index: int | None = None,
) -> Metric:
    """The metric of `hamming_loss`; with `num_classes` it shares the confusion matrix."""
    name = "hamming_loss"
    require_average_of_labels(average)
    if num_labels is not None:
        counts = label_counts(num_labels, num_classes, ignore_index)
        return Metric(name, (counts,), ClassShare("wrong", "labels", average))
    if num_classes is not None:
        statistic = confusion(num_classes, ignore_index)
        return Metric(name, (statistic,), ClassShare("wrong", "classes", average))
    if average != "micro":
        raise ValueError(
            f"average={average!r} needs num_classes, the number of classes (or num_labels, for "
            "rows of several labels)"
        )
    return Metric(name, (matches(ignore_index),), MatchShare("different", "matches", math.nan))


def hamming_loss(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_classes: int | None = None,
    num_labels: int | None = None,
    average: AverageOfLabels | str | None = "micro",
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Hamming loss: the weighted share of labels that are wrong.

    Of one label a row it is the zero-one loss, and of a class's rows 1 minus its recall.

    Args:
        y_true: reference labels, shape (n,), integers or booleans.
        y_pred: predicted labels, shape (n,), integers or booleans.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        num_classes: if given, labels outside 0 to num_classes - 1 are invalid.
        num_labels: if given, y_true and y_pred have shape (n, num_labels), 0 or 1 (booleans) for
            each of the labels that a row may have; every label of a row counts.
        average: "micro" (all labels of all rows together), None (one value per class, of its true
            rows, or per label), "macro" (the mean of these over classes that have true rows, or
            over labels) or "weighted" (by true rows). Every one but "micro" needs `num_classes` or
            `num_labels`.
        ignore_index: rows with this true label are as good as absent; of rows of several, the
            labels with it.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1], or without average one per class or label; best 0. nan of no rows.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete labels outside the classes
            (under tracing these give nan); an option that is none of its choices.
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import hamming_loss
        >>> float(hamming_loss([0, 1, 2, 3], [0, 2, 2, 3]))
        0.25
        >>> hamming_loss([[0, 1], [1, 1]], [[0, 1], [0, 1]], num_labels=2, average=None)
        array([0.5, 0. ])

    Source: the definition of `sklearn.metrics.hamming_loss`; by class or label that of
    `torchmetrics.classification.MulticlassHammingDistance` and `MultilabelHammingDistance`.
    """
    metric = hamming_loss_metric(
        num_classes=num_classes, num_labels=num_labels, average=average, ignore_index=ignore_index
    )
    return call(metric, y_true, y_pred, weight, axis_name)
