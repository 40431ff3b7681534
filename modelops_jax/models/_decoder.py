"""The decoder of the Llama line and of GPT-2 as pure functions over a parameter tree.

Shape letters: B batch, S keys (cached and new), K key/value heads, C head size, L layers.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

from ._attention import ATTENTION_NAME, attend, cap, saves_attention
from ._config import DecoderConfig
from ._dropout import Noise
from ._lora import LINEAR_NAME, Adapters, project
from ._mesh import keep_rows_divided, look_up
from ._params import Params
from ._places import Places, from_rows, places_of, to_rows
from ._product import exact_einsum
from ._rotary import rotate_halves
from ._views import Seen, View, choose_view, make_views

Remat = Literal["none", "dots", "layer"]


class KeyValues(NamedTuple):
    """Keys and values of every layer, each of shape (L, B, S, K, C); of one layer without the L."""

    keys: Float[Array, "*layers batch slots kv_heads head_dim"]
    values: Float[Array, "*layers batch slots kv_heads head_dim"]


def rms_norm(
    x: Float[Array, "*batch width"], weight: Float[Array, " width"], config: DecoderConfig
) -> Float[Array, "*batch width"]:
    """x / sqrt(mean(x^2) + epsilon) * weight, computed in float32; Gemma's weight is 1 + weight.

    Source: Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019.
    """
    wide = x.astype(jnp.float32)
    scale = jax.lax.rsqrt(jnp.mean(jnp.square(wide), axis=-1, keepdims=True) + config.rms_norm_eps)
    weight = weight.astype(jnp.float32)
    weight = 1.0 + weight if config.traits.gemma else weight
    broadcast = jnp.expand_dims(weight, tuple(range(x.ndim - 1)))
    return (wide * scale * broadcast).astype(x.dtype)


def layer_norm(
    x: Float[Array, "*batch width"],
    weight: Float[Array, " width"],
    bias: Float[Array, " width"],
    epsilon: float,
) -> Float[Array, "*batch width"]:
    """(x - mean) / sqrt(variance + epsilon) * weight + bias, computed in float32.

    Source: Ba, Kiros and Hinton, "Layer Normalization", 2016.
    """
    wide = x.astype(jnp.float32)
    wide = wide - jnp.mean(wide, axis=-1, keepdims=True)
    scale = jax.lax.rsqrt(jnp.mean(jnp.square(wide), axis=-1, keepdims=True) + epsilon)
    axes = tuple(range(x.ndim - 1))
    weight, bias = (jnp.expand_dims(v.astype(jnp.float32), axes) for v in (weight, bias))
    return (wide * scale * weight + bias).astype(x.dtype)


def _normalize(x: Array, norm: Params, config: DecoderConfig) -> Array:
    """The family's norm with the parameters of one place."""
    if config.traits.layer_norms:
        return layer_norm(x, norm["weight"], norm["bias"], config.rms_norm_eps)
    return rms_norm(x, norm["weight"], config)


class Past(NamedTuple):
    """Tokens computed earlier: keys and values, which slots each row may see, their positions.

    A batch of one is shared by every row, such as the system prompt that all prompts begin with.
    """

    key_values: KeyValues
    visible: Bool[Array, "rows slots"]
    positions: Int[Array, "rows slots"]


def run_layer(
    hidden: Float[Array, "flat width"],
    layer: Params,
    low_rank: Mapping[str, Any],
    past: Sequence[KeyValues],
    view: View,
    scale: float,
    noise: Noise | None,
    config: DecoderConfig,
    places: Places | None = None,
) -> tuple[Float[Array, "flat width"], KeyValues]:
    """One decoder layer: the new hidden states, and the keys and values of the rows' tokens.

    The tokens of a call are one flat axis, the prefix's first and then the rows': with two axes
    the backward pass would copy the operands of every product into another order. `places` says
    where they lie in the rows, if padding is not among them.
    """
    gemma = config.traits.gemma
    batch, tokens, _ = view.mask.shape
    prefix = view.prefix_mask.shape[-1]
    appends = bool(past) and tokens == 1

    def linear(x: Array, block: str, *names: str) -> list[Array]:
        adapters = low_rank.get(block, {})
        return project(x, layer[block], names, adapters, scale, noise, appends=appends)

    def heads(x: Array, norm: str | None) -> tuple[Array, Array]:
        """Split into heads, and into (1, prefix, heads, size) and (batch, tokens, heads, size).

        Values have no norm; queries and keys, if they have one, are also rotated after it.
        """
        x = x.reshape(len(x), -1, config.head_dim)
        if norm in layer["self_attn"]:
            x = normalize(x, layer["self_attn"][norm])
        x = rotate_halves(x, *view.rotation) if norm and view.rotation else x
        return x[None, :prefix], to_rows(x[prefix:], places).reshape(batch, tokens, *x.shape[1:])

    def normalize(x: Array, norm: Params) -> Array:
        return _normalize(x, norm, config)

    x = normalize(hidden, layer["input_layernorm"])
    query, key, value = linear(x, "self_attn", "q_proj", "k_proj", "v_proj")
    prefix_query, query = heads(query, "q_norm")
    prefix_key, key = heads(key, "k_norm")
    prefix_value, value = heads(value, None)
    constants = {"scale": config.attention_scale, "softcap": config.attn_logit_softcapping}
    sources = [(kv.keys, kv.values, mask) for kv, mask in zip(past, view.seen, strict=True)]
    # A copy of the prefix for each row costs less than products of its own.
    keys, values = (
        jnp.concatenate([jnp.broadcast_to(first, (batch, *first.shape[1:])), x], axis=1)
        for first, x in ((prefix_key, key), (prefix_value, value))
    )
    sources.append((keys, values, view.mask))
    mixed = from_rows(attend(query, sources, **constants).reshape(batch * tokens, -1), places)
    if prefix:
        first = [(prefix_key, prefix_value, view.prefix_mask)]
        mixed = jnp.concatenate([attend(prefix_query, first, **constants)[0], mixed])
    x = linear(mixed, "self_attn", "o_proj")[0]
    # The same name is the norm after this block in Gemma, and the one before the next elsewhere.
    after = layer["post_attention_layernorm"]
    hidden = hidden + (normalize(x, after) if gemma else x)
    x = normalize(hidden, layer["pre_feedforward_layernorm"] if gemma else after)
    names = ("gate_proj", "up_proj") if config.traits.gated else ("up_proj",)
    gate, *up = linear(x, "mlp", *names)
    gate = jax.nn.gelu(gate, approximate=True) if config.traits.gelu else jax.nn.silu(gate)
    x = linear(gate * up[0] if up else gate, "mlp", "down_proj")[0]
    x = normalize(x, layer["post_feedforward_layernorm"]) if gemma else x
    return hidden + x, KeyValues(key, value)


