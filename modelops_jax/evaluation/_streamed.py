"""What is kept of rows that are summed, and the state that fits each way of reading."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

import modelops_jax.metrics as numeric

from ._builtin import BuiltIn, Confidence, Evidence, OnePassMetric, Reader
from ._class_scores import ClassScorePair, ClassScoreReader
from ._classification import LabelPair
from ._ranking import ScorePair, ScoreReader
from ._regression import ValuePair
from ._running import KeptRows, KeptScores, LabelCounts, Running
from ._text_metrics import CountPair
from ._tokens import TokenPair


class StreamedSums(Running):
    """The states of numeric metrics."""

    def __init__(self, read: Reader, stream: numeric.MetricStream) -> None:
        self._read = read
        self._stream = stream

    def of_rows(self, y_true: Any, y_pred: Any) -> Any:
        pair = self._read(y_true, y_pred)
        stream = numeric.MetricStream(self._stream.metrics)
        stream.update(pair.y_true, pair.y_pred)
        return StreamedSums(self._read, stream)

    def kept_for(self, members: Mapping[str, BuiltIn]) -> tuple[str, ...]:
        return self._stream.keeps_rows

    def resamples_rows(self) -> tuple[str, ...]:
        return _by_rows(self._stream.metrics)

    def merge(self, other: "StreamedSums") -> None:
        self._stream.merge(other._stream)

    def evidence(self) -> Evidence:
        return _Streamed(self._stream)

    def saved(self) -> tuple[Any, dict[str, np.ndarray]]:
        return self._stream.to_arrays()

    def restore(self, facts: Any, arrays: Mapping[str, np.ndarray]) -> None:
        self._stream.set_arrays(facts, arrays)


class _Streamed(Evidence):
    """The report of a stream, of which some metrics may have been refused by the rows."""

    def __init__(
        self, stream: numeric.MetricStream, classes: tuple[Any, ...] | None = None
    ) -> None:
        self._report = stream.report()
        self.num_classes = None if classes is None else len(classes)

    @property
    def rows(self) -> int:
        return self._report.rows

    def report(self, bound: Mapping[str, numeric.Metric]) -> numeric.Report:
        assert bound.keys() == self._report.values.keys()
        return self._report

    def intervals(
        self, bound: Mapping[str, numeric.Metric], confidence: Confidence | None
    ) -> dict[str, numeric.Interval]:
        counted = {name: metric for name, metric in bound.items() if metric.resampling == "cells"}
        if confidence is None:
            return {}
        found = numeric.state_intervals(
            counted, self._report.states, level=confidence.level, seed=confidence.seed
        )
        for name, metric in bound.items():
            if metric.resampling == "closed":
                states = [self._report.states[statistic] for statistic in metric.statistics]
                low, high, method = metric.interval(states, confidence.level)
                found[name] = numeric.Interval(low, high, confidence.level, method, 0, None)
        return found


class StreamedScores(Running):
    """The states of metrics of labels and scores, whose classes the first rows tell."""

    reads_scores: ClassVar[bool] = True

    def __init__(self, read: ClassScoreReader, members: Mapping[str, OnePassMetric]) -> None:
        self._read, self._members = read, members
        self._classes: tuple[Any, ...] | None = None
        self._stream: numeric.MetricStream | None = None

    def kept_for(self, members: Mapping[str, BuiltIn]) -> tuple[str, ...]:
        return self._bound(None).keeps_rows

    def resamples_rows(self) -> tuple[str, ...]:
        return _by_rows(self._bound(None).metrics)

    def of_rows(self, y_true: Any, y_pred: Any) -> "StreamedScores":
        pair = self._read(y_true, y_pred)
        state = StreamedScores(self._read, self._members)
        state._classes, state._stream = pair.classes, self._bound(pair.classes)
        state._stream.update(pair.y_true, pair.y_pred)
        return state

    def check(self, other: "StreamedScores") -> None:
        if self._stream and other._stream and self._classes != other._classes:
            raise ValueError(
                f"y_score has the classes {other._classes}; the rows before have {self._classes}"
            )

    def merge(self, other: "StreamedScores") -> None:
        if other._stream is None:
            return
        if self._stream is None:
            self._classes, self._stream = other._classes, self._bound(other._classes)
        self._stream.merge(other._stream)

    def evidence(self) -> Evidence:
        if self._stream is None:
            return self._read([], [])
        return _Streamed(self._stream, self._classes)

    def saved(self) -> tuple[Any, dict[str, np.ndarray]]:
        if self._stream is None:
            return None, {}
        facts, arrays = self._stream.to_arrays()
        return {"classes": self._classes, "stream": facts}, arrays

    def restore(self, facts: Any, arrays: Mapping[str, np.ndarray]) -> None:
        if facts is not None:
            self._classes = None if facts["classes"] is None else tuple(facts["classes"])
            self._stream = self._bound(self._classes)
            self._stream.set_arrays(facts["stream"], arrays)

    def _bound(self, classes: tuple[Any, ...] | None) -> numeric.MetricStream:
        pair = ClassScorePair(np.zeros(0, np.int32), np.zeros(0), classes)
        return numeric.MetricStream({name: m.bind(pair) for name, m in self._members.items()})


def _by_rows(bound: Mapping[str, numeric.Metric]) -> tuple[str, ...]:
    return tuple(name for name, metric in bound.items() if metric.resampling == "rows")


def running(read: Reader, members: Mapping[str, BuiltIn]) -> Running:
    """The state of no rows for metrics of one reader."""
    pair = read([], [])
    if isinstance(pair, LabelPair):
        return LabelCounts(read)
    if isinstance(pair, ScorePair):
        assert isinstance(read, ScoreReader)
        return KeptScores(read)
    if isinstance(pair, ClassScorePair):
        assert isinstance(read, ClassScoreReader)
        return StreamedScores(
            read, {n: m for n, m in members.items() if isinstance(m, OnePassMetric)}
        )
    if isinstance(pair, ValuePair | TokenPair | CountPair):
        one_pass = {n: m for n, m in members.items() if isinstance(m, OnePassMetric)}
        assert one_pass.keys() == members.keys()
        bound = {name: metric.bind(pair) for name, metric in one_pass.items()}
        return StreamedSums(read, numeric.MetricStream(bound))
    return KeptRows(read)
