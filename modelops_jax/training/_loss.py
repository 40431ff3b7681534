"""The loss as sums over trained tokens, never as a mean."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from modelops_jax.models import Adapters, DecoderConfig, Params, forward, score_targets

from ._batches import Batch


class LossSums(NamedTuple):
    """Sums over the trained tokens of a batch.

    A mean of such sums over batches, devices or accumulation steps is exact only if it is taken
    once, at the end, from the sums and their number of tokens.
    """

    loss: Float[Array, ""]
    tokens: Int[Array, ""]
    correct: Int[Array, ""]
    worst: Float[Array, ""]


def zero_sums() -> LossSums:
    """The sums over no token."""
    zero = jnp.zeros((), jnp.int32)
    return LossSums(jnp.zeros((), jnp.float32), zero, zero, jnp.zeros((), jnp.float32))


def add_sums(left: LossSums, right: LossSums) -> LossSums:
    """The sums over the tokens of both."""
    return LossSums(
        left.loss + right.loss,
        left.tokens + right.tokens,
        left.correct + right.correct,
        jnp.maximum(left.worst, right.worst),
    )


def next_token_loss(
    params: Params,
    adapters: Adapters | None,
    config: DecoderConfig,
    batch: Batch,
    *,
    dtype: Any = jnp.float32,
    remat: Any = "none",
) -> tuple[Float[Array, ""], LossSums]:
    """Cross entropy (nats) of the trained tokens, summed.

    Logits are formed only for trained tokens, in chunks, and formed again in the backward pass.

    Args:
        params: The model's parameters.
        adapters: Low-rank adapters to add to them, or None.
        config: The architecture.
        batch: Padded sequences.
        dtype: Type of the activations.
        remat: See `modelops_jax.models.forward`.

    Returns:
        The sum to differentiate, and all sums.
    """
    hidden, _ = forward(
        params,
        config,
        jnp.asarray(batch.token_ids),
        segment_ids=jnp.asarray(batch.segment_ids),
        positions=jnp.asarray(batch.positions),
        prefix_ids=jnp.asarray(batch.prefix_ids),
        adapters=adapters,
        dtype=dtype,
        remat=remat,
    )
    states = hidden.reshape(-1, hidden.shape[-1])[batch.at]
    scores = score_targets(params, config, states, jnp.asarray(batch.targets))
    used = jnp.asarray(batch.weight) == 1
    losses = jnp.where(used, -scores.log_likelihood, 0.0)
    total = losses.sum()
    sums = LossSums(
        jax.lax.stop_gradient(total),
        used.sum(dtype=jnp.int32),
        (used & scores.is_top).sum(dtype=jnp.int32),
        jax.lax.stop_gradient(losses.max()),
    )
    return total, sums
