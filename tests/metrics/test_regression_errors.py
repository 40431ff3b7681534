"""Regression metrics against exact rational arithmetic."""

import math
from decimal import Decimal
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics as oracle

from modelops_jax.metrics import (
    compute,
    length_ratio,
    mean_absolute_error,
    mean_squared_error,
    metric,
    r2_score,
    root_mean_squared_error,
)

FUNCTIONS = {
    "mean_squared_error": mean_squared_error,
    "mean_absolute_error": mean_absolute_error,
    "root_mean_squared_error": root_mean_squared_error,
    "r2_score": r2_score,
}

TRACED = jax.jit(lambda t, p: {name: function(t, p) for name, function in FUNCTIONS.items()})
TRACED_R2 = jax.jit(r2_score)


def exact(y_true, y_pred, weight=None) -> dict[str, float]:
    """Every metric in rational arithmetic, rounded once at the end."""
    t, p = ([Fraction(float(v)) for v in column] for column in (y_true, y_pred))
    w = [Fraction(1)] * len(t) if weight is None else [Fraction(float(v)) for v in weight]
    total = sum(w)
    squares = sum(wi * (ti - pi) ** 2 for wi, ti, pi in zip(w, t, p, strict=True))
    absolute = sum(wi * abs(ti - pi) for wi, ti, pi in zip(w, t, p, strict=True))
    mean = sum(wi * ti for wi, ti in zip(w, t, strict=True)) / total
    spread = sum(wi * (ti - mean) ** 2 for wi, ti in zip(w, t, strict=True))
    mse = Fraction(squares / total)
    return {
        "mean_squared_error": float(mse),
        "mean_absolute_error": float(absolute / total),
        "root_mean_squared_error": float((Decimal(mse.numerator) / mse.denominator).sqrt()),
        "r2_score": float(1 - squares / spread) if spread else float(squares == 0),
    }


def agrees(found, expected, tolerance):
    """Relative to max(1, |value|)."""
    assert abs(float(found) - expected) <= tolerance * max(1, abs(expected)), (found, expected)


