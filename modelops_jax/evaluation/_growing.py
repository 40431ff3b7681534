"""Classes that become known batch by batch."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from ._labels import in_order


class GrowingClasses:
    """The labels seen so far, numbered in the order in which they were first seen."""

    def __init__(self, classes: Iterable[Hashable] = ()) -> None:
        self._numbers: dict[Hashable, int] = {}
        self.add(tuple(classes))

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Any:
        return iter(self._numbers)

    def check(self, classes: Sequence[Hashable]) -> None:
        """Refuse labels of another kind than those seen so far.

        Raises:
            TypeError: naming both kinds.
        """
        if not classes or not self._numbers:
            return
        seen, new = _kind(next(iter(self._numbers))), _kind(classes[0])
        if seen is not new:
            raise TypeError(
                f"labels of two kinds: the rows before have {seen.__name__}, this batch has "
                f"{new.__name__}; expected one kind"
            )

    def add(self, classes: Sequence[Hashable]) -> np.ndarray:
        """Number the labels that are new; give the numbers of all of these, int64."""
        for label in classes:
            self._numbers.setdefault(label, len(self._numbers))
        return np.fromiter(map(self._numbers.__getitem__, classes), np.int64, len(classes))

    def sorted(self) -> tuple[tuple[Hashable, ...], np.ndarray]:
        """The classes in order, and the position there of each number, int32."""
        labels: list[Any] = list(self._numbers)
        if any(type(label) is int for label in labels):
            labels = [int(label) if isinstance(label, bool) else label for label in labels]
        classes = in_order(set(labels))
        index = {label: position for position, label in enumerate(classes)}
        return classes, np.fromiter(map(index.__getitem__, labels), np.int32, len(labels))

    def to_json(self) -> list[Any]:
        """The labels in the order of their numbers.

        Raises:
            TypeError: labels that JSON does not have.
        """
        for label in self._numbers:
            if type(label) not in (int, bool, str):
                raise TypeError(
                    f"the label {label!r} ({type(label).__name__}) cannot be saved; expected "
                    "integers, bools or strings"
                )
        return list(self._numbers)


def _kind(label: Hashable) -> type:
    return next((kind for kind in (int, str) if isinstance(label, kind)), type(label))
