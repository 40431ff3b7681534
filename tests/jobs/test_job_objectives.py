"""Jobs that learn labels or preferences instead of text."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from modelops_jax.data import Dataset, DatasetError
from modelops_jax.jobs import FineTuningJob
from modelops_jax.models import (
    DecoderConfig,
    LoraConfig,
    init_params,
    load,
    load_adapters,
    merge_lora,
)
from modelops_jax.training import DpoLoss, TrainingConfig

QUICK = TrainingConfig(batch_size=4, epochs=40, max_steps=20, learning_rate=2e-2, remat="none")
TEXTS = ["Win money", "Hello", "money money", "see you"]
ROWS = Dataset(
    {"text": text, "label": label} for text, label in zip(TEXTS, ["spam", "ham"] * 2, strict=True)
)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A model of 20,000 random weights, as a folder."""
    tiny = load("tiny")
    config = DecoderConfig(tiny.config.vocab_size, 16, 32, 2, 2, 1, 8, 256, 1e4, 1e-5, True)
    model = dataclasses.replace(tiny, config=config, params=init_params(config, 0, stddev=0.3))
    model.save(tmp_path / "base")
    return tmp_path / "base"


def test_a_job_learns_labels_and_tells_them(base: Path):
    """Found in the rows, kept in its folder; its model is a base for a job that names none."""
    config = dataclasses.replace(QUICK, lora=LoraConfig(rank=4))
    job = FineTuningJob(base, ROWS, config=config, labels="auto", eval_dataset=ROWS)
    job.run()
    assert job.wait() == "completed", job.error
    assert json.loads((job.folder / "request.json").read_bytes())["labels"] == ["ham", "spam"]
    assert job.metrics()[-1]["eval_accuracy"] == 1
    assert job.predict(TEXTS) == ["spam", "ham", "spam", "ham"]
    assert FineTuningJob.load(job.job_id).predict(TEXTS) == ["spam", "ham", "spam", "ham"]
    with pytest.raises(ValueError, match="max_new_tokens: found 3, expected None"):
        job.predict(TEXTS, max_new_tokens=3)
    reader, merged = load(base).with_labels(["ham", "spam"]), load(job.folder / "model")
    adapters = load_adapters(job.folder / "adapter", reader.config)
    jax.tree.map(np.testing.assert_array_equal, merge_lora(reader.params, adapters), merged.params)
    further = FineTuningJob(job.folder / "model", ROWS, config=config)
    further.run()
    assert further.wait() == "completed", further.error
    assert further.metrics()[0]["accuracy"] == 1, "the head was not kept"
    assert further.predict(TEXTS) == ["spam", "ham", "spam", "ham"]


@pytest.mark.model  # slow: two more programs
def test_a_job_learns_values_and_predicts_them(base: Path):
    """One name is that of a value."""
    rows = Dataset({"text": text, "label": len(text) / 10} for text in TEXTS)
    job = FineTuningJob(base, rows, config=QUICK, labels=["length"])
    job.run()
    assert job.wait() == "completed", job.error
    assert job.predict(TEXTS) == pytest.approx([row["label"] for row in rows], abs=0.05)


@pytest.mark.model  # slow: preferences are three programs
def test_a_job_learns_preferences_and_answers(base: Path):
    """Room for answers is that of the longest one in a pair."""
    pairs = Dataset({"prompt": text, "chosen": "ab", "rejected": "c"} for text in TEXTS)
    config = dataclasses.replace(QUICK, dpo=DpoLoss(), lora=LoraConfig(rank=2))
    job = FineTuningJob(base, pairs, config=config)
    job.run()
    assert job.wait() == "completed", job.error
    assert job.metrics()[-1]["rewards/accuracies"] == 1
    (answer,) = job.predict(["Hello"])
    assert isinstance(answer, str)
    assert len(answer) <= 6


def test_rows_and_labels_that_do_not_fit_are_refused_before_anything_is_written(
    base: Path, home: Path
):
    """Rows of another kind, numbers without names, and names that are none."""
    text = Dataset([{"prompt": "a", "completion": "b"}])
    preferring = dataclasses.replace(QUICK, dpo=DpoLoss())
    with pytest.raises(DatasetError, match=r"row 0: found keys .*, expected 'label'"):
        FineTuningJob(base, text, labels=["ham", "spam"]).run()
    with pytest.raises(DatasetError, match=r"row 0: found keys .*, expected 'prompt', 'chosen'"):
        FineTuningJob(base, text, config=preferring).run()
    with pytest.raises(DatasetError, match=r"row 0: found keys .*, expected 'prompt' and 'compl"):
        FineTuningJob(base, ROWS).run()
    numbers = Dataset([{"text": "a", "label": 1}])
    with pytest.raises(ValueError, match='"auto": dataset: row 0: the label is the number 1'):
        FineTuningJob(base, numbers, labels="auto").run()
    alike = Dataset([{"text": text, "label": "ham"} for text in "ab"])
    with pytest.raises(ValueError, match="dataset: every row has the label 'ham'; expected two cl"):
        FineTuningJob(base, alike, labels="auto").run()
    with pytest.raises(TypeError, match="labels: found 'spam', expected a list of names"):
        FineTuningJob(base, ROWS, labels="spam")
    with pytest.raises(ValueError, match=r"found \['a', 'a'\], expected names that all differ"):
        FineTuningJob(base, ROWS, labels=["a", "a"])
    with pytest.raises(ValueError, match=r"found \['', 'b'\], expected names .*, none empty"):
        FineTuningJob(base, ROWS, labels=["", "b"])
    with pytest.raises(ValueError, match=r"labels and config\.dpo are both given"):
        FineTuningJob(base, ROWS, config=preferring, labels=["a", "b"])
    assert list(home.iterdir()) == []
