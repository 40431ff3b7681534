"""Rows of which the lengths of two texts and the size of what they share are known.

y_true holds the length of the reference, shape (n,). y_pred has shape (n, 1 + m): the length of
the prediction, and m numbers of n-grams (or of units in order) that it shares with the reference.
How many n-grams a text has follows from its length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from ._rowwise import Prepared, RowMean, RowStatistic, blocks_of_rows, prepared
from ._statistic import WEIGHT_COMPLAINT, Rows, Statistic, float_type
from ._totals import RowTotals
from ._types import State


@dataclass(frozen=True)
class OverlapStatistic(RowStatistic):
    """A statistic of the lengths of two texts and of what they share."""

    orders: tuple[int, ...] = (1,)
    """The order of the n-grams that each column of y_pred, but the first, counts."""

    @property
    def pred_axes(self) -> tuple[int, ...]:
        return (2,)

    @classmethod
    def family(cls) -> type[Statistic]:
        return cls

    def complaints(self) -> dict[str, str]:
        return {
            "y_true": "lengths that are negative or not finite",
            "y_pred": "rows that are negative, not finite, or share more than the prediction has",
            "weight": WEIGHT_COMPLAINT,
        }

    def refuse(self, y_true: Any, y_pred: Any) -> None:
        columns = y_pred.shape[1]
        if columns != 1 + len(self.orders):
            raise ValueError(
                f"y_pred has {columns} columns; expected {1 + len(self.orders)}: the length of the "
                f"prediction, and the n-grams of order {', '.join(map(str, self.orders))} it shares"
            )

    def prepare(self, rows: Rows) -> Prepared:
        self.refuse(rows.y_true, rows.y_pred)
        dtype = float_type(rows.y_true, rows.y_pred, rows.weight)
        true, pred = rows.y_true.astype(dtype), rows.y_pred.astype(dtype)
        fits = jnp.all(jnp.isfinite(pred) & (pred >= 0), axis=1)
        for column, order in enumerate(self.orders, 1):
            fits = fits & (pred[:, column] <= ngrams(pred[:, 0], order))
        return prepared(rows, true, pred, ~(jnp.isfinite(true) & (true >= 0)), ~fits)

    @classmethod
    def of_rows_together(cls, statistics: Sequence[Any], rows: Rows) -> list[State]:
        # The columns are checked for each; what they have in common XLA finds itself.
        return [blocks_of_rows([statistic], rows)[0] for statistic in statistics]


@dataclass(frozen=True)
class OverlapTotals(OverlapStatistic, RowTotals):
    """Sums over rows of lengths, n-grams and what is shared."""


@dataclass(frozen=True)
class OverlapMean(OverlapStatistic, RowMean):
    """The weighted mean of a number of each row."""


def ngrams(length: Any, order: int) -> Any:
    """How many n-grams of this order a text of this length has."""
    return jnp.maximum(length - (order - 1), 0)


@dataclass(frozen=True)
class PredictedNgrams:
    """Lengths of prediction and reference, then by order the n-grams predicted, then shared."""

    orders: tuple[int, ...]

    def __call__(self, y_true: Any, y_pred: Any) -> tuple[Any, ...]:
        length = y_pred[:, 0]
        shared = [y_pred[:, column] for column, _ in enumerate(self.orders, 1)]
        return (length, y_true, *(ngrams(length, order) for order in self.orders), *shared)


@dataclass(frozen=True)
class NgramsOfBoth:
    """By order the n-grams predicted, then those of the reference, then those shared.

    Of orders of which the reference has none, those predicted do not count.
    """

    orders: tuple[int, ...]

    def __call__(self, y_true: Any, y_pred: Any) -> tuple[Any, ...]:
        true = [ngrams(y_true, order) for order in self.orders]
        pred = [ngrams(y_pred[:, 0], order) for order in self.orders]
        counted = [jnp.where(t > 0, p, jnp.zeros_like(p)) for t, p in zip(true, pred, strict=True)]
        return (*counted, *true, *(y_pred[:, column] for column, _ in enumerate(self.orders, 1)))


@dataclass(frozen=True)
class OverlapF1:
    """Twice the n-grams shared over all n-grams of both texts; `of_nothing` if there are none."""

    order: int = 1
    of_nothing: float = 0.0

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        both = ngrams(y_true, self.order) + ngrams(y_pred[:, 0], self.order)
        some = both > 0
        ratio = 2 * y_pred[:, 1] / jnp.where(some, both, jnp.ones_like(both))
        return jnp.where(some, ratio, self.of_nothing)
