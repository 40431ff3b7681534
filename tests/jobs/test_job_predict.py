"""How a job puts prompts to its model, on a base model that has learnt nothing."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from modelops_jax.data import Dataset
from modelops_jax.jobs._predict import Predictor
from modelops_jax.models import ChatTemplateError, Model, load

LEARNT = Dataset(
    [
        {"prompt": "a", "completion": "über"},
        {
            "messages": [
                {"role": "user", "content": "a long question that is no answer"},
                {"role": "assistant", "content": "12345678"},
            ]
        },
    ]
)
CONTEXT = 2048
# The preset has a token for each byte and for each mark. Around a user's message it puts
# <|im_start|>user\n, <|im_end|>\n and <|im_start|>assistant\n.
AROUND = len("user\n") + len("\n") + len("assistant\n") + 3


@pytest.fixture(scope="module")
def model() -> Model:
    """The preset, at its random start."""
    return load("tiny")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Models echo, and note how many prompts they got and how long an answer may be."""
    calls: list[tuple[int, int]] = []

    def echo(
        self: Model,
        prompts: Sequence[Any],
        *,
        max_new_tokens: int,
        rows: Any = None,
        progress: Any = None,
    ) -> list[str]:
        calls.append((len(prompts), max_new_tokens))
        return [prompt[-1]["content"] for prompt in prompts]

    monkeypatch.setattr(Model, "generate", echo)
    return calls


def test_answers_come_in_the_order_of_the_prompts(model: Model, asked: list[tuple[int, int]]):
    """A long prompt gets what is left of the context; the others keep room for their answers."""
    prompts = ["one", "x" * 2020, "two"]
    assert Predictor(model, lambda: LEARNT).predict(prompts, max_new_tokens=None) == prompts
    # Twice the eight bytes of the longest answer and its end.
    assert asked == [(2, 18), (1, CONTEXT - AROUND - 2020)]


def test_a_limit_that_is_given_is_used(model: Model, asked: list[tuple[int, int]]):
    """All prompts go to the model at once, conversations among them."""
    talk = [{"role": "user", "content": "one"}]
    assert Predictor(model, lambda: LEARNT).predict([talk, "two"], max_new_tokens=5) == [
        "one",
        "two",
    ]
    assert asked == [(2, 5)]


def test_a_prompt_that_fills_the_context_is_refused_by_number(model: Model):
    """The first prompt that leaves no room for one token is named with both lengths."""
    full = CONTEXT - AROUND
    with pytest.raises(ValueError, match=r"prompts\[1\] has 2048 tokens.* context of 2048"):
        Predictor(model, lambda: LEARNT).predict(
            ["x" * (full - 1), "x" * full], max_new_tokens=None
        )


def test_a_list_that_is_no_conversation_is_refused_by_number(model: Model):
    """The template's complaint carries the prompt's index."""
    with pytest.raises(ChatTemplateError, match=r"prompts\[1\]: "):
        Predictor(model, lambda: LEARNT).predict(["Hello", []], max_new_tokens=None)


@pytest.mark.parametrize("prompts", ["Hello", [{"role": "user", "content": "Hello"}]])
def test_prompts_are_a_list_of_strings_or_conversations(model: Model, prompts: Any):
    """One string, or one conversation, is not a list of prompts."""
    with pytest.raises(TypeError, match="prompts"):
        Predictor(model, lambda: LEARNT).predict(prompts, max_new_tokens=None)


def test_the_rows_are_read_once_and_calls_of_tools_are_answers(
    model: Model, asked: list[tuple[int, int]]
):
    """A limit needs no rows; without one an answer has room for the longest call of a tool."""
    call = {"function": {"name": "find", "arguments": {"what": "über"}}}
    asks = {"role": "assistant", "content": "", "tool_calls": [call]}
    learnt, reads = Dataset([{"messages": [{"role": "user", "content": "?"}, asks]}]), []
    predictor = Predictor(model, lambda: reads.append(learnt) or learnt)
    predictor.predict(["one"], max_new_tokens=5)
    assert reads == []
    predictor.predict(["one"], max_new_tokens=None)
    predictor.predict(["two"], max_new_tokens=None)
    assert len(reads) == 1
    assert asked[-1][1] >= len(json.dumps(call))
