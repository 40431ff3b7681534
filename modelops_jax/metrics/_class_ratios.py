"""Ratios of the counts of one class: precision, recall and specificity, and how to average them."""

import math
from typing import Any, get_args

from ._call import call
from ._classification import confusion, label_counts, matches, one_vs_rest
from ._count_finalizers import Absent, Average, ClassRatio, MatchShare, SampleMean
from ._ignored import as_integer
from ._label_rows import LabelCounts, LabelRowMean, SampleDefined, SampleRatio
from ._metric import Metric
from ._ratio import Quantity
from ._types import Matrix, Value, Vector

ZeroDivision = float | int | str


def precision_score_metric(**config: Any) -> Metric:
    """The metric of `precision_score`."""
    return class_ratio("precision", **config)


def recall_score_metric(**config: Any) -> Metric:
    """The metric of `recall_score`."""
    return class_ratio("recall", **config)


def specificity_score_metric(**config: Any) -> Metric:
    """The metric of `specificity_score`."""
    return class_ratio("specificity", **config)


def class_ratio(
    quantity: Quantity,
    beta: float | int = 1.0,
    /,
    average: str | None = "binary",
    positive_class: int = 1,
    num_classes: int | None = None,
    num_labels: int | None = None,
    zero_division: ZeroDivision = 0.0,
    absent: str | None = None,
    ignore_index: int | None = None,
) -> Metric:
    """The metric of a ratio of class counts, over the smallest statistic that has them.

    Raises:
        ValueError: an option that is none of its choices.
        TypeError: a class that is no integer.
    """
    name = f"{quantity}_score"
    if average is not None and average not in get_args(Average):
        raise ValueError(f"average must be one of {get_args(Average)} or None, not {average!r}")
    if absent is not None and absent not in get_args(Absent):
        raise ValueError(f"absent must be one of {get_args(Absent)} or None, not {absent!r}")
    zero_division = _number(zero_division)
    positive_class, beta = as_integer(positive_class, "positive_class"), float(beta)
    if num_labels is not None:
        counts = label_counts(num_labels, num_classes, ignore_index)
        return _label_ratio(counts, quantity, beta, average, zero_division, absent or "count")
    if average == "samples":
        raise ValueError("average='samples' needs num_labels, the number of labels of a row")
    absent = absent or "skip"
    if num_classes is None and average == "micro" and quantity != "specificity":
        # Of one label a row, micro-averaged precision, recall and F are the share that match.
        ratio = "jaccard" if quantity == "jaccard" else "equal"
        finalizer = MatchShare(ratio, "matches", zero_division)
        return Metric(name, (matches(ignore_index),), finalizer)
    if num_classes is None and average == "binary":
        finalizer = ClassRatio(quantity, beta, average, 1, zero_division, absent)
        return Metric(name, (one_vs_rest(positive_class, ignore_index),), finalizer)
    if num_classes is None:
        raise ValueError(
            f"average={average!r} needs num_classes, the number of classes (or num_labels, for "
            "rows of several labels)"
        )
    if average == "binary" and not 0 <= positive_class < num_classes:
        raise ValueError(
            f"positive_class must be in 0 to {num_classes - 1} (num_classes is {num_classes}), "
            f"not {positive_class!r}"
        )
    finalizer = ClassRatio(quantity, beta, average, positive_class, zero_division, absent)
    return Metric(name, (confusion(num_classes, ignore_index),), finalizer)


def _number(zero_division: ZeroDivision) -> float:
    if isinstance(zero_division, str):
        if zero_division != "warn":
            raise ValueError(f"zero_division must be 0, 1, nan or 'warn', not {zero_division!r}")
        return 0.0
    if not (math.isnan(zero_division) or zero_division in (0, 1)):
        raise ValueError(f"zero_division must be 0, 1, nan or 'warn', not {zero_division!r}")
    return float(zero_division)


