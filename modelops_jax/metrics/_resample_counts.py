"""Resampled weights of pairs of labels that come in batches."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._compute import padded
from ._counts import IN_BOUNDS, CellStatistic
from ._draws import GROUP, Draws
from ._host_columns import computed_now, precision_scope
from ._interval import Interval, check_level, check_resamples
from ._metric import Metric
from ._pair import Pair
from ._resample_stream import percentile_intervals
from ._row_draws import RowSums
from ._types import Column

_BLOCK = 8 * GROUP
# A pair of labels is one integer: the true one from this bit on.
_BITS = 32


class CountResampleStream:
    """The bootstrap of weighted counts of pairs of labels, of all rows seen so far.

    As `ResampleStream`, for metrics whose number of classes only the last rows tell: what each pair
    of labels weighs in every resample is a running sum, from which the tables of any number of
    classes follow. Its state grows with the pairs that occur, 16 KB each of 1,000 resamples.

    Args:
        n_resamples: how many resamples.
        seed: of the draws.

    Raises:
        ValueError: fewer than two resamples.

    Example:
        >>> import numpy as np
        >>> from modelops_jax.metrics import CountResampleStream, metric
        >>> stream = CountResampleStream()
        >>> true, pred = np.array([[0, 0, 1, 1], [0, 1, 1, 1]] * 50).reshape(-1, 2).T
        >>> stream.update(true, pred, np.full(true.size, 0.5))
        >>> accuracy = {"accuracy": metric("accuracy_score", num_classes=2)}
        >>> stream.intervals(accuracy, 0.9)["accuracy"].method
        'Poisson percentile'
    """

    def __init__(self, *, n_resamples: int = 1000, seed: int = 0) -> None:
        check_resamples(n_resamples)
        self._draws, self._seed = Draws(n_resamples, 0, 0), seed
        self._pairs = np.zeros(0, np.int64)  # sorted
        # By pair and resample, the sum and what rounding left of it.
        self._sums = Pair(*np.zeros((2, 0, self._draws.count)))
        self._rows = 0
        # Rows that do not fill a block yet.
        self._waiting, self._weight = np.zeros(0, np.int64), np.zeros(0)

    def update(self, y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray) -> None:
        """Add a batch of rows.

        Args:
            y_true: reference labels, integers from 0 to 2**31 - 1, shape (n,).
            y_pred: predicted labels, the same.
            weight: finite numbers of at least 0, shape (n,).
        """
        pairs = np.concatenate([self._waiting, _as_pairs(y_true, y_pred)])
        weight = np.concatenate([self._weight, weight])
        whole = weight.size // _BLOCK * _BLOCK
        for start in range(0, whole, _BLOCK):
            block = slice(start, start + _BLOCK)
            self._pairs, self._sums = self._with(self._sums, pairs[block], weight[block])
            self._rows += _BLOCK
        self._waiting, self._weight = pairs[whole:].copy(), weight[whole:].copy()

    @property
    def labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Both labels of the pairs that occur, some of which are there more than once."""
        return _as_labels(np.concatenate([self._pairs, self._waiting]))

    def relabel(self, y_true: np.ndarray, y_pred: np.ndarray) -> None:
        """Put these labels, of which several pairs may be one, in the place of `labels`."""
        pairs, self._waiting = np.split(_as_pairs(y_true, y_pred), [self._pairs.size])
        self._pairs, place = np.unique(pairs, return_inverse=True)
        before, self._sums = self._sums, _no_sums(self._pairs.size, self._draws)
        for at, where in enumerate(place.tolist()):
            _add_at(self._sums, where, before[at])

    def intervals(
        self, metrics: Mapping[str, Metric], level: float = 0.95, places: np.ndarray | None = None
    ) -> dict[str, Interval]:
        """By metric the percentile interval of all rows so far; none of no rows.

        Args:
            metrics: metrics whose `resampling` is "cells".
            level: nominal coverage, in (0, 1).
            places: by label the number by which the metrics know it; None: the label itself.

        Raises:
            ValueError: a level outside (0, 1), or a metric of something else than counts.
        """
        check_level(level)
        for name, metric in metrics.items():
            if metric.resampling != "cells":
                raise ValueError(f"{name}: {metric.name} is no function of a table of counts")
        pairs, sums = self._pairs, self._sums
        if self._weight.size:
            copied = Pair(sums.high.copy(), sums.low.copy())
            pairs, sums = self._with(copied, self._waiting, self._weight)
        if not pairs.size:
            return {}
        totals = sums.value()
        sides = np.stack(_as_labels(pairs))
        true, pred = (sides if places is None else places[sides]).astype(np.int32)
        states, tables = {}, {}
        for statistic in dict.fromkeys(s for metric in metrics.values() for s in metric.statistics):
            assert isinstance(statistic, CellStatistic)
            with computed_now():
                cells = np.asarray(statistic.cell(jnp.asarray(true), jnp.asarray(pred))[0])
                states[statistic] = jax.device_get(statistic.identity(weighted=True))
            table = np.zeros((statistic.size, self._draws.count))
            np.add.at(table, cells, totals)
            tables[statistic] = table.T[:, None, :]
        drawn = RowSums(self._draws, states, tables)
        return percentile_intervals(metrics, drawn, level, self._seed)

    def _with(self, sums: Pair, rows: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, Pair]:
        """The pairs and these sums, which are written to, with those of at most a block of rows."""
        new, place = np.unique(rows, return_inverse=True)
        pairs = np.union1d(self._pairs, new)
        if pairs.size > self._pairs.size:
            before, sums = sums, _no_sums(pairs.size, self._draws)
            _add_at(sums, np.searchsorted(pairs, self._pairs), before)
        cells = 1 << max(4, (new.size - 1).bit_length())
        size = GROUP if weight.size <= GROUP else _BLOCK
        with computed_now(), precision_scope(weight):
            added = _sums_of_block(
                self._draws,
                cells,
                jax.random.key(self._seed),
                np.asarray(self._rows // GROUP, np.int32),
                padded(place.astype(np.int32), size),
                padded(weight, size),
            )
        _add_at(sums, np.searchsorted(pairs, new), np.asarray(added)[: new.size])
        return pairs, sums


def _as_pairs(true: np.ndarray, pred: np.ndarray) -> np.ndarray:
    return (true.astype(np.int64) << _BITS) | pred.astype(np.int64)


def _as_labels(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return pairs >> _BITS, pairs & ((1 << _BITS) - 1)


def _no_sums(pairs: int, draws: Draws) -> Pair:
    return Pair(*np.zeros((2, pairs, draws.count)))


def _add_at(sums: Pair, where: Any, more: Any) -> None:
    """Add to the sums of these pairs, of which each is there once."""
    total = sums[where] + more
    sums.high[where], sums.low[where] = total.high, total.low


@functools.partial(jax.jit, static_argnums=(0, 1))
def _sums_of_block(
    draws: Draws, size: int, key: jax.Array, first: Column, cells: Column, weight: Column
) -> jax.Array:
    """The weight of each of so many cells in every set of draws, shape (size, sets)."""
    sets = draws.of_block(key, first, None, cells.shape[0]).astype(weight.dtype)
    table = jnp.zeros((size, draws.count), weight.dtype)
    return table.at[cells].add(sets.T * weight[:, None], mode=IN_BOUNDS)
