"""The Llama architecture as a plain pytree and pure functions.

Parameters carry the checkpoint's own names as tree paths, with the layers stacked on axis 0 so
that one `lax.scan` runs them. Linear weights are stored as checkpoints store them: (out, in).

Shape letters: B batch, T tokens, S keys (cached and new), D hidden size, H query heads,
K key/value heads, G = H // K query heads per key head, C head size, L layers, V vocabulary.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ._lora import Adapters, add_low_rank

Params = dict[str, Any]
"""Nested dictionary of arrays; see `init_params` for its layout."""

Remat = Literal["none", "layer"]


@dataclasses.dataclass(frozen=True)
class LlamaConfig:
    """Sizes and constants of a Llama-style decoder, as Hugging Face's `config.json` names them.

    Args:
        vocab_size: Number of token ids.
        hidden_size: Width of the residual stream.
        intermediate_size: Width inside the gated feed-forward block.
        num_layers: Number of decoder layers.
        num_heads: Query heads.
        num_kv_heads: Key/value heads; divides `num_heads`.
        head_dim: Width of one head; even.
        max_position: Longest sequence, in tokens.
        rope_theta: Base of the rotary frequencies.
        rms_norm_eps: Added to the mean square before its root.
        tie_word_embeddings: Whether the output head is the embedding matrix.

    Raises:
        ValueError: A size is not positive, heads do not divide, or `head_dim` is odd.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    max_position: int
    rope_theta: float
    rms_norm_eps: float
    tie_word_embeddings: bool

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, bool) and value <= 0:
                raise ValueError(f"LlamaConfig.{field.name} must be positive, found {value!r}")
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"LlamaConfig.num_kv_heads={self.num_kv_heads} must divide "
                f"num_heads={self.num_heads}"
            )
        if self.head_dim % 2:
            raise ValueError(f"LlamaConfig.head_dim must be even, found {self.head_dim}")


class KeyValues(NamedTuple):
    """Keys and values of every layer, each of shape (L, B, S, K, C); of one layer without the L."""

    keys: Float[Array, "*layers batch slots kv_heads head_dim"]
    values: Float[Array, "*layers batch slots kv_heads head_dim"]


def param_shapes(config: LlamaConfig) -> dict[str, Any]:
    """Tree of the parameters' shapes, with the checkpoint's names as paths.

    Example:
        >>> from modelops_jax.models import LlamaConfig, param_shapes
        >>> config = LlamaConfig(260, 8, 16, 2, 2, 1, 4, 64, 1e4, 1e-5, True)
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
    if not config.tie_word_embeddings:
        shapes["lm_head"] = {"weight": (config.vocab_size, width)}
    return shapes


def init_params(config: LlamaConfig, seed: int, *, stddev: float = 0.02) -> Params:
    """Random float32 parameters: norms at one, everything else normal with `stddev`.

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
        if "norm" in jax.tree_util.keystr(path):
            return jnp.asarray(np.ones(shape, np.float32))
        return jnp.asarray(np.float32(stddev) * random.standard_normal(shape, np.float32))

    return jax.tree.map_with_path(
        draw, param_shapes(config), is_leaf=lambda node: isinstance(node, tuple)
    )


def rms_norm(
    x: Float[Array, "*batch width"], weight: Float[Array, " width"], epsilon: float
) -> Float[Array, "*batch width"]:
    """x / sqrt(mean(x^2) + epsilon) * weight, computed in float32.

    Source: Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019.
    """
    wide = x.astype(jnp.float32)
    scale = jax.lax.rsqrt(jnp.mean(jnp.square(wide), axis=-1, keepdims=True) + epsilon)
    broadcast = jnp.expand_dims(weight.astype(jnp.float32), tuple(range(x.ndim - 1)))
    return (wide * scale * broadcast).astype(x.dtype)


def rotary(
    positions: Int[Array, "batch tokens"], head_dim: int, theta: float
) -> tuple[Float[Array, "batch tokens half"], Float[Array, "batch tokens half"]]:
    """Cosines and sines of position * theta^(-2i/head_dim), i < head_dim / 2.

    Source: Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021.
    """
    exponents = jnp.arange(0, head_dim, 2, dtype=jnp.float32) / head_dim
    frequencies = jnp.expand_dims(jnp.float32(theta) ** -exponents, (0, 1))
    angles = positions[:, :, None].astype(jnp.float32) * frequencies
    return jnp.cos(angles), jnp.sin(angles)


