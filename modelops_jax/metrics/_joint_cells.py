"""Rows counted by the cells that several models put them into, and tables drawn from the counts.

A resample of n rows is one multinomial draw over the combinations of cells, and how many rows of a
combination are swapped is one binomial draw: the cost does not depend on n.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from modelops_jax._distinct import distinct_rows
from modelops_jax._distinct_shards import distinct_rows_of_shards

from ._compute import BUCKETS, padded
from ._counts import CellStatistic, Counts
from ._exact import ExactCount
from ._host_columns import computed_now, numbers, precision_scope
from ._interval import Resampled
from ._metric import Metric
from ._pair import Pair
from ._sharded import Layout, placed_alike, shared_layout
from ._statistic import check_rows, flattened, shared_axes
from ._types import Column, Matrix, Vector

# Numbers in the draws and tables of the sets that are taken at once, to bound memory.
_DRAWN_NUMBERS = 1 << 22
# The swaps are drawn beside the resamples of the same seed.
_SWAPS = 1


@dataclass(frozen=True)
class JointCells:
    """How many rows have each combination of cells, of which each model has one."""

    statistic: CellStatistic
    cells: np.ndarray  # int64 (combinations, models), in order; a row without one has the size
    counts: np.ndarray  # int64 (combinations,)

    @classmethod
    def of_rows(
        cls,
        statistic: CellStatistic,
        y_trues: Sequence[Vector | Matrix],
        y_preds: Sequence[Vector | Matrix],
        keep: Vector | None = None,
        counts: np.ndarray | None = None,
    ) -> "JointCells":
        """Count rows that `compute` takes, one y_true and one y_pred for each model.

        Args:
            statistic: whose cells.
            y_trues: for each model, shape (n,).
            y_preds: for each model, shape (n,) or (n, k).
            keep: None, or which rows count.
            counts: None, or how many rows each entry stands for.
        """
        trues = [numbers(true, "y_true") for true in y_trues]
        preds = [numbers(pred, "y_pred") for pred in y_preds]
        given: dict[str, Any] = {f"y_true of {at}": true for at, true in enumerate(trues)}
        given |= {f"y_pred of {at}": pred for at, pred in enumerate(preds)} | {"weight": keep}
        # Of entries with counts there are few.
        layout = shared_layout(given) if counts is None else None
        if layout is not None:
            found, several = _of_shards(statistic, trues, preds, keep, layout)
        else:
            pairs = zip(trues, preds, strict=True)
            cells = [_cells_of(statistic, true, pred, keep) for true, pred in pairs]
            found, several = distinct_rows(np.stack(cells, axis=1), counts)
        there = (found < statistic.size).any(axis=1) & (several > 0)
        return cls(statistic, found[there], several[there])

    def to_arrays(self) -> dict[str, np.ndarray]:
        """As named arrays."""
        return {"cells": self.cells, "counts": self.counts}

    def __add__(self, other: "JointCells") -> "JointCells":
        both = np.concatenate([self.cells, other.cells])
        counts = np.concatenate([self.counts, other.counts])
        return JointCells(self.statistic, *distinct_rows(both, counts))

    def resampled(
        self, metrics: Mapping[str, Metric], n_resamples: int, seed: int, *, jackknife: bool
    ) -> dict[str, Resampled]:
        """Each metric's values over resamples, shape (resamples, models, ...)."""
        drawn = self._values(metrics, self._resamples(n_resamples, seed))
        estimate = self._values(metrics, iter([self.counts[None]]))
        left, rows = {}, self.counts if len(self.counts) else np.ones(1)
        if jackknife:
            left = self._values(metrics, self._less_one()) if len(self.counts) else estimate
        return {
            name: Resampled(estimate[name][0], drawn[name], left.get(name), rows)
            for name in metrics
        }

    def swapped(
        self,
        metrics: Mapping[str, Metric],
        pairs: Sequence[tuple[int, int]],
        n_swaps: int,
        seed: int,
    ) -> dict[tuple[str, tuple[int, int]], np.ndarray]:
        """Differences of two models' values where rows have been swapped, shape (swaps, ...)."""
        found: dict[tuple[str, tuple[int, int]], list[np.ndarray]] = {}
        whole = self._tables(self.counts[None])
        for swaps in self._swaps(n_swaps, seed):
            moved = self._tables(swaps)
            for one, other in pairs:
                step = moved[:, other] - moved[:, one]
                both = np.stack([whole[:, one] + step, whole[:, other] - step], axis=1)
                for name, metric in metrics.items():
                    values = self._finalized(metric, both)
                    with np.errstate(invalid="ignore"):
                        apart = values[:, 0] - values[:, 1]
                    found.setdefault((name, (one, other)), []).append(apart)
        return {key: np.concatenate(parts) for key, parts in found.items()}

    def _resamples(self, several: int, seed: int) -> Iterator[np.ndarray]:
        total, random = int(self.counts.sum()), np.random.default_rng(seed)
        share = self.counts / max(total, 1)
        for sets in self._chunks(several):
            drawn = np.zeros((sets, len(share)), np.int64)
            yield random.multinomial(total, share, size=sets) if total else drawn

    def _swaps(self, several: int, seed: int) -> Iterator[np.ndarray]:
        random = np.random.default_rng([seed, _SWAPS])
        for sets in self._chunks(several):
            yield random.binomial(self.counts, 0.5, size=(sets, len(self.counts)))

    def _less_one(self) -> Iterator[np.ndarray]:
        """The counts without one row of each combination in turn."""
        first = 0
        for sets in self._chunks(len(self.counts)):
            left = np.repeat(self.counts[None], sets, axis=0)
            left[np.arange(sets), first + np.arange(sets)] -= 1
            first += sets
            yield left

    def _chunks(self, several: int) -> Iterator[int]:
        width = max(1, len(self.counts), self.cells.shape[1] * self.statistic.size)
        size = max(1, _DRAWN_NUMBERS // width)
        for start in range(0, several, size):
            yield min(size, several - start)

    def _values(
        self, metrics: Mapping[str, Metric], sets: Iterator[np.ndarray]
    ) -> dict[str, np.ndarray]:
        found: dict[str, list[np.ndarray]] = {name: [] for name in metrics}
        for drawn in sets:
            tables = self._tables(drawn)
            for name, metric in metrics.items():
                found[name].append(self._finalized(metric, tables))
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def _tables(self, drawn: np.ndarray) -> np.ndarray:
        """Each model's table of so many rows of each combination, shape (sets, models, cells)."""
        size = self.statistic.size
        found = np.zeros((len(drawn), self.cells.shape[1], size + 1))
        for model, cells in enumerate(self.cells.T):
            order = np.argsort(cells, kind="stable")
            filled, starts = np.unique(cells[order], return_index=True)
            if len(filled):
                found[:, model, filled] = np.add.reduceat(drawn[:, order], starts, axis=1)
        return found[..., :size]

    def _finalized(self, metric: Metric, tables: np.ndarray) -> np.ndarray:
        sets, models = tables.shape[:2]
        flat = tables.reshape(sets * models, *self.statistic.shape)
        state = Counts(Pair(flat, np.zeros_like(flat)), ExactCount.of_integers(np.zeros(3, int)))
        values = np.asarray(metric.finalizer(np, state).value, np.float64)
        return values.reshape(sets, models, *values.shape[1:])


def _of_shards(
    statistic: CellStatistic,
    trues: Sequence[Column],
    preds: Sequence[Column],
    keep: Vector | None,
    layout: Layout,
) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows of cells, and how often each occurs, of rows that stay on devices."""
    columns: list[Any] = [*trues, *preds]
    kept = [] if keep is None else [numbers(keep, "weight")]
    with precision_scope(*columns):
        placed = [placed_alike(column, layout) for column in (*columns, *kept)]
        of_models = _cell_program(statistic, len(trues), layout)(*placed)
    found = distinct_rows_of_shards(
        of_models, [statistic.size + 1] * len(of_models), None, layout.mesh, layout.axes
    )
    return found.rows, found.counts


@functools.lru_cache(maxsize=64)
def _cell_program(statistic: CellStatistic, models: int, layout: Layout) -> Any:
    """By model the cell of each row; the table's size where a row has none."""
    axes = shared_axes((statistic,))

    def cells(*columns: Any) -> list[Any]:
        trues, preds, keep = columns[:models], columns[models : 2 * models], columns[2 * models :]
        found = []
        for true, pred in zip(trues, preds, strict=True):
            rows = check_rows(*flattened(true, pred, axes), next(iter(keep), None), axes)
            found.append(jnp.minimum(statistic.slots(rows), statistic.size))
        return found

    divided = PartitionSpec(layout.axes)
    return jax.jit(jax.shard_map(cells, mesh=layout.mesh, in_specs=divided, out_specs=divided))


def _cells_of(
    statistic: CellStatistic, y_true: Column, y_pred: Column, keep: Vector | None
) -> np.ndarray:
    """The cell of each row, int64 of shape (n,); the table's size where a row has none."""
    true, pred = flattened(np.asarray(y_true), np.asarray(y_pred), shared_axes((statistic,)))
    kept = None if keep is None else np.asarray(keep)
    found = [np.zeros(0, np.int64)]
    with computed_now(), precision_scope(true, pred):
        for start in range(0, len(true), BUCKETS[-1]):
            part = slice(start, start + BUCKETS[-1])
            rows = len(true[part])
            size = next(bucket for bucket in BUCKETS if bucket >= rows)
            own = None if kept is None else padded(kept[part], size)
            slots = _slots(statistic, padded(true[part], size), padded(pred[part], size), own)
            found.append(np.asarray(slots)[:rows].astype(np.int64))
    return np.minimum(np.concatenate(found), statistic.size)


@functools.partial(jax.jit, static_argnums=0)
def _slots(
    statistic: CellStatistic, y_true: Column, y_pred: Column, keep: Column | None
) -> jax.Array:
    return statistic.slots(check_rows(y_true, y_pred, keep, shared_axes((statistic,))))
