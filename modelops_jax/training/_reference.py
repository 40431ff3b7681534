"""Log-likelihoods under the base model, computed once before a run."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Float32, Int

from modelops_jax.models import DecoderConfig, Params, score_targets

from ._batches import Batch
from ._objective import target_states
from ._placement import put_batches
from ._plan import Plan, batches_by_length
from ._tokenized import TokenizedDataset


@functools.partial(jax.jit, static_argnames=("config", "dtype"))
def _log_likelihood(
    params: Params, batch: Batch, *, config: DecoderConfig, dtype: Any
) -> Float[Array, " targets"]:
    states = target_states(params, None, config, batch, dtype=dtype, remat="none")
    return score_targets(params, config, states, jnp.asarray(batch.targets)).log_likelihood


def lower_reference(params: Params, batch: Batch, *, config: DecoderConfig, dtype: Any) -> Any:
    """The program of a batch, lowered for these arrays or shapes."""
    return _log_likelihood.lower(params, batch, config=config, dtype=dtype)


def reference_values(
    params: Params,
    config: DecoderConfig,
    rows: TokenizedDataset,
    plan: Plan,
    *,
    only: Int[np.ndarray, " sequences"] | None = None,
    mesh: Mesh | None = None,
    dtype: Any,
) -> Float32[np.ndarray, " targets"]:
    """The log-likelihood (nats) of every target of the rows.

    Args:
        params: Of the reference.
        config: Its architecture.
        rows: Tokenised rows.
        plan: Of the run, which decides the batches: a run that goes on from a checkpoint gets the
            same numbers to the last bit.
        only: Sequences to read, all by default; the targets of the others get nan.
        mesh: The devices, or None for one.
        dtype: Type of the activations.
    """
    ends = np.concatenate([[0], np.cumsum(rows.trained_counts)])
    values = np.full(ends[-1], np.nan, np.float32)
    for batch, members in batches_by_length(rows, plan, only=only):
        (placed,) = put_batches([batch], mesh)
        found = np.asarray(_log_likelihood(params, placed, config=config, dtype=dtype))
        places = np.concatenate([np.arange(ends[row], ends[row + 1]) for row in members])
        values[places] = found[: len(places)]
    return values
