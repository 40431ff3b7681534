"""Weighted means and variances of a number computed from each row."""

import abc
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ._exact import ExactCount
from ._lanes import RowSums, near_means, sample, sum_rows_of
from ._moments import Join, corrected_mean, plain_mean, recentred, without_noise
from ._pair import Pair
from ._row_functions import ERRORS, Domain, RowFunction
from ._statistic import Rows, Statistic, SummedStatistic, float_type
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

    # Whether the quantities it sums are measured from a number near the mean of the block's values.
    centred: ClassVar[bool] = False

    row: RowFunction
    domain: Domain = Domain()  # noqa: RUF009 # frozen

    @abc.abstractmethod
    def columns(self, values: Any, centre: Any) -> tuple[Any, ...]:
        """The quantities to sum over rows, before weighting."""

    @abc.abstractmethod
    def state(self, rows: Any, weight: Any, sums: Sequence[Pair], centre: Any, invalid: Any) -> Any:
        """The state of a block from the weighted sums of its columns."""

    def complaints(self) -> dict[str, str]:
        return self.domain.complaints()

    def prepare(self, rows: Rows) -> "Prepared":
        """The rows as `row` takes them; the same for all statistics of a class."""
        return prepared_values(rows, self.domain)

    def row_columns(self, rows: Rows, state: Any) -> jax.Array:
        part = self.prepare(rows)
        found = self.columns(part.values(self.row), self.centre_of(state))
        weighted = (jnp.where(part.keep, column * part.weight, 0) for column in found)
        return jnp.stack([part.weight, *weighted], axis=1)

    def of_column_sums(self, sums: Any, state: Any) -> Any:
        weight, *columns = (Pair.of(column) for column in sums.T)
        return self.state(state.rows, weight, columns, self.centre_of(state), state.invalid)

    def centre_of(self, state: Any) -> Any:
        """The mean in a state, where the columns need one."""
        return None

    def spread(self, state: Any) -> Any:
        """The centred squares in a state, in the form of `centre_of`."""
        return None

    def reads_long(self, rows: Rows) -> bool:
        return rows.y_pred.ndim == 1

    def of_rows(self, rows: Rows) -> Any:
        return self.of_rows_together([self], rows)[0]

    @classmethod
    def family(cls) -> type[Statistic]:
        return RowStatistic

    @classmethod
    def of_rows_together(cls, statistics: Sequence[Any], rows: Rows) -> list[Any]:
        return blocks_of_rows(statistics, rows, numbers=True)


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

    centred = True

    def identity(self, *, weighted: bool = False, dtype: Any = jnp.float32) -> Moments:
        zero = Pair.zeros((), dtype)
        return Moments(ExactCount.zeros(()), zero, zero, zero, ExactCount.zeros((3,)))

    def centre_of(self, state: Moments) -> Any:
        return state.mean.high

    def spread(self, state: Moments) -> Any:
        return state.squares.value()

    def columns(self, values: Any, centre: Any) -> tuple[Any, ...]:
        from_centre = values - centre
        return from_centre, jnp.square(from_centre)

    def state(self, rows: Any, weight: Any, sums: Sequence[Pair], centre: Any, invalid: Any) -> Any:
        shift, squares = sums
        mean, offset = corrected_mean(centre, shift, weight)
        return Moments(rows, weight, mean, recentred(squares, weight, offset, offset), invalid)

    def without_noise(self, state: Moments, sums: Any, eps: float) -> Moments:
        return dataclasses.replace(state, squares=without_noise(state.squares, sums[..., 2], eps))

    def moved(self, sums: np.ndarray, before: Any, after: Any) -> np.ndarray:
        weight, shift, squares = np.moveaxis(sums, -1, 0)
        by = self.centre_of(before) - self.centre_of(after)
        further = shift + by * weight
        # The sum of w (x + by)^2 is that of w x^2 + by (w x + w (x + by)).
        return np.stack([weight, further, squares + by * (shift + further)], axis=-1)

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


def blocks_of_rows(
    statistics: Sequence[RowStatistic], rows: Rows, *, numbers: bool = False
) -> list[State]:
    """The states of row statistics of one class over the rows, sharing what they have in common.

    Args:
        statistics: all with the same `prepare`.
        rows: the rows.
        numbers: whether `prepare` asks nothing but that the numbers are of the domain.
    """
    states: dict[RowStatistic, State] = {}
    for domain in dict.fromkeys(statistic.domain for statistic in statistics):
        members = [statistic for statistic in statistics if statistic.domain == domain]
        # Of rows that all count, if their numbers are finite, nothing is masked, which is half
        # of the work: a number that is not shows in a sum, and then only the count of such rows
        # is of use.
        unmasked = numbers and domain == Domain() and rows.keep is None
        states.update(zip(members, _of_one_domain(members, rows, unmasked), strict=True))
    return [states[statistic] for statistic in statistics]


