"""The curves of scored rows over all thresholds, for plotting: concrete input, in NumPy.

Conventions are scikit-learn's: a row is predicted positive where its score is at least the
threshold.
"""

from typing import NamedTuple

import numpy as np

from ._read_scores import read_scores
from ._scores import Scores, running_sum
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

    For concrete input; time n log n.

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
    hits, alarms, thresholds = points(read_scores(y_true, y_score, weight))
    if drop_intermediate and hits.size > 2:
        bent = (np.diff(hits, 2) != 0) | (np.diff(alarms, 2) != 0)
        keep = np.concatenate([[True], bent, [True]])
        hits, alarms, thresholds = hits[keep], alarms[keep], thresholds[keep]
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
    steps.

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
    hits, alarms, thresholds = points(read_scores(y_true, y_score, weight))
    if drop_intermediate and hits.size > 2:
        rises = np.diff(hits) != 0
        keep = np.concatenate([[True], rises[:-1] | rises[1:], [True]])
        hits, alarms, thresholds = hits[keep], alarms[keep], thresholds[keep]
    precision, recall = hits / (hits + alarms), _share(hits)
    return PrecisionRecallCurve(
        np.concatenate([precision[::-1], np.ones(1)]),
        np.concatenate([recall[::-1], np.zeros(1)]),
        thresholds[::-1],
    )


def points(state: Scores) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True and false positives at every distinct score, and the scores, descending.

    Counts, or sums of weights, in float64; from the best score down the sums of few rows keep
    their digits.
    """
    counts = np.asarray(state.weight) > 0
    score = np.asarray(state.score)[counts]
    weight = np.asarray(state.weight, np.float64)[counts]
    positive = np.asarray(state.positive)[counts]
    order = np.argsort(-score)
    score, positive, weight = score[order], positive[order], weight[order]
    last = np.flatnonzero(np.append(score[1:] != score[:-1], np.ones(min(1, score.size), bool)))
    hits, alarms = (running_sum(np.where(side, weight, 0)) for side in (positive, ~positive))
    return hits[last], alarms[last], score[last]


def _share(counts: np.ndarray) -> np.ndarray:
    """Of the last and largest; nan of nothing."""
    if counts.size and counts[-1] > 0:
        return counts / counts[-1]
    return np.full(counts.shape, np.nan)
