"""The bootstrap of sums of rows in groups that come in batches."""

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np

from ._bootstrap import Ends, sum_intervals
from ._compute import pass_over
from ._confidence import IntervalMethod, check_method, without
from ._counts import CellStatistic
from ._draws import Draws
from ._group_sums import GroupSums
from ._host_columns import numbers, precision_scope
from ._interval import Interval
from ._metric import Metric
from ._resample_stream import require_sums, resampled_statistics
from ._row_ratios import cell_shares
from ._sharded import Layout, row_layout, shared_layout
from ._slices import as_ids
from ._student import row_moments
from ._types import Matrix, Vector


class GroupResampleStream:
    """The bootstrap of metrics of sums, by groups of rows, of all rows seen so far.

    The rows of a group, which may come in several batches, are resampled together. Of each group
    there are the sums of its rows, and resamples are drawn in the end: the intervals are those of
    `confidence_intervals` with the groups of all rows together, to rounding.

    Args:
        metrics: metrics whose `resampling` is "rows" or "cells", under the names their intervals
            will have.

    Raises:
        ValueError: a metric that is not of sums over rows.

    Example:
        >>> from modelops_jax.metrics import GroupResampleStream, metric
        >>> stream = GroupResampleStream({"mse": metric("mean_squared_error")})
        >>> for _ in range(2):
        ...     stream.update([1.0, 2.0] * 50, [1.0, 4.0] * 50, list(range(50)) * 2)
        >>> interval = stream.intervals(0.9)["mse"]
        >>> interval.low < 2.0 < interval.high, interval.method
        (True, 'Poisson of groups percentile')
    """

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        self._metrics = dict(metrics)
        self._sums = GroupSums(resampled_statistics(metrics, weighted=True))

    def update(
        self,
        y_true: Vector | Matrix,
        y_pred: Vector | Matrix,
        groups: Vector,
        *,
        weight: Vector | None = None,
    ) -> None:
        """Add a batch of rows, which may be sharded over a mesh: sums alone leave the devices.

        Args:
            y_true: reference labels or values, shape (n,) (see `compute`).
            y_pred: predicted values, shape (n,) or (n, k).
            groups: the number of each row's group, shape (n,).
            weight: None, a boolean mask or non-negative numbers, shape (n,); a row without one
                weighs 1.

        Raises:
            ValueError: numbers of groups that are not one for each row, or negative, rows of
                another shape than those before, and what `compute` refuses; the stream is then as
                it was before the call.
            TypeError: numbers of groups that are not integers.
        """
        given = {"y_true": y_true, "y_pred": y_pred, "groups": groups, "weight": weight}
        layout = shared_layout(given)
        if layout is not None:
            self._update_there(layout, **given)
            return
        true, pred = self._sums.read(y_true, y_pred)
        ids = as_ids("groups", np.asarray(groups), groups, np.shape(y_true)[:1])
        if not (len(true) and self._sums.statistics):
            return
        own = None if weight is None else np.asarray(numbers(weight, "weight"))
        states = pass_over(self._sums.statistics, true, pred, own).states
        self._sums.add([true], [pred], states, own, ids)

    def _update_there(
        self, layout: Layout, *, y_true: Any, y_pred: Any, groups: Any, weight: Any
    ) -> None:
        true, pred = numbers(y_true, "y_true"), numbers(y_pred, "y_pred")
        own = None if weight is None else numbers(weight, "weight")
        column = groups if row_layout(groups) is not None else np.asarray(groups)
        with precision_scope(column):
            ids = as_ids("groups", column, groups, true.shape[:1])
        if self._sums.statistics:
            self._sums.add_there(true, pred, own, ids, layout)

    def merge(self, other: "GroupResampleStream", groups: np.ndarray) -> None:
        """Add the rows of another stream of the same metrics, which stays as it is.

        Args:
            other: the other stream.
            groups: for each of its groups the number of that group here.

        Raises:
            ValueError: other metrics.
        """
        if other._metrics != self._metrics:
            raise ValueError(
                f"the other stream is of {other._metrics}; expected the metrics {self._metrics}"
            )
        self._sums.merge(other._sums, groups)

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The state as JSON and named arrays, for a format of one's own."""
        return self._sums.to_arrays()

    def set_arrays(self, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take over the state of a stream of the same metrics, as `to_arrays` gave it."""
        self._sums.set_arrays(facts, arrays)

    def ratios(self, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Of a metric that is a mean or a share each group's numerator and denominator, or None.

        They are what `row_ratios` gives of the rows, with their weights, added up.
        """
        metric = self._metrics.get(name)
        if metric is None or not self._sums.count or len(metric.statistics) > 1:
            return None
        (statistic,) = list(metric.statistics)
        if row_moments(metric) is not None:
            below, above = self._sums.by_group(statistic).T
            return above, below
        if not (isinstance(statistic, CellStatistic) and self._sums.of_single_numbers):
            return None
        each = cell_shares(metric)
        if each is None:
            return None
        above, below = (self._sums.by_group(statistic) @ each).T
        return above, below

    def intervals(
        self,
        level: float = 0.95,
        *,
        order: np.ndarray | None = None,
        rows: int | None = None,
        metrics: Mapping[str, Metric] | None = None,
        method: IntervalMethod | str = "auto",
        n_resamples: int = 1000,
        seed: int = 0,
    ) -> dict[str, Interval]:
        """By metric the interval of all rows so far, or of those of some groups; none of no rows.

        Args:
            level: nominal coverage, in (0, 1).
            order: the numbers of the groups in the order of their ids; None: all, in their own.
            rows: how many rows of positive weight those of some groups are.
            metrics: others of the same sums; None: those of the stream.
            method: "auto" or "percentile", or "bca".
            n_resamples: how many resamples.
            seed: of the draws.

        Raises:
            ValueError: a level outside (0, 1), another method, fewer than two resamples, or a
                metric of sums that the stream has not.
        """
        check_method(method, level, n_resamples, seed)
        wanted = self._metrics if metrics is None else metrics
        require_sums(wanted, self._sums.statistics)
        without(wanted, {}, method)
        order = np.arange(self._sums.count) if order is None else order
        ends = method if method in get_args(Ends) else "percentile"
        drawn = self._sums.sums(order, Draws(n_resamples, parts=int(ends == "bca")), seed, rows)
        if drawn is None:
            return {}
        return sum_intervals(wanted, drawn, level, ends, "Poisson of groups", seed)[0]
