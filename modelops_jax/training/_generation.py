"""Evaluation of what a model in training says: answers to held-out prompts, and their metrics."""

import dataclasses
import json
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from modelops_jax._did_you_mean import did_you_mean
from modelops_jax._metric_spec import read_metric
from modelops_jax.data import Dataset
from modelops_jax.evaluation import (
    TEXT_METRICS,
    ModelEvaluator,
    TaskType,
    UndefinedMetricWarning,
)
from modelops_jax.metrics import METRICS
from modelops_jax.models import Model, Params

from ._rows import render_prompt
from ._toml import check_fields

CONFIDENCE = 0.95
# What an answer counts as that is the label of no row.
_OTHER = "\0"
# What every evaluation records anyway, of right answers.
_INSTEAD = {
    "log_likelihoods": "; eval_loss is the mean of the negative log-likelihoods of tokens",
    "tokens": "; eval_token_accuracy is recorded with every eval_loss",
}


@dataclasses.dataclass(frozen=True)
class GenerationConfig:
    """What to ask the model while it is trained. Every field is a key of `[training.generate]`.

    Args:
        metrics: Names of metrics, with their options as `modelops evaluate` takes them:
            "fbeta_score:beta=2", or "f2=fbeta_score:beta=2" for a value of that name. Those of
            texts ("exact_match", "length_ratio", "bleu_score", "rouge_l_score", ...) compare
            answers with the right ones; for those of labels ("accuracy_score", "f1_score", ...)
            answers are labels, and one that no row of the sample has as its label counts as one
            further label. Metrics of anything else, such as numbers, scores or log-likelihoods,
            cannot be computed from answers.
        every: Steps between generations; with each evaluation of the loss by default.
        rows: How many held-out rows to ask; the same ones each time, and all if there are fewer.
        max_new_tokens: Longest answer.

    Raises:
        ValueError: A metric is not known, does not fit or has wrong options, none is named, a
            number is not positive, or a value is of another type.

    Example:
        >>> from modelops_jax.training import GenerationConfig
        >>> GenerationConfig(("exact_match", "f2=fbeta_score:beta=2")).metrics
        ('exact_match', 'f2=fbeta_score:beta=2')
        >>> GenerationConfig(("r2_score",))
        Traceback (most recent call last):
        ...
        ValueError: generate.metrics: r2_score takes values, and answers are texts or labels
    """

    metrics: tuple[str, ...] = ("exact_match",)
    every: int | None = None
    rows: int = 64
    max_new_tokens: int = 64

    def __post_init__(self):
        check_fields(self, "generate.")
        for name in ("every", "rows", "max_new_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"generate.{name} must be at least 1, found {value}")
        if not self.metrics:
            raise ValueError("generate.metrics is empty: name at least one metric")
        try:
            _evaluators(self.metrics)
        except ValueError as error:
            raise ValueError(f"generate.metrics: {error}") from error

    @property
    def directions(self) -> dict[str, bool | None]:
        """For each value's key in a record whether higher is better; None where neither is."""
        return {
            f"eval_{metric.name}": getattr(metric, "higher_is_better", None)
            for evaluator in _evaluators(self.metrics).values()
            for metric in evaluator.metrics
        }


class GenerationMetrics:
    """Asks the same held-out prompts again and again.

    Args:
        config: Which metrics, how many rows.
        model: For its tokenizer and architecture.
        held_out: The rows to take a sample of; the answer to a conversation is its last
            assistant's turn, and that of two is the better one.
        drop_overlong: Leave out rows whose prompt has no room for an answer.

    Raises:
        ValueError: A row has no prompt, or one that leaves no room for `max_new_tokens`, no row is
            left, or a metric has no value even of the right answers.
    """

    def __init__(
        self, config: GenerationConfig, model: Model, held_out: Dataset, *, drop_overlong: bool
    ):
        self._config, self._model = config, model
        self._evaluators = _evaluators(config.metrics)
        chosen: dict[int, tuple[Any, str]] = {}
        # Of the number of rows alone, so that runs with other seeds can be compared.
        order = np.random.Generator(np.random.Philox(0)).permutation(len(held_out))
        for index in order.tolist():
            try:
                prompt, reference = _question(model, held_out[index])
                room = model.config.max_position - _length(model, prompt)
            except ValueError as error:  # as templates refuse conversations
                raise ValueError(f"evaluation dataset, {held_out.place(index)}: {error}") from error
            if room >= config.max_new_tokens:
                chosen[index] = prompt, reference
            elif not drop_overlong:
                raise ValueError(
                    f"evaluation dataset, {held_out.place(index)}: the prompt leaves room for "
                    f"{room} tokens in the model's context; generate.max_new_tokens is "
                    f"{config.max_new_tokens}"
                )
            if len(chosen) == config.rows:
                break
        if not chosen:
            raise ValueError(
                "evaluation dataset: no prompt leaves room for generate.max_new_tokens="
                f"{config.max_new_tokens}"
            )
        in_order = [chosen[index] for index in sorted(chosen)]
        self._prompts = [prompt for prompt, _ in in_order]
        self._references = [reference for _, reference in in_order]
        try:  # a mistake that only rows reveal shows now, and not after the first steps
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UndefinedMetricWarning)
                self._values(self._references)
        except (TypeError, ValueError) as error:
            raise ValueError(f"generate.metrics, of the evaluation dataset: {error}") from error

    def measure(self, params: Params) -> dict[str, Any]:
        """What a record says: each metric, and its 95 % interval as [low, high] if it has one."""
        model = dataclasses.replace(self._model, params=params)
        return self._values(
            model.generate(self._prompts, max_new_tokens=self._config.max_new_tokens)
        )

    def _values(self, answers: Sequence[str]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for task, evaluator in self._evaluators.items():
            pair = (self._references, answers)
            if task is TaskType.MULTICLASS_CLASSIFICATION:
                pair = _labels(*pair)
            result = evaluator.evaluate(*pair, confidence=CONFIDENCE)
            for name, value in result.metrics.items():
                values[f"eval_{name}"] = float(value)
                if (interval := result.intervals.get(name)) is not None:
                    ends = [float(interval.low), float(interval.high)]
                    values[f"eval_{name}_interval"] = ends
        return values


def _evaluators(metrics: Sequence[str]) -> dict[TaskType, ModelEvaluator]:
    """The evaluators that compute these metrics, of texts and of labels."""
    found: dict[TaskType, ModelEvaluator] = {}
    keys: list[str] = []
    for text in metrics:
        key, name, options = read_metric(text)
        task = _task(name)
        if key in keys:
            raise ValueError(f"a metric named {key!r} is there already")
        keys.append(key)
        if "average" in options and options["average"] is None:
            raise ValueError(f"{text}: average=None gives more than one number; pass an average")
        if "positive_class" in options:
            options["positive_class"] = _as_label(options["positive_class"])
        evaluator = found.setdefault(task, ModelEvaluator(task, metrics=()))
        try:
            evaluator.add_metric(name, name=key, **options)
        except (ImportError, TypeError, ValueError) as error:
            raise ValueError(f"{text}: {error}") from error
    return found


def _task(name: str) -> TaskType:
    """What answers are to a metric."""
    if name in TEXT_METRICS:
        return TaskType.TEXT_GENERATION
    of_labels = [label for label, info in METRICS.items() if info.inputs == "labels"]
    if name in of_labels:
        return TaskType.MULTICLASS_CLASSIFICATION
    if name not in METRICS:
        known = sorted({*TEXT_METRICS, *of_labels})
        meant = did_you_mean(name, known) or f"; known: {', '.join(known)}"
        raise ValueError(f"unknown metric {name!r}{meant}")
    inputs = METRICS[name].inputs
    raise ValueError(
        f"{name} takes {inputs.replace('_', ' ')}, and answers are texts or labels"
        + _INSTEAD.get(inputs, "")
    )


def _as_label(value: Any) -> str:
    """A label as an answer has it: options that look like JSON were read as that."""
    return value if isinstance(value, str) else json.dumps(value)


def _question(model: Model, row: dict[str, Any]) -> tuple[Any, str]:
    """What to ask about a row, as it is put while training, and the right or the better answer."""
    if "completion" in row:
        return render_prompt(model.tokenizer, row["prompt"]), row["completion"]
    if isinstance(row.get("prompt"), str):
        return render_prompt(model.tokenizer, row["prompt"]), row["chosen"]
    messages = row["messages"] if "messages" in row else [*row["prompt"], *row["chosen"]]
    last = max(at for at, message in enumerate(messages) if message["role"] == "assistant")
    if not last:
        raise ValueError("messages[0]: the assistant speaks first, so there is nothing to ask")
    asked = [{key: message[key] for key in ("role", "content")} for message in messages[:last]]
    return asked, messages[last]["content"]


def _length(model: Model, prompt: Any) -> int:
    if isinstance(prompt, str):
        return len(model.tokenizer.encode(prompt, add_special_tokens=True))
    return len(model.tokenizer.encode_chat(prompt, add_generation_prompt=True))


def _labels(references: Sequence[str], answers: Sequence[str]) -> tuple[list[str], list[str]]:
    labels = [reference.strip() for reference in references]
    known = set(labels)
    return labels, [answer if answer in known else _OTHER for answer in map(str.strip, answers)]
