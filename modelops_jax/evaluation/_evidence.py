"""What metrics of one reader are computed from: the rows, or what was counted of them."""

import abc
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

import modelops_jax.metrics as numeric

from ._class_intervals import ClassRatio, entries_of
from ._computed import Computed, Confidence, resampled_of
from ._front_rows import only_these, put_in_front
from ._group_draws import UnitDraws
from ._result import ClassResult
from ._sharded import on_devices
from ._slice_outcomes import slice_outcomes, with_moments
from ._slice_units import UnitsThere
from ._slicing import SliceOutcome, Slicing

# Why a sketch has no interval of rows in groups or of weighted rows.
NEEDS_ROWS = (
    "its formula is for independent rows of one weight, and a sketch keeps none to resample"
)
# Why what is summed as rows come in has none.
NOT_KEPT = (
    "it resamples rows, which a stream of sums does not keep (`evaluate` has them, and a stream of "
    "rows with groups)"
)


class Evidence(abc.ABC):
    """What metrics of one reader are computed from: the rows, or what was counted of them."""

    @property
    @abc.abstractmethod
    def rows(self) -> int:
        """How many rows."""

    @property
    def ignored(self) -> int:
        """Rows as they were given that are not among these, because of their label."""
        return 0

    @abc.abstractmethod
    def report(self, bound: Mapping[str, numeric.Metric]) -> numeric.Report:
        """Compute numeric metrics on the rows, at least one."""

    @abc.abstractmethod
    def intervals(
        self, bound: Mapping[str, numeric.Metric], confidence: Confidence | None
    ) -> dict[str, numeric.Interval]:
        """Give the intervals of the metrics that have one, if asked for."""

    @abc.abstractmethod
    def slices(
        self, metrics: Mapping[str, Any], slicings: list[Slicing], confidence: Confidence | None
    ) -> list[list[dict[str, SliceOutcome]]]:
        """Compute metrics on every slice.

        Args:
            metrics: what `compute` takes.
            slicings: the slicings, each of which has every row in one of its slices.
            confidence: which intervals to add.

        Returns:
            For each slicing and slice the outcome of each metric.
        """

    def compute(
        self, metrics: Mapping[str, Any], confidence: Confidence | None
    ) -> dict[str, Computed | Exception]:
        """Compute metrics of one reader in one pass over the rows.

        Args:
            metrics: `OnePassMetric`s, or what else the kind of pair knows to compute.
            confidence: which intervals to add.

        Returns:
            For each metric its value, or the mistake in its configuration these rows reveal.
        """
        if not self.rows:
            return {name: self._of_no_rows(name, metric) for name, metric in metrics.items()}
        bound: dict[str, numeric.Metric] = {}
        outcomes: dict[str, Computed | Exception] = {}
        for name, metric in metrics.items():
            try:
                bound[name] = metric.bind(self)
            except ValueError as error:
                outcomes[name] = error
        report = self.report(bound)
        intervals = self.intervals(bound, confidence) if bound else {}
        for name in bound:
            metric = metrics[name]
            if metric.by_class:
                values, undefined = self._of_classes(metric, bound[name], report)
                of_all = {"value": math.nan, "by_class": values}
                if name in intervals:
                    of_all["class_intervals"] = entries_of(intervals[name], len(values))
            else:
                undefined = report.undefined[name]
                of_all = {"value": float(report.values[name]), "interval": intervals.get(name)}
            outcomes[name] = Computed(
                rule=f"{name}: {metric.rule(self)}" if undefined else None,
                facts=metric.facts(self),
                undefined=undefined,
                no_interval=self._no_interval(bound[name], confidence)
                if confidence is not None and name not in intervals
                else None,
                **of_all,
            )
        return outcomes

    def _of_classes(
        self, metric: Any, bound: numeric.Metric, report: numeric.Report
    ) -> tuple[tuple[float, ...], int]:
        """The value of each class, of a table that may have more, and how many are undefined."""
        classes = self.num_listed
        values, marked = (
            np.asarray(one.finalize([report.states[s] for s in one.statistics]).value, np.float64)
            for one in (bound, metric.marked(self))
        )
        return tuple(values[:classes].tolist()), int(np.isnan(marked[:classes]).sum())

    def _no_interval(self, metric: numeric.Metric, confidence: Confidence) -> str:
        """Why this metric has none."""
        if metric.no_interval is not None:
            return metric.no_interval
        if metric.resampling == "closed":
            return NEEDS_ROWS
        return "what was kept of the rows is not what its interval resamples"

    @property
    def per_class(self) -> tuple[ClassResult, ...]:
        """What there is to say about each class, for evidence of labels."""
        return ()

    @property
    def num_listed(self) -> int:
        """How many classes `per_class` has."""
        return 0

    def class_ratios(
        self, metrics: Mapping[str, Any], confidence: Confidence
    ) -> Mapping[str, ClassRatio]:
        """By name the ratios that `per_class` has of each class, as far as they have an interval.

        Args:
            metrics: what else is computed.
            confidence: which intervals.
        """
        return {}

    def _of_no_rows(self, name: str, metric: Any) -> Computed:
        """Shares of rows are 0.0 of no rows, by the field's convention; the rest is nan."""
        value = metric.of_no_rows()
        rule = f"{name}: there are no rows, so the value is {value}"
        by_class = (value,) * self.num_listed if metric.by_class else None
        return Computed(value, rule, facts=metric.facts(self), undefined=1, by_class=by_class)


