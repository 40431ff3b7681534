"""ROUGE and SQuAD F1 from the lengths of texts and what they share: means over rows."""

from ._call import call
from ._finalizers import Mean
from ._metric import Metric
from ._overlap_counts import OverlapF1, OverlapMean
from ._types import Matrix, Value, Vector


def rouge_1_score_metric() -> Metric:
    """The metric of `rouge_1_score`."""
    return Metric("rouge_1_score", (OverlapMean(OverlapF1()),), Mean())


def rouge_2_score_metric() -> Metric:
    """The metric of `rouge_2_score`."""
    return Metric("rouge_2_score", (OverlapMean(OverlapF1(order=2), orders=(2,)),), Mean())


def rouge_l_score_metric() -> Metric:
    """The metric of `rouge_l_score`."""
    return Metric("rouge_l_score", (OverlapMean(OverlapF1()),), Mean())


def squad_f1_score_metric() -> Metric:
    """The metric of `squad_f1_score`."""
    return Metric("squad_f1_score", (OverlapMean(OverlapF1(of_nothing=1.0)),), Mean())


def rouge_1_score(
    y_true: Vector, y_pred: Matrix, *, weight: Vector | None = None, axis_name: str | None = None
) -> Value:
    """ROUGE-1: the mean over rows of F1 of the words shared, `2 shared / (reference + predicted)`.

    `modelops_jax.evaluation.rouge_1_metric` counts texts.

    Args:
        y_true: words of the reference, shape (n,).
        y_pred: shape (n, 2): words of the prediction, and how many of them are in the reference,
            each as often as it occurs there at most.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1]; best 1. A row without words on either side counts 0. nan of no rows.

    Raises:
        ValueError: shapes that do not fit; concrete lengths that are negative or not finite, or
            more words shared than predicted (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import rouge_1_score
        >>> round(float(rouge_1_score([6, 2], [[6, 5], [4, 0]])), 6)
        0.416667

    Source: Lin, "ROUGE: a package for automatic evaluation of summaries", 2004.
    """
    return call(rouge_1_score_metric(), y_true, y_pred, weight, axis_name)


def rouge_2_score(
    y_true: Vector, y_pred: Matrix, *, weight: Vector | None = None, axis_name: str | None = None
) -> Value:
    """ROUGE-2: the mean over rows of F1 of the pairs of neighbouring words that are shared.

    `modelops_jax.evaluation.rouge_2_metric` counts texts.

    Args:
        y_true: words of the reference, shape (n,); it has one pair less than words.
        y_pred: shape (n, 2): words of the prediction, and how many of its pairs are in the
            reference, each as often as it occurs there at most.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1]; best 1. A row without pairs on either side counts 0. nan of no rows.

    Raises:
        ValueError: shapes that do not fit; concrete lengths that are negative or not finite, or
            more pairs shared than predicted (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import rouge_2_score
        >>> float(rouge_2_score([6], [[6, 3]]))
        0.6

    Source: Lin, "ROUGE: a package for automatic evaluation of summaries", 2004.
    """
    return call(rouge_2_score_metric(), y_true, y_pred, weight, axis_name)


def rouge_l_score(
    y_true: Vector, y_pred: Matrix, *, weight: Vector | None = None, axis_name: str | None = None
) -> Value:
    """ROUGE-L: the mean over rows of F1 of the longest common subsequence of words.

    `modelops_jax.evaluation.rouge_l_metric` counts texts.

    Args:
        y_true: words of the reference, shape (n,).
        y_pred: shape (n, 2): words of the prediction, and the length of the longest sequence of
            words that both have in this order, with others between them or not.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1]; best 1. A row without words on either side counts 0. nan of no rows.

    Raises:
        ValueError: shapes that do not fit; concrete lengths that are negative or not finite, or
            more words shared than predicted (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import rouge_l_score
        >>> float(rouge_l_score([4, 4], [[4, 4], [4, 2]]))
        0.75

    Source: Lin, "ROUGE: a package for automatic evaluation of summaries", 2004, of one sentence a
    text, without the preference of recall that its F has for a large beta.
    """
    return call(rouge_l_score_metric(), y_true, y_pred, weight, axis_name)


def squad_f1_score(
    y_true: Vector, y_pred: Matrix, *, weight: Vector | None = None, axis_name: str | None = None
) -> Value:
    """SQuAD F1: the mean over rows of F1 of the words that answer and prediction share.

    `modelops_jax.evaluation.squad_f1_metric` normalises and counts texts.

    Args:
        y_true: words of the right answer, shape (n,).
        y_pred: shape (n, 2): words of the prediction, and how many of them are in the answer, each
            as often as it occurs there at most.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1]; best 1. Of rows without words on either side 1 (no answer is right),
        on one side 0. nan of no rows.

    Raises:
        ValueError: shapes that do not fit; concrete lengths that are negative or not finite, or
            more words shared than predicted (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import squad_f1_score
        >>> float(squad_f1_score([3, 0], [[1, 1], [0, 0]]))
        0.75

    Source: Rajpurkar et al., "SQuAD: 100,000+ questions for machine comprehension of text", 2016,
    and "Know what you don't know", 2018, for answers without words.
    """
    return call(squad_f1_score_metric(), y_true, y_pred, weight, axis_name)
