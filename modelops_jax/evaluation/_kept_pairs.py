"""Rows that have been read, kept in NumPy until all of them are there."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from ._builtin import Reader
from ._class_scores import ClassScorePair
from ._evidence import Pair
from ._growing import GrowingClasses
from ._labels import in_order
from ._streamed import shape_of, with_shape
from ._weights import unless_alike


class KeptPairs:
    """What one reader reads, batch by batch."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._parts: list[Pair] = []

    def of_rows(self, y_true: Any, second: Any, weight: np.ndarray | None = None) -> "KeptPairs":
        """The state of one batch, with or without weights; raises what the reader raises."""
        state, pair = KeptPairs(self._read), self._read(y_true, second)
        pair = pair if weight is None else pair.weighted(weight)
        own = {name: np.array(column) for name, column in _columns(pair).items()}
        state._parts = [dataclasses.replace(pair, **own)]
        return state

    def check(self, other: "KeptPairs") -> None:
        """Refuse rows of another shape, or labels of another kind (ValueError or TypeError)."""
        for before, new in zip(self._parts[:1], other._parts, strict=False):
            if shape_of(before) != shape_of(new):
                raise ValueError(
                    f"these rows have the classes or outputs {shape_of(new)}; the rows before have "
                    f"{shape_of(before)}"
                )
            if isinstance(before, ClassScorePair) and isinstance(new, ClassScorePair):
                GrowingClasses(before.labels).check(new.labels)

    def merge(self, other: "KeptPairs") -> None:
        """Add the rows of another state."""
        self._parts += other._parts

    def evidence(self) -> Pair:
        """All rows."""
        if not self._parts:
            return self._read([], [])
        first, columns = self._parts[0], [_columns(part) for part in self._parts]
        joined: dict[str, Any] = {
            n: np.concatenate([own[n] for own in columns]) for n in columns[0]
        }
        if isinstance(first, ClassScorePair):
            labels = {
                label
                for part in self._parts
                if isinstance(part, ClassScorePair)
                for label in part.labels
            }
            joined["labels"] = in_order(labels)
        self._parts = [dataclasses.replace(first, **joined)]
        return dataclasses.replace(self._parts[0], weight=unless_alike(self._parts[0].weight))

    def saved(self) -> tuple[Any, dict[str, np.ndarray]]:
        """As JSON and named arrays; TypeError for labels that JSON does not have."""
        if not self._parts:
            return None, {}
        self.evidence()  # which makes them one
        (pair,) = self._parts
        facts: dict[str, Any] = {"shape": shape_of(pair)}
        if isinstance(pair, ClassScorePair):
            facts["labels"] = GrowingClasses(pair.labels).to_json()
            if pair.classes is not None:
                facts["shape"] = GrowingClasses(pair.classes).to_json()
        return facts, _columns(pair)

    def restore(self, facts: Any, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `saved` gave."""
        if facts is None:
            return
        shape = facts["shape"]
        none = with_shape(self._read([], []), tuple(shape) if isinstance(shape, list) else shape)
        given: dict[str, Any] = dict(arrays)
        if isinstance(none, ClassScorePair):
            given["labels"] = tuple(facts["labels"])
        self._parts = [dataclasses.replace(none, **given)]


def _columns(pair: Pair) -> dict[str, np.ndarray]:
    """The fields that have an entry for each row."""
    fields = {field.name: getattr(pair, field.name) for field in dataclasses.fields(pair)}
    return {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
