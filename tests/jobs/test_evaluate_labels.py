"""A model with labels, from training through its folder to metrics of what it says."""

import dataclasses
import json

import numpy as np
import pytest
from sklearn import metrics as sk

from modelops_jax import Dataset
from modelops_jax.cli import main
from modelops_jax.data import DatasetError
from modelops_jax.evaluation import ModelEvaluator
from modelops_jax.jobs import Generation, evaluate_model
from modelops_jax.jobs import _answer_file as answer_file
from modelops_jax.jobs import _answer_settings as answer_settings
from modelops_jax.models import DecoderConfig, Model, init_params, load
from modelops_jax.training import TrainingConfig, fit

CLASSES = ["ham", "spam", "other"]
# Seven texts are two chunks; an index is a label too, and the rows have a key of their own.
ROWS = Dataset(
    [
        {"text": word * (1 + n % 2), "label": 2 if n == 2 else CLASSES[n % 3], "lang": "ab"[n % 2]}
        for n, word in enumerate(["hello", "win", "x", "dear", "money", "y", "bye"])
    ]
)
RIGHT = [CLASSES[n % 3] for n in range(7)]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(answer_file, "CHUNK_ROWS", 4)
    monkeypatch.setattr(answer_settings, "CHUNK_ROWS", 4)


@pytest.fixture(scope="module")
def base():
    """Of 20,000 random weights."""
    tiny = load("tiny")
    config = DecoderConfig(tiny.config.vocab_size, 16, 32, 1, 2, 1, 8, 256, 1e4, 1e-5, True)
    return dataclasses.replace(tiny, config=config, params=init_params(config, 0, stddev=0.3))


@pytest.fixture(scope="module")
def saved(base, tmp_path_factory):
    """What a few steps on the rows made of it, as a folder."""
    config = TrainingConfig(max_steps=3, learning_rate=3e-3)
    path = tmp_path_factory.mktemp("trained") / "model"
    fit(base.with_labels(CLASSES), ROWS, config=config, progress="off").model.save(path)
    return path


def evaluator():
    metrics = ["accuracy_score", "log_loss", "average_precision_score"]
    made = ModelEvaluator("classification", metrics=metrics)
    return made.add_metric("average_precision_score", name="of_spam", positive_class="spam")


def test_a_trained_classifier_is_evaluated_from_its_folder(saved):
    """scikit-learn on what `predict_proba` says; every row has its own scores."""
    found = evaluate_model(saved, ROWS, evaluator(), slices=["lang"], progress="off")
    model, texts = load(saved), [row["text"] for row in ROWS]
    shares = model.predict_proba(texts)
    assert [one["prediction"] for one in found.answers] == model.predict(texts)
    assert [one["completion"] for one in found.answers] == RIGHT
    kept = np.array([[one["probabilities"][label] for label in CLASSES] for one in found.answers])
    np.testing.assert_allclose(kept, shares, atol=1e-6)
    np.testing.assert_allclose(kept.sum(axis=1), 1, atol=1e-15)
    codes = np.array([CLASSES.index(label) for label in RIGHT])
    is_of = [(codes == place).astype(int) for place in range(3)]
    precisions = [sk.average_precision_score(is_of[k], kept[:, k]) for k in range(3)]
    assert abs(precisions[1] - np.mean(precisions)) > 0.01
    assert found.result.metrics == pytest.approx(
        {
            "accuracy_score": sk.accuracy_score(RIGHT, model.predict(texts)),
            "log_loss": sk.log_loss(codes, kept),
            "average_precision_score": np.mean(precisions),
            "of_spam": precisions[1],
        },
        abs=1e-12,
    )
    losses = [one["scores"]["log_loss"] for one in found.answers]
    assert np.mean(losses) == pytest.approx(found.result.metrics["log_loss"])
    assert found.answers[0]["scores"]["of_spam"] is None  # no row of that class
    assert [one["keys"] for one in found.answers[:2]] == [{"lang": "a"}, {"lang": "b"}]
    assert {one.key["lang"] for one in found.result.slices} == {"a", "b"}


