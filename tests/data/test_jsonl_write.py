"""Writing JSON Lines: what is written is what will be read."""

import datetime
import enum
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelops_jax.data import Dataset, DatasetError

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
extras = st.dictionaries(
    text.filter(lambda key: key not in ("prompt", "completion", "messages")), values, max_size=2
)
messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": text}
    ),
    max_size=3,
).map(lambda turns: [*turns, {"role": "assistant", "content": "c"}])
rows = st.builds(
    lambda row, extra: {**row, **extra},
    st.fixed_dictionaries({"prompt": text, "completion": text})
    | st.fixed_dictionaries({"messages": messages}),
    extras,
)


@settings(max_examples=60)
@given(st.lists(rows, max_size=4))
def test_round_trip(written: list[dict[str, Any]]):
    """Every valid dataset of JSON values is read as it was, by us and by the standard library."""
    dataset = Dataset(written)
    assert dataset.validate()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.jsonl")
        dataset.to_jsonl(path)
        read = Dataset.from_file(path)
        lines = path.read_bytes().split(b"\n")
    # Compared as text, too, where 1, 1.0 and True differ.
    assert read == dataset
    assert repr(read.data) == repr(written)
    assert lines.pop() == b""
    assert repr([json.loads(line) for line in lines]) == repr(written)


def test_text_is_written_as_it_is(tmp_path: Path):
    """Characters outside of ASCII and integers beyond 64 bits are written plainly."""
    path = tmp_path / "rows.jsonl"
    Dataset([{"prompt": "é😀\u2028\n", "completion": "", "id": 10**30}, {"a": (1, 2)}]).to_jsonl(
        path
    )
    assert path.read_text(encoding="utf-8") == (
        '{"prompt": "é😀\u2028\\n", "completion": "", "id": 1000000000000000000000000000000}\n'
        '{"a": [1, 2]}\n'
    )


def test_empty_dataset(tmp_path: Path):
    """No rows are an empty file, which is read as no rows."""
    Dataset().to_jsonl(tmp_path / "rows.jsonl")
    assert (tmp_path / "rows.jsonl").read_bytes() == b""
    assert Dataset.from_file(tmp_path / "rows.jsonl") == Dataset()


class Colour(enum.Enum):
    """A value that JSON does not know."""

    RED = "red"


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (datetime.date(2024, 1, 1), "meta.x[1]: datetime.date is not a JSON value (str, int, "),
        (b"bytes", "meta.x[1]: bytes is not a JSON value"),
        ({1, 2}, "meta.x[1]: set is not a JSON value"),
        (np.int64(3), "meta.x[1]: numpy.int64 is not a JSON value"),
        (np.zeros(2), "meta.x[1]: numpy.ndarray is not a JSON value"),
        (Colour.RED, "test_jsonl_write.Colour is not a JSON value"),
        (float("nan"), "meta.x[1]: nan is not a JSON number"),
        (float("-inf"), "meta.x[1]: -inf is not a JSON number"),
        ("a\ud800", "meta.x[1]: holds half of a surrogate pair"),
        ({"\ud800": 1}, "meta.x[1]: key '\\ud800' holds half of a surrogate pair"),
        ({1: "x", "1": "y"}, "meta.x[1]: key 1 is not a string"),
        (10**5000, "meta.x[1]: Exceeds the limit (4300 digits)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_that_are_not_json(tmp_path: Path, value: object, fault: str):
    """A value that JSON cannot hold exactly is an error with row and field; the old file stays."""
    path = tmp_path / "rows.jsonl"
    path.write_text("old")
    good = {"prompt": "p", "completion": "c"}
    with pytest.raises(DatasetError) as caught:
        Dataset([good, good | {"meta": {"x": [0, value]}}, good]).to_jsonl(path)
    assert str(caught.value).startswith("cannot be written as JSON: row 1: ")
    assert fault in str(caught.value)
    assert [(problem.row, problem.code) for problem in caught.value.problems] == [(1, "not_json")]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("value", [np.float64(0.1), np.str_("é"), enum.IntEnum("N", "ONE")(1)])
def test_kinds_of_str_int_and_float(tmp_path: Path, value: Any):
    """A value of a class below str, int or float is written as what it equals."""
    path = tmp_path / "rows.jsonl"
    Dataset([{"prompt": "p", "completion": "c", "x": value}]).to_jsonl(path)
    assert Dataset.from_file(path)[0]["x"] == value


def test_row_that_is_no_dict(tmp_path: Path):
    """A thing appended to `.data` that is no dict cannot be written."""
    dataset = Dataset()
    rows: list[Any] = dataset.data
    rows.append(["p", "c"])
    with pytest.raises(DatasetError, match=r"row 0: found list \['p', 'c'\], expected a dict"):
        dataset.to_jsonl(tmp_path / "rows.jsonl")