def _rotate(
    x: Float[Array, "batch tokens heads head_dim"],
    cos: Float[Array, "batch tokens half"],
    sin: Float[Array, "batch tokens half"],
) -> Float[Array, "batch tokens heads head_dim"]:
    """Rotate the pairs (x[i], x[i + head_dim/2]): Hugging Face's half-split layout."""
    first, second = jnp.split(x, 2, axis=-1)
    cos, sin = cos[:, :, None, :].astype(x.dtype), sin[:, :, None, :].astype(x.dtype)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


class Past(NamedTuple):
    """Tokens computed earlier: their keys and values, and which slots each row may see.

    A batch of one is shared by every row, such as the system prompt that all prompts begin with.
    """

    key_values: KeyValues
    visible: Bool[Array, "rows slots"]


def attend(
    query: Float[Array, "batch tokens heads head_dim"],
    sources: Sequence[tuple[Array, Array, Bool[Array, "#batch #tokens _"]]],
) -> Float[Array, "batch tokens width"]:
    """Grouped-query attention over several sources of (keys, values, mask) under one softmax.

    Args:
        query: Rotated queries.
        sources: Keys and values of shape (batch or 1, slots, kv_heads, head_dim), and the mask of
            which query may see which slot. Kept apart so that a cache is never copied to grow it.

    Returns:
        The mixed values. The softmax runs in float32; a query that sees nothing gives zeros.
    """
    batch, tokens, heads, head_dim = query.shape
    kv_heads = sources[0][0].shape[2]
    group = heads // kv_heads
    # (B, K, G*T, C): the query heads that share a key head become rows of one product.
    grouped = query.reshape(batch, tokens, kv_heads, group, head_dim)
    grouped = grouped.transpose(0, 2, 3, 1, 4).reshape(batch, kv_heads, -1, head_dim)
    scores, lowest = [], jnp.finfo(jnp.float32).min
    for keys, _, mask in sources:
        score = _contract("bkqc,bskc->bkqs", grouped, keys, jnp.float32)
        score = score.reshape(batch, kv_heads, group, tokens, -1) * head_dim**-0.5
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


def _contract(spec: str, left: Array, right: Array, dtype: Any) -> Array:
    """An einsum in which a right operand of batch one serves all rows of the left one."""
    if right.shape[0] == 1 and left.shape[0] != 1:
        inputs, output = spec.split("->")
        first, second = inputs.split(",")
        spec, right = f"{first},{second[1:]}->{output}", right[0]
    return jnp.einsum(spec, left, right, preferred_element_type=dtype)


def causal_mask(
    segment_ids: Int[Array, "batch tokens"],
) -> Bool[Array, "batch tokens tokens"]:
    """Whether token t may see token s: s <= t, in the same segment, and segment 0 is padding."""
    tokens = segment_ids.shape[1]
    index = jnp.arange(tokens, dtype=jnp.int32)
    earlier = (index[:, None] >= index[None, :])[None]
    same = segment_ids[:, :, None] == segment_ids[:, None, :]
    return earlier & same & (segment_ids != 0)[:, None, :]


@dataclasses.dataclass(frozen=True)
class _Shared:
    """What every layer of one call uses alike."""

    cos: Float[Array, "batch tokens half"]
    sin: Float[Array, "batch tokens half"]
    mask: Bool[Array, "batch tokens tokens"]
    past_visible: Sequence[Bool[Array, "_ _"]]
    scale: float
    config: LlamaConfig


