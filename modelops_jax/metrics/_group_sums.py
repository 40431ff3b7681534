"""Sums of groups of rows that come in batches, and of the groups under sets of weights."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from ._compute import padded, pass_over
from ._draws import GROUP, PARTS, Draws, add_columns, block_columns, block_rows
from ._host_columns import computed_now, precision_scope
from ._pair import Pair
from ._row_draws import RowSums
from ._running_sums import of_rows, refuse_other_rows, rows_like, widened
from ._sharded import Layout, placed_alike
from ._sharded_draws import sums_by_group
from ._statistic import Statistic, SummedStatistic, columns_of, flattened, shared_axes
from ._stream import arrays_of, as_states
from ._types import Column, Matrix, State, Vector

# Groups that are drawn at once.
_BLOCK = 4 * GROUP


class GroupSums:
    """`draw_rows` of rows in groups that come in batches, of several models on the same rows.

    All rows of a group draw alike, so of each group the sums of its rows are kept. What it draws
    depends on its place among all ids in order, which only the last rows tell. Here groups are
    numbered from 0 on, as the ids came.
    """

    def __init__(self, statistics: Sequence[SummedStatistic]) -> None:
        self.statistics = tuple(statistics)
        self._count = 0
        self._centres: tuple[State, ...] | None = None
        # For each statistic the sums by group, with room for more, and what rounding left of them.
        self._sums: list[Pair] = []
        self._present = 0
        # Whether the first rows had numbers as weights.
        self._weighted = False
        # Of a row of y_true and of y_pred, once there are rows.
        self._shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    def add(
        self,
        trues: Sequence[np.ndarray],
        preds: Sequence[np.ndarray],
        states: Mapping[Statistic, State],
        weight: np.ndarray | None,
        groups: np.ndarray,
    ) -> None:
        """Add at least one row.

        Args:
            trues: for each model what `read` gave.
            preds: the same.
            states: those of the first model's rows.
            weight: None, a boolean mask or non-negative numbers, of each row; None: 1.
            groups: the number of each row's group.
        """
        true, pred = np.stack(trues), np.stack(preds)
        self._shapes = true.shape[2:], pred.shape[2:]
        rows = true.shape[1]
        self._present += rows if weight is None else int(np.count_nonzero(weight))
        if self._centres is None:
            # Sums are taken about the means of the first rows, which are near those of all.
            self._centres = tuple(states[statistic] for statistic in self.statistics)
            self._weighted = weight is not None and weight.dtype != bool
        longest = block_rows(self.statistics, len(pred), columns_of(pred[0]))
        # Rows of one group beside each other are in few blocks.
        order = np.argsort(groups, kind="stable")
        for start in range(0, rows, longest):
            block = order[start : start + longest]
            of_block, place = np.unique(groups[block], return_inverse=True)
            size = GROUP if len(block) <= GROUP else longest
            own = None if weight is None else padded(weight[block], size)
            with computed_now(), precision_scope(true, pred, own):
                found = _of_groups(
                    self.statistics, self._centres,
                    padded(place.astype(np.int32), size),
                    np.asarray(len(block), np.int32),
                    np.stack([padded(column[block], size) for column in true]),
                    np.stack([padded(column[block], size) for column in pred]),
                    own,
                )  # fmt: skip
            self._add_at(of_block, [np.asarray(sums)[: len(of_block)] for sums in found])

    def add_there(
        self,
        y_true: Column,
        y_pred: Column,
        weight: Column | None,
        groups: Column,
        layout: Layout,
    ) -> None:
        """Add the rows of one model that lie on devices, at least one; sums alone leave them.

        Args:
            y_true: as numbers.
            y_pred: the same.
            weight: as for `add`, as are the others.
            groups: the number of each row's group.
            layout: how the rows of all of these are divided.
        """
        with jax.enable_x64(True):
            axes = shared_axes(self.statistics)
            true, pred = flattened(widened(y_true), widened(y_pred), axes)
            refuse_other_rows(self._shapes, true, pred)
            found = pass_over(self.statistics, true, pred, weight)
            self._shapes = true.shape[1:], pred.shape[1:]
            self._present += found.rows
            if self._centres is None:
                self._centres = tuple(found.states[statistic] for statistic in self.statistics)
                self._weighted = found.weighted
            count = int(groups.max()) + 1
            own = None if weight is None else placed_alike(weight, layout)
            # Rounded up to few sizes, each of which is compiled once.
            size = 1 << max(0, count - 1).bit_length()
            sums = sums_by_group(
                self.statistics, self._centres,
                placed_alike(true, layout), placed_alike(pred, layout), own,
                placed_alike(groups, layout), size, layout,
            )  # fmt: skip
            self._add_at(np.arange(count), [one[:count] for one in jax.device_get(sums)])

    @property
    def count(self) -> int:
        """How many groups there are so far."""
        return self._count

    def read(
        self, y_true: Vector | Matrix, y_pred: Vector | Matrix
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows of one model as they are summed.

        Raises:
            ValueError: rows of another shape than those before.
        """
        return rows_like(self._shapes, self.statistics, y_true, y_pred)

    def check(self, other: "GroupSums") -> None:
        """Refuse sums of rows of another shape (ValueError)."""
        if None not in (self._shapes, other._shapes) and self._shapes != other._shapes:
            raise ValueError(
                f"the other stream has rows of the shapes {other._shapes}; expected {self._shapes}"
            )

    def merge(self, other: "GroupSums", numbers: np.ndarray) -> None:
        """Add the rows of other sums of the same statistics, which stay as they are.

        Args:
            other: the other sums.
            numbers: for each of its groups the number of that group here.
        """
        if other._centres is None:
            return
        if self._centres is None:
            self._centres, self._shapes = other._centres, other._shapes
            self._weighted = other._weighted
        triples = zip(self.statistics, other._sums, other._centres, self._centres, strict=True)
        moved = [
            Pair(*(statistic.moved(part[: other._count], theirs, mine) for part in (s.high, s.low)))
            for statistic, s, theirs, mine in triples
        ]
        self._add_at(numbers[: other._count], moved)
        self._present += other._present

    @property
    def of_single_numbers(self) -> bool:
        """Whether a row is a number on both sides."""
        return self._shapes == ((), ())

    def by_group(self, statistic: Statistic) -> np.ndarray:
        """The sums of one of the statistics for each group, of the first model."""
        pair = self._sums[self.statistics.index(statistic)]
        return pair[: self._count].value()[:, 0]

    def sums(
        self, order: np.ndarray, draws: Draws, seed: int, rows: int | None = None
    ) -> RowSums | None:
        """The sums of the rows of groups so far; None of no rows.

        Args:
            order: the numbers of these groups in the order of their ids.
            draws: how many sets of weights; if there are parts to leave out these are as many as
                there are groups, at most 512.
            seed: of the draws.
            rows: how many rows they have; None: they are all groups.
        """
        if self._centres is None:
            return None
        count = len(order)
        of_groups = [pair[: self._count].value()[order] for pair in self._sums]
        draws = replace(draws, parts=draws.parts and max(1, min(count, PARTS)))
        sums: tuple[Pair, ...] | None = None
        with computed_now(), precision_scope(*of_groups):
            for start in range(0, count, _BLOCK):
                stop = min(start + _BLOCK, count)
                size = GROUP if stop - start <= GROUP else _BLOCK
                columns = tuple(padded(total[start:stop], size) for total in of_groups)
                first = np.asarray(start // GROUP, np.int32)
                sums = _add_groups(draws, sums, jax.random.key(seed), first, columns)
        totals = [np.asarray(pair.value(), np.float64) for pair in jax.device_get(sums)]
        present = self._present if rows is None else rows
        states = [of_rows(centre, present) for centre in self._centres]
        return RowSums(
            draws,
            dict(zip(self.statistics, states, strict=True)),
            dict(zip(self.statistics, totals, strict=True)),
        )

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The state as JSON and named arrays."""
        facts = {"present": self._present, "groups": self._count, "shapes": self._shapes}
        arrays = {} if self._centres is None else arrays_of(self._centres)
        found = {f"centres/{name}": array for name, array in arrays.items()}
        for place, pair in enumerate(self._sums):
            part = pair[: self._count]
            found |= {f"sums/{place}.high": part.high, f"sums/{place}.low": part.low}
        return facts | {"weighted": self._weighted}, found

    def set_arrays(self, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take over the state of sums of the same statistics, as `to_arrays` gave it."""
        self._present, self._count = facts["present"], facts["groups"]
        self._weighted = facts["weighted"]
        if facts["shapes"] is None:
            return
        true, pred = facts["shapes"]
        self._shapes = tuple(true), tuple(pred)
        own = {n.removeprefix("centres/"): a for n, a in arrays.items() if n[:8] == "centres/"}
        self._centres = tuple(as_states(self.statistics, self._weighted, own).values())
        self._sums = [
            Pair(arrays[f"sums/{place}.high"].copy(), arrays[f"sums/{place}.low"].copy())
            for place in range(len(self.statistics))
        ]

    def _add_at(self, numbers: np.ndarray, found: Sequence[np.ndarray | Pair]) -> None:
        """Add to the sums of these groups, of which each is there once."""
        self._count = max(self._count, int(numbers.max(initial=-1)) + 1)
        if not self._sums:
            self._sums = [Pair(*np.zeros((2, 0, *_shape(sums)))) for sums in found]
        for place, (before, more) in enumerate(zip(self._sums, found, strict=True)):
            room = len(before.high)
            if self._count > room:
                room = max(self._count, 2 * room)
                high, low = np.zeros((2, room, *_shape(more)))
                high[: len(before.high)], low[: len(before.low)] = before.high, before.low
                before = self._sums[place] = Pair(high, low)
            total = before[numbers] + more
            before.high[numbers], before.low[numbers] = total.high, total.low


def _shape(sums: np.ndarray | Pair) -> tuple[int, ...]:
    return (sums.high if isinstance(sums, Pair) else sums).shape[1:]


@functools.partial(jax.jit, static_argnums=0)
def _of_groups(
    statistics: tuple[SummedStatistic, ...],
    states: tuple[State, ...],
    places: Column,
    filled: Column,
    y_trues: Column,
    y_preds: Column,
    weight: Column | None,
) -> list[jax.Array]:
    """The sums of a block's columns by place, shape (rows, models, columns)."""
    dtype = np.dtype(np.float64)
    columns = block_columns(statistics, dtype, states, filled, y_trues, y_preds, weight)
    rows = places.shape[0]
    return [jax.ops.segment_sum(column, places, num_segments=rows) for column in columns]


@functools.partial(jax.jit, static_argnums=0)
def _add_groups(
    draws: Draws,
    sums: tuple[Pair, ...] | None,
    key: jax.Array,
    first: Column,
    columns: Sequence[Any],
) -> tuple[Pair, ...]:
    sets = draws.of_block(key, first, None, columns[0].shape[0]).astype(columns[0].dtype)
    return add_columns(sums, sets, columns)
