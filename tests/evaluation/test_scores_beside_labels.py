"""Metrics of scores and probabilities beside predicted labels; against scikit-learn."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from modelops_jax.evaluation import (
    EvaluationStream,
    ModelEvaluator,
    NoIntervalWarning,
    compare,
)

sk: Any = sklearn.metrics
RNG = np.random.default_rng(21)
TRUE = RNG.integers(0, 2, 300)
SCORE = np.clip(0.3 * TRUE + 0.7 * RNG.random(300), 0, 1)
NAMES = np.array(["ham", "spam"])


@pytest.fixture(scope="module")
def evaluator():
    """Labels, exact and streamed metrics of scores."""
    evaluator = ModelEvaluator("classification", metrics=["accuracy_score"])
    for name in ("roc_auc_score", "average_precision_score", "log_loss", "brier_score_loss"):
        evaluator.add_metric(name, positive_class="spam")
    return evaluator


def test_values_are_scikit_learns_and_a_streams_are_the_same(evaluator, tmp_path):
    """Whole, in batches, saved and read again."""
    labels, predicted = NAMES[TRUE].tolist(), NAMES[(SCORE > 0.5).astype(int)].tolist()
    result = evaluator.evaluate(labels, predicted, y_score=SCORE, confidence=0.9)
    expected = {
        "accuracy_score": sk.accuracy_score(labels, predicted),
        "roc_auc_score": sk.roc_auc_score(TRUE, SCORE),
        "average_precision_score": sk.average_precision_score(TRUE, SCORE),
        "log_loss": sk.log_loss(TRUE, SCORE),
        "brier_score_loss": sk.brier_score_loss(TRUE, SCORE),
    }
    assert result.metrics == pytest.approx(expected, rel=0, abs=1e-12)
    assert set(expected) == set(result.intervals)
    stream = evaluator.stream()
    assert stream.keeps_rows == ("roc_auc_score", "average_precision_score")
    assert stream.resamples_rows == ("log_loss", "brier_score_loss")
    for part in (slice(0, 100), slice(100, 300)):
        stream.update(labels[part], predicted[part], y_score=SCORE[part])
    stream.save(tmp_path / "state")
    again = EvaluationStream.load(tmp_path / "state", evaluator)
    for either in (stream, again):
        with pytest.warns(
            NoIntervalWarning, match="it resamples rows, which a stream of sums"
        ) as w:
            found = either.result(confidence=0.9)
        assert [str(one.message).split()[0] for one in w] == ["log_loss", "brier_score_loss"]
        assert found.metrics == pytest.approx(expected, rel=0, abs=1e-12)
        for name in ("accuracy_score", "roc_auc_score", "average_precision_score"):
            assert found.intervals[name] == result.intervals[name]


def test_every_class_has_a_column():
    """A dict by label, or columns of labels 0 to k - 1; slices are of the same rows."""
    codes = RNG.integers(0, 3, 150)
    scores = RNG.dirichlet([1, 1, 1], 150)
    names = np.array(["c", "a", "b"])
    evaluator = ModelEvaluator("multiclass", metrics=["log_loss", "roc_auc_score"])
    by_name = {name: scores[:, place] for place, name in enumerate(names.tolist())}
    half = np.arange(150) % 2
    result = evaluator.evaluate(names[codes].tolist(), None, y_score=by_name, slices={"h": half})
    expected = {
        "log_loss": sk.log_loss(codes, scores),
        "roc_auc_score": sk.roc_auc_score(codes, scores, multi_class="ovr"),
    }
    assert result.metrics == pytest.approx(expected, abs=1e-12)
    assert evaluator.evaluate(codes, None, y_score=scores).metrics == result.metrics
    for one in result.slices:
        rows = half == one.key["h"]
        found = sk.log_loss(codes[rows], scores[rows], labels=[0, 1, 2])
        assert one.metrics["log_loss"] == pytest.approx(found, abs=1e-12)
    # Lower is better: the worst slice has the largest loss.
    losses = [one.metrics["log_loss"] for one in result.slices]
    assert losses == sorted(losses, reverse=True)


def test_of_every_class_the_positive_ones_scores_are_read():
    """One column of a dict, of a matrix and of one on a device, against all other classes."""
    codes = RNG.integers(0, 3, 150)
    scores = RNG.dirichlet([1, 1, 1], 150)
    expected = sk.average_precision_score(codes == 1, scores[:, 1])
    names, columns = np.array(["c", "a", "b"]), dict(zip("cab", scores.T, strict=True))
    on_device = (jnp.asarray(codes), jnp.asarray(scores, jnp.float32))
    for positive, true, given, near in (
        ("a", names[codes].tolist(), columns, 1e-12),
        (1, codes, scores, 1e-12),
        (1, *on_device, 1e-6),
    ):
        evaluator = ModelEvaluator("multiclass", metrics=[])
        evaluator.add_metric("average_precision_score", positive_class=positive)
        found = evaluator.evaluate(true, None, y_score=given).metrics["average_precision_score"]
        assert found == pytest.approx(expected, abs=near)
        with pytest.raises(ValueError, match=r"y_score has scores of .*none of positive_class='d'"):
            ModelEvaluator("multiclass", metrics=[]).add_metric(
                "roc_auc_score", positive_class="d"
            ).evaluate(true, None, y_score=given)


def test_models_of_probabilities_are_compared():
    """The predictions of a ranking are scores; of probabilities there is a log loss."""
    models = {"good": SCORE, "flat": np.full(300, 0.5)}
    found = compare(TRUE, models, task=ModelEvaluator("ranking", metrics=["log_loss"]))
    assert found.metrics["log_loss"].verdicts["good"] == "best"
    assert found.metrics["log_loss"].values["flat"] == pytest.approx(np.log(2), abs=1e-12)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([0, 1], [0, 1], None), "log_loss: needs y_score, which is None"),
        (([0, 1], None, [0.5, 0.5]), "accuracy: needs y_pred, which is None"),
        (([0, 1], [0, 1], [0.5]), "y_true has 2 entries and y_score has 1"),
        ((["a", "b"], ["a", "b"], [0.5, 0.5]), "expected 0 and 1, bools or -1 and 1"),
        (([0, 2], [0, 2], [[0.5, 0.5]] * 2), "has scores of the classes 0, 1, and y_true has 2"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns, message):
    """By the name of the metric or the column."""
    from modelops_jax.evaluation import AccuracyMetric

    evaluator = ModelEvaluator("classification", metrics=[AccuracyMetric()]).add_metric("log_loss")
    true, pred, score = columns
    with pytest.raises(ValueError, match=message):
        evaluator.evaluate(true, pred, y_score=score)
    with pytest.raises(ValueError, match="none of the metrics reads it"):
        ModelEvaluator("classification").evaluate([0, 1], [0, 1], y_score=[0.5, 0.5])


def test_rows_to_ignore_are_in_no_metric_of_scores():
    """Whole, in slices and in a stream, whatever their scores; labels are ignored as before."""
    codes, scores = RNG.integers(0, 3, 150), RNG.dirichlet([1, 1, 1], 150)
    names = np.array(["a", "b", "c"])
    true, pred = names[codes], names[scores.argmax(axis=1)]
    kept, half = np.arange(150) % 6 != 2, np.arange(150) % 2
    expected = {
        "accuracy_score": sk.accuracy_score(true[kept], pred[kept]),
        "log_loss": sk.log_loss(codes[kept], scores[kept]),
        "roc_auc_score": sk.roc_auc_score(codes[kept], scores[kept], multi_class="ovr"),
    }
    true[~kept], scores[~kept] = "?", np.nan

    def given(rows=slice(None)):
        by_name = {name: scores[rows, place] for place, name in enumerate(names.tolist())}
        return {"y_true": true[rows].tolist(), "y_pred": pred[rows].tolist(), "y_score": by_name}

    evaluator = ModelEvaluator("multiclass", metrics=list(expected), ignore_index="?")
    found = evaluator.evaluate(**given(), slices={"half": half})
    assert found.metrics == pytest.approx(expected, abs=1e-12)
    for one in found.slices:
        rows = kept & (half == one.key["half"])
        loss = sk.log_loss(codes[rows], scores[rows], labels=[0, 1, 2])
        assert one.metrics["log_loss"] == pytest.approx(loss, abs=1e-12)
    stream = evaluator.stream()
    for part in (slice(0, 70), slice(70, 150)):
        stream.update(**given(part))
    assert stream.result().metrics == pytest.approx(expected, abs=1e-12)
    scores[3, 0] = np.nan  # of a row that counts
    with pytest.raises(ValueError, match=r"y_score\['a'\] has nan at index 3 \(1 such"):
        evaluator.evaluate(**given())


def test_ignoring_one_score_a_row_leaves_two_labels(tmp_path, monkeypatch):
    """-1 besides 0 and 1, whose scores may be anything; they are counted, in a stream too."""
    true = np.where(np.arange(300) % 5 == 0, -1, TRUE)
    kept = true >= 0
    evaluator = ModelEvaluator(
        "binary", metrics=["roc_auc_score", "brier_score_loss"], ignore_index=-1
    )
    result = evaluator.evaluate(true, None, y_score=np.where(kept, SCORE, np.inf))
    found = result.metrics
    assert found["roc_auc_score"] == pytest.approx(sk.roc_auc_score(TRUE[kept], SCORE[kept]))
    brier = sk.brier_score_loss(TRUE[kept], SCORE[kept])
    assert found["brier_score_loss"] == pytest.approx(brier, abs=1e-12)
    stream = evaluator.stream()
    for rows in (slice(0, 150), slice(150, 300)):
        stream.update(true[rows], None, y_score=SCORE[rows])
    stream.save(path := tmp_path / "state")
    again = EvaluationStream.load(path, evaluator).result()
    assert again.ignored_count == result.ignored_count == 60
    monkeypatch.setattr("modelops_jax._state_file._FORMAT", 1)  # as before such rows were counted
    stream.save(path)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="has format 1; this version reads 3"):
        EvaluationStream.load(path, evaluator)


def test_a_stream_of_several_outputs_is_the_whole():
    """Values of one and of several outputs a row; not both."""
    true, pred = RNG.normal(size=(2, 60, 2))
    evaluator = ModelEvaluator("regression", metrics=["max_error"])
    evaluator.add_metric("mean_squared_error", multioutput=[1, 3], name="mse")
    stream = evaluator.stream()
    for part in (slice(0, 20), slice(20, 60)):
        stream.update(true[part], pred[part])
    found, expected = stream.result(), evaluator.evaluate(true, pred)
    assert found.metrics == pytest.approx(expected.metrics, abs=1e-12)
    assert found.metadata == expected.metadata == {"outputs": 2}
    losses = ((true - pred) ** 2).mean(axis=0)
    assert expected.metrics["mse"] == pytest.approx((losses[0] + 3 * losses[1]) / 4, abs=1e-12)
    largest = np.abs(true - pred).max(axis=0).mean()
    assert expected.metrics["max_error"] == pytest.approx(largest, abs=1e-12)
    stream = ModelEvaluator("regression", metrics=["max_error"]).stream()
    stream.update(true, pred)
    with pytest.raises(ValueError, match="have the outputs a row None; the rows before have 2"):
        stream.update(true[:, 0], pred[:, 0])