def _of_one_domain(statistics: Sequence[RowStatistic], rows: Rows, unmasked: bool) -> list[State]:
    prepare, weighted = statistics[0].prepare, rows.weight is not None
    centred = [statistic for statistic in statistics if statistic.centred]
    covered = any(statistic.row in ERRORS for statistic in statistics)

    def values(rows: Rows) -> tuple[list[Any], jax.Array, jax.Array]:
        part = prepare(rows)
        return [part.values(statistic.row) for statistic in centred], part.keep, part.weight

    if unmasked:
        true, pred = lax.stop_gradient(_floats(sample(rows)))
        means = jax.tree.map(plain_mean, [statistic.row(true, pred) for statistic in centred])
    else:
        means = near_means(values, rows) if centred else []

    def columns(true: Any, pred: Any, means: list[Any]) -> list[tuple[jax.Array, ...]]:
        about = dict(zip(centred, means, strict=True))
        return [s.columns(s.row(true, pred), about.get(s)) for s in statistics]

    def flags(rows: Rows) -> list[jax.Array]:
        part = prepare(rows)
        return [part.keep, *part.bad]

    def floats(rows: Rows, means: list[Any]) -> list[jax.Array]:
        if unmasked:
            true, pred = _floats(rows)
            found = [column for own in columns(true, pred, means) for column in own]
            return found if covered else [*found, 0 * true + 0 * pred]
        part = prepare(rows)
        found = [column for own in columns(part.true, part.pred, means) for column in own]
        if weighted:
            found = [*(column * part.weight for column in found), part.weight]
        return [jnp.where(part.keep, column, jnp.zeros_like(column)) for column in found]

    def widths(rows: Rows) -> list[tuple[jax.Array, ...]]:
        part = prepare(rows)
        return columns(part.true, part.pred, means)

    own = [len(parts) for parts in jax.eval_shape(widths, rows)]

    def states(counts: jax.Array, sums: Pair, means: list[Any]) -> list[State]:
        kept, invalid = ExactCount.of(counts[0]), ExactCount.of(counts[1:])
        weight = sums[-1] if weighted else kept.pair(sums.high.dtype)
        about, found, start = dict(zip(centred, means, strict=True)), [], 0
        for statistic, width in zip(statistics, own, strict=True):
            parts = [sums[start + column] for column in range(width)]
            found.append(statistic.state(kept, weight, parts, about.get(statistic), invalid))
            start += width
        return found

    def better(counts: jax.Array, sums: Pair, means: list[Any]) -> tuple[list[Any], Any]:
        """The means, and whether a centre is more than half a standard deviation from its own.

        Nearer centres cost no digits: the squares about them are a fourth too large at most.
        """
        found = dict(zip(statistics, states(counts, sums, means), strict=True))
        measured = [statistic.centre_of(found[statistic]) for statistic in centred]
        squares = [statistic.spread(found[statistic]) for statistic in centred]
        rows = counts[0].astype(sums.high.dtype)
        far = jax.tree.map(lambda m, c, s: 4 * rows * (m - c) ** 2 > s, measured, means, squares)
        return measured, jnp.any(jnp.stack(jax.tree.leaves(far)))

    search = better if unmasked and centred else None
    return states(*sum_rows_of(RowSums(flags, floats, unmasked, search), rows, means))


class Prepared(NamedTuple):
    """Rows ready for arithmetic, those that do not count replaced by harmless ones.

    Replaced before any arithmetic: nan times a weight of 0 is nan, in values and in gradients.
    """

    true: Any
    pred: Any
    keep: Any  # boolean: rows that count
    weight: Any  # a float for every row, 0 where it does not count
    bad: tuple[Any, Any, Any]  # boolean: where each argument makes the row invalid

    def values(self, row: RowFunction) -> Any:
        """The number of each row."""
        return row(self.true, self.pred)


def prepared_values(rows: Rows, domain: Domain) -> Prepared:
    """Two columns of numbers of a domain, in the float type of the computation."""
    true, pred = _floats(rows)
    # A one is inside every domain.
    return prepared(rows, true, pred, *domain.outside(true, pred), filling=1)


def _floats(rows: Rows) -> tuple[jax.Array, jax.Array]:
    dtype = float_type(rows.y_true, rows.y_pred, rows.weight)
    return rows.y_true.astype(dtype), rows.y_pred.astype(dtype)


def prepared(
    rows: Rows, true: Any, pred: Any, bad_true: Any, bad_pred: Any, *, filling: int = 0
) -> Prepared:
    """Leave out the rows that do not count, or cannot.

    Args:
        rows: the rows as they came.
        true: y_true in the type that `row` takes, shape (n,) or (n, k).
        pred: y_pred in the float type of the computation, shape (n,) or (n, k).
        bad_true: boolean, shape (n,): values of y_true that make the row invalid.
        bad_pred: the same of y_pred.
        filling: what replaces both values of a row that does not count.
    """
    asked = jnp.ones_like(bad_true) if rows.keep is None else rows.keep
    bad_true, bad_pred = asked & bad_true, asked & bad_pred
    bad_weight = jnp.zeros_like(asked) if rows.bad_weight is None else rows.bad_weight
    keep = asked & ~bad_true & ~bad_pred

    def kept(values: Any) -> Any:
        wide = jnp.broadcast_to(keep.reshape(-1, *[1] * (values.ndim - 1)), values.shape)
        return jnp.where(wide, values, jnp.full_like(values, filling))

    weight = jnp.ones(keep.shape, pred.dtype) if rows.weight is None else rows.weight
    return Prepared(
        kept(true),
        kept(pred),
        keep,
        jnp.where(keep, weight.astype(pred.dtype), jnp.zeros(keep.shape, pred.dtype)),
        (bad_true, bad_pred, bad_weight),
    )
