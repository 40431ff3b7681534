"""Relative errors, losses, deviances and correlations against scikit-learn and mpmath."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as oracle
from mpmath import mpf

from modelops_jax.metrics import METRICS, compute, metric

# Metrics that are means of a number of each row, in 60 digits.
ROWS = {
    "mean_absolute_percentage_error": lambda t, p: abs(t - p) / max(abs(t), mpf(2) ** -52),
    "symmetric_mean_absolute_percentage_error": lambda t, p: (
        2 * abs(t - p) / (abs(t) + abs(p)) if t or p else mpf(0)
    ),
    "mean_squared_log_error": lambda t, p: (mpmath.log1p(t) - mpmath.log1p(p)) ** 2,
    "log_cosh_error": lambda t, p: mpmath.log(mpmath.cosh(t - p)),
    "mean_pinball_loss alpha=0.3": lambda t, p: max(mpf(0.3) * (t - p), (1 - mpf(0.3)) * (p - t)),
    "huber_loss delta=0.7": lambda t, p: (
        (t - p) ** 2 / 2 if abs(t - p) <= 0.7 else mpf(0.7) * (abs(t - p) - mpf(0.7) / 2)
    ),
    "mean_poisson_deviance": lambda t, p: 2 * ((t and t * mpmath.log(t / p)) - t + p),
    "mean_gamma_deviance": lambda t, p: 2 * (mpmath.log(p / t) + t / p - 1),
    **{
        f"mean_tweedie_deviance power={power}": lambda t, p, k=power: (
            2
            * (
                max(t, mpf(0)) ** (2 - k) / ((1 - k) * (2 - k))
                - t * p ** (1 - k) / (1 - k)
                + p ** (2 - k) / (2 - k)
            )
        )
        for power in (-1.5, 1.5, 3)
    },
}
CENTRED = ("explained_variance_score", "pearson_corrcoef", "concordance_corrcoef")


def parted(key: str) -> tuple[str, dict[str, float]]:
    """The name and the options of a key of `ROWS`."""
    name, *options = key.split()
    pairs = (option.split("=") for option in options)
    return name, {option: float(value) for option, value in pairs}


METRICS_HERE = {}
for label in (*ROWS, *CENTRED, "max_error", "root_mean_squared_log_error"):
    named, options_of_it = parted(label)
    METRICS_HERE[label] = metric(named, **options_of_it)


def exact(y_true, y_pred, weight=None) -> dict[str, float]:
    """Every metric in 60 digits, rounded once at the end."""
    with mpmath.workdps(60):
        t, p = ([mpf(float(v)) for v in column] for column in (y_true, y_pred))
        w = [mpf(1)] * len(t) if weight is None else [mpf(float(v)) for v in weight]

        def mean(values):
            return mpmath.fsum(a * b for a, b in zip(w, values, strict=True)) / mpmath.fsum(w)

        def moment(one, other):
            a, b = mean(one), mean(other)
            return mean([(x - a) * (y - b) for x, y in zip(one, other, strict=True)])

        found = {key: mean(list(map(row, t, p))) for key, row in ROWS.items()}
        error = [a - b for a, b in zip(t, p, strict=True)]
        found["root_mean_squared_log_error"] = mpmath.sqrt(found["mean_squared_log_error"])
        found["max_error"] = max(abs(e) for e in error)
        tt, pp, tp = moment(t, t), moment(p, p), moment(t, p)
        found["explained_variance_score"] = 1 - moment(error, error) / tt
        found["pearson_corrcoef"] = tp / mpmath.sqrt(tt * pp)
        found["concordance_corrcoef"] = 2 * tp / (tt + pp + (mean(t) - mean(p)) ** 2)
        return {key: float(value) for key, value in found.items()}


def agrees(found, expected, tolerance, name=None):
    """Relative to max(1, |value|)."""
    assert abs(float(found) - expected) <= tolerance * max(1, abs(expected)), (
        name, found, expected,
    )  # fmt: skip


def rows(kind: str, count: int = 200):
    """Positive inputs on which naive formulas lose their digits."""
    random = np.random.default_rng(20)
    t, noise = random.normal(size=count), random.normal(size=count)
    if kind == "offset and tiny scale":
        return 1e6 + 1e-6 * t, 1e6 + 1e-6 * (t + noise)
    if kind == "offset":
        return 1e6 + t, 1e6 + t + 1e-2 * noise
    if kind == "many scales":
        return np.exp(4 * t), np.exp(3 * noise)
    return np.exp(t), np.exp(t + 0.3 * noise)


KINDS = ("plain", "offset", "offset and tiny scale", "many scales")


@pytest.mark.parametrize("kind", KINDS)
def test_float64_input_is_exact_to_twelve_digits(kind):
    """Every metric, weighted and not, within 1e-12 of the exact value."""
    y_true, y_pred = rows(kind)
    weight = np.random.default_rng(21).random(y_true.size)
    for given in (None, weight):
        found = compute(METRICS_HERE, y_true, y_pred, weight=given).values
        for name, value in exact(y_true, y_pred, given).items():
            agrees(found[name], value, 1e-12, name)


def all_traced(y_true, y_pred):
    """Every metric of this file by its plain function."""
    given = map(parted, METRICS_HERE)
    return [METRICS[name].function(y_true, y_pred, **config) for name, config in given]


TRACED = jax.jit(all_traced)


# At 1e6 the neighbours of a float32 are 0.06 apart, so that a scale of 1e-6 cannot be told there.
@pytest.mark.parametrize("kind", ["plain", "offset", "many scales"])
def test_float32_input_is_exact_to_six_digits(kind):
    """On the host path and inside the user's jit, for the values as they are in float32."""
    y_true, y_pred = (column.astype(np.float32) for column in rows(kind))
    values = exact(y_true, y_pred)
    assert values.keys() == METRICS_HERE.keys()
    found = compute(METRICS_HERE, y_true, y_pred).values
    traced = dict(zip(METRICS_HERE, TRACED(y_true, y_pred), strict=True))
    for name, value in values.items():
        agrees(found[name], value, 1e-6, name)
        assert traced[name].dtype == jnp.float32
        agrees(traced[name], value, 1e-6, name)


