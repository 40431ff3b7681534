"""Sums of groups of rows that come in batches, and of the groups under sets of weights."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from modelops_jax._row_groups import GrowingGroups

from ._compute import padded
from ._draws import GROUP, PARTS, Draws, add_columns, block_columns, block_rows
from ._host_columns import computed_now, precision_scope
from ._pair import Pair
from ._row_draws import RowSums
from ._running_sums import of_rows, rows_like
from ._statistic import Statistic, SummedStatistic, columns_of
from ._types import Column, Matrix, State, Vector

# Groups that are drawn at once.
_BLOCK = 4 * GROUP


class GroupSums:
    """`draw_rows` of rows in groups that come in batches, of several models on the same rows.

    All rows of a group draw alike, so of each group the sums of its rows are kept. What it draws
    depends on its place among all ids in order, which only the last rows tell.
    """

    def __init__(self, statistics: Sequence[SummedStatistic], draws: Draws, seed: int) -> None:
        self.statistics, self._draws, self._seed = tuple(statistics), draws, seed
        self._groups = GrowingGroups()
        self._centres: tuple[State, ...] | None = None
        # For each statistic the sums by group, with room for more, and what rounding left of them.
        self._sums: list[Pair] = []
        self._present = 0
        # Of a row of y_true and of y_pred, once there are rows.
        self._shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    def add(
        self,
        trues: Sequence[np.ndarray],
        preds: Sequence[np.ndarray],
        states: Mapping[Statistic, State],
        weight: np.ndarray | None,
        groups: tuple[list[Any], np.ndarray],
    ) -> None:
        """Add at least one row.

        Args:
            trues: for each model what `read` gave.
            preds: the same.
            states: those of the first model's rows.
            weight: None, a boolean mask or non-negative numbers, of each row; None: 1.
            groups: what `read_groups` gave.
        """
        true, pred = np.stack(trues), np.stack(preds)
        self._shapes = true.shape[2:], pred.shape[2:]
        rows, (ids, codes) = true.shape[1], groups
        self._present += rows if weight is None else int(np.count_nonzero(weight))
        if self._centres is None:
            # Sums are taken about the means of the first rows, which are near those of all.
            self._centres = tuple(states[statistic] for statistic in self.statistics)
        numbers = self._groups.add(ids)
        longest = block_rows(self.statistics, len(pred), columns_of(pred[0]))
        # Rows of one group beside each other are in few blocks.
        order = np.argsort(codes, kind="stable")
        for start in range(0, rows, longest):
            block = order[start : start + longest]
            of_block, place = np.unique(codes[block], return_inverse=True)
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
            self._add_at(numbers[of_block], [np.asarray(sums)[: len(of_block)] for sums in found])

    def read(
        self, y_true: Vector | Matrix, y_pred: Vector | Matrix
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows of one model as they are summed.

        Raises:
            ValueError: rows of another shape than those before.
        """
        return rows_like(self._shapes, self.statistics, y_true, y_pred)

    def read_groups(self, groups: Vector, rows: int) -> tuple[list[Any], np.ndarray]:
        """The groups of a batch as `add` takes them; raises what `GrowingGroups.read` does."""
        return self._groups.read(groups, rows)

    def sums(self, *, jackknife: bool = False) -> RowSums | None:
        """The sums of all rows so far; None of no rows.

        Args:
            jackknife: whether to leave out groups: each alone up to 512 of them.
        """
        if self._centres is None:
            return None
        count, order = len(self._groups), self._groups.in_order()
        of_groups = [pair[:count].value()[order] for pair in self._sums]
        parts = max(1, min(count, PARTS)) if jackknife else 0
        draws = Draws(self._draws.poisson, self._draws.signs, parts)
        sums: tuple[Pair, ...] | None = None
        with computed_now(), precision_scope(*of_groups):
            for start in range(0, count, _BLOCK):
                stop = min(start + _BLOCK, count)
                size = GROUP if stop - start <= GROUP else _BLOCK
                columns = tuple(padded(total[start:stop], size) for total in of_groups)
                first = np.asarray(start // GROUP, np.int32)
                sums = _add_groups(draws, sums, jax.random.key(self._seed), first, columns)
        totals = [np.asarray(pair.value(), np.float64) for pair in jax.device_get(sums)]
        states = [of_rows(centre, self._present) for centre in self._centres]
        return RowSums(
            draws,
            dict(zip(self.statistics, states, strict=True)),
            dict(zip(self.statistics, totals, strict=True)),
        )

    def _add_at(self, numbers: np.ndarray, found: Sequence[np.ndarray]) -> None:
        """Add to the sums of these groups, of which each is there once."""
        if not self._sums:
            self._sums = [Pair(*np.zeros((2, 0, *sums.shape[1:]))) for sums in found]
        for place, (before, more) in enumerate(zip(self._sums, found, strict=True)):
            room = len(before.high)
            if len(self._groups) > room:
                room = max(len(self._groups), 2 * room)
                high, low = np.zeros((2, room, *more.shape[1:]))
                high[: len(before.high)], low[: len(before.low)] = before.high, before.low
                before = self._sums[place] = Pair(high, low)
            total = before[numbers] + more
            before.high[numbers], before.low[numbers] = total.high, total.low


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
