"""Runs on labels and on preferences: stopped and gone on with, they are those nobody stopped."""

import dataclasses

import jax
import numpy as np
import pytest

from modelops_jax.data import Dataset
from modelops_jax.models import CheckpointError, LoraConfig
from modelops_jax.training import DpoLoss, TrainingConfig, _fit, fit

CONFIG = TrainingConfig(
    batch_size=4,
    learning_rate=1e-2,
    max_steps=4,
    epochs=4,
    lora=LoraConfig(rank=2, dropout=0.3),
)
LABELLED = Dataset([{"text": "ab" * (1 + n % 3), "label": n % 2} for n in range(7)])
PAIRS = Dataset(
    [
        {"prompt": "Say", "chosen": "ab" * (1 + n % 3), "rejected": "c" * (1 + n % 2)}
        for n in range(7)
    ]
)


def timeless(history):
    """Records without what the clock says."""
    timed = {"seconds", "tokens_per_second"}
    return [{k: v for k, v in record.items() if k not in timed} for record in history]


@pytest.mark.parametrize("kind", ["labels", "preferences"])
def test_a_resumed_run_is_the_uninterrupted_one(model, tmp_path, monkeypatch, kind):
    """Weights, head, history and reference log-likelihoods, to the byte; other rows are refused."""
    if kind == "labels":
        model, rows, config = model.with_labels(["ham", "spam"]), LABELLED, CONFIG
    else:
        rows, config = PAIRS, dataclasses.replace(CONFIG, dpo=DpoLoss(beta=0.3))
    references = []

    def watched(*arguments, **options):
        references.append(reference(*arguments, **options))
        return references[-1]

    reference = _fit.reference_values
    monkeypatch.setattr(_fit, "reference_values", watched)
    run = {"config": config, "progress": "off"}
    whole = fit(model, rows, folder=tmp_path / "whole", **run)
    asked = iter([False, False, True])
    half = fit(model, rows, folder=tmp_path / "half", stop=asked.__next__, **run)
    assert (half.stopped, half.step) == (True, 2)
    rest = fit(model, rows, folder=tmp_path / "half", resume=True, **run)
    jax.tree.map(np.testing.assert_array_equal, rest.model.params, whole.model.params)
    assert whole.adapters is not None
    assert rest.adapters is not None
    jax.tree.map(np.testing.assert_array_equal, rest.adapters.weights, whole.adapters.weights)
    assert timeless(rest.history) == timeless(whole.history)
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), half.model.params, whole.model.params)
    assert any(jax.tree.leaves(moved)), "the second half did nothing"
    if kind == "labels":
        assert moved["score"]["weight"]
    else:
        assert len(references) == 3
        assert len({values.tobytes() for values in references}) == 1
    flipped = {"label": 1} if kind == "labels" else {"chosen": "ba"}
    other = Dataset([rows[0] | flipped, *rows.data[1:]])
    with pytest.raises(CheckpointError, match="other training rows"):
        fit(model, other, folder=tmp_path / "half", resume=True, **run)
