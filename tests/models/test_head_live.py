"""Models with a head for labels against transformers itself, family by family."""

import copy
from pathlib import Path

import numpy as np
import pytest

from modelops_jax.models import load
from modelops_jax.models._presets import byte_tokenizer

from .families import CONFIGS, draw

TEXTS = ["Win money now, today", "a", "The minutes are attached, see there!"]

pytestmark = [
    pytest.mark.model,
    # transformers warns about its own internals.
    pytest.mark.filterwarnings("default"),
]


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize("labels", [1, 3])
def test_logits_equal_those_of_transformers(family: str, labels: int, tmp_path: Path):
    """Of padded rows, from its folder and back from ours; shifted by one token they are others."""
    import torch
    import transformers

    fields = CONFIGS[family]
    tokenizer = byte_tokenizer()
    config = transformers.AutoConfig.for_model(
        **copy.deepcopy(fields), num_labels=labels, pad_token_id=tokenizer.pad_id
    )
    theirs = transformers.AutoModelForSequenceClassification.from_config(
        config, attn_implementation="eager"
    )
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            drawn = draw(name, tuple(weight.shape), fields["model_type"])
            weight.copy_(torch.from_numpy(drawn))
    rows = [tokenizer.encode(text) for text in TEXTS]
    length = max(map(len, rows))
    ids = torch.tensor([row + [tokenizer.pad_id] * (length - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])

    def logits(model) -> np.ndarray:
        with torch.no_grad():
            return model.eval()(ids, attention_mask=mask).logits.numpy()

    expected = logits(theirs)
    theirs.save_pretrained(tmp_path / "theirs")
    tokenizer.save(tmp_path / "theirs")
    ours = load(tmp_path / "theirs")
    assert len(ours.config.labels) == labels
    found = ours._read(TEXTS)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * scale)
    assert np.abs(ours._read([text[:-1] or "b" for text in TEXTS]) - expected).max() > 1e-2 * scale
    ours.save(tmp_path / "ours")
    back = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "ours", attn_implementation="eager"
    )
    assert back.config.num_labels == labels
    np.testing.assert_allclose(logits(back), expected, rtol=0, atol=1e-5 * scale)
