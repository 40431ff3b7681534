"""Calibration errors against brute force in fractions."""

from fractions import Fraction

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelops_jax.metrics import (
    adaptive_calibration_error,
    bootstrap_intervals,
    compute,
    expected_calibration_error,
    maximum_calibration_error,
    metric,
)

# Multiples of 1/64: exact in every float type, and so are their sums.
GRID = st.integers(0, 64)


def by_bins(rows, bins):
    """(confidence, right, weight) rows: expected and maximum error by the definition."""
    gaps, weights = [Fraction(0)] * bins, [Fraction(0)] * bins
    for confidence, right, weight in rows:
        place = min(int(confidence * bins), bins - 1)
        gaps[place] += weight * (confidence - right)
        weights[place] += weight
    expected = sum(map(abs, gaps)) / sum(weights)
    filled = [abs(gap) / weight for gap, weight in zip(gaps, weights, strict=True) if weight]
    return float(expected), float(max(filled))


def by_mass(rows, bins):
    """The adaptive error: every row cut into pieces so small that no bin divides one."""
    hits = {}
    for confidence, right, weight in rows:
        total, hit = hits.get(confidence, (Fraction(0), Fraction(0)))
        hits[confidence] = (total + weight, hit + weight * right)
    whole = sum(total for total, _ in hits.values())
    gaps, start = [Fraction(0)] * bins, Fraction(0)
    for confidence, (total, hit) in sorted(hits.items()):
        for k in range(bins):
            low, high = max(start, whole * k / bins), min(start + total, whole * (k + 1) / bins)
            if total and high > low:
                gaps[k] += (high - low) * (confidence - hit / total)
        start += total
    return float(sum(map(abs, gaps)) / whole)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(GRID, st.integers(0, 1), st.integers(0, 3)), min_size=1, max_size=12),
    st.sampled_from([4, 5]),
)
def test_binary_errors_are_the_definition(rows, bins):
    """Edges, ties, confidence 0 and 1, weights of 0: all as in fractions."""
    rows = [*rows, (64, 1, 1)]
    score, y_true, weight = (np.array(column) for column in zip(*rows, strict=True))
    exact = [(Fraction(int(s), 64), int(t), Fraction(int(w))) for s, t, w in rows]
    given = {"weight": weight.astype(np.float64), "bins": bins}
    expected, maximum = by_bins(exact, bins)
    score = score / 64
    assert abs(expected_calibration_error(y_true, score, **given) - expected) <= 1e-12
    assert abs(maximum_calibration_error(y_true, score, **given) - maximum) <= 1e-12
    assert abs(adaptive_calibration_error(y_true, score, **given) - by_mass(exact, bins)) <= 1e-12


def test_the_highest_probability_is_the_confidence():
    """Of many classes the confidence is that of the predicted one, right or wrong."""
    random = np.random.default_rng(0)
    parts = random.multinomial(64, np.ones(3) / 3, 200)
    y_true = random.integers(0, 3, 200)
    rows = [
        (Fraction(int(part.max()), 64), int(part.argmax() == label), Fraction(1))
        for part, label in zip(parts, y_true, strict=True)
    ]
    expected, maximum = by_bins(rows, 16)
    score = parts / 64
    assert abs(expected_calibration_error(y_true, score, bins=16) - expected) <= 1e-12
    assert abs(maximum_calibration_error(y_true, score, bins=16) - maximum) <= 1e-12
    assert abs(adaptive_calibration_error(y_true, score) - by_mass(rows, 15)) <= 1e-12
    traced = jax.jit(lambda t, p: adaptive_calibration_error(t, p))
    assert abs(float(traced(y_true, np.float32(score))) - by_mass(rows, 15)) <= 1e-6


def test_certainty_is_in_the_last_bin():
    """A confidence of 1 shares its bin with those just below; edges belong to the upper bin."""
    assert expected_calibration_error([1, 0], [1.0, 0.95], bins=10) == pytest.approx(0.475)
    for dtype in (np.float32, np.float64):
        score = np.array([0.3, 0.29, 0.31], dtype)
        found = expected_calibration_error([1, 0, 0], score, bins=10)
        assert found == pytest.approx((abs(0.3 + 0.31 - 1) + 0.29) / 3, abs=1e-7)


def test_interval_resamples_rows():
    """The Poisson bootstrap has the spread that resampling rows has."""
    random = np.random.default_rng(1)
    score = random.random(400)
    y_true = (random.random(400) < score**2).astype(int)
    metrics = {"ece": metric("expected_calibration_error")}
    found = bootstrap_intervals(metrics, y_true, score, n_resamples=400)["ece"]
    loop = []
    for _ in range(200):
        rows = random.integers(0, 400, 400)
        place = np.minimum((score[rows] * 15).astype(int), 14)
        loop.append(np.abs(np.bincount(place, score[rows] - y_true[rows])).sum() / 400)
    low, high = np.quantile(loop, [0.025, 0.975])
    assert found.low == pytest.approx(low, abs=0.015)
    assert found.high == pytest.approx(high, abs=0.015)


@pytest.mark.parametrize(
    "error", [expected_calibration_error, maximum_calibration_error, adaptive_calibration_error]
)
def test_bad_rows_are_refused(error):
    """Labels that are no class, numbers that are no probabilities, and no bins at all."""
    with pytest.raises(ValueError, match=r"y_true: 1 labels .*; y_pred: 1 rows that are no prob"):
        error([0, 2], [1.5, 0.5])
    with pytest.raises(ValueError, match="y_pred: 1 rows that are no probabilities"):
        error([0, 1], [[0.5, 0.5], [0.5, 0.4]])
    with pytest.raises(ValueError, match="bins must be at least 1, not 0"):
        error([0, 1], [0.5, 0.5], bins=0)
    assert np.isnan(error([], []))


def test_logits_give_the_errors_of_their_softmax():
    """Of a column per class and of one; the highest logit is right, however close the others."""
    random = np.random.default_rng(8)
    logits, y_true = random.normal(size=(60, 3)), random.integers(0, 3, 60)
    names = [f"{name}_calibration_error" for name in ("expected", "maximum", "adaptive")]
    metrics = {name: metric(name, bins=5, from_logits=True) for name in names}
    metrics["brier_score_loss"] = metric("brier_score_loss", from_logits=True)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    alone, positive = 1 / (1 + np.exp(-logits[:, 0])), y_true % 2
    for scores, labels, confidence, right, distance in (
        (
            logits - 700,
            y_true,
            shares.max(axis=1),
            logits.argmax(axis=1) == y_true,
            ((shares - np.eye(3)[y_true]) ** 2).sum(axis=1),
        ),
        (logits[:, 0], positive, alone, positive == 1, (alone - positive) ** 2),
    ):
        found = compute(metrics, labels, scores).values
        rows = [(float(c), int(r), 1) for c, r in zip(confidence, right, strict=True)]
        expected = [*by_bins(rows, 5), by_mass(rows, 5), distance.mean()]
        assert [float(found[name]) for name in metrics] == pytest.approx(expected, abs=1e-12)


def test_the_highest_logit_is_right_where_the_softmax_rounds():
    """exp of the difference is 1: the softmax has two highest classes, the logits one."""
    logits = [[0.0, 1e-17], [1e-17, 0.0]]
    assert adaptive_calibration_error([1, 0], logits, from_logits=True) == 0.5
    with pytest.raises(ValueError, match="y_pred: 1 rows with logits that are not finite"):
        adaptive_calibration_error([1, 0], [0.5, np.inf], from_logits=True)
