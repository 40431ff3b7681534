"""Errors (lower is better) and scores (higher is better) of predicted numbers."""

from ._call import call
from ._finalizers import R2, Mean
from ._metric import Metric
from ._outputs import Multioutput, over_outputs
from ._row_functions import absolute_error, relative_length, squared_error, target
from ._rowwise import RowMean, RowVariance
from ._types import Matrix, Value, Vector


def mean_squared_error_metric(
    *,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
) -> Metric:
    """The metric of `mean_squared_error`."""
    one = Metric("mean_squared_error", (RowMean(squared_error),), Mean())
    return over_outputs(one, num_outputs, multioutput)


def mean_absolute_error_metric(
    *,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
) -> Metric:
    """The metric of `mean_absolute_error`."""
    one = Metric("mean_absolute_error", (RowMean(absolute_error),), Mean())
    return over_outputs(one, num_outputs, multioutput)


def root_mean_squared_error_metric(
    *,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
) -> Metric:
    """The metric of `root_mean_squared_error`."""
    one = Metric("root_mean_squared_error", (RowMean(squared_error),), Mean(root=True))
    return over_outputs(one, num_outputs, multioutput)


def r2_score_metric(
    *,
    force_finite: bool = True,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
) -> Metric:
    """The metric of `r2_score`."""
    one = Metric("r2_score", (RowMean(squared_error), RowVariance(target)), R2(force_finite))
    return over_outputs(one, num_outputs, multioutput)


def length_ratio_metric() -> Metric:
    """The metric of `length_ratio`."""
    return Metric("length_ratio", (RowMean(relative_length),), Mean())


def mean_squared_error(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
    axis_name: str | None = None,
) -> Value:
    """Mean squared error: the weighted mean of `(y_true - y_pred) ** 2`.

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
        >>> from modelops_jax.metrics import mean_squared_error
        >>> float(mean_squared_error([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0]))
        0.375

    Source: the definition of `sklearn.metrics.mean_squared_error`.
    """
    metric = mean_squared_error_metric(num_outputs=num_outputs, multioutput=multioutput)
    return call(metric, y_true, y_pred, weight, axis_name)


def mean_absolute_error(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
    axis_name: str | None = None,
) -> Value:
    """Mean absolute error: the weighted mean of `|y_true - y_pred|`.

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
        A scalar in [0, inf), in the unit of the values; best 0. nan of no rows.

    Raises:
        ValueError: shapes that do not fit; concrete values that are not finite
            (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import mean_absolute_error
        >>> float(mean_absolute_error([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0]))
        0.5

    Source: the definition of `sklearn.metrics.mean_absolute_error`.
    """
    metric = mean_absolute_error_metric(num_outputs=num_outputs, multioutput=multioutput)
    return call(metric, y_true, y_pred, weight, axis_name)


def root_mean_squared_error(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
    axis_name: str | None = None,
) -> Value:
    """Root of the mean squared error.

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
        A scalar in [0, inf), in the unit of the values; best 0. nan of no rows. Its gradient at
        a perfect fit, where the root has no slope, is 0.

    Raises:
        ValueError: shapes that do not fit; concrete values that are not finite
            (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import root_mean_squared_error
        >>> float(root_mean_squared_error([0.0, 0.0], [3.0, 3.0]))
        3.0

    Source: the definition of `sklearn.metrics.root_mean_squared_error`.
    """
    metric = root_mean_squared_error_metric(num_outputs=num_outputs, multioutput=multioutput)
    return call(metric, y_true, y_pred, weight, axis_name)


def r2_score(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    force_finite: bool = True,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
    axis_name: str | None = None,
) -> Value:
    """Coefficient of determination: `1 - sum w (y - p)^2 / sum w (y - mean y)^2`.

    Args:
        y_true: reference values, shape (n,), floats or integers.
        y_pred: predicted values, shape (n,).
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        force_finite: of targets that are all equal, give 1 for a perfect fit and 0 for any
            other, instead of nan and -inf.
        num_outputs: None, or the number of outputs of a row: y_true and y_pred have shape
            (n, num_outputs) then.
        multioutput: of several outputs their mean ("uniform_average"), their mean by the
            centred squares of their targets ("variance_weighted") or by a weight of each (a
            sequence), or each ("raw_values").
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in (-inf, 1]; best 1. nan of fewer than two rows of positive weight. Targets
        count as equal only if they are so exactly, at any scale.

    Raises:
        ValueError: shapes that do not fit; concrete values that are not finite
            (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import r2_score
        >>> round(float(r2_score([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0])), 6)
        0.948608

    Source: the definition of `sklearn.metrics.r2_score`.
    """
    metric = r2_score_metric(
        force_finite=force_finite, num_outputs=num_outputs, multioutput=multioutput
    )
    return call(metric, y_true, y_pred, weight, axis_name)


def length_ratio(
    reference_lengths: Vector,
    prediction_lengths: Vector,
    *,
    weight: Vector | None = None,
    axis_name: str | None = None,
) -> Value:
    """Mean over examples of prediction length / reference length.

    Args:
        reference_lengths: shape (n,), non-negative, in any unit.
        prediction_lengths: shape (n,), in the same unit.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, inf); 1 means as long as the reference. An empty reference counts 1 if
        its prediction is empty too and 0 otherwise. nan of no rows.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete lengths that are not finite.

    Example:
        >>> from modelops_jax.metrics import length_ratio
        >>> float(length_ratio([4, 10, 0], [2, 20, 0]))
        1.1666666666666667
    """
    return call(length_ratio_metric(), reference_lengths, prediction_lengths, weight, axis_name)