def test_scikit_learn_and_scipy_agree_where_they_keep_their_digits():
    """The definitions are theirs."""
    y_true, y_pred = rows("plain")
    weight = np.random.default_rng(22).random(y_true.size)
    found = compute(METRICS_HERE, y_true, y_pred, weight=weight).values
    for key, value in found.items():
        name, config = parted(key)
        theirs = getattr(oracle, name, None)
        if theirs is not None:
            weights = {} if name == "max_error" else {"sample_weight": weight}
            agrees(value, theirs(y_true, y_pred, **weights, **config), 1e-12, key)
    correlation = scipy.stats.pearsonr(y_true, y_pred)[0]
    agrees(METRICS["pearson_corrcoef"].function(y_true, y_pred), correlation, 1e-12)


@pytest.mark.parametrize("power", [0, 1, 2])
def test_tweedie_powers_that_have_a_name(power):
    """Powers 0, 1 and 2 are the squared error, the Poisson and the gamma deviance."""
    names = ("mean_squared_error", "mean_poisson_deviance", "mean_gamma_deviance")
    assert (
        metric("mean_tweedie_deviance", power=power).statistics == metric(names[power]).statistics
    )


def test_zeros_inside_the_domains():
    """Counts of 0, negative targets of a negative power, and percentages of 0."""
    t, p = np.array([0.0, 0.0, 3.0]), np.array([1.0, 2.0, 2.0])
    function = {name: METRICS[name].function for name in METRICS}
    agrees(function["mean_poisson_deviance"](t, p), oracle.mean_poisson_deviance(t, p), 1e-12)
    for power, true in ((1.5, t), (-1.0, t - 1)):
        expected = oracle.mean_tweedie_deviance(true, p, power=power)  # pyright: ignore[reportArgumentType] # its stub says int
        agrees(function["mean_tweedie_deviance"](true, p, power=power), expected, 1e-12)
    expected = oracle.mean_absolute_percentage_error(t, p)
    agrees(function["mean_absolute_percentage_error"](t, p), expected, 1e-12)
    zero = np.zeros(3)
    assert function["symmetric_mean_absolute_percentage_error"](zero, zero) == 0.0
    assert function["mean_squared_log_error"](zero, zero) == 0.0


