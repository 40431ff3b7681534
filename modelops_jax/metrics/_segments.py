"""Statistics with one more leading axis: which segment of the rows a row belongs to.

All segments of all statistics come from the same one pass over the rows.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ._counts import IN_BOUNDS, CellStatistic, Counts, scatter_weights
from ._exact import ExactCount, count_true
from ._pair import Pair
from ._rowwise import RowStatistic
from ._statistic import Rows, Statistic
from ._types import State


@dataclass(frozen=True)
class SegmentedCells(CellStatistic):
    """A table for every segment; rows carry their segments, 0 to `segments` - 1."""

    inner: CellStatistic
    segments: int
    key: int
    """Which column of the rows' segments."""

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.segments, *self.inner.shape)

    @property
    def pred_axes(self) -> tuple[int, ...]:
        return self.inner.pred_axes

    @property
    def true_axes(self) -> int:
        return self.inner.true_axes

    @property
    def checks_labels(self) -> bool:
        return self.inner.checks_labels

    def refuse(self, y_true: Any, y_pred: Any) -> None:
        self.inner.refuse(y_true, y_pred)

    def complaints(self) -> dict[str, str]:
        return self.inner.complaints()

    def cell(self, y_true: Any, y_pred: Any) -> Any:
        raise AssertionError("a cell of a segmented table depends on the segment, too")

    def slots(self, rows: Rows) -> jax.Array:
        slots, cells = self.inner.slots(rows), self.inner.size
        inside = rows.segments[:, self.key] * jnp.int32(cells) + slots
        return jnp.where(slots < cells, inside, slots + jnp.int32((self.segments - 1) * cells))


@dataclass(frozen=True)
class SegmentedSums(Statistic):
    """The state of a row statistic for every segment."""

    inner: RowStatistic
    segments: int
    key: int

    @property
    def pred_axes(self) -> tuple[int, ...]:
        return self.inner.pred_axes

    @property
    def true_axes(self) -> int:
        return self.inner.true_axes

    def refuse(self, y_true: Any, y_pred: Any) -> None:
        self.inner.refuse(y_true, y_pred)

    def complaints(self) -> dict[str, str]:
        return self.inner.complaints()

    def identity(self, *, weighted: bool = False, dtype: Any = jnp.float32) -> Any:
        one = self.inner.identity(weighted=weighted, dtype=dtype)

        def repeated(leaf: jax.Array) -> jax.Array:
            return jnp.zeros((self.segments, *leaf.shape), leaf.dtype)

        return dataclasses.replace(jax.tree.map(repeated, one), invalid=one.invalid)

    def merge(self, left: Any, right: Any) -> Any:
        return self.inner.merge(left, right)

    def of_rows(self, rows: Rows) -> Any:
        part = self.inner.prepare(rows)
        values = part.values(self.inner.row)
        place = jnp.where(part.keep, rows.segments[:, self.key], jnp.int32(self.segments))
        centre = self._centre(values, part.weight, place)
        by_row = jax.tree.map(lambda c: jnp.append(c, jnp.zeros_like(c[:1]))[place], centre)
        zero = jnp.zeros_like(part.weight)
        sums = [
            self._sum(place, jnp.where(part.keep, column * part.weight, zero))
            for column in self.inner.columns(values, by_row)
        ]
        count = jnp.zeros_like(place, shape=(self.segments + 1,)).at[place].add(1, mode=IN_BOUNDS)
        kept = ExactCount.of(count[:-1])
        if rows.weight is None:
            weight = kept.pair(part.weight.dtype)
        else:
            weight = self._sum(place, part.weight)
        invalid = count_true(jnp, place, *part.bad)
        return self.inner.state(kept, weight, sums, centre, invalid)

    def _sum(self, place: jax.Array, column: jax.Array) -> Pair:
        """Sums by segment of a block; float64 has digits to spare for its few rows."""
        if column.dtype != jnp.float64:
            return scatter_weights(place, column, self.segments)
        table = jnp.zeros_like(column, shape=(self.segments + 1,))
        return Pair.of(table.at[place].add(column, mode=IN_BOUNDS)[:-1])

    def _centre(self, values: Any, weight: Any, place: jax.Array) -> Any:
        """Numbers near the means of the segments, where the columns need them.

        Measured from the first value of each, so that equal values have exactly their value.
        """
        if not self.inner.centred:
            return None
        rows = jnp.arange(place.shape[0], dtype=jnp.int32)
        first = jnp.full_like(place, place.shape[0], shape=(self.segments + 1,))
        first = first.at[place].min(rows, mode=IN_BOUNDS)
        total = jnp.zeros_like(weight, shape=(self.segments + 1,)).at[place].add(weight)

        def near(column: jax.Array) -> jax.Array:
            origin = jnp.append(column, jnp.zeros((1,), column.dtype))[first]
            apart = (column - origin[place]) * weight
            shift = jnp.zeros_like(total).at[place].add(jnp.where(weight > 0, apart, 0 * weight))
            return (origin + shift / jnp.where(total > 0, total, jnp.ones_like(total)))[:-1]

        return jax.tree.map(near, values)


def segmented(statistic: Statistic, segments: int, key: int) -> Statistic | None:
    """The statistic with an axis of segments, or None where it has no such form."""
    if isinstance(statistic, CellStatistic):
        return SegmentedCells(statistic, segments, key)
    if isinstance(statistic, RowStatistic):
        return SegmentedSums(statistic, segments, key)
    return None


def state_of_all(state: Counts) -> Counts:
    """The table of all segments together, from a concrete state of unweighted rows."""
    assert isinstance(state.cells, ExactCount)
    table = state.cells.integers().sum(axis=0)
    return Counts(ExactCount.of_integers(table), state.invalid)


def state_of_segment(state: State, segment: int) -> State:
    """One segment of a concrete state."""
    rest = {f.name: getattr(state, f.name) for f in dataclasses.fields(state)}
    invalid = rest.pop("invalid")
    one = jax.tree.map(lambda leaf: leaf[segment], rest)
    return type(state)(**one, invalid=invalid)
