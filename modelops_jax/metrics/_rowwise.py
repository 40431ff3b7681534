"""Weighted means and variances of a number computed from each row."""

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ._exact import ExactCount
from ._moments import Join, corrected_mean, near_mean, recentred
from ._pair import Pair, sum_columns
from ._row_functions import Domain, RowFunction
from ._statistic import Rows, SummedStatistic, float_type
from ._types import State


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class RowSum:
    """What a weighted mean needs."""

    rows: ExactCount  # rows of positive weight
    weight: Pair
    total: Pair
    invalid: ExactCount


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Moments:
    """What a weighted variance needs: sums of powers are never formed, only centred ones."""

    rows: ExactCount
    weight: Pair
    mean: Pair
    squares: Pair  # sum of weight * (value - mean) ** 2
    invalid: ExactCount


@dataclass(frozen=True)
class RowStatistic(SummedStatistic):
    """A statistic of one number computed from each row."""

    row: RowFunction
    domain: Domain = Domain()  # noqa: RUF009 # frozen

    @abc.abstractmethod
    def columns(self, values: Any, centre: Any) -> tuple[Any, ...]:
        """The quantities to sum over rows, before weighting."""

    @abc.abstractmethod
    def state(self, rows: Any, weight: Any, sums: Sequence[Pair], centre: Any, invalid: Any) -> Any:
        """The state of a block from the weighted sums of its columns."""

    def centre(self, values: Any, keep: Any, weight: Any) -> Any:
        """A number near the mean of the block's values, if the columns need one."""
        return None

    def complaints(self) -> dict[str, str]:
        return self.domain.complaints()

    def row_columns(self, rows: Rows, state: Any) -> jax.Array:
        part = Prepared(rows, self.domain)
        found = self.columns(part.values(self.row), self.centre_of(state))
        weighted = (jnp.where(part.keep, column * part.weight, 0) for column in found)
        return jnp.stack([part.weight, *weighted], axis=1)

    def of_column_sums(self, sums: Any, state: Any) -> Any:
        weight, *columns = (Pair.of(column) for column in sums.T)
        return self.state(state.rows, weight, columns, self.centre_of(state), state.invalid)

    def centre_of(self, state: Any) -> Any:
        """The mean in a state, where the columns need one."""
        return None

    def of_rows(self, rows: Rows) -> Any:
        return self.of_rows_together([self], rows)[0]

    @classmethod
    def of_rows_together(cls, statistics: Sequence[Any], rows: Rows) -> list[Any]:
        return blocks_of_rows(statistics, rows)


@dataclass(frozen=True)
class RowMean(RowStatistic):
    """The weighted mean of `row(y_true, y_pred)`."""

    def identity(self, *, weighted: bool = False, dtype: Any = jnp.float32) -> RowSum:
        return RowSum(
            ExactCount.zeros(()),
            Pair.zeros((), dtype),
            Pair.zeros((), dtype),
            ExactCount.zeros((3,)),
        )

    def columns(self, values: Any, centre: Any) -> tuple[Any, ...]:
        return (values,)

    def state(self, rows: Any, weight: Any, sums: Sequence[Pair], centre: Any, invalid: Any) -> Any:
        return RowSum(rows, weight, sums[0], invalid)

    def merge(self, left: RowSum, right: RowSum) -> RowSum:
        return RowSum(
            left.rows + right.rows,
            left.weight + right.weight,
            left.total + right.total,
            left.invalid + right.invalid,
        )