@dataclass(frozen=True)
class Pair(Evidence):
    """Both arguments, read and checked, as the numbers a pass takes."""

    weight: Any = field(default=None, kw_only=True)
    """Of each row, float64 and positive; of rows that lie on devices also 0, or a mask. None: each
    counts once."""
    groups: np.ndarray | None = field(default=None, kw_only=True)
    """Of each row of a stream in groups the place of its group; None: what is asked for has it."""

    @property
    @abc.abstractmethod
    def y_true(self) -> np.ndarray | jax.Array:
        """Reference side, one number or vector a row."""

    @property
    @abc.abstractmethod
    def y_pred(self) -> np.ndarray | jax.Array:
        """Predicted side, one number or vector a row."""

    @property
    def rows(self) -> int:
        if not isinstance(self.weight, jax.Array):
            return len(self.y_true)
        with jax.enable_x64(True):
            return int((self.weight != 0).sum())

    @property
    def alike(self) -> bool:
        """Whether each row counts once or not at all."""
        return self.weight is None or self.weight.dtype == bool

    def weighted(self, weight: Any) -> "Pair":
        """The same rows with weights, one for each row that was read."""
        return dataclasses.replace(self, weight=weight)

    def for_all(self, metrics: Mapping[str, Any]) -> "Pair":
        """The same rows as these metrics can share them."""
        return self

    def report(self, bound: Mapping[str, numeric.Metric]) -> numeric.Report:
        return numeric.compute(bound, self.y_true, self.y_pred, weight=self.weight)

    def intervals(
        self, bound: Mapping[str, numeric.Metric], confidence: Confidence | None
    ) -> dict[str, numeric.Interval]:
        if confidence is None:
            return {}
        # A closed formula is for independent rows; of kept rows there is another way.
        independent = confidence.groups is None and self.alike
        resampled = {
            name: metric
            for name, metric in bound.items()
            if metric.no_interval is None
            and (independent or metric.resampling != "closed" or metric.reweighs)
        }
        if not resampled:
            return {}
        return numeric.confidence_intervals(
            resampled,
            self.y_true,
            self.y_pred,
            weight=self.weight,
            groups=confidence.groups if self.groups is None else self.groups,
            **confidence.options,
        )

    def take(self, rows: np.ndarray) -> "Pair":
        """The pair of some of the rows, over the classes of all."""
        assert dataclasses.is_dataclass(self)
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        chosen = {n: value[rows] for n, value in fields.items() if isinstance(value, np.ndarray)}
        return dataclasses.replace(self, **chosen)

    def only(self, rows: Any, confidence: Confidence | None) -> tuple["Pair", Confidence | None]:
        """The pair of some of the rows, which lie on devices: there before all others.

        Args:
            rows: which, boolean, of shape (n,).
            confidence: what is asked for; its groups lie on devices, too, and move likewise.
        """
        assert dataclasses.is_dataclass(self)
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        columns = {n: value for n, value in fields.items() if isinstance(value, jax.Array)}
        weight = only_these(rows, columns.pop("weight", None))
        groups = None if confidence is None else confidence.groups
        weight, (columns, groups) = put_in_front(weight, (columns, groups))
        wanted = None if confidence is None else dataclasses.replace(confidence, groups=groups)
        return dataclasses.replace(self, **columns, weight=weight), wanted

    def slices(
        self, metrics: Mapping[str, Any], slicings: list[Slicing], confidence: Confidence | None
    ) -> list[list[dict[str, SliceOutcome]]]:
        bound = {name: metric.bind(self) for name, metric in metrics.items()}
        ids = {str(place): slicing.ids for place, slicing in enumerate(slicings)}
        tested = self.alike and confidence is not None and confidence.groups is None
        every = with_moments(bound) if tested else bound
        reports = numeric.compute_slices(
            every, self.y_true, self.y_pred, ids, weight=self.weight
        ).slices
        found = []
        for slicing, (*parts,) in zip(slicings, reports.values(), strict=True):
            if without := len(slicing.keys) - len(parts):
                # The last ones may have rows that are no rows of this pair.
                none = (np.asarray(side[:0]) for side in (self.y_true, self.y_pred))
                parts += without * [numeric.compute(every, *none)]
            several = []
            rest, drawn = bound, [{}] * len(parts)
            if confidence is None or slicing.units is None:
                of_groups = self._tests_of_groups(bound, slicing, confidence)
            else:
                units = self._summed_by(slicing.units, bound)
                drawn = units.intervals(bound, confidence, [report.rows for report in parts])
                of_groups, summed = units.tests(bound), resampled_of(bound, weighted=True)
                rest = {name: metric for name, metric in bound.items() if name not in summed}
            for place, report in enumerate(parts):
                intervals = self._slice_intervals(rest, report, slicing, place, confidence)
                intervals |= drawn[place]
                p_values = {name: values[place] for name, values in of_groups.items()}
                several.append(
                    slice_outcomes(
                        bound,
                        every,
                        report,
                        intervals,
                        confidence if self.alike else None,
                        p_values,
                    )
                )
            found.append(several)
        return found

    def _tests_of_groups(
        self, bound: Mapping[str, numeric.Metric], slicing: Slicing, confidence: Confidence | None
    ) -> dict[str, list[float]]:
        """By metric that is a mean or a share: of each slice the p-value, of rows in groups."""
        if confidence is None or confidence.groups is None:
            return {}
        ratios = {n: numeric.row_ratios(m, self.y_true, self.y_pred) for n, m in bound.items()}
        weight = self.weight
        found = {
            name: numeric.grouped_slice_tests(
                slicing.ids,
                confidence.groups,
                *(ratio if weight is None else (weight * np.asarray(side) for side in ratio)),
            )
            for name, ratio in ratios.items()
            if ratio is not None
        }
        # The last slices may have no row of this pair, and then have no test of their own.
        return {n: p + [1.0] * (len(slicing.keys) - len(p)) for n, p in found.items()}

    def _summed_by(self, units: UnitsThere, bound: Mapping[str, numeric.Metric]) -> UnitDraws:
        """The sums of each group in each slice, made where the rows lie."""
        sums = numeric.GroupResampleStream(resampled_of(bound, weighted=True))
        sums.update(self.y_true, self.y_pred, units.ids, weight=self.weight)
        return UnitDraws(sums, units.slices)

    def slices_one_by_one(
        self, metrics: Mapping[str, Any], slicings: list[Slicing], confidence: Confidence | None
    ) -> list[list[dict[str, SliceOutcome]]]:
        """As `slices`, for metrics that are no one metric of a single pass."""
        found = []
        for slicing in slicings:
            several = []
            for place in range(len(slicing.keys)):
                inside = slicing.ids == place
                if on_devices(self.y_true, self.y_pred):
                    pair, wanted = self.only(inside, confidence)
                    several.append(outcomes_of(pair.compute(metrics, wanted)))
                    continue
                rows = np.flatnonzero(inside)
                wanted = None if confidence is None else confidence.of(rows)
                several.append(outcomes_of(self.take(rows).compute(metrics, wanted)))
            found.append(several)
        return found

    def _slice_intervals(
        self,
        bound: Mapping[str, numeric.Metric],
        report: numeric.Report,
        slicing: Slicing,
        place: int,
        confidence: Confidence | None,
    ) -> dict[str, numeric.Interval]:
        """Counts of independent rows have theirs from the counts; others from the slice's rows."""
        if confidence is None or not report.rows:
            return {}
        independent = confidence.groups is None and self.alike
        counted = {n: m for n, m in bound.items() if m.resampling == "cells" and independent}
        rest = {name: metric for name, metric in bound.items() if name not in counted}
        found = numeric.state_intervals(counted, report.states, **confidence.options)
        if rest and on_devices(self.y_true, self.y_pred):
            pair, wanted = self.only(slicing.ids == place, confidence)
            found |= pair.intervals(rest, wanted)
        elif rest:
            chosen = np.flatnonzero(slicing.ids == place)
            found |= self.take(chosen).intervals(rest, confidence.of(chosen))
        return found


def outcomes_of(computed: Mapping[str, Computed | Exception]) -> dict[str, SliceOutcome]:
    """The outcome of each metric that was computed on the rows of a slice."""
    return {
        name: SliceOutcome(outcome.value, outcome.undefined, outcome.interval)
        for name, outcome in computed.items()
        if isinstance(outcome, Computed)
    }
