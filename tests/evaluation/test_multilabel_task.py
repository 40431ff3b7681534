"""The task of several labels a row, against scikit-learn."""

from typing import Any

import numpy as np
import pytest
import sklearn.metrics

from modelops_jax.evaluation import (
    EvaluationStream,
    ModelEvaluator,
    UndefinedMetricWarning,
    create_evaluator,
)

# Its inferred types do not know every value that its documentation allows.
sk: Any = sklearn.metrics
RNG = np.random.default_rng(11)


@pytest.mark.parametrize("labels", [1, 3, 200])
@pytest.mark.parametrize("convert", [np.asarray, lambda y: y.tolist(), lambda y: y.astype(float)])
def test_multilabel(labels, convert):
    """Subset accuracy and the micro and macro ratios equal scikit-learn's."""
    y_true, y_pred = RNG.random((2, 120, labels)) < 0.4
    result = create_evaluator("multilabel").evaluate(convert(y_true), convert(y_pred))
    expected = {"subset_accuracy": sk.accuracy_score(y_true, y_pred)}
    for average in ("micro", "macro"):
        given = {"average": average, "zero_division": 0}
        if labels == 1:  # scikit-learn takes one column for a binary task
            given = {"average": "binary", "zero_division": 0}
        expected[f"precision_{average}"] = sk.precision_score(y_true, y_pred, **given)
        expected[f"recall_{average}"] = sk.recall_score(y_true, y_pred, **given)
        expected[f"f1_{average}"] = sk.f1_score(y_true, y_pred, **given)
    assert list(result.metrics) == list(expected)
    for name, value in expected.items():
        assert abs(result.metrics[name] - value) <= 1e-12, name
    assert result.metadata == {"labels": labels}


def test_multilabel_without_a_label():
    """A label nobody has is 0/0 = 0 in the macro mean, as in scikit-learn, with a warning."""
    y_true = np.array([[1, 0, 0], [1, 0, 1]])
    y_pred = np.array([[1, 0, 1], [0, 0, 0]])
    with pytest.warns(UndefinedMetricWarning) as caught:
        result = create_evaluator("multilabel").evaluate(y_true, y_pred)
    for quantity, oracle in (("precision", sk.precision_score), ("f1", sk.f1_score)):
        expected = oracle(y_true, y_pred, average="macro", zero_division=0)
        assert result.metrics[f"{quantity}_macro"] == pytest.approx(expected, rel=1e-12)
    assert [str(warning.message) for warning in caught] == [
        "precision_macro: 1 of 3 labels are predicted for no row, so 0/0 counts as 0.0",
        "recall_macro: 1 of 3 labels are true of no row, so 0/0 counts as 0.0",
        "f1_macro: 1 of 3 labels are true of no row and predicted for none, so 0/0 counts as 0.0",
    ]
    with pytest.warns(UndefinedMetricWarning) as caught:
        nothing = create_evaluator("multilabel").evaluate(y_true, np.zeros((2, 3), int))
    assert nothing.metrics["precision_micro"] == 0.0
    assert str(caught[0].message).startswith("precision_micro: 3 of 3 labels are predicted for no")
    several = np.tile(np.arange(200) < 7, (120, 1))  # more labels than are listed
    with pytest.warns(UndefinedMetricWarning) as caught:
        create_evaluator("multilabel").evaluate(several, several)
    assert str(caught[1].message).startswith("recall_macro: 193 of 200 labels are true of no row")


