"""What every metric asks of its two arguments first: flat, of one length, of known type."""

from collections.abc import Iterator, Sequence, Sized
from typing import Any

import jax.core
import numpy as np


def as_vector(values: Any, name: str) -> "np.ndarray | list[Any]":
    """Give `values` as a one-axis NumPy array of a plain dtype, or as a flat list.

    Lists, tuples, ranges and object arrays come back as a list whose NumPy and JAX scalars are
    Python scalars; every other array comes back as a NumPy array.

    Raises:
        TypeError: no sequence (a string, a set, a generator, a number), or a traced JAX array.
        ValueError: more or fewer than one axis, or a masked array.
    """
    check_concrete(values, name)
    if isinstance(values, np.ndarray) or hasattr(values, "__array__"):
        array = np.asarray(values)
        if array.ndim != 1:
            raise ValueError(
                f"{name} has shape {array.shape}; expected one axis, one entry per row"
            )
        return _unbox(array.tolist()) if array.dtype == object else array
    if isinstance(values, Sequence) and not isinstance(values, str | bytes | bytearray):
        flat = values if isinstance(values, list) else list(values)
        _refuse_rows(flat, name)
        return _unbox(flat)
    raise TypeError(
        f"{name} is a {type(values).__name__}; expected a list, a tuple or an array, "
        "one entry per row"
    )


def check_concrete(values: Any, name: str) -> None:
    """Refuse arrays whose numbers the host cannot see, or should not.

    Raises:
        TypeError: a traced JAX array.
        ValueError: a masked array.
    """
    if isinstance(values, jax.core.Tracer):
        raise TypeError(
            f"{name} is traced by jit, vmap or grad, and this call checks its input on the host; "
            "inside a transformation use the functions of modelops_jax.metrics"
        )
    if isinstance(values, np.ma.MaskedArray):
        raise ValueError(f"{name} is a masked array; pass only its valid entries")


def check_same_length(first: Sized, second: Sized, names: tuple[str, str]) -> None:
    """Raise ValueError, naming both lengths, unless the two have one length."""
    if len(first) != len(second):
        raise ValueError(
            f"{names[0]} has {len(first)} entries and {names[1]} has {len(second)}; "
            "expected one length"
        )


def flat_columns(first: Any, second: Any) -> tuple[Any, Any]:
    """Arrays of shape (n, 1), where both are, as shape (n,); anything else as it is."""
    shapes = [getattr(values, "shape", ()) for values in (first, second)]
    if all(len(shape) == 2 and shape[1] == 1 for shape in shapes):
        return np.asarray(first).reshape(-1), np.asarray(second).reshape(-1)
    return first, second


def listed(rows: Any) -> Any:
    """The rows, as a list where they come one at a time (a generator, `map`, `zip`)."""
    return list(rows) if isinstance(rows, Iterator) else rows


def count_rows(first: Any, second: Any, names: tuple[str, str]) -> int:
    """Give the number of rows of two arguments whose entries may be anything.

    Raises:
        TypeError: one that is no list, tuple or array, a bare string above all.
        ValueError: two lengths.
    """
    for values, name in ((first, names[0]), (second, names[1])):
        if isinstance(values, str | bytes):
            raise TypeError(
                f"{name} is one {type(values).__name__}, {values[:40]!r}; expected a list of them"
            )
        is_array = hasattr(values, "__array__") and np.ndim(values) > 0
        if not (isinstance(values, Sequence) or is_array):
            raise TypeError(
                f"{name} is a {type(values).__name__}; expected a list, a tuple or an array, "
                "one entry per row"
            )
    check_same_length(first, second, names)
    return len(first)


def first_index_of(kind: type, values: list[Any]) -> int:
    """Give the index of the first entry whose type is exactly `kind`."""
    return next(index for index, value in enumerate(values) if type(value) is kind)


def _refuse_rows(values: list[Any], name: str) -> None:
    """Raise ValueError if an entry is itself a row of entries."""
    kinds = set(map(type, values))
    rows = {kind for kind in kinds if issubclass(kind, list | tuple) or hasattr(kind, "shape")}
    if not rows:
        return
    for index, value in enumerate(values):
        if type(value) in rows and (isinstance(value, list | tuple) or np.shape(value) != ()):
            raise ValueError(
                f"{name} has two axes: its entry at index {index} is a {type(value).__name__} of "
                f"{len(value)} entries, shape ({len(values)}, {len(value)}); expected one axis, "
                "one entry per row"
            )


def _unbox(values: list[Any]) -> list[Any]:
    """Turn the scalars of NumPy, JAX and their like into Python scalars."""
    if not any(hasattr(kind, "item") for kind in set(map(type, values))):
        return values
    return [value.item() if hasattr(value, "item") else value for value in values]
