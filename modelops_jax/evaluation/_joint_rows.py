"""The rows of several models, where metrics need all of them at once."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from modelops_jax._row_groups import GrowingGroups

from ._compared import Question, RowSample, bind_all
from ._evidence import Evidence
from ._joint import Compared, Joint
from ._kept_pairs import KeptPairs
from ._ranking import ScoreReader
from ._running import KeptScores
from ._stream_file import restore_states, sections_of


class JointRows(Joint):
    """Every row, for metrics that need all of them at once."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._states = {model: self._of_no_rows() for model in self.models}
        self._groups = GrowingGroups()
        # Of each batch the number of each row's group; none of rows without groups.
        self._numbers: list[np.ndarray] = []

    def of_rows(
        self, y_true: Any, seconds: Mapping[str, Any], weight: np.ndarray | None, groups: Any
    ) -> "JointRows":
        state = JointRows(self.read, self.members, self.models)
        state._states = {
            model: empty.of_rows(y_true, seconds[model], weight=weight)
            for model, empty in self._states.items()
        }
        if groups is not None:
            ids, codes = self._groups.read(groups, len(y_true))
            state._numbers = [state._groups.add(ids).astype(np.int32)[codes]]
        first = state._states[self.models[0]]
        for other in state._states.values():
            first.check(other)
        return state

    def check(self, other: "JointRows") -> None:
        for model, state in self._states.items():
            state.check(other._states[model])
        self._groups.check(other._groups)

    def merge(self, other: "JointRows") -> None:
        for model, state in self._states.items():
            state.merge(other._states[model])
        numbers = self._groups.add(other._groups).astype(np.int32)
        self._numbers += [numbers[codes] for codes in other._numbers]

    def saved(self) -> tuple[Any, dict[str, np.ndarray]]:
        sections, arrays = sections_of(list(self._states.values()))
        if self._numbers:
            arrays["numbers"] = np.concatenate(self._numbers)
        return {"sections": sections, "groups": self._groups.to_json()}, arrays

    def restore(self, facts: Any, arrays: Mapping[str, np.ndarray]) -> None:
        restore_states(list(self._states.values()), facts, arrays)
        self._groups.add(facts["groups"])
        self._numbers = [arrays["numbers"]] if "numbers" in arrays else []

    def evidence(self, model: str) -> Evidence:
        return self._states[model].evidence()

    def compare(self, question: Question) -> Compared:
        pairs = {model: state.evidence() for model, state in self._states.items()}
        weight = pairs[self.models[0]].weight
        if self._numbers:
            self._numbers = [np.concatenate(self._numbers)]
            groups = self._groups.places()[self._numbers[0]]
            question = replace(question, confidence=replace(question.confidence, groups=groups))
        unlike = bool(self._numbers) or weight is not None
        bound, refused = bind_all(pairs[self.models[0]], self.members, unlike=unlike)
        true = {model: np.asarray(pair.y_true) for model, pair in pairs.items()}
        said = {model: np.asarray(pair.y_pred) for model, pair in pairs.items()}
        return RowSample(true, said, question, weight).compare(bound), refused

    def _of_no_rows(self) -> Any:
        if isinstance(self.read, ScoreReader):
            return KeptScores(self.read)
        return KeptPairs(self.read)
