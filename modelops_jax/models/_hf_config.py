"""`config.json` of a Hugging Face folder, to and from `DecoderConfig`."""

from pathlib import Path
from typing import Any

import numpy as np

from ._config import DecoderConfig
from ._errors import CheckpointError
from ._families import FAMILIES
from ._hf_gpt2 import FIELDS as GPT2_FIELDS
from ._hf_labels import label_fields, read_labels
from ._hf_rope import read_local_rope, read_rope, rope_scaling_fields
from ._hf_windows import read_windows, window_fields
from ._json_file import read_json, write_json

# Fields that change the computation, and the values that leave it as it is here. None stands for
# an absent field too.
_ONLY: dict[str, tuple[Any, ...]] = {
    "attention_bias": (None, False),
    "mlp_bias": (None, False),
    "partial_rotary_factor": (None, 1.0),
    # transformers lets it override what rope_scaling says.
    "original_max_position_embeddings": (None,),
    "quantization_config": (None,),
}
_SILU: dict[str, tuple[Any, ...]] = {"hidden_act": (None, "silu")}
# Gemma has two fields for it, of which transformers reads the second.
_GELU: dict[str, tuple[Any, ...]] = {
    "hidden_act": (None, "gelu_pytorch_tanh"),
    "hidden_activation": (None, "gelu_pytorch_tanh"),
    "use_bidirectional_attention": (None, False),
}
_ONLY_IN: dict[str, dict[str, tuple[Any, ...]]] = {
    "llama": {**_SILU, "sliding_window": (None,), "layer_types": (None,)},
    "mistral": {**_SILU, "layer_types": (None,)},
    "qwen2": _SILU,
    "qwen3": _SILU,
    "gemma2": _GELU,
    # transformers has the field but does not use it.
    "gemma3_text": {**_GELU, "attn_logit_softcapping": (None,)},
    "gpt2": {
        "activation_function": (None, "gelu_pytorch_tanh", "gelu_new"),
        "scale_attn_weights": (None, True),
        "scale_attn_by_inverse_layer_idx": (None, False),
        "add_cross_attention": (None, False),
    },
}
_SCALES = {
    "query_pre_attn_scalar": int,
    "attn_logit_softcapping": float,
    "final_logit_softcapping": float,
}
# What transformers takes for an absent field.
_DEFAULTS: dict[str, Any] = {
    "num_key_value_heads": None,
    "head_dim": None,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
}
_QWEN: dict[str, Any] = {
    "max_position_embeddings": 32768,
    "num_key_value_heads": 32,
    "use_sliding_window": False,
    "sliding_window": 4096,
    "max_window_layers": 28,
    "layer_types": None,
}
_GEMMA: dict[str, Any] = {
    "num_key_value_heads": 4,
    "head_dim": 256,
    "tie_word_embeddings": True,
    "sliding_window": 4096,
    "layer_types": None,
    "query_pre_attn_scalar": 256,
}
_DEFAULTS_IN: dict[str, dict[str, Any]] = {
    "llama": {"max_position_embeddings": 2048},
    "mistral": {
        "max_position_embeddings": 131072,
        "num_key_value_heads": 8,
        "sliding_window": 4096,
    },
    "gemma2": {
        **_GEMMA,
        "max_position_embeddings": 8192,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
    },
    "gemma3_text": {
        **_GEMMA,
        "max_position_embeddings": 131072,
        "sliding_window_pattern": 6,
        "rope_theta": 1e6,
        "rope_local_base_freq": 1e4,
    },
    "qwen2": _QWEN,
    "qwen3": {**_QWEN, "head_dim": 128},
    "gpt2": {
        "vocab_size": 50257,
        "n_positions": 1024,
        "n_embd": 768,
        "n_layer": 12,
        "n_head": 12,
        "n_inner": None,
        "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": True,
    },
}
_NAMES_IN = {"gpt2": GPT2_FIELDS}


