"""True and false positives at every distinct score, counted on the host or where the rows lie."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ._packed import Packed
from ._scores import Scores, ascending, float_scores, running_sum
from ._sharded import few_sizes, gathering_program, layout_of_states, row_layout


class Points(NamedTuple):
    """Points of a curve, the highest score first."""

    hits: np.ndarray
    """Positive rows of at least this score: counts, or sums of weights, in float64."""

    alarms: np.ndarray
    """Negative ones."""

    scores: np.ndarray
    """In the scores' own type."""


class Three(NamedTuple):
    """Hits, or alarms, at points and at their neighbours."""

    before: Any
    here: Any
    after: Any


# Of fewer points the program would be one for every few of them.
_FEWEST = 512

# Which points between two others stay, from their hits and alarms.
Stays = Callable[[Three, Three], Any]


def points(state: Scores, stays: Stays | None = None) -> Points:
    """The points of concrete scores; None: all. The first and the last always stay.

    Of rows that lie on devices these exchange them among themselves, and only points are fetched.
    """
    layout = layout_of_states(state)
    if layout is None:
        return _left(_points_on_host(state), stays)
    with jax.enable_x64(True):
        divided = tuple(row_layout(leaf) is not None for leaf in jax.tree.leaves(state))
        columns, keep, count = gathering_program(_SortedPoints(stays), divided, layout)(state)
        number = int(jax.device_get(count))
        found = _kept(columns, keep, few_sizes(max(_FEWEST, number))).fetched()
    return Points(*(column[:number] for column in found))


def _points_on_host(state: Scores) -> Points:
    counts = np.asarray(state.weight) > 0
    score = np.asarray(state.score)[counts]
    weight = np.asarray(state.weight, np.float64)[counts]
    positive = np.asarray(state.positive)[counts]
    order = np.argsort(-score)
    score, positive, weight = score[order], positive[order], weight[order]
    last = np.flatnonzero(np.append(score[1:] != score[:-1], np.ones(min(1, score.size), bool)))
    # From the best score down the sums of few rows keep their digits.
    hits, alarms = (running_sum(np.where(side, weight, 0)) for side in (positive, ~positive))
    return Points(hits[last], alarms[last], score[last])


def _left(found: Points, stays: Stays | None) -> Points:
    if stays is None or found.hits.size <= 2:
        return found
    three = (Three(side[:-2], side[1:-1], side[2:]) for side in (found.hits, found.alarms))
    keep = np.concatenate([[True], stays(*three), [True]])
    return Points(*(column[keep] for column in found))


@dataclass(frozen=True)
class _SortedPoints:
    """The columns of `Points` at every row in order, at which of them to keep, and how many.

    Of the rows of all devices, where 64-bit types are enabled.
    """

    stays: Stays | None

    orders: ClassVar[bool] = True

    def __call__(self, xp: Any, state: Scores) -> tuple[Any, Any, Any]:
        counts = state.weight > 0
        score = float_scores(state.score)
        place = lax.iota(jnp.int32, score.shape[0])
        # Scores are finite: rows that do not count come last.
        key = jnp.where(counts, -score, jnp.inf)
        tie, row = ascending(key, place.astype(jnp.uint32))
        wide = jnp.int64 if state.weight.dtype == bool else jnp.float64
        weight = jnp.where(counts, state.weight, 0).astype(wide)[row]
        positive = state.positive[row]
        sides = (jnp.where(side, weight, 0) for side in (positive, ~positive))
        hits, alarms = (_running_sum(side).astype(jnp.float64) for side in sides)
        new = jnp.concatenate([tie[1:] != tie[:-1], jnp.ones_like(tie[:1], bool)])
        keep = new & (place < jnp.sum(counts, dtype=jnp.int32))
        if self.stays is not None:
            keep = keep & self._between(keep, place, hits, alarms)
        return (hits, alarms, state.score[row]), keep, jnp.sum(keep, dtype=jnp.int32)

    def _between(self, ends: Any, place: Any, hits: Any, alarms: Any) -> Any:
        """Which points stay, from the points before and after each."""
        assert self.stays is not None
        none = jnp.full_like(place[:1], -1)
        before = jnp.concatenate([none, lax.cummax(jnp.where(ends, place, -1))[:-1]])
        later = lax.cummin(jnp.where(ends, place, place.size), reverse=True)
        after = jnp.concatenate([later[1:], none + 1 + place.size])
        outer = (before < 0) | (after >= place.size)
        near = (jnp.clip(at, 0, place.size - 1) for at in (before, place, after))
        at = list(near)
        return outer | self.stays(*(Three(*(side[i] for i in at)) for side in (hits, alarms)))


def _running_sum(values: Any, run: int = 1024) -> Any:
    """`running_sum`. Rows that add nothing leave it as it is; sums in pairs of pairs may not."""
    if values.dtype == jnp.int64:
        return jnp.cumsum(values)
    columns = jnp.pad(values, (0, -values.size % run)).reshape(-1, run).T
    within = _one_by_one(columns)
    upto = _one_by_one(within[-1])
    before = jnp.concatenate([jnp.zeros_like(upto[:1]), upto[:-1]])
    return (within + before).T.reshape(-1)[: values.size]


def _one_by_one(values: Any) -> Any:
    def add(total: Any, value: Any) -> tuple[Any, Any]:
        return total + value, total + value

    return lax.scan(add, jnp.zeros_like(values[0]), values)[1]


@functools.partial(jax.jit, static_argnums=2)
def _kept(columns: tuple[Any, ...], keep: Any, size: int) -> Packed:
    """The columns where they are kept, then their first entries."""
    place = jnp.flatnonzero(keep, size=size, fill_value=0)
    return Packed.of(tuple(column[place] for column in columns))
