"""Labels of any type a person passes, coded on the host as int32 class indices.

Coding on the host is what keeps labels exact: on the device an id of 2**40 would be cut to 32
bits, and two different labels could become one.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np

from modelops_jax._is_nan import is_nan

from ._vectors import as_vector, first_index_of

# Below this many possible values a table look-up beats sorting however few rows there are.
_SMALL_TABLE = 1 << 16
_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class CodedLabels:
    """Vectors of labels over one set of classes.

    Args:
        classes: the labels that occur in any of the vectors, sorted.
        codes: for each named vector, the position in `classes` of each of its entries (int32): in
            NumPy, or where the rows lie on devices.
    """

    classes: tuple[Hashable, ...]
    codes: dict[str, Any]

    @cached_property
    def index(self) -> dict[Hashable, int]:
        """The position of each class in `classes`."""
        return {label: position for position, label in enumerate(self.classes)}

    def of_rows(self, keep: np.ndarray) -> "CodedLabels":
        """Some of the rows, and the classes that occur in them."""
        left = {n: codes[keep] for n, codes in self.codes.items()}
        positions = np.unique(np.concatenate(list(left.values())))
        codes = {n: np.searchsorted(positions, c).astype(np.int32) for n, c in left.items()}
        return CodedLabels(tuple(self.classes[p] for p in positions.tolist()), codes)

    @property
    def is_binary(self) -> bool:
        """Whether every label is one of 0, 1, False and True."""
        return self.index.keys() <= {0, 1}

    def position(self, positive_class: Hashable) -> int | None:
        """Give the position of the positive class, or None if no row can have it.

        Raises:
            ValueError: the labels are no numbers and the positive class is not among them, or
                is of another kind than they are. For number labels a class that happens not to
                occur is an ordinary case (a batch without positives), for names it is a typo.
        """
        found = self.index.get(positive_class)
        if found is not None or not self.classes:
            return found
        numbers = all(isinstance(label, int | float) for label in (self.classes[0], positive_class))
        if not numbers:
            raise ValueError(
                f"positive_class={positive_class!r} does not occur among the labels "
                f"{shorten(self.classes)}; give the metric positive_class=<the label to count as "
                "positive>"
            )
        return None


def label_to_ignore(ignore_index: Hashable | None, labels: CodedLabels) -> int | None:
    """The position of the label whose rows are to be ignored, or None if no row has it.

    Raises:
        ValueError: a number among names, or a name among numbers.
    """
    if ignore_index is None or not labels.classes:
        return None
    own: Any = ignore_index
    own = own.item() if hasattr(own, "item") else own
    if isinstance(own, int | float) != isinstance(labels.classes[0], int | float):
        raise ValueError(
            f"ignore_index={ignore_index!r} is of another kind than the labels "
            f"{shorten(labels.classes)}"
        )
    return labels.index.get(ignore_index)


def encode_labels(vectors: Mapping[str, Any]) -> CodedLabels:
    """Code the named vectors over the sorted union of their labels.

    Integers of any size, bools, strings and any other hashable values of one type are labels;
    floats are if they are whole numbers (1.0 is the label 1). Bools and integers may be mixed
    (True is 1); any other mixture is an error, within one vector or between two. Tuples are labels
    in a NumPy array of objects only: a list of them is one of rows.

    Args:
        vectors: name of the argument -> its labels (list, tuple, NumPy or JAX array).

    Raises:
        TypeError: labels of two kinds, labels that are not hashable, complex or date arrays.
        ValueError: a vector that is not flat; NaN (of any type), infinite or fractional labels.
    """
    read = {name: _read(as_vector(values, name), name) for name, values in vectors.items()}
    kinds = {part.kind: name for name, part in read.items() if len(part.values)}
    if len(kinds) > 1 and not kinds.keys() <= {bool, int}:
        found = " and ".join(f"{name} has {kind.__name__}" for kind, name in kinds.items())
        raise TypeError(f"labels of two kinds: {found}; expected one kind in both")
    parts = {name: part.values for name, part in read.items()}
    if all(isinstance(part, np.ndarray) for part in parts.values()):
        classes, codes = _code_integers({name: np.asarray(part) for name, part in parts.items()})
        if kinds.keys() == {bool}:
            classes = tuple(map(bool, classes))
        return CodedLabels(classes, codes)
    lists = {
        name: part.tolist() if isinstance(part, np.ndarray) else part
        for name, part in parts.items()
    }
    distinct = set().union(*lists.values())
    classes = in_order(distinct)
    index = {label: position for position, label in enumerate(classes)}
    codes = {
        name: np.fromiter(map(index.__getitem__, part), np.int32, len(part))
        for name, part in lists.items()
    }
    return CodedLabels(classes, codes)


def shorten(labels: tuple[Hashable, ...], most: int = 10) -> str:
    """Write the first few labels for an error message."""
    shown = ", ".join(repr(label) for label in labels[:most])
    return shown if len(labels) <= most else f"{shown}, ... ({len(labels)} in all)"


@dataclass(frozen=True)
class _Part:
    """One vector: signed integers, or a list of labels that are none; and their kind."""

    values: "np.ndarray | list[Any]"
    kind: type


def _read(values: "np.ndarray | list[Any]", name: str) -> _Part:
    if not len(values):
        return _Part(np.zeros(0, np.int64), int)
    return _read_array(values, name) if isinstance(values, np.ndarray) else _read_list(values, name)


def _read_array(values: np.ndarray, name: str) -> _Part:
    if values.dtype == bool:
        return _Part(values.astype(np.int64), bool)
    if values.dtype.kind == "i":
        return _Part(values, int)
    if values.dtype.kind == "u":
        fits = int(values.max()) <= np.iinfo(np.int64).max
        return _Part(values.astype(np.int64) if fits else values.tolist(), int)
    if jnp.issubdtype(values.dtype, jnp.floating):
        return _Part(_whole(values, name), int)
    if values.dtype.kind in "UTS":
        return _read_list(values.tolist(), name)
    raise TypeError(
        f"{name} has dtype {values.dtype}; expected labels: integers, bools, strings, or any "
        "hashable values of one type in a list"
    )


def _read_list(values: list[Any], name: str) -> _Part:
    kinds = set(map(type, values))
    if kinds == {bool}:
        return _Part(np.array(values, dtype=np.int64), bool)
    if all(issubclass(kind, int | float) for kind in kinds):
        if kinds == {float}:
            return _Part(_whole(np.array(values), name), int)
        if float in kinds:
            values = [int(value) for value in _checked_whole(values, name)]
        try:
            return _Part(np.array(values, dtype=np.int64), int)
        except OverflowError:
            return _Part(list(map(int, values)), int)
    if all(issubclass(kind, str) for kind in kinds):
        return _Part(values, str)
    if len(kinds) > 1:
        first, second = sorted(kinds, key=lambda kind: first_index_of(kind, values))[:2]
        raise TypeError(
            f"{name} mixes labels of two kinds: {first.__name__} "
            f"({values[first_index_of(first, values)]!r} at index "
            f"{first_index_of(first, values)}) and {second.__name__} "
            f"({values[first_index_of(second, values)]!r} at index "
            f"{first_index_of(second, values)}); expected one kind"
        )
    (kind,) = kinds
    if kind is type(None) or not issubclass(kind, Hashable):
        raise TypeError(f"{name} has labels of type {kind.__name__}, which cannot be a class")
    for index, value in enumerate(values):
        if is_nan(value):
            _refuse_nan(value, index, name)
        try:
            hash(value)
        except TypeError as error:
            raise TypeError(f"{name} has the label {value!r} at index {index}: {error}") from error
    return _Part(values, kind)


def _whole(values: np.ndarray, name: str) -> np.ndarray:
    """Give float labels as int64, refusing those that are no exact whole number."""
    limit = 2 ** (jnp.finfo(values.dtype).nmant + 1)
    with np.errstate(invalid="ignore"):
        bad = ~((values == np.floor(values)) & (np.abs(values) <= limit))
    if bad.any():
        index = int(np.argmax(bad))
        _refuse_float(float(values[index]), index, name, limit)
    return values.astype(np.int64)


def _checked_whole(values: list[Any], name: str) -> list[Any]:
    limit = 2**53
    for index, value in enumerate(values):
        if isinstance(value, float) and not (value.is_integer() and abs(value) <= limit):
            _refuse_float(value, index, name, limit)
    return values


def _refuse_nan(value: Any, index: int, name: str) -> None:
    raise ValueError(f"{name} has the label {value} at index {index}; drop the rows without label")


def _refuse_float(value: float, index: int, name: str, limit: int) -> None:
    if value != value:
        _refuse_nan(value, index, name)
    if abs(value) > limit:
        raise ValueError(
            f"{name} has the label {value!r} at index {index}, a float too large to tell one "
            "whole number from the next; pass integer labels"
        )
    raise ValueError(
        f"{name} has the label {value!r} at index {index}, which is not a whole number; expected "
        "class labels (turn scores into labels with a threshold first)"
    )


def _code_integers(
    parts: Mapping[str, np.ndarray],
) -> tuple[tuple[Hashable, ...], dict[str, np.ndarray]]:
    """Code integers: by a table where labels lie close together, else by sorting."""
    filled = [part for part in parts.values() if part.size]
    if not filled:
        return (), {name: np.zeros(0, np.int32) for name in parts}
    low = min(int(part.min()) for part in filled)
    width = max(int(part.max()) for part in filled) - low + 1
    if width > max(_SMALL_TABLE, 2 * sum(part.size for part in filled)):
        classes = np.unique(np.concatenate([np.unique(part) for part in filled]))
        codes = {name: np.searchsorted(classes, part) for name, part in parts.items()}
    else:
        present = np.zeros(width, bool)
        for labels in (part[block] for part in filled for block in _blocks(part)):
            present[labels.astype(np.int64) - low] = True
            if present.all():  # mostly after the first few rows
                break
        classes = np.flatnonzero(present) + low
        table = np.cumsum(present, dtype=np.int32) - np.int32(1)
        codes = {name: np.empty(part.size, np.int32) for name, part in parts.items()}
        for name, part in parts.items():
            for block in _blocks(part):
                place = part[block].astype(np.int64) - low
                codes[name][block] = place if len(classes) == width else table[place]
    return tuple(classes.tolist()), {
        name: code.astype(np.int32, copy=False) for name, code in codes.items()
    }


def _blocks(part: np.ndarray) -> Iterator[slice]:
    """Rows that stay in the cache, whole columns of which would be copied several times."""
    return (slice(start, start + _AT_ONCE) for start in range(0, part.size, _AT_ONCE))


def in_order(labels: set[Any]) -> tuple[Hashable, ...]:
    """Sort labels; kinds that have no order (plain enums, say) go by how they are written."""
    try:
        return tuple(sorted(labels))
    except TypeError:
        return tuple(sorted(labels, key=repr))