@pytest.mark.parametrize(
    ("y_true", "y_pred", "error", "message"),
    [
        ([[1, 0]], [[1, 0, 1]], ValueError, r"shape \(1, 2\) and y_pred has shape \(1, 3\)"),
        ([[1, 0], [1]], [[1, 0], [1, 0]], ValueError, "y_true has 1 labels in row 1 and 2 in row"),
        ([[1, 0]], [[1, 2]], ValueError, "y_pred has 2 in row 0, label 1; expected 0 or 1"),
        ([1, 0], [1, 0], ValueError, "y_true has 1 as row 0; expected a list of 0 and 1"),
        (np.array([1, 0]), np.array([1, 0]), ValueError, r"y_true has shape \(2,\)"),
        ([["a"]], [["a"]], TypeError, "y_true has dtype <U1"),
        (np.zeros((2, 0)), np.zeros((2, 0)), ValueError, "at least one label"),
        ([[0.5]], [[1]], ValueError, r"y_true has 0\.5 in row 0, label 0"),
    ],
)
def test_multilabel_refusals(y_true, y_pred, error, message):
    """What is no matrix of 0 and 1 is an error that says where."""
    with pytest.raises(error, match=message):
        create_evaluator("multilabel").evaluate(y_true, y_pred)


def scored_rows():
    """Labels, predictions that are mostly right, and a probability for each label."""
    random = np.random.default_rng(3)
    y_true = random.integers(0, 2, (120, 4))
    y_pred = np.where(random.random((120, 4)) < 0.8, y_true, 1 - y_true)
    scores = np.clip(0.3 * y_true + 0.6 * random.random((120, 4)) + 0.05, 0, 1)
    return y_true, y_pred, scores


def scored_evaluator(**options):
    """The default metrics, two of scores and one of both sides' labels."""
    evaluator = ModelEvaluator("multilabel", **options)
    evaluator.add_metric("roc_auc_score").add_metric("log_loss", average="micro")
    return evaluator.add_metric("matthews_corrcoef", average="weighted")


def test_scores_stand_beside_labels():
    """scikit-learn's values, intervals of whole rows, slices, and each label by itself."""
    y_true, y_pred, scores = scored_rows()
    half = np.arange(120) % 2
    evaluator = scored_evaluator()
    assert evaluator.reads_scores == ("roc_auc_score", "log_loss")
    result = evaluator.evaluate(
        y_true, y_pred, y_score=scores.tolist(), confidence=0.9, slices={"half": half}
    )
    assert result.metrics["roc_auc_score"] == pytest.approx(sk.roc_auc_score(y_true, scores), 1e-12)
    loss = sk.log_loss(y_true.ravel(), scores.ravel())
    assert result.metrics["log_loss"] == pytest.approx(loss, rel=1e-12)
    assert set(result.intervals) == set(result.metrics)
    for one in result.slices:
        own = half == one.key["half"]
        area = sk.roc_auc_score(y_true[own], scores[own])
        assert one.metrics["roc_auc_score"] == pytest.approx(area, rel=1e-12)
    assert [one.label for one in result.per_class] == [0, 1, 2, 3]
    for name in ("precision", "recall", "f1"):
        expected = getattr(sk, f"{name}_score")(y_true, y_pred, average=None)
        assert [one.metrics[name] for one in result.per_class] == pytest.approx(expected, rel=1e-12)
    assert [one.rows for one in result.per_class] == y_true.sum(axis=0).tolist()
    assert "label  precision" in str(result)
    without = ModelEvaluator("multilabel", metrics=["roc_auc_score"])
    only = without.evaluate(y_true, None, y_score=scores)
    assert only.metrics["roc_auc_score"] == result.metrics["roc_auc_score"]
    stream = without.stream(resamples=2)  # which it needs none of
    stream.update(y_true, None, y_score=scores)
    assert stream.result().metrics == only.metrics


def test_a_stream_keeps_counts_of_labels_and_not_rows(tmp_path):
    """Four counts a label are all that counts need; a saved stream goes on."""
    y_true, y_pred, scores = scored_rows()
    evaluator = scored_evaluator()
    stream = evaluator.stream()
    assert stream.keeps_rows == ("roc_auc_score",)
    assert ModelEvaluator("multilabel").stream().keeps_rows == ()
    for start in range(0, 120, 50):
        part = slice(start, start + 50)
        stream.update(y_true[part], y_pred[part], y_score=scores[part])
    stream.save(tmp_path / "state")
    found = EvaluationStream.load(tmp_path / "state", evaluator).result()
    expected = evaluator.evaluate(y_true, y_pred, y_score=scores)
    assert found.metrics == pytest.approx(expected.metrics, rel=1e-12)
    assert found.per_class == expected.per_class
    assert found.metadata == expected.metadata
    with pytest.raises(ValueError, match="have the number of labels 3; the rows before have 4"):
        stream.update(y_true[:, :3], y_pred[:, :3], y_score=scores[:, :3])


