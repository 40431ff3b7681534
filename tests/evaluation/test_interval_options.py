"""Intervals as they are asked for: the method, the resamples, and a word where there is none."""

from decimal import Decimal

import numpy as np
import pytest

import modelops_jax.metrics as numeric
from modelops_jax.evaluation import (
    EvaluationResult,
    ModelEvaluator,
    NoIntervalWarning,
    UndefinedMetricWarning,
)

RNG = np.random.default_rng(0)
VALUE, CLOSE = RNG.normal(size=(2, 200))
LABEL = (VALUE > 0).astype(int)


def test_method_and_resamples_are_those_of_the_metrics():
    """BCa of 300 resamples is what `bootstrap_intervals` makes of them, and the result says so."""
    evaluator = ModelEvaluator("regression", metrics=["mean_squared_error", "spearman_corrcoef"])
    found = evaluator.evaluate(VALUE, CLOSE, confidence=0.9, interval="bca", n_resamples=300)
    metrics = {name: numeric.metric(name) for name in found.metrics}
    expected = numeric.bootstrap_intervals(
        metrics, VALUE, CLOSE, level=0.9, method="bca", n_resamples=300
    )
    assert found.intervals == expected
    assert "method:Poisson-BCa" in found.signature
    assert "resamples:300" in found.signature
    plain = evaluator.evaluate(VALUE, CLOSE, confidence=0.9, n_resamples=300).intervals
    assert plain["spearman_corrcoef"].method == "Poisson percentile"
    assert plain["spearman_corrcoef"] != expected["spearman_corrcoef"]


def test_shares_have_the_method_asked_for():
    """Clopper and Pearson's where every metric is a share, of rows and of slices; else an error."""
    evaluator = ModelEvaluator("binary")
    pred = (CLOSE > 0).astype(int)
    asked = {"confidence": 0.95, "interval": "exact"}
    found = evaluator.evaluate(LABEL, pred, **asked, slices={"half": np.arange(200) % 2})
    assert {i.method for i in found.intervals.values()} == {"Clopper-Pearson"}
    assert {s.intervals["f1"].method for s in found.slices} == {"Clopper-Pearson"}
    stream = evaluator.stream()
    stream.update(LABEL, pred)
    assert stream.result(**asked).intervals == found.intervals
    with pytest.raises(ValueError, match="method='exact' is for shares of unweighted"):
        ModelEvaluator("regression").evaluate(VALUE, CLOSE, **asked)
    with pytest.raises(ValueError, match="interval is 'bac'; choose one of: 'auto', 'percentile'"):
        evaluator.evaluate(LABEL, pred, interval="bac")
    with pytest.raises(ValueError, match="n_resamples is 1; expected at least 2"):
        evaluator.evaluate(LABEL, pred, n_resamples=1)


def test_areas_of_groups_and_medians_have_intervals():
    """What had none: AUROC of rows in groups, and medians in a stream."""
    groups = np.arange(200) // 2
    found = ModelEvaluator("ranking").evaluate(LABEL, CLOSE, confidence=0.9, groups=groups)
    assert found.intervals["auc_roc"].method == "Poisson of groups percentile"
    evaluator = ModelEvaluator("regression", metrics=["median_absolute_error"])
    whole = evaluator.evaluate(VALUE, CLOSE, confidence=0.9)
    stream = evaluator.stream()
    for part in (slice(0, 50), slice(50, 200)):
        stream.update(VALUE[part], CLOSE[part])
    assert stream.result(confidence=0.9).intervals == whole.intervals


class Own:
    """A metric of one's own."""

    name = "own"

    def compute(self, y_true, y_pred):
        return float(np.mean(y_pred))


def test_what_has_no_interval_is_said():
    """A maximum, an own metric, and in a stream of sums a mean: each with its reason, kept too."""
    evaluator = ModelEvaluator("regression", metrics=["max_error", "mean_squared_error", Own()])
    with pytest.warns(NoIntervalWarning) as caught:
        found = evaluator.evaluate(VALUE, CLOSE, confidence=0.9)
    assert [str(one.message).split(":")[0] for one in caught] == [
        "max_error has no interval",
        "own has no interval",
    ]
    assert "no valid bootstrap" in str(caught[0].message)
    assert list(found.metadata["without_interval"]) == ["max_error", "own"]
    assert list(found.intervals) == ["mean_squared_error"]
    assert EvaluationResult.from_dict(found.to_dict()) == found
    evaluator.evaluate(VALUE, CLOSE)  # nobody asked
    sketch = ModelEvaluator("ranking", metrics=["sketched_roc_auc_score"])
    groups = np.arange(200) // 2
    with pytest.warns(NoIntervalWarning, match="sketched_roc_auc_score has no interval: its form"):
        sketch.evaluate(LABEL, 1 / (1 + np.exp(-CLOSE)), confidence=0.9, groups=groups)


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"seed": -1}, ValueError, "seed is -1; expected at least 0"),
        ({"seed": 2**32}, ValueError, "seed is 4294967296; expected one below"),
        ({"groups": [1, "1"]}, TypeError, "groups mixes texts and other ids"),
        ({"groups": [Decimal("nan"), Decimal(1)]}, ValueError, "groups holds 1 nan"),
        ({"groups": np.array(["NaT", "2026-11-26"], "M8[D]")}, ValueError, "groups holds 1 nan"),
        (
            {"groups": [(1,), (1, 2)]},
            ValueError,
            r"groups must have shape \(2,\), one entry a row: ",
        ),
        ({"groups": [None, None]}, TypeError, "groups holds ids that have no order"),
        ({"groups": [1, 1, 2], "confidence": None}, ValueError, r"groups must have shape \(2,\)"),
    ],
)
def test_what_intervals_cannot_be_made_of_is_named(asked, error, message):
    """And not the comparison, or the generator, that failed."""
    evaluator = ModelEvaluator("regression", metrics=["mean_squared_error"])
    with pytest.raises(error, match=message):
        evaluator.evaluate([1.0, 2.0], [1.0, 3.0], **{"confidence": 0.9} | asked)


def test_groups_of_any_ids_are_counted():
    """Floats, dates and NumPy's dates, which are no labels but tell groups apart."""
    evaluator = ModelEvaluator("regression", metrics=[Own()])
    days = np.array(["2026-01-01", "2026-01-01", "2026-01-03"], "M8[D]")
    for ids in ([0.5, 0.5, 1.5], days.tolist(), days, np.array([0.5, 0.5, 1.5])):
        with pytest.warns(NoIntervalWarning):
            found = evaluator.evaluate([1.0] * 3, [1.0] * 3, confidence=0.9, groups=ids)
        assert found.metadata["groups"] == 2


def test_means_over_very_many_classes_say_so():
    """129 classes: macro F1 has no interval, and accuracy has."""
    true = np.arange(258) % 129
    evaluator = ModelEvaluator("multiclass", metrics=["accuracy_score", "f1_score"])
    with pytest.warns(NoIntervalWarning, match="f1_score has no interval: a mean over more than"):
        found = evaluator.evaluate(true, true, confidence=0.9)
    assert list(found.intervals) == ["accuracy_score"]
    with pytest.warns(UndefinedMetricWarning):
        ModelEvaluator("regression").evaluate([], [], confidence=0.9)  # no rows: nothing more
