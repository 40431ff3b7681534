"""Resampled sums of rows that come in batches."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from ._compute import padded, pass_over
from ._draws import GROUP, Draws, add_block, block_rows
from ._exact import ExactCount
from ._host_columns import computed_now, numbers, precision_scope
from ._interval import Interval, Resampled, check_level, check_resamples, check_seed, make_interval
from ._metric import Metric
from ._pair import Pair
from ._row_draws import RowSums
from ._statistic import SummedStatistic, columns_of, flattened, shared_axes
from ._types import Matrix, State, Vector


class ResampleStream:
    """The bootstrap of metrics of sums, of all rows seen so far.

    What a row weighs in a resample follows from its number and the seed, so that each resample is
    a running sum, and the intervals are those of `bootstrap_intervals` of all rows together, to
    rounding. The rows of one stream alone: those of two streams would be drawn alike.

    Args:
        metrics: metrics whose `resampling` is "rows", under the names their intervals will have.
        n_resamples: how many resamples.
        seed: of the draws.

    Raises:
        ValueError: a metric that is not of sums over rows, or fewer than two resamples.

    Example:
        >>> from modelops_jax.metrics import ResampleStream, metric
        >>> stream = ResampleStream({"mse": metric("mean_squared_error")})
        >>> for _ in range(2):
        ...     stream.update([1.0, 2.0] * 50, [1.0, 4.0] * 50)
        >>> interval = stream.intervals(0.9)["mse"]
        >>> interval.low < 2.0 < interval.high, interval.method
        (True, 'Poisson percentile')
    """

    def __init__(
        self, metrics: Mapping[str, Metric], *, n_resamples: int = 1000, seed: int = 0
    ) -> None:
        check_resamples(n_resamples)
        check_seed(seed)
        for name, metric in metrics.items():
            if metric.resampling != "rows":
                raise ValueError(f"{name}: {metric.name} is no function of sums over rows")
        self._metrics, self._seed = dict(metrics), seed
        every = dict.fromkeys(s for metric in metrics.values() for s in metric.statistics)
        self._statistics = tuple(s for s in every if isinstance(s, SummedStatistic))
        self._draws = Draws(n_resamples, 0, 0)
        self._centres: tuple[State, ...] | None = None
        self._sums: tuple[Pair, ...] | None = None
        self._rows = 0
        # Rows that do not fill a block yet.
        self._true, self._pred = np.zeros(0), np.zeros(0)

    def update(self, y_true: Vector | Matrix, y_pred: Vector | Matrix) -> None:
        """Add a batch of rows.

        Args:
            y_true: reference labels or values, shape (n,) (see `compute`).
            y_pred: predicted values, shape (n,) or (n, k).

        Raises:
            ValueError: what `compute` refuses, or rows of another shape than those before; the
                stream is then as it was before the call.
        """
        true, pred = _wide(numbers(y_true, "y_true")), _wide(numbers(y_pred, "y_pred"))
        true, pred = flattened(true, pred, shared_axes(self._statistics))
        if not len(true):
            return
        for name, now, before in (("y_true", true, self._true), ("y_pred", pred, self._pred)):
            if self._centres is not None and now.shape[1:] != before.shape[1:]:
                raise ValueError(
                    f"{name} has rows of shape {now.shape[1:]}; the rows before have "
                    f"{before.shape[1:]}"
                )
        states = pass_over(self._statistics, true, pred, None).states
        if self._centres is None:
            # Sums are taken about the means of the first rows, which are near those of all.
            self._centres = tuple(states[statistic] for statistic in self._statistics)
            self._true, self._pred = true[:0], pred[:0]
        true = np.concatenate([self._true, true])
        pred = np.concatenate([self._pred, pred])
        longest = block_rows(self._statistics, 1, columns_of(pred))
        whole = len(true) // longest * longest
        for start in range(0, whole, longest):
            block = slice(start, start + longest)
            self._sums = self._added(true[block], pred[block], longest)
            self._rows += longest
        self._true, self._pred = true[whole:].copy(), pred[whole:].copy()

    def intervals(self, level: float = 0.95) -> dict[str, Interval]:
        """By metric the percentile interval of all rows so far; none of no rows.

        Args:
            level: nominal coverage, in (0, 1).

        Raises:
            ValueError: a level outside (0, 1).
        """
        check_level(level)
        if self._centres is None:
            return {}
        sums, rest = self._sums, len(self._true)
        if rest:
            longest = block_rows(self._statistics, 1, columns_of(self._pred))
            sums = self._added(self._true, self._pred, GROUP if rest <= GROUP else longest)
        totals = [np.asarray(pair.value(), np.float64) for pair in jax.device_get(sums)]
        # The rows of the first batch are in the centres; a resample is of all rows.
        states = [_of_rows(centre, self._rows + rest) for centre in self._centres]
        drawn = RowSums(
            self._draws,
            dict(zip(self._statistics, states, strict=True)),
            dict(zip(self._statistics, totals, strict=True)),
        )
        found = {}
        for name, metric in self._metrics.items():
            values = drawn.resampled().values(metric)[:, 0]
            estimate = np.asarray(drawn.sample().values(metric)[0, 0])
            ends = Resampled(estimate, values).ends(level, bca=False)
            resamples = self._draws.poisson
            found[name] = make_interval(ends, level, "Poisson percentile", resamples, self._seed)
        return found

    def _added(self, true: np.ndarray, pred: np.ndarray, size: int) -> tuple[Pair, ...]:
        """The sums with those of the next rows, at most `size`."""
        assert self._centres is not None
        with computed_now(), precision_scope(true, pred):
            return add_block(
                self._statistics, np.dtype(np.float64), self._draws, self._centres, self._sums,
                jax.random.key(self._seed),
                np.asarray(self._rows // GROUP, np.int32),
                None,
                np.asarray(len(true), np.int32),
                padded(true, size)[None],
                padded(pred, size)[None],
                None,
            )  # fmt: skip


def _wide(column: Any) -> np.ndarray:
    """Floats as float64, in which they are summed whatever they were; booleans as integers."""
    column = np.asarray(column)
    of_kind = {"f": np.float64, "b": np.int8}
    return column.astype(of_kind.get(column.dtype.kind, column.dtype), copy=False)


def _of_rows(state: State, rows: int) -> State:
    if not hasattr(state, "rows"):
        return state
    shape = np.shape(state.rows.low)
    return dataclasses.replace(state, rows=ExactCount.of_integers(np.full(shape, rows)))
