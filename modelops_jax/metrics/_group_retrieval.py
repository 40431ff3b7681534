"""Retrieval metrics of rankings by query: what the first ranks hold."""

from ._call import call
from ._group_finalizers import (
    HitRate,
    MeanPrecision,
    Precision,
    Recall,
    ReciprocalRank,
    group_metric,
)
from ._metric import Metric
from ._types import Value, Vector


def mean_reciprocal_rank_metric(k: int | None = None) -> Metric:
    """The metric of `mean_reciprocal_rank`."""
    return group_metric("mean_reciprocal_rank", ReciprocalRank(k))


def mean_reciprocal_rank(
    y_true: Vector,
    y_pred: Vector,
    groups: Vector,
    *,
    k: int | None = None,
    weight: Vector | None = None,
    axis_name: str | None = None,
) -> Value:
    """Mean reciprocal rank: the mean over queries of 1 / rank of the first relevant row.

    A query whose first relevant row is below rank k counts 0. Rows of one score are taken in every
    order, and the mean is reported.
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
        >>> from modelops_jax.metrics import mean_reciprocal_rank
        >>> round(float(mean_reciprocal_rank([3, 0, 1, 2], [0.1, 0.9, 0.5, 0.7], [7, 7, 8, 8])), 4)
        0.75

    Source: McSherry and Najork, "Computing information retrieval performance measures efficiently
    in the presence of tied scores", ECIR 2008.
    """
    return call(mean_reciprocal_rank_metric(k), y_true, y_pred, weight, axis_name, groups)


def mean_average_precision_metric(k: int | None = None) -> Metric:
    """The metric of `mean_average_precision`."""
    return group_metric("mean_average_precision", MeanPrecision(k))


def mean_average_precision(
    y_true: Vector,
    y_pred: Vector,
    groups: Vector,
    *,
    k: int | None = None,
    weight: Vector | None = None,
    axis_name: str | None = None,
) -> Value:
    """Mean average precision: the mean over queries of the precision at their relevant ranks.

    For each query Σ precision at rank i over the relevant ranks i up to k, divided by the most
    that k ranks could hold, min(k, relevant rows). Rows of one score are taken in every
    order, and the mean is reported.
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
        >>> from modelops_jax.metrics import mean_average_precision
        >>> float(mean_average_precision([3, 0, 1, 2], [0.1, 0.9, 0.5, 0.7], [7, 7, 8, 8]))
        0.75

    Source: McSherry and Najork, "Computing information retrieval performance measures efficiently
    in the presence of tied scores", ECIR 2008.
    """
    return call(mean_average_precision_metric(k), y_true, y_pred, weight, axis_name, groups)


def precision_at_k_metric(k: int | None = None) -> Metric:
    """The metric of `precision_at_k`."""
    return group_metric("precision_at_k", Precision(k))


def precision_at_k(
    y_true: Vector,
    y_pred: Vector,
    groups: Vector,
    *,
    k: int | None = None,
    weight: Vector | None = None,
    axis_name: str | None = None,
) -> Value:
    """Precision at k: the mean over queries of relevant rows in the first k ranks / k.

    A query of fewer than k rows is divided by k all the same, and without k by its rows.
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
        A scalar in [0, 1];. best 1, where
        every query has k relevant rows. A query without a relevant row counts 0; nan without rows.

    Raises:
        ValueError: shapes that differ or are not one axis, or a k below 1; concrete relevance
            that is negative or not finite, scores that are not finite, or a query of two weights
            (under tracing these give nan).
        TypeError: groups that are not integers.

    Example:
        >>> from modelops_jax.metrics import precision_at_k
        >>> round(float(precision_at_k([3, 0, 1, 2], [0.1, 0.9, 0.5, 0.7], [7, 7, 8, 8], k=1)), 4)
        0.5

    Source: McSherry and Najork, "Computing information retrieval performance measures efficiently
    in the presence of tied scores", ECIR 2008.
    """
    return call(precision_at_k_metric(k), y_true, y_pred, weight, axis_name, groups)


def recall_at_k_metric(k: int | None = None) -> Metric:
    """The metric of `recall_at_k`."""
    return group_metric("recall_at_k", Recall(k))


def recall_at_k(
    y_true: Vector,
    y_pred: Vector,
    groups: Vector,
    *,
    k: int | None = None,
    weight: Vector | None = None,
    axis_name: str | None = None,
) -> Value:
    """Recall at k: the mean over queries of relevant rows in the first k ranks / relevant rows.

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
        >>> from modelops_jax.metrics import recall_at_k
        >>> round(float(recall_at_k([3, 0, 1, 2], [0.1, 0.9, 0.5, 0.7], [7, 7, 8, 8], k=1)), 4)
        0.25

    Source: McSherry and Najork, "Computing information retrieval performance measures efficiently
    in the presence of tied scores", ECIR 2008.
    """
    return call(recall_at_k_metric(k), y_true, y_pred, weight, axis_name, groups)


def hit_rate_at_k_metric(k: int | None = None) -> Metric:
    """The metric of `hit_rate_at_k`."""
    return group_metric("hit_rate_at_k", HitRate(k))


def hit_rate_at_k(
    y_true: Vector,
    y_pred: Vector,
    groups: Vector,
    *,
    k: int | None = None,
    weight: Vector | None = None,
    axis_name: str | None = None,
) -> Value:
    """Hit rate at k: the share of queries with a relevant row in the first k ranks.

    Rows of one score are taken in every order, and the mean is reported: a chance.
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
        >>> from modelops_jax.metrics import hit_rate_at_k
        >>> round(float(hit_rate_at_k([3, 0, 1, 2], [0.1, 0.9, 0.5, 0.7], [7, 7, 8, 8], k=1)), 4)
        0.5

    Source: McSherry and Najork, "Computing information retrieval performance measures efficiently
    in the presence of tied scores", ECIR 2008.
    """
    return call(hit_rate_at_k_metric(k), y_true, y_pred, weight, axis_name, groups)
