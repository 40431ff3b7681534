"""What is kept of the rows of several models, for each way of reading them.

Each kind has a state of no rows, the state of a batch, and a merge that cannot fail after `check`.
"""

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import modelops_jax.metrics as numeric
from modelops_jax._distinct import distinct_rows

from ._builtin import OnePassMetric, Reader
from ._compared import Models, Question, RowSample, bind_all, by_difference, only_right, right_rows
from ._comparison import MetricComparison, PairComparison
from ._evidence import Evidence
from ._growing import GrowingClasses
from ._kept_pairs import KeptPairs
from ._label_pair import LabelPair
from ._labels import CodedLabels
from ._ranking import ScorePair, ScoreReader
from ._running import KeptScores
from ._streamed import StreamedSums

Compared = tuple[dict[str, MetricComparison], dict[str, str]]


class Joint(abc.ABC):
    """What is kept of the rows of all models for some metrics of one reader."""

    def __init__(
        self, read: Reader, members: Mapping[str, OnePassMetric], models: Sequence[str]
    ) -> None:
        self.read, self.members, self.models = read, dict(members), tuple(models)

    @property
    def resampled(self) -> tuple[str, ...]:
        """The metrics whose resamples are drawn as rows come in."""
        return ()

    @abc.abstractmethod
    def of_rows(self, y_true: Any, seconds: Mapping[str, Any]) -> Any:
        """The state, of the class of this one, of one batch.

        Args:
            y_true: the first argument.
            seconds: by model the second one.

        Raises:
            TypeError: entries of the wrong kind.
            ValueError: rows that no definition covers.
        """

    @abc.abstractmethod
    def check(self, other: Any) -> None:
        """Refuse a state that cannot be merged into this one (TypeError or ValueError)."""

    @abc.abstractmethod
    def merge(self, other: Any) -> None:
        """Add the rows of the state of a batch."""

    @abc.abstractmethod
    def evidence(self, model: str) -> Evidence:
        """What an evaluation of one model would have."""

    @abc.abstractmethod
    def compare(self, question: Question) -> Compared:
        """The models by each metric that can be compared, and why the others cannot."""


