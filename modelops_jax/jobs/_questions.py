"""From the rows of a dataset to what a model is asked, and what is right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelops_jax.data import Dataset, Problem
from modelops_jax.models import ChatTemplateError, Model
from modelops_jax.training import render_prompt

from ._predict import Prompt

_TEXTS = ("prompt", "completion", "messages")


@dataclass(frozen=True)
class Question:
    """One row.

    Args:
        asked: the prompt, or the messages before the last turn of the assistant.
        prompt: the same as `Model.generate` takes it.
        reference: the right answer.
        length: tokens of the prompt.
        completion_length: tokens of the right answer.
        keys: the row's other entries.
    """

    asked: str | Sequence[Mapping[str, Any]]
    prompt: Prompt
    reference: str
    length: int
    completion_length: int
    keys: Mapping[str, Any]


def read_questions(
    model: Model, dataset: Dataset, *, scored: bool
) -> tuple[list[Question], list[Problem]]:
    """The questions of all rows that can be asked, and what is wrong with each of the others.

    Too long, nothing before the last turn of the assistant, or refused by the chat template.

    Args:
        model: who is asked.
        dataset: valid rows.
        scored: whether the right answers have to fit the model's context as well.
    """
    found: list[Question] = []
    problems: list[Problem] = []
    context = model.config.max_position
    for index, row in enumerate(dataset):
        question, fault = _read(model, row)
        if question is not None:
            # One token more: there has to be room for an answer.
            needed = max(1, question.completion_length if scored else 0)
            if question.length + needed <= context:
                found.append(question)
                continue
            fault = (
                f"prompt and answer need {question.length + needed:,} tokens or more, the model's "
                f"context has {context:,}"
            )
        problems.append(Problem("wrong_value", fault, row=index))
    return found, problems


def _read(model: Model, row: Mapping[str, Any]) -> tuple[Question | None, str]:
    tokenizer = model.tokenizer
    if "messages" in row:
        messages = row["messages"]
        last = max(at for at, turn in enumerate(messages) if turn["role"] == "assistant")
        asked = [{key: turn[key] for key in ("role", "content")} for turn in messages[:last]]
        reference = messages[last]["content"]
        prompt: Prompt = asked
        if not asked:
            return None, "messages: nothing comes before the last turn of the assistant"
    else:
        asked, reference = row["prompt"], row["completion"]
        prompt = render_prompt(tokenizer, asked)
    try:
        if isinstance(prompt, str):
            length = len(tokenizer.encode(prompt, add_special_tokens=True))
        else:
            length = len(tokenizer.encode_chat(prompt, add_generation_prompt=True))
    except ChatTemplateError as error:
        return None, str(error)
    if not length:
        return None, "prompt: has no tokens, expected at least one"
    keys = {key: value for key, value in row.items() if key not in _TEXTS}
    completion = len(tokenizer.encode(reference, plain=True))
    return Question(asked, prompt, reference, length, completion, keys), ""
