"""Average precision against scikit-learn and the definition in fractions."""

from fractions import Fraction

import jax
import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from modelops_jax.metrics import average_precision_score, compute, metric

TRACED = jax.jit(lambda t, s, w=None: average_precision_score(t, s, weight=w))


def by_definition(y_true, score) -> float:
    """The mean over positives of the share of positives from their score up, in fractions."""
    rows = list(zip(y_true.tolist(), score.tolist(), strict=True))
    cuts = [cut for label, cut in rows if label == 1]
    above = [[label for label, value in rows if value >= cut] for cut in cuts]
    return float(sum(Fraction(sum(labels), len(labels)) for labels in above) / len(cuts))


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_average_precision_is_that_of_scikit_learn(decimals):
    """With and without ties and weights: 1e-12 on the host, 1e-6 traced."""
    random = np.random.default_rng(3)
    y_true = random.integers(0, 2, 2000)
    score = np.round(random.normal(size=2000) + 0.5 * y_true, decimals)
    weight = random.random(2000)
    narrow, slim = score.astype(np.float32), weight.astype(np.float32)
    for weights, light in ((None, None), (weight, slim)):
        expected = oracle.average_precision_score(y_true, score, sample_weight=weights)
        assert abs(average_precision_score(y_true, score, weight=weights) - expected) <= 1e-12
        expected = oracle.average_precision_score(y_true, narrow, sample_weight=light)
        assert abs(float(TRACED(y_true, narrow, light)) - expected) <= 1e-6


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-2, 2)), min_size=0, max_size=15))
def test_average_precision_of_any_small_input(rows):
    """Ties of every pattern, with and without negatives, padded to a fixed traced shape."""
    y_true, score = (np.array(column) for column in zip(*[(1, 1), *rows], strict=True))
    exact = by_definition(y_true, score)
    assert average_precision_score(y_true, score) == pytest.approx(exact, abs=1e-15)
    room = 16 - y_true.size
    padded = np.pad(y_true, (0, room)), np.pad(np.float32(score), (0, room))
    found = TRACED(*padded, np.arange(16) < y_true.size)
    assert float(found) == pytest.approx(exact, abs=1e-6)


def test_no_positive_rows_are_undefined():
    """Only negatives, or no rows: nan and flagged; only positives: 1."""
    for y_true in ([0, 0, 0], []):
        score = np.linspace(0, 1, len(y_true)).astype(np.float32)
        report = compute({"ap": metric("average_precision_score")}, y_true, score)
        assert np.isnan(report.values["ap"])
        assert report.undefined["ap"] == 1
        assert np.isnan(TRACED(np.array(y_true, np.int32), score))
    assert average_precision_score([1, 1], [0.0, 1.0]) == 1.0


def test_negative_zero_ties_with_zero():
    """-0.0 and 0.0 are one score."""
    y_true, score = np.array([0, 1]), np.array([0.0, -0.0], np.float32)
    assert average_precision_score(y_true, score) == 0.5
    assert float(TRACED(y_true, score)) == 0.5