def rows(kind: str, count: int = 300):
    """Inputs on which naive formulas lose their digits."""
    random = np.random.default_rng(7)
    t = random.normal(size=count)
    p = t + random.normal(size=count)
    if kind == "offset and small scale":
        return 1e6 + 1e-3 * t, 1e6 + 1e-3 * p
    if kind == "tiny scale at an offset":
        return 1e6 + 1e-6 * t, 1e6 + 1e-6 * p
    if kind == "small scale":
        return 1e-3 * t, 1e-3 * p
    if kind == "huge and tiny together":
        return t * 10.0 ** random.integers(-8, 9, count), p
    if kind == "one outlier":
        t[count // 2] = 1e9
        return t, p
    if kind == "sorted":
        return np.sort(1e6 + t), 1e6 + p
    if kind == "two levels":
        return np.where(np.arange(count) < 3, -1e7, 1e7), np.full(count, 1e7 + 1e-3)
    return t, p


KINDS = (
    "plain", "offset and small scale", "tiny scale at an offset", "small scale",
    "huge and tiny together", "one outlier", "sorted", "two levels",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_float64_input_is_exact_to_twelve_digits(kind):
    """Every metric, weighted and not, within 1e-12 of the exact value."""
    y_true, y_pred = rows(kind)
    weight = np.random.default_rng(8).random(y_true.size)
    metrics = {name: metric(name) for name in FUNCTIONS}
    for given in (None, weight):
        found = compute(metrics, y_true, y_pred, weight=given).values
        for name, value in exact(y_true, y_pred, given).items():
            agrees(found[name], value, 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_float32_input_is_exact_to_six_digits(kind):
    """On the host path and inside the user's jit, for the values as they are in float32."""
    y_true, y_pred = (column.astype(np.float32) for column in rows(kind))
    values = exact(y_true, y_pred)
    metrics = {name: metric(name) for name in FUNCTIONS}
    found = compute(metrics, y_true, y_pred).values
    traced = TRACED(y_true, y_pred)
    for name, value in values.items():
        agrees(found[name], value, 1e-6)
        assert traced[name].dtype == jnp.float32
        agrees(traced[name], value, 1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_many_blocks_are_as_exact_as_one(dtype):
    """300,000 rows at an offset of 1e6: blocks are merged without losing digits."""
    random = np.random.default_rng(9)
    scale = 1e-3 if dtype is np.float64 else 10
    y_true = (1e6 + scale * random.normal(size=300_000)).astype(dtype)
    y_pred = (y_true + scale * random.normal(size=300_000)).astype(dtype)
    found = compute({name: metric(name) for name in FUNCTIONS}, y_true, y_pred).values
    # Differences of neighbours are exact in float64, and math.fsum rounds once.
    difference = y_true.astype(float) - y_pred.astype(float)
    mse = math.fsum(difference**2) / 300_000
    shifted = y_true.astype(float) - float(y_true[0])
    spread = math.fsum((shifted - math.fsum(shifted) / 300_000) ** 2)
    tolerance = 1e-12 if dtype is np.float64 else 1e-6
    agrees(found["mean_squared_error"], mse, tolerance)
    agrees(found["mean_absolute_error"], math.fsum(abs(difference)) / 300_000, tolerance)
    agrees(found["r2_score"], 1 - mse * 300_000 / spread, tolerance)
    if dtype is np.float32:
        agrees(TRACED_R2(y_true, y_pred), 1 - mse * 300_000 / spread, tolerance)


def test_scikit_learn_agrees_where_it_keeps_its_digits():
    """The definitions are scikit-learn's."""
    y_true, y_pred = rows("plain")
    weight = np.random.default_rng(10).random(y_true.size)
    for name, function in FUNCTIONS.items():
        expected = getattr(oracle, name)(y_true, y_pred, sample_weight=weight)
        agrees(function(y_true, y_pred, weight=weight), expected, 1e-12)


def test_r2_at_offsets_does_not_drift_towards_one():
    """Targets N(1e3, 1) and N(1e4, 1) in float32: no cancellation of squares."""
    random = np.random.default_rng(11)
    for offset in (0.0, 1e3, 1e4):
        y_true = (offset + random.normal(size=2000)).astype(np.float32)
        y_pred = (y_true + 0.3 * random.normal(size=2000)).astype(np.float32)
        agrees(r2_score(y_true, y_pred), exact(y_true, y_pred)["r2_score"], 1e-6)


def test_r2_of_constant_targets_is_one_or_zero():
    """Perfect 1.0, otherwise 0.0, as scikit-learn; and flagged as undefined either way."""
    constant = np.full(7, 0.5)
    for y_pred, value in ((constant, 1.0), (constant + 1, 0.0)):
        report = compute({"r2": metric("r2_score")}, constant, y_pred)
        assert report.values["r2"] == value == oracle.r2_score(constant, y_pred)
        assert report.undefined["r2"] == 1


def test_r2_of_constants_whose_mean_is_rounded():
    """Seven times 0.1: scikit-learn divides by its rounding error, -5e33; we say 0.0."""
    constant = np.full(7, 0.1)
    assert oracle.r2_score(constant, constant + 1) < -1e30
    assert r2_score(constant, constant + 1) == 0.0


def test_r2_of_constant_targets_without_force_finite():
    """nan for a perfect fit and -inf for any other, as scikit-learn."""
    constant = np.full(7, 1e6)
    assert np.isnan(r2_score(constant, constant, force_finite=False))
    assert r2_score(constant, constant + 1, force_finite=False) == -np.inf


def test_r2_calls_targets_constant_only_when_they_are():
    """Targets of scale 1e-3, and targets one ulp apart, are not constant."""
    y_true = np.array([0.001, 0.002, 0.003])
    y_pred = np.array([0.003, 0.001, 0.009])
    agrees(r2_score(y_true, y_pred), exact(y_true, y_pred)["r2_score"], 1e-12)
    y_true = np.array([1.0, np.nextafter(1.0, 2.0), 1.0])
    y_pred = np.array([1.0, 1.0, np.nextafter(1.0, 2.0)])
    agrees(r2_score(y_true, y_pred), exact(y_true, y_pred)["r2_score"], 1e-12)


def test_constant_targets_stay_constant_over_many_blocks():
    """The mean of many 0.1 is not 0.1 in floats; the centred squares are still exactly zero."""
    constant = np.full(270_000, 0.1)
    assert r2_score(constant, constant) == 1.0
    assert r2_score(constant, constant + 1) == 0.0


def test_r2_of_fewer_than_two_rows_is_nan():
    """One row, no row, and one row of positive weight among others: nan and flagged."""
    for y_true, weight in (([1.0], None), ([], None), ([1.0, 2.0], [1.0, 0.0])):
        report = compute({"r2": metric("r2_score")}, y_true, y_true, weight=weight)
        assert np.isnan(report.values["r2"])
        assert report.undefined["r2"] == 1


@pytest.mark.parametrize("name", ["mean_squared_error", "mean_absolute_error",
                                  "root_mean_squared_error", "length_ratio"])  # fmt: skip
def test_means_of_no_rows_are_nan(name):
    """Empty input and a mask that is all false: nan and flagged, concrete and traced."""
    none = np.zeros(0)
    report = compute({name: metric(name)}, none, none)
    assert np.isnan(report.values[name])
    assert report.undefined[name] == 1
    function = FUNCTIONS.get(name, length_ratio)
    ones = np.ones(3, np.float32)
    masked = jax.jit(lambda t, p, w: function(t, p, weight=w))
    assert np.isnan(masked(ones, ones, np.zeros(3, bool)))
    assert np.isnan(jax.jit(function)(ones[:0], ones[:0]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values_that_are_not_finite_are_refused(bad, dtype):
    """The concrete path names the argument and the count; the traced one gives nan."""
    good, spoiled = np.ones(5, dtype), np.ones(5, dtype)
    spoiled[[1, 3]] = bad
    for name, function in FUNCTIONS.items():
        for given, argument in (((spoiled, good), "y_true"), ((good, spoiled), "y_pred")):
            with pytest.raises(ValueError, match=f"{argument}: 2 values that are not finite"):
                function(*given)
            if name == "r2_score" and dtype is np.float32:
                assert np.isnan(TRACED_R2(*given))


def test_perfect_fit_is_positive_zero_and_has_a_gradient():
    """Errors of a perfect fit are +0.0, and the root's gradient there is 0, not nan."""
    y_true = np.arange(4.0)
    for name, function in FUNCTIONS.items():
        if name != "r2_score":
            assert function(y_true, y_true) == 0.0
            assert not np.signbit(function(y_true, y_true))
    slope = jax.jit(jax.grad(root_mean_squared_error, argnums=1))
    np.testing.assert_array_equal(slope(jnp.arange(4.0), jnp.arange(4.0)), 0)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_low_precision_is_summed_in_float32(dtype):
    """bfloat16 and float16 inputs are widened before anything is reduced."""
    y_true = jnp.linspace(0, 4, 1000).astype(dtype)
    y_pred = y_true[::-1]
    value = exact(np.float32(y_true), np.float32(y_pred))["mean_squared_error"]
    agrees(mean_squared_error(y_true, y_pred), value, 1e-6)
    traced = jax.jit(mean_squared_error)(y_true, y_pred)
    assert traced.dtype == jnp.float32
    agrees(traced, value, 1e-6)


def test_integers_are_computed_in_float64():
    """Large integers lose nothing on the host path."""
    y_true, y_pred = np.array([2**40, 2**40 + 2]), np.array([2**40 + 1, 2**40 + 2])
    assert mean_absolute_error(y_true, y_pred) == 0.5


def test_overflowing_squares_are_infinite_not_nan():
    """A mean beyond the largest float is inf, as in scikit-learn."""
    assert mean_squared_error(np.array([1e200, 1.0]), np.array([-1e200, 1.0])) == np.inf


def test_length_ratio_of_empty_references():
    """An empty reference counts 1 with an empty prediction and 0 with any other."""
    assert length_ratio(np.array([0]), np.array([0])) == 1.0
    assert length_ratio(np.array([0]), np.array([3])) == 0.0
    agrees(length_ratio(np.array([3, 0, 4]), np.array([1, 2, 8])), float(Fraction(7, 9)), 1e-15)
