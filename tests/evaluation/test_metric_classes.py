"""The metric classes equal scikit-learn in float64, and exact fractions where it loses digits."""

import math
import warnings
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from modelops_jax.evaluation import (
    AccuracyMetric,
    AUCROCMetric,
    F1Metric,
    MAEMetric,
    MSEMetric,
    PrecisionMetric,
    R2Metric,
    RecallMetric,
    RMSEMetric,
    UndefinedMetricWarning,
)

sk: Any = sklearn.metrics
PRF = {
    PrecisionMetric: sk.precision_score,
    RecallMetric: sk.recall_score,
    F1Metric: sk.f1_score,
}
REGRESSION = (MSEMetric, MAEMetric, RMSEMetric, R2Metric)


def near(found: float, expected: float) -> bool:
    """Within 1e-12, relative to max(1, |expected|)."""
    return abs(found - expected) <= 1e-12 * max(1.0, abs(expected))


def exact_regression(y_true, y_pred) -> dict[str, float]:
    """The four regression metrics in rational arithmetic, rounded once."""
    true = [Fraction(float(value)) for value in y_true]
    pred = [Fraction(float(value)) for value in y_pred]
    n = len(true)
    squares = sum((t - p) ** 2 for t, p in zip(true, pred, strict=True))
    mean = sum(true) / n
    spread = sum((t - mean) ** 2 for t in true)
    mse = Fraction(squares, n)
    # isqrt of the fraction scaled by 2**400 keeps sixty digits of the root.
    root = Fraction(math.isqrt(mse.numerator * 2**400 // mse.denominator), 2**200)
    return {
        "mse": float(mse),
        "rmse": float(root),
        "mae": float(sum(abs(t - p) for t, p in zip(true, pred, strict=True)) / n),
        "r2": float(1 - squares / spread),
    }


def labels_of(kind: str, codes: np.ndarray):
    """The same classes (0, 1, 2) written as labels of one of many types, in the same order."""
    names = {
        "int": [0, 1, 2],
        "negative int": [-7, 1, 2],
        "beyond 2**31": [2**31, 2**31 + 1, 2**31 + 2],
        "beyond 2**40": [2**40, 2**40 + 1, 2**40 + 2],
        "string": ["ham", "spam", "unknown"],
        "whole float": [0.0, 1.0, 2.0],
    }[kind]
    return [names[code] for code in codes], names


RNG = np.random.default_rng(7)
TRUE, PRED = RNG.integers(0, 3, (2, 300))


@pytest.mark.parametrize(
    "kind", ["int", "negative int", "beyond 2**31", "beyond 2**40", "string", "whole float"]
)
@pytest.mark.parametrize("average", ["micro", "macro", "weighted"])
@pytest.mark.parametrize("metric", PRF)
def test_averages_equal_sklearn_for_every_label_type(metric, average, kind):
    """Averaged precision, recall and F1 do not depend on how the classes are written."""
    y_true, _ = labels_of(kind, TRUE)
    y_pred, _ = labels_of(kind, PRED)
    expected = PRF[metric](TRUE, PRED, average=average)
    assert near(metric(average=average).compute(y_true, y_pred), expected)


@pytest.mark.parametrize("kind", ["int", "negative int", "beyond 2**40", "string", "whole float"])
@pytest.mark.parametrize("metric", PRF)
def test_positive_class_of_any_label_type(metric, kind):
    """One class against the rest, whichever it is and however it is written."""
    y_true, names = labels_of(kind, TRUE)
    y_pred, _ = labels_of(kind, PRED)
    for code, label in enumerate(names):
        expected = PRF[metric](TRUE == code, PRED == code)
        assert near(metric(positive_class=label).compute(y_true, y_pred), expected)


@pytest.mark.parametrize(
    "convert", [list, tuple, np.asarray, jnp.asarray, lambda y: np.asarray(y, object)]
)
def test_containers(convert):
    """Lists, tuples, NumPy, object and JAX arrays are one input."""
    y_true, y_pred = TRUE.tolist(), PRED.tolist()
    assert near(
        AccuracyMetric().compute(convert(y_true), convert(y_pred)), sk.accuracy_score(TRUE, PRED)
    )
    assert near(
        F1Metric().compute(convert(y_true), convert(y_pred)), sk.f1_score(TRUE == 1, PRED == 1)
    )
    assert near(
        AUCROCMetric().compute(convert(TRUE % 2), convert(PRED)), sk.roc_auc_score(TRUE % 2, PRED)
    )
    assert near(
        MSEMetric().compute(convert(y_true), convert(y_pred)), sk.mean_squared_error(TRUE, PRED)
    )


@pytest.mark.parametrize("count", [1, 2, 3, 100, 511, 512, 513, 5000])
@pytest.mark.parametrize(("offset", "scale"), [(0.0, 1.0), (1e6, 1.0), (1e6, 1e-3), (-3e7, 1e-6)])
def test_regression_is_exact_at_any_offset_and_scale(count, offset, scale):
    """The four metrics equal rational arithmetic to 1e-12, where scikit-learn itself does not."""
    random = np.random.default_rng(count)
    y_true = offset + scale * random.normal(size=count)
    y_pred = y_true + 0.1 * scale * random.normal(size=count)
    exact = exact_regression(y_true, y_pred) if count > 1 else {}
    for metric in (kind() for kind in REGRESSION):
        if metric.name in exact:
            assert near(metric.compute(y_true, y_pred), exact[metric.name]), metric.name


def test_regression_in_float32_input():
    """float32 input agrees with the exact value of those numbers to 1e-6."""
    random = np.random.default_rng(3)
    y_true = random.normal(size=3000).astype(np.float32)
    y_pred = (y_true + 0.1 * random.normal(size=3000)).astype(np.float32)
    exact = exact_regression(y_true, y_pred)
    for metric in (kind() for kind in REGRESSION):
        for convert in (np.asarray, jnp.asarray):
            found = metric.compute(convert(y_true), convert(y_pred))
            assert abs(found - exact[metric.name]) <= 1e-6 * max(1, abs(exact[metric.name]))


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("ties", [False, True])
def test_auroc_equals_sklearn(offset, ties):
    """With and without ties, on logits and far from zero; close scores are no ties."""
    random = np.random.default_rng(5)
    y_true = random.integers(0, 2, 2000)
    scores = random.integers(0, 20, 2000) if ties else random.normal(size=2000) * 1e-3
    scores = offset + scores + 1e-4 * y_true
    assert near(AUCROCMetric().compute(y_true, scores), sk.roc_auc_score(y_true, scores))


@pytest.mark.parametrize(
    ("labels", "positive"),
    [(["ham", "spam"], "spam"), ([-1, 1], 1), ([False, True], 1), ([5, 2], 2), ([2**40, 1], 1)],
)
def test_auroc_of_two_labels_of_any_type(labels, positive):
    """Which label is positive is a matter of the metric, not of the labels' order."""
    random = np.random.default_rng(6)
    codes, scores = random.integers(0, 2, 200), random.normal(size=200)
    y_true = [labels[code] for code in codes]
    found = AUCROCMetric(positive_class=positive).compute(y_true, scores.tolist())
    assert near(found, sk.roc_auc_score(codes, scores))


def test_one_more_than_the_largest_table():
    """Means over more classes than a table holds are the same means."""
    random = np.random.default_rng(8)
    for classes in (127, 128, 129, 700):
        y_true, y_pred = random.integers(0, classes, (2, 3000))
        y_pred = np.where(random.random(3000) < 0.5, y_true, y_pred)
        y_true[:classes] = y_pred[:classes] = np.arange(classes)
        for metric, oracle in PRF.items():
            for average in ("macro", "weighted"):
                found = metric(average=average).compute(y_true, y_pred)
                assert near(found, oracle(y_true, y_pred, average=average))


@pytest.mark.parametrize("zero_division", [0.0, 1.0, math.nan])
@pytest.mark.parametrize("metric", PRF)
def test_nothing_over_nothing_is_zero_division(metric, zero_division):
    """Of one class, in means over few classes and over more than a table has; warned of."""
    for true, pred, options in (
        ([0, 1], [0, 0], {"average": "binary"}),
        ([0, 0], [0, 1], {"average": "binary"}),
        ([0, 1, 2, 2, 0], [0, 3, 2, 0, 0], {"average": "macro"}),
        ([0, 1, 2, 2, 0], [0, 3, 2, 0, 0], {"average": "weighted"}),
        ([*range(140), 0], [*range(139), 0, 150], {"average": "macro"}),
        ([*range(140), 0], [*range(139), 0, 150], {"average": "weighted"}),
    ):
        expected = PRF[metric](true, pred, zero_division=zero_division, **options)
        own = metric(zero_division=zero_division, **options)
        if math.isnan(own.of_no_rows()):
            assert "zero_division=nan" in repr(own)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedMetricWarning)
            assert own.compute(true, pred) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    with pytest.warns(UndefinedMetricWarning, match=f"no rows, so the value is {zero_division}"):
        metric(zero_division=zero_division).compute([], [])


def test_other_values_of_nothing_over_nothing_are_refused():
    """And "warn" is 0, of which the classes warn as ever."""
    with pytest.raises(ValueError, match=r"must be 0, 1, nan or 'warn', not 0\.5"):
        PrecisionMetric(zero_division=0.5)
    with pytest.warns(UndefinedMetricWarning, match="so 0/0 counts as 0.0"):
        assert RecallMetric(zero_division="warn").compute([0, 0], [1, 0]) == 0.0
