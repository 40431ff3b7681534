"""Losses of a score for every label of rows that have several, summed label by label.

y_true holds 0 or 1 (or an entry to ignore) and y_pred a number for each label, both of shape
(n, labels). The labels of a row are not independent, so that intervals resample whole rows.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ._exact import ExactCount, count_true
from ._finalizers import divide
from ._label_columns import LABEL_COMPLAINT, ScoredLabels
from ._label_finalizers import mean_of_labels
from ._metric import Outcome
from ._pair import Pair, sum_rows
from ._row_functions import RowFunction
from ._statistic import WEIGHT_COMPLAINT, Rows, SummedStatistic, float_type


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LabelSums:
    """Of every label: the weight of its rows, of those that have it, and the sum of a number."""

    weight: Pair
    actual: Pair
    total: Pair
    invalid: ExactCount


@dataclass(frozen=True)
class LabelScoreSums(ScoredLabels, SummedStatistic):
    """For every label the weighted sum over rows of `row(label, number)`."""

    row: RowFunction
    num_labels: int
    probabilities: bool = True
    ignore_index: int | None = None
    """Entries of y_true with this value are left out, and with them those of y_pred."""

    def complaints(self) -> dict[str, str]:
        wrong = "outside 0 to 1" if self.probabilities else "that is not finite"
        return {
            "y_true": LABEL_COMPLAINT,
            "y_pred": f"rows with a number {wrong}",
            "weight": WEIGHT_COMPLAINT,
        }

    def identity(self, *, weighted: bool = False, dtype: Any = jnp.float32) -> LabelSums:
        none = Pair.zeros((self.num_labels,), dtype)
        return LabelSums(none, none, none, ExactCount.zeros((3,)))

    def of_rows(self, rows: Rows) -> LabelSums:
        columns, bad_true, bad_pred = self._columns(rows)
        invalid = count_true(jnp, bad_true, bad_true, bad_pred, rows.bad_weight)
        return self._state(sum_rows(columns), invalid)

    def merge(self, left: LabelSums, right: LabelSums) -> LabelSums:
        return LabelSums(
            left.weight + right.weight,
            left.actual + right.actual,
            left.total + right.total,
            left.invalid + right.invalid,
        )

    def row_columns(self, rows: Rows, state: LabelSums) -> jax.Array:
        return self._columns(rows)[0]

    def of_column_sums(self, sums: Any, state: LabelSums) -> LabelSums:
        return self._state(Pair.of(sums), state.invalid)

    def _state(self, sums: Pair, invalid: ExactCount) -> LabelSums:
        weight, actual, total = (
            sums[..., k * self.num_labels : (k + 1) * self.num_labels] for k in range(3)
        )
        return LabelSums(weight, actual, total, invalid)

    def _columns(self, rows: Rows) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Weights, weights of true labels and weighted losses, side by side; and invalid rows."""
        pred = rows.y_pred.astype(float_type(rows.y_true, rows.y_pred, rows.weight))
        wrong = ~jnp.isfinite(pred)
        if self.probabilities:
            wrong = wrong | (pred < 0) | (pred > 1)
        true, here, _, bad_true, bad_pred = self.entries(rows, wrong)
        # Replaced before any arithmetic: nan times a weight of 0 is nan.
        pred = jnp.where(here, pred, jnp.full_like(pred, 0.5))
        loss = self.row(true.astype(jnp.int32).reshape(-1), pred.reshape(-1)).reshape(pred.shape)
        none = jnp.zeros_like(pred)
        weight = jnp.ones_like(pred)
        if rows.weight is not None:
            weight = jnp.broadcast_to(rows.weight.astype(pred.dtype)[:, None], pred.shape)
        parts = [
            jnp.where(here, weight, none),
            jnp.where(here & true, weight, none),
            jnp.where(here, weight * loss, none),
        ]
        return jnp.concatenate(parts, axis=1), bad_true, bad_pred


@dataclass(frozen=True)
class LabelMean:
    """The mean of every label, of all entries together, or of the labels' means.

    A label without entries is nan, counts as undefined, and is left out of means.
    """

    average: str | None

    def __call__(self, xp: Any, sums: LabelSums) -> Outcome:
        weight, total = sums.weight.value(), sums.total.value()
        if self.average == "micro":
            weight, total = weight.sum(-1), total.sum(-1)
        value = divide(xp, total, weight, float("nan"))
        if self.average in ("macro", "weighted"):
            value = mean_of_labels(xp, value, sums.actual.value(), self.average)
        return Outcome(value, (weight == 0).sum())
