"""Metrics of the table by name, and labels to ignore, in an evaluator; against scikit-learn."""

import functools
import json
import math
from typing import Any

import numpy as np
import pytest
import sklearn.metrics

from modelops_jax.evaluation import (
    AccuracyMetric,
    ConfusionMatrix,
    EvaluationResult,
    F1Metric,
    ModelEvaluator,
    NoIntervalWarning,
    UndefinedMetricWarning,
    compare,
)

sk: Any = sklearn.metrics
RNG = np.random.default_rng(12)
NAMES = np.array(["cat", "dog", "eel"])


def pairs(count: int = 90, classes: int = 3):
    """Labels that are right about two times in three."""
    y_true = RNG.integers(0, classes, count)
    return y_true, np.where(RNG.random(count) < 0.5, y_true, RNG.integers(0, classes, count))


def test_metrics_of_labels_equal_scikit_learns():
    """Strings are encoded, the classes counted, and the average is the task's or the given one."""
    y_true, y_pred = (NAMES[codes] for codes in pairs())
    evaluator = ModelEvaluator("multiclass", metrics=["matthews_corrcoef", "jaccard_score"])
    evaluator.add_metric("cohen_kappa_score", distance="quadratic")
    evaluator.add_metric("fbeta_score", beta=2).add_metric("fbeta_score", beta=0.5, name="f_half")
    evaluator.add_metric("specificity_score", average="micro")
    evaluator.add_metric("recall_score", average="binary", positive_class="dog")
    result = evaluator.evaluate(y_true.tolist(), y_pred.tolist(), confidence=0.9)
    codes = [np.searchsorted(NAMES, y) for y in (y_true, y_pred)]
    table = sk.confusion_matrix(y_true, y_pred)
    wrong = table.sum() - np.trace(table)
    expected = {
        "matthews_corrcoef": sk.matthews_corrcoef(y_true, y_pred),
        "jaccard_score": sk.jaccard_score(y_true, y_pred, average="macro"),
        "cohen_kappa_score": sk.cohen_kappa_score(*codes, weights="quadratic"),
        "fbeta_score": sk.fbeta_score(y_true, y_pred, beta=2, average="macro"),
        "f_half": sk.fbeta_score(y_true, y_pred, beta=0.5, average="macro"),
        "specificity_score": (2 * table.sum() - wrong) / (2 * table.sum()),
        "recall_score": sk.recall_score(y_true == "dog", y_pred == "dog"),
    }
    assert result.metrics == pytest.approx(expected, rel=0, abs=1e-12)
    assert list(result.intervals) == list(expected)
    for name, interval in result.intervals.items():
        assert interval.low <= expected[name] <= interval.high
    assert result.metadata == {"num_classes": 3, "classes": NAMES.tolist()}
    stream = evaluator.stream()
    for part in np.array_split(np.arange(len(y_true)), 3):
        stream.update(y_true[part], y_pred[part])
    assert stream.result(confidence=0.9) == result


@pytest.mark.parametrize(
    ("task", "labels", "options"),
    [("binary", [-1, 1], {}), ("classification", [0, 1], {}), ("classification", [3, 7], None)],
)
def test_the_average_is_that_of_the_task(task, labels, options):
    """Binary of class 1 where the task or the labels say so, else macro."""
    y_true, y_pred = (np.array(labels)[codes] for codes in pairs(classes=2))
    evaluator = ModelEvaluator(task, metrics=["f1_score"])
    found = evaluator.evaluate(y_true, y_pred).metrics["f1_score"]
    average = {"average": "macro"} if options is None else {"pos_label": 1}
    assert found == pytest.approx(sk.f1_score(y_true, y_pred, **average), abs=1e-12)


