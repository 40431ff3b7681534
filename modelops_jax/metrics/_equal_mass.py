"""Calibration in bins of equal weight: the rows themselves are the statistic."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ._calibration_bins import complaints, confidences
from ._exact import ExactCount, count_true
from ._ignored import without_ignored
from ._kept_rows import KeptRows
from ._metric import Outcome
from ._reweighed import Reweighed, reweighed_gap
from ._scores import Scores
from ._statistic import Rows, float_type


@dataclass(frozen=True)
class ConfidenceRows(KeptRows):
    """Every row's confidence (`score`), whether it was right (`positive`) and weight."""

    from_logits: bool = False
    ignore_index: int | None = None

    @property
    def pred_axes(self) -> tuple[int, ...]:
        return (1, 2)

    def complaints(self) -> dict[str, str]:
        return complaints(from_logits=self.from_logits)

    def identity(self, *, weighted: bool = False, dtype: Any = jnp.float32) -> Scores:
        none = jnp.zeros((0,), jnp.bool_)
        weight = jnp.zeros((0,), dtype) if weighted else none
        return Scores(jnp.zeros((0,), dtype), none, weight, ExactCount.zeros((3,)))

    def of_rows(self, rows: Rows) -> Scores:
        xp = np if isinstance(rows.y_true, np.ndarray) else jnp
        rows = without_ignored(rows, self.ignore_index)
        confidence, right, bad_true, bad_pred = confidences(rows, from_logits=self.from_logits)
        asked = xp.ones_like(right) if rows.keep is None else rows.keep
        bad_true, bad_pred = asked & bad_true, asked & bad_pred
        keep = asked & ~bad_true & ~bad_pred
        weight = keep if rows.weight is None else xp.where(keep, rows.weight, 0)
        invalid = count_true(xp, keep, bad_true, bad_pred, rows.bad_weight)
        return Scores(xp.where(keep, confidence, 0), keep & right, weight, invalid)


@dataclass(frozen=True)
class EqualMassGap:
    """The distance of confidence and hits over bins of equal weight; nan of no rows.

    Along the rows, by confidence and measured in weight, the sum of (confidence - hit) is a line
    with a knot where a tie ends; a bin's distance is how much the line rises or falls in it.
    """

    bins: int

    def __call__(self, xp: Any, state: Scores) -> Outcome:
        if xp is np:
            return Outcome(*self._gap(np, *(np.asarray(c) for c in _columns(state))))
        with jax.enable_x64(True):
            value, none = self._gap(jnp, *(lax.stop_gradient(c) for c in _columns(state)))
            value = value.astype(float_type(state.score))
        return Outcome(value, none)

    def reweighed(self, state: Scores) -> Reweighed:
        """The distance as a function of how often each row counts."""
        return reweighed_gap(state, self.bins)

    def _gap(self, xp: Any, confidence: Any, right: Any, weight: Any) -> tuple[Any, Any]:
        confidence, weight = confidence.astype(np.float64), weight.astype(np.float64)
        order = xp.argsort(confidence)
        confidence, weight = confidence[order], weight[order]
        gap = weight * (confidence - right[order].astype(np.float64))
        zero = xp.zeros_like(weight[:1], shape=(1,))
        mass = xp.concatenate([zero, xp.cumsum(weight)])
        line = xp.concatenate([zero, xp.cumsum(gap)])
        # A row inside a tie is no knot: it stands where the tie begins.
        ends = xp.concatenate([zero == 0, confidence[1:] != confidence[:-1], zero == 0])
        ends = ends[: mass.shape[0]]
        place = xp.where(ends, np.arange(mass.shape[0]), 0)
        knot = np.maximum.accumulate(place) if xp is np else lax.cummax(place)
        total = mass[-1]
        cuts = total * xp.asarray(np.arange(self.bins + 1) / self.bins)
        heights = xp.interp(cuts, mass[knot], line[knot])
        none = total == 0
        value = abs(xp.diff(heights)).sum() / xp.where(none, xp.ones_like(total), total)
        return xp.where(none, xp.full_like(value, float("nan")), value), none


def _columns(state: Scores) -> tuple[Any, Any, Any]:
    return state.score, state.positive, state.weight
