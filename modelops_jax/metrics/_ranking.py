"""Scores of how well numbers rank the rows."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from modelops_jax._option_types import require_integer, require_number

from ._call import call
from ._class_areas import AbsentClass, ClassAreas, ClassScoreRows
from ._finalizers import AveragePrecision, PairArea, PartialArea
from ._ignored import as_ignored, as_integer
from ._label_areas import AverageOfScoredLabels, label_areas
from ._metric import Metric
from ._scores import ScoreRows
from ._types import Matrix, Value, Vector

AverageOfClasses = Literal["macro", "weighted", "micro"]
MultiClass = Literal["ovr", "ovo"]


def roc_auc_score_metric(
    *,
    num_classes: int | None = None,
    multi_class: MultiClass | str = "ovr",
    average: AverageOfClasses | str | None = "macro",
    absent: AbsentClass | str = "nan",
    max_fpr: float | int | None = None,
    num_labels: int | None = None,
    ignore_index: int | None = None,
) -> Metric:
    """The metric of `roc_auc_score`."""
    name, ignored = "roc_auc_score", as_ignored(ignore_index)
    if num_labels is not None:
        others = {"num_classes": num_classes, "max_fpr": max_fpr}
        others["multi_class"] = None if multi_class == "ovr" else multi_class
        _refuse_with_labels(num_labels, others)
        return label_areas(name, "area", num_labels, average, absent, ignored)
    if max_fpr is not None and not 0 < require_number(max_fpr, "max_fpr") <= 1:
        raise ValueError(f"max_fpr must be above 0 and at most 1, not {max_fpr!r}")
    if num_classes is not None:
        if max_fpr is not None:
            raise ValueError("max_fpr is for two classes; leave out num_classes")
        if multi_class not in get_args(MultiClass):
            raise ValueError(
                f"multi_class must be one of {get_args(MultiClass)}, not {multi_class!r}"
            )
        if multi_class == "ovo" and average == "micro":
            raise ValueError("average='micro' is for multi_class='ovr': pairs share no scores")
        rows = _rows_of_classes(num_classes, ignored)
        return Metric(name, (rows,), _areas("area", multi_class, average, absent))
    if max_fpr is None or max_fpr == 1:
        return Metric(name, (ScoreRows(ignored),), PairArea())
    return Metric(name, (ScoreRows(ignored),), PartialArea(float(max_fpr)))


def _rows_of_classes(num_classes: int, ignored: int | None) -> ClassScoreRows:
    if require_integer(num_classes, "num_classes") < 2:
        raise ValueError(f"num_classes must be at least 2, not {num_classes!r}")
    return ClassScoreRows(num_classes, ignored)


def _refuse_with_labels(num_labels: int, options: Mapping[str, Any]) -> None:
    """Refuse what is for rows of one label each (ValueError)."""
    as_integer(num_labels, "num_labels")
    for option, value in options.items():
        if value is not None:
            raise ValueError(
                f"{option}={value!r} is for rows of one label each and num_labels={num_labels} for "
                "rows of several: pass one of the two"
            )


def _areas(of: str, against: str, average: str | None, absent: str) -> ClassAreas:
    if average is not None and average not in get_args(AverageOfClasses):
        raise ValueError(
            f"average must be one of {get_args(AverageOfClasses)} or None, not {average!r}"
        )
    if absent not in get_args(AbsentClass):
        raise ValueError(f"absent must be one of {get_args(AbsentClass)}, not {absent!r}")
    return ClassAreas(of, against, average, absent)


def roc_auc_score(
    y_true: Vector | Matrix,
    y_score: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_classes: int | None = None,
    multi_class: MultiClass | str = "ovr",
    average: AverageOfClasses | AverageOfScoredLabels | str | None = "macro",
    absent: AbsentClass | str = "nan",
    max_fpr: float | int | None = None,
    num_labels: int | None = None,
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Exact area under the ROC curve.

    The chance that a positive row's score is above a negative row's, ties counting one half.
    Only the order of the scores matters, so logits serve as well as probabilities. Its state is
    the rows themselves: memory grows with them, and `axis_name` gathers them on every device.

    With `num_classes` the labels are classes, and every class has a column of scores. One against
    the rest ("ovr") ranks the rows by a class's scores, its own rows being the positives; one
    against one ("ovo") takes the rows of two classes only, and the mean of the areas by the
    scores of either.

    Args:
        y_true: labels, shape (n,), booleans or integers 0 and 1; with `num_classes` integers from
            0 to num_classes - 1.
        y_score: scores, shape (n,), higher meaning more likely positive; with `num_classes` of
            shape (n, num_classes).
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        num_classes: None for two classes and one score a row.
        multi_class: with `num_classes`, "ovr" or "ovo".
        average: with `num_classes`, "macro" (mean over the classes or pairs), "weighted" (by
            their rows), "micro" ("ovr" only: all cells of the score matrix ranked together) or
            None (the areas themselves).
        absent: what an area without rows of either side does to a mean: "nan" makes it nan,
            "skip" leaves the area out.
        max_fpr: only the curve up to this false positive rate, in (0, 1], standardised by McClish:
            1 - lost / (2 - max_fpr), where lost is the share of that strip above the curve.
        num_labels: if given, y_true has shape (n, num_labels), 0 or 1 (booleans) for each of the
            labels that a row may have, and y_score a score for each: labels stand in the place of
            classes above. `average` may be "samples", too: the mean over rows of the value that
            ranks the labels of each.
        ignore_index: rows with this true label are as good as absent, whatever was predicted; of
            rows of several, the labels with it.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1]; best 1, chance 0.5. nan unless both classes occur. Without an average
        of classes shape (num_classes,), for pairs (num_classes (num_classes - 1) / 2,), in the
        order (0, 1), (0, 2), ..., (1, 2), ...

    Raises:
        ValueError: shapes that differ or do not fit; options that are none of their choices;
            concrete labels outside the classes or scores that are not finite (under tracing these
            give nan).
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import roc_auc_score
        >>> float(roc_auc_score([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]))
        0.75
        >>> scores = [[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.3, 0.4, 0.3], [0.4, 0.3, 0.3]]
        >>> round(float(roc_auc_score([0, 1, 2, 2], scores, num_classes=3)), 4)
        0.9167

    Source: Hanley and McNeil, "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve", Radiology 143, 1982. Hand and Till, "A simple generalisation of
    the area under the ROC curve for multiple class classification problems", Machine Learning 45,
    2001. McClish, "Analyzing a portion of the ROC curve", Medical Decision Making 9, 1989.
    """
    metric = roc_auc_score_metric(
        num_classes=num_classes,
        multi_class=multi_class,
        average=average,
        absent=absent,
        max_fpr=max_fpr,
        num_labels=num_labels,
        ignore_index=ignore_index,
    )
    return call(metric, y_true, y_score, weight, axis_name)


