"""Counts of rows by (true class, predicted class): exact integers, or compensated weights."""

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Bool, Int

from . import _platform
from ._exact import ExactCount, count_true
from ._ignored import is_ignored, is_label
from ._lanes import RowSums, sum_rows_of
from ._pair import Pair
from ._statistic import (
    WEIGHT_COMPLAINT,
    Rows,
    Statistic,
    SummedStatistic,
    float_type,
    require_labels,
)
from ._types import AxisNames

# Up to this many cells each is summed as a column of its own, which XLA vectorises on a CPU as
# it does not vectorise a scatter; with more cells the one scatter is the cheaper way.
_FEW_CELLS = 8
IN_BOUNDS = "promise_in_bounds"
# Numbers that the rows on a GPU are added to.
_SPREAD = 1 << 16


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Counts:
    """Rows by cell, and how many rows could not be used because of each argument."""

    cells: ExactCount | Pair
    invalid: ExactCount


class CountedStatistic(Statistic):
    """A statistic that counts rows in the cells of a table."""

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of the table."""

    @property
    def size(self) -> int:
        """Cells of the table."""
        return math.prod(self.shape)

    def identity(self, *, weighted: bool = False, dtype: Any = jnp.float32) -> Counts:
        cells = Pair.zeros(self.shape, dtype) if weighted else ExactCount.zeros(self.shape)
        return Counts(cells, ExactCount.zeros((3,)))

    def complaints(self) -> dict[str, str]:
        return {"weight": WEIGHT_COMPLAINT}

    def merge(self, left: Counts, right: Counts) -> Counts:
        if type(left.cells) is not type(right.cells):
            raise TypeError(
                "a weighted and an unweighted state cannot be merged: make the identity with "
                "weighted=True where the rows carry float weights"
            )
        return Counts(left.cells + right.cells, left.invalid + right.invalid)  # pyright: ignore[reportOperatorIssue] # the types are equal

    def collect(self, state: Counts, axis_name: AxisNames) -> Counts:
        if isinstance(state.cells, Pair):
            return super().collect(state, axis_name)
        return Counts(state.cells.psum(axis_name), state.invalid.psum(axis_name))


class TableStatistic(CountedStatistic, SummedStatistic):
    """A statistic that counts rows in cells, and whose tables can be summed of columns of rows."""

    def of_column_sums(self, sums: Any, state: Counts) -> Counts:
        return Counts(Pair.of(sums.reshape(-1, *self.shape)), state.invalid)


@dataclass(frozen=True)
class CellStatistic(TableStatistic):
    """A statistic that puts every row into one cell of a table."""

    ignore_index: int | None = field(default=None, kw_only=True)
    """Rows with this true label are as good as absent."""

    @abc.abstractmethod
    def cell(
        self, y_true: Any, y_pred: Any
    ) -> tuple[Int[jax.Array, " n"], Bool[jax.Array, " n"] | None, Bool[jax.Array, " n"] | None]:
        """The flat index of each row's cell, and where each argument has no cell (None: never)."""

    @classmethod
    def family(cls) -> type[Statistic]:
        return CellStatistic

    @classmethod
    def of_rows_together(cls, statistics: Sequence[Any], rows: Rows) -> list[Counts]:
        few = [statistic for statistic in statistics if statistic.size <= _FEW_CELLS]
        states = dict(zip(few, _of_few_cells(few, rows), strict=True)) if few else {}
        return [states[s] if s in states else s.of_rows(rows) for s in statistics]

    def reads_long(self, rows: Rows) -> bool:
        return self.size <= _FEW_CELLS and rows.y_pred.ndim == 1

    def of_rows(self, rows: Rows) -> Counts:
        cells = self.size
        if cells <= _FEW_CELLS:
            return _of_few_cells([self], rows)[0]
        slots = self.slots(rows)
        if rows.weight is None:
            counts = _sum_slots(slots, jnp.ones_like(slots, shape=()), cells + 4)
            only_true, only_pred, both = counts[cells + 1 :]
            invalid = jnp.stack([only_true + both, only_pred + both, jnp.zeros_like(both)])
            table = ExactCount.of(counts[:cells].reshape(self.shape))
            return Counts(table, ExactCount.of(invalid))
        table = scatter_weights(slots, rows.weight, cells)
        bad_true, bad_pred = (slots == cells + 1) | (slots == cells + 3), slots >= cells + 2
        invalid = count_true(jnp, slots, bad_true, bad_pred, rows.bad_weight)
        return Counts(table.reshape(self.shape), invalid)

    def row_columns(self, rows: Rows, state: Counts) -> jax.Array:
        cells = self.size
        weight = jnp.ones((), float_type()) if rows.weight is None else rows.weight[:, None]
        return jax.nn.one_hot(self.slots(rows), cells, dtype=weight.dtype) * weight

    def slots(self, rows: Rows) -> Int[jax.Array, " n"]:
        """The cell of each row, counted on past the table for rows that have none.

        With K cells: K for a row of weight 0 or of the label to ignore, K + 1 where y_true is
        invalid, K + 2 where y_pred is, K + 3 where both are.
        """
        cells = self.size
        index, bad_true, bad_pred = self.cell(rows.y_true, rows.y_pred)
        if bad_true is not None and bad_pred is not None:
            outside = bad_true.astype(jnp.int32) + 2 * bad_pred.astype(jnp.int32)
            index = jnp.where(outside > 0, cells + outside, index)
        if (absent := self.absent(rows.y_true)) is not None:
            index = jnp.where(absent, cells, index)
        return index if rows.keep is None else jnp.where(rows.keep, index, cells)

    def absent(self, y_true: Any) -> Bool[jax.Array, " n"] | None:
        """The rows that the label to ignore leaves out; None: none."""
        return None if self.ignore_index is None else is_ignored(y_true, self.ignore_index)

    @property
    def checks_labels(self) -> bool:
        """Whether a label can be outside the table."""
        return False


