"""Ranks in the place of scores, where only their order counts."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ._scores import ascending


def by_rank(state: Any, name: str = "score", *, together: bool = False, seen: Any = None) -> Any:
    """The same rows with mid-ranks in the field of that name, by column or all `together`.

    What two models' scores have in common where only their order counts: rows of the two can be
    swapped whatever the scales of the scores. Ranked are the entries that are `seen`, of rows that
    count; the others become 0. Of rows on devices call it where 64-bit types are enabled.
    """
    score: Any = getattr(state, name)
    there = isinstance(score, jax.Array)
    xp: Any = jnp if there else np
    ranks: Any = _ranks_on_devices if there else _ranks
    counts = (state.weight > 0).reshape(-1, *[1] * (score.ndim - 1))
    ranked = xp.broadcast_to(counts, score.shape) if seen is None else counts & seen
    if together or score.ndim == 1:
        found = ranks(score.reshape(-1), ranked.reshape(-1)).reshape(score.shape)
    else:
        columns = [ranks(score[:, k], ranked[:, k]) for k in range(score.shape[1])]
        found = xp.stack(columns, axis=1)
    return dataclasses.replace(state, **{name: found})


def _ranks(column: np.ndarray, ranked: np.ndarray) -> np.ndarray:
    """As shares: what is ranked may be of more rows for one model than for the other."""
    _, place, rows = np.unique(column[ranked], return_inverse=True, return_counts=True)
    found = np.zeros(column.shape)
    found[ranked] = (np.cumsum(rows) - 0.5 * rows)[place.reshape(-1)] / max(1, place.size)
    return found


def _ranks_on_devices(column: jax.Array, ranked: jax.Array) -> jax.Array:
    place = lax.iota(jnp.uint32, column.shape[0])
    # Scores are finite: what is not ranked comes last.
    wide = column.astype(jnp.float64)
    tie, row = ascending(jnp.where(ranked, wide, jnp.inf), place)
    new = tie[1:] != tie[:-1]
    edge = jnp.ones_like(tie[:1], bool)
    begins, ends = jnp.concatenate([edge, new]), jnp.concatenate([new, edge])
    first = lax.cummax(jnp.where(begins, place, 0)).astype(jnp.float64)
    after = lax.cummin(jnp.where(ends, place + 1, place.size), reverse=True).astype(jnp.float64)
    number = jnp.maximum(1, jnp.sum(ranked, dtype=jnp.int64)).astype(jnp.float64)
    middle = (after - 0.5 * (after - first)) / number
    return jnp.where(ranked, jnp.zeros_like(middle).at[row].set(middle), 0)
