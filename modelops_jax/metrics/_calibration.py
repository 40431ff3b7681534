"""Errors of calibration: how far confidences are from the share of them that was right."""

from modelops_jax._option_types import require_count

from ._calibration_bins import CalibrationBins, CalibrationGap
from ._call import call
from ._equal_mass import ConfidenceRows, EqualMassGap
from ._ignored import as_ignored
from ._metric import Metric
from ._types import Matrix, Value, Vector

# A bin of fewer rows than this many of them holds says nothing, and their states take memory.
_MOST_BINS = 1 << 20


def _checked(bins: int) -> int:
    if require_count(bins, "bins") > _MOST_BINS:
        raise ValueError(f"bins is {bins:,}; expected at most {_MOST_BINS:,}")
    return bins


def expected_calibration_error_metric(
    *, bins: int = 15, from_logits: bool = False, ignore_index: int | None = None
) -> Metric:
    """The metric of `expected_calibration_error`."""
    statistic = CalibrationBins(
        _checked(bins), from_logits=from_logits, ignore_index=as_ignored(ignore_index)
    )
    return Metric("expected_calibration_error", (statistic,), CalibrationGap(largest=False))


def maximum_calibration_error_metric(
    *, bins: int = 15, from_logits: bool = False, ignore_index: int | None = None
) -> Metric:
    """The metric of `maximum_calibration_error`."""
    statistic = CalibrationBins(
        _checked(bins), from_logits=from_logits, ignore_index=as_ignored(ignore_index)
    )
    return Metric("maximum_calibration_error", (statistic,), CalibrationGap(largest=True))


def adaptive_calibration_error_metric(
    *, bins: int = 15, from_logits: bool = False, ignore_index: int | None = None
) -> Metric:
    """The metric of `adaptive_calibration_error`."""
    finalizer = EqualMassGap(_checked(bins))
    statistic = ConfidenceRows(from_logits=from_logits, ignore_index=as_ignored(ignore_index))
    return Metric("adaptive_calibration_error", (statistic,), finalizer)


def expected_calibration_error(
    y_true: Vector,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    bins: int = 15,
    from_logits: bool = False,
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Expected calibration error: mean distance of confidence and accuracy, in bins.

    The rows are binned by confidence; a bin's distance is that of its mean confidence and the
    share of its rows that is right, and the bins are weighed by their rows. The confidence is
    the highest probability, right if its class (the first of equal ones) is the label; of shape
    (n,) it is the probability of class 1, "right" if the label is 1. Bins have equal width, hold
    their lower edge, and the last one holds 1. The error of few rows is biased upwards.

    Args:
        y_true: reference labels, shape (n,), integers in 0 to c - 1.
        y_pred: probabilities, shape (n, c), a column per class and each row summing to 1; or of
            class 1 of two, shape (n,).
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        bins: how many bins.
        from_logits: y_pred holds logits, whose softmax (of shape (n,): sigmoid) is the
            probability. Never guessed.
        ignore_index: rows with this true label are as good as absent, whatever was predicted.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1]; best 0. nan of no rows.

    Raises:
        ValueError: shapes that do not fit, fewer than one bin; concrete labels outside the
            classes, and rows that are no probabilities, as in `log_loss` (under tracing these
            give nan).
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import expected_calibration_error
        >>> float(expected_calibration_error([0, 1, 1, 1], [0.25, 0.25, 0.75, 1.0], bins=2))
        0.1875

    Source: Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian
    binning", AAAI 2015. Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    metric = expected_calibration_error_metric(
        bins=bins, from_logits=from_logits, ignore_index=ignore_index
    )
    return call(metric, y_true, y_pred, weight, axis_name)


def maximum_calibration_error(
    y_true: Vector,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    bins: int = 15,
    from_logits: bool = False,
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Maximum calibration error: the largest distance of confidence and accuracy of a bin.

    Bins and confidences are those of `expected_calibration_error`; bins without rows are left
    out. A bin of few rows is easily the worst.

    Args:
        y_true: reference labels, shape (n,), integers in 0 to c - 1.
        y_pred: probabilities, shape (n, c) or (n,).
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        bins: how many bins.
        from_logits: y_pred holds logits, whose softmax (of shape (n,): sigmoid) is the
            probability. Never guessed.
        ignore_index: rows with this true label are as good as absent, whatever was predicted.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1]; best 0. nan of no rows.

    Raises:
        ValueError: what `expected_calibration_error` refuses.
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import maximum_calibration_error
        >>> float(maximum_calibration_error([0, 1, 1, 1], [0.25, 0.25, 0.75, 1.0], bins=2))
        0.25

    Source: Naeini, Cooper and Hauskrecht, AAAI 2015.
    """
    metric = maximum_calibration_error_metric(
        bins=bins, from_logits=from_logits, ignore_index=ignore_index
    )
    return call(metric, y_true, y_pred, weight, axis_name)


def adaptive_calibration_error(
    y_true: Vector,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    bins: int = 15,
    from_logits: bool = False,
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Expected calibration error in bins of equal weight instead of equal width.

    In the order of their confidences the rows are cut into bins of the same weight. Rows of one
    confidence are alike: where a cut falls among them, each is divided by the same ratio, so that
    the order of the rows does not matter. Confidences are those of `expected_calibration_error`.
    Its state is the rows themselves: memory grows with them, and `axis_name` gathers them on
    every device.

    Args:
        y_true: reference labels, shape (n,), integers in 0 to c - 1.
        y_pred: probabilities, shape (n, c) or (n,).
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        bins: how many bins.
        from_logits: y_pred holds logits, whose softmax (of shape (n,): sigmoid) is the
            probability. Never guessed.
        ignore_index: rows with this true label are as good as absent, whatever was predicted.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1]; best 0. nan of no rows.

    Raises:
        ValueError: what `expected_calibration_error` refuses.
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import adaptive_calibration_error
        >>> float(adaptive_calibration_error([0, 1, 1, 1], [0.25, 0.5, 0.75, 1.0], bins=2))
        0.125

    Source: Nguyen and O'Connor, "Posterior calibration and exploratory analysis for natural
    language processing models", EMNLP 2015.
    """
    metric = adaptive_calibration_error_metric(
        bins=bins, from_logits=from_logits, ignore_index=ignore_index
    )
    return call(metric, y_true, y_pred, weight, axis_name)
