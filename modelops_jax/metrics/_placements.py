"""DeLong's placements: of each row the share of the other class's rows that it beats.

Ties count one half. They are counted in integers, on the host or where the rows lie, and divided
once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from ._scores import Scores, ascending, float_scores
from ._sharded import layout_of_states, of_all_rows


class Placed(NamedTuple):
    """What the placements of one model's rows, or of two models' same rows, come to."""

    areas: tuple[float, ...]
    """Of each model; nan unless both classes occur."""

    difference: float
    """Of the first area less the second's; of one model, its area."""

    error: float
    """DeLong's, of the difference; nan unless both classes have two rows."""

    ups: int
    """Positive rows."""

    downs: int
    """Negative rows."""


def placed(states: Sequence[Scores]) -> Placed:
    """Of one state or two, all of them on the host, or of rows that lie on devices alike.

    Raises:
        ValueError: weights other than 0 and 1.
    """
    layout = layout_of_states(tuple(states))
    if layout is None:
        return _placed_on_host(states)
    wins, mean, variance, rows, alike = of_all_rows(_PlacedAreas(), tuple(states), layout)
    _check_alike(bool(alike))
    areas = tuple(float(won) for won in wins)
    return Placed(areas, float(mean), math.sqrt(variance), int(rows[0]), int(rows[1]))


def spread(*sides: tuple[np.ndarray, np.ndarray]) -> float:
    """DeLong's error from the placements of either class and how many rows have each."""
    variance = 0.0
    for placement, rows in sides:
        count = float(rows.sum())
        if count < 2:
            return math.nan
        centred = placement - np.sum(rows * placement) / count
        variance += float(np.sum(rows * centred**2)) / (count - 1) / count
    return math.sqrt(variance)


def _placed_on_host(states: Sequence[Scores]) -> Placed:
    ups, downs = zip(*map(_placements, states), strict=True)
    both = min(ups[0].size, downs[0].size) > 0
    areas = tuple(float(np.mean(up)) if both else math.nan for up in ups)
    # Of the differences: an equal area of an equal model is then exactly no difference.
    up, down = ups[0], downs[0]
    if len(states) > 1:
        up, down = up - ups[1], down - downs[1]
    error = spread(*((side, np.ones(side.size)) for side in (up, down)))
    return Placed(areas, float(np.mean(up)) if both else math.nan, error, up.size, down.size)


def _placements(state: Scores) -> tuple[np.ndarray, np.ndarray]:
    """The placements of the positive rows, and of the negative ones, in the order of the rows."""
    weight = np.asarray(state.weight)
    _check_alike(weight.dtype == bool or bool(np.isin(weight, (0, 1)).all()))
    counts = weight > 0
    positive, score = np.asarray(state.positive)[counts], np.asarray(state.score)[counts]
    order = np.argsort(score)
    score, up = score[order], positive[order]
    first = np.concatenate([np.ones(min(1, score.size), bool), score[1:] != score[:-1]])
    start, tie = np.flatnonzero(first), np.cumsum(first) - 1
    positives, negatives = (_tied(up, start), _tied(~up, start))
    below = np.cumsum(negatives) - negatives
    above = positives.sum() - np.cumsum(positives)
    won = np.empty(score.size, np.int64)
    won[order] = np.where(up, (2 * below + negatives)[tie], (2 * above + positives)[tie])
    high, low = won[positive], won[~positive]
    return high / max(1, 2 * low.size), low / max(1, 2 * high.size)


def _tied(flags: np.ndarray, start: np.ndarray) -> np.ndarray:
    """How many flags are set from each start to the next."""
    passed = np.concatenate([np.zeros(1, np.int64), np.cumsum(flags, dtype=np.int64)])
    return np.diff(passed[np.append(start, flags.size)])


def _check_alike(alike: bool) -> None:
    if not alike:
        raise ValueError(
            "weight holds numbers other than 0 and 1; DeLong's error is that of rows of weight 1: "
            "a weight says how often a row counts, not how many independent rows it stands for"
        )


@dataclass(frozen=True)
class _PlacedAreas:
    """Areas, their difference, its variance, the rows of either class; are weights 0 and 1?

    Of the rows of all devices, where 64-bit types are enabled.
    """

    orders: ClassVar[bool] = True

    def __call__(self, xp: Any, *states: Scores) -> tuple[Any, ...]:
        weight = states[0].weight
        alike = jnp.all((weight == 0) | (weight == 1))
        up = states[0].positive & (weight > 0)
        down = ~states[0].positive & (weight > 0)
        rows = [jnp.sum(side, dtype=jnp.int64) for side in (up, down)]
        pairs = 2 * rows[0] * rows[1]
        defined = jnp.where(pairs > 0, pairs, 1).astype(jnp.float64)

        def share(won: Any) -> Any:
            total = jnp.sum(jnp.where(up, won, 0)).astype(jnp.float64)
            return jnp.where(pairs > 0, total / defined, jnp.nan)

        of_model = [_twice_won(state, up, down) for state in states]
        won = of_model[0] if len(states) == 1 else of_model[0] - of_model[1]
        variance = jnp.zeros((), jnp.float64)
        for side, count in zip((up, down), rows, strict=True):
            own = jnp.where(side, won, 0)
            # Below half of the square of the rows, and exactly 0 where all placements are equal.
            pull = jnp.where(side, own * count - jnp.sum(own), 0).astype(jnp.float64) / defined
            few = count < 2
            degrees = jnp.where(few, 1, (count - 1) * count).astype(jnp.float64)
            variance += jnp.where(few, jnp.nan, jnp.sum(pull**2) / degrees)
        return jnp.stack([share(one) for one in of_model]), share(won), variance, rows, alike


def _twice_won(state: Scores, up: Any, down: Any) -> Any:
    """For each row how many of the other class it beats, ties counting one half, times two."""
    place = lax.iota(jnp.uint32, state.score.shape[0])
    tie, row = ascending(float_scores(state.score), place)
    new = tie[1:] != tie[:-1]
    begins = jnp.concatenate([jnp.ones_like(tie[:1], bool), new])
    ends = jnp.concatenate([new, jnp.ones_like(tie[:1], bool)])

    def below_and_upto(side: Any) -> Any:
        """Rows below the tie's score and rows up to it, added up."""
        own = side[row].astype(jnp.int64)
        upto = jnp.cumsum(own)
        below = lax.cummax(jnp.where(begins, upto - own, 0))
        return below + lax.cummin(jnp.where(ends, upto, jnp.sum(own)), reverse=True)

    above = 2 * jnp.sum(up, dtype=jnp.int64) - below_and_upto(up)
    won = jnp.where(up[row], below_and_upto(down), above)
    return jnp.zeros_like(won).at[row].set(won)
