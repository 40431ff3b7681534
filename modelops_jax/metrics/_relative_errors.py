"""Errors of predicted numbers relative to their size."""

from ._call import call
from ._finalizers import Mean
from ._metric import Metric
from ._outputs import Multioutput, over_outputs
from ._row_functions import (
    Domain,
    percentage_error,
    squared_log_error,
    symmetric_percentage_error,
)
from ._rowwise import RowMean
from ._types import Matrix, Value, Vector

_AMOUNTS = Domain("non-negative", "non-negative")


def mean_absolute_percentage_error_metric(
    *,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
) -> Metric:
    """The metric of `mean_absolute_percentage_error`."""
    one = Metric("mean_absolute_percentage_error", (RowMean(percentage_error),), Mean())
    return over_outputs(one, num_outputs, multioutput)


def symmetric_mean_absolute_percentage_error_metric(
    *,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
) -> Metric:
    """The metric of `symmetric_mean_absolute_percentage_error`."""
    one = Metric(
        "symmetric_mean_absolute_percentage_error", (RowMean(symmetric_percentage_error),), Mean()
    )
    return over_outputs(one, num_outputs, multioutput)


def mean_squared_log_error_metric(
    *,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
) -> Metric:
    """The metric of `mean_squared_log_error`."""
    one = Metric("mean_squared_log_error", (RowMean(squared_log_error, _AMOUNTS),), Mean())
    return over_outputs(one, num_outputs, multioutput)


def root_mean_squared_log_error_metric(
    *,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
) -> Metric:
    """The metric of `root_mean_squared_log_error`."""
    one = Metric(
        "root_mean_squared_log_error", (RowMean(squared_log_error, _AMOUNTS),), Mean(root=True)
    )
    return over_outputs(one, num_outputs, multioutput)


def mean_absolute_percentage_error(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
    axis_name: str | None = None,
) -> Value:
    """Mean of `|y_true - y_pred| / |y_true|`, as a fraction: 1 means 100 %.

    A `|y_true|` below 2**-52 counts as 2**-52, so that a wrong prediction of 0 weighs some 1e15.

    Args:
        y_true: reference values, shape (n,), floats or integers.
        y_pred: predicted values, shape (n,).
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        num_outputs: None, or the number of outputs of a row: y_true and y_pred have shape
            (n, num_outputs) then.
        multioutput: of several outputs their mean ("uniform_average"), their mean by a weight of
            each (a sequence), or each ("raw_values").
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, inf); best 0. nan of no rows.

    Raises:
        ValueError: shapes that do not fit; concrete values that are not finite
            (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import mean_absolute_percentage_error
        >>> value = mean_absolute_percentage_error([3.0, 0.5, 2.0], [2.5, 1.0, 2.0])
        >>> round(float(value), 6)
        0.388889

    Source: the definition of `sklearn.metrics.mean_absolute_percentage_error`.
    """
    metric = mean_absolute_percentage_error_metric(num_outputs=num_outputs, multioutput=multioutput)
    return call(metric, y_true, y_pred, weight, axis_name)


def symmetric_mean_absolute_percentage_error(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
    axis_name: str | None = None,
) -> Value:
    """Mean of `2 |y_true - y_pred| / (|y_true| + |y_pred|)`, as a fraction.

    A row in which both are 0 counts 0.

    Args:
        y_true: reference values, shape (n,), floats or integers.
        y_pred: predicted values, shape (n,).
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        num_outputs: None, or the number of outputs of a row: y_true and y_pred have shape
            (n, num_outputs) then.
        multioutput: of several outputs their mean ("uniform_average"), their mean by a weight of
            each (a sequence), or each ("raw_values").
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 2]; best 0. nan of no rows.

    Raises:
        ValueError: shapes that do not fit; concrete values that are not finite
            (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import symmetric_mean_absolute_percentage_error
        >>> value = symmetric_mean_absolute_percentage_error([3.0, 0.5, 2.0], [2.5, 1.0, 2.0])
        >>> round(float(value), 6)
        0.282828

    Source: Makridakis, "Accuracy measures: theoretical and practical concerns", International
    Journal of Forecasting 9, 1993.
    """
    metric = symmetric_mean_absolute_percentage_error_metric(
        num_outputs=num_outputs, multioutput=multioutput
    )
    return call(metric, y_true, y_pred, weight, axis_name)


def mean_squared_log_error(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
    axis_name: str | None = None,
) -> Value:
    """Mean of `log((1 + y_true) / (1 + y_pred)) ** 2`.

    Args:
        y_true: reference values, shape (n,), non-negative.
        y_pred: predicted values, shape (n,), non-negative.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        num_outputs: None, or the number of outputs of a row: y_true and y_pred have shape
            (n, num_outputs) then.
        multioutput: of several outputs their mean ("uniform_average"), their mean by a weight of
            each (a sequence), or each ("raw_values").
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, inf); best 0. nan of no rows.

    Raises:
        ValueError: shapes that do not fit; concrete values that are negative
            or not finite (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import mean_squared_log_error
        >>> value = mean_squared_log_error([3.0, 0.5, 2.0], [2.5, 1.0, 2.0])
        >>> round(float(value), 6)
        0.033531

    Source: the definition of `sklearn.metrics.mean_squared_log_error`.
    """
    metric = mean_squared_log_error_metric(num_outputs=num_outputs, multioutput=multioutput)
    return call(metric, y_true, y_pred, weight, axis_name)


def root_mean_squared_log_error(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
    axis_name: str | None = None,
) -> Value:
    """Root of the mean squared logarithmic error.

    Args:
        y_true: reference values, shape (n,), non-negative.
        y_pred: predicted values, shape (n,), non-negative.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        num_outputs: None, or the number of outputs of a row: y_true and y_pred have shape
            (n, num_outputs) then.
        multioutput: of several outputs their mean ("uniform_average"), their mean by a weight of
            each (a sequence), or each ("raw_values").
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, inf); best 0. nan of no rows. Its gradient at a perfect fit is 0.

    Raises:
        ValueError: shapes that do not fit; concrete values that are negative
            or not finite (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import root_mean_squared_log_error
        >>> value = root_mean_squared_log_error([3.0, 0.5, 2.0], [2.5, 1.0, 2.0])
        >>> round(float(value), 6)
        0.183113

    Source: the definition of `sklearn.metrics.root_mean_squared_log_error`.
    """
    metric = root_mean_squared_log_error_metric(num_outputs=num_outputs, multioutput=multioutput)
    return call(metric, y_true, y_pred, weight, axis_name)
