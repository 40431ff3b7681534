"""What a row must look like to be learned from."""

import math
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from ._json_values import TOO_DEEP, has_lone_surrogate, is_too_deep
from ._problem import ProblemCode

ROLES = ("system", "user", "assistant", "tool")
EXPECTED_KEYS = "expected 'prompt' and 'completion', or 'messages'"
EXPECTED_ROW = (
    'expected an object such as {"prompt": "2+2?", "completion": "4"} or {"messages": [...]}'
)
EXPECTED_LABELLED = "expected 'label' and one of 'text' and 'prompt'"
EXPECTED_PREFERENCE = "expected 'prompt', 'chosen' and 'rejected'"
_SHARED = "without a prompt it is the messages that both share"

RowKind = Literal["text", "labelled", "preference"]
"""What a row is for: text to write, a text with its label, or a better and a worse answer."""

# The keys that make a row one of a kind, and what learns from such rows.
_KEYS_OF: tuple[tuple[RowKind, tuple[tuple[str, ...], ...], str], ...] = (
    ("preference", (("prompt", "chosen", "rejected"),), "preference tuning (DPO)"),
    ("labelled", (("text", "label"), ("prompt", "label")), "a model with labels"),
    ("text", (("prompt", "completion"), ("messages",)), "a language model"),
)

# What formats of conversations say beside the messages, and a template would have to write.
UNREAD_KEYS = ("tools", "functions", "documents", "chat_template_kwargs")

Fault = tuple[ProblemCode, str]


def row_faults(row: object, kind: RowKind = "text") -> Iterator[Fault]:
    """Everything wrong with a row, as pairs of code and message; nothing for a good row."""
    if not isinstance(row, dict):
        yield "not_an_object", f"found {describe(row)}, {EXPECTED_ROW}"
    elif is_too_deep(row):
        yield "too_deep", TOO_DEEP
    elif kind == "labelled":
        yield from _labelled_faults(row)
    elif kind == "preference":
        yield from _preference_faults(row)
    elif "messages" not in row:
        if "prompt" in row and "completion" in row:
            yield from _text_faults("prompt", row["prompt"])
            yield from _text_faults("completion", row["completion"])
        else:
            yield "missing_keys", f"found {_keys(row)}, {EXPECTED_KEYS}{_other_kind(row)}"
    elif "prompt" in row or "completion" in row:
        yield "ambiguous_keys", f"found {_keys(row)}, {EXPECTED_KEYS}, not both"
    else:
        yield from _messages_faults("messages", row["messages"], answers=True)
        yield from _unread_faults(row)


def _unread_faults(row: dict[Any, Any]) -> Iterator[Fault]:
    """What a model is told beside the messages, which would be left out of what it learns from."""
    for key in UNREAD_KEYS:
        if row.get(key):
            yield (
                "unread_key",
                f"{key}: found {describe(row[key])}, expected none beside the messages: the model "
                "would not be told; write it into the system message",
            )


def _labelled_faults(row: dict[Any, Any]) -> Iterator[Fault]:
    texts = [key for key in ("text", "prompt") if key in row]
    if "label" not in row or not texts:
        yield "missing_keys", f"found {_keys(row)}, {EXPECTED_LABELLED}{_other_kind(row)}"
    elif len(texts) > 1:
        yield "ambiguous_keys", f"found {_keys(row)}, {EXPECTED_LABELLED}, not both"
    else:
        yield from _text_faults(texts[0], row[texts[0]])
        yield from _label_faults(row["label"])


def _label_faults(label: object) -> Iterator[Fault]:
    if isinstance(label, str):
        yield from _text_faults("label", label)
        if not label.strip():
            yield "bad_label", f"label: found {describe(label)}, expected a name"
    elif isinstance(label, bool) or not isinstance(label, int | float):
        yield "bad_label", f"label: found {describe(label)}, expected a string or a number"
    elif isinstance(label, float) and not math.isfinite(label):
        yield "bad_label", f"label: found {describe(label)}, expected a finite number"


class PreferencePair(NamedTuple):
    """What is asked, and the better and the worse answer: texts, or lists of messages."""

    prompt: Any
    chosen: Any
    rejected: Any


def preference_pair(row: Mapping[str, Any]) -> PreferencePair:
    """The three parts of a good preference row.

    Without a prompt both answers are whole conversations, and the messages with which both begin
    are the prompt.
    """
    chosen, rejected = row["chosen"], row["rejected"]
    if "prompt" in row:
        return PreferencePair(row["prompt"], chosen, rejected)
    shared = _shared(chosen, rejected)
    return PreferencePair(chosen[:shared], chosen[shared:], rejected[shared:])


def _shared(one: list[Any], other: list[Any]) -> int:
    """With how many equal messages both begin."""
    differs = (at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1])
    return next(differs, min(len(one), len(other)))


def _conversation_faults(row: dict[Any, Any]) -> Iterator[Fault]:
    """What is wrong with two whole conversations, whose beginning is the prompt."""
    sides = {field: row[field] for field in ("chosen", "rejected")}
    faults = [
        fault
        for field, messages in sides.items()
        for fault in _messages_faults(field, messages, answers=True)
    ]
    yield from faults
    yield from _unread_faults(row)
    if faults:
        return
    shared = _shared(*sides.values())
    if sides["chosen"] == sides["rejected"]:
        yield "same_answers", "chosen and rejected are the same, expected a better and a worse one"
    elif not shared:
        yield "no_messages", f"chosen and rejected begin with different messages; {_SHARED}"
    else:
        for field, messages in sides.items():
            yield from _answer_faults(field, messages, shared)


