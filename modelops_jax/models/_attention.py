"""Grouped-query attention.

Shape letters: B batch, T tokens, S keys (cached and new), H query heads, K key/value heads,
G = H // K query heads per key head, C head size.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def attend(
    query: Float[Array, "batch tokens heads head_dim"],
    sources: Sequence[tuple[Array, Array, Bool[Array, "#batch #tokens _"]]],
    *,
    scale: float,
    softcap: float | None,
) -> Float[Array, "batch tokens width"]:
    """Grouped-query attention over several sources of (keys, values, mask) under one softmax.

    Args:
        query: Rotated queries.
        sources: Keys and values of shape (batch or 1, slots, kv_heads, head_dim), and the mask of
            which query may see which slot. Kept apart so that a cache is never copied to grow it.
        scale: What the products of queries and keys are multiplied by.
        softcap: Scores s become softcap * tanh(s / softcap), unless it is None.

    Returns:
        The mixed values. The softmax runs in float32; what a query that sees nothing gives is
        finite and means nothing.
    """
    batch, tokens, heads, head_dim = query.shape
    if len(sources) == 1 and softcap is None and jax.default_backend() != "cpu":
        return _attend_by_jax(query, *sources[0], scale=scale)
    kv_heads = sources[0][0].shape[2]
    group = heads // kv_heads
    # (B, K, G*T, C): the query heads that share a key head become rows of one product.
    grouped = query.reshape(batch, tokens, kv_heads, group, head_dim)
    grouped = grouped.transpose(0, 2, 3, 1, 4).reshape(batch, kv_heads, -1, head_dim)
    scores, lowest = [], jnp.finfo(jnp.float32).min
    for keys, _, mask in sources:
        score = _contract("bkqc,bskc->bkqs", grouped, keys, jnp.float32)
        score = score.reshape(batch, kv_heads, group, tokens, -1) * scale
        score = cap(score, softcap)
        # The lowest finite number, not -inf: a query without visible slots must stay finite.
        scores.append(jnp.where(mask[:, None, None, :, :], score, lowest))
    top = scores[0].max(axis=-1, keepdims=True)
    for score in scores[1:]:
        top = jnp.maximum(top, score.max(axis=-1, keepdims=True))
    top = jax.lax.stop_gradient(top)
    exps = [
        jnp.where(mask[:, None, None, :, :], jnp.exp(score - top), 0.0)
        for score, (_, _, mask) in zip(scores, sources, strict=True)
    ]
    total = jnp.zeros_like(top)
    mixed = jnp.zeros_like(grouped)
    for piece, (_, values, _) in zip(exps, sources, strict=True):
        total = total + piece.sum(axis=-1, keepdims=True)
        rows = piece.reshape(batch, kv_heads, group * tokens, -1).astype(values.dtype)
        mixed = mixed + _contract("bkqs,bskc->bkqc", rows, values, query.dtype)
    mixed = mixed.reshape(batch, kv_heads, group, tokens, head_dim)
    # Dividing after the product touches head_dim numbers a query instead of every slot.
    mixed = mixed / jnp.maximum(total, jnp.finfo(jnp.float32).tiny).astype(mixed.dtype)
    return mixed.transpose(0, 3, 1, 2, 4).reshape(batch, tokens, heads * head_dim)


def _attend_by_jax(
    query: Float[Array, "batch tokens heads head_dim"],
    keys: Array,
    values: Array,
    mask: Bool[Array, "#batch tokens tokens"],
    *,
    scale: float,
) -> Float[Array, "batch tokens width"]:
    """Attention of tokens among themselves by whatever implementation JAX chooses.

    The mask always goes with it: it is what keeps packed rows apart. Padding, which sees nothing,
    sees itself here, because a softmax over nothing is nan in some implementations.
    """
    own = jnp.eye(mask.shape[-1], dtype=bool)[None]
    mask = mask | (own & ~mask.any(axis=-1, keepdims=True))
    mixed = jax.nn.dot_product_attention(query, keys, values, mask=mask[:, None], scale=scale)
    return mixed.reshape(*mixed.shape[:2], -1)


def cap(x: Float[Array, "..."], limit: float | None) -> Float[Array, "..."]:
    """limit * tanh(x / limit), which is x near zero and never beyond the limit."""
    return x if limit is None else limit * jnp.tanh(x / limit)


def _contract(spec: str, left: Array, right: Array, dtype: Any) -> Array:
    """An einsum in which a right operand of batch one serves all rows of the left one."""
    if right.shape[0] == 1 and left.shape[0] != 1:
        inputs, output = spec.split("->")
        first, second = inputs.split(",")
        spec, right = f"{first},{second[1:]}->{output}", right[0]
    return jnp.einsum(spec, left, right, preferred_element_type=dtype)
