"""Exact match and length ratio: definitions, every container, every refusal."""

import numpy as np
import pytest

from modelops_jax.evaluation import (
    UndefinedMetricWarning,
    exact_match_metric,
    length_ratio_metric,
)

CONTAINERS = [
    list,
    tuple,
    np.asarray,
    lambda texts: np.asarray(texts, dtype=object),
    lambda texts: np.asarray(texts, dtype=np.dtypes.StringDType()),
    lambda texts: [np.str_(text) for text in texts],
]


@pytest.mark.parametrize("convert", CONTAINERS)
def test_definitions_in_every_container(convert):
    """White space around a text does not count for exact match and does for length."""
    predictions = convert(["4", " Paris\n", "Berlin", "", "a"])
    references = convert(["4", "Paris", "London", "", ""])
    assert exact_match_metric(predictions, references) == 3 / 5
    assert length_ratio_metric(predictions, references) == (1 + 7 / 5 + 1 + 1 + 0) / 5


def test_exact_match_keeps_case_and_inner_space():
    """Only surrounding white space is left aside."""
    assert exact_match_metric(["paris", "a  b", "x "], ["Paris", "a b", "x"]) == 1 / 3


def test_length_counts_characters_not_bytes():
    """A character is a code point, whatever its encoding takes."""
    assert length_ratio_metric(["é日😀"], ["abc"]) == 1.0


def test_length_ratio_of_many_rows_is_exact():
    """The mean equals NumPy's float64 mean to 1e-12, over several blocks of rows."""
    random = np.random.default_rng(0)
    lengths = random.integers(0, 50, (2, 600_000))
    texts = ["x" * n for n in range(50)]
    predictions = [texts[n] for n in lengths[0]]
    references = [texts[n] for n in lengths[1]]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(lengths[1] == 0, lengths[0] == 0, lengths[0] / lengths[1])
    assert abs(length_ratio_metric(predictions, references) - ratios.mean()) < 1e-12


@pytest.mark.parametrize("metric", [exact_match_metric, length_ratio_metric])
@pytest.mark.parametrize("nothing", [[], (), np.array([]), np.array([], str)])
def test_no_rows_is_zero_with_a_warning(metric, nothing):
    """Empty input gives 0.0 and says so."""
    with pytest.warns(UndefinedMetricWarning, match=r"no rows, so the value is 0\.0"):
        assert metric(nothing, nothing) == 0.0


@pytest.mark.parametrize("metric", [exact_match_metric, length_ratio_metric])
@pytest.mark.parametrize(
    ("predictions", "references", "error", "message"),
    [
        ("abc", ["abc"], TypeError, "predictions is one string, 'abc'"),
        (["abc"], "abc", TypeError, "references is one string"),
        (["a", 4], ["a", "4"], TypeError, r"predictions has 4 \(int\) at index 1"),
        (["a", "4"], ["a", None], TypeError, "references has None"),
        (["a"], [["a"]], TypeError, r"references has \['a'\] \(list\) at index 0"),
        ([b"a"], ["a"], TypeError, "bytes"),
        (np.array([1, 2]), ["a", "b"], TypeError, "predictions has 1"),
        (np.array([["a"]]), ["a"], ValueError, r"shape \(1, 1\)"),
        (["a", "b"], ["a"], ValueError, "predictions has 2 entries and references has 1"),
        ({"a"}, ["a"], TypeError, "predictions is a set"),
        (iter(["a"]), ["a"], TypeError, "predictions is a list_iterator"),
    ],
)
def test_refusals(metric, predictions, references, error, message):
    """What is no list of strings is an error that says which argument and which entry."""
    with pytest.raises(error, match=message):
        metric(predictions, references)
