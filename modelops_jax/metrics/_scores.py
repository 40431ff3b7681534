"""Exact area under the ROC curve: the rows themselves are the statistic.

The area is the chance that a positive row's score is above a negative row's, ties counting one
half, so it depends on all pairs; its smallest exact statistic is the list of scores. The state
therefore grows with the rows, and merging concatenates.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ._exact import ExactCount, count_true
from ._ignored import without_ignored
from ._kept_rows import KeptRows
from ._pair_count import count_pairs
from ._statistic import WEIGHT_COMPLAINT, Rows, float_type, require_labels
from ._types import DType

_LABEL_BIT = np.uint32(31)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Scores:
    """Scored rows. `weight` is boolean for rows that count or not, a float for weighted rows."""

    score: Any
    positive: Any
    weight: Any
    invalid: ExactCount


@dataclass(frozen=True)
class ScoreRows(KeptRows):
    """Every row's score, label and weight."""

    ignore_index: int | None = None
    """Rows with this true label are as good as absent."""

    def identity(self, *, weighted: bool = False, dtype: Any = jnp.float32) -> Scores:
        return Scores(
            jnp.zeros((0,), dtype),
            jnp.zeros((0,), jnp.bool_),
            jnp.zeros((0,), dtype if weighted else jnp.bool_),
            ExactCount.zeros((3,)),
        )

    def complaints(self) -> dict[str, str]:
        return {
            "y_true": "labels other than 0 and 1",
            "y_pred": "scores that are not finite",
            "weight": WEIGHT_COMPLAINT,
        }

    def of_rows(self, rows: Rows) -> Scores:
        xp = np if isinstance(rows.y_true, np.ndarray) else jnp
        rows = without_ignored(rows, self.ignore_index)
        label, score = rows.y_true, rows.y_pred
        require_labels(label, "y_true")
        if not jnp.issubdtype(score.dtype, jnp.floating):
            score = score.astype(float_type(score) if xp is jnp else np.float64)
        asked = xp.ones_like(label, dtype=bool) if rows.keep is None else rows.keep
        bad_label = asked & (label != 0) & (label != 1)
        bad_score = asked & ~xp.isfinite(score)
        keep = asked & ~bad_label & ~bad_score
        weight = keep if rows.weight is None else xp.where(keep, rows.weight, 0)
        invalid = count_true(xp, keep, bad_label, bad_score, rows.bad_weight)
        return Scores(xp.where(keep, score, 0), keep & (label == 1), weight, invalid)


def pair_area_on_host(state: Scores) -> tuple[float, bool]:
    """The area from concrete scores, in NumPy, and whether it is undefined.

    Without weights the pairs are counted in integers and divided once.
    """
    counts = np.asarray(state.weight) > 0
    score, positive = np.asarray(state.score), np.asarray(state.positive)
    if state.weight.dtype == np.bool_:
        if not counts.all():
            score, positive = score[counts], positive[counts]
        pairs = count_pairs(score, positive)
        both = pairs.positives * pairs.negatives
        return (pairs.won / (2 * both) if both else float("nan")), not both
    positive = positive & counts
    negative = counts & ~positive
    if not positive.any() or not negative.any():
        return float("nan"), True
    high, low = score[positive], score[negative]
    weight = np.asarray(state.weight, np.float64)
    order = np.argsort(low)
    up, down = weight[positive], weight[negative][order]
    low = low[order]
    passed = np.concatenate([np.zeros(1), running_sum(down)])
    # In order of score the look-ups walk through memory once instead of jumping about.
    order = np.argsort(high)
    high, up = high[order], up[order]
    below = passed[np.searchsorted(low, high, side="left")]
    upto = passed[np.searchsorted(low, high, side="right")]
    return float(np.sum(up * (below + upto)) / (2 * np.sum(up) * np.sum(down))), False


def running_sum(values: np.ndarray, run: int = 1024) -> np.ndarray:
    """Cumulative sums whose error grows with the run, not with the whole length."""
    padded = np.pad(values, (0, -values.size % run)).reshape(-1, run)
    within = np.cumsum(padded, axis=1)
    before = np.concatenate([np.zeros(1), np.cumsum(within[:-1, -1])])
    return (within + before[:, None]).reshape(-1)[: values.size]


