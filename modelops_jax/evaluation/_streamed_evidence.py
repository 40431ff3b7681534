"""What metrics of a stream of sums are computed from."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import modelops_jax.metrics as numeric

from ._class_intervals import ClassRatio, class_ratios
from ._computed import BOOTSTRAPS, Confidence, resampled_of
from ._evidence import NOT_KEPT, Evidence, Pair
from ._label_sets import LabelSetPair, of_each_label
from ._per_class import LARGEST_TABLE
from ._regression import ValuePair
from ._result import ClassResult
from ._slice_outcomes import slice_outcomes, with_moments
from ._slicing import SliceOutcome, Slicing

_ByGroup = Callable[
    [Mapping[str, numeric.Metric], numeric.Report, Confidence], dict[str, numeric.Interval]
]


def shares_of_rows(
    metrics: Mapping[str, numeric.Metric], report: numeric.Report
) -> dict[str, numeric.Metric]:
    """Of metrics of sums over unweighted rows those that are a share of the rows."""
    return {
        name: metric
        for name, metric in metrics.items()
        if metric.resampling == "rows"
        and metric.proportion([report.states[s] for s in metric.statistics]) is not None
    }


class StreamedEvidence(Evidence):
    """The report of a stream, of which some metrics may have been refused by the rows.

    To metrics it shows what a pair of such rows would: their classes, labels or outputs.
    """

    def __init__(
        self,
        stream: numeric.MetricStream,
        shape: Any,
        like: Pair,
        ignored: int,
        slices: list[list[numeric.Report]],
        resampled: numeric.ResampleStream | None,
        resampled_slices: list[tuple[numeric.SliceResampleStream, np.ndarray]],
        cells: np.ndarray | None,
    ) -> None:
        self._report, self._slices, self._resampled = stream.report(), slices, resampled
        # For each slicing, with the numbers of its slices in order.
        self._resampled_slices = resampled_slices
        self._weighted, self._cells = bool(stream.weighted), cells
        self._ignored = ignored
        # Of rows in groups what draws the intervals.
        self.by_group: _ByGroup | None = None
        # Of rows in groups, for each slicing: what draws the intervals of its slices.
        self.by_unit: Sequence[Any] = ()
        self.num_labels = like.num_labels if isinstance(like, LabelSetPair) else None
        self.outputs = shape if isinstance(like, ValuePair) else None
        self.num_classes = len(shape) if isinstance(shape, tuple) else None

    def facts(self) -> dict[str, Any]:
        """What a result says of the rows."""
        return {} if self.outputs is None else {"outputs": self.outputs}

    @property
    def rows(self) -> int:
        return self._report.rows

    @property
    def ignored(self) -> int:
        return self._ignored

    @property
    def per_class(self) -> tuple[ClassResult, ...]:
        """Of several labels a row each label, where some metric counts them."""
        if self.cells is None:
            return ()
        return of_each_label(self.cells, self._label_counts.value() if self._weighted else None)

    @property
    def cells(self) -> np.ndarray | None:
        """Of several labels a row what `LabelSetPair.cells` is, where some metric counts them."""
        if self._weighted:
            return None if self._label_counts is None else self._cells
        return None if self._label_counts is None else self._label_counts.integers()

    @property
    def num_listed(self) -> int:
        labels = 0 if self.cells is None else self.cells.shape[1]
        return labels if labels <= LARGEST_TABLE else 0

    def class_ratios(
        self, metrics: Mapping[str, Any], confidence: Confidence
    ) -> Mapping[str, ClassRatio]:
        counted = [s for s in self._report.states if isinstance(s, numeric.LabelCounts)]
        options = {"num_labels": counted[0].num_labels, "ignore_index": counted[0].ignore_index}
        return class_ratios(**options)

    @property
    def _label_counts(self) -> Any:
        """The cells of the state that counts labels, if there is one."""
        for statistic, state in self._report.states.items():
            if isinstance(statistic, numeric.LabelCounts):
                return state.cells
        return None

    def _no_interval(self, metric: numeric.Metric, confidence: Confidence) -> str:
        if metric.resampling in ("rows", "cells"):
            return NOT_KEPT
        return super()._no_interval(metric, confidence)

    def report(self, bound: Mapping[str, numeric.Metric]) -> numeric.Report:
        assert bound.keys() >= self._report.values.keys()
        return self._report

    def intervals(
        self, bound: Mapping[str, numeric.Metric], confidence: Confidence | None
    ) -> dict[str, numeric.Interval]:
        if confidence is not None and self.by_group is not None:
            return self.by_group(bound, self._report, confidence)
        drawn = {}
        if confidence is not None and self._resampled is not None:
            drawn = self._resampled.intervals(
                confidence.level, resampled_of(bound, weighted=self._weighted)
            )
        return self._intervals_of(bound, self._report, confidence, drawn)

    def slices(
        self, metrics: Mapping[str, Any], slicings: list[Slicing], confidence: Confidence | None
    ) -> list[list[dict[str, SliceOutcome]]]:
        bound = {name: metric.bind(self) for name, metric in metrics.items()}
        every = with_moments(bound)
        # Weighted slices are tested in groups alone.
        tested = None if self._weighted else confidence
        drawn: list[list[dict[str, numeric.Interval]]] = []
        if confidence is not None:
            for one, order in self._resampled_slices:
                of_slices = dict(enumerate(one.intervals(confidence.level)))
                drawn.append([of_slices.get(number, {}) for number in order.tolist()])
        if confidence is not None and self.by_unit:
            return self._slices_in_groups(bound, every, tested, confidence)
        nothing: list[list[dict[str, numeric.Interval]]] = [[{}] * len(one) for one in self._slices]
        return [
            [
                slice_outcomes(
                    bound, every, one, self._intervals_of(bound, one, confidence, own), tested, {}
                )
                for one, own in zip(reports, several, strict=True)
            ]
            for reports, several in zip(self._slices, drawn or nothing, strict=True)
        ]

    def _slices_in_groups(
        self,
        bound: Mapping[str, numeric.Metric],
        every: Mapping[str, numeric.Metric],
        tested: Confidence | None,
        confidence: Confidence,
    ) -> list[list[dict[str, SliceOutcome]]]:
        found = []
        for reports, units in zip(self._slices, self.by_unit, strict=True):
            rows = [report.rows for report in reports]
            drawn, tests = units.intervals(bound, confidence, rows), units.tests(bound)
            several = []
            for place, (report, own) in enumerate(zip(reports, drawn, strict=True)):
                p_values = {name: values[place] for name, values in tests.items()}
                several.append(slice_outcomes(bound, every, report, own, tested, p_values))
            found.append(several)
        return found

    def _intervals_of(
        self,
        bound: Mapping[str, numeric.Metric],
        report: numeric.Report,
        confidence: Confidence | None,
        drawn: Mapping[str, numeric.Interval],
    ) -> dict[str, numeric.Interval]:
        """Those that follow from the states of rows, at least one, or from what was drawn."""
        if confidence is None or not report.rows:
            return {}
        ready = {n: m for n, m in bound.items() if m.resampling in ("cells", "kept", "closed")}
        if self._weighted:
            ready = {name: metric for name, metric in ready.items() if metric.reweighs}
        elif confidence.options["method"] not in BOOTSTRAPS:
            ready |= shares_of_rows(bound, report)
        found = numeric.state_intervals(ready, report.states, **confidence.options)
        # Counts are drawn as rows come in case that the next ones have other weights than 1.
        return found | {n: i for n, i in drawn.items() if self._weighted or n not in found}
