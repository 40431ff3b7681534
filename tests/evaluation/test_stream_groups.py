"""Streams of rows in groups: what is resampled together may come in several batches."""

import math
import warnings
from typing import Any

import numpy as np
import pytest

import modelops_jax.metrics as numeric
from modelops_jax.evaluation import EvaluationStream, ModelEvaluator

RNG = np.random.default_rng(3)
ROWS = 400
CODES = RNG.integers(0, 4, (2, ROWS))
NAMES = np.array(["ant", "bee", "cat", "dog"])[CODES]
NUMBERS = 1e6 + RNG.normal(size=(2, ROWS))
SCORES = RNG.dirichlet(np.ones(4), ROWS)
# Of ten queries none is without a relevant row, which would be a warning.
USERS = np.array([f"user {number}" for number in RNG.integers(0, 10, ROWS)])
WEIGHT = np.where(np.arange(ROWS) % 7 == 0, 0.0, RNG.random(ROWS) + 0.05)
REGRESSION = ["mean_squared_error", "r2_score", "pearson_corrcoef", "median_absolute_error"]
OF_SCORES = ["accuracy_score", "log_loss", "roc_auc_score", "adaptive_calibration_error"]
# Task, metrics, truth, predictions, scores; and whether the same numbers come to the last bit.
CASES: dict[str, tuple[Any, ...]] = {
    "labels": ("classification", None, *NAMES, None, True),
    "numbers": ("regression", REGRESSION, *NUMBERS, None, False),
    "scores": ("multiclass", OF_SCORES, *CODES, SCORES, False),
    "an area": ("ranking", None, CODES[0] % 2, NUMBERS[0], None, True),
    "queries": ("ranking", ["ndcg_score", "mean_reciprocal_rank"], *CODES, None, True),
}


def ends(interval):
    """Both ends of an interval, as floats."""
    return [float(interval.low), float(interval.high)]


def parts_of(evaluator, truth, said, scores, weight):
    """Two streams, of which one comes from a file, merged."""
    early, late = evaluator.stream(), evaluator.stream()
    for start in range(0, ROWS, 90):
        rows = slice(start, start + 90)
        (late if start > 200 else early).update(
            truth[rows],
            said[rows],
            y_score=None if scores is None else scores[rows],
            weight=None if weight is None else weight[rows],
            groups=USERS[rows],
        )
    late.save("late.state")
    early.merge(EvaluationStream.load("late.state", evaluator))
    return early


@pytest.mark.parametrize(
    ("case", "weight", "interval"),
    [
        ("labels", None, "auto"),
        ("labels", WEIGHT, "bca"),
        ("numbers", WEIGHT, "bca"),
        ("an area", None, "percentile"),
        ("queries", None, "auto"),
        pytest.param("numbers", None, "auto", marks=pytest.mark.model),
        pytest.param("scores", None, "auto", marks=pytest.mark.model),
        pytest.param("scores", WEIGHT, "bca", marks=pytest.mark.model),
    ],
)
def test_rows_in_groups_may_come_in_any_batch(case, weight, interval):
    """Queries are ranked whole and groups resampled whole, in whatever order their ids came."""
    task, names, truth, said, scores, exact = CASES[case]
    evaluator = ModelEvaluator(task, metrics=names)
    stream = parts_of(evaluator, truth, said, scores, weight)
    asked: dict[str, Any] = {"confidence": 0.9, "seed": 2, "interval": interval, "n_resamples": 200}
    own = {"y_score": scores, "weight": weight, "groups": USERS}
    found, whole = stream.result(**asked), evaluator.evaluate(truth, said, **own, **asked)
    assert found.intervals.keys() == whole.intervals.keys() == whole.metrics.keys()
    if exact and weight is None:
        assert found == whole
    assert found.metadata == whole.metadata
    assert found.metadata["groups"] == 10
    for name, interval_of_all in whole.intervals.items():
        one = found.intervals[name]
        assert one.method == interval_of_all.method
        assert found.metrics[name] == pytest.approx(whole.metrics[name], rel=1e-11)
        assert ends(one) == pytest.approx(ends(interval_of_all), rel=1e-11)
    kept = {
        "queries": tuple(found.metrics),
        "an area": ("auc_roc",),
        "numbers": ("median_absolute_error",),
        "scores": ("roc_auc_score", "adaptive_calibration_error"),
    }
    assert stream.keeps_rows == kept.get(case, ())
    assert stream.resamples_rows == ()


def test_ignored_labels_and_metrics_of_ones_own_in_groups():
    """A group of ignored rows alone draws nothing but is counted; rows of weight 1 are as good."""

    class Bias:
        name = "bias"

        def compute(self, y_true, y_pred):
            return float(np.mean(np.asarray(y_pred) == "ant"))

    truth = np.where(USERS == "user 4", "?", NAMES[0])
    evaluator = ModelEvaluator("multiclass", ignore_index="?").add_metric(Bias())
    stream = evaluator.stream()
    for rows in np.split(np.arange(ROWS), [130, 131]):
        ones = np.ones(len(rows))
        stream.update(truth[rows], NAMES[1][rows], groups=USERS[rows], weight=ones)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = stream.result(confidence=0.9)
        whole = evaluator.evaluate(truth, NAMES[1], groups=USERS, confidence=0.9)
    assert found.to_dict() == whole.to_dict() | {"metadata": found.to_dict()["metadata"]}
    assert (found.metadata["groups"], found.ignored_count) == (10, int((truth == "?").sum()))


def test_sums_of_groups_are_of_no_rows():
    """What is kept of 400 rows of ten groups is as large as of five times as many."""
    evaluator = ModelEvaluator("regression")
    sizes = []
    for times in (1, 5):
        stream = evaluator.stream()
        for _ in range(times):
            stream.update(*NUMBERS, groups=USERS)
        stream.save("groups.state")
        with open("groups.state", "rb") as file:
            sizes.append(len(file.read()))
    assert abs(sizes[1] - sizes[0]) < 100