def test_metrics_of_the_other_tasks():
    """Numbers, scores, and sets of labels: in the one pass of the task, with intervals."""
    y_true = RNG.normal(size=60)
    y_pred = y_true + RNG.normal(size=60)
    evaluator = ModelEvaluator("regression").add_metric("mean_pinball_loss", alpha=0.2)
    evaluator.add_metric("spearman_corrcoef").add_metric("huber_loss")
    result = evaluator.evaluate(y_true, y_pred, confidence=0.95)
    expected = sk.mean_pinball_loss(y_true, y_pred, alpha=0.2)
    assert result.metrics["mean_pinball_loss"] == pytest.approx(expected, abs=1e-12)
    assert "mean_pinball_loss" in result.intervals
    positive = y_true > 0
    ranked = ModelEvaluator("ranking").add_metric("average_precision_score")
    ranked.add_metric("roc_auc_score")
    found = ranked.evaluate(positive, y_pred).metrics["average_precision_score"]
    assert found == pytest.approx(sk.average_precision_score(positive, y_pred), abs=1e-12)
    one, other = RNG.random((2, 80, 3)) < 0.4
    one[:, 0] = True  # no row without any label
    sets = ModelEvaluator("multilabel", metrics=["hamming_loss"])
    sets.add_metric("jaccard_score", average="samples")
    found = sets.evaluate(one, other, confidence=0.9)
    assert found.metrics["hamming_loss"] == pytest.approx(sk.hamming_loss(one, other), abs=1e-12)
    expected = sk.jaccard_score(one, other, average="samples", zero_division=0)
    assert found.metrics["jaccard_score"] == pytest.approx(expected, abs=1e-12)
    assert found.intervals.keys() == found.metrics.keys()
    stream = sets.stream()
    stream.update(one[:30], other[:30])
    stream.update(one[30:], other[30:])
    assert stream.result().metrics == found.metrics


def test_more_classes_than_a_table_has_are_counted_one_by_one():
    """At once, of a stream, and of two models; what needs the table still says so."""
    random = np.random.default_rng(5)
    y_true = np.concatenate([np.arange(4200), random.integers(0, 4200, 800)])
    y_pred = np.where(random.random(5000) < 0.7, y_true, random.integers(0, 4200, 5000))
    evaluator = ModelEvaluator("multiclass", metrics=["matthews_corrcoef", "cohen_kappa_score"])
    found = evaluator.evaluate(y_true, y_pred).metrics
    actual, predicted = (np.bincount(codes, minlength=4200) for codes in (y_true, y_pred))
    by_chance = float(actual @ predicted)
    both = 5000 * float((y_true == y_pred).sum()) - by_chance
    spread = (5000**2 - float(actual @ actual)) * (5000**2 - float(predicted @ predicted))
    expected = [both / math.sqrt(spread), both / (5000**2 - by_chance)]
    assert list(found.values()) == pytest.approx(expected, abs=1e-12)
    assert streamed(evaluator, y_true, y_pred).metrics == pytest.approx(found, abs=1e-12)
    with pytest.warns(UserWarning, match="not the pairs that a bootstrap draws"):
        models = compare(y_true, {"a": y_pred, "b": y_true}, task=evaluator)
    assert models.metrics["matthews_corrcoef"].values == {"b": 1.0, "a": found["matthews_corrcoef"]}
    evaluator = ModelEvaluator("multiclass", metrics=[])
    evaluator.add_metric("cohen_kappa_score", distance="linear")
    with pytest.raises(ValueError, match="4,200 classes; cohen_kappa_score needs a table of all"):
        evaluator.evaluate(y_true, y_pred)


def test_many_classes_have_a_value_and_no_interval():
    """A table of 200 classes is counted, not resampled."""
    y_true, y_pred = pairs(2000, 200)
    evaluator = ModelEvaluator("multiclass").add_metric("matthews_corrcoef")
    with pytest.warns(NoIntervalWarning, match="more than 128 classes"):
        result = evaluator.evaluate(y_true, y_pred, confidence=0.95)
    expected = sk.matthews_corrcoef(y_true, y_pred)
    assert result.metrics["matthews_corrcoef"] == pytest.approx(expected, abs=1e-12)
    assert result.metrics["f1"] == pytest.approx(sk.f1_score(y_true, y_pred, average="macro"))
    assert list(result.intervals) == ["accuracy"]