def embed(
    params: Params,
    config: DecoderConfig,
    token_ids: Int[Array, " flat"],
    positions: Int[Array, " flat"],
    dtype: Any,
) -> Float[Array, "flat width"]:
    """What the first layer reads: embeddings of the tokens, and of their positions if learned."""
    hidden = look_up(params["model"]["embed_tokens"]["weight"], token_ids).astype(dtype)
    if config.traits.gemma:
        hidden = hidden * jnp.asarray(config.hidden_size**0.5, dtype)
    if config.traits.learned_positions:
        learned = look_up(params["model"]["embed_positions"]["weight"], positions)
        hidden = hidden + learned.astype(dtype)
    return hidden


def forward(
    params: Params,
    config: DecoderConfig,
    token_ids: Int[Array, "batch tokens"],
    *,
    segment_ids: Int[Array, "batch tokens"] | None = None,
    positions: Int[Array, "batch tokens"] | None = None,
    prefix_ids: Int[Array, " prefix"] | None = None,
    past: Sequence[Past] = (),
    adapters: Adapters | None = None,
    dropout: UInt32[Array, "batch tokens"] | None = None,
    dtype: Any = jnp.float32,
    remat: Remat = "none",
    unroll: bool = False,
    computed: Int[Array, " computed"] | None = None,
) -> tuple[Float[Array, "batch tokens width"], KeyValues]:
    """Hidden states after the last norm, and the keys and values of these tokens.

    Args:
        params: Parameter tree of `param_shapes(config)`.
        config: The architecture.
        token_ids: Token ids; those of padding may be anything valid.
        segment_ids: Tokens see only earlier tokens of their own segment; 0 marks padding. By
            default each row is one segment.
        positions: Position of each token in its sequence; by default counted in each row from
            the length of the prefix.
        prefix_ids: Tokens at positions 0, 1, ... that every segment begins with, such as a
            system prompt. They are computed once for all rows, and gradients flow through them.
        past: Earlier tokens that every segment of the row may see where `visible` says so and,
            in a local layer, their positions are in the window.
        adapters: Low-rank adapters to add to the weights.
        dropout: A number for each token that decides, with the layer, which inputs of the adapters
            are dropped, at the rate of the adapters' configuration; none are without it.
        dtype: Type of the activations; norms and softmax run in float32 whatever it is.
        remat: What is kept for the backward pass: everything, the results of attention and of
            products with weights ("dots"), or each layer's input and the result of its attention
            ("layer"); the rest is computed again.
        unroll: Compile each layer on its own instead of one for all, which gives the same bits.
        computed: Places of the flattened (batch, tokens) that layers work on: each token's, and
            batch * tokens to fill up. The others are padding, whose states are then 0. By default
            layers work on all places.

    Returns:
        Hidden states of type `dtype`, and `KeyValues` of shape (layers, batch, tokens, kv_heads,
        head_dim), both of the rows without the prefix. At padding the hidden states are finite
        and mean nothing.
    """
    batch, tokens = token_ids.shape
    if prefix_ids is None:
        prefix_ids = jnp.zeros((0,), jnp.int32)
    prefix = len(prefix_ids)
    assert not (prefix and past), "both would be the beginning of every segment"
    if segment_ids is None:
        segment_ids = jnp.ones((batch, tokens), jnp.int32)
    if positions is None:
        row = jnp.arange(prefix, prefix + tokens, dtype=jnp.int32)
        positions = jnp.broadcast_to(row[None], (batch, tokens))
    places = None if computed is None else places_of(computed, batch * tokens)
    flat_ids = from_rows(token_ids.reshape(-1), places)
    flat_ids = jnp.concatenate([prefix_ids.astype(token_ids.dtype), flat_ids])
    flat_positions = from_rows(positions.reshape(-1), places)
    flat_positions = jnp.concatenate([jnp.arange(prefix, dtype=jnp.int32), flat_positions])
    seen = [Seen(earlier.positions, earlier.visible) for earlier in past]
    full, local = make_views(config, segment_ids, positions, flat_positions, prefix, seen)
    scale = adapters.scale if adapters else 0.0
    dropped = None
    if dropout is not None and adapters is not None:
        dropped = from_rows(dropout.reshape(-1), places)
    assert dropped is None or not prefix, "a token that all rows share has no row to be dropped by"
    # Without a choice there is nothing to choose in the loop.
    mixes = len(set(config.local_layers)) > 1
    only = full if config.sliding_window is None else local

    def step(hidden: Array, slices: Any) -> tuple[Array, KeyValues]:
        layer, low_rank, earlier, is_local, index = slices
        hidden = keep_rows_divided(hidden)
        view = choose_view(full, local, is_local) if mixes else only
        noise = None
        if dropped is not None and adapters is not None:
            noise = Noise(dropped, index, adapters.config.dropout)
        return run_layer(hidden, layer, low_rank, earlier, view, scale, noise, config, places)

    if remat != "none":
        kept = (ATTENTION_NAME, LINEAR_NAME) if remat == "dots" else (ATTENTION_NAME,)
        policies = jax.checkpoint_policies
        policy = policies.save_from_both_policies(
            policies.save_only_these_names(*kept), saves_attention
        )
        step = jax.checkpoint(step, prevent_cse=False, policy=policy)
    hidden = embed(params, config, flat_ids, flat_positions, dtype)
    weights = adapters.weights if adapters else {}
    is_local = jnp.asarray(config.local_layers) if mixes else None
    caches = [earlier.key_values for earlier in past]
    index = None if dropped is None else jnp.arange(config.num_layers, dtype=jnp.int32)
    slices = (params["model"]["layers"], weights, caches, is_local, index)
    hidden, key_values = jax.lax.scan(step, hidden, slices, unroll=unroll)
    hidden = final_norm(params, config, hidden[prefix:])
    return to_rows(hidden, places).reshape(batch, tokens, -1), key_values


