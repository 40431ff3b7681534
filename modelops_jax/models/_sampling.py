"""Choosing the next token from its logits."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key


def sample(
    logits: Float[Array, "batch vocabulary"],
    keys: Key[Array, " batch"],
    *,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
) -> Int[Array, " batch"]:
    """Draw one token a row from softmax(logits / temperature); temperature 0 takes the likeliest.

    Args:
        logits: Float32 logits.
        keys: One key a row, so that a row's draw does not depend on its neighbours.
        temperature: 0 or positive.
        top_k: Keep only the k likeliest tokens.
        top_p: Keep the smallest set of likeliest tokens whose probability reaches p, and at least
            one token (nucleus sampling: Holtzman et al., 2019).

    Returns:
        Token ids, int32.
    """
    if temperature < jnp.finfo(jnp.float32).tiny:  # on a device that is 0
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)
    # Beneath the largest one, so that none is too large once it is divided by little.
    logits = (logits - logits.max(axis=-1, keepdims=True)) / temperature
    lowest = jnp.finfo(logits.dtype).min
    if top_k is not None:
        least = jax.lax.top_k(logits, min(top_k, logits.shape[-1]))[0][:, -1:]
        logits = jnp.where(logits >= least, logits, lowest)
    if top_p is not None:
        ordered = jnp.sort(logits, axis=-1, descending=True)
        shares = jax.nn.softmax(ordered, axis=-1)
        # A token stays if the likelier ones do not reach p yet.
        kept = (jnp.cumsum(shares, axis=-1) - shares) < top_p
        least = jnp.min(jnp.where(kept, ordered, jnp.inf), axis=-1, keepdims=True)
        logits = jnp.where(logits >= least, logits, lowest)
    return jax.vmap(jax.random.categorical)(keys, logits).astype(jnp.int32)
