"""Scores (higher is better) and losses (lower is better) of scores or probabilities of classes."""

from typing import Any

from ._call import call
from ._class_rows import (
    ClassRowMean,
    cross_entropy,
    negative_log_probability,
    squared_distance,
    squared_distance_of_logits,
)
from ._classification import label_counts
from ._finalizers import Mean
from ._ignored import as_ignored
from ._label_finalizers import AverageOfLabels, refuse_average, require_average_of_labels
from ._label_scores import LabelMean, LabelScoreSums
from ._metric import Metric
from ._row_functions import RowFunction
from ._types import Matrix, Value, Vector


def log_loss_metric(*, from_logits: bool = False, **config: Any) -> Metric:
    """The metric of `log_loss`."""
    row = cross_entropy if from_logits else negative_log_probability
    return _mean_of(row, "log_loss", from_logits, **config)


def brier_score_loss_metric(*, from_logits: bool = False, **config: Any) -> Metric:
    """The metric of `brier_score_loss`."""
    row = squared_distance_of_logits if from_logits else squared_distance
    return _mean_of(row, "brier_score_loss", from_logits, **config)


def _mean_of(
    row: RowFunction,
    name: str,
    from_logits: bool,
    /,
    num_labels: int | None = None,
    average: str | None = "macro",
    ignore_index: int | None = None,
) -> Metric:
    ignored = as_ignored(ignore_index)
    if num_labels is None:
        refuse_average(name, average)
        statistic = ClassRowMean(row, probabilities=not from_logits, ignore_index=ignored)
        return Metric(name, (statistic,), Mean())
    require_average_of_labels(average)
    labels = label_counts(num_labels).num_labels
    return Metric(
        name, (LabelScoreSums(row, labels, not from_logits, ignored),), LabelMean(average)
    )


def log_loss(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    from_logits: bool = False,
    num_labels: int | None = None,
    average: AverageOfLabels | str | None = "macro",
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Log loss, or cross entropy: the weighted mean of -log p of the label's class.

    Args:
        y_true: reference labels, shape (n,), integers in 0 to c - 1.
        y_pred: probabilities, shape (n, c), a column per class and each row summing to 1; or of
            class 1 of two, shape (n,).
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        from_logits: y_pred holds logits, whose softmax (of shape (n,): sigmoid) is the
            probability. Never guessed.
        num_labels: if given, y_true and y_pred have shape (n, num_labels): 0 or 1 (booleans) for
            each of the labels that a row may have, and the probability of each, which need not
            sum to 1 (the sigmoid of each logit).
        average: with `num_labels`, "micro" (all entries together), "macro" (mean over labels),
            "weighted" (by their true rows) or None (one value per label).
        ignore_index: rows with this true label are as good as absent, whatever was predicted; of
            rows of several, the labels with it.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, inf], in nats; best 0. inf where a label has probability 0, which is not
        clipped. nan of no rows. Without an average of labels shape (num_labels,).

    Raises:
        ValueError: shapes that do not fit; concrete labels outside the classes, and rows that are
            no probabilities: outside 0 to 1, or with a sum that differs from 1 by more than the
            square root of their precision (under tracing these give nan).
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import log_loss
        >>> round(float(log_loss([1, 0, 2], [[0.2, 0.7, 0.1], [0.6, 0.2, 0.2], [0, 0, 1]])), 6)
        0.289167

    Source: Good, "Rational decisions", Journal of the Royal Statistical Society B, 1952.
    """
    metric = log_loss_metric(
        from_logits=from_logits, num_labels=num_labels, average=average, ignore_index=ignore_index
    )
    return call(metric, y_true, y_pred, weight, axis_name)


def brier_score_loss(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    from_logits: bool = False,
    num_labels: int | None = None,
    average: AverageOfLabels | str | None = "macro",
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Brier score: the weighted mean of the squared distance of probabilities and outcome.

    Of shape (n,) the mean of `(p - y)^2`; of shape (n, c) that of the sum over classes, halved
    where there are two, so that both forms of the binary case agree.

    Args:
        y_true: reference labels, shape (n,), integers in 0 to c - 1.
        y_pred: probabilities, shape (n, c), a column per class and each row summing to 1; or of
            class 1 of two, shape (n,).
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        from_logits: y_pred holds logits, whose softmax (of shape (n,): sigmoid) is the
            probability. Never guessed.
        num_labels: if given, y_true and y_pred have shape (n, num_labels): 0 or 1 (booleans) for
            each of the labels that a row may have, and the probability of each, which need not
            sum to 1 (the sigmoid of each logit).
        average: with `num_labels`, "micro" (all entries together), "macro" (mean over labels),
            "weighted" (by their true rows) or None (one value per label).
        ignore_index: rows with this true label are as good as absent, whatever was predicted; of
            rows of several, the labels with it.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1], of more than two classes in [0, 2]; best 0. nan of no rows.
        Without an average of labels shape (num_labels,).

    Raises:
        ValueError: shapes that do not fit; concrete labels outside the classes, and rows that are
            no probabilities: outside 0 to 1, or with a sum that differs from 1 by more than the
            square root of their precision (under tracing these give nan).
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import brier_score_loss
        >>> round(float(brier_score_loss([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3])), 6)
        0.0375

    Source: Brier, "Verification of forecasts expressed in terms of probability", 1950.
    """
    metric = brier_score_loss_metric(
        from_logits=from_logits, num_labels=num_labels, average=average, ignore_index=ignore_index
    )
    return call(metric, y_true, y_pred, weight, axis_name)