def read_config(folder: Path) -> DecoderConfig:
    """Read the configuration of a model of a known family.

    Absent fields have transformers' defaults.

    Raises:
        CheckpointError: A field is missing, malformed, or asks for something not supported; the
            message names it.
    """
    path = folder / "config.json"
    raw = read_json(path)
    family = raw.get("model_type")
    if family not in FAMILIES:
        raise CheckpointError(f"{path}: model_type is {family!r}; supported: {', '.join(FAMILIES)}")
    writes, reads = FAMILIES[family].architecture, FAMILIES[family].classifier
    only = {
        **_ONLY,
        **_ONLY_IN[family],
        "architectures": (None, [reads], [writes]),
    }
    for field, allowed in only.items():
        if raw.get(field) not in allowed:
            raise CheckpointError(
                f"{path}: {field} is {raw.get(field)!r}; supported: {allowed[-1]!r}"
            )
    raw = {**_DEFAULTS, **_DEFAULTS_IN[family], **raw}

    names = _NAMES_IN.get(family, {})

    def number(field: str, kind: type, default: Any = None) -> Any:
        field = names.get(field, field)
        value = raw.get(field)
        value = default if value is None else value
        if isinstance(value, bool) != (kind is bool) or not isinstance(
            value, (int, float) if kind is float else kind
        ):
            raise CheckpointError(f"{path}: {field} is {value!r}; expected {kind.__name__}")
        return kind(value)

    width, heads = number("hidden_size", int), number("num_attention_heads", int)
    max_position = number("max_position_embeddings", int)
    num_layers = number("num_hidden_layers", int)
    options = FAMILIES[family].options
    rope = local_theta = None
    if "local_rope_theta" in options:
        rope, local_theta = read_local_rope(path, raw, max_position)
    elif not FAMILIES[family].learned_positions:
        rope = read_rope(path, raw, 10000.0, max_position)
    windows = read_windows(path, family, raw, num_layers)
    try:
        return DecoderConfig(
            vocab_size=number("vocab_size", int),
            hidden_size=width,
            intermediate_size=number("intermediate_size", int, _inner_width(family, width)),
            num_layers=num_layers,
            num_heads=heads,
            num_kv_heads=number("num_key_value_heads", int, heads),
            head_dim=number("head_dim", int, width // max(heads, 1)),
            max_position=max_position,
            rope_theta=rope and rope.theta,
            rms_norm_eps=number("rms_norm_eps", float),
            tie_word_embeddings=number("tie_word_embeddings", bool),
            family=family,
            rope_scaling=rope and rope.scaling,
            sliding_window=windows.size,
            local_layers=windows.local_layers,
            local_rope_theta=local_theta if windows.size else None,
            labels=read_labels(path, raw) if raw.get("architectures") == [reads] else (),
            **{
                field: number(field, kind)
                for field, kind in _SCALES.items()
                if field in options and raw.get(field) is not None
            },
        )
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _inner_width(family: str, width: int) -> int | None:
    """The width inside the feed-forward block if none is named."""
    return 4 * width if family == "gpt2" else None


def write_config(
    folder: Path,
    config: DecoderConfig,
    dtype: np.dtype,
    *,
    bos_id: int | None,
    eos_id: int,
    pad_id: int,
) -> None:
    """Write `config.json` so that transformers builds the same model.

    Version 5, and those versions of 4 that know `layer_types` where there are windows.
    """
    write_json(
        folder / "config.json",
        {
            "architectures": [
                config.traits.classifier if config.labels else config.traits.architecture
            ],
            "model_type": config.family,
            "vocab_size": config.vocab_size,
            **(_gpt2_fields(config) if config.family == "gpt2" else _llama_fields(config)),
            "tie_word_embeddings": config.tie_word_embeddings,
            "bos_token_id": bos_id,
            "eos_token_id": eos_id,
            **label_fields(config, pad_id),
            "torch_dtype": dtype.name,
        },
    )


def _gpt2_fields(config: DecoderConfig) -> dict[str, Any]:
    fields = {
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "max_position_embeddings": config.max_position,
        "rms_norm_eps": config.rms_norm_eps,
    }
    named = {GPT2_FIELDS[field]: value for field, value in fields.items()}
    return {**named, "activation_function": "gelu_new"}


def _llama_fields(config: DecoderConfig) -> dict[str, Any]:
    """The fields of all the other families."""
    activation = "gelu_pytorch_tanh" if config.traits.gemma else "silu"
    options = config.traits.options
    scales = {field: getattr(config, field) for field in _SCALES if field in options}
    if config.traits.gemma:
        scales["query_pre_attn_scalar"] = config.query_pre_attn_scalar or config.head_dim
    if "local_rope_theta" in options:
        scales["rope_local_base_freq"] = config.local_rope_theta or config.rope_theta
    return {
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "head_dim": config.head_dim,
        "hidden_activation" if config.traits.gemma else "hidden_act": activation,
        "max_position_embeddings": config.max_position,
        "rope_theta": config.rope_theta,
        "rope_scaling": rope_scaling_fields(config.rope_scaling),
        "rms_norm_eps": config.rms_norm_eps,
        **window_fields(config),
        **scales,
        "attention_bias": False,
        "mlp_bias": False,
    }
