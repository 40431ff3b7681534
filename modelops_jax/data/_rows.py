"""What a row must look like to be learned from."""

import reprlib
from collections.abc import Iterator
from typing import Any

from ._json_values import TOO_DEEP, has_lone_surrogate, is_too_deep
from ._problem import ProblemCode

ROLES = ("system", "user", "assistant", "tool")
EXPECTED_KEYS = "expected 'prompt' and 'completion', or 'messages'"
EXPECTED_ROW = (
    'expected an object such as {"prompt": "2+2?", "completion": "4"} or {"messages": [...]}'
)

Fault = tuple[ProblemCode, str]


def row_faults(row: object) -> Iterator[Fault]:
    """Everything wrong with a row, as pairs of code and message; nothing for a good row."""
    if not isinstance(row, dict):
        yield "not_an_object", f"found {describe(row)}, {EXPECTED_ROW}"
    elif is_too_deep(row):
        yield "too_deep", TOO_DEEP
    elif "messages" not in row:
        if "prompt" in row and "completion" in row:
            yield from _text_faults("prompt", row["prompt"])
            yield from _text_faults("completion", row["completion"])
        else:
            yield "missing_keys", f"found {_keys(row)}, {EXPECTED_KEYS}"
    elif "prompt" in row or "completion" in row:
        yield "ambiguous_keys", f"found {_keys(row)}, {EXPECTED_KEYS}, not both"
    else:
        yield from _messages_faults(row["messages"])


def text_length(row: dict[str, Any]) -> int:
    """Characters (Unicode code points) in prompt + completion, or in all message contents."""
    if "messages" in row:
        return sum(len(message["content"]) for message in row["messages"])
    return len(row["prompt"]) + len(row["completion"])


def describe(value: object) -> str:
    """A value in a few words, for a message: its type and a short form of it."""
    return f"{type(value).__name__} {reprlib.repr(value)}"


def _messages_faults(messages: object) -> Iterator[Fault]:
    if not isinstance(messages, list):
        yield "no_messages", f"messages: found {describe(messages)}, expected a list of messages"
        return
    if not messages:
        yield "no_messages", "messages: found an empty list, expected at least one message"
        return
    for position, message in enumerate(messages):
        yield from _message_faults(f"messages[{position}]", message)
    if not any(isinstance(m, dict) and m.get("role") == "assistant" for m in messages):
        yield "no_assistant", "messages: expected at least one with role 'assistant' to learn from"


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
