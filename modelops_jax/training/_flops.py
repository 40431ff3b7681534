"""How many floating-point operations training takes, by a formula."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from modelops_jax.models import DecoderConfig, Params

from ._config import TrainingConfig


def epoch_flops(
    config: DecoderConfig,
    training: TrainingConfig,
    params: Params,
    trainable: Any,
    *,
    lengths: Int[np.ndarray, " rows"],
    trained_tokens: int,
) -> int:
    """Operations (multiplications and additions) of an epoch that the mathematics need.

    The formula is that of `plan`. A product takes as much forward, for the gradient of its input
    and, where that is trained, for the gradient of its weight; attention has two products of two
    inputs each. Embeddings, norms and activations are left out, and so is what a run computes
    beyond the mathematics: padding, and what is computed again in the backward pass. A beginning
    that all rows share is counted with every row.

    Args:
        config: The architecture.
        training: Whether adapters are trained.
        params: The model's parameters or their shapes.
        trainable: The trained arrays or their shapes.
        lengths: Tokens of each row.
        trained_tokens: Tokens of all rows that the loss is on.

    Returns:
        The number of operations.
    """
    trained = _linear_weights(trainable)
    weights = _linear_weights(params["model"]["layers"]) + (trained if training.lora else 0)
    pairs = _pairs(config, lengths)
    name = next((name for name in ("score", "lm_head") if name in params), None)
    head = params[name] if name else params["model"]["embed_tokens"]
    head_is_trained = name in trainable if name else "embed_tokens" in trainable.get("model", {})
    return (
        2 * (2 * weights + trained) * int(lengths.sum())
        + 12 * config.num_heads * config.head_dim * pairs
        + 2 * head["weight"].size * (2 + head_is_trained) * trained_tokens
    )


def _linear_weights(tree: Any) -> int:
    """Number of weights of linear maps, which are stacked over layers and so have three axes."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree) if leaf.ndim == 3)


def _pairs(config: DecoderConfig, lengths: Int[np.ndarray, " rows"]) -> int:
    """How many pairs of a token and one it sees the rows have, over all layers."""
    window = config.sliding_window
    local = config.local_layers or (window is not None,) * config.num_layers
    rows = lengths.astype(np.int64)
    full = int((rows * (rows + 1) // 2).sum())
    if window is None:
        return full * config.num_layers
    beyond = np.maximum(rows - window, 0)
    seen = full - int((beyond * (beyond + 1) // 2).sum())
    return sum(seen if is_local else full for is_local in local)
