"""The container: what goes in, what comes out, and that nothing is shared."""

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import modelops_jax
from modelops_jax.data import Dataset, DatasetError, DatasetSanitizer, Problem

PAIRS = [
    {"prompt": "What is 2+2?", "completion": "4"},
    {"prompt": "Capital of France?", "completion": "Paris"},
]
CHAT = {
    "messages": [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi there!"},
    ],
    "tags": ["greeting", {"lang": "en"}],
}


def nested(levels: int) -> dict[str, Any]:
    """A row of so many levels of dicts."""
    row: dict[str, Any] = {"prompt": "p", "completion": "c"}
    inner = row
    for _ in range(levels - 1):
        inner["more"] = {}
        inner = inner["more"]
    return row


def test_documented_snippet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The data part of the documentation's first example runs word for word."""
    monkeypatch.chdir(tmp_path)
    # Create and validate a dataset
    dataset = Dataset(
        data=[
            {"prompt": "What is 2+2?", "completion": "4"},
            {"prompt": "Capital of France?", "completion": "Paris"},
        ]
    )
    assert dataset.validate()

    # Export to JSONL
    dataset.to_jsonl("training_data.jsonl")

    # Load from file
    loaded = Dataset.from_file("training_data.jsonl")

    # Filter dataset by content length
    sanitizer = DatasetSanitizer()
    filtered = sanitizer.filter_by_length(dataset, min_length=5, max_length=500)

    assert loaded == dataset == filtered
    assert loaded.data == PAIRS


def test_empty():
    """No rows, an empty list and an empty iterator are the same valid dataset."""
    assert Dataset() == Dataset(None) == Dataset([]) == Dataset(iter(()))
    assert Dataset().validate()
    assert Dataset().problems() == []
    assert Dataset().data == []
    assert not Dataset()


def test_behaves_as_a_list():
    """Length, iteration, membership, indexing from both ends and equality are a list's."""
    dataset = Dataset([*PAIRS, CHAT])
    assert len(dataset) == 3
    assert list(dataset) == dataset.data == [*PAIRS, CHAT]
    assert PAIRS[1] in dataset
    assert dataset[0] == PAIRS[0]
    assert dataset[-1] == CHAT
    assert dataset != Dataset(PAIRS)
    assert dataset != [*PAIRS, CHAT]


@pytest.mark.parametrize("where", [slice(1), slice(1, 9), slice(None, None, -1), slice(5, 9)])
def test_slice_is_a_dataset(where: slice):
    """A slice holds the rows that the same slice of a list holds."""
    rows = [*PAIRS, CHAT]
    assert Dataset(rows)[where] == Dataset(rows[where])


@pytest.mark.parametrize("index", [2, -3])
def test_index_out_of_range(index: int):
    """An index beyond the rows names itself and the number of rows."""
    with pytest.raises(IndexError, match=rf"row {index}: the dataset has n = 2 rows"):
        Dataset(PAIRS)[index]


@pytest.mark.parametrize(
    ("rows", "text"), [([], "0 rows"), (PAIRS[:1], "1 row"), (PAIRS, "2 rows")]
)
def test_repr(rows: list[dict[str, Any]], text: str):
    """The short form says how many rows there are."""
    assert repr(Dataset(rows)) == f"Dataset({text})"


def test_input_is_not_shared():
    """A change of the input, however deep, does not reach the dataset, nor the other way round."""
    rows: list[dict[str, Any]] = [copy.deepcopy(CHAT)]
    dataset = Dataset(rows)
    rows[0]["messages"][0]["content"] = "changed"
    rows[0]["tags"][1]["lang"] = "fr"
    rows.append({})
    assert dataset.data == [CHAT]
    rows = [copy.deepcopy(CHAT)]
    dataset = Dataset(rows)
    dataset[0]["messages"].clear()
    dataset.data.clear()
    assert rows == [CHAT]


def test_datasets_are_not_shared():
    """Copies, slices, both sides of a split and sanitized datasets own their rows."""
    dataset = Dataset([CHAT, CHAT])
    first, second = dataset.split(0.5, 0)
    sanitizer = DatasetSanitizer()
    others = [
        Dataset(dataset),
        dataset[:],
        first,
        second,
        sanitizer.filter_by_length(dataset),
        sanitizer.strip_keys(dataset, ["absent"]),
    ]
    for other in others:
        for row in other:
            row["messages"][0]["content"] = "changed"
            row["tags"].clear()
    assert dataset.data == [CHAT, CHAT]