@dataclass(frozen=True)
class RowVariance(RowStatistic):
    """The weighted mean and centred sum of squares of `row(y_true, y_pred)`."""

    def identity(self, *, weighted: bool = False, dtype: Any = jnp.float32) -> Moments:
        zero = Pair.zeros((), dtype)
        return Moments(ExactCount.zeros(()), zero, zero, zero, ExactCount.zeros((3,)))

    def centre(self, values: Any, keep: Any, weight: Any) -> Any:
        return near_mean(values, keep, weight)

    def centre_of(self, state: Moments) -> Any:
        return state.mean.high

    def columns(self, values: Any, centre: Any) -> tuple[Any, ...]:
        from_centre = values - centre
        return from_centre, jnp.square(from_centre)

    def state(self, rows: Any, weight: Any, sums: Sequence[Pair], centre: Any, invalid: Any) -> Any:
        shift, squares = sums
        mean, offset = corrected_mean(centre, shift, weight)
        return Moments(rows, weight, mean, recentred(squares, weight, offset, offset), invalid)

    def merge(self, left: Moments, right: Moments) -> Moments:
        join = Join(left.weight, right.weight)
        mean, delta = join.means(left.mean, right.mean)
        return Moments(
            left.rows + right.rows,
            left.weight + right.weight,
            mean,
            join.products(left.squares, right.squares, delta, delta),
            left.invalid + right.invalid,
        )


def blocks_of_rows(statistics: Sequence[RowStatistic], rows: Rows) -> list[State]:
    """The states of row statistics over one block, sharing what they have in common."""
    states: dict[RowStatistic, State] = {}
    for domain in dict.fromkeys(statistic.domain for statistic in statistics):
        members = [statistic for statistic in statistics if statistic.domain == domain]
        found = _of_one_domain(members, rows, Prepared(rows, domain))
        states.update(zip(members, found, strict=True))
    return [states[statistic] for statistic in statistics]


def _of_one_domain(statistics: Sequence[RowStatistic], rows: Rows, part: "Prepared") -> list[State]:
    columns: list[jax.Array] = [part.keep, *part.bad]
    centres, widths = [], []
    for statistic in statistics:
        values = part.values(statistic.row)
        centre = statistic.centre(values, part.keep, part.weight)
        found = statistic.columns(values, centre)
        columns += [jnp.where(part.keep, c * part.weight, jnp.zeros_like(c)) for c in found]
        centres.append(centre)
        widths.append(len(found))
    if rows.weight is not None:
        columns.append(part.weight)
    counts, sums = sum_columns(columns)
    kept, invalid = ExactCount.of(counts[0]), ExactCount.of(counts[1:])
    weight = kept.pair(part.weight.dtype) if rows.weight is None else sums[-1]
    states, first = [], 0
    for statistic, centre, width in zip(statistics, centres, widths, strict=True):
        own = [sums[first + column] for column in range(width)]
        states.append(statistic.state(kept, weight, own, centre, invalid))
        first += width
    return states


class Prepared:
    """Rows in the float type of the computation, with rows that do not count replaced by ones.

    Replaced before any arithmetic: nan times a weight of 0 is nan, in values and in gradients.
    A one is inside every domain.
    """

    def __init__(self, rows: Rows, domain: Domain) -> None:
        dtype = float_type(rows.y_true, rows.y_pred, rows.weight)
        true, pred = rows.y_true.astype(dtype), rows.y_pred.astype(dtype)
        asked = jnp.ones_like(true, dtype=jnp.bool_) if rows.keep is None else rows.keep
        bad_true, bad_pred = (asked & bad for bad in domain.outside(true, pred))
        bad_weight = jnp.zeros_like(asked) if rows.bad_weight is None else rows.bad_weight
        self.bad = (bad_true, bad_pred, bad_weight)
        self.keep = asked & ~bad_true & ~bad_pred
        one = jnp.ones_like(true)
        self._true, self._pred = jnp.where(self.keep, true, one), jnp.where(self.keep, pred, one)
        given = jnp.ones_like(true) if rows.weight is None else rows.weight.astype(dtype)
        self.weight = jnp.where(self.keep, given, jnp.zeros_like(true))

    def values(self, row: RowFunction) -> Any:
        """The number of each row."""
        return row(self._true, self._pred)
