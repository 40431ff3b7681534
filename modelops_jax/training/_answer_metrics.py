"""Metrics of the answers a model gives, as texts, as labels and as numbers."""

import json
import math
import warnings
from collections.abc import Sequence
from typing import Any

from modelops_jax._did_you_mean import did_you_mean
from modelops_jax._metric_spec import read_metric
from modelops_jax.data import CellError, number_of_text
from modelops_jax.evaluation import (
    TEXT_METRICS,
    ModelEvaluator,
    NoIntervalWarning,
    TaskType,
    UndefinedMetricWarning,
)
from modelops_jax.metrics import METRICS

CONFIDENCE = 0.95
LEFT_OUT = "_left_out"
"""What the name of a metric's count of answers ends with that it is not of."""
# What an answer counts as that is the label of no row.
_OTHER = "\0"
# What answers are to a metric, by what it takes.
_TASKS = {
    "labels": TaskType.MULTICLASS_CLASSIFICATION,
    "values": TaskType.REGRESSION,
    "positive": TaskType.REGRESSION,
}
# What every evaluation records anyway, of right answers.
_INSTEAD = {
    "log_likelihoods": "; eval_loss is the mean of the negative log-likelihoods of tokens",
    "tokens": "; eval_token_accuracy is recorded with every eval_loss",
}


class AnswerMetrics:
    """Metrics by name, of answers and the right ones.

    Args:
        metrics: As `GenerationConfig.metrics`.

    Raises:
        ValueError: A metric is not known, does not fit or has wrong options, or two have one name.
    """

    def __init__(self, metrics: Sequence[str]) -> None:
        # Metrics of positive numbers by themselves: each is of the answers that it is defined for.
        self._evaluators: dict[tuple[TaskType, str], ModelEvaluator] = {}
        keys: list[str] = []
        for text in metrics:
            key, name, options = read_metric(text)
            task = _task(name)
            if key in keys:
                raise ValueError(f"a metric named {key!r} is there already")
            keys.append(key)
            if "average" in options and options["average"] is None:
                raise ValueError(
                    f"{text}: average=None gives more than one number; pass an average"
                )
            if "positive_class" in options:
                options["positive_class"] = _as_label(options["positive_class"])
            alone = key if name in METRICS and METRICS[name].inputs == "positive" else ""
            evaluator = self._evaluators.setdefault((task, alone), ModelEvaluator(task, metrics=()))
            try:
                evaluator.add_metric(name, name=key, **options)
            except (ImportError, TypeError, ValueError) as error:
                raise ValueError(f"{text}: {error}") from error

    @property
    def directions(self) -> dict[str, bool | None]:
        """For each value whether higher is better; None where neither is."""
        found: dict[str, bool | None] = {}
        for (task, _), evaluator in self._evaluators.items():
            for metric in evaluator.metrics:
                found[f"eval_{metric.name}"] = getattr(metric, "higher_is_better", None)
                if task is TaskType.REGRESSION:
                    found[f"eval_{metric.name}{LEFT_OUT}"] = False
        return found

    def check(self, reference: str) -> None:
        """Refuse a right answer that a metric of numbers is not defined for (ValueError)."""
        for (task, _), evaluator in self._evaluators.items():
            if task is TaskType.REGRESSION:
                names = ", ".join(metric.name for metric in evaluator.metrics)
                try:
                    # Every metric of numbers is defined for a prediction of 1.
                    _quietly(evaluator, [number_of_text(reference)], [1.0])
                except ValueError as error:
                    raise ValueError(f"the right answer, for {names}: {error}") from error

    def of(self, references: Sequence[str], answers: Sequence[str]) -> dict[str, Any]:
        """What a record says of the answers to questions with these right ones."""
        values: dict[str, Any] = {}
        for (task, alone), evaluator in self._evaluators.items():
            true, pred, policy = references, answers, "raise"
            if task is TaskType.MULTICLASS_CLASSIFICATION:
                true, pred = _labels(references, answers)
            elif task is TaskType.REGRESSION:
                true, policy = [number_of_text(text) for text in references], "omit"
                pred = [_number(text) for text in answers]
                if alone:
                    pairs = zip(true, pred, strict=True)
                    pred = [p if _is_defined(evaluator, t, p) else math.nan for t, p in pairs]
            with warnings.catch_warnings():
                # A record has no interval then, each time.
                warnings.simplefilter("ignore", NoIntervalWarning)
                result = evaluator.evaluate(true, pred, confidence=CONFIDENCE, nan_policy=policy)
            for name, value in result.metrics.items():
                values[f"eval_{name}"] = float(value)
                if (interval := result.intervals.get(name)) is not None:
                    ends = [float(interval.low), float(interval.high)]
                    values[f"eval_{name}_interval"] = ends
                if task is TaskType.REGRESSION:
                    values[f"eval_{name}{LEFT_OUT}"] = result.invalid_count
        return values


def _task(name: str) -> TaskType:
    """What answers are to a metric."""
    if name in TEXT_METRICS:
        return TaskType.TEXT_GENERATION
    if name not in METRICS:
        known = sorted(
            {*TEXT_METRICS, *(n for n, info in METRICS.items() if info.inputs in _TASKS)}
        )
        meant = did_you_mean(name, known) or f"; known: {', '.join(known)}"
        raise ValueError(f"unknown metric {name!r}{meant}")
    inputs = METRICS[name].inputs
    if inputs in _TASKS:
        return _TASKS[inputs]
    raise ValueError(
        f"{name} takes {inputs.replace('_', ' ')}, and answers are texts, labels or numbers"
        + _INSTEAD.get(inputs, "")
    )


def _as_label(value: Any) -> str:
    """A label as an answer has it: options that look like JSON were read as that."""
    return value if isinstance(value, str) else json.dumps(value)


def _labels(references: Sequence[str], answers: Sequence[str]) -> tuple[list[str], list[str]]:
    labels = [reference.strip() for reference in references]
    known = set(labels)
    return labels, [answer if answer in known else _OTHER for answer in map(str.strip, answers)]


def _number(answer: str) -> float:
    """The number that an answer is; nan if it is none."""
    try:
        return number_of_text(answer)
    except CellError:
        return math.nan


def _is_defined(evaluator: ModelEvaluator, true: float, pred: float) -> bool:
    """Whether the metrics are of a prediction, which `check` has found true to be good for."""
    if math.isnan(pred):
        return False
    try:
        _quietly(evaluator, [true], [pred])
    except ValueError:
        return False
    return True


def _quietly(evaluator: ModelEvaluator, true: Any, pred: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        evaluator.evaluate(true, pred)