def test_groups_come_with_every_batch_or_with_none():
    evaluator = ModelEvaluator("regression")
    stream, plain = evaluator.stream(), evaluator.stream()
    stream.update([1.0, 2.0], [1.0, 3.0], groups=["a", "b"])
    plain.update([1.0], [2.0])
    with pytest.raises(ValueError, match="these rows have no groups; the rows before have groups"):
        stream.update([1.0], [2.0])
    with pytest.raises(ValueError, match="these rows have groups; the rows before have no groups"):
        plain.update([1.0], [2.0], groups=[1])
    with pytest.raises(ValueError, match="the rows of the other stream have groups"):
        plain.merge(stream)
    with pytest.raises(ValueError, match=r"groups must have shape \(2,\), one entry a row; found"):
        stream.update([1.0, 2.0], [1.0, 2.0], groups=["a"])
    with pytest.raises(TypeError, match="groups are of two kinds: the rows before have str, this"):
        stream.update([1.0, 2.0], [1.0, 2.0], groups=[1, 2])
    with pytest.raises(ValueError, match="these rows have slices by lang; the rows before by no"):
        stream.update([1.0], [1.0], groups=["a"], slices={"lang": ["de"]})
    with pytest.raises(ValueError, match="y_pred"):
        stream.update([1.0], [math.nan], groups=["a"])
    assert (stream.rows, stream.result().metrics["mse"]) == (2, 0.5)
    stream.update([], [])
    stream.merge(evaluator.stream())
    ranked = ModelEvaluator("ranking", metrics=["ndcg_score"]).stream()
    with pytest.raises(ValueError, match=r"groups is missing.*EvaluationStream.update take groups"):
        ranked.update([1, 0], [0.5, 0.1])
    labelled = ModelEvaluator("multiclass", metrics=["accuracy_score", "log_loss"]).stream()
    scores = {"ham": [0.9, 0.2], "spam": [0.1, 0.8]}
    labelled.update(["ham", "spam"], ["ham", "ham"], y_score=scores, groups=[0, 0])
    labelled.update(["spam"], ["spam"], y_score={"ham": [0.3], "spam": [0.7]}, groups=[1])
    expected = -np.log([0.9, 0.8, 0.7]).mean()
    assert labelled.result().metrics["log_loss"] == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"these rows have the classes \('bee', 'ant'\)"):
        labelled.update(["bee"], ["bee"], y_score={"bee": [0.3], "ant": [0.7]}, groups=[1])
    assert labelled.rows == 3
    needing_rows = ["log_loss", "expected_calibration_error"]
    sliced = ModelEvaluator("multiclass", metrics=needing_rows).stream()
    slices: dict[Any, Any] = {"lang": ["de", "en"]}
    sliced.update(["ham", "spam"], ["ham", "ham"], y_score=scores, groups=[0, 0], slices=slices)
    with pytest.raises(TypeError, match="y_score is a dict, which cannot be saved with groups"):
        sliced.save("sliced.state")


@pytest.mark.filterwarnings("ignore::modelops_jax.evaluation.UndefinedMetricWarning")
@pytest.mark.parametrize("task", ["regression", "ranking"])
def test_of_no_row_at_all_there_are_no_groups_to_count(task):
    evaluator = ModelEvaluator(task)
    stream = evaluator.stream()
    stream.update([], [], groups=[])
    found = evaluator.evaluate([], [], groups=[], confidence=0.9)
    assert stream.result(confidence=0.9) == found
    assert "groups" not in found.metadata


def test_sums_about_one_mean_become_sums_about_another():
    """Streams whose means lie far apart, merged: as if one had seen all rows, of two outputs."""
    true = RNG.normal(size=(120, 2)) + np.arange(120)[:, None]
    pred, groups = true + RNG.normal(size=true.shape), np.arange(120) % 30
    metrics = {
        name: numeric.metric(name, num_outputs=2)
        for name in ("r2_score", "explained_variance_score", "pearson_corrcoef")
    }
    early, late, both = (numeric.GroupResampleStream(metrics) for _ in range(3))
    for stream, rows in ((early, slice(0, 60)), (late, slice(60, 120))):
        stream.update(true[rows], pred[rows], groups[rows])
    both.update(true, pred, groups)
    numbers = np.arange(30)
    early.merge(late, numbers)
    asked: dict[str, Any] = {"n_resamples": 50, "seed": 4, "method": "bca"}
    found, expected = early.intervals(**asked), both.intervals(**asked)
    whole = numeric.confidence_intervals(metrics, true, pred, groups=groups, **asked)
    for name, one in found.items():
        for other in (expected[name], whole[name]):
            assert ends(one) == pytest.approx(ends(other), rel=1e-10)
    with pytest.raises(ValueError, match="the other stream is of"):
        early.merge(numeric.GroupResampleStream({}), numbers)
    with pytest.raises(ValueError, match="is for shares of unweighted, independent rows"):
        early.intervals(method="wilson")
    with pytest.raises(ValueError, match=r"groups has shape \(3,\) and y_true \(120,\)"):
        early.update(true, pred, groups[:3])
    assert numeric.GroupResampleStream(metrics).intervals() == {}


def test_groups_are_of_kept_rows_in_states():
    metrics = {"f1": numeric.metric("f1_score")}
    report = numeric.compute(metrics, [0, 1], [0, 1])
    with pytest.raises(ValueError, match="f1: groups are of kept rows, which the state has not"):
        numeric.state_intervals(metrics, report.states, groups=[0, 1])
