"""Choosing the next token from its logits."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from modelops_jax._option_types import require_integer, require_number


def check_sampling(
    max_new_tokens: int,
    *,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    seed: int,
) -> None:
    """Refuse what `generate` has no use for.

    Raises:
        TypeError: A value is no number, or none of its kind; naming it.
        ValueError: A value is out of its range.
    """
    require_integer(max_new_tokens, "max_new_tokens")
    require_integer(seed, "seed")
    if top_k is not None:
        require_integer(top_k, "top_k")
    require_number(temperature, "temperature")
    if top_p is not None:
        require_number(top_p, "top_p")
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens must be at least 1, found {max_new_tokens}")
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature must be 0 or positive, and finite, found {temperature}")
    if not 0 <= seed < 2**32:  # JAX would keep the lower 32 bits
        raise ValueError(f"seed must be 0 or positive and below 2**32, found {seed}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, found {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be in (0, 1], found {top_p}")


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
