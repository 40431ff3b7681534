"""What is kept of the rows of several models that are summed."""

from collections.abc import Mapping
from typing import Any

import numpy as np

import modelops_jax.metrics as numeric
from modelops_jax._prefixed import below, prefixed

from ._compared import Question, bind_all, only_right, right_rows
from ._evidence import Evidence
from ._joint import Compared, Joint, Tests
from ._stream_file import restore_states, sections_of
from ._streamed import StreamedSums
from ._weights import unless_alike


class JointSums(Joint):
    """The states of each model, and the sums of all resamples and swaps, or of each group."""

    def __init__(self, *arguments: Any, n_resamples: int, seed: int) -> None:
        super().__init__(*arguments)
        self._drawing = {"n_resamples": n_resamples, "seed": seed}
        self._states = {model: StreamedSums(self.read, self.members) for model in self.models}
        self._paired: numeric.PairedStream | None = None
        self._shape: tuple[int, ...] = ()  # of a row
        self._only = np.zeros((len(self.models),) * 2, np.int64)
        self._alike, self._grouped = True, False
        # Of a batch: the weight and the group of each row.
        self._weight: np.ndarray | None = None
        self._groups: Any = None

    @property
    def resampled(self) -> tuple[str, ...]:
        return () if self._grouped else self._first.resamples_rows()

    @property
    def unmerged(self) -> tuple[str, ...]:
        return () if self._grouped or self._paired is None else tuple(self.members)

    @property
    def _first(self) -> StreamedSums:
        return self._states[self.models[0]]

    def of_rows(
        self, y_true: Any, seconds: Mapping[str, Any], weight: np.ndarray | None, groups: Any
    ) -> "JointSums":
        state = JointSums(self.read, self.members, self.models, **self._drawing)
        state._states = {
            model: empty.of_rows(y_true, seconds[model], weight=weight)
            for model, empty in self._states.items()
        }
        state._weight, state._groups = weight, groups
        state._alike, state._grouped = unless_alike(weight) is None, groups is not None
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
            self._shape, self._paired = other._shape, self._of_no_rows()
        self._alike, self._grouped = self._alike and other._alike, other._grouped
        if other._paired is not None:
            self._paired.merge(other._paired)
            self._only += other._only
            return
        pairs = {model: state.batch for model, state in other._states.items()}
        true = {model: np.asarray(pair.y_true) for model, pair in pairs.items()}
        said = {model: np.asarray(pair.y_pred) for model, pair in pairs.items()}
        self._paired.update(true, said, weight=other._weight, groups=other._groups)
        if any(metric.name == "accuracy_score" for metric in self._first.metrics.values()):
            self._only += only_right(np.stack([right_rows(true[m], said[m]) for m in self.models]))

    def _of_no_rows(self) -> numeric.PairedStream:
        """What draws, of metrics that the states of rows tell."""
        metrics = self._first.metrics
        drawn = {n: m for n, m in metrics.items() if m.resampling in ("rows", "cells")}
        return numeric.PairedStream(drawn, self.models, **self._drawing)

    def saved(self) -> tuple[Any, dict[str, np.ndarray]]:
        sections, arrays = sections_of(list(self._states.values()))
        facts: dict[str, Any] = {"sections": sections, "shape": self._shape, "paired": None}
        facts["given"] = [self._alike, self._grouped]
        if self._paired is not None:
            facts["paired"], paired = self._paired.to_arrays()
            arrays |= prefixed("paired/", paired) | {"only": self._only}
        return facts, arrays

    def restore(self, facts: Any, arrays: Mapping[str, np.ndarray]) -> None:
        restore_states(list(self._states.values()), facts, arrays)
        self._shape = tuple(facts["shape"])
        self._alike, self._grouped = facts["given"]
        if facts["paired"] is not None:
            self._paired, self._only = self._of_no_rows(), arrays["only"]
            self._paired.set_arrays(facts["paired"], below("paired/", arrays))

    def evidence(self, model: str) -> Evidence:
        return self._states[model].evidence()

    def compare(self, question: Question) -> Compared:
        assert self._paired is not None
        unlike = self._grouped or not self._alike
        bound, refused = bind_all(self._first.evidence(), self.members, unlike=unlike)
        asked = question.confidence
        intervals = self._paired.intervals(asked.level, method=asked.method)
        chosen = {key: question.drawn[key] for key in ("pairs", "level", "method")}
        drawn = self._paired.differences(**chosen)
        values = {model: report.values for model, report in self._paired.reports().items()}
        test = Tests(bound, drawn, None if unlike else self._only, self.models)
        return question.compared(bound, values, intervals, test), refused
