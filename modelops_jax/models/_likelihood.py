"""Log-likelihood of target tokens, without ever holding all logits."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ._config import DecoderConfig
from ._decoder import unembed
from ._params import Params

# 256 rows of a 49,152-word vocabulary are 50 MB: big enough to multiply at full speed.
CHUNK = 256


class TokenScores(NamedTuple):
    """For each target token: its log-likelihood (nats), and whether it was the likeliest one."""

    log_likelihood: Float[Array, " targets"]
    is_top: Bool[Array, " targets"]


def score_targets(
    params: Params,
    config: DecoderConfig,
    hidden: Float[Array, "targets width"],
    targets: Int[Array, " targets"],
) -> TokenScores:
    """Score each target under the model's distribution at its hidden state.

    The logits are formed in chunks of at most 256 targets and formed again in the backward pass,
    so that memory does not grow with targets x vocabulary.

    Args:
        params: Parameter tree; its output head or tied embeddings are used.
        config: The architecture.
        hidden: Hidden states at the positions that predict the targets.
        targets: Token ids.

    Returns:
        Scores in the order of `targets`; log-likelihoods are float32 and at most 0.
    """
    count, width = hidden.shape
    # Chunks of equal size: the last one is not padded to a whole one.
    chunk = -(-count // max(-(-count // CHUNK), 1))
    padding = -count % chunk
    chunks = (
        jnp.pad(hidden, ((0, padding), (0, 0))).reshape(-1, chunk, width),
        jnp.pad(targets, (0, padding)).reshape(-1, chunk),
    )

    @jax.checkpoint
    def score(piece: tuple[Array, Array]) -> TokenScores:
        states, ids = piece
        logits = unembed(params, config, states)
        chosen = jnp.take_along_axis(logits, ids[:, None], axis=-1)[:, 0]
        is_top = jnp.argmax(logits, axis=-1).astype(ids.dtype) == ids
        return TokenScores(chosen - jax.nn.logsumexp(logits, axis=-1), is_top)

    scores = jax.lax.map(score, chunks)
    return TokenScores(scores.log_likelihood.reshape(-1)[:count], scores.is_top.reshape(-1)[:count])
