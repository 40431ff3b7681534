"""Grouped-query attention.

Shape letters: B batch, T tokens, S keys (cached and new), H query heads, K key/value heads,
G = H // K query heads per key head, C head size.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Bool, Float

from ._product import exact_einsum

# What a policy of what to keep for the backward pass calls attention's results.
ATTENTION_NAME = "attention"
# Queries of a block, at least, and blocks of a row.
BLOCK, MOST_BLOCKS = 128, 4
# cuDNN's attention: the largest head that it differentiates on every GPU, and the oldest GPU.
_CUDNN_HEAD_DIM, _CUDNN_CAPABILITY = 128, (8, 0)


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
            A single one ends with the queries' own slots, and none sees one after its own.
        scale: What the products of queries and keys are multiplied by.
        softcap: Scores s become softcap * tanh(s / softcap), unless it is None.

    Returns:
        The mixed values. The softmax runs in float32; what a query that sees nothing gives is
        finite and means nothing.
    """
    if len(sources) > 1:
        return _mix(query, sources, scale, softcap)[0]
    keys, values, mask = sources[0]
    if softcap is None and _fits_cudnn(query):
        return _attend_by_cudnn(query, keys, values, mask, scale)
    # Nobody looks ahead: the earlier a block of queries, the fewer slots it is multiplied with.
    tokens = query.shape[1]
    offset, count = keys.shape[1] - tokens, max(1, min(MOST_BLOCKS, tokens // BLOCK))
    ends = [tokens * (block + 1) // count for block in range(count)]
    parts: Any = [
        _attend_to_one(
            scale,
            softcap,
            query[:, begin:end],
            keys[:, : offset + end],
            values[:, : offset + end],
            mask[:, begin:end, : offset + end],
        )
        for begin, end in zip([0, *ends], ends, strict=False)
    ]
    return jnp.concatenate(parts, axis=1) if count > 1 else parts[0]


def _mix(
    query: Array, sources: Sequence[tuple[Array, Array, Array]], scale: float, softcap: float | None
) -> tuple[Float[Array, "batch tokens width"], Float[Array, "batch kv_heads group tokens 1"]]:
    """The mixed values, and the logarithm of what the softmax divides by."""
    _, tokens, heads, _ = query.shape
    kv_heads = sources[0][0].shape[2]
    grouped = _group(query, kv_heads)
    scores = [
        _masked_scores(grouped, keys, mask, scale, softcap, heads // kv_heads)
        for keys, _, mask in sources
    ]
    top = scores[0].max(axis=-1, keepdims=True)
    for score in scores[1:]:
        top = jnp.maximum(top, score.max(axis=-1, keepdims=True))
    total = jnp.zeros_like(top)
    mixed = jnp.zeros_like(grouped)
    for score, (_, values, _) in zip(scores, sources, strict=True):
        piece = jnp.exp(score - top)
        total = total + piece.sum(axis=-1, keepdims=True)
        rows = piece.reshape(*grouped.shape[:3], -1).astype(values.dtype)
        mixed = mixed + _contract("bkqs,bskc->bkqc", rows, values, query.dtype)
    # Dividing after the product touches head_dim numbers a query instead of every slot.
    mixed = mixed / total.reshape(*grouped.shape[:3], 1).astype(mixed.dtype)
    return _ungroup(mixed, tokens), top + jnp.log(total)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _attend_to_one(
    scale: float, softcap: float | None, query: Array, keys: Array, values: Array, mask: Array
) -> Float[Array, "batch tokens width"]:
    """Attention over one source, whose weights are not kept but computed again for gradients."""
    return _mix(query, [(keys, values, mask)], scale, softcap)[0]


def _attend_and_keep(scale: Any, softcap: Any, query: Any, keys: Any, values: Any, mask: Any):
    mixed, total = _mix(query, [(keys, values, mask)], scale, softcap)
    mixed, total = (checkpoint_name(x, ATTENTION_NAME) for x in (mixed, total))
    return mixed, (query, keys, values, mask, mixed, total)


def _attention_gradients(scale: float, softcap: float | None, kept: Any, of_mixed: Array):
    """With P the weights and S what they are the softmax of: dS = P * (dP - sum(dO * O)).

    Source: Dao et al., "FlashAttention: Fast and Memory-Efficient Exact Attention with
    IO-Awareness", 2022, Appendix B.2.
    """
    query, keys, values, mask, mixed, total = kept
    _, tokens, heads, _ = query.shape
    kv_heads = keys.shape[2]
    grouped = _group(query, kv_heads)
    scores = _masked_scores(grouped, keys, mask, scale, softcap, heads // kv_heads)
    weights = jnp.exp(scores - total)
    of_mixed = of_mixed.reshape(query.shape)
    dots = (of_mixed * mixed.reshape(query.shape)).astype(jnp.float32).sum(axis=-1, keepdims=True)
    of_mixed = _group(of_mixed, kv_heads)
    of_weights = _contract("bkqc,bskc->bkqs", of_mixed, values, jnp.float32)
    dots = _group(dots, kv_heads).reshape(total.shape)
    of_scores = weights * (of_weights.reshape(scores.shape) - dots) * scale
    if softcap is not None:
        # Where it is masked the weight is 0, so the cap's slope does not matter there.
        slope = 1.0 - jnp.square(scores / softcap)
        of_scores = of_scores * jnp.where(mask[:, None, None, :, :], slope, 0.0)
    shape = (*grouped.shape[:3], -1)
    of_scores = of_scores.reshape(shape).astype(query.dtype)
    rows = weights.reshape(shape).astype(values.dtype)
    of_query = _contract("bkqs,bskc->bkqc", of_scores, keys, query.dtype)
    of_keys = exact_einsum("bkqs,bkqc->bskc", of_scores, grouped)
    of_values = exact_einsum("bkqs,bkqc->bskc", rows, of_mixed)
    if keys.shape[0] != query.shape[0]:
        of_keys, of_values = (x.sum(axis=0, keepdims=True) for x in (of_keys, of_values))
    return _ungroup(of_query, tokens).reshape(query.shape), of_keys, of_values, None


_attend_to_one.defvjp(_attend_and_keep, _attention_gradients)


def _group(x: Array, kv_heads: int) -> Float[Array, "batch kv_heads rows size"]:
    """(B, T, H, C) as (B, K, G * T, C): the heads that share a key head are rows of one product."""
    batch, tokens, _, size = x.shape
    x = x.reshape(batch, tokens, kv_heads, -1, size)
    return x.transpose(0, 2, 3, 1, 4).reshape(batch, kv_heads, -1, size)


def _ungroup(x: Array, tokens: int) -> Float[Array, "batch tokens width"]:
    """Back from (B, K, G * T, C) to (B, T, H * C)."""
    batch, kv_heads, _, size = x.shape
    x = x.reshape(batch, kv_heads, -1, tokens, size)
    return x.transpose(0, 3, 1, 2, 4).reshape(batch, tokens, -1)


def _masked_scores(
    grouped: Array, keys: Array, mask: Array, scale: float, softcap: float | None, group: int
) -> Float[Array, "batch kv_heads group tokens slots"]:
    score = _contract("bkqc,bskc->bkqs", grouped, keys, jnp.float32)
    batch, kv_heads, rows, slots = score.shape
    score = cap(score.reshape(batch, kv_heads, group, rows // group, slots) * scale, softcap)
    # The lowest finite number, not -inf: a query without visible slots must stay finite. All
    # others weigh a slot they do not see with exp(lowest - top), which is 0.
    return jnp.where(mask[:, None, None, :, :], score, jnp.finfo(jnp.float32).min)


def _attend_by_cudnn(
    query: Float[Array, "batch tokens heads head_dim"],
    keys: Array,
    values: Array,
    mask: Bool[Array, "#batch tokens slots"],
    scale: float,
) -> Float[Array, "batch tokens width"]:
    """Attention to one source whose weights are never in memory.

    The mask always goes with it: it is what keeps packed rows apart. Padding, which sees nothing,
    sees itself here, because a softmax over nothing is nan in some implementations.
    """
    tokens, slots = mask.shape[-2:]
    own = jnp.eye(tokens, slots, k=slots - tokens, dtype=bool)[None]
    mask = mask | (own & ~mask.any(axis=-1, keepdims=True))
    # Only even numbers of queries and slots have gradients.
    after, before = tokens % 2, (tokens + slots) % 2
    mask = jnp.pad(mask, ((0, 0), (0, after), (before, after)))
    query = jnp.pad(query, ((0, 0), (0, after), (0, 0), (0, 0)))
    keys, values = (jnp.pad(x, ((0, 0), (before, after), (0, 0), (0, 0))) for x in (keys, values))
    mixed = jax.nn.dot_product_attention(
        query,
        keys,
        values,
        mask=mask[:, None],
        scale=scale,
        is_causal=tokens == slots,  # what lies ahead is not even computed
        implementation="cudnn",
    )
    return mixed[:, :tokens].reshape(mixed.shape[0], tokens, -1)


def _fits_cudnn(query: Array) -> bool:
    """Whether cuDNN's attention takes such arrays; JAX uses it for nobody who does not ask."""
    chosen = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue] # set at run time
    device = jax.devices()[0] if chosen is None else chosen
    if getattr(device, "platform", device) != "gpu":
        return False
    if "cuda" not in device.client.platform_version:
        return False
    capability = tuple(int(part) for part in device.compute_capability.split("."))
    size = query.shape[-1]
    fits = size % 8 == 0 and size <= _CUDNN_HEAD_DIM and capability >= _CUDNN_CAPABILITY
    return fits and query.dtype in (jnp.bfloat16, jnp.float16)


def saves_attention(primitive: Any, *_: Any, **__: Any) -> bool:
    """A policy of `jax.checkpoint`: the results of cuDNN's attention are kept, as ours are."""
    return primitive.name.startswith("dot_product_attention_fwd")


def cap(x: Float[Array, "..."], limit: float | None) -> Float[Array, "..."]:
    """limit * tanh(x / limit), which is x near zero and never beyond the limit."""
    return x if limit is None else limit * jnp.tanh(x / limit)


def _contract(spec: str, left: Array, right: Array, dtype: Any) -> Array:
    """An einsum in which a right operand of batch one serves all rows of the left one."""
    if right.shape[0] == 1 and left.shape[0] != 1:
        inputs, output = spec.split("->")
        first, second = inputs.split(",")
        spec, right = f"{first},{second[1:]}->{output}", right[0]
    return exact_einsum(spec, left, right, dtype)
