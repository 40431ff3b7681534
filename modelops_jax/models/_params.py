"""The parameter tree: plain nested dictionaries of arrays.

Paths are the checkpoint's own names (GPT-2's are made like the others' when it is read), with the
layers stacked on axis 0 so that one `lax.scan` runs them. Linear weights are (out, in).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._config import DecoderConfig

Params = dict[str, Any]
"""Nested dictionary of arrays; see `param_shapes` for its layout."""


def param_shapes(config: DecoderConfig) -> dict[str, Any]:
    """Tree of the parameters' shapes, with the checkpoint's names as paths.

    Example:
        >>> from modelops_jax.models import DecoderConfig, param_shapes
        >>> config = DecoderConfig(260, 8, 16, 2, 2, 1, 4, 64, 1e4, 1e-5, True)
        >>> param_shapes(config)["model"]["layers"]["self_attn"]["k_proj"]["weight"]
        (2, 4, 8)
    """
    layers, width, inner = config.num_layers, config.hidden_size, config.intermediate_size
    queries = config.num_heads * config.head_dim
    keys = config.num_kv_heads * config.head_dim
    shapes: dict[str, Any] = {
        "model": {
            "embed_tokens": {"weight": (config.vocab_size, width)},
            "layers": {
                "input_layernorm": {"weight": (layers, width)},
                "self_attn": {
                    "q_proj": {"weight": (layers, queries, width)},
                    "k_proj": {"weight": (layers, keys, width)},
                    "v_proj": {"weight": (layers, keys, width)},
                    "o_proj": {"weight": (layers, width, queries)},
                },
                "post_attention_layernorm": {"weight": (layers, width)},
                "mlp": {
                    "gate_proj": {"weight": (layers, inner, width)},
                    "up_proj": {"weight": (layers, inner, width)},
                    "down_proj": {"weight": (layers, width, inner)},
                },
            },
            "norm": {"weight": (width,)},
        }
    }
    traits, stacked = config.traits, shapes["model"]["layers"]
    attention = stacked["self_attn"]
    if not traits.gated:
        del stacked["mlp"]["gate_proj"]
    for name, tensors in (*attention.items(), *stacked["mlp"].items()):
        if name in traits.biases:
            tensors["bias"] = tensors["weight"][:2]
    if traits.head_norms:
        for name in ("q_norm", "k_norm"):
            attention[name] = {"weight": (layers, config.head_dim)}
    if traits.gemma:
        for name in ("pre_feedforward_layernorm", "post_feedforward_layernorm"):
            stacked[name] = {"weight": (layers, width)}
    if traits.layer_norms:
        for norm in (stacked["input_layernorm"], stacked["post_attention_layernorm"]):
            norm["bias"] = (layers, width)
        shapes["model"]["norm"]["bias"] = (width,)
    if traits.learned_positions:
        shapes["model"]["embed_positions"] = {"weight": (config.max_position, width)}
    if config.labels:
        shapes["score"] = {"weight": (len(config.labels), width)}
    elif not config.tie_word_embeddings:
        shapes["lm_head"] = {"weight": (config.vocab_size, width)}
    return shapes


def init_params(config: DecoderConfig, seed: int, *, stddev: float = 0.02) -> Params:
    """Random float32 parameters: norms that only scale, zero biases, the rest normal.

    Drawn on the host, so that nothing is compiled and every device gets the same numbers.

    Args:
        config: The architecture.
        seed: The same seed gives the same parameters.
        stddev: Standard deviation of the normal draw.

    Returns:
        The parameter tree of `param_shapes(config)`.
    """
    random = np.random.Generator(np.random.Philox(seed))

    def draw(path: Any, shape: tuple[int, ...]) -> Array:
        name = jax.tree_util.keystr(path)
        if "norm" in name or "bias" in name:
            one = "bias" not in name and not config.traits.gemma
            return jnp.asarray(np.full(shape, one, np.float32))
        return jnp.asarray(np.float32(stddev) * random.standard_normal(shape, np.float32))

    return jax.tree.map_with_path(
        draw, param_shapes(config), is_leaf=lambda node: isinstance(node, tuple)
    )
