"""Models that read a text: the head, its place, its folder, and what it refuses."""

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.models import (
    CheckpointError,
    DecoderConfig,
    Model,
    forward,
    init_params,
    load,
    param_shapes,
)

TEXTS = ["Win money now", "a", "The minutes of our meeting on Monday are attached"]


@pytest.fixture(scope="module")
def trunk() -> Model:
    """The preset's tokenizer on few random weights, with an output head of its own."""
    tiny = load("tiny")
    config = DecoderConfig(tiny.config.vocab_size, 16, 32, 2, 2, 1, 8, 64, 1e4, 1e-5, False)
    return dataclasses.replace(tiny, config=config, params=init_params(config, 0, stddev=0.3))


@pytest.fixture(scope="module")
def reader(trunk: Model) -> Model:
    """Three classes."""
    return trunk.with_labels(["ham", "spam", "other"], seed=1)


def test_the_head_reads_the_state_of_the_last_token(reader: Model):
    """Each text alone and unpadded, by the definition; among others, padded, it is the same."""
    params, score = reader.params, np.asarray(reader.params["score"]["weight"], np.float64)
    expected = []
    for text in TEXTS:
        ids = jnp.asarray([reader.tokenizer.encode(text)])
        logits = np.asarray(forward(params, reader.config, ids)[0][0, -1], np.float64) @ score.T
        odds = np.exp(logits - logits.max())
        expected.append(odds / odds.sum())
    np.testing.assert_allclose(reader.predict_proba(TEXTS), expected, rtol=0, atol=1e-6)
    best = [reader.config.labels[index] for index in np.argmax(expected, axis=1)]
    assert reader.predict(TEXTS) == best


def test_one_label_is_a_value(reader: Model):
    """The head's first row alone gives the first logit: differences to it are log odds."""
    score = reader.params["score"]["weight"]
    values = [
        dataclasses.replace(
            reader,
            config=dataclasses.replace(reader.config, labels=("price",)),
            params={**reader.params, "score": {"weight": score[row : row + 1]}},
        ).predict(TEXTS)
        for row in (0, 1)
    ]
    odds = np.log(reader.predict_proba(TEXTS))
    np.testing.assert_allclose(
        np.subtract(np.asarray(values[0]), np.asarray(values[1])),
        odds[:, 0] - odds[:, 1],
        rtol=0,
        atol=1e-5,
    )


def test_with_labels_keeps_the_trunk(trunk: Model, reader: Model):
    """Only the head is new; the output head of the language model is gone."""
    assert reader.params["model"] is trunk.params["model"]
    shapes = jax.tree.map(lambda leaf: leaf.shape, reader.params)
    assert shapes == param_shapes(reader.config)
    assert reader.params["score"]["weight"].std() == pytest.approx(0.02, rel=0.3)
    other = trunk.with_labels(["ham", "spam", "other"], seed=2)
    assert (other.params["score"]["weight"] != reader.params["score"]["weight"]).all()


def test_the_folder_comes_back(reader: Model, tmp_path: Path):
    """Weights, labels in their order, and what transformers needs to know."""
    reader.save(tmp_path / "reader")
    again = load(tmp_path / "reader")
    assert again.config == reader.config
    jax.tree.map(np.testing.assert_array_equal, again.params, reader.params)
    fields = json.loads((tmp_path / "reader" / "config.json").read_text("utf-8"))
    assert fields["architectures"] == ["LlamaForSequenceClassification"]
    assert fields["id2label"] == {"0": "ham", "1": "spam", "2": "other"}
    assert fields["problem_type"] == "single_label_classification"
    assert fields["pad_token_id"] == reader.tokenizer.pad_id


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id2label": {"0": "a", "2": "b"}}, "id2label has the indices 0, 2; expected 0 to 1"),
        ({"problem_type": "multi_label_classification"}, "problem_type is 'multi_label_class"),
        ({"problem_type": "regression"}, "supported for 3 label"),
        ({"id2label": None}, "'score.weight' has shape"),
        ({"architectures": ["LlamaForTokenClassification"]}, "architectures is"),
    ],
)
def test_a_folder_of_another_head_is_refused(reader: Model, tmp_path: Path, change, message):
    """The message names the field."""
    reader.save(tmp_path / "reader")
    path = tmp_path / "reader" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path / "reader")


def test_what_a_model_cannot_do_is_said(trunk: Model, reader: Model):
    """Readers do not write, writers do not read, and texts are strings of a length."""
    for call in (
        lambda: reader.logits([[1]]),
        lambda: reader.generate(["a"], max_new_tokens=1),
        lambda: reader.score(["a"], ["b"]),
    ):
        with pytest.raises(TypeError, match=r"tiny reads texts \(labels: ham, spam, other\)"):
            call()
    with pytest.raises(TypeError, match=r"tiny is a language model; model\.with_labels"):
        trunk.predict(["a"])
    with pytest.raises(TypeError, match=r"tiny predicts a value \(price\), no classes"):
        trunk.with_labels(["price"]).predict_proba(["a"])
    with pytest.raises(TypeError, match=r"texts\[1\] is a int"):
        reader.predict(["a", 2])
    with pytest.raises(ValueError, match=r"texts\[1\] has 0 tokens; expected 1 to 64"):
        reader.predict(["a", ""])
    with pytest.raises(ValueError, match=r"texts\[0\] has 65 tokens"):
        reader.predict(["a" * 65])
    with pytest.raises(ValueError, match="labels is empty"):
        trunk.with_labels([])
    with pytest.raises(ValueError, match="has a label twice"):
        trunk.with_labels(["a", "a"])
    with pytest.raises(ValueError, match=r"has a label without a name: \('', 'b'\)"):
        trunk.with_labels(["", "b"])
