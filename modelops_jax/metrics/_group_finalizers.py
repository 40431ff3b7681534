"""From ranked groups to the mean of a quantity over groups.

The degenerate cases of the metrics of ranked groups are decided here and nowhere else.
"""

import abc
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ._finalizers import divide
from ._group_ranks import Ranking, precision_scope, rank_groups
from ._group_rows import GroupedValues, GroupRows
from ._metric import Metric, Outcome
from ._sharded import layout_of_states, of_all_rows
from ._statistic import float_type


@dataclass(frozen=True)
class GroupMean(abc.ABC):
    """The weighted mean over groups of a quantity of the first k ranks.

    Args:
        k: how many ranks count; None: all.
    """

    complaint: ClassVar[str] = (
        "groups whose rows have different weights; it is the group that has a weight, and rows of "
        "weight 0 are absent"
    )

    k: int | None = None

    @abc.abstractmethod
    def ratio(self, rows: Ranking) -> tuple[Any, Any]:
        """What is divided, and by what, at the first row of each group (see `Ranking.of_groups`).

        A group that divides by 0 is undefined.
        """

    def top(self, rows: Ranking, column: Any) -> Any:
        """For each group the sum over the first k ranks."""
        if self.k is not None:
            column = rows.xp.where(rows.rank <= self.k, column, rows.xp.zeros_like(column))
        return rows.of_groups(column)

    def ranks(self, rows: Ranking) -> Any:
        """For each group how many relevant rows the first k ranks could hold."""
        relevant = rows.group_relevant
        return relevant if self.k is None else rows.xp.minimum(relevant, float(self.k))

    def __call__(self, xp: Any, state: GroupedValues) -> Outcome:
        with precision_scope(xp):
            dtype = np.float64 if xp is np else float_type(state.true)
            if not state.true.shape[0]:
                return Outcome(xp.full((), np.nan, dtype), xp.ones((), np.int32))
            rows = rank_groups(xp, state)
            values, weight, own = self.values_of(rows)
            conflict = rows.present & (rows.weight != rows.weight[rows.begin])
            if xp is np and conflict.any():
                _refuse(rows, conflict)
            total = xp.sum(weight)
            mean = divide(xp, xp.sum(values * weight), total, np.nan)
            mean = xp.where(conflict.any(), np.nan, mean)
            undefined = xp.sum((own > 0) & (weight == 0)) + xp.sum(total == 0)
            # What raises on the host is an impossible count where it can only be counted.
            undefined = xp.where(conflict.any(), -1, undefined)
            return Outcome(mean.astype(dtype), undefined)

    def of_groups(self, state: GroupedValues) -> tuple[np.ndarray, np.ndarray | None]:
        """The values of the groups that have one, and their weights if rows have numbers.

        Of rows that lie on devices only these are fetched.
        """
        layout = layout_of_states([state])
        if layout is not None:
            number = int(of_all_rows(_Groups(self, None), [state], layout))
            # Few sizes, each of which compiles.
            size = 1 << max(0, number - 1).bit_length()
            values, weight = of_all_rows(_Groups(self, size), [state], layout)
            return values[:number], None if state.weight.dtype == bool else weight[:number]
        values, weight, _ = self.values_of(rank_groups(np, state))
        some = weight > 0
        return values[some], None if state.weight.dtype == bool else weight[some]

    def values_of(self, rows: Ranking) -> tuple[Any, Any, Any]:
        """At the first row of each group its value, its weight if that is defined, its weight."""
        xp = rows.xp
        above, below = self.ratio(rows)
        zero = xp.zeros_like(rows.weight)
        own = xp.where(rows.present & (rows.place == rows.begin), rows.weight, zero)
        return divide(xp, above, below, 0.0), xp.where(below > 0, own, zero), own


@dataclass(frozen=True)
class _Groups:
    """How many groups have a value; of so many, rounded up, the values and weights."""

    finalizer: GroupMean
    size: int | None

    def __call__(self, xp: Any, state: GroupedValues) -> Any:
        values, weight, _ = self.finalizer.values_of(rank_groups(xp, state))
        if self.size is None:
            return xp.sum(weight > 0)
        (places,) = xp.nonzero(weight > 0, size=self.size, fill_value=0)
        return values[places], weight[places]