def test_data_is_the_dataset():
    """Editing `.data`, or a row got by index or iteration, edits the dataset."""
    dataset = Dataset(PAIRS)
    dataset.data.append({"prompt": "a", "completion": "b"})
    dataset[0]["completion"] = "four"
    for row in dataset:
        row["completion"] += "!"
    assert [row["completion"] for row in dataset] == ["four!", "Paris!", "b!"]


def test_problems_are_structured():
    """Each problem has row index, code and message; `validate` is their absence."""
    dataset = Dataset([*PAIRS, {"question": "?"}, {"prompt": 3, "completion": None}])
    assert not dataset.validate()
    assert dataset.problems() == [
        Problem(
            "missing_keys",
            "found keys ['question'], expected 'prompt' and 'completion', or 'messages'",
            row=2,
        ),
        Problem("not_text", "prompt: found int 3, expected a string", row=3),
        Problem("not_text", "completion: found NoneType None, expected a string", row=3),
    ]


@pytest.mark.parametrize("rows", [["text"], [PAIRS[0], 3], [None], [["prompt", "completion"]]])
def test_rows_must_be_dicts(rows: list[Any]):
    """A row that is no dict is a TypeError that names the row and shows a good one."""
    with pytest.raises(TypeError, match=rf"row {len(rows) - 1}: found .*, expected an object"):
        Dataset(iter(rows))


def test_mistakes_that_the_type_checker_of_the_tests_would_catch_first():
    """Without run-time type checks, too, a wrong argument is a TypeError with a hint."""
    script = """
from pathlib import Path
from modelops_jax.data import Dataset, DatasetSanitizer
sanitizer = DatasetSanitizer()
for mistake in (
    lambda: Dataset("rows.jsonl"),
    lambda: Dataset(Path("rows.jsonl")),
    lambda: Dataset(["text"]),
    lambda: Dataset({"prompt": "p", "completion": "c"}),
    lambda: Dataset(5),
    lambda: sanitizer.filter_by_length([], 1, 2),
    lambda: sanitizer.strip_keys([], ["id"]),
    lambda: sanitizer.strip_keys(Dataset(), "id"),
    lambda: Dataset().split(0.5, 1.5),
):
    try:
        mistake()
    except TypeError as error:
        print(error)
"""
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(modelops_jax.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.splitlines() == [
        "data: found the path 'rows.jsonl', expected a list of dicts; "
        "read a file with Dataset.from_file(path)",
        "data: found the path 'rows.jsonl', expected a list of dicts; "
        "read a file with Dataset.from_file(path)",
        "data: row 0: found str 'text', expected an object such as "
        '{"prompt": "2+2?", "completion": "4"} or {"messages": [...]}',
        "data: found one dict, expected a list of dicts, one per row",
        "data: found int 5, expected a list of dicts",
        "dataset: found list, expected a Dataset: Dataset(rows)",
        "dataset: found list, expected a Dataset: Dataset(rows)",
        "keys: found the string 'id', expected a list: ['id']",
        "seed: found float 1.5, expected an integer",
    ]


def test_nesting_has_one_bound(tmp_path: Path):
    """100 levels can be held, written and read; 101 levels and cycles are errors naming the row."""
    path = tmp_path / "rows.jsonl"
    dataset = Dataset([nested(100)])
    dataset.to_jsonl(path)
    assert Dataset.from_file(path) == dataset
    cycle = copy.deepcopy(PAIRS[0])
    cycle["self"] = [cycle, cycle]  # pyright: ignore[reportArgumentType] - JSON has no cycles
    for row in (nested(101), nested(5000), cycle):
        with pytest.raises(DatasetError, match="row 1: nested more than 100 levels deep"):
            Dataset([PAIRS[0], row])
        dataset = Dataset()
        dataset.data.append(row)
        assert [problem.code for problem in dataset.problems()] == ["too_deep"]
        with pytest.raises(DatasetError, match="row 0: nested more than 100 levels deep"):
            dataset.to_jsonl(path)
    os.unlink(path)
