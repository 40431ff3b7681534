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
    can_save_adapters,
    init_lora,
    init_params,
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


GPT2_KINDS = {
    "lora": LoraConfig(rank=2, alpha=7.5),
    "some": LoraConfig(rank=2, targets=("q_proj", "v_proj", "down_proj"), rank_stabilized=True),
    "others": LoraConfig(rank=2, targets=("o_proj", "up_proj")),
    "dora": LoraConfig(rank=2, dora=True),
}


@pytest.fixture(scope="module")
def gpt2(model: Model) -> Model:
    """A small GPT-2 without a bias to its name."""
    changes = {"family": "gpt2", "num_kv_heads": 2, "rope_theta": None}
    sizes = {"hidden_size": 8, "intermediate_size": 12, "num_layers": 2, "num_heads": 2}
    config = dataclasses.replace(model.config, head_dim=4, **sizes, **changes)
    return dataclasses.replace(model, config=config, params=init_params(config, 0, stddev=0.3))


@pytest.mark.parametrize("kind", GPT2_KINDS)
def test_three_maps_of_a_gpt2_are_one_for_peft(gpt2: Model, tmp_path: Path, kind: str):
    """Of three times the rank, and read as the same three again; those without are not made up."""
    adapters = moved(gpt2, GPT2_KINDS[kind])
    save_adapters(tmp_path / "a", adapters, gpt2.config)
    again = load_adapters(tmp_path / "a", gpt2.config)
    jax.tree.map(np.testing.assert_array_equal, again.weights, adapters.weights)
    assert again.scale == adapters.scale
    settings = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    assert settings["fan_in_fan_out"]
    tensors = safetensors.numpy.load_file(tmp_path / "a" / "adapter_model.safetensors")
    fused = "base_model.model.transformer.h.1.attn.c_attn.lora_"
    if kind == "others":
        assert settings["target_modules"] == ["attn.c_proj", "mlp.c_fc"]
        assert f"{fused}A.weight" not in tensors
    else:
        assert tensors[f"{fused}A.weight"].shape == (6, 8)
        assert tensors[f"{fused}B.weight"].shape == (24, 6)
        alphas = settings["alpha_pattern"]["attn.c_attn"] / GPT2_KINDS[kind].alpha
        assert alphas == (3**0.5 if kind == "some" else 3)


def test_one_map_of_peft_is_three_with_the_same_a(gpt2: Model, tmp_path: Path):
    """And is written as it was, of the same rank; what PEFT trained on from ours is refused."""
    adapters = moved(gpt2, GPT2_KINDS["lora"])
    attention = adapters.weights["self_attn"]
    for name in ("k_proj", "v_proj"):
        attention[name]["lora_A"] = attention["q_proj"]["lora_A"]
    save_adapters(tmp_path / "a", adapters, gpt2.config)
    path = tmp_path / "a" / "adapter_model.safetensors"
    name = "base_model.model.transformer.h.0.attn.c_attn.lora_B.weight"
    assert safetensors.numpy.load_file(path)[name].shape == (24, 2)
    again = load_adapters(tmp_path / "a", gpt2.config)
    jax.tree.map(np.testing.assert_array_equal, again.weights, adapters.weights)
    save_adapters(tmp_path / "b", moved(gpt2, GPT2_KINDS["lora"]), gpt2.config)
    path = tmp_path / "b" / "adapter_model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    tensors[name][0, 5] = 1e-9
    safetensors.numpy.save_file(tensors, path)
    with pytest.raises(CheckpointError, match=r"attn\.c_attn mix.* only the merged model"):
        load_adapters(tmp_path / "b", gpt2.config)
    settings = tmp_path / "b" / "adapter_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"alpha_pattern": {}}))
    with pytest.raises(CheckpointError, match=r"alpha_pattern is \{\}; supported: .*22\.5"):
        load_adapters(tmp_path / "b", gpt2.config)


def test_what_a_folder_cannot_hold_is_refused(gpt2: Model, tmp_path: Path):
    """Before anything is written: lengths of rows that are in the base model alone."""
    adapters = moved(gpt2, LoraConfig(rank=2, dora=True, targets=("q_proj", "down_proj")))
    assert not can_save_adapters(adapters, gpt2.config)
    with pytest.raises(ValueError, match="save the merged model instead"):
        save_adapters(tmp_path / "a", adapters, gpt2.config)
    assert not (tmp_path / "a").exists()
