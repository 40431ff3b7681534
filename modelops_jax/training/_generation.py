"""Evaluation of what a model in training says: answers to held-out prompts, and their metrics."""

import dataclasses
import warnings
from typing import Any

import numpy as np

from modelops_jax.data import Dataset, preference_pair
from modelops_jax.evaluation import UndefinedMetricWarning
from modelops_jax.models import Model, Params

from ._answer_metrics import AnswerMetrics
from ._rows import render_prompt
from ._toml import check_fields


@dataclasses.dataclass(frozen=True)
class GenerationConfig:
    """What to ask the model while it is trained. Every field is a key of `[training.generate]`.

    Args:
        metrics: Names of metrics, with their options as `modelops evaluate` takes them:
            "fbeta_score:beta=2", or "f2=fbeta_score:beta=2" for a value of that name. Those of
            texts ("exact_match", "length_ratio", "bleu_score", "rouge_l_score", ...) compare
            answers with the right ones; for those of labels ("accuracy_score", "f1_score", ...)
            answers are labels, and one that no row of the sample has as its label counts as one
            further label; for those of numbers ("mean_absolute_error", "r2_score", ...) right
            answers are numbers, and an answer that is none, or of which the metric is not defined,
            is left out and counted. Metrics of anything else, such as scores or log-likelihoods,
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
        >>> GenerationConfig(("roc_auc_score",))
        Traceback (most recent call last):
        ...
        ValueError: generate.metrics: roc_auc_score takes scores, and answers are texts, labels \
or numbers
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
            AnswerMetrics(self.metrics)
        except ValueError as error:
            raise ValueError(f"generate.metrics: {error}") from error

    @property
    def directions(self) -> dict[str, bool | None]:
        """For each value's key in a record whether higher is better; None where neither is."""
        return AnswerMetrics(self.metrics).directions


class GenerationMetrics:
    """Asks the same held-out prompts again and again.

    Args:
        config: Which metrics, how many rows.
        model: For its tokenizer and architecture.
        held_out: The rows to take a sample of; the answer to a conversation is its last
            assistant's turn, and that of two is the better one.
        drop_overlong: Leave out rows whose prompt has no room for an answer.

    Raises:
        ValueError: A row has no prompt, or one that leaves no room for `max_new_tokens`, or no
            number as its right answer where a metric needs one; no row is left, or a metric has no
            value even of the right answers.
    """

    def __init__(
        self, config: GenerationConfig, model: Model, held_out: Dataset, *, drop_overlong: bool
    ):
        self._config, self._model = config, model
        self._metrics = AnswerMetrics(config.metrics)
        chosen: dict[int, tuple[Any, str]] = {}
        # Of the number of rows alone, so that runs with other seeds can be compared.
        order = np.random.Generator(np.random.Philox(0)).permutation(len(held_out))
        for index in order.tolist():
            try:
                prompt, reference = _question(model, held_out[index])
                self._metrics.check(reference)
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
                self._metrics.of(self._references, self._references)
        except (TypeError, ValueError) as error:
            raise ValueError(f"generate.metrics, of the evaluation dataset: {error}") from error

    def measure(self, params: Params) -> dict[str, Any]:
        """What a record says: each metric, and its 95 % interval as [low, high] if it has one.

        Of metrics of numbers also how many answers each leaves out.
        """
        model = dataclasses.replace(self._model, params=params)
        answers = model.generate(self._prompts, max_new_tokens=self._config.max_new_tokens)
        return self._metrics.of(self._references, answers)


def _question(model: Model, row: dict[str, Any]) -> tuple[Any, str]:
    """What to ask about a row, as it is put while training, and the right or the better answer."""
    if "completion" in row:
        return render_prompt(model.tokenizer, row["prompt"]), row["completion"]
    if "messages" in row:
        messages = row["messages"]
    else:
        pair = preference_pair(row)
        if isinstance(pair.prompt, str):
            return render_prompt(model.tokenizer, pair.prompt), pair.chosen
        messages = [*pair.prompt, *pair.chosen]
    last = max(at for at, message in enumerate(messages) if message["role"] == "assistant")
    if not last:
        raise ValueError("messages[0]: the assistant speaks first, so there is nothing to ask")
    asked = [{key: message[key] for key in ("role", "content")} for message in messages[:last]]
    return asked, messages[last]["content"]


def _length(model: Model, prompt: Any) -> int:
    if isinstance(prompt, str):
        return len(model.tokenizer.encode(prompt, add_special_tokens=True))
    return len(model.tokenizer.encode_chat(prompt, add_generation_prompt=True))
