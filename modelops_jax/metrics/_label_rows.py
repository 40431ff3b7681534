"""Rows of any number of labels each: y_true and y_pred of shape (n, labels), 0 or 1.

The labels of a row are not independent of each other, so that intervals resample whole rows. An
`ignore_index` leaves out single entries, those of y_true that have it, and with them what was
predicted; a row of which nothing is left is as good as absent.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ._counts import CellStatistic, Counts, TableStatistic
from ._exact import ExactCount, count_true
from ._ignored import is_ignored
from ._label_columns import LabelSets, indicators
from ._pair import sum_rows
from ._ratio import Quantity, ratio_parts
from ._rowwise import Prepared, RowMean, blocks_of_rows, prepared
from ._statistic import Rows, float_type
from ._types import State


@dataclass(frozen=True)
class LabelCounts(LabelSets, TableStatistic):
    """Rows by label and by (is it true of the row, is it predicted), in the order 00 01 10 11."""

    num_labels: int
    ignore_index: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (4, self.num_labels)

    def of_rows(self, rows: Rows) -> Counts:
        outcomes, bad_true, bad_pred = self._outcomes(rows)
        if rows.weight is None:
            counts = jnp.stack([jnp.sum(seen, axis=0, dtype=jnp.int32) for seen in outcomes])
            cells = ExactCount.of(counts)
        else:
            cells = sum_rows(self._weighted(rows.weight, outcomes)).reshape(self.shape)
        return Counts(cells, count_true(jnp, bad_true, bad_true, bad_pred, rows.bad_weight))

    def row_columns(self, rows: Rows, state: Counts) -> jax.Array:
        outcomes, _, _ = self._outcomes(rows)
        weight = jnp.ones(outcomes[0].shape[:1], float_type())
        return self._weighted(weight if rows.weight is None else rows.weight, outcomes)

    def _outcomes(self, rows: Rows) -> tuple[list[jax.Array], jax.Array, jax.Array]:
        """Where each of the four outcomes is, and the invalid rows of both arguments."""
        true, pred, seen, bad_true, bad_pred = _cells(self, rows.y_true, rows.y_pred)
        if rows.keep is not None:
            bad_true, bad_pred = bad_true & rows.keep, bad_pred & rows.keep
        valid = ~(bad_true | bad_pred)
        here = (valid if rows.keep is None else valid & rows.keep)[:, None]
        here = here if seen is None else here & seen
        outcomes = [~true & ~pred, ~true & pred, true & ~pred, true & pred]
        return [outcome & here for outcome in outcomes], bad_true, bad_pred

    def _weighted(self, weight: Any, outcomes: list[jax.Array]) -> jax.Array:
        none = jnp.zeros((), weight.dtype)
        return jnp.concatenate([jnp.where(seen, weight[:, None], none) for seen in outcomes], 1)


@dataclass(frozen=True)
class LabelSetMatchCounts(LabelSets, CellStatistic):
    """Rows by whether all their labels are predicted as they are."""

    num_labels: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (2,)

    @property
    def checks_labels(self) -> bool:
        return True

    def cell(self, y_true: Any, y_pred: Any) -> Any:
        true, pred, seen, bad_true, bad_pred = _cells(self, y_true, y_pred)
        right = true == pred if seen is None else (true == pred) | ~seen
        return jnp.all(right, axis=1).astype(jnp.int32), bad_true, bad_pred

    def absent(self, y_true: Any) -> jax.Array | None:
        if self.ignore_index is None:
            return None
        return jnp.all(is_ignored(y_true, self.ignore_index), axis=1)


@dataclass(frozen=True)
class LabelRowMean(LabelSets, RowMean):
    """The weighted mean of a number computed from all labels of a row.

    `row` gets floats: what is ignored is -1 in y_true and 0 in y_pred.
    """

    num_labels: int = 0
    ignore_index: int | None = None

    def prepare(self, rows: Rows) -> Prepared:
        true, pred, seen, bad_true, bad_pred = _cells(self, rows.y_true, rows.y_pred)
        dtype = float_type(rows.y_true, rows.y_pred, rows.weight)
        true, pred = true.astype(dtype), pred.astype(dtype)
        if seen is not None:
            true, pred = jnp.where(seen, true, -1), jnp.where(seen, pred, 0)
            some = jnp.any(seen, axis=1)
            rows = rows._replace(keep=some if rows.keep is None else rows.keep & some)
        return prepared(rows, true, pred, bad_true, bad_pred)

    @classmethod
    def of_rows_together(cls, statistics: Any, rows: Rows) -> list[State]:
        # The number of labels is checked for each; what they have in common XLA finds itself.
        return [blocks_of_rows([statistic], rows)[0] for statistic in statistics]


@dataclass(frozen=True)
class SampleRatio:
    """A ratio of the counts of one row's labels, 0 where it is 0/0."""

    quantity: Quantity
    beta: float

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        above, below = _parts(self, y_true, y_pred)
        some = below > 0
        return jnp.where(some, above / jnp.where(some, below, jnp.ones_like(below)), 0)


@dataclass(frozen=True)
class SampleDefined:
    """1 where the ratio of the counts of one row's labels is defined, else 0."""

    quantity: Quantity
    beta: float

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        _, below = _parts(self, y_true, y_pred)
        return (below > 0).astype(below.dtype)


def _parts(ratio: "SampleRatio | SampleDefined", true: Any, pred: Any) -> tuple[Any, Any]:
    has, not_has = (true == 1).astype(true.dtype), (true == 0).astype(true.dtype)
    hit, predicted, actual = (jnp.sum(flags, axis=1) for flags in (has * pred, pred, has))
    rejected, negatives = (jnp.sum(flags, axis=1) for flags in (not_has * (1 - pred), not_has))
    return ratio_parts(
        ratio.quantity, ratio.beta, hit, predicted, actual, lambda: (rejected, negatives)
    )


class Cells(NamedTuple):
    """Every label of every row, checked."""

    true: Any  # boolean, shape (n, labels)
    pred: Any
    seen: Any  # boolean: what is not ignored; None: all
    bad_true: Any  # boolean, shape (n,): rows with an entry that is neither 0 nor 1
    bad_pred: Any


def _cells(
    statistic: LabelCounts | LabelSetMatchCounts | LabelRowMean, y_true: Any, y_pred: Any
) -> Cells:
    true, other_true = indicators(y_true, "y_true", statistic.num_labels)
    pred, other_pred = indicators(y_pred, "y_pred", statistic.num_labels)
    seen = None
    if statistic.ignore_index is not None:
        seen = ~is_ignored(y_true, statistic.ignore_index)
        other_true, other_pred = other_true & seen, other_pred & seen
    return Cells(true, pred, seen, jnp.any(other_true, axis=1), jnp.any(other_pred, axis=1))


def label_table(table: Any) -> tuple[Any, Any, Any]:
    """Hits, predicted rows and true rows of every label, of tables shaped (..., 4, labels)."""
    hit = table[..., 3, :]
    return hit, table[..., 1, :] + hit, table[..., 2, :] + hit


def label_rejections(table: Any) -> tuple[Any, Any]:
    """For every label the rows rightly without it, and all rows that are truly without it."""
    rejected = table[..., 0, :]
    return rejected, rejected + table[..., 1, :]
