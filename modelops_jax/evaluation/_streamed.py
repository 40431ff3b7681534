"""What is kept of rows that are summed, and the state that fits each way of reading."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import modelops_jax.metrics as numeric

from ._batch import Batch
from ._builtin import BuiltIn, OnePassMetric, Reader
from ._class_scores import ClassScorePair, ClassScoreReader, require_positive
from ._computed import Confidence
from ._evidence import NOT_KEPT, Evidence, Pair
from ._growing import GrowingClasses
from ._label_pair import LabelPair
from ._label_sets import LabelSetPair, of_each_label
from ._likelihoods import reads_scores
from ._prefixed import below, prefixed
from ._ranking import ScorePair, ScoreReader
from ._regression import ValuePair
from ._result import ClassResult
from ._running import KeptRows, KeptScores, LabelCounts, Running
from ._sharded import gathered
from ._slice_outcomes import slice_outcomes, with_moments
from ._slicing import SliceOutcome, Slicing
from ._text_metrics import CountPair
from ._tokens import TokenPair
from ._weights import unless_alike

# The methods that resample every metric, shares of rows as well.
_BOOTSTRAPS = ("percentile", "bca")


class StreamedSums(Running):
    """The states of numeric metrics, whose classes or outputs a row the first rows tell."""

    def __init__(self, read: Reader, members: Mapping[str, OnePassMetric]) -> None:
        self._read, self._members = read, members
        self._none = read([], [])
        self._shape: Any = None
        self._labels = GrowingClasses()
        self._ignored = 0
        self._stream: numeric.MetricStream | None = None
        self._sliced: list[numeric.SliceStream] = []
        self._drawing: tuple[int, int] | None = None
        self._resampled: numeric.ResampleStream | None = None
        self._batch: Pair | None = None
        self._draws_counts = False
        # Of several labels a row: `LabelSetPair.cells`.
        self._cells: np.ndarray | None = None

    @property
    def reads_scores(self) -> bool:
        return reads_scores(self._read)

    def kept_for(self, members: Mapping[str, BuiltIn]) -> tuple[str, ...]:
        return self._bound(None).keeps_rows

    def resamples_rows(self, interval: str = "percentile") -> tuple[str, ...]:
        stream = self._stream or self._bound(None)
        found = _resampled_of(stream, weighted=bool(stream.weighted))
        if stream.weighted or interval in _BOOTSTRAPS:
            return tuple(found)
        shares = _shares_of_rows(found, stream.report())
        return tuple(name for name in found if name not in shares)

    def resample(self, n_resamples: int, seed: int) -> None:
        self._drawing = n_resamples, seed

    def slices_rows(self) -> bool:
        every = with_moments((self._stream or self._bound(None)).metrics).values()
        return all(map(numeric.SliceStream.sliceable, every))

    def of_rows(
        self,
        y_true: Any,
        y_pred: Any,
        slicings: Sequence[Slicing] = (),
        weight: np.ndarray | None = None,
    ) -> "StreamedSums":
        pair = self._read(y_true, y_pred)
        if (own := unless_alike(weight)) is not None:
            pair = pair.weighted(own)
        state = StreamedSums(self._read, self._members)
        state._shape = shape_of(pair)
        state._stream = self._bound(state._shape)
        state._stream.update(pair.y_true, pair.y_pred, weight=own)
        state._ignored = pair.ignored
        state._batch, state._draws_counts = pair, weight is not None
        if isinstance(pair, ClassScorePair):
            state._labels.add(pair.labels)
        if isinstance(pair, LabelSetPair) and not pair.scored and weight is not None:
            state._cells = pair.cells
        for slicing in slicings if state.slices_rows() else ():
            sliced = state._no_slices()
            columns = pair.y_true, pair.y_pred, slicing.ids, len(slicing.keys)
            sliced.update(*columns, weight=own)
            state._sliced.append(sliced)
        return state

    def check(self, other: "StreamedSums") -> None:
        self._labels.check(tuple(other._labels))
        if self._stream and other._stream and self._shape != other._shape:
            what = "classes" if self.reads_scores else "outputs a row"
            what = "number of labels" if isinstance(self._none, LabelSetPair) else what
            raise ValueError(
                f"these rows have the {what} {other._shape}; the rows before have {self._shape}"
            )

    def merge(self, other: "StreamedSums", numbers: Sequence[np.ndarray] = ()) -> None:
        if other._stream is None:
            return
        if self._stream is None:
            self._shape, self._stream = other._shape, self._bound(other._shape)
        stream = self._stream = _with_rows_of(self._stream, other._stream)
        if other._cells is not None:
            self._cells = other._cells if self._cells is None else self._cells + other._cells
        if self._drawing is not None and other._batch is not None:
            if self._resampled is None:
                self._resampled = self._drawn_of(stream, weighted=other._draws_counts)
            batch = other._batch
            self._resampled.update(batch.y_true, batch.y_pred, weight=batch.weight)
        self._labels.add(tuple(other._labels))
        self._ignored += other._ignored
        self._sliced = self._sliced or [self._no_slices() for _ in numbers]
        self._sliced = [
            _with_rows_of(mine, new, number)
            for mine, new, number in zip(self._sliced, other._sliced, numbers, strict=True)
        ]

    @property
    def metrics(self) -> dict[str, numeric.Metric]:
        """The numeric metrics, as far as the rows tell what they are."""
        return (self._stream or self._bound(None)).metrics

    @property
    def batch(self) -> Pair:
        """What was read, of the state of one batch."""
        assert self._batch is not None
        return self._batch

    def evidence(self, orders: Sequence[np.ndarray] = ()) -> Evidence:
        if self._stream is None:
            return self._none
        if isinstance(self._read, ClassScoreReader):
            require_positive(self._read.positive_class, tuple(self._labels))
        reports = [
            [parts[number] for number in order]
            for parts, order in zip((one.reports() for one in self._sliced), orders, strict=True)
        ]
        like = self._no_rows(self._shape)
        cells = self._cells if self._stream.weighted else None
        return _Streamed(
            self._stream, self._shape, like, self._ignored, reports, self._resampled, cells
        )

    def saved(self) -> tuple[Any, dict[str, np.ndarray]]:
        if self._stream is None:
            return None, {}
        facts, arrays = self._stream.to_arrays()
        labels = self._labels.to_json()
        found: dict[str, Any] = {"shape": self._shape, "labels": labels, "ignored": self._ignored}
        found |= {"stream": facts, "slices": [], "resampled": None}
        arrays = dict(arrays)
        for place, sliced in enumerate(self._sliced):
            own, more = sliced.to_arrays()
            found["slices"].append(own)
            arrays |= prefixed(f"slices/{place}/", more)
        if self._resampled is not None:
            own, more = self._resampled.to_arrays()
            found["resampled"] = {"weighted": self._resampled.weighted, "sums": own}
            arrays |= prefixed("resampled/", more)
        return found, arrays if self._cells is None else arrays | {"cells": self._cells}

    def restore(self, facts: Any, arrays: Mapping[str, np.ndarray]) -> None:
        if facts is not None:
            shape = facts["shape"]
            self._shape = tuple(shape) if isinstance(shape, list) else shape
            self._labels, self._ignored = GrowingClasses(facts["labels"]), facts["ignored"]
            self._stream = self._bound(self._shape)
            self._stream.set_arrays(facts["stream"], arrays)
            self._cells = arrays.get("cells")
            self._sliced = [self._no_slices() for _ in facts["slices"]]
            for place, (sliced, own) in enumerate(zip(self._sliced, facts["slices"], strict=True)):
                sliced.set_arrays(own, below(f"slices/{place}/", arrays))
            if facts["resampled"] is not None:
                drawn = facts["resampled"]
                self._resampled = self._drawn_of(self._stream, weighted=drawn["weighted"])
                self._resampled.set_arrays(drawn["sums"], below("resampled/", arrays))

    def _drawn_of(self, stream: numeric.MetricStream, *, weighted: bool) -> numeric.ResampleStream:
        """The resamples of no rows."""
        assert self._drawing is not None
        metrics, (count, seed) = _resampled_of(stream, weighted=weighted), self._drawing
        return numeric.ResampleStream(metrics, n_resamples=count, seed=seed, weighted=weighted)

    def _no_slices(self) -> numeric.SliceStream:
        """Slices of no rows, for which the whole has rows."""
        assert self._stream is not None
        return numeric.SliceStream(with_moments(self._stream.metrics))

    def _bound(self, shape: Any) -> numeric.MetricStream:
        """A stream of no rows of this shape."""
        pair = self._no_rows(shape)
        return numeric.MetricStream({name: m.bind(pair) for name, m in self._members.items()})

    def _no_rows(self, shape: Any) -> Pair:
        """A pair of no rows of this shape."""
        pair = self._none
        if isinstance(pair, ClassScorePair):
            return replace(pair, classes=shape)
        if isinstance(pair, LabelSetPair):
            return pair.of_labels(shape)
        if isinstance(pair, ValuePair) and shape is not None:
            return ValuePair(np.zeros((0, shape)), np.zeros((0, shape)))
        return pair


def _resampled_of(stream: numeric.MetricStream, *, weighted: bool) -> dict[str, numeric.Metric]:
    """The metrics whose interval is a bootstrap of sums over rows: of weighted rows counts, too."""
    kinds = ("rows", "cells") if weighted else ("rows",)
    return {name: metric for name, metric in stream.metrics.items() if metric.resampling in kinds}


def _shares_of_rows(
    metrics: Mapping[str, numeric.Metric], report: numeric.Report
) -> dict[str, numeric.Metric]:
    """Of metrics of sums over unweighted rows those that are a share of the rows."""
    return {
        name: metric
        for name, metric in metrics.items()
        if metric.resampling == "rows"
        and metric.proportion([report.states[s] for s in metric.statistics]) is not None
    }


def _with_rows_of(mine: Any, other: Any, *numbers: np.ndarray) -> Any:
    """A stream with the rows of another, which stays as it is; rows without a weight weigh 1."""
    if mine.weighted is not other.weighted and None not in (mine.weighted, other.weighted):
        mine, other = mine.weighed(), other.weighed()
    mine.merge(other, *numbers)
    return mine


def shape_of(pair: Pair) -> Any:
    """What metrics have to know of rows: their classes, labels, or outputs; None: no more."""
    if isinstance(pair, ClassScorePair):
        return pair.classes
    if isinstance(pair, LabelSetPair):
        return pair.num_labels
    return pair.outputs if isinstance(pair, ValuePair) else None


class _Streamed(Evidence):
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
        cells: np.ndarray | None,
    ) -> None:
        self._report, self._slices, self._resampled = stream.report(), slices, resampled
        self._weighted, self._cells = bool(stream.weighted), cells
        self._ignored = ignored
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
        assert bound.keys() == self._report.values.keys()
        return self._report

    def intervals(
        self, bound: Mapping[str, numeric.Metric], confidence: Confidence | None
    ) -> dict[str, numeric.Interval]:
        found = self._intervals_of(bound, self._report, confidence)
        if confidence is not None and self._resampled is not None:
            drawn = self._resampled.intervals(confidence.level)
            # Counts are drawn as rows come in case that the next ones have other weights than 1.
            found |= {n: i for n, i in drawn.items() if self._weighted or n not in found}
        return found

    def slices(
        self, metrics: Mapping[str, Any], slicings: list[Slicing], confidence: Confidence | None
    ) -> list[list[dict[str, SliceOutcome]]]:
        bound = {name: metric.bind(self) for name, metric in metrics.items()}
        every = with_moments(bound)
        # Weighted slices are tested in groups alone.
        tested = None if self._weighted else confidence
        return [
            [
                slice_outcomes(
                    bound, every, one, self._intervals_of(bound, one, confidence), tested, {}
                )
                for one in reports
            ]
            for reports in self._slices
        ]

    def _intervals_of(
        self,
        bound: Mapping[str, numeric.Metric],
        report: numeric.Report,
        confidence: Confidence | None,
    ) -> dict[str, numeric.Interval]:
        """Those that follow from the states of rows, at least one."""
        if confidence is None or not report.rows:
            return {}
        ready = {n: m for n, m in bound.items() if m.resampling in ("cells", "kept", "closed")}
        if self._weighted:
            ready = {name: metric for name, metric in ready.items() if metric.reweighs}
        elif confidence.options["method"] not in _BOOTSTRAPS:
            ready |= _shares_of_rows(bound, report)
        return numeric.state_intervals(ready, report.states, **confidence.options)


def running(read: Reader, members: Mapping[str, BuiltIn]) -> Running:
    """The state of no rows for metrics of one reader."""
    pair = read([], [])
    if isinstance(pair, LabelPair):
        return LabelCounts(read, members)
    if isinstance(pair, ScorePair):
        assert isinstance(read, ScoreReader)
        return KeptScores(read)
    if isinstance(pair, ValuePair | TokenPair | CountPair | ClassScorePair | LabelSetPair):
        one_pass = {n: m for n, m in members.items() if isinstance(m, OnePassMetric)}
        assert one_pass.keys() == members.keys()
        return StreamedSums(read, one_pass)
    return KeptRows(read)


def states_of_batch(
    states: Sequence[Running], batch: Batch, slicings: Sequence[Slicing], *, first: bool
) -> list[Any] | None:
    """Of each state that of these rows, or None if their slices need all rows to be kept.

    The first rows decide: they tell how many outputs, classes or labels a row has.
    """
    if slicings and not all(state.slices_rows() for state in states):
        return None
    y_true, y_pred = batch.y_true, batch.y_pred
    if slicings:
        y_true, y_pred = gathered(y_true), gathered(y_pred)
    scores = y_pred if batch.y_score is None else batch.y_score
    found = [
        state.of_rows(y_true, scores if state.reads_scores else y_pred, slicings, batch.weight)
        for state in states
    ]
    kept = first and slicings and not all(state.slices_rows() for state in found)
    return None if kept else found