def test_an_interrupted_evaluation_goes_on_to_the_same_bytes(saved, tmp_path, monkeypatch):
    """Stopped in the second chunk; other labels of the rows are other rows."""
    whole = evaluate_model(saved, ROWS, evaluator(), folder=tmp_path / "whole", progress="off")
    read, calls = Model.predict_proba, []

    def stops(self, texts):
        calls.append(len(texts))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return read(self, texts)

    monkeypatch.setattr(Model, "predict_proba", stops)
    cut = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        evaluate_model(saved, ROWS, evaluator(), folder=cut, progress="off")
    again = evaluate_model(saved, ROWS, evaluator(), folder=cut, progress="off")
    assert (calls, again.resumed) == ([4, 3, 3], 4)
    assert again.result == whole.result
    written = [(tmp_path / name / "predictions.jsonl").read_bytes() for name in ("whole", "cut")]
    assert written[0] == written[1]
    other = Dataset([{**row, "label": "ham"} for row in ROWS])
    with pytest.raises(ValueError, match=r"another evaluation: dataset\.sha256"):
        evaluate_model(saved, other, evaluator(), folder=cut, progress="off")


def test_values_are_evaluated_as_numbers(base):
    """The task of a single label, with its usual metrics."""
    rows = Dataset([{"prompt": "a" * n, "label": n / 3} for n in range(1, 6)])
    model = base.with_labels(["score"])
    found = evaluate_model(model, rows, progress="off", confidence=0.9)
    true, pred = [n / 3 for n in range(1, 6)], model.predict([row["prompt"] for row in rows])
    assert [one["prediction"] for one in found.answers] == pytest.approx(list(pred), abs=1e-6)
    metrics = found.result.metrics
    pred = [one["prediction"] for one in found.answers]
    assert metrics["mae"] == pytest.approx(sk.mean_absolute_error(true, pred))
    assert metrics["r2"] == pytest.approx(sk.r2_score(true, pred))
    assert found.answers[2]["scores"]["mae"] == pytest.approx(abs(true[2] - pred[2]))
    assert found.result.intervals["mae"].low <= metrics["mae"]


def test_bad_rows_are_told_and_left_out_if_that_is_allowed(base, tmp_path):
    """Of another kind, of a label that the model has not, too long; each by its line."""
    lines = [
        {"text": "a", "label": "ham"},
        {"prompt": "a", "completion": "ham"},
        {"text": "a", "label": "eggs"},
        {"text": "a" * 300, "label": "spam"},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    model = base.with_labels(CLASSES)
    found = evaluate_model(model, path, allow_bad_rows=True, progress="off")
    assert (found.result.sample_count, found.result.invalid_count) == (1, 3)
    assert [problem.line for problem in found.bad_rows] == [2, 3, 4]
    assert "found 'eggs', expected one of ham, spam, other" in str(found.bad_rows[1])
    assert "the text has 300 tokens, expected 1 to 256" in str(found.bad_rows[2])
    with pytest.raises(DatasetError, match=r"line 2: .*expected 'label' and one of"):
        evaluate_model(model, path, progress="off")


@pytest.mark.parametrize(
    ("labels", "metrics", "options", "message"),
    [
        (CLASSES, "regression", {}, "task is 'regression'; .* by one of: classification, multicl"),
        (CLASSES, "text_generation", {}, "task is 'text_generation'; "),
        (["score"], "classification", {}, "is evaluated by one of: regression"),
        ([], "regression", {}, "by one of: text_generation, classification, multiclass"),
        (CLASSES, None, {"generation": Generation(top_k=3)}, "expected a seed alone"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(base, labels, metrics, options, message):
    model = base.with_labels(labels) if labels else base
    made = metrics and ModelEvaluator(metrics)
    with pytest.raises(ValueError, match=message):
        evaluate_model(model, ROWS, made, progress="off", **options)


def test_the_command_asks_a_model_with_labels(saved, tmp_path, capsys):
    """The task is that of the model; the page shows its classes."""
    path, folder = tmp_path / "rows.jsonl", tmp_path / "answers"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    asked = ["evaluate", str(path), "--model", str(saved), "--folder", str(folder)]
    asked += ["--metric", "accuracy_score", "--metric", "area=roc_auc_score:positive_class=spam"]
    assert main([*asked, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    shares = load(saved).predict_proba([row["text"] for row in ROWS])[:, 1]
    area = sk.roc_auc_score([label == "spam" for label in RIGHT], shares)
    assert found["metrics"]["area"] == pytest.approx(area)
    page = (folder / "report.html").read_text("utf-8")
    assert "True and predicted labels" in page
    assert "7 of 7 answers were made in this run" in page
    assert main([*asked, "--max-new-tokens", "3"]) == 1
    assert "expected a seed alone" in capsys.readouterr().err
