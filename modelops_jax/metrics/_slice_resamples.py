"""Resampled sums of slices whose rows come in batches."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from modelops_jax._distinct import rows_by_number

from ._bootstrap import sum_intervals
from ._compute import pass_over
from ._draws import Draws
from ._host_columns import numbers
from ._interval import Interval, check_level, check_resamples, check_seed
from ._metric import Metric
from ._resample_stream import resampled_statistics
from ._running_sums import RunningSums, as_rows
from ._slices import ids_below
from ._types import Matrix, Vector


class SliceResampleStream:
    """The bootstrap of metrics of sums in every slice of all rows seen so far.

    As a `ResampleStream` of each slice by itself: what a row weighs in a resample follows from its
    number in its slice. Of a slice there are its rows, up to some thousands of them, and beyond
    that the sums of every resample.

    Args:
        metrics: metrics whose `resampling` is "rows", under the names their intervals will have.
        n_resamples: how many resamples.
        seed: of the draws.
        weighted: whether rows will have weights other than 1, as for `ResampleStream`.

    Raises:
        ValueError: a metric that is not of sums over rows, or fewer than two resamples.

    Example:
        >>> from modelops_jax.metrics import SliceResampleStream, metric
        >>> stream = SliceResampleStream({"mse": metric("mean_squared_error")})
        >>> for _ in range(2):
        ...     stream.update([1.0, 2.0] * 50, [1.0, 4.0] * 50, [0, 0, 1, 1] * 25, 2)
        >>> [found["mse"].low < 2.0 < found["mse"].high for found in stream.intervals(0.9)]
        [True, True]
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
        self._metrics, self._seed = dict(metrics), seed
        self._draws = Draws(poisson=n_resamples)
        self._slices: list[RunningSums] = []

    def update(
        self,
        y_true: Vector | Matrix,
        y_pred: Vector | Matrix,
        slices: Vector,
        count: int,
        *,
        weight: Vector | None = None,
    ) -> None:
        """Add a batch of rows.

        Args:
            y_true: reference labels or values, shape (n,) (see `compute`).
            y_pred: predicted values, shape (n,) or (n, k).
            slices: the number of each row's slice, shape (n,).
            count: how many slices there are so far: numbers are below it.
            weight: None, a boolean mask or non-negative numbers, shape (n,); a row without one
                weighs 1.

        Raises:
            ValueError: numbers of slices that are not one for each row or outside 0 to count - 1,
                and what `compute` refuses; the stream is then as it was before the call.
            TypeError: numbers of slices that are not integers.
        """
        ids = ids_below(count, slices, np.shape(y_true)[:1])
        if self._statistics:
            pass_over(self._statistics, y_true, y_pred, weight)  # before anything is added
        missing = range(len(self._slices), count)
        self._slices += [RunningSums(self._statistics, self._draws, self._seed) for _ in missing]
        if not self._statistics:
            return
        true, pred = as_rows(self._statistics, y_true, y_pred)
        own = None if weight is None else np.asarray(numbers(weight, "weight"))
        for number, rows in rows_by_number(ids):
            sums, given = self._slices[number], None if own is None else own[rows]
            states = {}
            if not sums.begun:
                states = pass_over(self._statistics, true[rows], pred[rows], given).states
            sums.add([true[rows]], [pred[rows]], states, given)

    def intervals(self, level: float = 0.95) -> list[dict[str, Interval]]:
        """For each slice by metric the percentile interval of all rows so far; none of no rows.

        Args:
            level: nominal coverage, in (0, 1).

        Raises:
            ValueError: a level outside (0, 1).
        """
        check_level(level)
        found: list[dict[str, Interval]] = []
        for one in self._slices:
            drawn = one.sums() if self._metrics else None
            own = [{}]
            if drawn is not None:
                own = sum_intervals(
                    self._metrics, drawn, level, "percentile", "Poisson", self._seed
                )
            found += own
        return found

    def to_arrays(self) -> tuple[list[Any], dict[str, np.ndarray]]:
        """The state as JSON and named arrays, for a format of one's own."""
        facts, arrays = [], {}
        for place, one in enumerate(self._slices):
            own, more = one.to_arrays()
            facts.append(own)
            arrays |= {f"{place}/{name}": array for name, array in more.items()}
        return facts, arrays

    def set_arrays(self, facts: list[Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take over the state of a stream made with the same arguments, as `to_arrays` gave it."""
        self._slices = [RunningSums(self._statistics, self._draws, self._seed) for _ in facts]
        own: list[dict[str, np.ndarray]] = [{} for _ in facts]
        for name, array in arrays.items():
            place, rest = name.split("/", 1)
            own[int(place)][rest] = array
        for one, told, more in zip(self._slices, facts, own, strict=True):
            one.set_arrays(told, more)
