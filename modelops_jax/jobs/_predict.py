"""Prompts to a fine-tuned model, put as its training rows were."""

import functools
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modelops_jax.data import Dataset, preference_pair
from modelops_jax.models import ChatTemplateError, Model
from modelops_jax.training import render_prompt

Prompt = str | list[dict[str, str]]


class Predictor:
    """A fine-tuned model that is put prompts as its training rows were.

    Args:
        model: the fine-tuned model.
        learnt: reads the rows it was trained on; called once, and only if an answer has no limit.
    """

    def __init__(self, model: Model, learnt: Callable[[], Dataset]):
        self._model, self._learnt = model, learnt

    def predict(
        self, prompts: Sequence[Prompt], *, max_new_tokens: int | None
    ) -> list[str] | list[float]:
        """Answer each prompt greedily, or tell its label or value.

        Args:
            prompts: strings (rendered as a prompt/completion row's prompt is) or lists of messages.
            max_new_tokens: longest answer. When None it is room for twice the longest one of the
                training rows, or what the prompt leaves of the context: a model that never ends its
                turn stops there.

        Raises:
            TypeError: `prompts` is a string, or a prompt is neither a string nor a list.
            ChatTemplateError: a list is no conversation that the model's template accepts.
            ValueError: a prompt fills the model's context, or `max_new_tokens` is given to a model
                with labels.
        """
        model = self._model
        if isinstance(prompts, str):
            raise TypeError(f"prompts: found the string {prompts!r}, expected a list of prompts")
        if not isinstance(prompts, Sequence):
            raise TypeError(f"prompts: found {type(prompts).__name__}, expected a list of prompts")
        if model.config.labels:
            if max_new_tokens is not None:
                raise ValueError(
                    f"max_new_tokens: found {max_new_tokens}, expected None for a model with labels"
                )
            found = model.predict(prompts)
            return found if isinstance(found, list) else found.tolist()
        rendered = [
            render_prompt(model.tokenizer, prompt) if isinstance(prompt, str) else prompt
            for prompt in prompts
        ]
        if max_new_tokens is not None:
            return model.generate(rendered, max_new_tokens=max_new_tokens)
        context = model.config.max_position
        measured = []
        for index, prompt in enumerate(rendered):
            length = _prompt_length(model, index, prompt)
            if length >= context:
                raise ValueError(
                    f"prompts[{index}] has {length} tokens, which leaves no room for an answer in "
                    f"the model's context of {context}"
                )
            measured.append((prompt, length))
        return answer(model, measured, most=self._room, rows=range(len(measured)))

    @functools.cached_property
    def _room(self) -> int:
        # No answer has more tokens than bytes, and one more token ends it.
        return 2 * (1 + max(_answer_bytes(row) for row in self._learnt()))


def answer(
    model: Model,
    prompts: Sequence[tuple[Prompt, int]],
    *,
    most: int,
    rows: Sequence[int],
    progress: Callable[[int, int], None] | None = None,
    **sampling: Any,
) -> list[str]:
    """Answer rendered prompts.

    Args:
        model: the model.
        prompts: each with its number of tokens, less than the context.
        most: longest answer, or what the prompt leaves of the context.
        rows: the number of each prompt, on which its samples depend.
        progress: called with the numbers of finished and of all prompts.
        sampling: as `Model.generate` takes it; greedy without it.
    """
    by_limit = defaultdict(list)
    for index, (_, length) in enumerate(prompts):
        by_limit[min(most, model.config.max_position - length)].append(index)
    answers, done = [""] * len(prompts), 0
    for limit, indices in by_limit.items():
        batch = model.generate(
            [prompts[index][0] for index in indices],
            max_new_tokens=limit,
            rows=[rows[index] for index in indices],
            progress=False
            if progress is None
            else lambda part, _, before=done: progress(before + part, len(prompts)),
            **sampling,
        )
        done += len(indices)
        for index, text in zip(indices, batch, strict=True):
            answers[index] = text
    return answers


def _answer_bytes(row: Mapping[str, Any]) -> int:
    """UTF-8 bytes of the longest thing that a row teaches the model to say."""
    if "chosen" in row:
        _, *answers = preference_pair(row)
    else:
        answers = [row["messages"] if "messages" in row else row["completion"]]
    return max(map(_spoken_bytes, answers))


def _spoken_bytes(answer: str | list[dict[str, Any]]) -> int:
    if isinstance(answer, str):
        return len(answer.encode())
    return max(_said_bytes(message) for message in answer if message["role"] == "assistant")


def _said_bytes(message: Mapping[str, Any]) -> int:
    """Of the content, and of what a template may write besides it, a call of a tool say."""
    beside = {k: v for k, v in message.items() if k not in ("role", "content", "weight")}
    length = len(message["content"].encode())
    return length + len(json.dumps(beside, ensure_ascii=False).encode()) if beside else length


def _prompt_length(model: Model, index: int, prompt: Prompt) -> int:
    if isinstance(prompt, str):
        return len(model.tokenizer.encode(prompt, add_special_tokens=True))
    if not isinstance(prompt, list):
        raise TypeError(
            f"prompts[{index}] is a {type(prompt).__name__}, expected a string or a list of "
            "messages (one conversation goes in a list of its own)"
        )
    try:
        return len(model.tokenizer.encode_chat(prompt, add_generation_prompt=True))
    except ChatTemplateError as error:
        raise ChatTemplateError(f"prompts[{index}]: {error}") from error
