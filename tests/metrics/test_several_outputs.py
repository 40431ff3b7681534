"""Rows of several outputs, against scikit-learn and against one output at a time."""

import functools
from typing import Any

import jax
import numpy as np
import pytest
import sklearn.metrics

from modelops_jax.metrics import (
    METRICS,
    MetricStream,
    bootstrap_intervals,
    compute,
    metric,
    paired_differences,
)

# Its inferred types do not know every value that its documentation allows.
sk: Any = sklearn.metrics
OUTPUTS = 3
WITH_OUTPUTS = [name for name, info in METRICS.items() if "num_outputs" in info.options]
ORACLES = {
    "mean_squared_error": sk.mean_squared_error,
    "mean_absolute_error": sk.mean_absolute_error,
    "root_mean_squared_error": sk.root_mean_squared_error,
    "mean_squared_log_error": sk.mean_squared_log_error,
    "root_mean_squared_log_error": sk.root_mean_squared_log_error,
    "mean_absolute_percentage_error": sk.mean_absolute_percentage_error,
    "mean_pinball_loss": sk.mean_pinball_loss,
    "median_absolute_error": sk.median_absolute_error,
    "r2_score": sk.r2_score,
    "explained_variance_score": sk.explained_variance_score,
}
OF_VARIANCE = ("r2_score", "explained_variance_score")
# scikit-learn's take one output.
OF_ONE_OUTPUT: dict[str, Any] = {
    "max_error": lambda true, pred, sample_weight: sk.max_error(true, pred),
    "mean_poisson_deviance": sk.mean_poisson_deviance,
    "mean_gamma_deviance": sk.mean_gamma_deviance,
    "mean_tweedie_deviance": functools.partial(sk.mean_tweedie_deviance, power=1.5),
}
OUTPUT_WEIGHTS = [0.2, 0.0, 3.0]


def rows(seed: int = 0, count: int = 80):
    """Positive values of very different scales, and weights."""
    random = np.random.default_rng(seed)
    y_true = np.exp(random.normal(size=(count, OUTPUTS))) * [1.0, 1e3, 1e-3]
    return y_true, y_true * np.exp(0.3 * random.normal(size=y_true.shape)), random.random(count)


def same(found, expected):
    """Equal within 1e-12 of the larger of 1 and the value."""
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_every_mean_of_errors_takes_several_outputs():
    """scikit-learn's, and the losses and correlations that it does not have."""
    others = {"symmetric_mean_absolute_percentage_error", "log_cosh_error", "huber_loss"}
    others |= {"pearson_corrcoef", "concordance_corrcoef", "spearman_corrcoef", *OF_ONE_OUTPUT}
    assert set(WITH_OUTPUTS) == ORACLES.keys() | others


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "multioutput", ["uniform_average", "raw_values", "variance_weighted", OUTPUT_WEIGHTS]
)
def test_values_equal_scikit_learns(multioutput, weighted):
    """All metrics in one pass over rows of three outputs."""
    y_true, y_pred, weight = rows()
    given = weight if weighted else None
    names = OF_VARIANCE if multioutput == "variance_weighted" else list(ORACLES)
    metrics = {name: metric(name, num_outputs=OUTPUTS, multioutput=multioutput) for name in names}
    found = compute(metrics, y_true, y_pred, weight=given).values
    for name in names:
        oracle = functools.partial(ORACLES[name], multioutput=multioutput, sample_weight=given)
        same(found[name], oracle(y_true, y_pred))


def test_each_output_is_what_it_is_alone():
    """The metrics that scikit-learn does not have, too."""
    y_true, y_pred, weight = rows(1)
    metrics = {
        name: metric(name, num_outputs=OUTPUTS, multioutput="raw_values") for name in WITH_OUTPUTS
    }
    found = compute(metrics, y_true, y_pred, weight=weight).values
    for output in range(OUTPUTS):
        alone = {name: metric(name) for name in WITH_OUTPUTS}
        one = compute(alone, y_true[:, output], y_pred[:, output], weight=weight).values
        for name in WITH_OUTPUTS:
            same(np.asarray(found[name])[output], one[name])


@pytest.mark.parametrize("weighted", [False, True])
def test_maxima_and_deviances_are_scikit_learns_of_each_output(weighted):
    """One by one, their mean and their mean by weights; in one go, and of two halves."""
    y_true, y_pred, weight = rows(5)
    given = weight if weighted else None
    means = {
        "raw_values": lambda each: each,
        "uniform_average": np.mean,
        "weights": lambda each: np.average(each, weights=OUTPUT_WEIGHTS),
    }
    metrics = {
        (name, mean): metric(
            name,
            num_outputs=OUTPUTS,
            multioutput=OUTPUT_WEIGHTS if mean == "weights" else mean,
            **({"power": 1.5} if "tweedie" in name else {}),
        )
        for name in OF_ONE_OUTPUT
        for mean in means
    }
    keyed = {f"{name} {mean}": one for (name, mean), one in metrics.items()}
    stream = MetricStream(keyed)
    for half in (slice(0, 30), slice(30, None)):
        part = None if given is None else given[half]
        stream.update(y_true[half], y_pred[half], weight=part)
    for found in (compute(keyed, y_true, y_pred, weight=given), stream.report()):
        for name, oracle in OF_ONE_OUTPUT.items():
            columns = zip(y_true.T, y_pred.T, strict=True)
            each = [oracle(true, pred, sample_weight=given) for true, pred in columns]
            for mean, average in means.items():
                same(found.values[f"{name} {mean}"], average(each))