@pytest.mark.parametrize(
    ("name", "config", "bad_true", "bad_pred", "complaint"),
    [
        ("mean_squared_log_error", {}, -0.5, -0.5, "negative or not finite"),
        ("mean_poisson_deviance", {}, -1.0, 0.0, "not positive or not finite"),
        ("mean_gamma_deviance", {}, 0.0, 0.0, "not positive or not finite"),
        ("mean_tweedie_deviance", {"power": 1.5}, -1.0, 0.0, "not positive or not finite"),
        ("mean_tweedie_deviance", {"power": -1}, np.nan, 0.0, "not positive or not finite"),
        ("max_error", {}, np.inf, np.nan, "not finite"),
        ("pearson_corrcoef", {}, np.inf, np.nan, "not finite"),
    ],
)
def test_values_outside_the_domain_are_refused(name, config, bad_true, bad_pred, complaint):
    """Named with their number when concrete, nan when traced, and absent with weight 0."""
    good = np.array([1.0, 2.0, 3.0, 4.0], np.float32)
    spoiled_true, spoiled_pred = good.copy(), good.copy()
    spoiled_true[[0, 2]], spoiled_pred[[0, 2]] = bad_true, bad_pred

    def function(t, p, w=None):
        return METRICS[name].function(t, p, weight=w, **config)

    with pytest.raises(ValueError, match="y_true: 2 values that are"):
        function(spoiled_true, good)
    with pytest.raises(ValueError, match=f"y_pred: 2 values that are {complaint}"):
        function(good, spoiled_pred)
    mask = np.array([False, True, False, True])
    assert np.isfinite(function(spoiled_true, spoiled_pred, mask))
    traced = jax.jit(function)
    assert np.isnan(traced(spoiled_true, good, mask | True))
    assert np.isnan(traced(good, spoiled_pred, mask | True))


def test_a_domain_does_not_reach_the_metrics_beside_it():
    """Rows that one metric refuses count for another in the same pass."""
    both = {"log": metric("mean_squared_log_error"), "mse": metric("mean_squared_error")}
    with pytest.raises(ValueError, match="y_true: 1 values that are negative"):
        compute(both, [-1.0, 2.0], [1.0, 2.0])
    assert (
        metric("mean_squared_error").statistics[0] != metric("mean_squared_log_error").statistics[0]
    )


@pytest.mark.parametrize("name", CENTRED[1:])
def test_correlations_of_a_constant_are_nan(name):
    """A constant truth or prediction, one row, and no row: nan and flagged."""
    line = np.linspace(0.1, 0.7, 7)
    constant = np.full(7, 0.1)
    for t, p in ((constant, line), (line, constant), (line[:1], line[:1]), (line[:0], line[:0])):
        report = compute({name: metric(name)}, t, p)
        assert np.isnan(report.values[name])
        assert report.undefined[name] == 1


def test_explained_variance_of_constant_targets():
    """As scikit-learn: 1 for errors all equal, 0 for others, nan and -inf if not forced."""
    constant, line = np.full(4, 2.0), np.arange(4.0)
    function = METRICS["explained_variance_score"].function
    for pred in (constant + 1, line):
        for forced in (True, False):
            with np.errstate(all="ignore"):
                expected = oracle.explained_variance_score(constant, pred, force_finite=forced)
            np.testing.assert_equal(function(constant, pred, force_finite=forced), expected)


def test_no_rows_are_nan():
    """Empty input and a mask that is all false: nan and flagged."""
    for given in (np.zeros(0), np.ones(3)):
        report = compute(METRICS_HERE, given, given, weight=np.zeros(given.size, bool))
        assert all(np.isnan(value) for value in report.values.values())
        assert set(report.undefined.values()) == {1}


def test_many_blocks_are_as_exact_as_one():
    """300,000 rows at an offset, against two passes of scipy in float64."""
    random = np.random.default_rng(23)
    t = 1e4 + random.normal(size=300_000)
    p = t + random.normal(size=300_000)
    found = compute({n: metric(n) for n in ("pearson_corrcoef", "max_error")}, t, p).values
    agrees(found["pearson_corrcoef"], scipy.stats.pearsonr(t - 1e4, p - 1e4)[0], 1e-12)
    assert found["max_error"] == np.max(np.abs(t - p))


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("mean_pinball_loss", {"alpha": 1.5}, "alpha must be between 0 and 1, not 1.5"),
        ("huber_loss", {"delta": 0.0}, "delta must be positive and finite, not 0.0"),
        ("mean_tweedie_deviance", {"power": 0.5}, "power must be finite and not between 0 and 1"),
    ],
)
def test_options_outside_their_range_are_refused(name, config, message):
    """A wrong option raises a ValueError that says what was found."""
    with pytest.raises(ValueError, match=message):
        metric(name, **config)