def _of_few_cells(statistics: Sequence[CellStatistic], rows: Rows) -> list[Counts]:
    """The states of small tables, each cell of which is a column of its own."""
    weighted = rows.weight is not None

    def flags(rows: Rows) -> list[jax.Array]:
        found = [rows.bad_weight] if weighted else []
        for statistic in statistics:
            cells, slots = statistic.size, statistic.slots(rows)
            found += [] if weighted else [slots == cell for cell in range(cells)]
            found += [slots == cells + k for k in (1, 2, 3)] if statistic.checks_labels else []
        return found

    def floats(rows: Rows, _: None) -> list[jax.Array]:
        if not weighted:
            return []
        none = jnp.zeros_like(rows.weight)
        pairs = [(s.slots(rows), cell) for s in statistics for cell in range(s.size)]
        return [jnp.where(slots == cell, rows.weight, none) for slots, cell in pairs]

    counts, sums, _ = sum_rows_of(RowSums(flags, floats, telling=False), rows)
    zero = jnp.zeros_like(counts, shape=())
    bad_weight, counts = (counts[0], counts[1:]) if weighted else (zero, counts)
    states = []
    for statistic in statistics:
        cells = statistic.size
        if weighted:
            table, sums = sums[:cells].reshape(statistic.shape), sums[cells:]
        else:
            table, counts = ExactCount.of(counts[:cells].reshape(statistic.shape)), counts[cells:]
        only_true = only_pred = both = zero
        if statistic.checks_labels:
            (only_true, only_pred, both), counts = counts[:3], counts[3:]
        invalid = ExactCount.of(jnp.stack([only_true + both, only_pred + both, bad_weight]))
        states.append(Counts(table, invalid))
    return states