def final_norm(
    params: Params, config: DecoderConfig, hidden: Float[Array, "*batch width"]
) -> Float[Array, "*batch width"]:
    """The norm between the last layer and the output head."""
    return _normalize(hidden, params["model"]["norm"], config)


def unembed(
    params: Params, config: DecoderConfig, hidden: Float[Array, "*batch width"]
) -> Float[Array, "*batch vocabulary"]:
    """Float32 logits of hidden states, through the output head or the tied embeddings."""
    return apply_head(output_head(params), config, hidden)


def output_head(params: Params) -> Float[Array, "vocabulary width"]:
    """The weight of the output head, which may be that of the embeddings."""
    return params.get("lm_head", params["model"]["embed_tokens"])["weight"]


def apply_head(
    head: Float[Array, "vocabulary width"],
    config: DecoderConfig,
    hidden: Float[Array, "*batch width"],
) -> Float[Array, "*batch vocabulary"]:
    """Float32 logits of hidden states through this weight."""
    return cap(_wide_product(head, hidden), config.final_logit_softcapping)


@jax.custom_vjp
def _wide_product(
    head: Float[Array, "vocabulary width"], hidden: Float[Array, "*batch width"]
) -> Float[Array, "*batch vocabulary"]:
    """W x in float32, of operands of the type of x."""
    return exact_einsum("...d,vd->...v", hidden, head.astype(hidden.dtype), jnp.float32)


def _wide_product_and_operands(head: Any, hidden: Any):
    trained, head, hidden = head.perturbed, head.value, hidden.value
    return _wide_product(head, hidden), (head, hidden, () if trained else None)


def _narrow_gradients(kept: tuple[Array, Array, Any], of_logits: Array) -> tuple[Any, Array]:
    """JAX's own rule would multiply in float32, which accelerators do several times more slowly.

    The gradient of the weight, which many rows add to, is summed and stays in float32; of one that
    is not trained there is none.
    """
    head, hidden, trained = kept
    of_logits = of_logits.astype(hidden.dtype)
    of_hidden = exact_einsum("...v,vd->...d", of_logits, head.astype(hidden.dtype))
    if trained is None:
        return None, of_hidden
    of_head = exact_einsum("...v,...d->vd", of_logits, hidden, jnp.float32)
    return of_head.astype(head.dtype), of_hidden


_wide_product.defvjp(_wide_product_and_operands, _narrow_gradients, symbolic_zeros=True)
