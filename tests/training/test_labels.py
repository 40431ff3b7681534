"""Models with labels: what they are trained on, and that a run measures what it says."""

import dataclasses

import jax
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss, mean_absolute_error

from modelops_jax.data import Dataset
from modelops_jax.evaluation import ModelEvaluator, TaskType
from modelops_jax.models import LoraConfig, merge_lora
from modelops_jax.training import DpoLoss, TrainingConfig, fit, read_examples
from modelops_jax.training._examples import label_value

CONFIG = TrainingConfig(batch_size=4, learning_rate=1e-2, epochs=20, max_steps=12, log_every=6)
LABELS = ("ham", "spam", "other")
TEXTS = ["Win money", "Hello", "a", "The minutes are attached", "money money", "see you", "b"]
KINDS = [1, 0, 2, 0, 1, 0, 2]
ROWS = Dataset(
    [
        {"text": text, "label": kind if index % 2 else LABELS[kind]}
        for index, (text, kind) in enumerate(zip(TEXTS, KINDS, strict=True))
    ]
)


def test_classes_are_learned_and_measured_as_by_hand(model):
    """Adapters and the head: held-out numbers are those of the merged model's predictions."""
    reader = model.with_labels(LABELS)
    before = jax.tree.map(np.asarray, reader.params)
    config = dataclasses.replace(CONFIG, lora=LoraConfig(rank=2), monitor="eval_accuracy")
    result = fit(reader, ROWS, config=config, eval=ROWS, progress="off")
    jax.tree.map(np.testing.assert_array_equal, before, reader.params)
    names = [LABELS[kind] for kind in KINDS]
    found, odds = result.model.predict(TEXTS), result.model.predict_proba(TEXTS)
    last = result.history[-1]
    exact = odds / odds.sum(axis=1, keepdims=True, dtype=np.float64)
    assert last["eval_loss"] == pytest.approx(log_loss(KINDS, exact), rel=1e-4)
    assert last["eval_accuracy"] == accuracy_score(names, found)
    f1 = f1_score(names, found, average="macro", labels=LABELS)
    assert last["eval_macro_f1"] == pytest.approx(f1, rel=1e-9)
    evaluated = ModelEvaluator(TaskType.MULTICLASS_CLASSIFICATION).evaluate(names, found)
    assert evaluated.metrics["accuracy"] == last["eval_accuracy"]
    assert last["eval_accuracy"] > 0.8
    assert (result.model.params["score"]["weight"] != before["score"]["weight"]).all()
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), result.model.params, before)
    assert not changed["model"]["embed_tokens"]["weight"]
    assert changed["model"]["layers"]["mlp"]["up_proj"]["weight"]
    assert result.adapters is not None
    assert set(result.adapters.weights) == {"self_attn", "mlp"}
    jax.tree.map(
        np.testing.assert_array_equal,
        merge_lora(reader.params, result.adapters),
        result.model.params,
    )


@pytest.mark.model  # as classes are, with another loss
def test_values_are_learned_and_measured_as_by_hand(model):
    """All weights, several rows packed into a sequence: numbers are those of the predictions."""
    lengths = [len(text) / 10 for text in TEXTS]
    pairs = zip(TEXTS, lengths, strict=True)
    rows = Dataset([{"prompt": text, "label": length} for text, length in pairs])
    config = dataclasses.replace(CONFIG, packing=True, pack_length=40, batch_size=2)
    result = fit(model.with_labels(["length"]), rows, config=config, eval=rows, progress="off")
    last = result.history[-1]
    found = np.asarray(result.model.predict(TEXTS), np.float64)
    evaluated = ModelEvaluator(TaskType.REGRESSION).evaluate(lengths, found)
    assert last["eval_mean_squared_error"] == pytest.approx(evaluated.metrics["mse"], rel=1e-4)
    assert last["eval_loss"] == last["eval_mean_squared_error"]
    error = mean_absolute_error(lengths, found)
    assert last["eval_mean_absolute_error"] == pytest.approx(error, rel=1e-4)
    assert last["eval_mean_squared_error"] < 0.5 * np.var(lengths)


def test_the_label_stands_after_the_text(model):
    """The state of the text's last token is read, and nothing else is trained."""
    examples = read_examples(model.with_labels(LABELS), ROWS, CONFIG, name="training")
    for row, text in zip(examples.rows, TEXTS, strict=True):
        ids = model.tokenizer.encode(text)
        assert row.token_ids[:-1].tolist() == ids
        assert row.at.tolist() == [len(ids) - 1]
    assert examples.values is not None
    assert examples.values.tolist() == KINDS
    other = Dataset([{**ROWS[0], "label": "ham"}, *ROWS.data[1:]])
    changed = read_examples(model.with_labels(LABELS), other, CONFIG, name="training")
    assert changed.rows.fingerprint == examples.rows.fingerprint
    assert changed.fingerprint != examples.fingerprint


@pytest.mark.parametrize(
    ("label", "labels", "value"),
    [
        ("spam", LABELS, 1),
        (2, LABELS, 2),
        ("2", LABELS, None),
        (3, LABELS, None),
        (-1, LABELS, None),
        (1.0, LABELS, None),
        (3, ("length",), 3.0),
        (0.1, ("length",), float(np.float32(0.1))),
        ("length", ("length",), None),
        (1e39, ("length",), None),
        (10**400, ("length",), None),
    ],
)
def test_a_label_is_a_name_an_index_or_a_value(label, labels, value):
    """Nothing is guessed: other spellings, places and sizes are refused."""
    if value is None:
        with pytest.raises(ValueError, match="label: found"):
            label_value(label, labels)
    else:
        assert label_value(label, labels) == value


def test_rows_and_settings_that_do_not_fit_are_named(model):
    """A label the model lacks by its row, a text without tokens, other objectives."""
    reader = model.with_labels(LABELS)

    def message(rows, **settings):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            fit(reader, Dataset(rows), config=dataclasses.replace(CONFIG, **settings), eval=ROWS)
        return str(caught.value)

    bad = [ROWS[0], {"text": "a", "label": "eggs"}]
    assert "training dataset, row 1: label: found 'eggs', expected one of ham" in message(bad)
    with pytest.raises(
        ValueError, match=r"one entry alone, 'ham', which names a value; classes are"
    ):
        label_value("ham", ("ham",))
    assert "row 0: the text has no tokens" in message([{"text": "", "label": 0}])
    assert "row 0: found keys ['prompt', 'completion'], expected 'label'" in message(
        [{"prompt": "a", "completion": "b"}]
    )
    assert "row 0 with 10" in message(ROWS.data, max_length=9)
    assert "training.dpo needs a language model" in message(ROWS.data, dpo=DpoLoss())
    assert "training.train_on is 'all'" in message(ROWS.data, train_on="all")
    assert "training.monitor 'eval_token_accuracy'" in message(
        ROWS.data, monitor="eval_token_accuracy"
    )
