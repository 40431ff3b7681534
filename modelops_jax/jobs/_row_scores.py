"""What each metric says of one row alone."""

import math
import warnings
from collections.abc import Mapping, Set
from typing import Any

from modelops_jax.evaluation import ModelEvaluator, TaskType, UndefinedMetricWarning


class RowScores:
    """The metrics of an evaluator, of rows by themselves.

    Args:
        evaluator: has the metrics.
        labels: all labels that rows may have, of a task of labels. A row alone has nothing to say
            of a class that only others of these have.
    """

    def __init__(self, evaluator: ModelEvaluator, labels: Set[str]) -> None:
        self._evaluator, self._labels = evaluator, labels
        # By the classes that a row has not, and, of labels alone, by these.
        self._without: dict[frozenset[str], ModelEvaluator] = {}
        self._known: dict[tuple[Any, Any], dict[str, float | None]] = {}
        of_labels = evaluator.task_type not in (TaskType.TEXT_GENERATION, TaskType.REGRESSION)
        self._repeats = of_labels and not evaluator.reads_scores

    def of(self, columns: Mapping[str, Any]) -> dict[str, float | None]:
        """By name of the metric; None where it is undefined or the row is one to be ignored.

        Args:
            columns: what the evaluator reads, of one row.
        """
        if not self._repeats:
            return self._computed(columns)
        pair = (*columns["y_true"], *columns["y_pred"])
        if pair not in self._known:
            self._known[pair] = self._computed(columns)
        return dict(self._known[pair])

    def _computed(self, columns: Mapping[str, Any]) -> dict[str, float | None]:
        there = {*columns["y_true"], *(columns["y_pred"] or ())}
        evaluator = self._of_those(frozenset(self._positive & (self._labels - there)))
        found: dict[str, float | None] = {metric.name: None for metric in self._evaluator.metrics}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedMetricWarning)
            result = evaluator.evaluate(**columns)
        if not result.ignored_count:
            found |= {n: v if math.isfinite(v) else None for n, v in result.metrics.items()}
        return found

    @property
    def _positive(self) -> set[str]:
        return {label for metric in self._evaluator.metrics for label in _positive_of(metric)}

    def _of_those(self, missing: frozenset[str]) -> ModelEvaluator:
        """The evaluator without the metrics of some classes."""
        if not missing:
            return self._evaluator
        if missing not in self._without:
            metrics = [m for m in self._evaluator.metrics if not _positive_of(m) & missing]
            self._without[missing] = ModelEvaluator(self._evaluator.task_type, metrics=metrics)
        return self._without[missing]


def _positive_of(metric: Any) -> set[str]:
    """The class that a metric of predicted labels is of, if it has a name."""
    positive = getattr(metric, "positive_class", None)
    of_scores = getattr(metric, "reads_scores", False)
    return {positive} if isinstance(positive, str) and not of_scores else set()
