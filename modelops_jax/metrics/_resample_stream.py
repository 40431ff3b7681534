"""Resampled sums of rows that come in batches."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ._bootstrap import sum_intervals
from ._compute import pass_over
from ._draws import Draws
from ._interval import Interval, check_level, check_resamples, check_seed
from ._metric import Metric
from ._running_sums import RunningSums
from ._statistic import Statistic, SummedStatistic
from ._types import Matrix, Vector


class ResampleStream:
    """The bootstrap of metrics of sums, of all rows seen so far.

    What a row weighs in a resample follows from its number and the seed, so that each resample is
    a running sum, and the intervals are those of `bootstrap_intervals` of all rows together, to
    rounding. The rows of one stream alone: those of two streams would be drawn alike.

    Args:
        metrics: metrics whose `resampling` is "rows", under the names their intervals will have.
        n_resamples: how many resamples.
        seed: of the draws.
        weighted: whether rows will have weights other than 1, of which metrics whose `resampling`
            is "cells" are drawn as well.

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
        self,
        metrics: Mapping[str, Metric],
        *,
        n_resamples: int = 1000,
        seed: int = 0,
        weighted: bool = False,
    ) -> None:
        check_resamples(n_resamples)
        check_seed(seed)
        self._statistics = resampled_statistics(metrics, weighted=weighted)
        self._metrics, self._seed, self._weighted = dict(metrics), seed, weighted
        self._sums = RunningSums(self._statistics, Draws(poisson=n_resamples), seed)

    @property
    def weighted(self) -> bool:
        """Whether rows may have weights other than 1."""
        return self._weighted

    def update(
        self,
        y_true: Vector | Matrix,
        y_pred: Vector | Matrix,
        *,
        weight: Vector | None = None,
    ) -> None:
        """Add a batch of rows.

        Args:
            y_true: reference labels or values, shape (n,) (see `compute`).
            y_pred: predicted values, shape (n,) or (n, k).
            weight: None, a boolean mask or non-negative numbers, shape (n,); a row without one
                weighs 1.

        Raises:
            ValueError: what `compute` refuses, or rows of another shape than those before; the
                stream is then as it was before the call.
        """
        true, pred = self._sums.read(y_true, y_pred)
        if not (len(true) and self._statistics):
            return
        states = pass_over(self._statistics, true, pred, weight).states
        self._sums.add([true], [pred], states, weight)

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The state as JSON and named arrays, for a format of one's own."""
        return self._sums.to_arrays()

    def set_arrays(self, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take over the state of a stream made with the same arguments, as `to_arrays` gave it."""
        self._sums.set_arrays(facts, arrays)

    def intervals(
        self, level: float = 0.95, metrics: Mapping[str, Metric] | None = None
    ) -> dict[str, Interval]:
        """By metric the percentile interval of all rows so far; none of no rows.

        Args:
            level: nominal coverage, in (0, 1).
            metrics: others of the same sums; None: those of the stream.

        Raises:
            ValueError: a level outside (0, 1), or a metric of sums that the stream has not.
        """
        check_level(level)
        wanted = self._metrics if metrics is None else metrics
        require_sums(wanted, self._statistics)
        drawn = self._sums.sums()
        if drawn is None:
            return {}
        return sum_intervals(wanted, drawn, level, "percentile", "Poisson", self._seed)[0]


def require_sums(metrics: Mapping[str, Metric], statistics: Sequence[Statistic]) -> None:
    """Refuse metrics of other statistics than these (ValueError)."""
    for name, metric in metrics.items():
        if not {*metric.statistics} <= {*statistics}:
            raise ValueError(f"{name}: the stream does not have the sums of {metric.name}")


def resampled_statistics(
    metrics: Mapping[str, Metric], *, weighted: bool
) -> tuple[SummedStatistic, ...]:
    """What metrics sum over rows; those of tables, too, where rows have weights.

    Raises:
        ValueError: a metric that is not of sums over rows.
    """
    for name, metric in metrics.items():
        if metric.resampling not in (("rows", "cells") if weighted else ("rows",)):
            raise ValueError(f"{name}: {metric.name} is no function of sums over rows")
    every = dict.fromkeys(s for metric in metrics.values() for s in metric.statistics)
    return tuple(s for s in every if isinstance(s, SummedStatistic))
