"""How many rows each pair of true and predicted class has, and what these rows weigh."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from modelops_jax._distinct import distinct_rows, placed_rows
from modelops_jax._two_sum import two_sum


@dataclass(frozen=True)
class PairCounts:
    """Rows by slice and pair of classes, of those that occur, in the order of slices, then pairs.

    Args:
        cells: int64, shape (n, 2): the true and the predicted class; or (n, 3): the slice, too,
            before them.
        counts: how many rows.
        weights: what they weigh, shape (2, n): a float and what rounding left of it as batches were
            added up; None: 1 each.
    """

    cells: np.ndarray
    counts: np.ndarray
    weights: np.ndarray | None = None

    @classmethod
    def of_none(cls, *, sliced: bool = False) -> "PairCounts":
        """Of no rows."""
        return cls(np.zeros((0, 3 if sliced else 2), np.int64), np.zeros(0, np.int64))

    @classmethod
    def of_rows(
        cls,
        true: np.ndarray,
        pred: np.ndarray,
        weight: np.ndarray | None = None,
        ids: np.ndarray | None = None,
    ) -> "PairCounts":
        """Of the class numbers of rows, and their slices."""
        rows = np.stack([true, pred] if ids is None else [ids, true, pred]).T
        if weight is None:
            return cls(*distinct_rows(rows))
        cells, place = placed_rows(rows)
        counts = np.bincount(place, minlength=len(cells))
        return cls(cells, counts, exact_sums(place, weight, counts))

    @property
    def true(self) -> np.ndarray:
        """The true class of each."""
        return self.cells[:, -2]

    @property
    def pred(self) -> np.ndarray:
        """The predicted class of each."""
        return self.cells[:, -1]

    @property
    def weight(self) -> np.ndarray | None:
        """What the rows of each weigh, float64; None: 1 each."""
        return None if self.weights is None else self.weights.sum(axis=0)

    def renumbered(self, places: np.ndarray, number: np.ndarray | None = None) -> "PairCounts":
        """With `places` for class numbers and `number` for slices; for `+`, in any order."""
        columns = [] if number is None else [number[self.cells[:, 0]]]
        columns += [places[self.true], places[self.pred]]
        return replace(self, cells=np.stack(columns, axis=1))

    def by_slice(self, numbers: Sequence[int] | np.ndarray) -> list["PairCounts"]:
        """Those of each of these slices."""
        bounds = (np.searchsorted(self.cells[:, 0], numbers, side) for side in ("left", "right"))
        parts = [slice(*ends) for ends in zip(*bounds, strict=True)]
        return [
            PairCounts(
                self.cells[part, 1:],
                self.counts[part],
                None if self.weights is None else self.weights[:, part],
            )
            for part in parts
        ]

    def __add__(self, other: "PairCounts") -> "PairCounts":
        """The rows of both."""
        both = (self, other)
        cells = np.concatenate([self.cells, other.cells])
        if self.weights is None and other.weights is None:
            counts = np.concatenate([self.counts, other.counts])
            return PairCounts(*distinct_rows(cells, counts))
        cells, place = placed_rows(cells)
        counts = np.zeros(len(cells), np.int64)
        sides = np.zeros((2, 2, len(cells)))
        where = np.split(place, [len(self.counts)])
        for side, part, at in zip(sides, both, where, strict=True):
            # Each pair is there once.
            counts[at] += part.counts
            side[0, at] = part.counts
            if part.weights is not None:
                side[:, at] = part.weights
        return PairCounts(cells, counts, sum_weights(*sides))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """As named arrays."""
        found = {"pairs": self.cells, "counts": self.counts}
        return found if self.weights is None else found | {"weights": self.weights}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "PairCounts":
        """What `to_arrays` gave."""
        return cls(arrays["pairs"], arrays["counts"], arrays.get("weights"))


def sum_weights(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Sums and what rounding left of them, shape (2, n), of two such."""
    total, rounded = two_sum(mine[0], theirs[0])
    return np.stack([total, mine[1] + theirs[1] + rounded])


def exact_sums(place: np.ndarray, weight: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The weight of the rows of each place, rounded once, and the zeros beside it."""
    by_place = weight[np.argsort(place, kind="stable")].tolist()
    ends = np.cumsum(counts).tolist()
    sums = [math.fsum(by_place[a:b]) for a, b in zip([0, *ends], ends, strict=False)]
    return np.stack([np.array(sums, np.float64), np.zeros(len(sums))])
