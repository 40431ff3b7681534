"""Rows with a label and rows with a better and a worse answer."""

import json
import math
from typing import Any

import pytest

from modelops_jax.data import Dataset, DatasetError
from modelops_jax.data._dataset import _check_kind

USER = {"role": "user", "content": "2+2?"}
GOOD = [{"role": "assistant", "content": "4"}]
BAD = [{"role": "assistant", "content": "5"}]
PAIR = {"prompt": "2+2?", "chosen": "4", "rejected": "5"}
CHAT = {"prompt": [USER], "chosen": GOOD, "rejected": BAD}
WHOLE = {"chosen": [USER, *GOOD], "rejected": [USER, *BAD, USER, *BAD]}


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("labelled", {"text": "Win money", "label": "spam"}),
        ("labelled", {"prompt": "Win money", "label": 1, "completion": "kept"}),
        ("labelled", {"text": "", "label": -0.5}),
        ("labelled", {"text": "", "label": 10**400}),
        ("preference", PAIR),
        ("preference", CHAT),
        ("preference", WHOLE),
    ],
)
def test_good_rows(kind: Any, row: dict[str, Any]):
    """They are good as what they are, and not as text to write."""
    assert Dataset([row]).problems(kind) == []
    assert Dataset([row]).validate(kind)
    assert Dataset([row]).validate() == ("completion" in row)


@pytest.mark.parametrize(
    ("kind", "row", "code", "message"),
    [
        ("labelled", {"text": "a"}, "missing_keys", "['text'], expected 'label' and one of 'text'"),
        ("labelled", {"label": 1}, "missing_keys", "found keys ['label'], expected"),
        ("labelled", {"text": "a", "prompt": "a", "label": 1}, "ambiguous_keys", "not both"),
        ("labelled", {"text": None, "label": 1}, "not_text", "text: found NoneType None"),
        ("labelled", {"prompt": 3, "label": 1}, "not_text", "prompt: found int 3, expected a st"),
        ("labelled", {"text": "a", "label": None}, "bad_label", "label: found NoneType None"),
        ("labelled", {"text": "a", "label": True}, "bad_label", "label: found bool True, expected"),
        ("labelled", {"text": "a", "label": [1]}, "bad_label", "expected a string or a number"),
        ("labelled", {"text": "a", "label": " "}, "bad_label", "found str ' ', expected a name"),
        ("labelled", {"text": "a", "label": math.nan}, "bad_label", "expected a finite number"),
        ("labelled", {"text": "a", "label": "\ud800"}, "invalid_text", "label: holds half of a su"),
        ("preference", {"prompt": "a", "chosen": "b"}, "missing_keys", "'chosen' and 'rejected'"),
        (
            "preference",
            {"chosen": "a", "rejected": "b"},
            "missing_keys",
            "what both answers follow",
        ),
        ("preference", PAIR | {"rejected": BAD}, "not_text", "expected a string, as the prompt is"),
        ("preference", PAIR | {"chosen": PAIR["rejected"]}, "same_answers", "are the same, expec"),
        ("preference", CHAT | {"chosen": CHAT["rejected"]}, "same_answers", "are the same, expec"),
        (
            "preference",
            CHAT | {"rejected": [*CHAT["prompt"], *BAD]},
            "repeated_prompt",
            "rejected: begins with the prompt's messages, expected those after them",
        ),
        (
            "preference",
            CHAT | {"tools": [{}]},
            "unread_key",
            "tools: found list [{}], expected non",
        ),
        ("preference", CHAT | {"chosen": "4"}, "no_messages", "chosen: found str '4', expected a"),
        ("preference", CHAT | {"prompt": []}, "no_messages", "prompt: found an empty list"),
        ("preference", CHAT | {"chosen": [USER]}, "no_assistant", "chosen: expected at least one"),
        (
            "preference",
            CHAT | {"rejected": [*BAD, {"role": "human", "content": ""}]},
            "unknown_role",
            "rejected[1].role: found str 'human', expected one of",
        ),
        ("preference", WHOLE | {"chosen": "4"}, "no_messages", "chosen: found str '4', expected a"),
        (
            "preference",
            WHOLE | {"chosen": WHOLE["rejected"]},
            "same_answers",
            "are the same, expec",
        ),
        (
            "preference",
            WHOLE | {"chosen": GOOD},
            "no_messages",
            "begin with different",
        ),
        (
            "preference",
            WHOLE | {"tools": [{}]},
            "unread_key",
            "tools: found list [{}], expected non",
        ),
        (
            "preference",
            WHOLE | {"chosen": WHOLE["rejected"][:3]},
            "no_assistant",
            "chosen: expected one with role 'assistant' after the first 3; without a prompt it is",
        ),
    ],
)
def test_bad_rows(kind: Any, row: dict[str, Any], code: str, message: str):
    """Each fault says where it is, what was found and expected."""
    (problem,) = Dataset([row]).problems(kind)
    assert (problem.row, problem.code) == (0, code)
    assert message in problem.message
    assert not Dataset([row]).validate(kind)


@pytest.mark.parametrize(
    ("kind", "row", "other"),
    [
        ("text", PAIR, "'preference' row, from which preference tuning (DPO) learns"),
        ("text", {"text": "a", "label": 1}, "'labelled' row, from which a model with labels"),
        ("labelled", CHAT, "'preference' row"),
        ("labelled", {"prompt": "a", "completion": "b"}, "'text' row, from which a language model"),
        ("preference", {"messages": []}, "'text' row"),
        ("preference", {"prompt": "a", "label": 1}, "'labelled' row"),
    ],
)
def test_the_keys_of_another_kind_are_told(kind: Any, row: dict[str, Any], other: str):
    """As where a file of pairs is checked as one of texts."""
    (problem,) = Dataset([row]).problems(kind)
    assert problem.code == "missing_keys"
    assert f"; these are the keys of a {other}" in problem.message


def test_a_file_names_the_line(tmp_path):
    """Blank lines count; a text row among labelled ones is one too many."""
    rows = [{"text": "a", "label": "ham"}, PAIR, {"text": "b", "label": None}]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n\n".join(map(json.dumps, rows)), "utf-8")
    with pytest.raises(DatasetError) as caught:
        Dataset.from_file(path, "labelled")
    assert [(problem.line, problem.code) for problem in caught.value.problems] == [
        (3, "missing_keys"),
        (5, "bad_label"),
    ]
    path.write_text(json.dumps(rows[0]), "utf-8")
    assert Dataset.from_file(path, "labelled").data == rows[:1]
    with pytest.raises(DatasetError, match=r"line 1: .*'completion'"):
        Dataset.from_file(path)


def test_an_unknown_kind_is_named():
    """Which every method that takes one asks first."""
    with pytest.raises(ValueError, match="kind: found 'labels', expected one of text, labelle"):
        _check_kind("labels")
