"""How many rows each pair of true and predicted class has, and what these rows weigh."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

# Rows are counted in a table, rather than sorted, where it has at most so many cells a row.
_CELLS_PER_ROW = 4
# A pair of class numbers is one integer: the true one from this bit on.
_TRUE_BIT = np.int64(32)
_PREDICTED = np.int64((1 << 32) - 1)


@dataclass(frozen=True)
class PairCounts:
    """Rows by slice and pair of classes, of those that occur, in the order of slices, then pairs.

    Args:
        pairs: the pair of classes as one integer.
        counts: how many rows.
        weights: what they weigh, shape (2, n): a float and what rounding left of it, so that the
            sum does not depend on the batches; None: 1 each.
        ids: the slice; None: there are none.
    """

    pairs: np.ndarray
    counts: np.ndarray
    weights: np.ndarray | None = None
    ids: np.ndarray | None = None

    @classmethod
    def of_none(cls, *, sliced: bool = False) -> "PairCounts":
        """Of no rows."""
        none = np.zeros(0, np.int64)
        return cls(none, none, ids=none if sliced else None)

    @classmethod
    def of_rows(
        cls,
        true: np.ndarray,
        pred: np.ndarray,
        classes: int,
        weight: np.ndarray | None = None,
        ids: np.ndarray | None = None,
    ) -> "PairCounts":
        """Of the class numbers of rows, below `classes`."""
        few = classes * classes <= max(1 << 16, _CELLS_PER_ROW * len(true))
        if few and weight is None and ids is None:
            cells = np.bincount(true.astype(np.int64) * classes + pred, minlength=classes * classes)
            filled = np.flatnonzero(cells)
            return cls((filled // classes << _TRUE_BIT) | filled % classes, cells[filled])
        ids, pairs, place = _distinct(ids, joined(true, pred))
        counts = np.bincount(place, minlength=len(pairs))
        sums = None if weight is None else _sums(place, weight, counts)
        return cls(pairs, counts, sums, ids)

    @property
    def true(self) -> np.ndarray:
        """The true class of each."""
        return self.pairs >> _TRUE_BIT

    @property
    def pred(self) -> np.ndarray:
        """The predicted class of each."""
        return self.pairs & _PREDICTED

    @property
    def weight(self) -> np.ndarray | None:
        """What the rows of each weigh, float64; None: 1 each."""
        return None if self.weights is None else self.weights.sum(axis=0)

    def renumbered(self, places: np.ndarray, number: np.ndarray | None = None) -> "PairCounts":
        """With `places` for class numbers and `number` for slices; for `+`, in any order."""
        ids = None if self.ids is None or number is None else number[self.ids]
        return replace(self, pairs=joined(places[self.true], places[self.pred]), ids=ids)

    def of_slice(self, number: int) -> "PairCounts":
        """Those of one slice."""
        assert self.ids is not None
        rows = slice(*(np.searchsorted(self.ids, number, side) for side in ("left", "right")))
        weights = None if self.weights is None else self.weights[:, rows]
        return PairCounts(self.pairs[rows], self.counts[rows], weights)

    def __add__(self, other: "PairCounts") -> "PairCounts":
        """The rows of both."""
        both = (self, other)
        ids = None
        if self.ids is not None and other.ids is not None:
            ids = np.concatenate([self.ids, other.ids])
        ids, pairs, place = _distinct(ids, np.concatenate([self.pairs, other.pairs]))
        where = place[: len(self.pairs)], place[len(self.pairs) :]
        counts = np.zeros(len(pairs), np.int64)
        for part, at in zip(both, where, strict=True):
            counts[at] += part.counts  # each pair is there once
        if self.weights is None and other.weights is None:
            return PairCounts(pairs, counts, ids=ids)
        sides = np.zeros((2, 2, len(pairs)))
        for side, part, at in zip(sides, both, where, strict=True):
            side[0, at] = part.counts
            if part.weights is not None:
                side[:, at] = part.weights
        return PairCounts(pairs, counts, sum_weights(*sides), ids)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """As named arrays; of rows without slices."""
        found = {"pairs": self.pairs, "counts": self.counts}
        return found if self.weights is None else found | {"weights": self.weights}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "PairCounts":
        """What `to_arrays` gave."""
        return cls(arrays["pairs"], arrays["counts"], arrays.get("weights"))


def sum_weights(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Sums and what rounding left of them, shape (2, n), of two such."""
    total = mine[0] + theirs[0]
    part = total - mine[0]
    rounded = (mine[0] - (total - part)) + (theirs[0] - part)
    return np.stack([total, mine[1] + theirs[1] + rounded])


def joined(true: np.ndarray, pred: np.ndarray) -> np.ndarray:
    """Two class numbers of each row as one integer."""
    return (true.astype(np.int64) << _TRUE_BIT) | pred


def _distinct(
    ids: np.ndarray | None, pairs: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """The slices and pairs that occur together, in order, and for each entry which of them."""
    distinct, place = np.unique(pairs, return_inverse=True)
    if ids is None:
        return None, distinct, place
    several = max(1, len(distinct))
    cells, where = np.unique(ids.astype(np.int64) * several + place, return_inverse=True)
    return cells // several, distinct[cells % several], where


def _sums(place: np.ndarray, weight: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The weight of the rows of each place, rounded once, and the zeros beside it."""
    by_place = weight[np.argsort(place, kind="stable")].tolist()
    ends = np.cumsum(counts).tolist()
    starts = [0, *ends[:-1]]
    sums = [math.fsum(by_place[a:b]) for a, b in zip(starts, ends, strict=True)]
    return np.stack([np.array(sums, np.float64), np.zeros(len(sums))])
