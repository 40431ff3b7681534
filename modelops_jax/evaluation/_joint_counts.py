"""How often each row of small integers occurs, and what these rows weigh."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelops_jax._distinct import distinct_rows, placed_rows

from ._pair_counts import exact_sums, sum_weights


@dataclass(frozen=True)
class JointCounts:
    """The distinct ones of rows, in order.

    Args:
        rows: non-negative integers, int32 of shape (n, columns).
        counts: how often each occurs, int64.
        weights: what those weigh, shape (2, n): a float and what rounding left of it; None: 1 each.
    """

    rows: np.ndarray
    counts: np.ndarray
    weights: np.ndarray | None = None

    @classmethod
    def of_rows(cls, rows: np.ndarray, weight: np.ndarray | None) -> "JointCounts":
        """Count rows, which may have weights."""
        if weight is None:
            found, counts = distinct_rows(rows)
            return cls(found.astype(np.int32), counts)
        found, places = placed_rows(rows)
        several = len(found)
        sums = np.bincount(places, weight, several)
        counts = np.bincount(places, minlength=several)
        return cls(found.astype(np.int32), counts, np.stack([sums, np.zeros(several)]))

    @property
    def weight(self) -> np.ndarray | None:
        """What those of each weigh, float64; None: 1 each."""
        return None if self.weights is None else self.weights.sum(axis=0)

    def by(self, *columns: int) -> "JointCounts":
        """The same rows by some of their columns."""
        rows = self.rows[:, columns]
        if self.weights is None:
            found, counts = distinct_rows(rows, self.counts)
            return JointCounts(found.astype(np.int32), counts)
        found, places = placed_rows(rows)
        counts = np.bincount(places, self.counts, len(found)).astype(np.int64)
        twice, both = np.tile(places, 2), self.weights.reshape(-1)
        weights = exact_sums(twice, both, np.bincount(twice, minlength=len(found)))
        return JointCounts(found.astype(np.int32), counts, weights)

    def take(self, rows: np.ndarray) -> "JointCounts":
        """Some of the rows."""
        weights = None if self.weights is None else self.weights[:, rows]
        return JointCounts(self.rows[rows], self.counts[rows], weights)

    def renumbered(self, *places: np.ndarray) -> "JointCounts":
        """With other numbers in each column; for `joined`, in any order."""
        columns = [place[own] for place, own in zip(places, self.rows.T, strict=True)]
        return JointCounts(np.stack(columns, axis=1).astype(np.int32), self.counts, self.weights)


class GrowingCounts:
    """The distinct ones of rows that come in batches.

    Args:
        columns: how many columns a row has.
    """

    def __init__(self, columns: int) -> None:
        self._none = JointCounts(np.zeros((0, columns), np.int32), np.zeros(0, np.int64))
        # Distinct rows are counted together when there are twice as many as then.
        self._parts: list[JointCounts] = []

    def add(self, other: JointCounts) -> None:
        """Add rows."""
        self._parts.append(other)
        first, *rest = (len(part.counts) for part in self._parts)
        if sum(rest) >= first:
            self._parts = [joined(self._parts)]

    def whole(self) -> JointCounts:
        """All rows."""
        self._parts = [joined(self._parts)] if self._parts else []
        return self._parts[0] if self._parts else self._none

    def to_arrays(self) -> dict[str, np.ndarray]:
        """As named arrays."""
        whole = self.whole()
        found = {"rows": whole.rows, "counts": whole.counts}
        return found if whole.weights is None else found | {"weights": whole.weights}

    def set_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `to_arrays` gave."""
        self._parts = [JointCounts(arrays["rows"], arrays["counts"], arrays.get("weights"))]


def joined(parts: Sequence[JointCounts]) -> JointCounts:
    """All rows of one or more; those without weights weigh 1 beside others."""
    if len(parts) == 1:
        return parts[0]
    rows = np.concatenate([part.rows for part in parts])
    if all(part.weights is None for part in parts):
        every = np.concatenate([part.counts for part in parts])
        found, counts = distinct_rows(rows, every)
        return JointCounts(found.astype(np.int32), counts)
    found, places = placed_rows(rows)
    counts, weights = np.zeros(len(found), np.int64), np.zeros((2, len(found)))
    starts = np.cumsum([0, *(len(part.counts) for part in parts)])
    for part, start in zip(parts, starts, strict=False):
        at = places[start : start + len(part.counts)]  # each is there once
        counts[at] += part.counts
        own = np.zeros((2, len(part.counts)))
        own[0] = part.counts
        weights[:, at] = sum_weights(weights[:, at], own if part.weights is None else part.weights)
    return JointCounts(found.astype(np.int32), counts, weights)
