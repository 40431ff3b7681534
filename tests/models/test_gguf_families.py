"""GGUF files of every architecture, written from the weights that transformers' logits check."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import jax
import numpy as np
import pytest
import safetensors.numpy

from modelops_jax.models import CheckpointError, Model, load
from modelops_jax.models._gguf_config import config_from_gguf

from .families import CONFIGS
from .gguf_writing import add_tokenizer, interleaved

Pair = Callable[..., tuple[Path, Path]]

# Family, and the fields that a GGUF file cannot say otherwise.
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama-linear": ("llama", {}),
    "mistral": ("llama", {"sliding_window": None}),
    "qwen2": ("qwen2", {"use_sliding_window": False}),
    "qwen3": ("qwen3", {}),
    "gemma2": ("gemma2", {"query_pre_attn_scalar": 12}),
    "gemma3": ("gemma3", {"query_pre_attn_scalar": 12}),
    "gpt2": ("gpt2", {}),
}


def add_sizes(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    """What llama.cpp's converter writes of a config.json."""
    if config["model_type"] == "gpt2":
        writer.add_block_count(config["n_layer"])
        writer.add_context_length(config["n_positions"])
        writer.add_embedding_length(config["n_embd"])
        writer.add_feed_forward_length(config["n_inner"])
        writer.add_head_count(config["n_head"])
        writer.add_layer_norm_eps(config["layer_norm_epsilon"])
        return
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    if "head_dim" in config:
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])
    if scaling := config.get("rope_scaling"):
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(scaling["factor"])
    if config["model_type"].startswith("gemma"):
        writer.add_sliding_window(config["sliding_window"])
    if config["model_type"] == "gemma2":
        writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    if "rope_local_base_freq" in config:
        key = gguf.Keys.Rope.FREQ_BASE_SWA.format(arch=writer.arch)
        writer.add_float32(key, config["rope_local_base_freq"])


@pytest.fixture
def pair(folder: Callable[..., Path], tmp_path: Path) -> Pair:
    """A family's folder, and the GGUF file that the converter would make of it."""

    def write(
        family: str, *, extra: dict[str, Any] | None = None, without: str | None = None
    ) -> tuple[Path, Path]:
        architecture, changes = FAMILIES[family]
        config = {**CONFIGS[family], **changes}
        source = folder(family, changes=changes)
        path = tmp_path / f"{family}.gguf"
        writer = gguf.GGUFWriter(path, architecture)
        add_sizes(writer, config)
        add_tokenizer(writer, {})
        for key, value in (extra or {}).items():
            writer.add_uint32(f"{architecture}.{key}", value)
        kind = next(k for k, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
        # The gguf package's own table of which tensor is called what.
        names = gguf.get_tensor_name_map(kind, 8)
        for name, tensor in safetensors.numpy.load_file(source / "model.safetensors").items():
            if name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
                tensor = tensor.T
            if architecture.startswith("gemma") and name.endswith("norm.weight"):
                tensor = tensor + 1
            if architecture == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
                tensor = interleaved(tensor, config["head_dim"])
            target = names.get_name(name, try_suffixes=(".weight", ".bias"))
            assert target is not None, name
            if name != without:
                writer.add_tensor(target, np.ascontiguousarray(tensor))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return source, path

    return write


def assert_same(model: Model, expected: Model, *, exact: bool) -> None:
    """The same parameters and configuration; numbers of the metadata are float32."""
    config = model.config
    assert config.rms_norm_eps == np.float32(expected.config.rms_norm_eps)
    assert config.attention_scale == expected.config.attention_scale
    same = {"rms_norm_eps": config.rms_norm_eps, "query_pre_attn_scalar": None}
    assert config == dataclasses.replace(expected.config, **same)
    # Gemma's norms were stored as 1 + weight, which rounds.
    atol = 0.0 if exact else 2e-7
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=atol),
        model.params,
        expected.params,
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_a_gguf_file_is_the_folder_it_was_made_from(pair: Pair, family: str):
    """Every parameter and every constant, so that the logits are the folder's too."""
    source, path = pair(family)
    expected = load(source)
    if family == "mistral":  # without a window it is a Llama, and llama.cpp calls it one
        config = dataclasses.replace(expected.config, family="llama")
        expected = dataclasses.replace(expected, config=config)
    assert_same(load(path), expected, exact=not family.startswith("gemma"))


@pytest.mark.parametrize(
    ("family", "missing", "named"),
    [
        ("qwen2", "model.layers.1.self_attn.k_proj.bias", r"1\.self_attn\.k_proj\.bias"),
        ("qwen3", "model.layers.2.self_attn.q_norm.weight", r"2\.self_attn\.q_norm\.weight"),
        ("gemma2", "model.layers.0.post_feedforward_layernorm.weight", r"0\.post_feedforward_l"),
        ("gpt2", "transformer.h.0.attn.c_attn.bias", r"0\.self_attn\.k_proj\.bias"),
        ("gpt2", "transformer.wpe.weight", r"model\.embed_positions\.weight"),
    ],
)
def test_a_tensor_of_the_family_must_be_there(pair: Pair, family: str, missing: str, named: str):
    """A bias or a norm that is missing is named, not taken as zero or one."""
    with pytest.raises(CheckpointError, match=f"missing: .*{named}"):
        load(pair(family, without=missing)[1])


@pytest.mark.parametrize(
    ("family", "key", "message"),
    [
        ("qwen2", "attention.sliding_window", r"qwen2\.attention\.sliding_window is 7; supported"),
        ("mistral", "attention.sliding_window", r"not understood: llama\.attention\.sliding_wi"),
        ("gpt2", "rope.freq_base", r"not understood: gpt2\.rope\.freq_base is 7"),
        ("qwen3", "attention.scale", r"not understood: qwen3\.attention\.scale is 7"),
    ],
)
def test_a_key_that_is_not_understood_is_named(pair: Pair, family: str, key: str, message: str):
    """It may change the computation."""
    with pytest.raises(CheckpointError, match=message):
        load(pair(family, extra={key: 7})[1])


def test_the_largest_gemma_has_another_scale(pair: Pair):
    """Its scores are divided by the root of width / heads, which no key says."""
    _, path = pair("gemma2")
    reader = gguf.GGUFReader(path)
    metadata = {key: field.contents() for key, field in reader.fields.items()}
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    assert config_from_gguf(metadata, tensors, "x").attention_scale == 12**-0.5
    large = config_from_gguf(metadata | {"gemma2.block_count": 46}, tensors, "x")
    assert large.attention_scale == (32 // 4) ** -0.5
    assert large.local_layers[:3] == (True, False, True)
    pattern = {"gemma2.attention.sliding_window_pattern": [True, True, False]}
    assert config_from_gguf(metadata | pattern, tensors, "x").local_layers == (True, True, False)
    with pytest.raises(CheckpointError, match="local_layers"):
        config_from_gguf(
            metadata | {"gemma2.attention.sliding_window_pattern": [True]}, tensors, "x"
        )
    without = {key: value for key, value in metadata.items() if "softcap" not in key}
    assert config_from_gguf(without, tensors, "x").attn_logit_softcapping == 50.0
