"""Medians and rank correlations against scikit-learn and scipy."""

import jax
import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as oracle

from modelops_jax.metrics import compute, median_absolute_error, metric, spearman_corrcoef

MEDIAN, SPEARMAN = jax.jit(median_absolute_error), jax.jit(spearman_corrcoef)


def rows(count: int, decimals: int):
    """Values with ties, of both signs."""
    random = np.random.default_rng(30)
    t = np.round(random.normal(size=count), decimals)
    return t, np.round(t + random.normal(size=count), decimals), random.integers(0, 4, count)


@pytest.mark.parametrize("count", [8, 9])
@pytest.mark.parametrize("decimals", [0, 9])
def test_both_agree_with_their_definitions(count, decimals):
    """With and without ties, weights being copies of the row, concrete and traced."""
    t, p, weight = rows(count, decimals)
    copies = np.repeat(t, weight), np.repeat(p, weight)
    for given, found in ((None, (t, p)), (weight, copies)):
        median = oracle.median_absolute_error(*found)
        rank = float(np.asarray(scipy.stats.spearmanr(*found))[0])
        assert abs(median_absolute_error(t, p, weight=given) - median) <= 1e-12
        assert abs(spearman_corrcoef(t, p, weight=given) - rank) <= 1e-12
    narrow = t.astype(np.float32), p.astype(np.float32)
    assert abs(float(MEDIAN(*narrow)) - oracle.median_absolute_error(*narrow)) <= 1e-6
    assert (
        abs(float(SPEARMAN(*narrow)) - float(np.asarray(scipy.stats.spearmanr(*narrow))[0])) <= 1e-6
    )


def test_float_weights_have_the_median_of_scikit_learn():
    """Real weights, of which none halves the whole exactly, and weights that do."""
    t, p, _ = rows(101, 3)
    weight = np.random.default_rng(31).random(101)
    for given in (weight, np.ones(101), np.arange(101.0) % 2):
        expected = oracle.median_absolute_error(t, p, sample_weight=given)
        assert abs(median_absolute_error(t, p, weight=given) - expected) <= 1e-12


@pytest.mark.parametrize("name", ["median_absolute_error", "spearman_corrcoef"])
def test_no_rows_are_nan(name):
    """Empty input, and a mask that is all false, concrete and traced."""
    for given in (np.zeros(0), np.ones(3)):
        report = compute({"it": metric(name)}, given, given, weight=np.zeros(given.size, bool))
        assert np.isnan(report.values["it"])
        assert report.undefined["it"] == 1
    ones = np.ones(3, np.float32)
    masked = jax.jit(lambda t, p, w: metric(name).finalize(
        metric(name).update(metric(name).identity(), t, p, w)).value)  # fmt: skip
    assert np.isnan(masked(ones, ones, np.zeros(3, bool)))


def test_rank_correlation_of_a_constant_is_nan():
    """A constant has no ranks to speak of: nan and flagged, on either side."""
    line, constant = np.arange(5.0), np.full(5, 0.1)
    for t, p in ((line, constant), (constant, line)):
        report = compute({"it": metric("spearman_corrcoef")}, t, p)
        assert np.isnan(report.values["it"])
        assert report.undefined["it"] == 1


def test_values_that_are_not_finite_are_refused():
    """The concrete path names the argument and the count; the traced one gives nan."""
    good, bad = np.arange(4, dtype=np.float32), np.array([np.nan, 1, np.inf, 2], np.float32)
    for function, traced in ((median_absolute_error, MEDIAN), (spearman_corrcoef, SPEARMAN)):
        with pytest.raises(ValueError, match="y_true: 2 values that are not finite"):
            function(bad, good)
        with pytest.raises(ValueError, match="y_pred: 2 values that are not finite"):
            function(good, bad)
        assert np.isnan(traced(good, bad))
