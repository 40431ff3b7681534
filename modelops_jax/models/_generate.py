"""Batched generation with a key/value cache.

Three things make a batch cheap: prompts of like length are read together under a token budget,
the tokens that all prompts begin with (a system prompt) are read once, and the cache of the
prompts is never copied while new tokens are appended beside it.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Key

from ._append import (
    Choice,
    Folded,
    LayerByLayer,
    Rows,
    append_token,
    choose_token,
    split_layers,
)
from ._batching import LENGTH_STEP, batches, common_prefix, round_up
from ._config import DecoderConfig
from ._decoder import KeyValues, Past, forward
from ._params import Params
from ._sampling import check_sampling
from ._views import Seen

Progress = Callable[[int, int], None]
"""Called with the number of finished rows and the number of all rows."""

Ended = Callable[[int, list[int]], bool]
"""Asked with a prompt's index and its new tokens so far whether it is finished."""

# Looking at what an accelerator has made waits for it; it appends so many tokens between looks.
STEPS_BETWEEN_LOOKS = 8


@functools.partial(jax.jit, static_argnames=("config", "dtype"))
def _read_prefix(
    params: Params, token_ids: Int[Array, "one tokens"], *, config: DecoderConfig, dtype: Any
) -> KeyValues:
    return forward(params, config, token_ids, dtype=dtype)[1]


@functools.partial(jax.jit, static_argnames=("config", "dtype", "slots", "choice"))
def _read_prompts(
    params: Params,
    token_ids: Int[Array, "batch tokens"],
    lengths: Int[Array, " batch"],
    prefix: KeyValues | None,
    row_keys: Key[Array, " batch"],
    *,
    config: DecoderConfig,
    dtype: Any,
    slots: int,
    choice: Choice,
) -> tuple[Rows, list[Past]]:
    """The first token of each row, and what the tokens after it see."""
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
    empty = Rows(jnp.int32(0), jnp.full((batch, slots), -1, jnp.int32), jnp.zeros((batch,), bool))
    rows = choose_token(params, config, last, empty, row_keys, choice)
    return rows, [*shared, Past(prompt, real, positions)]


def _append_tokens(
    params: Params,
    split: LayerByLayer | None,
    rows: Rows,
    past: list[Past],
    ends: Int[Array, " batch"],
    row_keys: Key[Array, " batch"],
    limit: int,
    look: Callable[[Rows], Bool[np.ndarray, " batch"]],
    *,
    config: DecoderConfig,
    choice: Choice,
) -> Rows:
    """Append until every row has `limit` tokens or has ended, as `look` says."""
    batch, slots = rows.tokens.shape
    seen = [Seen(earlier.positions, earlier.visible) for earlier in past]
    shared: list[list[Folded]] = []
    if split is None:
        kind = past[-1].key_values.keys
        shape = (config.num_layers, batch, slots, *kind.shape[-2:])
        cache: Any = KeyValues(jnp.zeros(shape, kind.dtype), jnp.zeros(shape, kind.dtype))
    else:
        shared, cache = split.begin(past, slots)
    for step in range(1, limit):
        if split is not None or (step - 1) % STEPS_BETWEEN_LOOKS == 0:
            done = look(rows)
            if done.all():
                break
            rows = rows._replace(done=jnp.asarray(done))
        if split is None:
            rows, cache = append_token(
                params, rows, cache, ends, past, row_keys, config=config, choice=choice
            )
        else:
            rows, cache = split.append_token(
                rows, cache, ends, seen, shared, row_keys, config=config, choice=choice
            )
    return rows


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
    ended: Ended | None = None,
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
        ended: What else ends a prompt. It is asked from time to time, so that a few tokens may
            follow those it would have ended with.
        progress: Called as rows are finished.

    Returns:
        The new token ids of each prompt, in the order of the prompts.

    Raises:
        TypeError: An argument is no number, or none of its kind.
        ValueError: An argument is out of range, or a prompt is empty or leaves no room in the
            context; the message has the prompt's index.
    """
    check_sampling(max_new_tokens, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
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
    choice = Choice(stop_ids, temperature, top_k, top_p)
    split = split_layers(params) if max_new_tokens > 1 else None
    results: list[list[int]] = [[] for _ in prompts]
    finished = 0

    def new_tokens(tokens: np.ndarray) -> list[int]:
        return [id_ for id_ in tokens.tolist() if id_ >= 0 and id_ not in stop_ids]

    for batch in batches([prompt[shared:] for prompt in prompts], pad_id):
        at = np.resize(np.asarray(batch.rows), len(batch.lengths))
        numbers = at if rows is None else np.asarray(rows)[at]
        row_keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(
            key, jnp.asarray(numbers.astype(np.uint32))
        )
        lengths = jnp.asarray(batch.lengths)
        begun, past = _read_prompts(
            params,
            jnp.asarray(batch.token_ids),
            lengths,
            prefix,
            row_keys,
            config=config,
            dtype=dtype,
            slots=round_up(max_new_tokens, LENGTH_STEP),
            choice=choice,
        )

        def look(
            made: Rows, at: np.ndarray = at, real: int = len(batch.rows), before: int = finished
        ) -> np.ndarray:
            done = np.array(made.done)
            if ended is not None:
                tokens = np.asarray(made.tokens)
                for row in np.flatnonzero(~done):
                    done[row] = ended(int(at[row]), new_tokens(tokens[row]))
            if progress and not done.all():
                progress(before + int(done[:real].sum()), len(prompts))
            return done

        made = _append_tokens(
            params,
            split,
            begun,
            past,
            lengths + shared,
            row_keys,
            max_new_tokens,
            look,
            config=config,
            choice=choice,
        )
        for row, tokens in zip(batch.rows, np.asarray(made.tokens), strict=False):
            results[row] = new_tokens(tokens)
        finished += len(batch.rows)
        if progress:
            progress(finished, len(prompts))
    return results
