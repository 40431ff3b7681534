"""Appending one token to every row of a batch.

On an accelerator one compiled program does it, with a loop over the stacked layers. On a CPU that
loop would copy every layer's weights out of the stack for every token, which takes longer than the
products: there each layer has its weights as arrays of their own, over the same memory, and one
small program computes a few layers a call. See docs/decisions/0007.
"""

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from ._config import DecoderConfig
from ._decoder import KeyValues, Past, embed, final_norm, forward, run_layer, unembed
from ._params import Params
from ._sampling import sample
from ._views import Seen, View, make_views

# Layers of one call: a call costs a tenth of a small layer, and compiling a layer more 0.1 s.
LAYERS_A_CALL = 6


class Choice(NamedTuple):
    """How a token is chosen and which ones end a row; see `generate`."""

    stop_ids: tuple[int, ...]
    temperature: float
    top_k: int | None
    top_p: float | None


class Rows(NamedTuple):
    """What is appended so far: tokens (-1 where there is none) and which rows have ended."""

    step: Int[Array, ""]
    tokens: Int[Array, "batch slots"]
    done: Bool[Array, " batch"]


def choose_token(
    params: Params,
    config: DecoderConfig,
    states: Float[Array, "batch width"],
    rows: Rows,
    row_keys: Key[Array, " batch"],
    choice: Choice,
) -> Rows:
    """Put the next token of each row in its slot, if the row has not ended."""
    keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(row_keys, rows.step)
    logits = unembed(params, config, states)
    token = sample(
        logits, keys, temperature=choice.temperature, top_k=choice.top_k, top_p=choice.top_p
    )
    stops = (token[:, None] == jnp.asarray(choice.stop_ids, jnp.int32)[None]).any(axis=-1)
    token = jnp.where(rows.done, -1, token)
    tokens = jax.lax.dynamic_update_slice_in_dim(rows.tokens, token[:, None], rows.step, axis=1)
    return Rows(rows.step + 1, tokens, rows.done | stops)


def _inputs(
    rows: Rows, ends: Int[Array, " batch"]
) -> tuple[Int[Array, "batch one"], Int[Array, "batch one"], Seen]:
    """The last tokens, their positions, and where those appended before them lie."""
    at = rows.step - 1
    slot = jnp.arange(rows.tokens.shape[1], dtype=jnp.int32)[None]
    last = jax.lax.dynamic_slice_in_dim(rows.tokens, at, 1, axis=1)
    return jnp.maximum(last, 0), (ends + at)[:, None], Seen(ends[:, None] + slot, slot < at)


def _store(cache: KeyValues, new: KeyValues, at: Int[Array, ""]) -> KeyValues:
    """The cache with the keys and values of one more token."""
    put = jax.lax.dynamic_update_slice_in_dim
    return KeyValues(*(put(whole, one, at, axis=2) for whole, one in zip(cache, new, strict=True)))


@functools.partial(jax.jit, static_argnames=("config", "choice"), donate_argnames=("rows", "cache"))
def append_token(
    params: Params,
    rows: Rows,
    cache: KeyValues,
    ends: Int[Array, " batch"],
    past: Sequence[Past],
    row_keys: Key[Array, " batch"],
    *,
    config: DecoderConfig,
    choice: Choice,
) -> tuple[Rows, KeyValues]:
    """Compute the last token of each row and append the next one; `rows` and `cache` are consumed.

    Args:
        params: Parameter tree.
        rows: What is appended so far, at least one token.
        cache: Keys and values of what is appended before the last token.
        ends: Position of each row's first appended token.
        past: The prompts.
        row_keys: One key a row.
        config: The architecture.
        choice: How the token is chosen.
    """
    last, positions, appended = _inputs(rows, ends)
    before = [*past, Past(cache, appended.visible, appended.positions)]
    hidden, new = forward(
        params, config, last, positions=positions, past=before, dtype=cache.keys.dtype
    )
    cache = _store(cache, new, rows.step - 1)
    return choose_token(params, config, hidden[:, 0], rows, row_keys, choice), cache


@functools.partial(jax.jit, static_argnames=("config", "dtype"))
def _enter(
    outer: Params,
    rows: Rows,
    ends: Int[Array, " batch"],
    seen: Sequence[Seen],
    *,
    config: DecoderConfig,
    dtype: Any,
) -> tuple[Float[Array, "batch width"], tuple[View, View]]:
    last, positions, appended = _inputs(rows, ends)
    # A row's prompt and what is appended to it lie in one cache, by one softmax's products.
    *shared, prompt = seen
    visible = jnp.broadcast_to(appended.visible, appended.positions.shape)
    own = Seen(
        jnp.concatenate([prompt.positions, appended.positions], axis=1),
        jnp.concatenate([prompt.visible, visible], axis=1),
    )
    views = make_views(
        config, jnp.ones_like(last), positions, positions.reshape(-1), 0, [*shared, own]
    )
    return embed(outer, config, last[:, 0], positions[:, 0], dtype), views


class Folded(NamedTuple):
    """Keys and values of every layer, or of one, in the order that attention's products read.

    (L, B, K, C, S) and (L, B, K, S, C), so that they need not be put into it for every token.
    """

    keys: Float[Array, "*layers batch kv_heads head_dim slots"]
    values: Float[Array, "*layers batch kv_heads slots head_dim"]


