"""Confidences and whether they were right: what calibration is measured on."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._counts import scatter_weights
from ._exact import ExactCount, count_true
from ._ignored import without_ignored
from ._metric import Outcome
from ._pair import Pair
from ._statistic import (
    WEIGHT_COMPLAINT,
    Rows,
    SummedStatistic,
    float_type,
    require_labels,
)


def complaints(*, from_logits: bool) -> dict[str, str]:
    """What makes a row invalid, by argument."""
    wrong = "rows that are no probabilities (in 0 to 1, with a sum of 1)"
    return {
        "y_true": "labels that are no column of y_pred (of one column: 0 or 1)",
        "y_pred": "rows with logits that are not finite" if from_logits else wrong,
        "weight": WEIGHT_COMPLAINT,
    }


def confidences(rows: Rows, *, from_logits: bool) -> tuple[Any, Any, Any, Any]:
    """Each row's confidence, whether it was right, and where label and probabilities are invalid.

    Of shape (n,) the probability of class 1 and whether the label is 1; of shape (n, k) the
    highest probability and whether its class, the first of equal ones, is the label.
    """
    require_labels(rows.y_true, "y_true")
    label = rows.y_true.astype(np.int64 if rows.y_true.dtype.itemsize == 8 else np.int32)
    given = rows.y_pred
    pred = given.astype(float_type(given, rows.weight))
    if pred.ndim == 2 and pred.shape[1] < 2:
        raise ValueError(f"y_pred must have a column per class, 2 or more; it has {pred.shape[1]}")
    # Of logits, too: those that differ too little for their softmax to differ have a highest.
    best = pred.argmax(axis=1).astype(label.dtype) if pred.ndim == 2 else None
    if from_logits:
        fits = abs(pred) < float("inf")
        pred = _softmax(pred, fits)
    else:
        fits = (pred >= 0) & (pred <= 1)  # false of nan
    if best is None:
        return pred, label == 1, (label != 0) & (label != 1), ~fits
    fits = fits.all(axis=1)
    if not from_logits:
        fits = fits & _sums_to_one(given, pred)
    outside = (label < 0) | (label >= pred.shape[1])
    return pred.max(axis=1), best == label, outside, ~fits


def _softmax(logits: Any, finite: Any) -> Any:
    """The softmax of each row, of one column the sigmoid; of any number where it is not finite."""
    xp = np if isinstance(logits, np.ndarray) else jnp
    logits = xp.where(finite, logits, xp.zeros_like(logits))
    if logits.ndim == 1:
        # Of the two forms the one whose exponential cannot overflow.
        small = xp.exp(-abs(logits))
        return xp.where(logits >= 0, xp.ones_like(small), small) / (1 + small)
    raised = xp.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def _sums_to_one(given: Any, pred: Any) -> Any:
    """Whether each row does, to the precision in which it was given."""
    narrow = given.dtype if jnp.issubdtype(given.dtype, jnp.floating) else pred.dtype
    tolerance = float(jnp.finfo(narrow).eps) ** 0.5
    return abs(pred.sum(axis=1) - 1) <= tolerance


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class BinSums:
    """By bin of the confidence: weight of the rows, of their confidences, of those right."""

    weight: Pair
    confidence: Pair
    right: Pair
    invalid: ExactCount


@dataclass(frozen=True)
class CalibrationBins(SummedStatistic):
    """Rows by confidence, in `bins` bins of equal width.

    A bin holds its lower edge and the last one its upper edge, too. Edges are k / bins, rounded
    to the float type of the confidences, so that 0.3 is in the fourth of ten bins in any of them.
    """

    labels = ("y_true",)

    bins: int
    from_logits: bool = False
    ignore_index: int | None = None

    @property
    def pred_axes(self) -> tuple[int, ...]:
        return (1, 2)

    def complaints(self) -> dict[str, str]:
        return complaints(from_logits=self.from_logits)

    def identity(self, *, weighted: bool = False, dtype: Any = jnp.float32) -> BinSums:
        none = Pair.zeros((self.bins,), dtype)
        return BinSums(none, none, none, ExactCount.zeros((3,)))

    def of_rows(self, rows: Rows) -> BinSums:
        slot, weight, confidence, right, bad = self._placed(rows)
        columns = (weight, weight * confidence, jnp.where(right, weight, 0 * weight))
        total, confident, hits = (scatter_weights(slot, c, self.bins) for c in columns)
        return BinSums(total, confident, hits, count_true(jnp, slot, *bad, rows.bad_weight))

    def merge(self, left: BinSums, right: BinSums) -> BinSums:
        return BinSums(
            left.weight + right.weight,
            left.confidence + right.confidence,
            left.right + right.right,
            left.invalid + right.invalid,
        )

    def row_columns(self, rows: Rows, state: BinSums) -> jax.Array:
        slot, weight, confidence, right, _ = self._placed(rows)
        place = jax.nn.one_hot(slot, self.bins, dtype=weight.dtype)
        parts = (weight, weight * confidence, jnp.where(right, weight, 0 * weight))
        return jnp.concatenate([place * part[:, None] for part in parts], axis=1)

    def of_column_sums(self, sums: Any, state: BinSums) -> BinSums:
        parts = sums.reshape(-1, 3, self.bins)
        total, confident, hits = (Pair.of(parts[:, k]) for k in range(3))
        return BinSums(total, confident, hits, state.invalid)

    def _placed(self, rows: Rows) -> tuple[Any, Any, Any, Any, tuple[Any, Any]]:
        """Bin (one past the last: none), weight, confidence and hit of each row."""
        rows = without_ignored(rows, self.ignore_index)
        confidence, right, bad_true, bad_pred = confidences(rows, from_logits=self.from_logits)
        asked = jnp.ones_like(right) if rows.keep is None else rows.keep
        bad = asked & bad_true, asked & bad_pred
        keep = asked & ~bad_true & ~bad_pred
        confidence = jnp.where(keep, confidence, jnp.zeros_like(confidence))
        weight = jnp.ones_like(confidence) if rows.weight is None else rows.weight
        weight = jnp.where(keep, weight.astype(confidence.dtype), jnp.zeros_like(confidence))
        edges = jnp.array(np.arange(1, self.bins) / self.bins, confidence.dtype)
        place = jnp.searchsorted(edges, confidence, side="right").astype(jnp.int32)
        return jnp.where(keep, place, self.bins), weight, confidence, right, bad


@dataclass(frozen=True)
class CalibrationGap:
    """Mean distance of confidence and accuracy over the rows' bins, or the largest."""

    largest: bool

    def __call__(self, xp: Any, state: BinSums) -> Outcome:
        weight = state.weight.value()
        gap = abs(state.confidence.value() - state.right.value())
        if self.largest:
            some = weight > 0
            value = xp.where(some, gap / xp.where(some, weight, xp.ones_like(weight)), 0).max(-1)
        else:
            total = weight.sum(-1)
            value = gap.sum(-1) / xp.where(total > 0, total, xp.ones_like(total))
        none = weight.sum(-1) == 0
        return Outcome(xp.where(none, float("nan"), value), none.sum())
