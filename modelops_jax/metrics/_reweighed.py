"""Metrics of kept rows when each row counts as often as a resample drew it.

A weight is that many copies of the row, so that a resample of rows is a set of counts for the
rows there are: these are sorted once, and every set of counts is summed in that order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._scores import Scores
from ._values import Values

# From how often each row counts, shape (sets, n), to the values, shape (sets, ...).
Reweighed = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class SortedRows:
    """Entries in the order of a key. An entry is of one row, which may have several."""

    order: np.ndarray
    row: np.ndarray  # in order, the row of each entry
    weight: np.ndarray  # in order, of each entry's row, float64
    begins: np.ndarray  # the places at which a tie begins

    @classmethod
    def by(cls, key: np.ndarray, weight: Any, row: np.ndarray | None = None) -> "SortedRows":
        """Sort; `weight` is of the rows, and `row` of each entry, None if each is its own."""
        row = np.arange(key.size) if row is None else row
        order = np.argsort(key, kind="stable")
        ordered = key[order]
        new = np.concatenate([np.ones(min(1, key.size), bool), ordered[1:] != ordered[:-1]])
        row = row[order]
        return cls(order, row, np.asarray(weight, np.float64)[row], np.flatnonzero(new))

    def weights(self, counts: np.ndarray) -> np.ndarray:
        """The weight of each entry, shape (sets, entries)."""
        return counts[:, self.row] * self.weight

    def tied(self, column: np.ndarray) -> np.ndarray:
        """The sum over each tie, shape (sets, ties)."""
        if self.begins.size == self.row.size:
            return column
        return np.add.reduceat(column, self.begins, axis=1)

    @property
    def tie(self) -> np.ndarray:
        """By entry in the order it was given in, the number of its tie."""
        number = np.zeros(self.row.size, np.int64)
        number[self.begins[1:]] = 1
        found = np.empty_like(number)
        found[self.order] = np.cumsum(number)
        return found


def reweighed_area(state: Scores, row: np.ndarray | None = None) -> Reweighed:
    """The area under the ROC curve; `row` where a row has several entries."""
    sort = SortedRows.by(np.asarray(state.score), state.weight, row)
    positive = np.asarray(state.positive)[sort.order]

    def values(counts: np.ndarray) -> np.ndarray:
        weight = sort.weights(counts)
        up, down = sort.tied(weight * positive), sort.tied(weight * ~positive)
        upto = np.cumsum(down, axis=1)
        won = np.sum(up * (upto - 0.5 * down), axis=1)
        return _ratio(won, up.sum(axis=1) * down.sum(axis=1))

    return values


def reweighed_precision(state: Scores, row: np.ndarray | None = None) -> Reweighed:
    """The average precision; `row` where a row has several entries."""
    sort = SortedRows.by(-np.asarray(state.score), state.weight, row)
    positive = np.asarray(state.positive)[sort.order]

    def values(counts: np.ndarray) -> np.ndarray:
        weight = sort.weights(counts)
        up, every = sort.tied(weight * positive), sort.tied(weight)
        hits, passed = np.cumsum(up, axis=1), np.cumsum(every, axis=1)
        above = np.sum(up * hits / np.where(passed > 0, passed, 1), axis=1)
        return _ratio(above, up.sum(axis=1))

    return values


def reweighed_median(state: Values) -> Reweighed:
    """The median absolute error."""
    error = np.abs(np.asarray(state.true, np.float64) - np.asarray(state.pred, np.float64))
    sort = SortedRows.by(error, state.weight)
    ordered = error[sort.order]

    def values(counts: np.ndarray) -> np.ndarray:
        upto = np.cumsum(sort.weights(counts), axis=1)
        if not upto.size:
            return np.full(len(counts), np.nan)
        total = upto[:, -1:]
        # The first row with half of the weight up to it, and the last with half from it on.
        low, high = (np.argmax(half, axis=1) for half in (2 * upto >= total, 2 * upto > total))
        return np.where(total[:, 0] > 0, 0.5 * (ordered[low] + ordered[high]), np.nan)

    return values


def reweighed_rank_moments(
    state: Values,
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Squares and products of the centred mid-ranks, each of shape (sets,): see `rank_moments`."""
    sorts = [SortedRows.by(np.asarray(side), state.weight) for side in (state.true, state.pred)]
    ties = [sort.tie for sort in sorts]
    weight = np.asarray(state.weight, np.float64)

    def values(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        total = (counts @ weight)[:, None]
        squares, ranks = [], []
        for sort, tie in zip(sorts, ties, strict=True):
            of_tie = sort.tied(sort.weights(counts))
            centred = np.cumsum(of_tie, axis=1) - 0.5 * of_tie - 0.5 * total
            squares.append(np.sum(of_tie * centred**2, axis=1))
            ranks.append(centred[:, tie])
        products = np.sum(counts * weight * ranks[0] * ranks[1], axis=1)
        return squares[0], squares[1], products

    return values


def reweighed_gap(state: Scores, bins: int) -> Reweighed:
    """The distance of confidence and hits over bins of equal weight: see `EqualMassGap`."""
    confidence = np.asarray(state.score, np.float64)
    sort = SortedRows.by(confidence, state.weight)
    gap = (confidence - np.asarray(state.positive))[sort.order]
    cuts = np.arange(bins + 1) / bins

    def values(counts: np.ndarray) -> np.ndarray:
        weight = sort.weights(counts)
        mass, line = (_from_zero(sort.tied(column)) for column in (weight, weight * gap))
        total = mass[:, -1]
        heights = np.array(
            [np.interp(all_of_it * cuts, x, y) for all_of_it, x, y in zip(total, mass, line)]  # noqa: B905
        )
        return _ratio(np.abs(np.diff(heights, axis=1)).sum(axis=1), total)

    return values


def _from_zero(column: np.ndarray) -> np.ndarray:
    return np.pad(np.cumsum(column, axis=1), ((0, 0), (1, 0)))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """nan of nothing."""
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)
