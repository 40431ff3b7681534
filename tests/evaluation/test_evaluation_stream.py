"""Streams of evaluations: batches, processes and files give what one evaluation gives."""

import enum
import math
from typing import Any

import numpy as np
import pytest
import sklearn.metrics

from modelops_jax.evaluation import (
    AUCROCMetric,
    EvaluationStream,
    ModelEvaluator,
    NoIntervalWarning,
    UndefinedMetricWarning,
)

sk: Any = sklearn.metrics
RNG = np.random.default_rng(3)
NAMES = np.array(["ant", "bee", "cat", "dog"])
CODES = RNG.integers(0, 4, (2, 400))
TASKS: dict[str, Any] = {
    "classification": (NAMES[CODES[0]].tolist(), NAMES[CODES[1]].tolist()),
    "binary": (CODES[0] > 1, CODES[1] > 1),
    "multiclass": (CODES[0] * 2**40, CODES[1] * 2**40),
    "multilabel": tuple(RNG.integers(0, 2, (2, 400, 3))),
    "regression": (1e6 + RNG.normal(size=400), 1e6 + RNG.normal(size=400)),
    "ranking": (CODES[0] % 2, RNG.normal(size=400)),
    "text_generation": (NAMES[CODES[0]].tolist(), NAMES[CODES[1]].tolist()),
}


@pytest.mark.parametrize("task", TASKS)
def test_a_stream_gives_what_one_evaluation_gives(task):
    """Two streams of uneven batches, one of them from a file, merged."""
    y_true, y_pred = TASKS[task]
    evaluator = ModelEvaluator(task)
    early, late = evaluator.stream(), evaluator.stream()
    for start in range(0, 400, 90):
        stream = late if start > 200 else early
        stream.update(y_true[start : start + 90], y_pred[start : start + 90])
    late.save("late.state")
    late = EvaluationStream.load("late.state", evaluator)
    late.merge(early)
    whole = evaluator.evaluate(y_true, y_pred, confidence=0.9, seed=2)
    if late.resamples_rows:
        with pytest.warns(NoIntervalWarning, match="has no interval: it resamples rows, which"):
            found = late.result(confidence=0.9, seed=2)
        assert tuple(found.metadata["without_interval"]) == late.resamples_rows
    else:
        found = late.result(confidence=0.9, seed=2)
    assert list(found.metrics) == list(whole.metrics)
    for name, value in whole.metrics.items():
        assert abs(found.metrics[name] - value) <= 1e-12 * max(1, abs(value))
    assert dict(found.metadata) | {"without_interval": None} == dict(whole.metadata) | {
        "without_interval": None
    }
    assert found.sample_count == late.rows == 400
    for name, interval in found.intervals.items():
        other = whole.intervals[name]
        if interval.method.startswith("Poisson"):  # drawn by place, and the places differ
            assert interval.low == pytest.approx(other.low, abs=0.02)
            assert interval.high == pytest.approx(other.high, abs=0.02)
        else:
            assert interval == other
    assert bool(late.keeps_rows) == (task == "ranking")
    assert (task == "regression") == (not found.intervals)


def test_late_classes_extend_the_matrix():
    """Classes of the last batch only, sorted before the first ones; against scikit-learn."""
    y_true = ["m", "n"] * 50 + ["a", "z"] * 5
    y_pred = ["m", "m"] * 50 + ["z", "z"] * 5
    stream = ModelEvaluator("classification").stream()
    for start in range(0, 110, 25):
        stream.update(y_true[start : start + 25], y_pred[start : start + 25])
    with pytest.warns(UndefinedMetricWarning, match="2 of 4 classes"):
        result = stream.result()
    assert result.metadata["classes"] == ["a", "m", "n", "z"]
    for name in ("precision", "recall", "f1"):
        expected = getattr(sk, f"{name}_score")(y_true, y_pred, average="macro", zero_division=0)
        assert result.metrics[name] == pytest.approx(expected, rel=1e-12)


def test_a_third_class_makes_a_binary_evaluation_macro():
    """What CLASSIFICATION means is decided by all rows, never by a batch."""
    evaluator = ModelEvaluator("classification")
    stream = evaluator.stream()
    stream.update([True, False, True], [True, True, True])
    assert stream.result().metadata["averaging"] == "binary"
    assert stream.result().metadata["classes"] == [False, True]
    stream.update([2, 0], [2, 0])
    found = stream.result()
    assert found == evaluator.evaluate([1, 0, 1, 2, 0], [1, 1, 1, 2, 0])
    assert [type(label) for label in found.metadata["classes"]] == [int, int, int]