class JointLabels(Joint):
    """Rows by (true label, what each model said), of the combinations that occur."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._classes = GrowingClasses()
        self._rows = np.zeros((0, 1 + len(self.models)), np.int64)
        self._counts = np.zeros(0, np.int64)
        self._ignored = 0

    def of_rows(self, y_true: Any, seconds: Mapping[str, Any]) -> "JointLabels":
        state = JointLabels(self.read, self.members, self.models)
        columns: list[np.ndarray] = []
        for model in self.models:
            pair = self.read(y_true, seconds[model])
            assert isinstance(pair, LabelPair)
            assert pair.counts is None
            state._classes.check(pair.labels.classes)
            place = state._classes.add(pair.labels.classes)
            columns = columns or [place[pair.y_true]]
            columns.append(place[pair.y_pred])
            state._ignored = pair.ignored
        state._rows, state._counts = distinct_rows(np.stack(columns, axis=1))
        return state

    def check(self, other: "JointLabels") -> None:
        self._classes.check(tuple(other._classes))

    def merge(self, other: "JointLabels") -> None:
        place = self._classes.add(tuple(other._classes))
        rows = np.concatenate([self._rows, place[other._rows]])
        counts = np.concatenate([self._counts, other._counts])
        self._rows, self._counts = distinct_rows(rows, counts)
        self._ignored += other._ignored

    def evidence(self, model: str) -> LabelPair:
        """Of the classes that occur with this model."""
        classes, rows = self._in_order()
        pairs, counts = distinct_rows(rows[:, [0, 1 + self.models.index(model)]], self._counts)
        true, pred = pairs.T.astype(np.int32)
        codes = {"y_true": true, "y_pred": pred}
        labels = CodedLabels(classes, codes).of_rows(np.ones(len(pairs), bool))
        return LabelPair(labels, counts=counts, left_out=self._ignored)

    def compare(self, question: Question) -> Compared:
        classes, rows = self._in_order()
        true, *preds = rows.T.astype(np.int32)
        several, said = len(preds), dict(zip(self.models, preds, strict=True))
        codes = {"y_true": np.tile(true, several), "y_pred": np.concatenate(preds)}
        joint = LabelPair(CodedLabels(classes, codes), counts=np.tile(self._counts, several))
        bound, refused = bind_all(joint.for_all(self.members), self.members, unlike=False)
        reports = {
            model: numeric.compute_counts(bound, true, pred, self._counts)
            for model, pred in said.items()
        }
        options = question.confidence.options
        intervals = {
            model: numeric.state_intervals(bound, report.states, **options)
            for model, report in reports.items()
        }
        drawn = numeric.paired_count_differences(bound, true, said, self._counts, **question.drawn)
        only = only_right(np.stack([true == pred for pred in preds]), self._counts)
        values = {model: report.values for model, report in reports.items()}
        test = _Tests(bound, drawn, only, self.models)
        return question.compared(bound, values, intervals, test), refused

    def _in_order(self) -> tuple[tuple[Any, ...], np.ndarray]:
        """The classes in order, and the rows over them."""
        classes, position = self._classes.sorted()
        return classes, position[self._rows]


class JointSums(Joint):
    """The states of each model, and the sums of all resamples and swaps."""

    def __init__(self, *arguments: Any, n_resamples: int, seed: int) -> None:
        super().__init__(*arguments)
        self._drawing = {"n_resamples": n_resamples, "seed": seed}
        self._states = {model: StreamedSums(self.read, self.members) for model in self.models}
        self._paired: numeric.PairedStream | None = None
        self._shape: tuple[int, ...] = ()  # of a row
        self._only = np.zeros((len(self.models),) * 2, np.int64)

    @property
    def resampled(self) -> tuple[str, ...]:
        return self._first.resamples_rows()

    @property
    def _first(self) -> StreamedSums:
        return self._states[self.models[0]]

    def of_rows(self, y_true: Any, seconds: Mapping[str, Any]) -> "JointSums":
        state = JointSums(self.read, self.members, self.models, **self._drawing)
        state._states = {
            model: empty.of_rows(y_true, seconds[model]) for model, empty in self._states.items()
        }
        state._shape = np.shape(state._first.batch.y_pred)[1:]
        for other in state._states.values():
            state._first.check(other)
            state._check_shape(np.shape(other.batch.y_pred)[1:])
        return state

    def check(self, other: "JointSums") -> None:
        for model, state in self._states.items():
            state.check(other._states[model])
        if self._paired is not None:
            self._check_shape(other._shape)

    def _check_shape(self, found: tuple[int, ...]) -> None:
        if found != self._shape:
            raise ValueError(f"found rows of shape {found}; the rows before have {self._shape}")

    def merge(self, other: "JointSums") -> None:
        for model, state in self._states.items():
            state.merge(other._states[model])
        if self._paired is None:
            self._shape = other._shape
            drawn = {
                n: m for n, m in self._first.metrics.items() if m.resampling in ("rows", "cells")
            }
            self._paired = numeric.PairedStream(drawn, self.models, **self._drawing)
        pairs = {model: state.batch for model, state in other._states.items()}
        true = {model: np.asarray(pair.y_true) for model, pair in pairs.items()}
        said = {model: np.asarray(pair.y_pred) for model, pair in pairs.items()}
        self._paired.update(true, said)
        if any(metric.name == "accuracy_score" for metric in self._first.metrics.values()):
            self._only += only_right(np.stack([right_rows(true[m], said[m]) for m in self.models]))

    def evidence(self, model: str) -> Evidence:
        return self._states[model].evidence()

    def compare(self, question: Question) -> Compared:
        assert self._paired is not None
        bound, refused = bind_all(self._first.evidence(), self.members, unlike=False)
        asked = question.confidence
        intervals = self._paired.intervals(asked.level, method=asked.method)
        chosen = {key: question.drawn[key] for key in ("pairs", "level", "method")}
        drawn = self._paired.differences(**chosen)
        values = {model: report.values for model, report in self._paired.reports().items()}
        test = _Tests(bound, drawn, self._only, self.models)
        return question.compared(bound, values, intervals, test), refused


class JointRows(Joint):
    """Every row, for metrics that need all of them at once."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._states = {model: self._of_no_rows() for model in self.models}

    def of_rows(self, y_true: Any, seconds: Mapping[str, Any]) -> "JointRows":
        state = JointRows(self.read, self.members, self.models)
        state._states = {
            model: empty.of_rows(y_true, seconds[model]) for model, empty in self._states.items()
        }
        first = state._states[self.models[0]]
        for other in state._states.values():
            first.check(other)
        return state

    def check(self, other: "JointRows") -> None:
        for model, state in self._states.items():
            state.check(other._states[model])

    def merge(self, other: "JointRows") -> None:
        for model, state in self._states.items():
            state.merge(other._states[model])

    def evidence(self, model: str) -> Evidence:
        return self._states[model].evidence()

    def compare(self, question: Question) -> Compared:
        pairs = {model: state.evidence() for model, state in self._states.items()}
        bound, refused = bind_all(pairs[self.models[0]], self.members, unlike=False)
        true = {model: np.asarray(pair.y_true) for model, pair in pairs.items()}
        said = {model: np.asarray(pair.y_pred) for model, pair in pairs.items()}
        return RowSample(true, said, question).compare(bound), refused

    def _of_no_rows(self) -> Any:
        if isinstance(self.read, ScoreReader):
            return KeptScores(self.read)
        return KeptPairs(self.read)


class _Tests:
    """The test of two models by a metric: McNemar's of accuracies, else swaps."""

    def __init__(
        self,
        bound: Mapping[str, numeric.Metric],
        drawn: Mapping[str, Mapping[Models, numeric.Difference]],
        only: np.ndarray,
        models: Sequence[str],
    ) -> None:
        self._bound, self._drawn, self._only, self._models = bound, drawn, only, models

    def __call__(self, name: str, pair: Models) -> PairComparison:
        only = None
        if self._bound[name].name == "accuracy_score":
            one, other = (self._models.index(model) for model in pair)
            only = int(self._only[one, other]), int(self._only[other, one])
        return by_difference(pair, self._drawn[name][pair], only)


def joint_states(
    read: Reader,
    members: Mapping[str, OnePassMetric],
    models: Sequence[str],
    *,
    n_resamples: int,
    seed: int,
) -> list[Joint]:
    """The states of no rows for metrics of one reader: of sums, and of kept rows."""
    none = read([], [])
    if isinstance(none, LabelPair):
        return [JointLabels(read, members, models)]
    if isinstance(none, ScorePair):
        return [JointRows(read, members, models)]
    bound = StreamedSums(read, members).metrics
    rows = {n: members[n] for n, metric in bound.items() if _needs_rows(metric)}
    rest = {n: metric for n, metric in members.items() if n not in rows}
    found: list[Joint] = []
    if rest:
        found.append(JointSums(read, rest, models, n_resamples=n_resamples, seed=seed))
    return found + ([JointRows(read, rows, models)] if rows else [])


def _needs_rows(metric: numeric.Metric) -> bool:
    return metric.resampling in ("closed", "kept") or any(s.keeps_rows for s in metric.statistics)