def test_undefined_values_and_no_rows_are_said():
    """The rule is warned about under the name of the result."""
    evaluator = ModelEvaluator("multiclass", metrics=["cohen_kappa_score", "accuracy_score"])
    with pytest.warns(UndefinedMetricWarning, match="^cohen_kappa_score: it is 0/0 on these rows"):
        assert math.isnan(evaluator.evaluate([1, 1], [1, 1]).metrics["cohen_kappa_score"])
    with pytest.warns(UndefinedMetricWarning, match="there are no rows"):
        nothing = evaluator.evaluate([], [])
    np.testing.assert_equal(
        dict(nothing.metrics), {"cohen_kappa_score": math.nan, "accuracy_score": 0.0}
    )


@pytest.mark.parametrize(
    ("task", "name", "options", "error", "message"),
    [
        ("binary", "mathews_corrcoef", {}, ValueError, "did you mean 'matthews_corrcoef'"),
        ("binary", "r2_score", {}, ValueError, "r2_score takes values and does not fit the task '"),
        ("ranking", "f1_score", {}, ValueError, "f1_score takes labels and .*average_precision_sc"),
        (
            "multilabel",
            "top_k_accuracy_score",
            {},
            ValueError,
            "does not fit the task 'multilabel'",
        ),
        ("text_generation", "f1_score", {}, ValueError, "that do: bits_per_byte, bleu_score,"),
        ("binary", "confusion_matrix", {}, ValueError, "ConfusionMatrix is for it"),
        (
            "binary",
            "roc_auc_score",
            {"average": None},
            ValueError,
            "labels and not of scores; pass",
        ),
        ("binary", "matthews_corrcoef", {"average": None}, ValueError, "average"),
        ("binary", "f1_score", {"average": "mean"}, ValueError, "average must be one of"),
        ("binary", "f1_score", {"num_classes": 3}, TypeError, "the rows decide num_classes"),
        ("binary", "f1_score", {"beta": 3}, TypeError, "f1_score has no option 'beta'"),
        ("binary", "fbeta_score", {}, TypeError, "fbeta_score needs the options: beta"),
        ("binary", "fbeta_score", {"beta": -1}, ValueError, "beta must be 0 or more"),
        ("regression", "mean_pinball_loss", {"alpha": 2}, ValueError, "alpha"),
        ("binary", AccuracyMetric(), {"beta": 3}, TypeError, "are for a metric by name"),
    ],
)
def test_what_has_no_meaning_is_refused_when_it_is_added(task, name, options, error, message):
    """Before there are rows, by name."""
    with pytest.raises(error, match=message):
        ModelEvaluator(task).add_metric(name, **options)


class Share:
    """A metric of one's own."""

    name = "share"

    def compute(self, y_true: Any, y_pred: Any) -> float:
        return float(np.mean(y_true == y_pred))