def test_more_classes_than_a_table_holds():
    """Free text as labels: counted by the pairs that occur."""
    codes = np.random.default_rng(4).integers(0, 150, (2, 600))
    y_true, y_pred = (np.array([f"answer {code}" for code in side]) for side in codes)
    evaluator = ModelEvaluator("classification")
    stream = evaluator.stream()
    for start in range(0, 600, 250):
        stream.update(y_true[start : start + 250], y_pred[start : start + 250])
    expected = sk.f1_score(y_true, y_pred, average="macro", zero_division=0)
    with pytest.warns(UndefinedMetricWarning, match="of 150 classes"):
        result = stream.result()
    with pytest.warns(UndefinedMetricWarning, match="of 150 classes"):
        assert result == evaluator.evaluate(y_true, y_pred)
    assert result.metrics["f1"] == pytest.approx(expected, rel=1e-12)


def test_labels_of_any_kind():
    """Plain enums are labels of a stream as they are of an evaluation, but of no file."""
    colour = enum.Enum("colour", "red green")
    stream = ModelEvaluator("classification").stream()
    stream.update([colour.red], [colour.red])
    stream.update([colour.green, colour.red], [colour.red, colour.green])
    assert stream.result().metrics["accuracy"] == pytest.approx(1 / 3)
    with pytest.raises(TypeError, match=r"the label .*red.* cannot be saved"):
        stream.save("colours.state")


@pytest.mark.parametrize(
    ("task", "batch", "error", "message"),
    [
        ("classification", (["a"], ["b"]), TypeError, "the rows before have int, this batch has s"),
        ("classification", ([1, 2], [1]), ValueError, "y_true has 2 entries and y_pred has 1"),
        ("ranking", ([5], [0.5]), ValueError, r"y_true has 3 classes, 0, 1, 5"),
        ("regression", ([1.0], [math.nan]), ValueError, "y_pred has nan at index 0"),
    ],
)
def test_a_refused_batch_leaves_the_stream_as_it_was(task, batch, error, message):
    """Every reader is asked before anything is added."""
    stream = ModelEvaluator(task).stream()
    stream.update([0, 1], [0, 1])
    before = stream.result()
    with pytest.raises(error, match=message):
        stream.update(*batch)
    assert stream.result() == before


def test_a_positive_class_may_come_late():
    """A batch without the positive class is an ordinary one."""
    evaluator = ModelEvaluator("classification").add_metric(AUCROCMetric("spam"))
    stream = ModelEvaluator("ranking").stream()
    assert evaluator.stream().keeps_rows == ("auc_roc",)
    stream.update([0, 0], [0.1, 0.4])
    stream.update([1, 1], [0.35, 0.8])
    assert stream.result().metrics["auc_roc"] == 0.75


class Bias:
    """A metric of one's own."""

    name = "bias"

    def compute(self, y_true, y_pred):
        """Compute the mean error."""
        return float(np.mean(np.asarray(y_pred) - np.asarray(y_true)))


def test_metrics_of_ones_own_get_all_rows():
    """They are kept, in the form they came, and the stream says so."""
    evaluator = ModelEvaluator("regression").add_metric(Bias())
    stream = evaluator.stream()
    assert stream.keeps_rows == ("bias",)
    batch = np.array([1.0, 2.0])
    stream.update(batch, np.array([2.0, 4.0]))
    batch[:] = 100.0  # a buffer that the caller fills again
    stream.update([3.0], [3.0])
    stream.save("own.state")
    assert EvaluationStream.load("own.state", evaluator).result().metrics["bias"] == 1.0
    with pytest.raises(ValueError, match=r"the state of \['task', 'mse'.*'bias'\]; expected"):
        EvaluationStream.load("own.state", ModelEvaluator("regression"))
    with pytest.raises(ValueError, match="the other stream is of"):
        stream.merge(ModelEvaluator("regression").stream())


def test_no_rows():
    """As an evaluation of no rows."""
    for task in TASKS:
        evaluator = ModelEvaluator(task)
        with pytest.warns(UndefinedMetricWarning, match="there are no rows"):
            found = evaluator.stream().result()
        with pytest.warns(UndefinedMetricWarning):
            np.testing.assert_equal(found.metrics, evaluator.evaluate([], []).metrics)
