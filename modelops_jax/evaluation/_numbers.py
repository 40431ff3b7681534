"""Real numbers as a person passes them, as float32 or float64 vectors without a lossy cast."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np

from ._vectors import as_vector, check_concrete, first_index_of

_EXACT = 2**53
# The squares of float32 numbers up to this, and a thousand million of them, are float32 numbers.
_LARGE = 1e14


def as_values(values: Any, name: str) -> np.ndarray:
    """Give measured or predicted values as a float vector.

    float32 and narrower floats come back as float32, everything else as float64.

    Raises:
        TypeError: entries that are no real numbers.
        ValueError: not flat; NaN or infinity, naming the first; integers beyond 2**53 that
            float64 cannot hold.
    """
    vector = as_numbers(values, name)
    refuse_not_finite(vector, name)
    return vector


def as_numbers(values: Any, name: str) -> np.ndarray:
    """As `as_values`, of numbers of which some may be nan or infinite."""
    return _as_floats(as_vector(values, name), name)


def refuse_not_finite(vector: np.ndarray, name: str, rows: Any = True) -> None:
    """Refuse nan and infinity in some of the rows (ValueError)."""
    _refuse(~np.isfinite(vector) & rows, vector, name, "a finite number")


def as_wide_as_squares(*columns: np.ndarray) -> tuple[np.ndarray, ...]:
    """The columns, as float64 where squares of their float32 numbers, or sums of such, are none."""
    if all(column.dtype == np.float64 for column in columns):
        return columns
    size = max(max(float(c.max()), -float(c.min())) if c.size else 0.0 for c in columns)
    fits = size == 0 or 1 / _LARGE < size < _LARGE
    return columns if fits else tuple(column.astype(np.float64) for column in columns)


def has_outputs(values: Any) -> bool:
    """Whether the rows hold several numbers each: two axes, or a list whose first entry is one."""
    if hasattr(values, "ndim"):
        return values.ndim == 2
    first = values[0] if isinstance(values, list | tuple) and values else 0.0
    return isinstance(first, list | tuple) or np.ndim(first) == 1


def as_outputs(values: Any, name: str) -> np.ndarray:
    """Give rows of several values as a float matrix, as `as_values` gives a vector.

    Raises:
        TypeError: entries that are no real numbers.
        ValueError: not two axes, rows of different length; NaN or infinity, naming the first.
    """
    if not has_outputs(values):
        raise ValueError(f"{name} has one number a row and the other argument several")
    return as_matrix(values, name, "outputs", as_values)


def as_matrix(
    values: Any, name: str, columns: str, read: Callable[[Any, str], np.ndarray]
) -> np.ndarray:
    """Give rows of several numbers as a float matrix, shape (rows, columns).

    Args:
        values: a two-axis array, or a list of rows.
        name: the argument, for messages.
        columns: what stands in a row, for messages.
        read: reads a vector: `as_values`, or `as_numbers`.

    Raises:
        TypeError: entries that are no real numbers.
        ValueError: not two axes, rows of different length, or what `read` refuses.
    """
    check_concrete(values, name)
    if hasattr(values, "__array__"):
        matrix = np.asarray(values)
        if matrix.ndim != 2:
            raise ValueError(f"{name} has shape {matrix.shape}; expected shape (rows, {columns})")
        return read(matrix.reshape(-1), f"{name} (flattened)").reshape(matrix.shape)
    rows = [read(row, f"{name}[{index}]") for index, row in enumerate(values)]
    for index, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise ValueError(
                f"{name} has {len(row)} numbers in row {index} and {len(rows[0])} in row 0; "
                f"expected one number of {columns}"
            )
    return np.stack(rows) if rows else np.zeros((0, 0))


def _as_floats(values: "np.ndarray | list[Any]", name: str) -> np.ndarray:
    if isinstance(values, list):
        values = _array_of(values, name)
    if values.dtype.kind in "iu":
        if values.size and max(int(values.max()), -int(values.min())) > _EXACT:
            index = int(np.argmax((values > _EXACT) | (values < -_EXACT)))
            raise ValueError(_too_wide(int(values[index]), index, name))
        return values.astype(np.float64)
    if values.dtype == bool:
        return values.astype(np.float64)
    if values.dtype == np.float64:
        return values
    if jnp.issubdtype(values.dtype, jnp.floating) and values.dtype.itemsize <= 4:
        return values.astype(np.float32)
    raise TypeError(f"{name} has dtype {values.dtype}; expected real numbers of at most 64 bits")


def _array_of(values: list[Any], name: str) -> np.ndarray:
    kinds = set(map(type, values))
    if any(issubclass(kind, Fraction | Decimal) for kind in kinds):
        values = [float(v) if isinstance(v, Fraction | Decimal) else v for v in values]
        kinds = set(map(type, values))
    wrong = [kind for kind in kinds if not issubclass(kind, int | float)]
    if wrong:
        index = min(first_index_of(kind, values) for kind in wrong)
        raise TypeError(
            f"{name} has {values[index]!r} ({type(values[index]).__name__}) at index {index}; "
            "expected real numbers"
        )
    integers = [value for value in values if isinstance(value, int)] if kinds != {float} else []
    if integers and max(max(integers), -min(integers)) > _EXACT:
        index = next(i for i, v in enumerate(values) if isinstance(v, int) and abs(v) > _EXACT)
        raise ValueError(_too_wide(values[index], index, name))
    return np.array(values, dtype=np.float64)


def _too_wide(value: int, index: int, name: str) -> str:
    shown = value if abs(value) < 10**30 else f"an integer of {value.bit_length()} bits"
    return (
        f"{name} has {shown} at index {index}; expected integers of at most 2**53 in size, which "
        "float64 holds exactly (subtract a common offset first)"
    )


def _refuse(bad: np.ndarray, values: np.ndarray, name: str, expected: str) -> None:
    if bad.any():
        index = int(np.argmax(bad))
        raise ValueError(
            f"{name} has {values[index]} at index {index} ({int(bad.sum())} such entries in all); "
            f"expected {expected}"
        )
