"""Confusion tables at given thresholds: one histogram of the scores between them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from ._by_name import metric
from ._compute import compute
from ._counts import CellStatistic, Counts
from ._metric import Metric, Outcome
from ._pair import Pair
from ._statistic import float_type, require_labels
from ._types import Vector

_COUNTS = ("f1_score", "precision_score", "recall_score")


@dataclass(frozen=True)
class ThresholdCounts(CellStatistic):
    """Rows by (label 0 or 1, how many of the thresholds the score reaches)."""

    thresholds: tuple[float | int, ...]
    """Ascending."""

    @property
    def shape(self) -> tuple[int, ...]:
        return (2, len(self.thresholds) + 1)

    labels = ("y_true",)

    @property
    def checks_labels(self) -> bool:
        return True

    def complaints(self) -> dict[str, str]:
        return {
            "y_true": "labels other than 0 and 1",
            "y_pred": "scores that are not finite",
            **super().complaints(),
        }

    def cell(self, y_true: Any, y_pred: Any) -> Any:
        require_labels(y_true, "y_true")
        score = y_pred.astype(float_type(y_pred))
        # Compared in the scores' own type: a score stored as float32(0.3) reaches 0.3.
        reached = jnp.searchsorted(jnp.array(self.thresholds, score.dtype), score, side="right")
        bad_true = (y_true != 0) & (y_true != 1)
        index = jnp.where(y_true == 1, self.shape[1], 0) + reached.astype(jnp.int32)
        return index.astype(jnp.int32), bad_true, ~jnp.isfinite(score)


@dataclass(frozen=True)
class TablesAtThresholds:
    """`[[tn, fp], [fn, tp]]` at every threshold, shape (thresholds, 2, 2)."""

    def __call__(self, xp: Any, counts: Counts) -> Outcome:
        cells = counts.cells
        table = cells.value() if isinstance(cells, Pair) else cells.integers()
        short = xp.cumsum(table, axis=-1)[..., :-1]
        # Added up from the top as well: sums of weights must not cancel.
        reached = xp.flip(xp.cumsum(xp.flip(table, -1), axis=-1), -1)[..., 1:]
        tables = xp.stack([short, reached], axis=-1)
        return Outcome(xp.swapaxes(tables, -3, -2), 0)


@dataclass(frozen=True)
class ThresholdSweep:
    """Counts of rows, or sums of weights, and metrics at every threshold; shapes (t,)."""

    thresholds: np.ndarray
    true_positives: np.ndarray
    false_positives: np.ndarray
    true_negatives: np.ndarray
    false_negatives: np.ndarray

    values: dict[str, np.ndarray]
    """By metric."""


def threshold_tables_metric(thresholds: Vector) -> Metric:
    """The metric whose value is `[[tn, fp], [fn, tp]]` at every threshold.

    For streaming, sharding and intervals of a sweep.

    Args:
        thresholds: finite, ascending, no two equal.

    Raises:
        ValueError: no thresholds, or such as are not finite and ascending.

    Example:
        >>> from modelops_jax.metrics import compute, threshold_tables_metric
        >>> sweep = threshold_tables_metric([0.3, 0.5])
        >>> compute({"sweep": sweep}, [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).values["sweep"].tolist()
        [[[1, 1], [0, 2]], [[2, 0], [1, 1]]]
    """
    levels = np.asarray(thresholds, np.float64)
    if levels.ndim != 1 or not levels.size or not np.isfinite(levels).all():
        raise ValueError(f"thresholds must be one or more finite numbers, not {thresholds!r}")
    if (levels[1:] <= levels[:-1]).any():
        raise ValueError(f"thresholds must be ascending, without equal ones, not {thresholds!r}")
    statistic = ThresholdCounts(tuple(levels.tolist()))
    return Metric("threshold_tables", (statistic,), TablesAtThresholds())


def threshold_sweep(
    y_true: Vector,
    y_score: Vector,
    thresholds: Vector,
    *,
    weight: Vector | None = None,
    metrics: Mapping[str, Metric] | None = None,
) -> ThresholdSweep:
    """Counts and count metrics of predicting positive from each threshold up.

    A row is predicted positive where its score is at least the threshold. One pass, whatever the
    number of thresholds; for concrete input (`threshold_tables_metric` goes anywhere).

    Args:
        y_true: labels, shape (n,), booleans or integers 0 and 1.
        y_score: scores, shape (n,).
        thresholds: finite, ascending, no two equal, shape (t,).
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        metrics: by name, metrics of the confusion matrix of two classes (`num_classes=2`); None:
            precision, recall and F1 of class 1.

    Returns:
        The counts and, by metric, its values, float64.

    Raises:
        ValueError: thresholds or rows that are refused, or a metric that is not of the confusion
            matrix of two classes.

    Example:
        >>> from modelops_jax.metrics import threshold_sweep
        >>> sweep = threshold_sweep([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], [0.3, 0.5])
        >>> sweep.true_positives.tolist(), sweep.values["f1_score"].round(3).tolist()
        ([2, 1], [0.8, 0.667])
    """
    if metrics is None:
        metrics = {name: metric(name, num_classes=2) for name in _COUNTS}
    confusion = metric("confusion_matrix", num_classes=2).statistics
    for name, asked in metrics.items():
        if asked.statistics != confusion:
            raise ValueError(
                f"{name}: {asked.name} is not a metric of the confusion matrix of two classes; "
                "build it with num_classes=2"
            )
    sweep = threshold_tables_metric(thresholds)
    report = compute({"sweep": sweep}, y_true, y_score, weight=weight)
    tables = np.asarray(report.values["sweep"])
    (state,) = report.states.values()
    counted = Counts(Pair(tables.astype(np.float64), np.zeros(tables.shape)), state.invalid)
    (misses, wrong), (lost, hits) = np.moveaxis(tables, 0, -1)
    return ThresholdSweep(
        np.asarray(thresholds, np.float64), hits, wrong, misses, lost,
        {name: np.asarray(asked.finalizer(np, counted).value) for name, asked in metrics.items()},
    )  # fmt: skip