def pair_area(state: Scores) -> tuple[jax.Array, jax.Array]:
    """The area under tracing, and whether it is undefined.

    The negatives up to a positive are a running sum, and those below its tie are that sum's
    value where the tie begins. 64-bit types are enabled for these lines only: pairs are counted
    in int64 (weighed in float64) and none of it leaves.
    """
    with jax.enable_x64(True):
        tie, up, down = ranked(state)
        zero = jnp.zeros_like(up)
        upto = jnp.cumsum(down, dtype=down.dtype)
        before = jnp.concatenate([zero[:1], upto[:-1]])
        begins = jnp.concatenate([jnp.ones_like(tie[:1], bool), tie[1:] != tie[:-1]])
        below = lax.cummax(jnp.where(begins, before, zero))
        wide = jnp.float64 if up.dtype == jnp.float64 else jnp.int64
        pairs = jnp.sum(up.astype(wide) * (below.astype(wide) + upto.astype(wide)))
        positives = jnp.sum(up, dtype=wide).astype(jnp.float64)
        negatives = jnp.sum(down, dtype=wide).astype(jnp.float64)
        undefined = (positives == 0) | (negatives == 0)
        whole = jnp.where(undefined, jnp.ones_like(positives), 2.0 * positives * negatives)
        share = pairs.astype(jnp.float64) / whole
        area = jnp.where(undefined, jnp.full_like(whole, jnp.nan), share)
    return area.astype(value_type(state)), undefined


def value_type(state: Scores) -> DType:
    """The type of a value that depends on the order of the scores alone: theirs, or float64.

    A program that has 64-bit types enabled gets float64 whatever the scores are.
    """
    return jnp.promote_types(float_type(state.score), jnp.zeros(()).dtype)


def ranked(state: Scores, *, descending: bool = False) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Rows in the order of their scores: integers that tell scores apart, and the weights.

    The weight of a row is in the second array if it is positive, else in the third, and 0 in the
    other: int32 counts, or float64 for weighted rows. Call it where 64-bit types are enabled.

    Sorts unsigned integers in the order of the scores: XLA sorts floats on a CPU several times
    more slowly. Below a score's bits come its label, so that the negatives of a tie precede its
    positives, and what finds its weight.
    """
    score, weight = float_scores(state.score), lax.stop_gradient(state.weight)
    weighted = weight.dtype != bool
    if weighted:
        tag = lax.iota(jnp.uint32, score.shape[0])
    else:
        tag = weight.astype(jnp.uint32)
    tag = tag | (state.positive.astype(jnp.uint32) << _LABEL_BIT)
    tie, tag = ascending(-score if descending else score, tag)
    positive, tag = tag >> _LABEL_BIT != 0, tag & np.uint32((1 << 31) - 1)
    weight = weight[tag].astype(jnp.float64) if weighted else tag.astype(jnp.int32)
    zero = jnp.zeros_like(weight)
    return tie, jnp.where(positive, weight, zero), jnp.where(positive, zero, weight)


def float_scores(score: jax.Array) -> jax.Array:
    """Scores to be sorted, of 32 bits or 64."""
    score = lax.stop_gradient(score)
    return score.astype(float_type(score))


def ascending(score: jax.Array, tag: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Sort by score, then tag: unsigned integers that tell scores apart, and the tags."""
    score = jnp.where(score == 0, jnp.zeros_like(score), score)  # -0.0 ties with 0.0
    if score.dtype == jnp.float64:
        key, tag = lax.sort((ordered_bits(score, jnp.uint64), tag), num_keys=2)
        return key, tag
    key = ordered_bits(score, jnp.uint32).astype(jnp.uint64)
    packed = lax.sort((key << np.uint64(32)) | tag.astype(jnp.uint64))
    return packed >> np.uint64(32), packed.astype(jnp.uint32)


def ordered_bits(score: jax.Array, unsigned: Any) -> jax.Array:
    """Unsigned integers in the order of finite floats: flip a negative's bits, else its sign."""
    bits = lax.bitcast_convert_type(score, unsigned)
    sign = unsigned(1 << (jnp.iinfo(unsigned).bits - 1))
    return jnp.where(bits & sign != 0, ~bits, bits | sign)
