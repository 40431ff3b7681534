"""Discounted cumulative gain of rankings by query."""

from ._call import call
from ._group_finalizers import Gain, NormalizedGain, group_metric
from ._metric import Metric
from ._types import Value, Vector


def dcg_score_metric(k: int | None = None) -> Metric:
    """The metric of `dcg_score`."""
    return group_metric("dcg_score", Gain(k))


def dcg_score(
    y_true: Vector,
    y_pred: Vector,
    groups: Vector,
    *,
    k: int | None = None,
    weight: Vector | None = None,
    axis_name: str | None = None,
) -> Value:
    """Discounted cumulative gain: the mean over queries of Σ relevance / log2(rank + 1).

    The gain of a row is its relevance itself; for the exponential gain pass `2 ** relevance - 1`.
    Rows of one score are taken in every order, and the mean is reported.
    The state is the rows themselves: memory grows with them.

    Args:
        y_true: relevance, shape (n,), non-negative numbers or booleans.
        y_pred: scores, shape (n,), higher meaning earlier in the ranking.
        groups: the id of the row's query, shape (n,), any integers. The rows of a query may come
            in any order.
        k: how many ranks count, at least 1; None: all.
        weight: None, a boolean mask, or non-negative numbers, shape (n,): the weight of the
            row's query, the same for all its rows but those of weight 0, which are absent.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, inf). Higher is better; nan without rows.

    Raises:
        ValueError: shapes that differ or are not one axis, or a k below 1; concrete relevance
            that is negative or not finite, scores that are not finite, or a query of two weights
            (under tracing these give nan).
        TypeError: groups that are not integers.

    Example:
        >>> from modelops_jax.metrics import dcg_score
        >>> round(float(dcg_score([3, 0, 1, 2], [0.1, 0.9, 0.5, 0.7], [7, 7, 8, 8])), 4)
        2.2619

    Source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM
    Transactions on Information Systems 20, 2002; ties as in McSherry and Najork, ECIR 2008.
    """
    return call(dcg_score_metric(k), y_true, y_pred, weight, axis_name, groups)


def ndcg_score_metric(k: int | None = None) -> Metric:
    """The metric of `ndcg_score`."""
    return group_metric("ndcg_score", NormalizedGain(k))


def ndcg_score(
    y_true: Vector,
    y_pred: Vector,
    groups: Vector,
    *,
    k: int | None = None,
    weight: Vector | None = None,
    axis_name: str | None = None,
) -> Value:
    """Normalized discounted cumulative gain: the mean over queries of DCG / DCG of the best order.

    DCG is Σ relevance / log2(rank + 1) over the first k ranks (`dcg_score`).
    Rows of one score are taken in every order, and the mean is reported.
    The state is the rows themselves: memory grows with them.

    Args:
        y_true: relevance, shape (n,), non-negative numbers or booleans; above 0 is relevant.
        y_pred: scores, shape (n,), higher meaning earlier in the ranking.
        groups: the id of the row's query, shape (n,), any integers. The rows of a query may come
            in any order.
        k: how many ranks count, at least 1; None: all.
        weight: None, a boolean mask, or non-negative numbers, shape (n,): the weight of the
            row's query, the same for all its rows but those of weight 0, which are absent.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1];. best 1. A query without a relevant row has none and is left out;
        nan if there is no other.

    Raises:
        ValueError: shapes that differ or are not one axis, or a k below 1; concrete relevance
            that is negative or not finite, scores that are not finite, or a query of two weights
            (under tracing these give nan).
        TypeError: groups that are not integers.

    Example:
        >>> from modelops_jax.metrics import ndcg_score
        >>> round(float(ndcg_score([3, 0, 1, 2], [0.1, 0.9, 0.5, 0.7], [7, 7, 8, 8])), 4)
        0.8155

    Source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM
    Transactions on Information Systems 20, 2002; ties as in McSherry and Najork, ECIR 2008.
    """
    return call(ndcg_score_metric(k), y_true, y_pred, weight, axis_name, groups)
