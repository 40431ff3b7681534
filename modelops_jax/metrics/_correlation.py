"""How well predicted numbers move with the true ones."""

from ._call import call
from ._covariance import RowCovariance
from ._finalizers import R2, Concordance, Correlation, RankCorrelation
from ._metric import Metric
from ._outputs import Multioutput, over_outputs
from ._row_functions import difference, target
from ._rowwise import RowVariance
from ._types import Matrix, Value, Vector
from ._values import ValueRows


def explained_variance_score_metric(
    *,
    force_finite: bool = True,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
) -> Metric:
    """The metric of `explained_variance_score`."""
    one = Metric(
        "explained_variance_score", (RowVariance(difference), RowVariance(target)), R2(force_finite)
    )
    return over_outputs(one, num_outputs, multioutput)


def pearson_corrcoef_metric(
    *,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
) -> Metric:
    """The metric of `pearson_corrcoef`."""
    one = Metric("pearson_corrcoef", (RowCovariance(),), Correlation())
    return over_outputs(one, num_outputs, multioutput)


def concordance_corrcoef_metric(
    *,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
) -> Metric:
    """The metric of `concordance_corrcoef`."""
    one = Metric("concordance_corrcoef", (RowCovariance(),), Concordance())
    return over_outputs(one, num_outputs, multioutput)


def spearman_corrcoef_metric(
    *,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
) -> Metric:
    """The metric of `spearman_corrcoef`."""
    one = Metric("spearman_corrcoef", (ValueRows(),), RankCorrelation())
    return over_outputs(one, num_outputs, multioutput)


def explained_variance_score(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    force_finite: bool = True,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
    axis_name: str | None = None,
) -> Value:
    """Share of the variance explained: `1 - var(y_true - y_pred) / var(y_true)`.

    As `r2_score`, but blind to a constant offset of the predictions.

    Args:
        y_true: reference values, shape (n,), floats or integers.
        y_pred: predicted values, shape (n,).
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        force_finite: of targets that are all equal, give 1 for errors that are all equal and 0
            otherwise, instead of nan and -inf.
        num_outputs: None, or the number of outputs of a row: y_true and y_pred have shape
            (n, num_outputs) then.
        multioutput: of several outputs their mean ("uniform_average"), their mean by the
            centred squares of their targets ("variance_weighted") or by a weight of each (a
            sequence), or each ("raw_values").
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in (-inf, 1]; best 1. nan of fewer than two rows of positive weight.

    Raises:
        ValueError: shapes that do not fit; concrete values that are not finite
            (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import explained_variance_score
        >>> value = explained_variance_score([3.0, 0.5, 2.0], [2.5, 1.0, 2.0])
        >>> round(float(value), 6)
        0.842105

    Source: the definition of `sklearn.metrics.explained_variance_score`.
    """
    metric = explained_variance_score_metric(
        force_finite=force_finite, num_outputs=num_outputs, multioutput=multioutput
    )
    return call(metric, y_true, y_pred, weight, axis_name)


def pearson_corrcoef(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
    axis_name: str | None = None,
) -> Value:
    """Pearson's correlation: `cov(y_true, y_pred) / (std(y_true) std(y_pred))`.

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
        A scalar in [-1, 1]; best 1. nan if either is constant, as of fewer than two rows.

    Raises:
        ValueError: shapes that do not fit; concrete values that are not finite
            (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import pearson_corrcoef
        >>> value = pearson_corrcoef([3.0, 0.5, 2.0], [2.5, 1.0, 2.0])
        >>> round(float(value), 6)
        0.997176

    Source: Pearson, "Notes on regression and inheritance in the case of two parents", 1895.
    """
    metric = pearson_corrcoef_metric(num_outputs=num_outputs, multioutput=multioutput)
    return call(metric, y_true, y_pred, weight, axis_name)


def concordance_corrcoef(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
    axis_name: str | None = None,
) -> Value:
    """Lin's concordance: how close the rows are to the line `y_true = y_pred`.

    `2 cov / (var(y_true) + var(y_pred) + (mean(y_true) - mean(y_pred)) ** 2)`, with variances
    divided by the weight.

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
        A scalar in [-1, 1]; best 1. nan if either is constant, as of fewer than two rows.

    Raises:
        ValueError: shapes that do not fit; concrete values that are not finite
            (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import concordance_corrcoef
        >>> value = concordance_corrcoef([3.0, 0.5, 2.0], [2.5, 1.0, 2.0])
        >>> round(float(value), 6)
        0.884615

    Source: Lin, "A concordance correlation coefficient to evaluate reproducibility", Biometrics 45,
    1989.
    """
    metric = concordance_corrcoef_metric(num_outputs=num_outputs, multioutput=multioutput)
    return call(metric, y_true, y_pred, weight, axis_name)


def spearman_corrcoef(
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    num_outputs: int | None = None,
    multioutput: Multioutput = "uniform_average",
    axis_name: str | None = None,
) -> Value:
    """Spearman's correlation: Pearson's of the ranks, ties sharing their mean rank.

    A weight counts as that many rows. Its state is the rows themselves: memory grows with them,
    and `axis_name` gathers them on every device.

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
        A scalar in [-1, 1]; best 1. nan if either is constant, as of fewer than two rows.

    Raises:
        ValueError: shapes that do not fit; concrete values that are not finite
            (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import spearman_corrcoef
        >>> float(spearman_corrcoef([1.0, 2.0, 3.0], [1.0, 5.0, 4.0]))
        0.5

    Source: Spearman, "The proof and measurement of association between two things", American
    Journal of Psychology 15, 1904.
    """
    metric = spearman_corrcoef_metric(num_outputs=num_outputs, multioutput=multioutput)
    return call(metric, y_true, y_pred, weight, axis_name)
