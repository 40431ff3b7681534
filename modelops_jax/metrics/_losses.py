"""Losses of predicted numbers that weigh small and large errors differently."""

import math

from modelops_jax._option_types import require_number

from ._call import call
from ._finalizers import LargestValue, Mean, MedianError
from ._largest import RowMax
from ._metric import Metric
from ._outputs import Multioutput, over_outputs
from ._row_functions import Huber, Pinball, absolute_error, log_cosh
from ._rowwise import RowMean
from ._types import Matrix, Value, Vector
from ._values import ValueRows


def log_cosh_error_metric(
    *,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
) -> Metric:
    """The metric of `log_cosh_error`."""
    one = Metric("log_cosh_error", (RowMean(log_cosh),), Mean())
    return over_outputs(one, num_outputs, multioutput)


def mean_pinball_loss_metric(
    *,
    alpha: float | int = 0.5,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
) -> Metric:
    """The metric of `mean_pinball_loss`."""
    if not 0 <= require_number(alpha, "alpha") <= 1:
        raise ValueError(f"alpha must be between 0 and 1, not {alpha!r}")
    one = Metric("mean_pinball_loss", (RowMean(Pinball(float(alpha))),), Mean())
    return over_outputs(one, num_outputs, multioutput)


def huber_loss_metric(
    *,
    delta: float | int = 1.0,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
) -> Metric:
    """The metric of `huber_loss`."""
    if not 0 < require_number(delta, "delta") < math.inf:
        raise ValueError(f"delta must be positive and finite, not {delta!r}")
    one = Metric("huber_loss", (RowMean(Huber(float(delta))),), Mean())
    return over_outputs(one, num_outputs, multioutput)


def median_absolute_error_metric(
    *,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
) -> Metric:
    """The metric of `median_absolute_error`."""
    one = Metric("median_absolute_error", (ValueRows(),), MedianError())
    return over_outputs(one, num_outputs, multioutput)


def max_error_metric(
    *,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
) -> Metric:
    """The metric of `max_error`."""
    one = Metric("max_error", (RowMax(absolute_error),), LargestValue())
    return over_outputs(one, num_outputs, multioutput)


def log_cosh_error(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
    axis_name: str | None = None,
) -> Value:
    """Mean of `log(cosh(y_true - y_pred))`: half the square of a small error, |error| of a large.

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
        >>> from modelops_jax.metrics import log_cosh_error
        >>> value = log_cosh_error([3.0, 0.5, 2.0], [2.5, 1.0, 2.0])
        >>> round(float(value), 6)
        0.080076

    Source: the definition of `keras.losses.LogCosh`.
    """
    metric = log_cosh_error_metric(num_outputs=num_outputs, multioutput=multioutput)
    return call(metric, y_true, y_pred, weight, axis_name)


def mean_pinball_loss(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    alpha: float | int = 0.5,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
    axis_name: str | None = None,
) -> Value:
    """Mean pinball loss of a predicted quantile.

    `alpha * (y_true - y_pred)` where the prediction is too low, `(1 - alpha) * (y_pred - y_true)`
    where it is too high. It is least, on average, for the `alpha` quantile.

    Args:
        y_true: reference values, shape (n,), floats or integers.
        y_pred: predicted values, shape (n,).
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        alpha: the level of the quantile, in [0, 1].
        num_outputs: None, or the number of outputs of a row: y_true and y_pred have shape
            (n, num_outputs) then.
        multioutput: of several outputs their mean ("uniform_average"), their mean by a weight of
            each (a sequence), or each ("raw_values").
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, inf), in the unit of the values; best 0. nan of no rows.

    Raises:
        ValueError: shapes that do not fit; concrete values that are not finite
            (under tracing these give nan); an `alpha` outside [0, 1].

    Example:
        >>> from modelops_jax.metrics import mean_pinball_loss
        >>> value = mean_pinball_loss([3.0, 0.5, 2.0], [2.5, 1.0, 2.0])
        >>> round(float(value), 6)
        0.166667

    Source: the definition of `sklearn.metrics.mean_pinball_loss`.
    """
    metric = mean_pinball_loss_metric(alpha=alpha, num_outputs=num_outputs, multioutput=multioutput)
    return call(metric, y_true, y_pred, weight, axis_name)


def huber_loss(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    delta: float | int = 1.0,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
    axis_name: str | None = None,
) -> Value:
    """Mean Huber loss: quadratic up to `delta`, linear from there on.

    With `e = |y_true - y_pred|`: `e ** 2 / 2` up to `delta`, then `delta * (e - delta / 2)`.

    Args:
        y_true: reference values, shape (n,), floats or integers.
        y_pred: predicted values, shape (n,).
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        delta: where the loss turns linear, positive, in the unit of the values.
        num_outputs: None, or the number of outputs of a row: y_true and y_pred have shape
            (n, num_outputs) then.
        multioutput: of several outputs their mean ("uniform_average"), their mean by a weight of
            each (a sequence), or each ("raw_values").
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, inf); best 0. nan of no rows.

    Raises:
        ValueError: shapes that do not fit; concrete values that are not finite
            (under tracing these give nan); a `delta` that is not positive.

    Example:
        >>> from modelops_jax.metrics import huber_loss
        >>> value = huber_loss([3.0, 0.5, 2.0], [2.5, 1.0, 2.0])
        >>> round(float(value), 6)
        0.083333

    Source: Huber, "Robust estimation of a location parameter", Annals of Mathematical
    Statistics 35, 1964.
    """
    metric = huber_loss_metric(delta=delta, num_outputs=num_outputs, multioutput=multioutput)
    return call(metric, y_true, y_pred, weight, axis_name)


def max_error(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
    axis_name: str | None = None,
) -> Value:
    """The largest `|y_true - y_pred|` of the rows of positive weight.

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
        >>> from modelops_jax.metrics import max_error
        >>> value = max_error([3.0, 0.5, 2.0], [2.5, 1.0, 2.0])
        >>> round(float(value), 6)
        0.5

    Source: the definition of `sklearn.metrics.max_error`.
    """
    metric = max_error_metric(num_outputs=num_outputs, multioutput=multioutput)
    return call(metric, y_true, y_pred, weight, axis_name)


def median_absolute_error(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
    axis_name: str | None = None,
) -> Value:
    """Weighted median of `|y_true - y_pred|`: half of the weight is on either side.

    Where an interval of values halves the weight, its middle. Its state is the rows themselves:
    memory grows with them, and `axis_name` gathers them on every device.

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
        >>> from modelops_jax.metrics import median_absolute_error
        >>> float(median_absolute_error([3.0, 0.5, 2.0], [2.5, 1.5, 2.0]))
        0.5

    Source: the definition of `sklearn.metrics.median_absolute_error`.
    """
    metric = median_absolute_error_metric(num_outputs=num_outputs, multioutput=multioutput)
    return call(metric, y_true, y_pred, weight, axis_name)
