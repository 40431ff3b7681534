"""The laws of a split."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import modelops_jax
from modelops_jax.data import Dataset


def numbered(n: int) -> Dataset:
    """A dataset of n distinct rows."""
    return Dataset([{"prompt": str(i), "completion": "x"} for i in range(n)])


def prompts(dataset: Dataset) -> list[int]:
    """The numbers of the rows of such a dataset."""
    return [int(row["prompt"]) for row in dataset]


@settings(max_examples=60)
@given(
    n=st.integers(2, 40),
    fraction=st.floats(0, 1, exclude_min=True, exclude_max=True),
    seed=st.integers(),
)
def test_every_row_goes_to_one_side(n: int, fraction: float, seed: int):
    """The sides are disjoint, in order, none is empty, and together they are the whole."""
    first, second = (prompts(side) for side in numbered(n).split(fraction, seed))
    assert sorted(first + second) == list(range(n))
    assert first == sorted(first)
    assert second == sorted(second)
    assert len(first) == min(max(round(n * fraction), 1), n - 1)


def test_fraction_is_the_first_side():
    """The first side is the one that gets the fraction."""
    first, second = numbered(10).split(0.8, seed=0)
    assert (len(first), len(second)) == (8, 2)


def test_pure_function_of_the_seed():
    """Equal seeds give equal splits in another process, too; other seeds give others."""
    script = (
        "from modelops_jax.data import Dataset\n"
        "rows = [{'prompt': str(i), 'completion': 'x'} for i in range(20)]\n"
        "print([int(row['prompt']) for row in Dataset(rows).split(0.5, 7)[0]])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(modelops_jax.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    chosen = prompts(numbered(20).split(0.5, 7)[0])
    assert result.stdout.strip() == str(chosen)
    others = {tuple(prompts(numbered(20).split(0.5, seed)[0])) for seed in range(-20, 20)}
    assert len(others) == 40


def test_every_row_has_the_same_chance():
    """Over many seeds each row is chosen as often as the fraction says, within 5 sigma."""
    n, seeds, fraction = 10, 2000, 0.3
    counts = [0] * n
    for seed in range(seeds):
        for row in prompts(numbered(n).split(fraction, seed)[0]):
            counts[row] += 1
    sigma = (seeds * fraction * (1 - fraction)) ** 0.5
    assert max(abs(count - seeds * fraction) for count in counts) < 5 * sigma


def test_equal_rows_are_kept():
    """Rows that are equal are still two rows."""
    dataset = Dataset([{"prompt": "a", "completion": "b"}] * 4)
    assert [len(side) for side in dataset.split(0.5, 1)] == [2, 2]


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, float("nan"), float("inf")])
def test_fraction_out_of_range(fraction: float):
    """A fraction that is not strictly between 0 and 1 is an error that names it."""
    with pytest.raises(ValueError, match=f"fraction: found {fraction}, expected more than 0"):
        numbered(4).split(fraction, 0)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_rows(n: int):
    """Fewer rows than sides is an error that names their number."""
    with pytest.raises(ValueError, match=f"n = {n}: each side needs at least one row"):
        numbered(n).split(0.5, 0)
