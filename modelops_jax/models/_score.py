"""Log-likelihood of given completions."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ._batching import LENGTH_STEP, batches, round_up
from ._config import DecoderConfig
from ._decoder import forward
from ._likelihood import score_targets
from ._params import Params


@functools.partial(jax.jit, static_argnames=("config", "dtype", "targets"))
def _score_batch(
    params: Params,
    token_ids: Int[Array, "batch tokens"],
    lengths: Int[Array, " batch"],
    starts: Int[Array, " batch"],
    *,
    config: DecoderConfig,
    dtype: Any,
    targets: int,
) -> Float[Array, " batch"]:
    slot = jnp.arange(token_ids.shape[1], dtype=jnp.int32)[None]
    real = (slot < lengths[:, None]).astype(jnp.int32)
    hidden, _ = forward(params, config, token_ids, segment_ids=real, dtype=dtype)
    at = starts[:, None] + jnp.arange(targets, dtype=jnp.int32)[None]
    wanted = at < lengths[:, None]
    at = jnp.where(wanted, at, 1)
    states = jnp.take_along_axis(hidden, at[:, :, None] - 1, axis=1)
    ids = jnp.take_along_axis(token_ids, at, axis=1)
    scores = score_targets(params, config, states.reshape(-1, states.shape[-1]), ids.reshape(-1))
    return jnp.where(wanted, scores.log_likelihood.reshape(wanted.shape), 0.0).sum(axis=-1)


def score(
    params: Params,
    config: DecoderConfig,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    *,
    pad_id: int,
    dtype: Any = jnp.float32,
) -> tuple[Float[np.ndarray, " rows"], Int[np.ndarray, " rows"]]:
    """Log-likelihood (nats) of each completion after its prompt, and its number of tokens.

    Args:
        params: Parameter tree.
        config: The architecture.
        prompts: Token ids, at least one a prompt.
        completions: Token ids to score; an empty completion scores 0.
        pad_id: Any valid token id.
        dtype: Type of the activations.

    Returns:
        Sums of log-likelihoods, float32 and at most 0, and token counts.

    Raises:
        ValueError: The lists differ in length, or a prompt is empty or, with its completion,
            longer than the context; the message has the index.
    """
    if len(prompts) != len(completions):
        raise ValueError(f"{len(prompts)} prompts but {len(completions)} completions")
    for index, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        if not prompt:
            raise ValueError(f"prompts[{index}] has no tokens; expected at least one")
        if len(prompt) + len(completion) > config.max_position:
            raise ValueError(
                f"prompts[{index}] and its completion have {len(prompt) + len(completion)} tokens;"
                f" the model's context is {config.max_position}"
            )
    sums = np.zeros(len(prompts), np.float32)
    counts = np.asarray([len(completion) for completion in completions], np.int64)
    joined = [[*p, *c] for p, c in zip(prompts, completions, strict=True)]
    for batch in batches(joined, pad_id):
        starts = np.resize(
            np.asarray([len(prompts[row]) for row in batch.rows], np.int32), len(batch.lengths)
        )
        targets = max(max(len(completions[row]) for row in batch.rows), 1)
        values = _score_batch(
            params,
            jnp.asarray(batch.token_ids),
            jnp.asarray(batch.lengths),
            jnp.asarray(starts),
            config=config,
            dtype=dtype,
            targets=round_up(targets, LENGTH_STEP),
        )
        sums[batch.rows] = np.asarray(values)[: len(batch.rows)]
    return sums, counts
