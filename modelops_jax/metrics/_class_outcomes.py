"""Rows by class and outcome: what metrics of any number of classes need, if not all pairs."""

from dataclasses import dataclass, field

import jax.numpy as jnp

from ._counts import (
    IN_BOUNDS,
    CountedStatistic,
    Counts,
    as_codes,
    outside_classes,
    scatter_weights,
)
from ._exact import ExactCount, count_true
from ._ignored import is_ignored
from ._statistic import Rows


@dataclass(frozen=True)
class ClassOutcomes(CountedStatistic):
    """For every class its rows that are hit, those missed, and those of others taken for it.

    A row that is missed by one class is taken for another: two cells, so that tables cannot be
    drawn as those of one cell a row.
    """

    labels = ("y_true", "y_pred")

    num_classes: int
    ignore_index: int | None = field(default=None, kw_only=True)
    """Rows with this true label are as good as absent."""

    @property
    def shape(self) -> tuple[int, ...]:
        return (3, self.num_classes)

    def complaints(self) -> dict[str, str]:
        return outside_classes(self.num_classes) | super().complaints()

    def of_rows(self, rows: Rows) -> Counts:
        classes, cells = self.num_classes, self.size
        true, pred = as_codes(rows.y_true, "y_true"), as_codes(rows.y_pred, "y_pred")
        bad_true = (true < 0) | (true >= classes)
        bad_pred = (pred < 0) | (pred >= classes)
        here = jnp.ones_like(bad_true) if rows.keep is None else rows.keep
        if self.ignore_index is not None:
            here &= ~is_ignored(rows.y_true, self.ignore_index)
        invalid = count_true(jnp, true, bad_true & here, bad_pred & here, rows.bad_weight)
        here &= ~(bad_true | bad_pred)
        true, pred = true.astype(jnp.int32), pred.astype(jnp.int32)
        wrong = true != pred
        of_true = jnp.where(here, jnp.where(wrong, classes + true, true), cells)
        of_pred = jnp.where(here & wrong, 2 * classes + pred, cells)
        if rows.weight is not None:
            sums = [scatter_weights(slots, rows.weight, cells) for slots in (of_true, of_pred)]
            return Counts((sums[0] + sums[1]).reshape(self.shape), invalid)
        empty = jnp.zeros_like(of_true, shape=(cells + 1,))
        counts = empty.at[of_true].add(1, mode=IN_BOUNDS).at[of_pred].add(1, mode=IN_BOUNDS)
        return Counts(ExactCount.of(counts[:cells].reshape(self.shape)), invalid)
