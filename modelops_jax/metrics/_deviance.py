"""Mean deviances of predicted means of counts and amounts."""

import math

from modelops_jax._option_types import require_number

from ._call import call
from ._deviances import PowerDeviance, gamma_deviance, poisson_deviance
from ._finalizers import Mean
from ._metric import Metric
from ._outputs import Multioutput, over_outputs
from ._row_functions import Domain, squared_error
from ._rowwise import RowMean
from ._types import Matrix, Value, Vector

_COUNTS = Domain("non-negative", "positive")
_SIZES = Domain("positive", "positive")


def _deviance_of(power: float) -> RowMean:
    if power == 0:
        return RowMean(squared_error)
    if power == 1:
        return RowMean(poisson_deviance, _COUNTS)
    if power == 2:
        return RowMean(gamma_deviance, _SIZES)
    if power < 0:
        return RowMean(PowerDeviance(power), Domain("real", "positive"))
    return RowMean(PowerDeviance(power), _COUNTS if power < 2 else _SIZES)


def mean_poisson_deviance_metric(
    *,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
) -> Metric:
    """The metric of `mean_poisson_deviance`."""
    one = Metric("mean_poisson_deviance", (RowMean(poisson_deviance, _COUNTS),), Mean())
    return over_outputs(one, num_outputs, multioutput)


def mean_gamma_deviance_metric(
    *,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
) -> Metric:
    """The metric of `mean_gamma_deviance`."""
    one = Metric("mean_gamma_deviance", (RowMean(gamma_deviance, _SIZES),), Mean())
    return over_outputs(one, num_outputs, multioutput)


def mean_tweedie_deviance_metric(
    *,
    power: float | int = 0,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
) -> Metric:
    """The metric of `mean_tweedie_deviance`."""
    if not math.isfinite(require_number(power, "power")) or 0 < power < 1:
        raise ValueError(f"power must be finite and not between 0 and 1, not {power!r}")
    one = Metric("mean_tweedie_deviance", (_deviance_of(float(power)),), Mean())
    return over_outputs(one, num_outputs, multioutput)


def mean_poisson_deviance(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
    axis_name: str | None = None,
) -> Value:
    """Mean of `2 (y_true log(y_true / y_pred) - y_true + y_pred)`.

    Args:
        y_true: reference values, shape (n,), non-negative.
        y_pred: predicted values, shape (n,), positive.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        num_outputs: None, or the number of outputs of a row: y_true and y_pred have shape
            (n, num_outputs) then.
        multioutput: of several outputs their mean ("uniform_average"), their mean by a weight of
            each (a sequence), or each ("raw_values").
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, inf); best 0. nan of no rows.

    Raises:
        ValueError: shapes that do not fit; concrete values outside these
            domains (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import mean_poisson_deviance
        >>> value = mean_poisson_deviance([3.0, 0.5, 2.0], [2.5, 1.0, 2.0])
        >>> round(float(value), 6)
        0.133594

    Source: the definition of `sklearn.metrics.mean_poisson_deviance`.
    """
    metric = mean_poisson_deviance_metric(num_outputs=num_outputs, multioutput=multioutput)
    return call(metric, y_true, y_pred, weight, axis_name)


def mean_gamma_deviance(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
    axis_name: str | None = None,
) -> Value:
    """Mean of `2 (log(y_pred / y_true) + y_true / y_pred - 1)`.

    Only the ratio of truth and prediction counts, not their unit.

    Args:
        y_true: reference values, shape (n,), positive.
        y_pred: predicted values, shape (n,), positive.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        num_outputs: None, or the number of outputs of a row: y_true and y_pred have shape
            (n, num_outputs) then.
        multioutput: of several outputs their mean ("uniform_average"), their mean by a weight of
            each (a sequence), or each ("raw_values").
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, inf); best 0. nan of no rows.

    Raises:
        ValueError: shapes that do not fit; concrete values that are not positive
            (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import mean_gamma_deviance
        >>> value = mean_gamma_deviance([3.0, 0.5, 2.0], [2.5, 1.0, 2.0])
        >>> round(float(value), 6)
        0.14055

    Source: the definition of `sklearn.metrics.mean_gamma_deviance`.
    """
    metric = mean_gamma_deviance_metric(num_outputs=num_outputs, multioutput=multioutput)
    return call(metric, y_true, y_pred, weight, axis_name)


def mean_tweedie_deviance(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    power: float | int = 0,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
    axis_name: str | None = None,
) -> Value:
    """Mean deviance of Tweedie's family.

    Power 0 is the squared error, 1 the Poisson and 2 the gamma deviance; any other is
    `2 (max(t, 0)**(2 - power) / ((1 - power) (2 - power)) - t p**(1 - power) / (1 - power) +
    p**(2 - power) / (2 - power))` of `t = y_true` and `p = y_pred`.

    Args:
        y_true: reference values, shape (n,), real up to power 0, non-negative below
            power 2, positive from there on.
        y_pred: predicted values, shape (n,), positive unless power is 0.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        power: the variance is proportional to the mean to this power; not between 0 and 1.
        num_outputs: None, or the number of outputs of a row: y_true and y_pred have shape
            (n, num_outputs) then.
        multioutput: of several outputs their mean ("uniform_average"), their mean by a weight of
            each (a sequence), or each ("raw_values").
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, inf); best 0. nan of no rows.

    Raises:
        ValueError: shapes that do not fit; concrete values outside these
            domains (under tracing these give nan); a power that is not finite or
            between 0 and 1.

    Example:
        >>> from modelops_jax.metrics import mean_tweedie_deviance
        >>> value = mean_tweedie_deviance([3.0, 0.5, 2.0], [2.5, 1.0, 2.0], power=1.5)
        >>> round(float(value), 6)
        0.133587

    Source: the definition of `sklearn.metrics.mean_tweedie_deviance`.
    """
    metric = mean_tweedie_deviance_metric(
        power=power, num_outputs=num_outputs, multioutput=multioutput
    )
    return call(metric, y_true, y_pred, weight, axis_name)
