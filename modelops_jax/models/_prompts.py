"""Prompts and lists of texts, as a model takes them from its caller."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ._errors import ChatTemplateError
from ._tokenizer import Tokenizer


class Prompt(NamedTuple):
    """A prompt's token ids, and its text, of which a completion is the continuation."""

    ids: list[int]
    text: str


def encode_prompts(tokenizer: Tokenizer, prompts: Sequence[Any]) -> list[Prompt]:
    """Encode strings as they are, and lists of messages through the chat template.

    Raises:
        TypeError: `prompts` is no list of strings and lists.
        ValueError: A prompt cannot be encoded or rendered; the message has its index.
    """
    check_list("prompts", prompts)
    return [_encode(tokenizer, index, prompt) for index, prompt in enumerate(prompts)]


def _encode(tokenizer: Tokenizer, index: int, prompt: Any) -> Prompt:
    try:
        if isinstance(prompt, str):
            return Prompt(tokenizer.encode(prompt, add_special_tokens=True), prompt)
        if isinstance(prompt, Sequence) and not isinstance(prompt, bytes):
            # The template writes the special tokens itself.
            text = tokenizer.render_protected(prompt, add_generation_prompt=True)
            return Prompt(tokenizer.encode_protected(text), text)
    except ChatTemplateError as error:
        raise ChatTemplateError(f"prompts[{index}]: {error}") from error
    except ValueError as error:
        raise ValueError(f"prompts[{index}]: {error}") from error
    hint = " (is it one conversation? then wrap it in a list)"
    raise TypeError(
        f"prompts[{index}] is a {type(prompt).__name__}; expected a string or a list of "
        f"messages{hint if isinstance(prompt, Mapping) else ''}"
    )


def stop_texts(stop: str | Sequence[str]) -> tuple[str, ...]:
    """One text or several that end a continuation."""
    stops = (stop,) if isinstance(stop, str) else tuple(stop)
    for text in stops:
        if not text or not isinstance(text, str):
            raise ValueError(f"stop has {text!r}; expected texts of at least one character")
    return stops


def check_list(name: str, value: Any) -> None:
    """Refuse what is no list, a single string before all."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise TypeError(f"{name} must be a list, found {type(value).__name__}")


def check_strings(name: str, values: Sequence[Any]) -> None:
    """Refuse entries that are no strings."""
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise TypeError(f"{name}[{index}] is a {type(value).__name__}; expected a string")
