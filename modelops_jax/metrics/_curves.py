"""The curves of scored rows over all thresholds, for plotting: of concrete input.

Conventions are scikit-learn's: a row is predicted positive where its score is at least the
threshold.
"""

from typing import Any, NamedTuple

import numpy as np

from ._curve_points import Three, points
from ._read_scores import read_scores
from ._types import Vector


class RocCurve(NamedTuple):
    """Points of a ROC curve, from (0, 0) to (1, 1)."""

    fpr: np.ndarray
    """False positive rate, ascending."""

    tpr: np.ndarray
    """True positive rate, ascending."""

    thresholds: np.ndarray
    """Descending from inf, at which nothing is predicted positive."""


class PrecisionRecallCurve(NamedTuple):
    """Points of a precision-recall curve, from everything predicted positive to nothing."""

    precision: np.ndarray
    """One longer than the thresholds; the last is 1, for nothing predicted positive."""

    recall: np.ndarray
    """Descending to 0; one longer than the thresholds."""

    thresholds: np.ndarray
    """Ascending."""


def roc_curve(
    y_true: Vector,
    y_score: Vector,
    *,
    weight: Vector | None = None,
    drop_intermediate: bool = True,
) -> RocCurve:
    """True positive rate over false positive rate, for every threshold.

    For concrete input; time n log n. Of arrays sharded over a mesh the devices exchange the rows
    among themselves, and the points alone are fetched.

    Args:
        y_true: labels, shape (n,), booleans or integers 0 and 1.
        y_score: scores, shape (n,), higher meaning more likely positive.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        drop_intermediate: leave out points between two others on one straight line; the line
            through the points stays as it is.

    Returns:
        Rates, float64 in [0, 1], and thresholds in the scores' float type. A rate is nan
        throughout where its class does not occur.

    Raises:
        ValueError: what `roc_auc_score` refuses.
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import roc_curve
        >>> curve = roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> curve.fpr.tolist(), curve.tpr.tolist()
        ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
        >>> curve.thresholds.tolist()
        [inf, 0.8, 0.4, 0.35, 0.1]

    Source: Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27, 2006.
    """
    state = read_scores(y_true, y_score, weight)
    hits, alarms, thresholds = points(state, _bends if drop_intermediate else None)
    start = np.zeros(1)
    fpr, tpr = (_share(np.concatenate([start, counts])) for counts in (alarms, hits))
    nothing = np.full(1, np.inf, thresholds.dtype)
    return RocCurve(fpr, tpr, np.concatenate([nothing, thresholds]))


def precision_recall_curve(
    y_true: Vector,
    y_score: Vector,
    *,
    weight: Vector | None = None,
    drop_intermediate: bool = False,
) -> PrecisionRecallCurve:
    """Precision over recall, for every threshold.

    For concrete input; time n log n. `average_precision_score` is the area under these points as
    steps. Of arrays sharded over a mesh the devices exchange the rows among themselves, and the
    points alone are fetched.

    Args:
        y_true: labels, shape (n,), booleans or integers 0 and 1.
        y_score: scores, shape (n,), higher meaning more likely positive.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        drop_intermediate: of points with one recall leave only the first and the last.

    Returns:
        Shares, float64 in [0, 1], and thresholds in the scores' float type. The recall is nan
        without positive rows, but for the last point.

    Raises:
        ValueError: what `average_precision_score` refuses.
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import precision_recall_curve
        >>> curve = precision_recall_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> curve.precision.round(2).tolist(), curve.recall.tolist()
        ([0.5, 0.67, 0.5, 1.0, 1.0], [1.0, 1.0, 0.5, 0.5, 0.0])
        >>> curve.thresholds.tolist()
        [0.1, 0.35, 0.4, 0.8]

    Source: Davis and Goadrich, "The relationship between precision-recall and ROC curves", ICML
    2006.
    """
    state = read_scores(y_true, y_score, weight)
    hits, alarms, thresholds = points(state, _rises if drop_intermediate else None)
    precision, recall = hits / (hits + alarms), _share(hits)
    return PrecisionRecallCurve(
        np.concatenate([precision[::-1], np.ones(1)]),
        np.concatenate([recall[::-1], np.zeros(1)]),
        thresholds[::-1],
    )


def _bends(hits: Three, alarms: Three) -> Any:
    """Where the line through the points does."""
    return _turns(hits) | _turns(alarms)


def _turns(side: Three) -> Any:
    return side.after - side.here != side.here - side.before


def _rises(hits: Three, alarms: Three) -> Any:
    """Where a positive row is met, or the next one."""
    return (hits.here != hits.before) | (hits.after != hits.here)


def _share(counts: np.ndarray) -> np.ndarray:
    """Of the last and largest; nan of nothing."""
    if counts.size and counts[-1] > 0:
        return counts / counts[-1]
    return np.full(counts.shape, np.nan)
