"""DeLong's error, interval and test against the definition over all pairs."""

import math

import numpy as np
import pytest
import scipy.stats

from modelops_jax.metrics import (
    bootstrap_intervals,
    delong_test,
    metric,
    roc_auc_interval,
    roc_auc_score,
)


def covariance(y_true, *scores):
    """Areas and their covariance matrix, as the paper defines them: every pair, in float64."""
    components = []
    for label in (1, 0):
        rows = []
        for score in scores:
            score = np.asarray(score, np.float64)
            high, low = score[y_true == 1][:, None], score[y_true == 0][None]
            rows.append(((high > low) + 0.5 * (high == low)).mean(axis=label))
        components.append(np.array(rows))
    up, down = (np.atleast_2d(np.cov(side)) / side.shape[1] for side in components)
    return components[0].mean(axis=1), up + down


def two_models(decimals: int, seed: int = 0, rows: int = 150):
    """Labels and two correlated scores with ties."""
    random = np.random.default_rng(seed)
    y_true = (random.random(rows) < 0.3).astype(np.int64)
    shared = random.normal(size=rows) + y_true
    return y_true, *(np.round(shared + random.normal(size=rows), decimals) for _ in range(2))


@pytest.mark.parametrize("decimals", [0, 1, 12])
def test_error_and_test_are_the_definition(decimals):
    """Areas, errors, z and p equal those of the placements by all pairs, ties and all."""
    y_true, one, other = two_models(decimals)
    areas, spread = covariance(y_true, one, other)
    for area, variance, score in zip(areas, np.diag(spread), (one, other), strict=True):
        found = roc_auc_interval(y_true, score)
        assert found.area == pytest.approx(area, abs=1e-14)
        assert found.area == pytest.approx(roc_auc_score(y_true, score), abs=1e-14)
        assert found.standard_error == pytest.approx(math.sqrt(variance), rel=1e-12)
    found = delong_test(y_true, one, other)
    error = math.sqrt(np.array([1, -1]) @ spread @ np.array([1, -1]))
    assert found.standard_error == pytest.approx(error, rel=1e-12)
    assert found.difference == pytest.approx(areas[0] - areas[1], abs=1e-14)
    assert found.z == pytest.approx((areas[0] - areas[1]) / error, rel=1e-10)
    assert found.p_value == pytest.approx(2 * scipy.stats.norm.sf(abs(found.z)), rel=1e-12)
    swapped = delong_test(y_true, other, one)
    assert (swapped.z, swapped.p_value) == (-found.z, found.p_value)


def test_interval_is_symmetric_in_the_logit():
    """The ends are the logit of the area plus and minus z times its error by the delta method."""
    y_true, score, _ = two_models(1)
    areas, spread = covariance(y_true, score)
    found = roc_auc_interval(y_true, score, level=0.9)
    error = math.sqrt(spread[0, 0]) / (areas[0] * (1 - areas[0]))
    middle, reach = scipy.special.logit(areas[0]), scipy.stats.norm.isf(0.05) * error
    ends = scipy.special.expit([middle - reach, middle + reach])
    np.testing.assert_allclose([found.low, found.high], ends, rtol=1e-10)


def test_intervals_cover_the_true_area_as_often_as_they_say():
    """In 600 samples of 150 rows the 95 % interval holds the true area in 93 to 97 %."""
    random = np.random.default_rng(1)
    y_true = np.repeat([0, 1], [100, 50])
    truth = scipy.stats.norm.cdf(1 / math.sqrt(2))
    found = [roc_auc_interval(y_true, random.normal(size=150) + y_true) for _ in range(600)]
    assert 0.93 <= np.mean([one.low <= truth <= one.high for one in found]) <= 0.97


def test_equal_models_differ_significantly_as_often_as_they_should():
    """Under the null the test says p < 0.05 in 3 to 7 % of 600 samples."""
    found = [delong_test(*two_models(1, seed)).p_value for seed in range(600)]
    assert 0.03 <= np.mean(np.array(found) < 0.05) <= 0.07