def _label_ratio(
    counts: LabelCounts,
    quantity: Quantity,
    beta: float,
    average: str | None,
    zero_division: float,
    absent: str,
) -> Metric:
    """The metric of a ratio over the labels of rows of several."""
    name = f"{quantity}_score"
    if average == "binary":
        raise ValueError(
            "average='binary' is for rows of one label each; with num_labels expected 'micro', "
            "'macro', 'weighted', 'samples' or None"
        )
    if average != "samples":
        finalizer = ClassRatio(quantity, beta, average, 1, zero_division, absent, labels=True)
        return Metric(name, (counts,), finalizer)
    statistics = tuple(
        LabelRowMean(
            row(quantity, beta), num_labels=counts.num_labels, ignore_index=counts.ignore_index
        )
        for row in (SampleRatio, SampleDefined)
    )
    return Metric(name, statistics, SampleMean(zero_division))


def precision_score(
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
    """Precision: TP / (TP + FP), the share of rows predicted as a class that are of it.

    Args:
        y_true: reference labels, shape (n,), integers or booleans.
        y_pred: predicted labels, shape (n,), integers or booleans.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        average: "binary" (of `positive_class` against all others), "micro" (of all classes'
            counts together), "macro" (mean over classes), "weighted" (mean weighted by true
            rows), or None (one value per class). Of rows of several labels: not "binary"; the
            others over labels, or "samples" (mean over rows of the ratio of each row's labels).
        positive_class: the class of "binary".
        num_classes: classes are 0 to num_classes - 1. Needed by "macro", "weighted" and None;
            where given, other labels are invalid.
        num_labels: if given, y_true and y_pred have shape (n, num_labels), 0 or 1 (booleans) for
            each of the labels that a row may have.
        zero_division: the value of 0 / 0: 0, 1 or nan. nan is left out of means. "warn": 0, and
            of concrete rows an `UndefinedMetricWarning` if there is one.
        absent: whether means "skip" or "count" classes that occur in neither list. None: classes
            are skipped, labels of rows of several counted.
        ignore_index: rows with this true label are as good as absent; of rows of several, the
            labels with it.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar, or without average one per class or label, in [0, 1]; best 1. Undefined where
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
    metric = class_ratio(
        "precision", 1.0, average, positive_class, num_classes, num_labels, zero_division, absent,
        ignore_index,
    )  # fmt: skip
    warns = zero_division == "warn"
    return call(metric, y_true, y_pred, weight, axis_name, warns=warns)


def recall_score(
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
    """Recall: TP / (TP + FN), the share of rows of a class that are predicted as it.

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
        A scalar, or without average one per class or label, in [0, 1]; best 1. Undefined where no
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
    metric = class_ratio(
        "recall", 1.0, average, positive_class, num_classes, num_labels, zero_division, absent,
        ignore_index,
    )  # fmt: skip
    warns = zero_division == "warn"
    return call(metric, y_true, y_pred, weight, axis_name, warns=warns)


def specificity_score(
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
    """Specificity: TN / (TN + FP), the share of rows of other classes not predicted as the class.

    Its mean over classes is that of every class against all others; "weighted" weighs by the
    class's own true rows, as for recall.

    Args:
        y_true: reference labels, shape (n,), integers or booleans.
        y_pred: predicted labels, shape (n,), integers or booleans.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        average: as in `precision_score`.
        positive_class: the class of "binary".
        num_classes: as in `precision_score`, and needed by "micro" too.
        zero_division: the value of 0 / 0: 0, 1 or nan. nan is left out of means. "warn": 0, and
            of concrete rows an `UndefinedMetricWarning` if there is one.
        absent: whether means "skip" or "count" classes that occur in neither list. None: classes
            are skipped, labels of rows of several counted.
        ignore_index: rows with this true label are as good as absent; of rows of several, the
            labels with it.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar, or without average one per class or label, in [0, 1]; best 1. Undefined where all
        true rows are of the class: `zero_division`.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete labels outside the classes
            (under tracing these give nan); an option that is none of its choices.
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import specificity_score
        >>> float(specificity_score([0, 1, 1, 0], [1, 1, 0, 0]))
        0.5

    Source: Altman and Bland, "Diagnostic tests 1: sensitivity and specificity", BMJ, 1994.
    """
    metric = class_ratio(
        "specificity", 1.0, average, positive_class, num_classes, num_labels, zero_division, absent,
        ignore_index,
    )  # fmt: skip
    warns = zero_division == "warn"
    return call(metric, y_true, y_pred, weight, axis_name, warns=warns)