def _layer(
    hidden: Float[Array, "batch tokens width"],
    layer: Params,
    low_rank: Mapping[str, Any],
    past: Sequence[KeyValues],
    shared: _Shared,
) -> tuple[Float[Array, "batch tokens width"], KeyValues]:
    """One decoder layer: the new hidden states, and the keys and values of these tokens."""
    config = shared.config
    batch, tokens, _ = hidden.shape

    def project(x: Array, block: str, *names: str) -> list[Array]:
        # Tokens as one axis: with two, the backward pass copies its operands into another order.
        flat = x.reshape(-1, x.shape[-1])
        outputs = [
            jnp.einsum("nd,od->no", flat, layer[block][name]["weight"].astype(x.dtype))
            for name in names
        ]
        outputs = add_low_rank(flat, outputs, names, low_rank.get(block, {}), shared.scale)
        return [output.reshape(*x.shape[:-1], -1) for output in outputs]

    x = rms_norm(hidden, layer["input_layernorm"]["weight"], config.rms_norm_eps)
    query, key, value = project(x, "self_attn", "q_proj", "k_proj", "v_proj")
    query = query.reshape(batch, tokens, config.num_heads, config.head_dim)
    key = key.reshape(batch, tokens, config.num_kv_heads, config.head_dim)
    value = value.reshape(batch, tokens, config.num_kv_heads, config.head_dim)
    query, key = _rotate(query, shared.cos, shared.sin), _rotate(key, shared.cos, shared.sin)
    sources = [
        (earlier.keys, earlier.values, visible[:, None, :])
        for earlier, visible in zip(past, shared.past_visible, strict=True)
    ]
    mixed = attend(query, [*sources, (key, value, shared.mask)])
    hidden = hidden + project(mixed, "self_attn", "o_proj")[0]
    x = rms_norm(hidden, layer["post_attention_layernorm"]["weight"], config.rms_norm_eps)
    gate, up = project(x, "mlp", "gate_proj", "up_proj")
    return hidden + project(jax.nn.silu(gate) * up, "mlp", "down_proj")[0], KeyValues(key, value)


def forward(
    params: Params,
    config: LlamaConfig,
    token_ids: Int[Array, "batch tokens"],
    *,
    segment_ids: Int[Array, "batch tokens"] | None = None,
    positions: Int[Array, "batch tokens"] | None = None,
    past: Sequence[Past] = (),
    adapters: Adapters | None = None,
    dtype: Any = jnp.float32,
    remat: Remat = "none",
) -> tuple[Float[Array, "batch tokens width"], KeyValues]:
    """Hidden states after the last norm, and the keys and values of these tokens.

    Args:
        params: Parameter tree of `param_shapes(config)`.
        config: The architecture.
        token_ids: Token ids; those of padding may be anything valid.
        segment_ids: Tokens see only earlier tokens of their own segment; 0 marks padding. By
            default each row is one segment.
        positions: Position of each token in its sequence; by default counted from 0 in each row.
        past: Earlier tokens that every segment of the row may see where `visible` says so.
        adapters: Low-rank adapters to add to the weights.
        dtype: Type of the activations; norms and softmax run in float32 whatever it is.
        remat: "layer" keeps only each layer's input for the backward pass.

    Returns:
        Hidden states of type `dtype`, and `KeyValues` of shape (layers, batch, tokens, kv_heads,
        head_dim). At padding the hidden states are finite and mean nothing.
    """
    batch, tokens = token_ids.shape
    if segment_ids is None:
        segment_ids = jnp.ones((batch, tokens), jnp.int32)
    if positions is None:
        positions = jnp.broadcast_to(jnp.arange(tokens, dtype=jnp.int32)[None], (batch, tokens))
    cos, sin = rotary(positions, config.head_dim, config.rope_theta)
    shared = _Shared(
        cos,
        sin,
        causal_mask(segment_ids),
        [earlier.visible for earlier in past],
        adapters.scale if adapters else 0.0,
        config,
    )

    def step(hidden: Array, slices: Any) -> tuple[Array, KeyValues]:
        layer, low_rank, earlier = slices
        return _layer(hidden, layer, low_rank, earlier, shared)

    if remat == "layer":
        step = jax.checkpoint(step, prevent_cse=False)
    hidden = params["model"]["embed_tokens"]["weight"][token_ids].astype(dtype)
    weights = adapters.weights if adapters else {}
    slices = (params["model"]["layers"], weights, [earlier.key_values for earlier in past])
    hidden, key_values = jax.lax.scan(step, hidden, slices)
    return rms_norm(hidden, params["model"]["norm"]["weight"], config.rms_norm_eps), key_values


def unembed(
    params: Params, hidden: Float[Array, "*batch width"]
) -> Float[Array, "*batch vocabulary"]:
    """Float32 logits of hidden states, through the output head or the tied embeddings."""
    head = params.get("lm_head", params["model"]["embed_tokens"])["weight"]
    return jnp.einsum(
        "...d,vd->...v", hidden, head.astype(hidden.dtype), preferred_element_type=jnp.float32
    )