def scatter_weights(slots: jax.Array, weight: jax.Array, cells: int) -> Pair:
    """Sum weights by slot: short runs of plain additions, their results compensated.

    A run is as long as the table, so that the cost stays linear in the rows.
    """
    if _platform.platform() == "gpu":
        return _scatter_wide(slots, weight, cells)
    run = max(256, cells)
    runs = max(1, -(-slots.shape[0] // run))
    missing = runs * run - slots.shape[0]
    slots = jnp.pad(slots, (0, missing), constant_values=cells).reshape(runs, run)
    weight = jnp.pad(weight, (0, missing)).reshape(runs, run)
    empty = jnp.zeros_like(weight, shape=(cells + 4,))

    def step(total: Pair, chunk: tuple[jax.Array, jax.Array]) -> tuple[Pair, None]:
        slot, value = chunk
        return total + empty.at[slot].add(value, mode=IN_BOUNDS), None

    total = lax.scan(step, Pair.of(empty), (slots, weight))[0]
    return jax.tree.map(lambda part: part[:cells], total)


def _scatter_wide(slots: jax.Array, weight: jax.Array, cells: int) -> Pair:
    """The same in float64, which a GPU adds up in memory as fast, where runs would wait in line."""
    with jax.enable_x64(True):
        total = _sum_slots(slots, weight.astype(jnp.float64), cells + 4)[:cells]
        high = total.astype(weight.dtype)
        return Pair(high, (total - high.astype(jnp.float64)).astype(weight.dtype))


def _sum_slots(slots: jax.Array, values: jax.Array, size: int) -> jax.Array:
    """Add up values by slot.

    A GPU waits where many rows add to one number, so that neighbours add to different copies of a
    small table there.
    """
    copies = max(1, _SPREAD // size) if _platform.platform() == "gpu" else 1
    empty = jnp.zeros_like(values, shape=(copies * size,))
    if copies == 1:
        return empty.at[slots].add(values, mode=IN_BOUNDS)
    own = jnp.arange(slots.shape[0], dtype=slots.dtype) % copies
    tables = empty.at[own * size + slots].add(values, mode=IN_BOUNDS)
    return tables.reshape(copies, size).sum(axis=0, dtype=values.dtype)


def as_codes(labels: Any, name: str) -> jax.Array:
    """Labels as integers of 32 or 64 bits; only narrower ones change their type."""
    require_labels(labels, name)
    return labels if labels.dtype.itemsize >= 4 else labels.astype(jnp.int32)


def are_equal(one: jax.Array, other: jax.Array) -> Bool[jax.Array, "..."]:
    """Where two columns of codes hold the same number, whatever types they have."""
    signed = [jnp.issubdtype(codes.dtype, jnp.signedinteger) for codes in (one, other)]
    wide = max(one.dtype, other.dtype, key=lambda dtype: dtype.itemsize)
    if signed[0] == signed[1]:
        return one.astype(wide) == other.astype(wide)
    # No type holds both: as unsigned ones a negative number would be another one.
    unsigned, number = (other, one) if signed[0] else (one, other)
    wide = jnp.uint64 if wide.itemsize == 8 else jnp.uint32
    return (number >= 0) & (unsigned.astype(wide) == number.astype(wide))


def outside_classes(num_classes: int) -> dict[str, str]:
    """What is wrong with labels that are no class, by argument."""
    return dict.fromkeys(("y_true", "y_pred"), f"labels outside 0 to {num_classes - 1}")


@dataclass(frozen=True)
class ConfusionCounts(CellStatistic):
    """Rows by (true class, predicted class), classes 0 to `num_classes` - 1."""

    labels = ("y_true", "y_pred")

    num_classes: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.num_classes, self.num_classes)

    @property
    def checks_labels(self) -> bool:
        return True

    def complaints(self) -> dict[str, str]:
        return outside_classes(self.num_classes) | super().complaints()

    def cell(self, y_true: Any, y_pred: Any) -> Any:
        true, pred = as_codes(y_true, "y_true"), as_codes(y_pred, "y_pred")
        bad_true = (true < 0) | (true >= self.num_classes)
        bad_pred = (pred < 0) | (pred >= self.num_classes)
        index = true.astype(jnp.int32) * self.num_classes + pred.astype(jnp.int32)
        return index, bad_true, bad_pred


@dataclass(frozen=True)
class OneVsRestCounts(CellStatistic):
    """Rows by (is the true label the positive class, is the predicted one)."""

    labels = ("y_true", "y_pred")

    positive_class: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (2, 2)

    def cell(self, y_true: Any, y_pred: Any) -> Any:
        true = is_label(as_codes(y_true, "y_true"), self.positive_class)
        pred = is_label(as_codes(y_pred, "y_pred"), self.positive_class)
        return 2 * true.astype(jnp.int32) + pred.astype(jnp.int32), None, None


@dataclass(frozen=True)
class MatchCounts(CellStatistic):
    """Rows by whether the predicted label is the true one; any integers are labels."""

    labels = ("y_true", "y_pred")

    @property
    def shape(self) -> tuple[int, ...]:
        return (2,)

    def cell(self, y_true: Any, y_pred: Any) -> Any:
        true, pred = as_codes(y_true, "y_true"), as_codes(y_pred, "y_pred")
        return are_equal(true, pred).astype(jnp.int32), None, None
