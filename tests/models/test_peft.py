"""Adapter folders: what is written is read again, and what cannot be read is refused by name."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from modelops_jax.models import (
    Adapters,
    CheckpointError,
    LoraConfig,
    Model,
    init_lora,
    load,
    load_adapters,
    merge_lora,
    save_adapters,
)

KINDS = {
    "lora": LoraConfig(rank=3, alpha=7.5, targets=("q_proj", "down_proj"), dropout=0.1),
    "dora": LoraConfig(rank=2, alpha=8.0, dora=True),
    "rslora": LoraConfig(rank=4, alpha=8.0, rank_stabilized=True, targets=("*_proj",)),
}


def moved(model: Model, config: LoraConfig) -> Adapters:
    """Adapters that change something."""
    random = np.random.default_rng(0)
    weights = jax.tree.map(
        lambda leaf: leaf + jnp.asarray(0.1 * random.normal(size=leaf.shape), jnp.float32),
        init_lora(model.params, config, 0).weights,
    )
    return Adapters(weights, config)


@pytest.fixture(scope="module")
def model() -> Model:
    return load("tiny")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_again(model: Model, tmp_path: Path, kind: str):
    """Bit for bit, with rank, scale and dropout; merged on loading if asked."""
    adapters = moved(model, KINDS[kind])
    save_adapters(tmp_path / "adapter", adapters, model.config, base_model="tiny")
    again = load_adapters(tmp_path / "adapter", model.config)
    jax.tree.map(np.testing.assert_array_equal, again.weights, adapters.weights)
    assert again.config.names == adapters.config.names
    assert (again.scale, again.config.dropout) == (adapters.scale, adapters.config.dropout)
    merged = load("tiny", adapter=tmp_path / "adapter")
    expected = merge_lora(model.params, adapters)
    jax.tree.map(np.testing.assert_array_equal, merged.params, expected)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("peft_type", "IA3"),
        ("bias", "all"),
        ("lora_bias", True),
        ("modules_to_save", ["lm_head"]),
        ("rank_pattern", {"q_proj": 8}),
        ("alpha_pattern", {"q_proj": 8}),
        ("layers_to_transform", [0]),
        ("trainable_token_indices", [1]),
        ("init_lora_weights", "pissa"),
        ("something_of_the_future", {"x": 1}),
        ("r", 2.5),
        ("r", 0),
        ("lora_alpha", "8"),
        ("use_dora", None),
    ],
)
def test_what_is_not_supported_is_refused(model: Model, tmp_path: Path, field: str, value: Any):
    """With the file and the field."""
    save_adapters(tmp_path / "a", moved(model, KINDS["lora"]), model.config)
    path = tmp_path / "a" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    named = {"r": "(r|lora.rank)"}.get(field, field)
    with pytest.raises(CheckpointError, match=rf"adapter_config\.json: {named} "):
        load_adapters(tmp_path / "a", model.config)


def test_every_tensor_is_consumed(model: Model, tmp_path: Path):
    """Left over, missing, of another shape, none at all, a pickle."""
    save_adapters(tmp_path / "a", moved(model, KINDS["lora"]), model.config)
    path = tmp_path / "a" / "adapter_model.safetensors"
    whole = safetensors.numpy.load_file(path)
    name = "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight"
    other = {"base_model.model.lm_head.lora_A.weight": whole[name]}
    less = {key: tensor for key, tensor in whole.items() if key != name}
    for tensors, message in (
        (whole | other, r"not understood: base_model\.model\.lm_head"),
        (less, r"missing: base_model.*layers\.1\.self_attn\.q_proj\.lora_A"),
        (whole | {name: whole[name][:2]}, r"q_proj\.lora_A\.weight' has shape \(2, "),
        ({}, "there are none"),
    ):
        safetensors.numpy.save_file(tensors, path)
        with pytest.raises(CheckpointError, match=message):
            load_adapters(tmp_path / "a", model.config)
    path.rename(path.with_name("adapter_model.bin"))
    with pytest.raises(CheckpointError, match=r"adapter_model\.bin is a pickle"):
        load_adapters(tmp_path / "a", model.config)


def test_the_head_of_a_model_with_labels_lies_beside_its_adapters(model: Model, tmp_path: Path):
    """As PEFT keeps it; a base model without labels, or with others, is refused by name."""
    reader = model.with_labels(["ham", "spam"])
    alone = moved(reader, KINDS["lora"])
    adapters = Adapters(alone.weights, alone.config, {"weight": jnp.full((2, 128), 0.5)})
    save_adapters(tmp_path / "a", adapters, reader.config)
    settings = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    assert (settings["task_type"], settings["modules_to_save"]) == (
        "SEQ_CLS",
        ["classifier", "score"],
    )
    again = load_adapters(tmp_path / "a", reader.config)
    assert again.head is not None
    merged = merge_lora(reader.params, again)
    assert (merged["score"]["weight"] == 0.5).all()
    assert (reader.params["score"]["weight"] != 0.5).all()
    reader.save(tmp_path / "base")
    loaded = load(tmp_path / "base", adapter=tmp_path / "a")
    jax.tree.map(np.testing.assert_array_equal, loaded.params, merged)
    with pytest.raises(CheckpointError, match="holds a head for labels, and the base model has no"):
        load("tiny", adapter=tmp_path / "a")
    with pytest.raises(ValueError, match="the adapters have a head for labels, the parameters no"):
        merge_lora(model.params, adapters)
    other = model.with_labels(["a", "b", "c"]).config
    with pytest.raises(CheckpointError, match=r"\(2, 128\).*labels \(a, b, c\) ask for \(3, 128\)"):
        load_adapters(tmp_path / "a", other)
    save_adapters(tmp_path / "b", alone, reader.config)
    assert load_adapters(tmp_path / "b", reader.config).head is None
    path = tmp_path / "b" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"modules_to_save": ["score"]}))
    with pytest.raises(CheckpointError, match=r"missing: base_model\.model\.score\.weight"):
        load_adapters(tmp_path / "b", reader.config)


def test_what_a_folder_cannot_hold_is_refused(model: Model, tmp_path: Path):
    """Before anything is written or read."""
    changes = {"family": "gpt2", "num_kv_heads": 4, "rope_theta": None}
    config = dataclasses.replace(model.config, **changes)
    with pytest.raises(ValueError, match="save the merged model instead"):
        save_adapters(tmp_path / "a", moved(model, KINDS["lora"]), config)
    assert not (tmp_path / "a").exists()
    with pytest.raises(CheckpointError, match="save the merged model instead"):
        load_adapters(tmp_path / "a", config)
