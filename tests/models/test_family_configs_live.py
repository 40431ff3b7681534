"""What a config.json says, against how transformers reads it."""

import json
from pathlib import Path
from typing import Any

import pytest

from modelops_jax.models._hf_config import read_config

pytestmark = [
    pytest.mark.model,
    # transformers warns about its own internals.
    pytest.mark.filterwarnings("default"),
]

BARE = {
    "vocab_size": 260,
    "hidden_size": 64,
    "intermediate_size": 48,
    "num_hidden_layers": 30,
    "num_attention_heads": 32,
}
# As the published models have them.
PUBLISHED: dict[str, dict[str, Any]] = {
    "Llama 3.2 1B": {
        "model_type": "llama",
        "attention_bias": False,
        "head_dim": 64,
        "hidden_act": "silu",
        "max_position_embeddings": 131072,
        "mlp_bias": False,
        "num_key_value_heads": 8,
        "pretraining_tp": 1,
        "rms_norm_eps": 1e-05,
        "rope_scaling": {
            "factor": 32.0,
            "high_freq_factor": 4.0,
            "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192,
            "rope_type": "llama3",
        },
        "rope_theta": 500000.0,
        "tie_word_embeddings": True,
    },
    "Mistral 7B 0.1": {
        "model_type": "mistral",
        "hidden_act": "silu",
        "max_position_embeddings": 32768,
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-05,
        "rope_theta": 10000.0,
        "sliding_window": 4096,
        "tie_word_embeddings": False,
    },
    "Mistral 7B 0.3": {
        "model_type": "mistral",
        "max_position_embeddings": 32768,
        "num_key_value_heads": 8,
        "rope_theta": 1000000.0,
        "sliding_window": None,
    },
    "Qwen 2.5 7B": {
        "model_type": "qwen2",
        "hidden_act": "silu",
        "max_position_embeddings": 32768,
        "max_window_layers": 28,
        "num_key_value_heads": 4,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "sliding_window": 131072,
        "tie_word_embeddings": False,
        "use_sliding_window": False,
        "use_mrope": False,
    },
    "Qwen 3 0.6B": {
        "model_type": "qwen3",
        "attention_bias": False,
        "head_dim": 128,
        "max_position_embeddings": 40960,
        "max_window_layers": 28,
        "num_key_value_heads": 8,
        "rope_scaling": None,
        "rope_theta": 1000000,
        "sliding_window": None,
        "tie_word_embeddings": True,
        "use_sliding_window": False,
    },
    "Gemma 2 2B": {
        "model_type": "gemma2",
        "attention_bias": False,
        "attn_logit_softcapping": 50.0,
        "cache_implementation": "hybrid",
        "final_logit_softcapping": 30.0,
        "head_dim": 256,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh",
        "max_position_embeddings": 8192,
        "num_key_value_heads": 4,
        "query_pre_attn_scalar": 256,
        "rms_norm_eps": 1e-06,
        "rope_theta": 10000.0,
        "sliding_window": 4096,
    },
    "Gemma 3 1B": {
        "model_type": "gemma3_text",
        "attn_logit_softcapping": None,
        "cache_implementation": "hybrid",
        "final_logit_softcapping": None,
        "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh",
        "max_position_embeddings": 32768,
        "num_key_value_heads": 1,
        "query_pre_attn_scalar": 256,
        "rope_local_base_freq": 10000,
        "rope_scaling": None,
        "rope_theta": 1000000,
        "sliding_window": 512,
        "sliding_window_pattern": 6,
    },
}
GPT_2: dict[str, dict[str, Any]] = {
    "GPT-2": {
        "activation_function": "gelu_new",
        "architectures": ["GPT2LMHeadModel"],
        "layer_norm_epsilon": 1e-05,
        "n_ctx": 1024,
        "n_embd": 768,
        "n_head": 12,
        "n_layer": 12,
        "n_positions": 1024,
        "vocab_size": 50257,
    },
    "GPT-2 Medium": {"n_embd": 1024, "n_head": 16, "n_layer": 24, "n_inner": None},
    "defaults": {},
}
FAMILIES = {
    fields["model_type"]: {"model_type": fields["model_type"]} for fields in PUBLISHED.values()
}


@pytest.mark.parametrize("name", [*FAMILIES, *PUBLISHED])
def test_every_constant_is_the_one_transformers_reads(tmp_path: Path, name: str):
    """Of published models, and of files that leave every constant to its default."""
    import transformers

    fields = {**BARE, **(FAMILIES | PUBLISHED)[name]}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    theirs: Any = transformers.AutoConfig.from_pretrained(tmp_path)
    ours = read_config(tmp_path)
    assert ours.num_kv_heads == theirs.num_key_value_heads
    assert ours.head_dim == (getattr(theirs, "head_dim", None) or 64 // 32)
    assert ours.max_position == theirs.max_position_embeddings
    assert ours.rms_norm_eps == theirs.rms_norm_eps
    assert ours.tie_word_embeddings == theirs.tie_word_embeddings
    window = getattr(theirs, "sliding_window", None)
    kinds = getattr(theirs, "layer_types", ["sliding_attention" if window else ""] * 30)
    local = tuple(kind == "sliding_attention" for kind in kinds)
    assert ours.sliding_window == (window if any(local) else None)
    assert (ours.local_layers or (ours.sliding_window is not None,) * 30) == local
    for field in ("query_pre_attn_scalar", "final_logit_softcapping", "attn_logit_softcapping"):
        assert getattr(ours, field) == getattr(theirs, field, None)
    rope = theirs.rope_parameters
    assert ours.rope_theta == rope.get("full_attention", rope)["rope_theta"]
    if "sliding_attention" in rope:
        assert ours.local_rope_theta == rope["sliding_attention"]["rope_theta"]
    assert (ours.rope_scaling is None) == (rope.get("rope_type", "default") == "default")


@pytest.mark.parametrize("name", GPT_2)
def test_every_constant_of_gpt2_is_the_one_transformers_reads(tmp_path: Path, name: str):
    """GPT-2 has its own names for them."""
    import transformers

    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2", **GPT_2[name]}))
    theirs: Any = transformers.AutoConfig.from_pretrained(tmp_path)
    ours = read_config(tmp_path)
    assert ours.vocab_size == theirs.vocab_size
    assert ours.hidden_size == theirs.n_embd
    assert ours.intermediate_size == (theirs.n_inner or 4 * theirs.n_embd)
    assert (ours.num_layers, ours.num_heads) == (theirs.n_layer, theirs.n_head)
    assert ours.num_kv_heads == theirs.n_head
    assert ours.head_dim == theirs.n_embd // theirs.n_head
    assert ours.max_position == theirs.n_positions
    assert ours.rms_norm_eps == theirs.layer_norm_epsilon
    assert ours.tie_word_embeddings == theirs.tie_word_embeddings
    assert ours.rope_theta is None
