"""Log-likelihood of target tokens, without ever holding all logits."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ._config import DecoderConfig
from ._decoder import apply_head, output_head
from ._params import Params

# 512 rows of a 49,152-word vocabulary are 100 MB, which multiply at full speed; with half as many
# each step adds the gradients of the head to each other twice as often.
CHUNK = 512
# An accelerator adds up the gradients of the head as often as it is fed: fewer, larger pieces.
CHUNK_THERE = 2048


class TokenScores(NamedTuple):
    """For each target token: its log-likelihood (nats), and whether none was likelier."""

    log_likelihood: Float[Array, " targets"]
    is_top: Bool[Array, " targets"]


def score_targets(
    params: Params,
    config: DecoderConfig,
    hidden: Float[Array, "targets width"],
    targets: Int[Array, " targets"],
) -> TokenScores:
    """Score each target under the model's distribution at its hidden state.

    The logits are formed in chunks of few targets and formed again in the backward pass,
    so that memory does not grow with targets x vocabulary.

    Args:
        params: Parameter tree; its output head or tied embeddings are used.
        config: The architecture.
        hidden: Hidden states at the positions that predict the targets.
        targets: Token ids.

    Returns:
        Scores in the order of `targets`; log-likelihoods are float32 and at most 0.
    """
    return _scores(config, output_head(params), hidden, targets)


def sum_log_likelihood(
    params: Params,
    config: DecoderConfig,
    hidden: Float[Array, "targets width"],
    targets: Int[Array, " targets"],
    used: Bool[Array, " targets"],
) -> tuple[Float[Array, ""], TokenScores]:
    """The summed log-likelihood of the used targets, and the scores of all.

    The sum alone can be differentiated. Where it is, the forward pass computes the gradients chunk
    by chunk while it has the logits - those of the head only if the head is trained - so that no
    logits are formed twice.

    Args:
        params: Parameter tree; its output head or tied embeddings are used.
        config: The architecture.
        hidden: Hidden states at the positions that predict the targets.
        targets: Token ids.
        used: Which targets count; the others' scores mean nothing.

    Returns:
        The sum in nats, at most 0, and the scores in the order of `targets`.
    """
    return _sum(config, output_head(params), hidden, targets, used)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _sum(
    config: DecoderConfig, head: Array, hidden: Array, targets: Array, used: Array
) -> tuple[Array, TokenScores]:
    scores = _scores(config, head, hidden, targets)
    return jnp.where(used, scores.log_likelihood, 0.0).sum(), scores


def _sum_and_gradients(config: DecoderConfig, head: Any, hidden: Any, targets: Any, used: Any):
    trained, head = head.perturbed, head.value
    hidden, targets, used = hidden.value, targets.value, used.value

    def step(of_head: list[Array], piece: tuple[Array, ...]):
        states, ids, counted = piece
        # The states first: of a head that is not trained nothing is computed.
        given = (states, head) if trained else (states,)
        logits, pull = jax.vjp(lambda states, own=head: apply_head(own, config, states), *given)
        scores, exps, total = _score(logits, ids)
        is_target = jax.lax.broadcasted_iota(ids.dtype, logits.shape, 1) == ids[:, None]
        residual = is_target.astype(logits.dtype) - exps / total[:, None]
        of_states, *own = pull(residual * counted.astype(logits.dtype)[:, None])
        return jax.tree.map(jnp.add, of_head, own), (of_states, scores)

    start = [jnp.zeros_like(head)] if trained else []
    of_head, (of_hidden, scores) = jax.lax.scan(step, start, _chunks(hidden, targets, used))
    of_hidden, scores = _joined((of_hidden, scores), len(targets))
    total = jnp.where(used, scores.log_likelihood, 0.0).sum()
    return (total, scores), (of_head, of_hidden)


def _scaled_gradients(config: DecoderConfig, gradients: Any, cotangents: Any):
    by = cotangents[0]
    of_head, of_hidden = jax.tree.map(lambda leaf: leaf * by.astype(leaf.dtype), gradients)
    return (of_head[0] if of_head else None), of_hidden, None, None


_sum.defvjp(_sum_and_gradients, _scaled_gradients, symbolic_zeros=True)


def _scores(config: DecoderConfig, head: Array, hidden: Array, targets: Array) -> TokenScores:
    @jax.checkpoint
    def score(piece: tuple[Array, ...]) -> TokenScores:
        states, ids = piece
        return _score(apply_head(head, config, states), ids)[0]

    return _joined(jax.lax.map(score, _chunks(hidden, targets)), len(targets))


def _score(logits: Array, ids: Array) -> tuple[TokenScores, Array, Array]:
    """The scores, and the exponentials and their sums that the softmax is made of."""
    chosen = jnp.take_along_axis(logits, ids[:, None], axis=-1)[:, 0]
    top = jax.lax.stop_gradient(logits.max(axis=-1))
    exps = jnp.exp(logits - top[:, None])
    total = exps.sum(axis=-1)
    # No argmax, which takes XLA half as long on a CPU as the product that makes the logits.
    return TokenScores(chosen - top - jnp.log(total), chosen >= top), exps, total


def _chunks(hidden: Array, *others: Array) -> tuple[Array, ...]:
    """Pieces of equal size, so that the last one is not padded to a whole one."""
    count = len(hidden)
    most = CHUNK if jax.default_backend() == "cpu" else CHUNK_THERE
    chunk = -(-count // max(-(-count // most), 1))
    padding = -count % chunk
    return tuple(
        jnp.pad(column, ((0, padding), *((0, 0),) * (column.ndim - 1))).reshape(
            -1, chunk, *column.shape[1:]
        )
        for column in (hidden, *others)
    )


def _joined(pieces: Any, count: int) -> Any:
    """What was made of chunks, end to end and without the padding."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:count], pieces)
