"""Cleaning: bounds, keys, and what happens to rows that have neither."""

import copy
from collections.abc import Iterable
from typing import Any

import pytest

from modelops_jax.data import Dataset, DatasetError, DatasetSanitizer

ROWS = [{"prompt": "p" * n, "completion": "c" * n} for n in range(6)]
CHAT = {
    "messages": [
        {"role": "system", "content": "ab"},
        {"role": "user", "content": "cd", "name": "a name does not count"},
        {"role": "assistant", "content": "e"},
    ]
}


def lengths(dataset: Dataset) -> list[int]:
    """Characters of each prompt/completion row."""
    return [len(row["prompt"] + row["completion"]) for row in dataset]


def test_bounds_are_inclusive():
    """Rows of exactly the shortest and the longest length are kept, in their order."""
    filtered = DatasetSanitizer().filter_by_length(Dataset(ROWS), min_length=4, max_length=8)
    assert lengths(filtered) == [4, 6, 8]


def test_default_bounds():
    """By default empty rows and those above 10000 characters go."""
    rows = [{"prompt": "p" * n, "completion": ""} for n in (0, 1, 10000, 10001)]
    assert lengths(DatasetSanitizer().filter_by_length(Dataset(rows))) == [1, 10000]


@pytest.mark.parametrize(("bound", "kept"), [(4, 0), (5, 1), (6, 0)])
def test_messages_count_their_contents(bound: int, kept: int):
    """The length of a messages row is that of all contents, and of nothing else."""
    assert len(DatasetSanitizer().filter_by_length(Dataset([CHAT]), bound, bound)) == kept


def test_characters_are_code_points():
    """A character outside of ASCII counts once, not as its bytes or UTF-16 units."""
    dataset = Dataset([{"prompt": "é", "completion": "😀"}])
    assert len(DatasetSanitizer().filter_by_length(dataset, 2, 2)) == 1


def test_bounds_in_wrong_order():
    """A longest length below the shortest is an error that names both."""
    with pytest.raises(ValueError, match="max_length: found 2, expected at least min_length = 3"):
        DatasetSanitizer().filter_by_length(Dataset(ROWS), 3, 2)


def test_malformed_rows_have_no_length():
    """Rows without a text are an error that lists them, not dropped in silence."""
    dataset = Dataset([{"prompt": "p"}, *ROWS, {"prompt": "p", "completion": None}])
    with pytest.raises(DatasetError, match="rows without a length: 2 problems") as caught:
        DatasetSanitizer().filter_by_length(dataset)
    assert [problem.row for problem in caught.value.problems] == [0, 7]


@pytest.mark.parametrize(
    "keys", [["id", "meta"], ("id", "meta"), {"id", "meta"}, {"id": 1, "meta": 2}]
)
def test_strip_keys(keys: Iterable[str]):
    """The keys go from every row that has them, and only from the row itself."""
    dataset = Dataset(
        [
            {"prompt": "p", "completion": "c", "id": 1, "meta": {"id": 2}},
            {"messages": [{"role": "assistant", "content": "c", "id": 3}], "note": {"id": 4}},
        ]
    )
    assert DatasetSanitizer().strip_keys(dataset, keys).data == [
        {"prompt": "p", "completion": "c"},
        {"messages": [{"role": "assistant", "content": "c", "id": 3}], "note": {"id": 4}},
    ]


def test_strip_required_key():
    """Stripping a required key is allowed, and `validate` tells."""
    stripped = DatasetSanitizer().strip_keys(Dataset(ROWS), ["completion"])
    assert stripped[1] == {"prompt": "p"}
    assert not stripped.validate()
    assert len(stripped.problems()) == len(ROWS)


def test_string_instead_of_keys():
    """A string of keys is a TypeError: its letters are not meant."""
    with pytest.raises(TypeError, match=r"found the string 'id', expected a list: \['id'\]"):
        DatasetSanitizer().strip_keys(Dataset(ROWS), "id")


def test_keys_that_are_not_strings():
    """A key that is no string is a TypeError that names it."""
    keys: list[Any] = ["id", 5]
    with pytest.raises(TypeError, match="found 5, expected only strings"):
        DatasetSanitizer().strip_keys(Dataset(ROWS), iter(keys))


def test_input_is_left_alone():
    """Neither method changes the dataset it is given."""
    rows: list[dict[str, Any]] = [*ROWS, CHAT]
    dataset = Dataset(rows)
    before = copy.deepcopy(dataset.data)
    DatasetSanitizer().filter_by_length(dataset, 3, 4)
    DatasetSanitizer().strip_keys(dataset, ["prompt", "messages"])
    assert dataset.data == before == rows


def test_works_without_an_instance():
    """The methods need no state, so the class alone will do."""
    assert len(DatasetSanitizer.filter_by_length(Dataset(ROWS), 2, 2)) == 1
    assert DatasetSanitizer.strip_keys(Dataset(), []) == Dataset()