@functools.partial(jax.jit, static_argnames=("more",))
def _fold(kept: KeyValues, more: int = 0) -> Folded:
    """The same in the other order, with so many empty slots after them."""
    pad = [(0, 0)] * (kept.keys.ndim - 3) + [(0, more), (0, 0), (0, 0)]
    keys, values = (jnp.pad(x, pad) for x in kept)
    return Folded(jnp.moveaxis(keys, -3, -1), jnp.moveaxis(values, -3, -2))


def _unfold(kept: Folded) -> KeyValues:
    return KeyValues(jnp.moveaxis(kept.keys, -1, -3), jnp.moveaxis(kept.values, -2, -3))


@functools.partial(jax.jit, static_argnames=("config",), donate_argnames=("hidden",))
def _pass_layers(
    layers: list[Params],
    hidden: Float[Array, "batch width"],
    past: list[list[Folded]],
    view: View,
    *,
    config: DecoderConfig,
) -> tuple[Float[Array, "batch width"], list[Folded]]:
    made = []
    for layer, kept in zip(layers, past, strict=True):
        earlier = [_unfold(one) for one in kept]
        hidden, new = run_layer(hidden, layer, {}, earlier, view, 0.0, None, config)
        made.append(_fold(new))
    return hidden, made


@functools.partial(
    jax.jit, static_argnames=("config", "choice"), donate_argnames=("rows", "caches")
)
def _leave(
    outer: Params,
    hidden: Float[Array, "batch width"],
    rows: Rows,
    caches: list[Folded],
    new: list[Folded],
    row_keys: Key[Array, " batch"],
    *,
    config: DecoderConfig,
    choice: Choice,
) -> tuple[Rows, list[Folded]]:
    # Here, because a program that also reads a cache would copy it before it writes to it.
    at = caches[0].keys.shape[3] - rows.tokens.shape[1] + rows.step - 1
    put = jax.lax.dynamic_update_slice_in_dim
    stored = [
        Folded(put(cache.keys, one.keys, at, axis=3), put(cache.values, one.values, at, axis=2))
        for cache, one in zip(caches, new, strict=True)
    ]
    states = final_norm(outer, config, hidden)
    return choose_token(outer, config, states, rows, row_keys, choice), stored


def _runs(kinds: Sequence[bool]) -> Iterator[slice]:
    """Layers in their order, so many of one kind at a time."""
    for _, alike in itertools.groupby(range(len(kinds)), key=kinds.__getitem__):
        layers = list(alike)
        for first in layers[::LAYERS_A_CALL]:
            yield slice(first, min(first + LAYERS_A_CALL, layers[-1] + 1))


class LayerByLayer(NamedTuple):
    """A model whose layers are trees of their own, and its parameters without them."""

    layers: list[Params]
    outer: Params

    def begin(self, past: Sequence[Past], slots: int) -> tuple[list[list[Folded]], list[Folded]]:
        """What each layer knows of what all rows share, and of a row with slots for its tokens."""
        shared = [_fold(earlier.key_values) for earlier in past[:-1]]
        own = each_layer(_fold(past[-1].key_values, slots))
        return each_layer(shared) if shared else [[]] * len(own), own

    def append_token(
        self,
        rows: Rows,
        caches: list[Folded],
        ends: Int[Array, " batch"],
        seen: Sequence[Seen],
        shared: Sequence[Sequence[Folded]],
        row_keys: Key[Array, " batch"],
        *,
        config: DecoderConfig,
        choice: Choice,
    ) -> tuple[Rows, list[Folded]]:
        """As `append_token`, with the keys and values of each layer apart."""
        dtype = caches[0].keys.dtype
        hidden, (full, local) = _enter(self.outer, rows, ends, seen, config=config, dtype=dtype)
        all_local = config.sliding_window is not None
        kinds = config.local_layers or (all_local,) * config.num_layers
        past = [[*prefix, cache] for prefix, cache in zip(shared, caches, strict=True)]
        made: list[Folded] = []
        for run in _runs(kinds):
            view = local if kinds[run.start] else full
            hidden, new = _pass_layers(self.layers[run], hidden, past[run], view, config=config)
            made += new
        return _leave(
            self.outer, hidden, rows, caches, made, row_keys, config=config, choice=choice
        )


def split_layers(params: Params) -> LayerByLayer | None:
    """The model layer by layer, without a copy; None where its weights are not on one CPU."""
    leaves = jax.tree.leaves(params)
    devices = {device for leaf in leaves for device in leaf.devices()}
    if {device.platform for device in devices} != {"cpu"} or len(devices) > 1:
        return None
    model = {name: tree for name, tree in params["model"].items() if name != "layers"}
    return LayerByLayer(each_layer(params["model"]["layers"]), {**params, "model": model})


def each_layer(stacked: Any) -> list[Any]:
    """One tree a layer, of arrays on a CPU that are stacked on axis 0; nothing is copied."""
    # JAX takes over a view of host memory that is aligned as its own arrays are.
    host = jax.tree.map(np.asarray, stacked)
    count = len(jax.tree.leaves(host)[0])
    return [jax.device_put(jax.tree.map(lambda leaf, at=at: leaf[at], host)) for at in range(count)]