def test_an_interval_of_a_median_weighs_the_outputs():
    """With all of the weight on one output it is that of the output alone."""
    y_true, y_pred, _ = rows(7, 40)
    given = {"it": metric("median_absolute_error", num_outputs=OUTPUTS, multioutput=[0, 2, 0])}
    found = bootstrap_intervals(given, y_true, y_pred, n_resamples=100)["it"]
    alone = {"it": metric("median_absolute_error")}
    expected = bootstrap_intervals(alone, y_true[:, 1], y_pred[:, 1], n_resamples=100)["it"]
    same([found.low, found.high], [expected.low, expected.high])


def test_a_domain_is_that_of_every_output():
    """A gamma deviance of one target that is 0 has no value for the row."""
    y_true, y_pred, _ = rows(6, 10)
    y_true[4, 2] = 0.0
    given = {"it": metric("mean_gamma_deviance", num_outputs=OUTPUTS)}
    with pytest.raises(ValueError, match=r"y_true: 1 .* not positive.* at index 4"):
        compute(given, y_true, y_pred)
    keep = np.arange(10) != 4
    expected = compute(given, y_true[keep], y_pred[keep]).values["it"]
    same(compute(given, y_true, y_pred, weight=keep).values["it"], expected)


@pytest.mark.parametrize("force_finite", [True, False])
def test_targets_that_are_all_equal_have_no_weight(force_finite):
    """Of one output, and of all of them, as scikit-learn decides."""
    y_true, y_pred, _ = rows(2, 20)
    for constant in ([0], [0, 1, 2]):
        y_true[:, constant] = 2.0
        for name in OF_VARIANCE:
            options = {"multioutput": "variance_weighted", "force_finite": force_finite}
            found = METRICS[name].function(y_true, y_pred, num_outputs=OUTPUTS, **options)
            with np.errstate(divide="ignore", invalid="ignore"):
                same(found, ORACLES[name](y_true, y_pred, **options))


def test_intervals_and_differences_resample_rows_not_outputs():
    """The interval of three equal outputs is that of one: they tell no more than it."""
    y_true, y_pred, _ = rows(3)
    one = {"r2": metric("r2_score"), "mae": metric("mean_absolute_error")}
    three = {
        "r2": metric("r2_score", num_outputs=3, multioutput="variance_weighted"),
        "mae": metric("mean_absolute_error", num_outputs=3),
    }
    column, guess, other = y_true[:, 0], y_pred[:, 0], y_true[::-1, 0]
    wide = [np.stack([values] * 3, axis=1) for values in (column, guess, other)]
    expected = bootstrap_intervals(one, column, guess, method="bca", seed=1)
    found = bootstrap_intervals(three, wide[0], wide[1], method="bca", seed=1)
    for name in one:
        same([found[name].low, found[name].high], [expected[name].low, expected[name].high])
    alone = paired_differences(one, column, {"a": guess, "b": other}, n_resamples=200)
    all_three = paired_differences(three, wide[0], {"a": wide[1], "b": wide[2]}, n_resamples=200)
    for name in one:
        same(all_three[name]["a", "b"].value, alone[name]["a", "b"].value)
        assert all_three[name]["a", "b"].p_value == alone[name]["a", "b"].p_value


def test_a_row_with_one_bad_output_is_refused_and_nan_when_traced():
    """A row counts for all outputs or for none, and says so."""
    y_true, y_pred, _ = rows(4, 12)
    y_pred[5, 1] = np.nan
    for name in ("mean_squared_error", "median_absolute_error"):
        function = functools.partial(METRICS[name].function, num_outputs=OUTPUTS)
        with pytest.raises(ValueError, match="y_pred: 1 values that are not finite, the first"):
            function(y_true, y_pred)
        assert np.isnan(jax.jit(function)(y_true, y_pred))
        keep = np.arange(12) != 5
        same(function(y_true, y_pred, weight=keep), function(y_true[keep], y_pred[keep]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_outputs": 2}, "y_true has 3 columns; num_outputs=2 expects one per output"),
        ({}, r"expected arrays of one axis, shape \(n,\); found y_true \(80, 3\)"),
        ({"num_outputs": 0}, "num_outputs must be a positive integer or None, not 0"),
        ({"num_outputs": 3, "multioutput": "mean"}, "multioutput must be one of .*not 'mean'"),
        ({"multioutput": "raw_values"}, "multioutput='raw_values' needs num_outputs"),
        ({"num_outputs": 3, "multioutput": [1, 2]}, r"\(1.0, 2.0\) must be a weight for each"),
        ({"num_outputs": 2, "multioutput": [1, -1]}, "finite numbers from 0 up that are not all"),
        ({"num_outputs": 2, "multioutput": [0, 0]}, "finite numbers from 0 up that are not all 0"),
        ({"multioutput": [1, 2]}, r"multioutput=\(1.0, 2.0\) needs num_outputs"),
        (
            {"num_outputs": 3, "multioutput": "variance_weighted"},
            "'variance_weighted' is for r2_score and explained_variance_score; mean_squared_error",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    """With what was found and what is possible."""
    y_true, y_pred, _ = rows()
    with pytest.raises(ValueError, match=message):
        METRICS["mean_squared_error"].function(y_true, y_pred, **options)
