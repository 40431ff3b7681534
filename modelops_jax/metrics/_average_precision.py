"""Average precision of scored rows, on the host and under tracing.

Summed over positive rows: the precision of predicting positive from that row's score up, a tie
being predicted whole. The state is `Scores`, as for the area under the ROC curve.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ._scores import Scores, ranked, running_sum, value_type


def average_precision_on_host(state: Scores) -> tuple[float, bool]:
    """The average precision from concrete scores, in NumPy float64, and whether undefined."""
    weight = np.asarray(state.weight, np.float64)
    counts = weight > 0
    positive = np.asarray(state.positive) & counts
    if not positive.any():
        return float("nan"), True
    # From the best score down: the sums over the first rows keep their digits.
    cost = -np.asarray(state.score)
    high, up = _sorted(cost[positive], weight[positive])
    low, down = _sorted(cost[counts & ~positive], weight[counts & ~positive])
    hits = _passed(up)[np.searchsorted(high, high, side="right")]
    misses = _passed(down)[np.searchsorted(low, high, side="right")]
    return float(np.sum(up * (hits / (hits + misses))) / np.sum(up)), False


def average_precision(state: Scores) -> tuple[jax.Array, jax.Array]:
    """The average precision under tracing, and whether it is undefined.

    The rows from a score up are a running sum, read where the score's tie ends. 64-bit types are
    enabled for these lines only.
    """
    with jax.enable_x64(True):
        tie, up, down = ranked(state, descending=True)
        ends = jnp.concatenate([tie[1:] != tie[:-1], jnp.ones_like(tie[:1], bool)])
        hits, rows = _at_end(up, ends), _at_end(up + down, ends)
        # Rows of weight 0 alone have no precision, and no part in the mean.
        precision = hits / jnp.where(rows == 0, jnp.ones_like(rows), rows)
        positives = jnp.sum(up, dtype=jnp.float64)
        undefined = positives == 0
        whole = jnp.where(undefined, jnp.ones_like(positives), positives)
        share = jnp.sum(up.astype(jnp.float64) * precision) / whole
        value = jnp.where(undefined, jnp.full_like(whole, jnp.nan), share)
    return value.astype(value_type(state)), undefined


def _sorted(cost: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(cost)
    return cost[order], weight[order]


def _passed(weight: np.ndarray) -> np.ndarray:
    """The weight of the first k rows, for every k from 0."""
    return np.concatenate([np.zeros(1), running_sum(weight)])


def _at_end(values: jax.Array, ends: jax.Array) -> jax.Array:
    """The running sum at the last row of each row's tie, in float64."""
    total = jnp.cumsum(values, dtype=values.dtype).astype(jnp.float64)
    return lax.cummin(jnp.where(ends, total, jnp.full_like(total, jnp.inf)), reverse=True)
