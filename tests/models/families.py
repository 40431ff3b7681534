"""Small models of every family, as configurations and a recipe for their weights."""

import zlib
from typing import Any

import numpy as np

_SIZES = {
    "vocab_size": 260,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 50000.0,
    "tie_word_embeddings": False,
}
# head_dim is not hidden_size / num_attention_heads where a family allows it.
CONFIGS: dict[str, dict[str, Any]] = {
    "llama3": {
        **_SIZES,
        "model_type": "llama",
        "head_dim": 12,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 4.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        },
    },
    "qwen2": {
        **_SIZES,
        "model_type": "qwen2",
        "num_attention_heads": 8,
        "use_sliding_window": True,
        "sliding_window": 7,
        "max_window_layers": 1,
    },
    "gemma2": {
        **_SIZES,
        "model_type": "gemma2",
        "head_dim": 12,
        "sliding_window": 8,
        "query_pre_attn_scalar": 20,
        "attn_logit_softcapping": 5.0,
        "final_logit_softcapping": 10.0,
        "tie_word_embeddings": True,
    },
    "gemma3": {
        **_SIZES,
        "model_type": "gemma3_text",
        "num_hidden_layers": 7,
        "head_dim": 12,
        "sliding_window": 8,
        "rope_local_base_freq": 100.0,
        "rope_scaling": {"rope_type": "linear", "factor": 4.0},
        "query_pre_attn_scalar": 20,
        "tie_word_embeddings": True,
    },
    "mistral": {**_SIZES, "model_type": "mistral", "head_dim": 12, "sliding_window": 8},
    "qwen3": {
        **_SIZES,
        "model_type": "qwen3",
        "head_dim": 12,
        "tie_word_embeddings": True,
    },
    "llama-linear": {
        **_SIZES,
        "model_type": "llama",
        "head_dim": 12,
        "rope_scaling": {"type": "linear", "factor": 2.5},
    },
    "gpt2": {
        "model_type": "gpt2",
        "vocab_size": 260,
        "n_embd": 32,
        "n_inner": 48,
        "n_layer": 3,
        "n_head": 4,
        "n_positions": 64,
        "layer_norm_epsilon": 0.1,
    },
}
NEW_TOKENS = 8


def draw(name: str, shape: tuple[int, ...], model_type: str) -> np.ndarray:
    """The weights of a checkpoint's tensor, the same wherever they are drawn.

    Large: at the usual 0.02 attention is flat and hides a wrong rotation.
    """
    random = np.random.Generator(np.random.Philox(zlib.crc32(name.encode())))
    is_norm = ("norm" in name or "ln_" in name) and name.endswith("weight")
    centre = 1.0 if is_norm and not model_type.startswith("gemma") else 0.0
    return (centre + 0.3 * random.standard_normal(shape)).astype(np.float32)


def prompts() -> list[list[int]]:
    """Three prompts that begin alike and are longer than any window."""
    random = np.random.default_rng(3)
    head = random.integers(0, 256, 9).tolist()
    return [head + random.integers(0, 256, length).tolist() for length in (11, 4, 18)]


def token_ids() -> np.ndarray:
    """Two rows that are longer than any window."""
    return np.random.default_rng(4).integers(0, 260, (2, 40))


def excerpt(logits: np.ndarray) -> np.ndarray:
    """The part of the logits that is stored: every fifth position, every third token."""
    return logits[:, 4::5, ::3]