def test_without_an_average_every_class_has_its_value():
    """Of rows, batches and JSON; what takes one number leaves it out and says so."""
    y_true, y_pred = (NAMES[codes] for codes in pairs())
    y_pred[0] = "fox"  # true of no row; the table of four classes is full, that of three is not
    evaluator = ModelEvaluator("multiclass", metrics=["accuracy_score"])
    options: dict[str, dict[str, Any]] = {"jaccard": {}, "fbeta": {"beta": 2.0}, "recall": {}}
    for name, given in options.items():
        evaluator.add_metric(f"{name}_score", name=name, average=None, zero_division=1, **given)
    with pytest.warns(UndefinedMetricWarning, match="^recall: it is 0/0"):
        result = evaluator.evaluate(y_true, y_pred)
    assert list(result.metrics) == ["accuracy_score"]
    assert [one.label for one in result.per_class] == ["cat", "dog", "eel", "fox"]
    assert result.undefined == {"recall": 1}
    for name, given in options.items():
        expected = getattr(sk, f"{name}_score")(
            y_true, y_pred, average=None, zero_division=1, **given
        )
        found = [one.metrics[name] for one in result.per_class]
        assert found == pytest.approx(expected, abs=1e-12)
    keep = y_pred != "fox"
    y_true, y_pred = y_true[keep], y_pred[keep]
    result = evaluator.evaluate(y_true, y_pred, confidence=0.9, slices={"true": y_true})
    assert result.undefined == {}
    assert list(result.intervals) == list(result.slices[0].metrics) == ["accuracy_score"]
    assert EvaluationResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result
    assert "jaccard" in str(result)
    stream = evaluator.stream()
    for part in np.array_split(np.arange(len(y_true)), 2):
        stream.update(y_true[part], y_pred[part])
    assert stream.result(confidence=0.9).per_class == result.per_class
    own = ModelEvaluator("multiclass", metrics=[Share()]).add_metric("f1_score", average=None)
    models = {"one": y_pred, "other": y_true}
    with pytest.warns(NoIntervalWarning, match="is not compared") as told:
        assert list(compare(y_true, models, task=own).metrics) == ["share"]
    assert "f1_score is not compared: it has a value for each class" in {
        str(t.message) for t in told
    }
    with pytest.raises(ValueError, match=r"each of 129 classes, and a result lists at most 128"):
        evaluator.evaluate(np.arange(129), np.arange(129))
    sets = ModelEvaluator("multilabel", metrics=[]).add_metric("specificity_score", average=None)
    one, other = RNG.random((2, 80, 3)) < 0.4
    for found in (sets.evaluate(one, other), streamed(sets, one, other)):
        assert found.metrics == {}
        expected = sk.recall_score(~one, ~other, average=None)
        values = [each.metrics["specificity_score"] for each in found.per_class]
        assert values == pytest.approx(expected, abs=1e-12)


def streamed(evaluator, *columns):
    """The result of all rows in one batch."""
    stream = evaluator.stream()
    stream.update(*columns)
    return stream.result()


@pytest.mark.parametrize("label", [-100, "unknown"])
def test_rows_of_a_label_to_ignore_are_left_out(label):
    """Every metric, the classes, the confusion matrix and a stream are of the other rows."""
    y_true, y_pred = pairs()
    if isinstance(label, str):
        y_true, y_pred = NAMES[y_true].astype(object), NAMES[y_pred].astype(object)
    keep = RNG.random(len(y_true)) < 0.7
    full, kept = ModelEvaluator("classification", ignore_index=label), ModelEvaluator("multiclass")
    for evaluator in (full, kept):
        evaluator.add_metric("matthews_corrcoef")
    columns = np.where(keep, y_true, label).tolist(), y_pred.tolist()
    rest = y_true[keep].tolist(), y_pred[keep].tolist()
    found, expected = (e.evaluate(*c) for e, c in ((full, columns), (kept, rest)))
    assert found.metrics == expected.metrics
    assert found.metadata == expected.metadata
    stream = full.stream()
    for part in (slice(0, 40), slice(40, None)):
        stream.update(*(column[part] for column in columns))
    assert stream.result() == found
    assert AccuracyMetric(ignore_index=label).compute(*columns) == found.metrics["accuracy"]
    f1 = F1Metric(average="macro", ignore_index=label)
    assert f1.compute(*columns) == found.metrics["f1"]
    assert repr(f1).endswith(f"average='macro', ignore_index={label!r})")
    table = ConfusionMatrix(*columns, ignore_index=label)
    assert table.to_dict() == ConfusionMatrix(*rest).to_dict()


