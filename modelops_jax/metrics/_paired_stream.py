"""Differences between models whose predictions of the same rows come in batches."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np

from modelops_jax._prefixed import below, prefixed
from modelops_jax._row_groups import GrowingGroups

from ._bootstrap import WRITTEN, Ends, count_intervals, sum_intervals
from ._compute import Report
from ._confidence import IntervalMethod, check_method, of_shares, without
from ._differences import Asked, Difference, by_cells, pairs_of
from ._draws import Draws
from ._group_sums import GroupSums
from ._host_columns import numbers
from ._interval import Interval, check_level, check_resamples
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
    Of rows in groups it grows with the number of groups, of which each has its sums.
    The rows of one stream alone: those of two would be drawn alike, unless they are in groups.

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
        self._streams = {model: MetricStream(metrics) for model in models}
        # What the first rows tell: whether rows have weights, and are in groups.
        self._given: tuple[bool, bool] | None = None
        self._alike = True
        self._sums: RunningSums | GroupSums | None = None
        self._groups = GrowingGroups()
        self._joint: dict[object, JointCells] = {}

    @property
    def rows(self) -> int:
        """Rows of positive weight so far."""
        return self._streams[self._models[0]].rows

    def update(
        self,
        y_true: Vector | Matrix | Mapping[str, Vector],
        y_preds: Mapping[str, Vector | Matrix],
        *,
        weight: Vector | None = None,
        groups: Vector | None = None,
    ) -> None:
        """Add a batch of rows.

        Args:
            y_true: reference labels or values, shape (n,), or by model what they are.
            y_preds: by model its predictions, shape (n,) or (n, k).
            weight: non-negative numbers, shape (n,), with every batch or with none; as long as all
                are 0 or 1 they say which rows count, as a mask does.
            groups: an id for every row, shape (n,), with every batch or with none: rows of one id,
                which may come in several batches, are resampled and swapped together.

        Raises:
            ValueError: other models than the stream's, what `compute` refuses, rows of another
                shape than those before, or weights or groups in some batches only; the stream is
                then as it was before the call.
            TypeError: ids that have no order, or of another kind than those before.
        """
        columns = [y_preds, y_true] if isinstance(y_true, Mapping) else [y_preds]
        for name, column in zip(("y_preds", "y_true"), columns, strict=False):
            if column.keys() != self._streams.keys():
                raise ValueError(
                    f"{name} is of {list(column)}; the stream is of {', '.join(self._models)}"
                )
        preds = [y_preds[model] for model in self._models]
        trues = [y_true[m] if isinstance(y_true, Mapping) else y_true for m in self._models]
        own = None if weight is None else np.asarray(numbers(weight, "weight"))
        alike = own is None or bool(((own == 0) | (own == 1)).all())
        keep = own if own is None or not alike else own.astype(bool)
        batches = {model: MetricStream(self._metrics) for model in self._models}
        for batch, true, pred in zip(batches.values(), trues, preds, strict=True):
            batch.update(true, pred, weight=keep)
        counts = [len(np.asarray(pred)) for pred in preds]
        if len(set(counts)) > 1:
            raise ValueError(f"the models have {counts} rows; expected as many of each")
        given = weight is not None, groups is not None
        self._check_given(given)
        sums = self._sums or self._summing(given)
        pairs = list(zip(trues, preds, strict=True))
        read = [sums.read(true, pred) for true, pred in pairs] if sums.statistics else []
        for name, shapes in zip(
            ("y_true", "y_preds"),
            zip(*((t.shape[1:], p.shape[1:]) for t, p in read), strict=True),
            strict=False,
        ):
            if len(set(shapes)) > 1:
                raise ValueError(f"{name} of the models have rows of shapes {list(shapes)}")
        ids, codes = [], np.zeros(0, np.int64)
        if groups is not None:
            ids, codes = self._groups.read(groups, counts[0])
        counted = alike and self._alike and groups is None
        tables = by_cells(self._metrics) if counted else {}
        joint = {s: JointCells.of_rows(s, trues, preds, keep) for s in tables}
        if not counts[0]:
            return
        self._given, self._sums = given, sums
        of_groups = self._groups.add(ids)
        if read:
            first = batches[self._models[0]].report().states
            rows = [true for true, _ in read], [pred for _, pred in read], first, own
            if isinstance(sums, GroupSums):
                sums.add(*rows, of_groups[codes])
            else:
                sums.add(*rows)
        for model, batch in batches.items():
            if alike is not self._alike:
                self._streams[model], batch = self._streams[model].weighed(), batch.weighed()
            self._streams[model].merge(batch)
        self._alike = self._alike and alike
        for statistic, cells in joint.items():
            before = self._joint.get(statistic)
            self._joint[statistic] = cells if before is None else before + cells
        self._joint = self._joint if counted else {}

    def merge(self, other: "PairedStream") -> None:
        """Add the rows, in groups, of another stream of the same arguments, which stays as it is.

        The rows of one group may be in both.

        Raises:
            ValueError: other metrics, models or draws, rows of another shape, rows that are in no
                groups, which draw by their number, or weights in one of the two only.
            TypeError: ids of another kind.
        """
        for what, mine, theirs in (
            ("metrics", self._metrics, other._metrics),
            ("models", self._models, other._models),
            ("draws", (self._n_resamples, self._seed), (other._n_resamples, other._seed)),
        ):
            if mine != theirs:
                raise ValueError(f"the other stream is of the {what} {theirs}; expected {mine}")
        if other._given is None:
            return
        self._check_given(other._given)
        sums, more = self._sums or self._summing(other._given), other._sums
        if not (isinstance(sums, GroupSums) and isinstance(more, GroupSums)):
            raise ValueError("rows in no groups draw by their number; streams of them do not merge")
        sums.check(more)
        self._groups.check(other._groups)
        sums.merge(more, self._groups.add(other._groups))
        self._given, self._sums = other._given, sums
        for model, stream in other._streams.items():
            if other._alike is not self._alike:
                self._streams[model], stream = self._streams[model].weighed(), stream.weighed()
            self._streams[model].merge(stream)
        self._alike = self._alike and other._alike

    def _check_given(self, given: tuple[bool, bool]) -> None:
        for name, now, before in zip(
            ("weights", "groups"), given, self._given or given, strict=True
        ):
            if now is not before:
                having = {True: name, False: f"no {name}"}
                raise ValueError(
                    f"these rows have {having[now]}; the rows before have {having[before]}"
                )

    def _summing(self, given: tuple[bool, bool]) -> RunningSums | GroupSums:
        """The sums of no rows: of rows with weights, or in groups, those of tables as well."""
        weighted, grouped = given
        kinds = ("rows", "cells") if weighted or grouped else ("rows",)
        drawn = [metric for metric in self._metrics.values() if metric.resampling in kinds]
        every = dict.fromkeys(s for metric in drawn for s in metric.statistics)
        summed = [s for s in every if isinstance(s, SummedStatistic)]
        return GroupSums(summed) if grouped else RunningSums(summed, self._draws(), self._seed)

    def _draws(self, *, jackknife: bool = False) -> Draws:
        return Draws(self._n_resamples, self._n_resamples, int(jackknife))

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The state as JSON and named arrays, for a format of one's own.

        Raises:
            TypeError: ids of groups that JSON does not have.
        """
        facts: dict[str, Any] = {"given": self._given, "alike": self._alike, "sums": None}
        facts |= {"groups": self._groups.to_json(), "streams": [], "joint": len(self._joint)}
        arrays: dict[str, np.ndarray] = {}
        for place, stream in enumerate(self._streams.values()):
            told, own = stream.to_arrays()
            facts["streams"].append(told)
            arrays |= prefixed(f"streams/{place}/", own)
        for place, cells in enumerate(self._joint.values()):
            arrays |= prefixed(f"joint/{place}/", cells.to_arrays())
        if self._sums is not None:
            facts["sums"], own = self._sums.to_arrays()
            arrays |= prefixed("sums/", own)
        return facts, arrays

    def set_arrays(self, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take over the state of a stream made with the same arguments, as `to_arrays` gave it."""
        for place, (stream, told) in enumerate(
            zip(self._streams.values(), facts["streams"], strict=True)
        ):
            stream.set_arrays(told, below(f"streams/{place}/", arrays))
        self._groups.add(facts["groups"])
        self._alike = facts["alike"]
        if facts["given"] is None:
            return
        weighted, grouped = facts["given"]
        self._given = weighted, grouped
        self._sums = self._summing(self._given)
        self._sums.set_arrays(facts["sums"], below("sums/", arrays))
        statistics = list(by_cells(self._metrics))[: facts["joint"]]
        for place, statistic in enumerate(statistics):
            own = below(f"joint/{place}/", arrays)
            self._joint[statistic] = JointCells(statistic, own["cells"], own["counts"])

    def reports(self) -> dict[str, Report]:
        """By model the values of all rows so far, as `compute` reports them."""
        return {model: stream.report() for model, stream in self._streams.items()}

    def intervals(
        self, level: float = 0.95, *, method: IntervalMethod | str = "auto"
    ) -> dict[str, dict[str, Interval]]:
        """By model and metric the interval of its value; none of no rows.

        Args:
            level: nominal coverage, in (0, 1).
            method: as in `confidence_intervals`, but for "bca" of sums, unless these are of groups.

        Raises:
            ValueError: a level outside (0, 1), or a method that does not fit.
        """
        check_method(method, level, self._n_resamples, self._seed)
        summed = self._summed
        drawn = self._drawn(method)
        if not self.rows:
            return {model: {} for model in self._models}
        ends = "percentile" if method == "auto" else method
        resampled: list[dict[str, Interval]] = [{} for _ in self._models]
        if drawn is not None and ends in WRITTEN:
            resampled = sum_intervals(summed, drawn, level, ends, self._kind, self._seed)
        found = {}
        for place, (model, report) in enumerate(self.reports().items()):
            shares = {}
            if method not in get_args(Ends) and self._counted:
                shares = of_shares(self._metrics, report.states, level, method)
            rest = without(self._metrics, shares, method)
            counted = {name: metric for name, metric in rest.items() if name not in summed}
            found[model] = shares | {n: i for n, i in resampled[place].items() if n in rest}
            if counted:
                found[model] |= count_intervals(
                    counted, report.states, level=level, method=ends,
                    n_resamples=self._n_resamples, seed=self._seed,
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
            method: "percentile"; or of tables alone, or of groups, "bca".

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
        for statistic, own in by_cells(self._metrics).items() if self._counted else ():
            found |= asked.of_cells(own, values, self._joint[statistic])
        if drawn is not None:
            found |= asked.of_sums(self._summed, values, drawn, self._kind)
        return {name: found[name] for name in self._metrics}

    @property
    def _grouped(self) -> bool:
        return isinstance(self._sums, GroupSums)

    @property
    def _kind(self) -> str:
        return "Poisson of groups" if self._grouped else "Poisson"

    @property
    def _counted(self) -> bool:
        """Whether tables are counts of independent rows, to be drawn from."""
        return self._alike and not self._grouped

    @property
    def _summed(self) -> dict[str, Metric]:
        """The metrics whose resamples are those of sums of rows."""
        kinds = ("rows",) if self._counted else ("rows", "cells")
        return {name: m for name, m in self._metrics.items() if m.resampling in kinds}

    def _drawn(self, method: str) -> RowSums | None:
        if method == "bca" and self._summed and not self._grouped:
            raise ValueError(
                f"method is 'bca'; {', '.join(self._summed)}: resampled as rows come in, which "
                "gives percentile intervals alone"
            )
        if self._sums is None or not self._summed:
            return None
        if isinstance(self._sums, GroupSums):
            draws = self._draws(jackknife=method == "bca")
            return self._sums.sums(self._groups.in_order(), draws, self._seed)
        return self._sums.sums()
