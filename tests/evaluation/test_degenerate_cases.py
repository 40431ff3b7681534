"""Where a metric has no definition: the value the rule gives, and the warning that names it."""

import math
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.metrics

from modelops_jax.evaluation import (
    AccuracyMetric,
    AUCROCMetric,
    Evaluator,
    F1Metric,
    MAEMetric,
    MSEMetric,
    PrecisionMetric,
    R2Metric,
    RecallMetric,
    RMSEMetric,
    UndefinedMetricWarning,
)

# Its inferred types do not know every value that its documentation allows.
sk: Any = sklearn.metrics

AVERAGES = ("binary", "micro", "macro", "weighted", "auto")
RATIOS = [AccuracyMetric()] + [
    kind(average=average)
    for kind in (PrecisionMetric, RecallMetric, F1Metric)
    for average in AVERAGES
]
OTHERS = [MSEMetric(), MAEMetric(), RMSEMetric(), R2Metric(), AUCROCMetric()]


def quietly(metric, y_true, y_pred) -> float:
    """The value, a warning being an error (the suite turns warnings into errors)."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return metric.compute(y_true, y_pred)


@pytest.mark.parametrize("nothing", [[], (), np.array([]), np.array([], int)])
@pytest.mark.parametrize("metric", RATIOS + OTHERS, ids=repr)
def test_no_rows(metric, nothing):
    """Shares of rows are 0.0 of no rows, the rest is nan, through classes and Evaluator alike."""
    expected = 0.0 if metric in RATIOS else math.nan
    with pytest.warns(UndefinedMetricWarning, match=f"{metric.name}: there are no rows"):
        found = metric.compute(nothing, nothing)
    with pytest.warns(UndefinedMetricWarning, match=f"{metric.name}: there are no rows"):
        (through,) = Evaluator({metric.name: metric}).evaluate(nothing, nothing).values()
    np.testing.assert_equal([found, through], [expected, expected])


ZERO_BY_ZERO = {
    "precision, nothing predicted positive": (
        PrecisionMetric(),
        [0, 1],
        [0, 0],
        "precision: the class 1 is never predicted",
    ),
    "recall, no true positive": (
        RecallMetric(),
        [0, 0],
        [0, 1],
        "recall: the class 1 is never the true label",
    ),
    "f1, class in neither list": (F1Metric(), [0, 0], [0, 0], "f1: the class 1 is in neither"),
    "precision, all negative": (PrecisionMetric(), [0, 0], [0, 0], "never predicted"),
    "precision of strings": (
        PrecisionMetric(positive_class="spam"),
        ["spam", "ham"],
        ["ham", "ham"],
        "precision: the class 'spam' is never predicted",
    ),
    "int class that does not occur": (
        RecallMetric(positive_class=7),
        [2, 3],
        [3, 2],
        "the class 7 is never the true label",
    ),
    "bools, all false": (F1Metric(), [False], [False], "in neither list"),
}


@pytest.mark.parametrize("case", ZERO_BY_ZERO)
def test_zero_by_zero_is_zero_with_a_warning(case):
    """0/0 of a class counts as 0.0, as in scikit-learn, and the warning says why."""
    metric, y_true, y_pred, message = ZERO_BY_ZERO[case]
    with pytest.warns(UndefinedMetricWarning, match=message):
        assert metric.compute(y_true, y_pred) == 0.0


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_classes_without_a_value_count_as_zero_in_a_mean(average):
    """A class that is only true, or only predicted, has a part that is 0/0 = 0."""
    y_true, y_pred = ["a", "a", "b", "c"], ["a", "b", "b", "d"]
    for metric, oracle, message in (
        (PrecisionMetric, sk.precision_score, r"1 of 4 classes \('c'\) are never predicted"),
        (RecallMetric, sk.recall_score, r"1 of 4 classes \('d'\) are never the true label"),
    ):
        expected = oracle(y_true, y_pred, average=average, zero_division=0)
        with pytest.warns(UndefinedMetricWarning, match=message):
            found = metric(average=average).compute(y_true, y_pred)
        assert abs(found - expected) < 1e-12
    expected = sk.f1_score(y_true, y_pred, average=average, zero_division=0)
    assert abs(quietly(F1Metric(average=average), y_true, y_pred) - expected) < 1e-12


def test_many_classes_without_a_value_warn_alike():
    """Beyond the classes of one table the rule and its warning are the same."""
    y_true, y_pred = list(range(300)), [0] * 300
    with pytest.warns(UndefinedMetricWarning, match=r"299 of 300 classes \(1, 2, .*never predic"):
        found = PrecisionMetric(average="macro").compute(y_true, y_pred)
    assert abs(found - 1 / 300 / 300) < 1e-15
    assert quietly(F1Metric(average="macro"), y_true, y_pred) == pytest.approx(2 / 301 / 300)


def test_micro_average_is_always_defined():
    """Of one label a row the micro average is the share that match."""
    for metric in (PrecisionMetric, RecallMetric, F1Metric):
        assert quietly(metric(average="micro"), ["a", "b"], ["c", "b"]) == 0.5


@pytest.mark.parametrize("y_true", [[1, 1], [0, 0], [True, True], [-1]])
def test_auroc_of_one_class(y_true):
    """One class has no pairs: nan, and the warning names the class."""
    with pytest.warns(UndefinedMetricWarning, match=f"y_true holds only the label {y_true[0]!r}"):
        assert math.isnan(AUCROCMetric().compute(y_true, [0.5] * len(y_true)))


def test_auroc_of_equal_scores_is_chance():
    """All pairs tie, and a tie counts one half: that is defined."""
    assert quietly(AUCROCMetric(), [0, 1, 1], [0.3, 0.3, 0.3]) == 0.5


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-150, 1e6])
def test_r2_of_equal_targets(scale):
    """1.0 for a perfect fit and 0.0 for any other, at any scale, as in scikit-learn."""
    same = [scale] * 3
    with pytest.warns(UndefinedMetricWarning, match="r2: all values of y_true are equal"):
        assert R2Metric().compute(same, same) == 1.0 == sk.r2_score(same, same)
    with pytest.warns(UndefinedMetricWarning, match="r2: all values of y_true are equal"):
        assert R2Metric().compute(same, [scale, scale, 2 * scale]) == 0.0


def test_r2_of_nearly_equal_targets_is_defined():
    """Equal means exactly equal: small differences are a scale, not a constant."""
    y_true, y_pred = [1e-3, 1.001e-3, 0.999e-3], [1e-3, 1.002e-3, 1e-3]
    assert abs(quietly(R2Metric(), y_true, y_pred) - sk.r2_score(y_true, y_pred)) < 1e-9


def test_r2_of_one_row():
    """Two rows are needed for a spread."""
    with pytest.warns(UndefinedMetricWarning, match="r2: there is one row"):
        assert math.isnan(R2Metric().compute([1.0], [2.0]))


def test_errors_of_one_row_are_defined():
    """One row has a squared and an absolute error."""
    for metric, expected in ((MSEMetric(), 4.0), (MAEMetric(), 2.0), (RMSEMetric(), 2.0)):
        assert quietly(metric, [1.0], [3.0]) == expected


def test_warning_points_at_the_caller():
    """The warning is shown at the line that asked for the metric (seen without typed wrappers)."""
    code = """
