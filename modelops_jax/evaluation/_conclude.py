"""From what was read of the rows of several models to their comparison."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._compared import ALL_IGNORED, Question, uncompared
from ._comparison import Comparison, MetricComparison
from ._errors import NoIntervalWarning
from ._finish import Group, finish
from ._joint_there import Read
from ._result import EvaluationResult
from ._task_type import TaskType


@dataclass(frozen=True)
class Asked:
    """By what models are compared.

    Args:
        task_type: the task.
        metrics: all metrics, of which those by class are not compared.
        models: the models.
        question: which differences of them.
    """

    task_type: TaskType
    metrics: Sequence[Any]
    models: Sequence[str]
    question: Question

    def conclude(
        self,
        states: Sequence[Read],
        rows: int,
        names: Mapping[str, Any],
        columns: Callable[[str], Any],
    ) -> Comparison:
        """The comparison, for a method that the user calls.

        Args:
            states: what was read for all built-in metrics.
            rows: how many rows, at least one.
            names: the metrics that have a value.
            columns: by model what metrics of a caller's own read; None where there are none.

        Raises:
            ValueError: all rows have the label to be ignored, and what evaluations refuse.

        Warns:
            UndefinedMetricWarning: as an evaluation of each model does.
            NoIntervalWarning: a metric is not compared.
        """

        def evaluated(model: str) -> EvaluationResult:
            groups = [Group(s.members, lambda s=s: s.evidence(model)) for s in states]
            return finish(self.task_type, names, groups, columns(model), rows, None, [])

        results = self.evaluate(evaluated, stacklevel=4)
        if rows == results[self.models[0]].ignored_count:
            raise ValueError(ALL_IGNORED)
        compared: dict[str, MetricComparison] = {}
        reasons: dict[str, str] = {}
        for state in states:
            found, refused = state.compare(self.question)
            compared, reasons = compared | found, reasons | refused
        return self.sum_up(names, rows, results, compared, reasons, stacklevel=4)

    def evaluate(
        self, evaluated: Callable[[str], EvaluationResult], *, stacklevel: int
    ) -> dict[str, EvaluationResult]:
        """The evaluation of each model, whose warnings name it.

        Args:
            evaluated: evaluates a model.
            stacklevel: 2 for the warnings of the method that calls this one, 3 of its caller.
        """
        results = {}
        for model in self.models:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                results[model] = evaluated(model)
            for one in caught:
                warnings.warn(f"{model}: {one.message}", one.category, stacklevel=stacklevel)
        return results

    def sum_up(
        self,
        names: Iterable[str],
        rows: int,
        results: Mapping[str, EvaluationResult],
        compared: Mapping[str, MetricComparison],
        reasons: Mapping[str, str],
        *,
        stacklevel: int,
    ) -> Comparison:
        """The comparison by all metrics, from those by which the models could be compared.

        Args:
            names: the metrics that have a value.
            rows: how many rows.
            results: of each model.
            compared: by metric.
            reasons: why others could not be.
            stacklevel: as for `evaluate`.
        """
        baseline = self.question.baseline
        rest, notes = uncompared(self.metrics, compared, reasons, results, baseline)
        for note in notes:
            warnings.warn(note, NoIntervalWarning, stacklevel=stacklevel)
        every = {**compared, **rest}
        confidence, correction = self.question.confidence.level, self.question.correction
        return Comparison(
            self.task_type, rows, tuple(self.models), baseline, confidence, correction,
            {name: every[name] for name in names},
        )  # fmt: skip
