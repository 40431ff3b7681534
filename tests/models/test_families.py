"""Every family of models against what transformers computed, stored in assets."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import safetensors.numpy

from modelops_jax.models import (
    CheckpointError,
    LoraConfig,
    generate,
    init_lora,
    load,
    merge_lora,
)

from .families import CONFIGS, NEW_TOKENS, excerpt, prompts, token_ids

ASSET = Path(__file__).parent / "assets" / "family_references.npz"
Folder = Callable[..., Path]


def stored(family: str, what: str) -> np.ndarray:
    """What transformers computed."""
    with np.load(ASSET) as arrays:
        return arrays[f"{family}.{what}"]


def relative_distance(path: Path, family: str) -> float:
    """Largest difference of logits, relative to the largest logit."""
    expected = stored(family, "logits")
    found = excerpt(np.asarray(load(path).logits(token_ids())))
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("family", CONFIGS)
def test_logits_equal_those_of_transformers(folder: Folder, family: str):
    """Within 1e-5 of the largest logit, over rows longer than any window."""
    assert np.abs(stored(family, "logits")).max() > 3
    assert relative_distance(folder(family), family) < 1e-5


# Compiling a loop takes seconds, so only the model with the most parts runs in the plain suite.
LOOPS = [
    family if family == "gemma3" else pytest.param(family, marks=pytest.mark.model)
    for family in CONFIGS
]


@pytest.mark.parametrize("family", LOOPS)
def test_greedy_continuations_equal_those_of_transformers(folder: Folder, family: str):
    """Ragged prompts with a shared beginning, continued from the cache, give the same ids."""
    model = load(folder(family))
    made = generate(
        model.params,
        model.config,
        prompts(),
        max_new_tokens=NEW_TOKENS,
        stop_ids=(),
        pad_id=0,
    )
    assert made == stored(family, "continuations").tolist()


@pytest.mark.model
@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("llama3", {"rope_scaling": None}),
        ("llama3", {"rope_theta": 10000.0}),
        ("llama-linear", {"rope_scaling": {"type": "linear", "factor": 2.0}}),
        ("qwen2", {"rope_theta": 10000.0}),
        ("qwen2", {"sliding_window": 8}),
        ("qwen2", {"max_window_layers": 2}),
        ("mistral", {"sliding_window": 7}),
        ("mistral", {"sliding_window": None}),
        ("gemma3", {"sliding_window": 7}),
        ("gemma3", {"sliding_window_pattern": 7}),
        ("gemma3", {"rope_theta": 10000.0}),
        ("gemma3", {"rope_local_base_freq": 50000.0}),
        ("gemma3", {"rope_scaling": None}),
        ("gemma2", {"sliding_window": 9}),
        ("gemma2", {"query_pre_attn_scalar": 12}),
        ("gemma2", {"attn_logit_softcapping": None}),
        ("gemma2", {"final_logit_softcapping": None}),
        ("gpt2", {"layer_norm_epsilon": 1e-5}),
        ("gpt2", {"n_head": 8}),
        ("gemma2", {"layer_types": ["full_attention", "sliding_attention", "full_attention"]}),
    ],
)
def test_another_constant_gives_other_logits(folder: Folder, family: str, changes: dict[str, Any]):
    """The comparison would notice every field that is not read."""
    assert relative_distance(folder(family, changes=changes), family) > 1e-2


@pytest.mark.parametrize("family", CONFIGS)
def test_every_tensor_counts(folder: Folder, family: str):
    """Without any one of them, be it a bias or a norm, the logits are others."""
    model = load(folder(family))
    before = np.asarray(model.logits(token_ids()))
    leaves, tree = jax.tree.flatten_with_path(model.params)
    for index, (path, leaf) in enumerate(leaves):
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        # Without rotation it adds the same to every score of a query, which softmax ignores.
        if name.endswith("k_proj.bias") and model.config.traits.learned_positions:
            continue
        is_one = "norm" in name and "bias" not in name and not model.config.traits.gemma
        neutral = jax.numpy.full_like(leaf, is_one)
        others = [neutral if index == at else other for at, (_, other) in enumerate(leaves)]
        params = jax.tree.unflatten(tree, others)
        after = np.asarray(dataclasses.replace(model, params=params).logits(token_ids()))
        assert np.abs(after - before).max() > 1e-2 * np.abs(before).max(), path


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("qwen2", "model.layers.1.self_attn.k_proj.bias"),
        ("qwen3", "model.layers.2.self_attn.q_norm.weight"),
        ("gemma3", "model.layers.6.self_attn.k_norm.weight"),
        ("gemma2", "model.layers.0.post_feedforward_layernorm.weight"),
    ],
)
def test_a_tensor_of_the_family_must_be_there(folder: Folder, family: str, name: str):
    """A bias or a norm that is missing is named, not taken as zero or one."""
    with pytest.raises(CheckpointError, match=rf"missing: {re.escape(name)}"):
        load(folder(family, without=name))


@pytest.mark.parametrize(
    ("family", "field", "value"),
    [
        ("qwen2", "layer_types", ["sliding_attention", "full_attention"]),
        ("qwen2", "layer_types", ["full_attention", "chunked_attention", "full_attention"]),
        ("qwen3", "layer_types", ["sliding_attention"] * 3),
        ("qwen2", "sliding_window", 7.5),
        ("qwen2", "sliding_window", 0),
        ("qwen2", "max_window_layers", None),
        ("mistral", "layer_types", ["full_attention"] * 3),
        ("gemma3", "attn_logit_softcapping", 50.0),
        ("gemma3", "sliding_window_pattern", 0),
        ("gemma3", "rope_local_base_freq", "big"),
        ("gemma2", "hidden_activation", "gelu"),
        ("gemma2", "use_bidirectional_attention", True),
        ("gemma2", "sliding_window", None),
        ("gemma2", "final_logit_softcapping", 0.0),
        ("gemma2", "query_pre_attn_scalar", 20.5),
        ("qwen3", "attention_bias", True),
        ("qwen3", "architectures", ["Qwen2ForCausalLM"]),
        ("gpt2", "activation_function", "relu"),
        ("gpt2", "scale_attn_by_inverse_layer_idx", True),
        ("gpt2", "n_positions", "many"),
    ],
)
def test_an_unsupported_field_of_a_family_is_named(
    folder: Folder, family: str, field: str, value: Any
):
    """What would change the computation is refused, with the file and the field."""
    with pytest.raises(CheckpointError, match=rf"config\.json.*{field}"):
        load(folder(family, changes={field: value}))


@pytest.mark.parametrize("family", CONFIGS)
def test_merged_adapters_leave_the_rest_alone(folder: Folder, family: str):
    """Biases and norms beside an adapted weight stay in the tree."""
    params = load(folder(family)).params
    merged = merge_lora(params, init_lora(params, LoraConfig(rank=2), 0))
    jax.tree.map(np.testing.assert_array_equal, merged, params)


@pytest.mark.parametrize("family", CONFIGS)
def test_a_saved_model_is_read_again(folder: Folder, tmp_path: Path, family: str):
    """save then load gives the same configuration and the same bits."""
    model = load(folder(family))
    model.save(tmp_path / "again")
    again = load(tmp_path / "again")
    assert again.config == model.config
    jax.tree.map(np.testing.assert_array_equal, again.params, model.params)


def test_learned_positions_count_from_zero(folder: Folder):
    """A table read one place too far gives other logits."""
    model = load(folder("gpt2"))
    before = np.asarray(model.logits(token_ids()))
    table = model.params["model"]["embed_positions"]["weight"]
    moved = {**model.params["model"], "embed_positions": {"weight": jax.numpy.roll(table, 1, 0)}}
    off_by_one = dataclasses.replace(model, params={**model.params, "model": moved})
    after = np.asarray(off_by_one.logits(token_ids()))
    assert np.abs(after - before).max() > 1e-2 * np.abs(before).max()


def test_the_first_gpt2_checkpoints_are_read(folder: Folder):
    """They lack the prefix of every name and hold the causal masks."""
    path = folder("gpt2")
    today = load(path)
    tensors = safetensors.numpy.load_file(path / "model.safetensors")
    old = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    old["h.0.attn.bias"] = np.tril(np.ones((1, 1, 64, 64), np.uint8))
    old["h.0.attn.masked_bias"] = np.asarray(-1e4, np.float32)
    safetensors.numpy.save_file(old, path / "model.safetensors")
    jax.tree.map(np.testing.assert_array_equal, load(path).params, today.params)


def test_the_absent_inner_width_of_gpt2_is_four_times_the_width(folder: Folder):
    """n_inner is null in the published files."""
    with pytest.raises(CheckpointError, match=r"up_proj\.bias' has shape \(48,\).*\(128,\)"):
        load(folder("gpt2", changes={"n_inner": None}))


def test_adapters_need_a_linear_map_that_the_model_has(folder: Folder):
    """GPT-2 has no gate."""
    params = load(folder("gpt2")).params
    with pytest.raises(ValueError, match=r"gate_proj match no linear map of this model, which has"):
        init_lora(params, LoraConfig(targets=("gate_proj",)), 0)
