"""Weighted means and variances of a number computed from each row."""

import abc
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ._exact import ExactCount
from ._moments import Join, corrected_mean, kept_digits, near_mean, recentred
from ._pair import Pair, sum_columns
from ._row_functions import ERRORS, Domain, RowFunction
from ._statistic import Rows, Statistic, SummedStatistic, blocks_in_cache, float_type
from ._types import State

# Rows from which on plain sums over all of them are tried first: more than a block in the cache.
LONG = 1 << 18
# Rows looked at for a centre.
_SAMPLE = 256


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

    def sound(self, sums: Sequence[Any], state: Any) -> Any:
        """Whether plain sums about a centre near no mean still have their digits."""
        return True

    def reads_long(self, rows: Rows) -> bool:
        return self.domain == Domain() and rows.keep is None and rows.y_true.shape[0] >= LONG

    def of_rows(self, rows: Rows) -> Any:
        return self.of_rows_together([self], rows)[0]

    @classmethod
    def family(cls) -> type[Statistic]:
        return RowStatistic

    @classmethod
    def of_rows_together(cls, statistics: Sequence[Any], rows: Rows) -> list[Any]:
        if not all(statistic.reads_long(rows) for statistic in statistics):
            return blocks_of_rows(statistics, rows)
        states, sound = _plain_sums(statistics, rows)
        checked = functools.partial(blocks_in_cache, statistics, rows)
        return lax.cond(sound, lambda: states, checked)


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

    def sound(self, sums: Sequence[Any], state: Moments) -> Any:
        return kept_digits(state.squares, sums[1])

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
        found = _of_one_domain(members, rows, members[0].prepare(rows))
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


def _plain_sums(statistics: Sequence[RowStatistic], rows: Rows) -> tuple[list[State], Any]:
    """The states of unweighted rows if all are valid and well centred, and whether they are.

    XLA's CPU backend vectorises a plain sum of a float expression over one long axis and spreads
    it over the cores, ten times as fast as the same sum behind a mask or sharing its loop with a
    second one. So nothing is masked: a value that is not finite shows in a sum. And the sums are
    taken one after the other.
    """
    dtype = float_type(rows.y_true, rows.y_pred)
    true, pred = rows.y_true.astype(dtype), rows.y_pred.astype(dtype)
    count = true.shape[0]
    zero = jnp.sum(true[:0]).astype(jnp.int32)  # varies over a mesh as the rows do
    kept = ExactCount.of(zero + jnp.int32(count))
    weight = kept.pair(dtype)
    sample = slice(None, None, count // _SAMPLE)
    ones = jnp.ones_like(true[sample])
    covered = any(statistic.row in ERRORS for statistic in statistics)
    sound = jnp.isfinite(zero if covered else jnp.sum(0 * true + 0 * pred))
    states = []
    for statistic in statistics:
        few = statistic.row(true[sample], pred[sample])
        centre = statistic.centre(few, ones > 0, ones)
        sums = []
        for column in range(len(statistic.columns(few, centre))):
            # The centre, too: spread out over the rows once for two sums it is written to memory.
            true, pred, centre, sound = lax.optimization_barrier((true, pred, centre, sound))
            values = statistic.row(true, pred)
            sums.append(jnp.sum(statistic.columns(values, centre)[column]))
            sound = sound & jnp.isfinite(sums[-1])
        pairs = [Pair.of(total) for total in sums]
        invalid = ExactCount.of(jnp.stack([zero, zero, zero]))
        states.append(statistic.state(kept, weight, pairs, centre, invalid))
        sound = sound & statistic.sound(sums, states[-1])
    return states, sound


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
    dtype = float_type(rows.y_true, rows.y_pred, rows.weight)
    true, pred = rows.y_true.astype(dtype), rows.y_pred.astype(dtype)
    # A one is inside every domain.
    return prepared(rows, true, pred, *domain.outside(true, pred), filling=1)


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
