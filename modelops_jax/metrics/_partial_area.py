"""The area under the first part of the ROC curve, standardised by McClish.

What is measured is the area lost above the curve: a perfect curve loses exactly 0.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ._curve_points import points
from ._reweighed import Reweighed, SortedRows
from ._scores import Scores, ranked, value_type


def partial_area_on_host(state: Scores, max_fpr: float) -> tuple[float, bool]:
    """The standardised area up to a false positive rate, in NumPy, and whether undefined."""
    hits, alarms, _ = points(state)
    if not hits.size or hits[-1] == 0 or alarms[-1] == 0:
        return float("nan"), True
    start = np.zeros(1)
    before = (np.concatenate([start, counts[:-1]]) for counts in (hits, alarms))
    cut = max_fpr * alarms[-1]
    lost = _lost(np, (hits, alarms), tuple(before), hits[-1], cut)
    return float(_standardised(lost / (hits[-1] * cut), max_fpr)), False


def partial_area(state: Scores, max_fpr: float) -> tuple[jax.Array, jax.Array]:
    """The standardised area under tracing, and whether it is undefined.

    64-bit types are enabled for these lines only.
    """
    with jax.enable_x64(True):
        tie, up, down = ranked(state, descending=True)
        up, down = up.astype(jnp.float64), down.astype(jnp.float64)
        ends = jnp.concatenate([tie[1:] != tie[:-1], jnp.ones_like(tie[:1], bool)])
        # Within a tie the counts stay those where it begins, and its last row adds all of it.
        hits, alarms = (
            lax.cummax(jnp.where(ends, jnp.cumsum(side), jnp.zeros_like(side)))
            for side in (up, down)
        )
        before = (jnp.concatenate([jnp.zeros_like(c[:1]), c[:-1]]) for c in (hits, alarms))
        positives, negatives = jnp.sum(up), jnp.sum(down)
        undefined = (positives == 0) | (negatives == 0)
        cut = max_fpr * negatives
        lost = _lost(jnp, (hits, alarms), tuple(before), positives, cut)
        whole = jnp.where(undefined, jnp.ones_like(lost), positives * cut)
        area = _standardised(lost / whole, max_fpr)
        area = jnp.where(undefined, jnp.full_like(area, jnp.nan), area)
    return area.astype(value_type(state)), undefined


def reweighed_partial_area(state: Scores, max_fpr: float) -> Reweighed:
    """The standardised area as a function of how often each row counts."""
    sort = SortedRows.by(-np.asarray(state.score), state.weight)
    positive = np.asarray(state.positive)[sort.order]

    def values(counts: np.ndarray) -> np.ndarray:
        weight = sort.weights(counts)
        sides = [sort.tied(weight * side) for side in (positive, ~positive)]
        now = [np.cumsum(side, axis=1) for side in sides]
        before = [upto - side for upto, side in zip(now, sides, strict=True)]
        positives, negatives = (side.sum(axis=1, keepdims=True) for side in sides)
        cut = max_fpr * negatives
        whole = (positives * cut)[:, 0]
        lost = _lost(np, now, before, positives, cut)
        share = lost / np.where(whole > 0, whole, 1)
        return np.where(whole > 0, _standardised(share, max_fpr), np.nan)

    return values


def _lost(xp: Any, now: Any, before: Any, positives: Any, cut: Any) -> Any:
    """The area above the curve up to so many false positives; a tie is a straight line.

    `now` and `before` are the true and the false positives at the end of each step and at its
    beginning.
    """
    width = xp.minimum(now[1], cut) - xp.minimum(before[1], cut)
    run = now[1] - before[1]
    slope = (now[0] - before[0]) / xp.where(run > 0, run, xp.ones_like(run))
    return xp.sum(width * (positives - before[0] - slope * width / 2), axis=-1)


def _standardised(lost: Any, max_fpr: float) -> Any:
    """1 for nothing lost, 1/2 for what chance loses."""
    return 1 - lost / (2 - max_fpr)