def test_a_perfect_ranking_is_still_uncertain():
    """Without any pair lost the interval has a width: Newcombe's, at the areas z errors away."""
    ups, downs = 12, 8
    y_true = np.repeat([0, 1], [downs, ups])
    found = roc_auc_interval(y_true, np.arange(ups + downs))
    assert (found.area, found.standard_error, found.high) == (1.0, 0.0, 1.0)
    assert found.method == "Newcombe"
    more = (ups + downs) / 2 - 1
    low = found.low
    shape = 1 + more * (1 - low) / (2 - low) + more * low / (1 + low)
    distance = 1.959963984540054 * math.sqrt(low * (1 - low) * shape / (ups * downs))
    assert 1 - low == pytest.approx(distance, rel=1e-9)
    worst = roc_auc_interval(y_true, -np.arange(ups + downs))
    assert (worst.low, worst.high) == (0.0, pytest.approx(1 - low))
    equal = roc_auc_interval(y_true, np.zeros(ups + downs))
    assert equal.low < 0.5 < equal.high


def test_too_few_rows_and_equal_models():
    """One row of a class has no error; equal placements leave no z unless the areas agree."""
    few = roc_auc_interval([0, 1, 1], [0.0, 1.0, 2.0])
    assert few.area == 1.0
    assert math.isnan(few.standard_error)
    assert math.isnan(few.low)
    assert math.isnan(roc_auc_interval([], []).area)
    assert math.isnan(roc_auc_interval([1, 1], [0.0, 1.0]).area)
    assert math.isnan(delong_test([1, 1], [0.0, 1.0], [1.0, 0.0]).difference)
    assert math.isnan(delong_test([0, 1, 1], [0.0, 1.0, 2.0], [0.0, 1.0, 2.0]).p_value)
    y_true, score, _ = two_models(1)
    same = delong_test(y_true, score, 3 * score - 7)
    assert (same.difference, same.z, same.p_value) == (0.0, 0.0, 1.0)
    apart = delong_test([0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0])
    assert apart.difference == 1.0
    assert math.isnan(apart.z)


def test_rows_of_weight_zero_are_no_rows():
    """A mask, or weights 0 and 1, leave rows out, whatever they hold; other weights are refused."""
    y_true, one, other = two_models(1)
    keep = np.random.default_rng(2).random(y_true.size) < 0.7
    spoiled = np.where(keep, one, np.nan)
    expected = delong_test(y_true[keep], one[keep], other[keep])
    for weight in (keep, keep.astype(np.float64), keep.astype(np.int32)):
        assert delong_test(y_true, spoiled, other, weight=weight) == expected
    with pytest.raises(ValueError, match="weight holds numbers other than 0 and 1"):
        roc_auc_interval(y_true, one, weight=2.0 * keep)
    with pytest.raises(ValueError, match="weight holds numbers other than 0 and 1"):
        delong_test(y_true, one, other, weight=0.5 * keep)


def test_bad_input_is_refused_by_name():
    """The message says which of the two models' scores are wrong."""
    with pytest.raises(
        ValueError, match=r"1 scores that are not finite, .* index 1 \(score_b is y_pred here"
    ):
        delong_test([0, 1], [0.1, 0.2], [0.1, np.nan])
    with pytest.raises(ValueError, match=r"one length; .* \(score_a is y_pred here"):
        delong_test([0, 1], [0.1], [0.1, 0.2])
    with pytest.raises(ValueError, match="1 labels other than 0 and 1"):
        roc_auc_interval([0, 2], [0.1, 0.2])
    with pytest.raises(ValueError, match="level must be between 0 and 1, not 95"):
        roc_auc_interval([0, 1], [0.1, 0.2], level=95.0)


def test_the_table_of_intervals_has_it():
    """`bootstrap_intervals` gives exact AUROC the same interval beside bootstrapped metrics."""
    y_true, score, _ = two_models(1)
    metrics = {"auc": metric("roc_auc_score"), "brier": metric("mean_squared_error")}
    found = bootstrap_intervals(metrics, y_true, score, n_resamples=50)
    expected = roc_auc_interval(y_true, score)
    interval = found["auc"]
    assert (interval.low, interval.high, interval.method) == (
        expected.low, expected.high, "DeLong",
    )  # fmt: skip
    assert list(found) == ["auc", "brier"]
