"""Metrics of rows that somebody has counted already."""

from collections.abc import Mapping

import jax
import numpy as np

from ._class_outcomes import ClassOutcomes
from ._compute import Pass, Report, pass_over, report_of, statistics_of
from ._counts import CountedStatistic, Counts
from ._exact import ExactCount
from ._metric import Metric
from ._pair import Pair
from ._types import Vector


def compute_counts(
    metrics: Mapping[str, Metric], y_true: Vector, y_pred: Vector, counts: np.ndarray
) -> Report:
    """Compute count metrics of distinct rows and how often each occurs.

    The report is `compute`'s of the rows themselves, states included, so that
    `count_intervals` takes them: a count is that many rows, where a weight is not.

    Args:
        metrics: metrics of tables of counts, under the names their results will have.
        y_true: reference labels, shape (n,).
        y_pred: predicted labels, shape (n,).
        counts: how many rows have these labels, non-negative integers of shape (n,), with a sum
            below 2**48.

    Raises:
        ValueError: metrics of something else than counts, negative counts or too many, and what
            `compute` refuses.
        TypeError: counts that are not integers.

    Example:
        >>> import numpy as np
        >>> from modelops_jax.metrics import compute_counts, metric
        >>> accuracy = {"accuracy": metric("accuracy_score")}
        >>> report = compute_counts(accuracy, [0, 0, 1], [0, 1, 1], np.array([6, 1, 3]))
        >>> float(report.values["accuracy"]), report.rows
        (0.9, 10)
    """
    for name, metric in metrics.items():
        counted = all(isinstance(statistic, ClassOutcomes) for statistic in metric.statistics)
        if metric.resampling != "cells" and not counted:
            raise ValueError(f"{name}: {metric.name} is no function of a table of counts")
    if counts.dtype.kind not in "iu":
        raise TypeError(f"counts must hold integers, not {counts.dtype}")
    total = int(counts.sum())
    if counts.size and (int(counts.min()) < 0 or total >= 1 << 48):
        raise ValueError(
            f"counts run from {counts.min()} and add up to {total:,}; expected none below 0 and a "
            "sum below 2**48"
        )
    found = pass_over(statistics_of(metrics), y_true, y_pred, counts.astype(np.float64))
    states = {}
    for statistic, state in found.states.items():
        assert isinstance(statistic, CountedStatistic)
        assert isinstance(state.cells, Pair)
        # Sums of integers below 2**53 are exact in float64.
        cells = ExactCount.of_integers(state.cells.value().astype(np.int64))
        states[statistic] = Counts(jax.tree.map(np.asarray, cells), state.invalid)
    return report_of(metrics, Pass(states, total, weighted=False))
