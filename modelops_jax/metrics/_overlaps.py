"""How far the true and the predicted rows of a class overlap: F scores and the Jaccard index."""

from typing import Any

from modelops_jax._option_types import require_number

from ._call import call
from ._class_ratios import ZeroDivision, class_ratio
from ._count_finalizers import Absent, Average
from ._metric import Metric
from ._types import Matrix, Value, Vector


def f1_score_metric(**config: Any) -> Metric:
    """The metric of `f1_score`."""
    return class_ratio("f1", **config)


def fbeta_score_metric(*, beta: float | int, **config: Any) -> Metric:
    """The metric of `fbeta_score`."""
    return class_ratio("fbeta", _checked(beta), **config)


def jaccard_score_metric(**config: Any) -> Metric:
    """The metric of `jaccard_score`."""
    return class_ratio("jaccard", **config)


def _checked(beta: float | int) -> float | int:
    if not require_number(beta, "beta") >= 0:
        raise ValueError(f"beta must be 0 or more, not {beta!r}")
    return beta


def f1_score(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    average: Average | None = "binary",
    positive_class: int = 1,
    num_classes: int | None = None,
    num_labels: int | None = None,
    zero_division: ZeroDivision = 0.0,
    absent: Absent | None = None,
    ignore_index: int | None = None,
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
        num_labels: as in `precision_score`.
        zero_division: the value of 0 / 0: 0, 1 or nan. nan is left out of means. "warn": 0, and
            of concrete rows an `UndefinedMetricWarning` if there is one.
        absent: whether means "skip" or "count" classes that occur in neither list. None: classes
            are skipped, labels of rows of several counted.
        ignore_index: rows with this true label are as good as absent; of rows of several, the
            labels with it.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar, or without average one per class or label, in [0, 1]; best 1. Undefined where the
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
    metric = class_ratio(
        "f1", 1.0, average, positive_class, num_classes, num_labels, zero_division, absent,
        ignore_index,
    )  # fmt: skip
    warns = zero_division == "warn"
    return call(metric, y_true, y_pred, weight, axis_name, warns=warns)


def fbeta_score(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    beta: float | int,
    weight: Vector | None = None,
    average: Average | None = "binary",
    positive_class: int = 1,
    num_classes: int | None = None,
    num_labels: int | None = None,
    zero_division: ZeroDivision = 0.0,
    absent: Absent | None = None,
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """F-beta: (1 + b^2) TP / ((1 + b^2) TP + FP + b^2 FN), recall weighing b times as much.

    The harmonic mean of precision, of weight 1, and recall, of weight b^2.

    Args:
        y_true: reference labels, shape (n,), integers or booleans.
        y_pred: predicted labels, shape (n,), integers or booleans.
        beta: how many times as important recall is: 1 gives F1, 0 precision, inf recall.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        average: as in `precision_score`.
        positive_class: the class of "binary".
        num_classes: as in `precision_score`.
        num_labels: as in `precision_score`.
        zero_division: the value of 0 / 0: 0, 1 or nan. nan is left out of means. "warn": 0, and
            of concrete rows an `UndefinedMetricWarning` if there is one.
        absent: whether means "skip" or "count" classes that occur in neither list. None: classes
            are skipped, labels of rows of several counted.
        ignore_index: rows with this true label are as good as absent; of rows of several, the
            labels with it.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar, or without average one per class or label, in [0, 1]; best 1. Undefined where the
        class occurs in neither list (beta 0: nothing was predicted as it; inf: no true row is
        of it): `zero_division`.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete labels outside the classes
            (under tracing these give nan); an option that is none of its choices; a
            negative or nan beta.
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import fbeta_score
        >>> round(float(fbeta_score([0, 1, 1, 0], [1, 1, 1, 0], beta=2)), 4)
        0.9091

    Source: the definition of `sklearn.metrics.fbeta_score`.
    """
    metric = class_ratio(
        "fbeta", _checked(beta), average, positive_class, num_classes, num_labels, zero_division,
        absent, ignore_index,
    )  # fmt: skip
    warns = zero_division == "warn"
    return call(metric, y_true, y_pred, weight, axis_name, warns=warns)


def jaccard_score(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    average: Average | None = "binary",
    positive_class: int = 1,
    num_classes: int | None = None,
    num_labels: int | None = None,
    zero_division: ZeroDivision = 0.0,
    absent: Absent | None = None,
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Jaccard index: TP / (TP + FP + FN), also intersection over union.

    Args:
        y_true: reference labels, shape (n,), integers or booleans.
        y_pred: predicted labels, shape (n,), integers or booleans.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        average: as in `precision_score`.
        positive_class: the class of "binary".
        num_classes: as in `precision_score`.
        num_labels: as in `precision_score`.
        zero_division: the value of 0 / 0: 0, 1 or nan. nan is left out of means. "warn": 0, and
            of concrete rows an `UndefinedMetricWarning` if there is one.
        absent: whether means "skip" or "count" classes that occur in neither list. None: classes
            are skipped, labels of rows of several counted.
        ignore_index: rows with this true label are as good as absent; of rows of several, the
            labels with it.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar, or without average one per class or label, in [0, 1]; best 1. Undefined where the
        class occurs in neither list: `zero_division`.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete labels outside the classes
            (under tracing these give nan); an option that is none of its choices.
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import jaccard_score
        >>> round(float(jaccard_score([0, 1, 1, 0], [1, 1, 1, 0])), 4)
        0.6667

    Source: the definition of `sklearn.metrics.jaccard_score`.
    """
    metric = class_ratio(
        "jaccard", 1.0, average, positive_class, num_classes, num_labels, zero_division, absent,
        ignore_index,
    )  # fmt: skip
    warns = zero_division == "warn"
    return call(metric, y_true, y_pred, weight, axis_name, warns=warns)
