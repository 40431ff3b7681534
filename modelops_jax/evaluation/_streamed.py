"""What is kept of rows that are summed, and the state that fits each way of reading."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

import modelops_jax.metrics as numeric
from modelops_jax._prefixed import below, prefixed

from ._batch import Batch
from ._builtin import BuiltIn, OnePassMetric, Reader
from ._class_scores import ClassScorePair, ClassScoreReader, require_positive
from ._computed import BOOTSTRAPS, resampled_of
from ._evidence import Evidence, Pair
from ._growing import GrowingClasses
from ._label_pair import LabelPair
from ._label_sets import LabelSetPair
from ._likelihoods import reads_scores
from ._ranking import ScorePair, ScoreReader
from ._regression import ValuePair
from ._running import KeptRows, KeptScores, LabelCounts, Running
from ._sharded import gathered
from ._slice_outcomes import with_moments
from ._slicing import Slicing
from ._streamed_evidence import StreamedEvidence, shares_of_rows
from ._text_metrics import CountPair
from ._tokens import TokenPair
from ._weights import unless_alike

_Drawn = TypeVar("_Drawn", numeric.ResampleStream, numeric.SliceResampleStream)


class StreamedSums(Running):
    """The states of numeric metrics, whose classes or outputs a row the first rows tell."""

    def __init__(self, read: Reader, members: Mapping[str, OnePassMetric]) -> None:
        self.read, self.members = read, members
        self._none = read([], [])
        self._shape: Any = None
        self._labels = GrowingClasses()
        self._ignored = 0
        self._stream: numeric.MetricStream | None = None
        self._sliced: list[numeric.SliceStream] = []
        self._drawing: tuple[int, int] | None = None
        self._resampled: numeric.ResampleStream | None = None
        self._resampled_slices: list[numeric.SliceResampleStream] = []
        self._slice_ids: list[np.ndarray] = []  # of a batch, for each slicing
        self._batch: Pair | None = None
        self._draws_counts = False
        # Of several labels a row: `LabelSetPair.cells`.
        self._cells: np.ndarray | None = None

    @property
    def reads_scores(self) -> bool:
        return reads_scores(self.read)

    def kept_for(self, members: Mapping[str, BuiltIn]) -> tuple[str, ...]:
        return self._bound(None).keeps_rows

    def resamples_rows(self, interval: str = "percentile") -> tuple[str, ...]:
        stream = self._stream or self._bound(None)
        found = resampled_of(stream.metrics, weighted=bool(stream.weighted))
        if stream.weighted or interval in BOOTSTRAPS:
            return tuple(found)
        shares = shares_of_rows(found, stream.report())
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
        pair = self.read(y_true, y_pred)
        if (own := unless_alike(weight)) is not None:
            pair = pair.weighted(own)
        state = type(self)(self.read, self.members)
        state._shape = shape_of(pair)
        state._stream = self._bound(state._shape)
        state._stream.update(pair.y_true, pair.y_pred, weight=own)
        state._ignored = pair.ignored
        state._batch, state._draws_counts = pair, weight is not None
        if isinstance(pair, ClassScorePair):
            state._labels.add(pair.labels)
        if isinstance(pair, LabelSetPair) and not pair.scored and weight is not None:
            state._cells = pair.cells
        # Of rows in groups the state does not know yet that it has slices.
        for slicing in slicings if StreamedSums.slices_rows(state) else ():
            sliced = state._no_slices()
            columns = pair.y_true, pair.y_pred, slicing.ids, len(slicing.keys)
            sliced.update(*columns, weight=own)
            state._slice_ids.append(slicing.ids)
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
            batch, weighted = other._batch, other._draws_counts
            if self._resampled is None:
                self._resampled = self._drawn_of(numeric.ResampleStream, stream, weighted)
            self._resampled_slices = self._resampled_slices or [
                self._drawn_of(numeric.SliceResampleStream, stream, weighted) for _ in numbers
            ]
            rows = batch.y_true, batch.y_pred
            self._resampled.update(*rows, weight=batch.weight)
            drawn = zip(self._resampled_slices, numbers, other._slice_ids, strict=True)
            for one, number, ids in drawn:
                count = int(number.max(initial=-1)) + 1
                one.update(*rows, number[ids], count, weight=batch.weight)
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
        if isinstance(self.read, ClassScoreReader):
            require_positive(self.read.positive_class, tuple(self._labels))
        reports = [
            [parts[number] for number in order]
            for parts, order in zip((one.reports() for one in self._sliced), orders, strict=True)
        ]
        like = with_shape(self._none, self._shape)
        cells = self._cells if self._stream.weighted else None
        drawn = list(zip(self._resampled_slices, orders, strict=False))
        return StreamedEvidence(
            self._stream, self._shape, like, self._ignored, reports, self._resampled, drawn, cells
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
            found["resampled"] = {"weighted": self._resampled.weighted, "sums": own, "slices": []}
            arrays |= prefixed("resampled/", more)
            for place, one in enumerate(self._resampled_slices):
                told, more = one.to_arrays()
                found["resampled"]["slices"].append(told)
                arrays |= prefixed(f"drawn/{place}/", more)
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
                asked = self._stream, drawn["weighted"]
                resampled = self._drawn_of(numeric.ResampleStream, *asked)
                resampled.set_arrays(drawn["sums"], below("resampled/", arrays))
                self._resampled = resampled
                for place, told in enumerate(drawn["slices"]):
                    one = self._drawn_of(numeric.SliceResampleStream, *asked)
                    one.set_arrays(told, below(f"drawn/{place}/", arrays))
                    self._resampled_slices.append(one)

    def _drawn_of(self, kind: type[_Drawn], stream: numeric.MetricStream, weighted: bool) -> _Drawn:
        """The resamples of no rows, or of no rows of slices."""
        assert self._drawing is not None
        metrics, (count, seed) = resampled_of(stream.metrics, weighted=weighted), self._drawing
        return kind(metrics, n_resamples=count, seed=seed, weighted=weighted)

    def _no_slices(self) -> numeric.SliceStream:
        """Slices of no rows, for which the whole has rows."""
        assert self._stream is not None
        return numeric.SliceStream(with_moments(self._stream.metrics))

    def _bound(self, shape: Any) -> numeric.MetricStream:
        """A stream of no rows of this shape."""
        pair = with_shape(self._none, shape)
        return numeric.MetricStream({name: m.bind(pair) for name, m in self.members.items()})


def _with_rows_of(mine: Any, other: Any, *numbers: np.ndarray) -> Any:
    """A stream with the rows of another, which stays as it is; rows without a weight weigh 1."""
    if mine.weighted is not other.weighted and None not in (mine.weighted, other.weighted):
        mine, other = mine.weighed(), other.weighed()
    mine.merge(other, *numbers)
    return mine


def with_shape(pair: Pair, shape: Any) -> Pair:
    """A pair of no rows as one of this shape, which `shape_of` gives."""
    if isinstance(pair, ClassScorePair):
        return replace(pair, classes=shape)
    if isinstance(pair, LabelSetPair):
        return pair.of_labels(shape)
    if isinstance(pair, ValuePair) and shape is not None:
        return ValuePair(np.zeros((0, shape)), np.zeros((0, shape)))
    return pair


def shape_of(pair: Pair) -> Any:
    """What metrics have to know of rows: their classes, labels, or outputs; None: no more."""
    if isinstance(pair, ClassScorePair):
        return pair.classes
    if isinstance(pair, LabelSetPair):
        return pair.num_labels
    return pair.outputs if isinstance(pair, ValuePair) else None


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
