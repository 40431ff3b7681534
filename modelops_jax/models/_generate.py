"""Batched generation with a key/value cache.

Three things make a batch cheap: prompts of like length are read together under a token budget,
the tokens that all prompts begin with (a system prompt) are read once, and the cache of the
prompts is never copied while new tokens are appended beside it.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from ._batching import LENGTH_STEP, batches, common_prefix, round_up
from ._config import DecoderConfig
from ._decoder import KeyValues, Past, forward, unembed
from ._params import Params
from ._sampling import sample

Progress = Callable[[int, int], None]
"""Called with the number of finished rows and the number of all rows."""


@functools.partial(jax.jit, static_argnames=("config", "dtype"))
def _read_prefix(
    params: Params, token_ids: Int[Array, "one tokens"], *, config: DecoderConfig, dtype: Any
) -> KeyValues:
    return forward(params, config, token_ids, dtype=dtype)[1]


class _Decoding(NamedTuple):
    """State of the loop that appends tokens."""

    step: Int[Array, ""]
    tokens: Int[Array, "batch new"]
    done: Bool[Array, " batch"]
    cache: KeyValues


@functools.partial(
    jax.jit,
    static_argnames=("config", "dtype", "slots", "stop_ids", "temperature", "top_k", "top_p"),
)
def _decode(
    params: Params,
    token_ids: Int[Array, "batch tokens"],
    lengths: Int[Array, " batch"],
    prefix: KeyValues | None,
    row_keys: Key[Array, " batch"],
    limit: Int[Array, ""],
    *,
    config: DecoderConfig,
    dtype: Any,
    slots: int,
    stop_ids: tuple[int, ...],
    temperature: float,
    top_k: int | None,
    top_p: float | None,
) -> Int[Array, "batch slots"]:
    """Read the prompts, then append up to `limit` tokens a row; -1 fills the unused slots."""
    batch, tokens = token_ids.shape
    start = 0 if prefix is None else prefix.keys.shape[2]
    before = jnp.arange(start, dtype=jnp.int32)[None]
    shared = [] if prefix is None else [Past(prefix, jnp.ones((1, start), bool), before)]
    slot = jnp.arange(tokens, dtype=jnp.int32)[None]
    real = slot < lengths[:, None]
    positions = jnp.broadcast_to(slot + start, (batch, tokens))
    hidden, prompt = forward(
        params,
        config,
        token_ids,
        segment_ids=real.astype(jnp.int32),
        positions=positions,
        past=shared,
        dtype=dtype,
    )
    last = jnp.take_along_axis(hidden, lengths[:, None, None] - 1, axis=1)[:, 0]

    def choose(state: Float[Array, "batch width"], step: Int[Array, ""]) -> Int[Array, " batch"]:
        keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(row_keys, step)
        logits = unembed(params, config, state)
        return sample(logits, keys, temperature=temperature, top_k=top_k, top_p=top_p)

    def is_stop(token: Int[Array, " batch"]) -> Bool[Array, " batch"]:
        return (token[:, None] == jnp.asarray(stop_ids, jnp.int32)[None]).any(axis=-1)

    first = choose(last, jnp.int32(0))
    layers, _, _, kv_heads, head_dim = prompt.keys.shape
    empty = jnp.zeros((layers, batch, slots, kv_heads, head_dim), dtype)
    out = jnp.full((batch, slots), -1, jnp.int32).at[:, 0].set(first)

    def unfinished(state: _Decoding) -> Bool[Array, ""]:
        return (state.step < limit) & ~state.done.all()

    def append(state: _Decoding) -> _Decoding:
        appended = jnp.arange(slots, dtype=jnp.int32)[None]
        past = [
            *shared,
            Past(prompt, real, positions),
            Past(state.cache, appended < state.step - 1, (start + lengths)[:, None] + appended),
        ]
        previous = jax.lax.dynamic_slice_in_dim(state.tokens, state.step - 1, 1, axis=1)
        hidden, new = forward(
            params,
            config,
            jnp.maximum(previous, 0),
            positions=(start + lengths + state.step - 1)[:, None],
            past=past,
            dtype=dtype,
        )
        cache = KeyValues(
            *(
                jax.lax.dynamic_update_slice_in_dim(whole, piece, state.step - 1, axis=2)
                for whole, piece in zip(state.cache, new, strict=True)
            )
        )
        token = jnp.where(state.done, -1, choose(hidden[:, 0], state.step))
        tokens = jax.lax.dynamic_update_slice_in_dim(
            state.tokens, token[:, None], state.step, axis=1
        )
        return _Decoding(state.step + 1, tokens, state.done | is_stop(token), cache)

    start_state = _Decoding(jnp.int32(1), out, is_stop(first), KeyValues(empty, empty))
    return jax.lax.while_loop(unfinished, append, start_state).tokens


def generate(
    params: Params,
    config: DecoderConfig,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    stop_ids: tuple[int, ...],
    pad_id: int,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    rows: Sequence[int] | None = None,
    dtype: Any = jnp.float32,
    progress: Progress | None = None,
) -> list[list[int]]:
    """Continue each prompt until a stop token or `max_new_tokens`.

    Args:
        params: Parameter tree.
        config: The architecture.
        prompts: Token ids, at least one a prompt.
        max_new_tokens: Most tokens to append, the stop token included.
        stop_ids: Token ids that end a continuation; they are not returned.
        pad_id: Any valid token id.
        temperature: 0 takes the likeliest token; otherwise the softmax's temperature.
        top_k: Sample among the k likeliest tokens.
        top_p: Sample from the nucleus of this probability.
        seed: Draws depend on it, on the prompt's number and on the token's, not on the batches.
        rows: The number of each prompt, in the whole of which these are a part; its index here by
            default.
        dtype: Type of the activations.
        progress: Called after each batch.

    Returns:
        The new token ids of each prompt, in the order of the prompts.

    Raises:
        ValueError: An argument is out of range, or a prompt is empty or leaves no room in the
            context; the message has the prompt's index.
    """
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens must be at least 1, found {max_new_tokens}")
    if temperature < 0:
        raise ValueError(f"temperature must be 0 or positive, found {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, found {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be in (0, 1], found {top_p}")
    if rows is not None and len(rows) != len(prompts):
        raise ValueError(f"rows has {len(rows)} numbers for {len(prompts)} prompts")
    for index, prompt in enumerate(prompts):
        if not prompt:
            raise ValueError(f"prompts[{index}] has no tokens; expected at least one")
        if len(prompt) + max_new_tokens > config.max_position:
            raise ValueError(
                f"prompts[{index}] has {len(prompt)} tokens; with max_new_tokens="
                f"{max_new_tokens} that passes the model's context of {config.max_position}"
            )
    shared = common_prefix(prompts)
    prefix = None
    if shared:
        ids = jnp.asarray(np.asarray([prompts[0][:shared]], np.int32))
        prefix = _read_prefix(params, ids, config=config, dtype=dtype)
    key = jax.random.key(seed)
    results: list[list[int]] = [[] for _ in prompts]
    finished = 0
    for batch in batches([prompt[shared:] for prompt in prompts], pad_id):
        numbers = batch.rows if rows is None else [rows[row] for row in batch.rows]
        row_ids = np.resize(np.asarray(numbers, np.uint32), len(batch.lengths))
        tokens = _decode(
            params,
            jnp.asarray(batch.token_ids),
            jnp.asarray(batch.lengths),
            prefix,
            jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, jnp.asarray(row_ids)),
            jnp.int32(max_new_tokens),
            config=config,
            dtype=dtype,
            slots=round_up(max_new_tokens, LENGTH_STEP),
            stop_ids=stop_ids,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
        )
        for row, ids in zip(batch.rows, np.asarray(tokens).tolist(), strict=False):
            results[row] = [id_ for id_ in ids if id_ >= 0 and id_ not in stop_ids]
        finished += len(batch.rows)
        if progress:
            progress(finished, len(prompts))
    return results
