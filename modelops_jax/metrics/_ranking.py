"""Scores of how well numbers rank the rows."""

from ._call import call
from ._finalizers import AveragePrecision, PairArea
from ._metric import Metric
from ._scores import ScoreRows
from ._types import Value, Vector


def roc_auc_score_metric() -> Metric:
    """The metric of `roc_auc_score`."""
    return Metric("roc_auc_score", (ScoreRows(),), PairArea())


def roc_auc_score(
    y_true: Vector, y_score: Vector, *, weight: Vector | None = None, axis_name: str | None = None
) -> Value:
    """Exact area under the ROC curve.

    The chance that a positive row's score is above a negative row's, ties counting one half.
    Only the order of the scores matters, so logits serve as well as probabilities. Its state is
    the rows themselves: memory grows with them, and `axis_name` gathers them on every device.

    Args:
        y_true: labels, shape (n,), booleans or integers 0 and 1.
        y_score: scores, shape (n,), higher meaning more likely positive.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1]; best 1, chance 0.5. nan unless both classes occur.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete labels other than 0 and 1
            or scores that are not finite (under tracing these give nan).
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import roc_auc_score
        >>> float(roc_auc_score([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]))
        0.75

    Source: Hanley and McNeil, "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve", Radiology 143, 1982.
    """
    return call(roc_auc_score_metric(), y_true, y_score, weight, axis_name)


def average_precision_score_metric() -> Metric:
    """The metric of `average_precision_score`."""
    return Metric("average_precision_score", (ScoreRows(),), AveragePrecision())


def average_precision_score(
    y_true: Vector, y_score: Vector, *, weight: Vector | None = None, axis_name: str | None = None
) -> Value:
    """Average precision: the area under the precision-recall curve as a step function.

    The mean over positive rows of the precision of predicting positive from that row's score up;
    rows of one score are predicted together. Only the order of the scores matters. Its state is
    the rows themselves: memory grows with them, and `axis_name` gathers them on every device.

    Args:
        y_true: labels, shape (n,), booleans or integers 0 and 1.
        y_score: scores, shape (n,), higher meaning more likely positive.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1]; best 1, chance the share of positive rows. nan without positive rows.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete labels other than 0 and 1
            or scores that are not finite (under tracing these give nan).
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import average_precision_score
        >>> round(float(average_precision_score([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])), 4)
        0.8333

    Source: Zhu, "Recall, precision and average precision", University of Waterloo, 2004.
    """
    return call(average_precision_score_metric(), y_true, y_score, weight, axis_name)
