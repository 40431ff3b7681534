"""Which rows a report shows, and the rule it states for them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelops_jax.reports import pick_examples


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 25))
def test_choice_keeps_its_rule(right: list[bool], count: int):
    """As many as asked or as there are, no row twice, mistakes first, each kind in row order."""
    references = ["yes"] * len(right)
    predictions = ["yes" if good else "no" for good in right]
    chosen = pick_examples(references, predictions, references, count=count)
    rows = [example.row for example in chosen.items]
    wrong = [example.row for example in chosen.items if not example.correct]
    assert len(rows) == len(set(rows)) == min(count, len(right))
    assert rows == sorted(wrong) + sorted(set(rows) - set(wrong))
    assert all(right[example.row - 1] == example.correct for example in chosen.items)
    mistakes = len(right) - sum(right)
    assert len(wrong) >= min(count // 2, mistakes)
    numbers = [int(number) for number in re.findall(r"\d+", chosen.rule)]
    shown_right = len(rows) - len(wrong)
    assert numbers == [len(wrong), mistakes, shown_right, sum(right), len(right)]


def test_choice_is_spread_over_the_rows():
    """Ten of a hundred mistakes are every tenth of them, not the first ten."""
    texts = [str(row) for row in range(100)]
    chosen = pick_examples(texts, [""] * 100, texts, count=10)
    assert [example.row for example in chosen.items] == list(range(1, 101, 10))


def test_lists_of_different_length_are_refused():
    """The error has all three lengths."""
    with pytest.raises(ValueError, match="1 prompts, 2 predictions and 1 references"):
        pick_examples(["a"], ["b", "c"], ["d"])


def test_negative_count_is_refused():
    """The error has what was found and what was expected."""
    with pytest.raises(ValueError, match="count=-1, expected 0 or more"):
        pick_examples([], [], [], count=-1)
