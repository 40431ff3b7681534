"""Differences between models whose predictions of the same rows come in batches."""

from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np

from ._bootstrap import Ends, count_intervals
from ._compute import Report
from ._confidence import IntervalMethod, check_method, of_shares, without
from ._differences import Asked, Difference, by_cells, pairs_of
from ._draws import Draws
from ._interval import Interval, Resampled, check_level, check_resamples, make_interval
from ._joint_cells import JointCells
from ._metric import Metric
from ._row_draws import RowSums
from ._running_sums import RunningSums
from ._statistic import SummedStatistic
from ._stream import MetricStream
from ._types import Matrix, Vector


class PairedStream:
    """Values, intervals and differences of models on all rows seen so far.

    They are those of `compute`, `confidence_intervals` and `paired_differences` of all rows
    together, to rounding. Memory does not grow with the rows: of sums there are those of every
    resample and every set of signs, of tables the count of each combination of the models' cells.
    The rows of one stream alone: those of two streams would be drawn alike.

    Args:
        metrics: metrics whose `resampling` is "rows" or "cells", under the names of the results.
        models: the models, at least two.
        n_resamples: how many resamples, and how many random swaps.
        seed: of both.

    Raises:
        ValueError: other metrics, fewer than two models, or fewer than two resamples.

    Example:
        >>> from modelops_jax.metrics import PairedStream, metric
        >>> stream = PairedStream({"mse": metric("mean_squared_error")}, ["old", "new"])
        >>> for _ in range(2):
        ...     stream.update([0.0] * 20, {"old": [1.0, 2.0] * 10, "new": [0.9, 1.9] * 10})
        >>> found = stream.differences()["mse"]["old", "new"]
        >>> round(found.value, 2), found.interval.low > 0, found.p_value < 0.01
        (0.29, True, True)
    """

    def __init__(
        self,
        metrics: Mapping[str, Metric],
        models: Sequence[str],
        *,
        n_resamples: int = 2000,
        seed: int = 0,
    ) -> None:
        check_resamples(n_resamples)
        for name, metric in metrics.items():
            if metric.resampling not in ("rows", "cells"):
                raise ValueError(
                    f"{name}: {metric.name} is no function of sums over rows, nor of a table of "
                    "counts"
                )
        pairs_of(models, None)
        self._metrics, self._models = dict(metrics), tuple(models)
        self._n_resamples, self._seed = n_resamples, seed
        self._by_rows = {n: m for n, m in metrics.items() if m.resampling == "rows"}
        statistics = dict.fromkeys(s for m in self._by_rows.values() for s in m.statistics)
        summed = [s for s in statistics if isinstance(s, SummedStatistic)]
        draws = Draws(poisson=n_resamples, signs=n_resamples)
        self._sums = RunningSums(summed, draws, seed)
        self._streams = {model: MetricStream(metrics) for model in models}
        self._joint: dict[object, JointCells] = {}

    @property
    def rows(self) -> int:
        """Rows so far."""
        return self._streams[self._models[0]].rows

    def update(
        self,
        y_true: Vector | Matrix | Mapping[str, Vector],
        y_preds: Mapping[str, Vector | Matrix],
    ) -> None:
        """Add a batch of rows.

        Args:
            y_true: reference labels or values, shape (n,), or by model what they are.
            y_preds: by model its predictions, shape (n,) or (n, k).

        Raises:
            ValueError: other models than the stream's, what `compute` refuses, or rows of another
                shape than those before; the stream is then as it was before the call.
        """
        columns = [y_preds, y_true] if isinstance(y_true, Mapping) else [y_preds]
        for name, column in zip(("y_preds", "y_true"), columns, strict=False):
            if column.keys() != self._streams.keys():
                raise ValueError(
                    f"{name} is of {list(column)}; the stream is of {', '.join(self._models)}"
                )
        preds = [y_preds[model] for model in self._models]
        trues = [y_true[m] if isinstance(y_true, Mapping) else y_true for m in self._models]
        batches = {model: MetricStream(self._metrics) for model in self._models}
        for batch, true, pred in zip(batches.values(), trues, preds, strict=True):
            batch.update(true, pred)
        counts = [batch.rows for batch in batches.values()]
        if len(set(counts)) > 1:
            raise ValueError(f"the models have {counts} rows; expected as many of each")
        read = []
        if self._by_rows:
            read = [self._sums.read(true, pred) for true, pred in zip(trues, preds, strict=True)]
        joint = {s: JointCells.of_rows(s, trues, preds) for s in by_cells(self._metrics)}
        if not counts[0]:
            return
        if read:
            first = batches[self._models[0]].report().states
            self._sums.add([true for true, _ in read], [pred for _, pred in read], first)
        for model, batch in batches.items():
            self._streams[model].merge(batch)
        for statistic, cells in joint.items():
            before = self._joint.get(statistic)
            self._joint[statistic] = cells if before is None else before + cells

    def reports(self) -> dict[str, Report]:
        """By model the values of all rows so far, as `compute` reports them."""
        return {model: stream.report() for model, stream in self._streams.items()}

    def intervals(
        self, level: float = 0.95, *, method: IntervalMethod | str = "auto"
    ) -> dict[str, dict[str, Interval]]:
        """By model and metric the interval of its value; none of no rows.

        Args:
            level: nominal coverage, in (0, 1).
            method: as in `confidence_intervals`, but for "bca" of sums.

        Raises:
            ValueError: a level outside (0, 1), or a method that does not fit.
        """
        check_method(method, level, self._n_resamples, self._seed)
        drawn = self._drawn(method)
        if not self.rows:
            return {model: {} for model in self._models}
        values = {n: drawn.resampled().values(m) for n, m in self._by_rows.items()} if drawn else {}
        samples = {n: drawn.sample().values(m) for n, m in self._by_rows.items()} if drawn else {}
        found = {}
        for place, (model, report) in enumerate(self.reports().items()):
            shares = {}
            if method not in get_args(Ends):
                shares = of_shares(self._metrics, report.states, level, method)
            rest = without(self._metrics, shares, method)
            counted = count_intervals(
                {n: m for n, m in rest.items() if m.resampling == "cells"},
                report.states,
                level=level,
                method="percentile" if method == "auto" else method,
                n_resamples=self._n_resamples,
                seed=self._seed,
            )
            found[model] = shares | counted
            for name in rest.keys() & values.keys():
                estimate = np.asarray(samples[name][0, place])
                resampled = Resampled(estimate, values[name][:, place])
                found[model][name] = make_interval(
                    resampled.ends(level, bca=False), level, "Poisson percentile",
                    self._n_resamples, self._seed,
                )  # fmt: skip
        return {model: {n: own[n] for n in self._metrics} for model, own in found.items()}

    def differences(
        self,
        level: float = 0.95,
        *,
        pairs: Sequence[tuple[str, str]] | None = None,
        method: Ends | str = "percentile",
    ) -> dict[str, dict[tuple[str, str], Difference]]:
        """By metric and pair of models the difference, as `paired_differences` gives it.

        Args:
            level: nominal coverage, in (0, 1).
            pairs: which; None: every two models once.
            method: "percentile", or of tables alone "bca".

        Raises:
            ValueError: a level outside (0, 1), another method, or a pair of unknown models.
        """
        check_level(level)
        if method not in get_args(Ends):
            raise ValueError(f"method must be one of {get_args(Ends)}, not {method!r}")
        drawn = self._drawn(method)
        wanted = pairs_of(self._models, pairs)
        if not self.rows:
            return {name: {} for name in self._metrics}
        asked = Asked(self._models, wanted, level, method, self._n_resamples, self._seed)
        reports = self.reports().values()
        values = {name: [np.asarray(r.values[name]) for r in reports] for name in self._metrics}
        found: dict[str, dict[tuple[str, str], Difference]] = {}
        for statistic, own in by_cells(self._metrics).items():
            found |= asked.of_cells(own, values, self._joint[statistic])
        if drawn is not None:
            found |= asked.of_sums(self._by_rows, values, drawn, "Poisson")
        return {name: found[name] for name in self._metrics}

    def _drawn(self, method: str) -> RowSums | None:
        if method == "bca" and self._by_rows:
            raise ValueError(
                f"method is 'bca'; {', '.join(self._by_rows)}: resampled as rows come in, which "
                "gives percentile intervals alone"
            )
        return self._sums.sums() if self._by_rows else None