import warnings
from modelops_jax.evaluation import *
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    MSEMetric().compute([], [])
    exact_match_metric([], [])
    Evaluator({"mse": MSEMetric()}).evaluate([], [])
    ModelEvaluator("regression").evaluate([], [])
print({(warning.filename, warning.category.__name__) for warning in caught}, len(caught))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "{('<string>', 'UndefinedMetricWarning')} 7"


REFUSED = {
    "lengths": (AccuracyMetric(), [1, 0], [1], ValueError, "y_true has 2 .* y_pred has 1"),
    "lengths, values": (MSEMetric(), [1.0], [1.0, 2.0], ValueError, "y_true has 1 .*y_pred has 2"),
    "lengths, scores": (AUCROCMetric(), [0, 1], [0.5], ValueError, "y_true has 2 .*y_pred has 1"),
    "two axes": (AccuracyMetric(), np.ones((2, 1)), [1, 1], ValueError, r"shape \(2, 1\)"),
    "scores as labels": (F1Metric(), [0, 1], [0.1, 0.9], ValueError, r"0\.1 at index 0"),
    "nan label": (AccuracyMetric(), [0, math.nan], [0, 1], ValueError, "nan at index 1"),
    "nan value": (R2Metric(), [0.0, 1.0], [math.nan, 1.0], ValueError, "y_pred has nan at index 0"),
    "infinite value": (MSEMetric(), [math.inf], [1.0], ValueError, "y_true has inf at index 0"),
    "nan score": (AUCROCMetric(), [0, 1], [0.1, math.nan], ValueError, "y_pred has nan"),
    "string scores": (AUCROCMetric(), [0, 1], ["0", "1"], TypeError, "y_pred has '0'"),
    "three classes": (AUCROCMetric(), [0, 1, 2], [0.1, 0.2, 0.3], ValueError, "3 classes, 0, 1, 2"),
    "auroc, positive not among two": (
        AUCROCMetric(positive_class=1),
        [2, 3],
        [0.1, 0.2],
        ValueError,
        "positive_class=1 is not one of the two labels 2, 3",
    ),
    "auroc, positive not clear": (
        AUCROCMetric(),
        [1, 2],
        [0.1, 0.9],
        ValueError,
        "the labels 1, 2; expected 0 and 1, bools or -1 and 1, or positive_class=",
    ),
    "auroc, positive not among names": (
        AUCROCMetric(positive_class="eggs"),
        ["ham", "spam"],
        [0.1, 0.2],
        ValueError,
        "positive_class='eggs' does not occur among the labels 'ham', 'spam'",
    ),
    "default positive class of names": (
        PrecisionMetric(),
        ["ham", "spam"],
        ["ham", "spam"],
        ValueError,
        "positive_class=1 does not occur among the labels 'ham', 'spam'",
    ),
    "mistyped positive class": (
        RecallMetric(positive_class="Spam"),
        ["ham", "spam"],
        ["ham", "spam"],
        ValueError,
        "positive_class='Spam' does not occur",
    ),
    "ignored label of another kind": (
        AccuracyMetric(ignore_index="0"),
        [0, 1],
        [0, 1],
        ValueError,
        "ignore_index='0' is of another kind than the labels 0, 1",
    ),
    "positive class of another kind": (
        F1Metric(positive_class="1"),
        [0, 1],
        [0, 1],
        ValueError,
        "positive_class='1' does not occur among the labels 0, 1",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    """Input that no definition covers is an error that says what and where, never a number."""
    metric, y_true, y_pred, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        metric.compute(y_true, y_pred)


def test_constructor_refusals():
    """Options that mean nothing are refused when the metric is made."""
    with pytest.raises(ValueError, match="average is 'mean'; choose one of: 'binary', 'micro'"):
        F1Metric(average="mean")
    with pytest.raises(ValueError, match="positive_class='spam' has no meaning with average='ma"):
        F1Metric(positive_class="spam", average="macro")
    unhashable: Any = [1]
    for kind in (PrecisionMetric, AUCROCMetric):
        with pytest.raises(TypeError):
            kind(positive_class=unhashable)