def test_a_stream_resamples_labels_as_it_goes():
    """The intervals of label sets are those of rows drawn again, without a row kept."""
    y_true, y_pred, _ = scored_rows()
    stream = ModelEvaluator("multilabel").stream(resamples=1000)
    stream.update(y_true, y_pred)
    found = stream.result(confidence=0.9).intervals
    expected = ModelEvaluator("multilabel").evaluate(y_true, y_pred, confidence=0.9).intervals
    assert found.keys() == expected.keys()
    for name, interval in expected.items():
        assert found[name].low == pytest.approx(interval.low, abs=0.01)
        assert found[name].high == pytest.approx(interval.high, abs=0.01)


def test_ignored_entries_count_nowhere():
    """In counts, scores and streams; beside them anything may be predicted."""
    y_true, y_pred, scores = scored_rows()
    seen = np.random.default_rng(4).random(y_true.shape) > 0.2
    given, pred = np.where(seen, y_true, -1), np.where(seen, y_pred, 7)
    score = np.where(seen, scores, np.nan)
    evaluator = scored_evaluator(ignore_index=-1)
    result = evaluator.evaluate(given, pred.tolist(), y_score=score)
    expected = sk.precision_score(y_true[seen], y_pred[seen])
    assert result.metrics["precision_micro"] == pytest.approx(expected, rel=1e-12)
    loss = sk.log_loss(y_true[seen], scores[seen])
    assert result.metrics["log_loss"] == pytest.approx(loss, rel=1e-12)
    right = ((y_true == y_pred) | ~seen).all(axis=1)[seen.any(axis=1)]
    assert result.metrics["subset_accuracy"] == pytest.approx(right.mean(), rel=1e-12)
    assert [one.rows for one in result.per_class] == (y_true * seen).sum(axis=0).tolist()
    stream = evaluator.stream()
    stream.update(given, pred, y_score=score)
    assert stream.result().metrics == pytest.approx(result.metrics, rel=1e-12)
    assert "ignore_index=-1" in result.signature
    (accuracy, *_) = ModelEvaluator("multilabel", ignore_index=np.int64(-1)).metrics
    assert repr(accuracy) == "SubsetAccuracy(ignore_index=-1)"
    with pytest.raises(TypeError, match="ignore_index is 'none'"):
        ModelEvaluator("multilabel", ignore_index="none")


@pytest.mark.parametrize(
    ("scores", "error", "message"),
    [
        (np.full((2, 3), 0.5), ValueError, r"y_score has shape \(2, 3\); expected one shape"),
        (np.full(2, 0.5), ValueError, r"y_score has shape \(2,\); expected shape \(rows, labels\)"),
        ([[0.5, np.nan], [0.1, 0.2]], ValueError, r"y_score \(flattened\) has nan at index 1"),
        ([["a", "b"], ["a", "b"]], TypeError, r"y_score\[0\]"),
        ([[0.5, 1.5], [0.1, 0.2]], ValueError, "outside 0 to 1"),
        (None, ValueError, "log_loss: needs y_score, which is None"),
    ],
)
def test_scores_that_do_not_fit_are_refused(scores, error, message):
    """With the argument, and what was expected."""
    evaluator = ModelEvaluator("multilabel", metrics=["log_loss"])
    with pytest.raises(error, match=message):
        evaluator.evaluate([[1, 0], [0, 1]], [[1, 0], [0, 1]], y_score=scores)


def test_top_k_is_said_to_be_undefined():
    """And what is defined instead."""
    with pytest.raises(ValueError, match=r"top_k_accuracy_score is not defined .*precision_at_k"):
        ModelEvaluator("multilabel", metrics=["top_k_accuracy_score"])