def test_slices_and_groups_are_of_the_rows_that_are_left():
    """Columns beside the labels keep their places."""
    y_true, y_pred = pairs()
    keep = RNG.random(len(y_true)) < 0.7
    groups, language = RNG.integers(0, 20, len(y_true)), RNG.integers(0, 3, len(y_true))
    found = ModelEvaluator("multiclass", ignore_index=-1).evaluate(
        np.where(keep, y_true, -1), y_pred, confidence=0.9, groups=groups, slices={"l": language}
    )
    expected = ModelEvaluator("multiclass").evaluate(
        y_true[keep],
        y_pred[keep],
        confidence=0.9,
        groups=groups[keep],
        slices={"l": language[keep]},
    )
    assert found.metrics == expected.metrics
    assert found.intervals == expected.intervals
    for one, other in zip(found.slices, expected.slices, strict=True):
        assert (one.key, one.metrics) == (other.key, other.metrics)


def test_a_binary_task_stays_binary_without_the_ignored_rows():
    """The label to ignore is no third class."""
    evaluator = ModelEvaluator("binary", ignore_index=-1)
    result = evaluator.evaluate([0, 1, -1, 1], [0, 1, 1, 0])
    assert result.metrics["recall"] == 0.5
    with pytest.raises(
        ValueError, match="ignore_index=0 is for tasks of labels, not for 'regression'"
    ):
        ModelEvaluator("regression", ignore_index=0)


def test_rows_of_several_outputs_are_evaluated_by_their_mean():
    """MSE and R2 of a matrix, as scikit-learn averages them; intervals and slices resample rows."""
    random = np.random.default_rng(0)
    y_true = random.normal(size=(60, 3))
    y_pred = y_true + random.normal(size=(60, 3))
    evaluator = ModelEvaluator("regression")
    evaluator.add_metric("explained_variance_score", multioutput="variance_weighted")
    halves = ["first"] * 30 + ["second"] * 30
    found = evaluator.evaluate(y_true, y_pred, confidence=0.95, slices={"half": halves})
    assert found.sample_count == 60
    assert found.metadata["outputs"] == 3
    oracles: dict[str, Any] = {
        "mse": sk.mean_squared_error,
        "r2": sk.r2_score,
        "explained_variance_score": functools.partial(
            sk.explained_variance_score, multioutput="variance_weighted"
        ),
    }
    for name, oracle in oracles.items():
        assert found.metrics[name] == pytest.approx(oracle(y_true, y_pred), rel=1e-12)
        assert found.intervals[name].low < found.metrics[name] < found.intervals[name].high
    lists = evaluator.evaluate(y_true.tolist(), y_pred.tolist())
    assert lists.metrics == found.metrics
    (first,) = (one for one in found.slices if one.key == {"half": "first"})
    assert first.metrics["mse"] == pytest.approx(sk.mean_squared_error(y_true[:30], y_pred[:30]))


def test_outputs_that_do_not_fit_are_refused():
    """Shapes that differ, ragged rows, options that the rows decide, and one number a row."""
    evaluator = ModelEvaluator("regression")
    with pytest.raises(ValueError, match=r"shape \(2, 1\) and y_pred has shape \(2, 2\)"):
        evaluator.evaluate([[1.0], [2.0]], [[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(ValueError, match="y_true has 1 numbers in row 1 and 2 in row 0"):
        evaluator.evaluate([[1.0, 2.0], [2.0]], [[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(ValueError, match="y_pred has one number a row and the other argument sev"):
        evaluator.evaluate([[1.0, 2.0], [2.0, 1.0]], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"y_pred\[1\] has nan at index 0"):
        evaluator.evaluate([[1.0, 2.0], [2.0, 1.0]], [[1.0, 2.0], [float("nan"), 1.0]])
    with pytest.raises(TypeError, match="the rows decide num_outputs"):
        evaluator.add_metric("huber_loss", num_outputs=2)
    with pytest.raises(ValueError, match="multioutput='raw_values' gives more than one number"):
        evaluator.add_metric("huber_loss", multioutput="raw_values")