def average_precision_score_metric(
    *,
    num_classes: int | None = None,
    average: AverageOfClasses | str | None = "macro",
    absent: AbsentClass | str = "nan",
    num_labels: int | None = None,
    ignore_index: int | None = None,
) -> Metric:
    """The metric of `average_precision_score`."""
    name, ignored = "average_precision_score", as_ignored(ignore_index)
    if num_labels is not None:
        _refuse_with_labels(num_labels, {"num_classes": num_classes})
        return label_areas(name, "precision", num_labels, average, absent, ignored)
    if num_classes is None:
        return Metric(name, (ScoreRows(ignored),), AveragePrecision())
    rows = _rows_of_classes(num_classes, ignored)
    return Metric(name, (rows,), _areas("precision", "ovr", average, absent))


def average_precision_score(
    y_true: Vector | Matrix,
    y_score: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_classes: int | None = None,
    average: AverageOfClasses | AverageOfScoredLabels | str | None = "macro",
    absent: AbsentClass | str = "nan",
    num_labels: int | None = None,
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Average precision: the area under the precision-recall curve as a step function.

    The mean over positive rows of the precision of predicting positive from that row's score up;
    rows of one score are predicted together. Only the order of the scores matters. Its state is
    the rows themselves: memory grows with them, and `axis_name` gathers them on every device.

    Args:
        y_true: labels, shape (n,), booleans or integers 0 and 1; with `num_classes` integers from
            0 to num_classes - 1.
        y_score: scores, shape (n,), higher meaning more likely positive; with `num_classes` of
            shape (n, num_classes), each class's rows being the positives by its column.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        num_classes: None for two classes and one score a row.
        average: with `num_classes`, "macro" (mean over the classes), "weighted" (by their rows),
            "micro" (all cells of the score matrix ranked together) or None (every class's).
        absent: what a class without rows does to a mean: "nan" makes it nan, "skip" leaves the
            class out.
        num_labels: if given, y_true has shape (n, num_labels), 0 or 1 (booleans) for each of the
            labels that a row may have, and y_score a score for each: labels stand in the place of
            classes above. `average` may be "samples", too: the mean over rows of the value that
            ranks the labels of each.
        ignore_index: rows with this true label are as good as absent, whatever was predicted; of
            rows of several, the labels with it.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1], or shape (num_classes,); best 1, chance the share of positive rows.
        nan without positive rows.

    Raises:
        ValueError: shapes that differ or do not fit; options that are none of their choices;
            concrete labels outside the classes or scores that are not finite (under tracing these
            give nan).
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import average_precision_score
        >>> round(float(average_precision_score([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])), 4)
        0.8333

    Source: Zhu, "Recall, precision and average precision", University of Waterloo, 2004.
    """
    metric = average_precision_score_metric(
        num_classes=num_classes,
        average=average,
        absent=absent,
        num_labels=num_labels,
        ignore_index=ignore_index,
    )
    return call(metric, y_true, y_score, weight, axis_name)