def _answer_faults(field: str, messages: list[dict[str, Any]], shared: int) -> Iterator[Fault]:
    if not any(message["role"] == "assistant" for message in messages[shared:]):
        yield (
            "no_assistant",
            f"{field}: expected one with role 'assistant' after the first {shared}; {_SHARED}",
        )


def _preference_faults(row: dict[Any, Any]) -> Iterator[Fault]:
    answers = [row[field] for field in ("chosen", "rejected") if field in row]
    if "prompt" not in row and len(answers) == 2 and any(isinstance(a, list) for a in answers):
        yield from _conversation_faults(row)
        return
    if not {"prompt", "chosen", "rejected"} <= row.keys():
        hint = "; the prompt is what both answers follow" if answers else ""
        yield (
            "missing_keys",
            f"found {_keys(row)}, {EXPECTED_PREFERENCE}{_other_kind(row) or hint}",
        )
        return
    prompt, chosen, rejected = (row[field] for field in ("prompt", "chosen", "rejected"))
    if not isinstance(prompt, list):
        yield from _text_faults("prompt", prompt)
        for field, answer in (("chosen", chosen), ("rejected", rejected)):
            if isinstance(prompt, str) and isinstance(answer, list):
                found = describe(answer)
                yield "not_text", f"{field}: found {found}, expected a string, as the prompt is one"
            else:
                yield from _text_faults(field, answer)
    else:
        yield from _messages_faults("prompt", prompt)
        yield from _unread_faults(row)
        for field, answer in (("chosen", chosen), ("rejected", rejected)):
            yield from _messages_faults(field, answer, answers=True)
            if not prompt or not isinstance(answer, list) or len(answer) == len(prompt):
                continue
            if answer[: len(prompt)] == prompt:
                yield (
                    "repeated_prompt",
                    f"{field}: begins with the prompt's messages, expected those after them",
                )
    if chosen == rejected:
        yield "same_answers", "chosen and rejected are the same, expected a better and a worse one"


def _other_kind(row: dict[Any, Any]) -> str:
    """What to add about a row that is not of the kind that is expected, but of another."""
    for kind, groups, learner in _KEYS_OF:
        if any(row.keys() >= set(group) for group in groups):
            return f"; these are the keys of a {kind!r} row, from which {learner} learns"
    return ""


def text_length(row: dict[str, Any]) -> int:
    """Characters (Unicode code points) in prompt + completion, or in all message contents."""
    if "messages" in row:
        return sum(len(message["content"]) for message in row["messages"])
    return len(row["prompt"]) + len(row["completion"])


def describe(value: object) -> str:
    """A value in a few words, for a message: its type and a short form of it."""
    return f"{type(value).__name__} {reprlib.repr(value)}"


def _messages_faults(field: str, messages: object, *, answers: bool = False) -> Iterator[Fault]:
    if not isinstance(messages, list):
        yield "no_messages", f"{field}: found {describe(messages)}, expected a list of messages"
        return
    if not messages:
        yield "no_messages", f"{field}: found an empty list, expected at least one message"
        return
    for position, message in enumerate(messages):
        yield from _message_faults(f"{field}[{position}]", message)
    if answers and not any(isinstance(m, dict) and m.get("role") == "assistant" for m in messages):
        yield "no_assistant", f"{field}: expected at least one with role 'assistant' to learn from"


def _message_faults(where: str, message: object) -> Iterator[Fault]:
    if not isinstance(message, dict):
        yield (
            "not_an_object",
            f"{where}: found {describe(message)}, expected an object with 'role' and 'content'",
        )
    elif "role" not in message or "content" not in message:
        yield "missing_keys", f"{where}: found {_keys(message)}, expected 'role' and 'content'"
    else:
        role = message["role"]
        if not isinstance(role, str) or role not in ROLES:
            yield (
                "unknown_role",
                f"{where}.role: found {describe(role)}, expected one of {', '.join(ROLES)}",
            )
        yield from _text_faults(f"{where}.content", message["content"])
        if "weight" in message:
            yield from _weight_faults(where, role, message["weight"])


def _weight_faults(where: str, role: object, weight: object) -> Iterator[Fault]:
    """A weight says whether an assistant's turn is learned: 1, as without it, or 0."""
    if role != "assistant":
        yield "bad_weight", f"{where}.weight: found on role {role!r}, expected on assistant only"
    elif isinstance(weight, bool) or not isinstance(weight, int) or weight not in (0, 1):
        yield "bad_weight", f"{where}.weight: found {describe(weight)}, expected 0 or 1"


def _text_faults(field: str, value: object) -> Iterator[Fault]:
    if not isinstance(value, str):
        yield "not_text", f"{field}: found {describe(value)}, expected a string"
    elif has_lone_surrogate(value):
        yield "invalid_text", f"{field}: holds half of a surrogate pair, expected valid Unicode"


def _keys(row: dict[Any, Any]) -> str:
    return f"keys {reprlib.repr(list(row))}" if row else "no keys"
