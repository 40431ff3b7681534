"""Which rows are good, and what is said of the others."""

from typing import Any

import pytest

from modelops_jax.data import Dataset

USER = {"role": "user", "content": "Hello"}
ASSISTANT = {"role": "assistant", "content": "Hi!"}


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "p", "completion": "c"},
        {"prompt": "", "completion": ""},
        {"prompt": "p", "completion": "c", "id": 2**70, "meta": {"when": None}},
        {"messages": [ASSISTANT]},
        {"messages": [{"role": "system", "content": ""}, USER, ASSISTANT, USER]},
        {"messages": [USER, ASSISTANT, {"role": "tool", "content": "3", "name": "sum"}, ASSISTANT]},
        {"messages": [USER, ASSISTANT], "tools": None, "functions": [], "source": "a"},
        {"messages": [USER, ASSISTANT], "source": "chat"},
        {"messages": [USER, ASSISTANT | {"weight": 0}, USER, ASSISTANT | {"weight": 1}]},
    ],
)
def test_good_rows(row: dict[str, Any]):
    """Both kinds of row are good, with empty texts, any further keys and any order of the roles."""
    assert Dataset([row]).problems() == []
    assert Dataset([row]).validate()


@pytest.mark.parametrize(
    ("row", "code", "message"),
    [
        ({}, "missing_keys", "found no keys, expected 'prompt' and 'completion', or 'messages'"),
        ({"prompt": "p"}, "missing_keys", "found keys ['prompt'], expected"),
        ({"Prompt": "p", "completion": "c"}, "missing_keys", "['Prompt', 'completion'], expected"),
        ({"messages": [USER, ASSISTANT], "prompt": "p"}, "ambiguous_keys", "or 'messages', not bo"),
        (
            {"prompt": ["p"], "completion": "c"},
            "not_text",
            "prompt: found list ['p'], expected a s",
        ),
        (
            {"prompt": "p", "completion": 4},
            "not_text",
            "completion: found int 4, expected a string",
        ),
        ({"prompt": "\ud800", "completion": "c"}, "invalid_text", "prompt: holds half of a surrog"),
        ({"messages": "Hello"}, "no_messages", "messages: found str 'Hello', expected a list"),
        ({"messages": []}, "no_messages", "messages: found an empty list, expected at least one"),
        ({"messages": [USER]}, "no_assistant", "at least one with role 'assistant'"),
        (
            {"messages": [ASSISTANT | {"weight": 0.5}]},
            "bad_weight",
            "messages[0].weight: found float 0.5, expected 0 or 1",
        ),
        ({"messages": [ASSISTANT | {"weight": True}]}, "bad_weight", "found bool True, expected 0"),
        (
            {"messages": [USER | {"weight": 1}, ASSISTANT]},
            "bad_weight",
            "messages[0].weight: found on role 'user', expected on assistant only",
        ),
        ({"messages": [ASSISTANT, "Hi"]}, "not_an_object", "messages[1]: found str 'Hi', expected"),
        ({"messages": [ASSISTANT, {"role": "user"}]}, "missing_keys", "messages[1]: found keys ['"),
        ({"messages": [ASSISTANT, {}]}, "missing_keys", "messages[1]: found no keys, expected 'ro"),
        (
            {"messages": [ASSISTANT, {"role": "human", "content": "Hi"}]},
            "unknown_role",
            "messages[1].role: found str 'human', expected one of system, user, assistant, tool",
        ),
        (
            {"messages": [ASSISTANT, {"role": None, "content": "Hi"}]},
            "unknown_role",
            "messages[1].role: found NoneType None",
        ),
        (
            {"messages": [USER, {"role": "assistant", "content": None}]},
            "not_text",
            "messages[1].content: found NoneType None, expected a string",
        ),
        (
            {"messages": [USER, {"role": "assistant", "content": "a\udfff"}]},
            "invalid_text",
            "messages[1].content: holds half of a surrogate pair",
        ),
        (
            {"messages": [USER, ASSISTANT], "tools": [{"type": "function"}]},
            "unread_key",
            "tools: found list [{'type': 'function'}], expected none beside the messages",
        ),
    ],
)
def test_bad_rows(row: dict[str, Any], code: str, message: str):
    """Each fault of a row has its code, and says where it is, what was found and expected."""
    dataset = Dataset([row])
    assert not dataset.validate()
    (problem,) = dataset.problems()
    assert (problem.row, problem.line, problem.code) == (0, None, code)
    assert message in problem.message


def test_every_fault_is_reported():
    """All faults of all rows are listed, in order, also those in one row."""
    dataset = Dataset(
        [
            {"prompt": 1, "completion": 2},
            {"prompt": "p", "completion": "c"},
            {"messages": [{"role": "bot", "content": 3}]},
        ]
    )
    assert [(problem.row, problem.code) for problem in dataset.problems()] == [
        (0, "not_text"),
        (0, "not_text"),
        (2, "unknown_role"),
        (2, "not_text"),
        (2, "no_assistant"),
    ]


def test_row_appended_that_is_no_dict():
    """A thing appended to `.data` that is no dict is a problem, too."""
    dataset = Dataset()
    rows: list[Any] = dataset.data
    rows.append("Hello")
    (problem,) = dataset.problems()
    assert str(problem).startswith("row 0: found str 'Hello', expected an object such as")