def _refuse(rows: Ranking, conflict: np.ndarray) -> None:
    raise ValueError(f"weight: {np.unique(rows.group[conflict]).size:,} {GroupMean.complaint}")


@dataclass(frozen=True)
class Gain(GroupMean):
    """Discounted cumulative gain; every group has one."""

    def ratio(self, rows: Ranking) -> tuple[Any, Any]:
        gain = self.top(rows, rows.expected_relevance * _discount(rows))
        return gain, rows.xp.ones_like(gain)


@dataclass(frozen=True)
class NormalizedGain(GroupMean):
    """The gain over that of the best order."""

    def ratio(self, rows: Ranking) -> tuple[Any, Any]:
        gain = self.top(rows, rows.expected_relevance * _discount(rows))
        best = self.top(rows, rows.by_relevance() * _discount(rows))
        return rows.xp.minimum(gain, best), best


@dataclass(frozen=True)
class ReciprocalRank(GroupMean):
    """One over the rank of the first relevant row."""

    def ratio(self, rows: Ranking) -> tuple[Any, Any]:
        chance = rows.first_relevant()
        return self.top(rows, chance / rows.rank.astype(np.float64)), _any_relevant(rows)


@dataclass(frozen=True)
class HitRate(GroupMean):
    """Whether a row of the first k ranks is relevant."""

    def ratio(self, rows: Ranking) -> tuple[Any, Any]:
        hit = self.top(rows, rows.first_relevant())
        return rows.xp.minimum(hit, rows.xp.ones_like(hit)), _any_relevant(rows)


@dataclass(frozen=True)
class MeanPrecision(GroupMean):
    """The mean precision at the ranks of relevant rows."""

    def ratio(self, rows: Ranking) -> tuple[Any, Any]:
        xp = rows.xp
        size, relevant = rows.tie_size, rows.tie_relevant
        above = (rows.place - rows.tie_begin).astype(np.float64)
        # Given that the row is relevant, each of those above it in its tie is with this chance.
        others = divide(xp, relevant - 1, size - 1, 0.0)
        found = rows.relevant_before().astype(np.float64) + 1 + above * others
        terms = relevant / size * found / rows.rank.astype(np.float64)
        most = self.ranks(rows)
        return xp.minimum(self.top(rows, terms), most), most


@dataclass(frozen=True)
class Precision(GroupMean):
    """The share of relevant rows among the first k ranks."""

    def ratio(self, rows: Ranking) -> tuple[Any, Any]:
        found = self.top(rows, rows.tie_relevant / rows.tie_size)
        size = rows.of_groups(rows.xp.ones_like(rows.true))
        most = size if self.k is None else rows.xp.where(size > 0, float(self.k), size)
        return rows.xp.minimum(found, most), most


@dataclass(frozen=True)
class Recall(GroupMean):
    """The share of the relevant rows that the first k ranks hold."""

    def ratio(self, rows: Ranking) -> tuple[Any, Any]:
        found = self.top(rows, rows.tie_relevant / rows.tie_size)
        return rows.xp.minimum(found, rows.group_relevant), rows.group_relevant


def _discount(rows: Ranking) -> Any:
    return 1 / rows.xp.log2(rows.rank.astype(np.float64) + 1)


def _any_relevant(rows: Ranking) -> Any:
    return (rows.group_relevant > 0).astype(np.float64)


def group_metric(name: str, finalizer: GroupMean) -> Metric:
    """A metric of that name over ranked groups.

    Raises:
        ValueError: a k below 1.
        TypeError: a k that is no integer.
    """
    if finalizer.k is not None:
        if isinstance(finalizer.k, bool) or not isinstance(finalizer.k, int):
            raise TypeError(f"k must be an integer or None, not {finalizer.k!r}")
        if finalizer.k < 1:
            raise ValueError(f"k must be at least 1, not {finalizer.k}")
    return Metric(name, (GroupRows(),), finalizer)
