"""What the forward pass keeps for the backward pass, if the configuration leaves it open."""

from typing import Any, Literal

import jax.numpy as jnp

from modelops_jax.models import DecoderConfig

from ._memory import device_memory

Kept = Literal["none", "dots", "layer"]
# Share of a device's memory that may go to the results of products: the weights, what a rule keeps
# of each of them and their gradients need the rest.
SHARE = 8


def choose_remat(
    remat: Literal["auto", "none", "dots", "layer"], config: DecoderConfig, tokens: int, dtype: Any
) -> Kept:
    """What "auto" means for a batch: "dots" if that fits easily, else "layer".

    Args:
        remat: Of the run's configuration.
        config: The architecture.
        tokens: That layers work on.
        dtype: Type of the activations.
    """
    if remat != "auto":
        return remat
    memory = device_memory()
    # Where nobody knows, what fits everywhere.
    fits = memory is not None and SHARE * _dots_bytes(config, tokens, dtype) <= memory
    return "dots" if fits else "layer"


def _dots_bytes(config: DecoderConfig, tokens: int, dtype: Any) -> int:
    """Bytes of each layer's input and results of products; adapters add little to them."""
    attention = config.num_heads * config.head_dim
    key_values = 2 * config.num_kv_heads * config.head_dim
    inner = (2 if config.traits.gated else 1) * config.intermediate_size
    numbers = 2 * config.hidden_size + 2 * attention + key_values + inner
    return numbers * config.num_layers * tokens * jnp.dtype(dtype).itemsize
