"""Errors of predicted numbers relative to their size."""

from ._call import call
from ._finalizers import Mean
from ._metric import Metric
from ._row_functions import (
    Domain,
    percentage_error,
    squared_log_error,
    symmetric_percentage_error,
)
from ._rowwise import RowMean
from ._types import Value, Vector

_AMOUNTS = Domain("non-negative", "non-negative")


def mean_absolute_percentage_error_metric() -> Metric:
    """The metric of `mean_absolute_percentage_error`."""
    return Metric("mean_absolute_percentage_error", (RowMean(percentage_error),), Mean())


def symmetric_mean_absolute_percentage_error_metric() -> Metric:
    """The metric of `symmetric_mean_absolute_percentage_error`."""
    return Metric(
        "symmetric_mean_absolute_percentage_error", (RowMean(symmetric_percentage_error),), Mean()
    )


def mean_squared_log_error_metric() -> Metric:
    """The metric of `mean_squared_log_error`."""
    return Metric("mean_squared_log_error", (RowMean(squared_log_error, _AMOUNTS),), Mean())


def root_mean_squared_log_error_metric() -> Metric:
    """The metric of `root_mean_squared_log_error`."""
    return Metric(
        "root_mean_squared_log_error", (RowMean(squared_log_error, _AMOUNTS),), Mean(root=True)
    )


def mean_absolute_percentage_error(
    y_true: Vector,
    y_pred: Vector,
    *,
    weight: Vector | None = None,
    axis_name: str | None = None,
) -> Value:
    """Mean of `|y_true - y_pred| / |y_true|`, as a fraction: 1 means 100 %.

    A `|y_true|` below 2**-52 counts as 2**-52, so that a wrong prediction of 0 weighs some 1e15.

    Args:
        y_true: reference values, shape (n,), floats or integers.
        y_pred: predicted values, shape (n,).
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, inf); best 0. nan of no rows.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete values that are not finite
            (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import mean_absolute_percentage_error
        >>> value = mean_absolute_percentage_error([3.0, 0.5, 2.0], [2.5, 1.0, 2.0])
        >>> round(float(value), 6)
        0.388889

    Source: the definition of `sklearn.metrics.mean_absolute_percentage_error`.
    """
    return call(mean_absolute_percentage_error_metric(), y_true, y_pred, weight, axis_name)


def symmetric_mean_absolute_percentage_error(
    y_true: Vector,
    y_pred: Vector,
    *,
    weight: Vector | None = None,
    axis_name: str | None = None,
) -> Value:
    """Mean of `2 |y_true - y_pred| / (|y_true| + |y_pred|)`, as a fraction.

    A row in which both are 0 counts 0.

    Args:
        y_true: reference values, shape (n,), floats or integers.
        y_pred: predicted values, shape (n,).
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 2]; best 0. nan of no rows.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete values that are not finite
            (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import symmetric_mean_absolute_percentage_error
        >>> value = symmetric_mean_absolute_percentage_error([3.0, 0.5, 2.0], [2.5, 1.0, 2.0])
        >>> round(float(value), 6)
        0.282828

    Source: Makridakis, "Accuracy measures: theoretical and practical concerns", International
    Journal of Forecasting 9, 1993.
    """
    return call(
        symmetric_mean_absolute_percentage_error_metric(), y_true, y_pred, weight, axis_name
    )


def mean_squared_log_error(
    y_true: Vector,
    y_pred: Vector,
    *,
    weight: Vector | None = None,
    axis_name: str | None = None,
) -> Value:
    """Mean of `log((1 + y_true) / (1 + y_pred)) ** 2`.

    Args:
        y_true: reference values, shape (n,), non-negative.
        y_pred: predicted values, shape (n,), non-negative.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, inf); best 0. nan of no rows.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete values that are negative
            or not finite (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import mean_squared_log_error
        >>> value = mean_squared_log_error([3.0, 0.5, 2.0], [2.5, 1.0, 2.0])
        >>> round(float(value), 6)
        0.033531

    Source: the definition of `sklearn.metrics.mean_squared_log_error`.
    """
    return call(mean_squared_log_error_metric(), y_true, y_pred, weight, axis_name)


def root_mean_squared_log_error(
    y_true: Vector,
    y_pred: Vector,
    *,
    weight: Vector | None = None,
    axis_name: str | None = None,
) -> Value:
    """Root of the mean squared logarithmic error.

    Args:
        y_true: reference values, shape (n,), non-negative.
        y_pred: predicted values, shape (n,), non-negative.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, inf); best 0. nan of no rows. Its gradient at a perfect fit is 0.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete values that are negative
            or not finite (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import root_mean_squared_log_error
        >>> value = root_mean_squared_log_error([3.0, 0.5, 2.0], [2.5, 1.0, 2.0])
        >>> round(float(value), 6)
        0.183113

    Source: the definition of `sklearn.metrics.root_mean_squared_log_error`.
    """
    return call(root_mean_squared_log_error_metric(), y_true, y_pred, weight, axis_name)
