"""Weights of rows as a person passes them."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from ._nan_rows import rows_of
from ._result import EvaluationResult
from ._vectors import check_concrete

# Products of two weights, and their sums over any number of rows, are floats.
SMALLEST = 1e-140
LARGEST = 1 / SMALLEST


def read_weight(weight: Any, rows: int) -> np.ndarray:
    """Give weights as float64, shape (rows,); a mask as 0 and 1.

    Raises:
        TypeError: weights that are no numbers or bools.
        ValueError: not one for each row; weights that are negative, not finite or so large or small
            that their products are no floats, naming the first.
    """
    check_concrete(weight, "weight")
    given = np.asarray(weight)
    check_numbers(given, rows)
    values = given.astype(np.float64)
    extreme = (values > 0) & ((values < SMALLEST) | (values > LARGEST))
    for wrong, refuse in (
        (~(np.isfinite(values) & (values >= 0)), refuse_negative),
        (extreme, refuse_extreme),
    ):
        if wrong.any():
            index = int(np.argmax(wrong))
            refuse(float(values[index]), index, int(wrong.sum()))
    return values


def check_numbers(weight: Any, rows: int) -> None:
    """Refuse weights that are not one for each row (ValueError), or no numbers (TypeError)."""
    if weight.shape != (rows,):
        raise ValueError(f"weight has shape {weight.shape}; expected ({rows},), one for each row")
    if not (weight.dtype.kind in "biu" or jnp.issubdtype(weight.dtype, jnp.floating)):
        raise TypeError(f"weight holds {weight.dtype}; expected numbers of at least 0, or bools")


def refuse_negative(value: float, index: int, several: int) -> None:
    """Refuse weights of which this is the first that is negative or not finite (ValueError)."""
    raise ValueError(
        f"weight has {value} at index {index} ({several} such entries in all); expected finite "
        "numbers of at least 0"
    )


def refuse_extreme(value: float, index: int, several: int) -> None:
    """Refuse weights of which this is the first that is too large or too small (ValueError)."""
    raise ValueError(
        f"weight has {value} at index {index} ({several} such entries in all); expected 0, or "
        f"numbers from {SMALLEST} to {LARGEST} (weights that are all multiplied by one number give "
        "the same values)"
    )


@dataclass(frozen=True)
class TotalWeight:
    """The weight of rows that come in batches.

    Args:
        parts: floats whose exact sum it is.
        alike: whether every row weighs 1: such rows are as good as rows without weights.
    """

    parts: tuple[float, ...] = ()
    alike: bool = True

    @classmethod
    def of(cls, weight: np.ndarray) -> "TotalWeight":
        """Of the rows of one batch."""
        return cls(_exact_parts(weight.tolist()), unless_alike(weight) is None)

    def __add__(self, other: "TotalWeight") -> "TotalWeight":
        """Of the rows of both."""
        parts = _exact_parts((*self.parts, *other.parts))
        return TotalWeight(parts, self.alike and other.alike)

    @property
    def value(self) -> float | None:
        """The total, rounded once; None where the rows are as good as rows without weights."""
        return None if self.alike else math.fsum(self.parts)


def unless_alike(weight: np.ndarray | None) -> np.ndarray | None:
    """The weights; None where they are all 1: such rows are as good as rows without."""
    return None if weight is None or bool((weight == 1).all()) else weight


def of_positive_weight(weight: Any, rows: int, **columns: Any) -> tuple[Any, ...]:
    """The weights, the number and the columns of the rows of positive weight.

    Raises:
        TypeError: what `read_weight` refuses.
        ValueError: what `read_weight` refuses, or a column of another length.
    """
    if weight is None:
        return (None, rows, *columns.values())
    own = read_weight(weight, rows)
    for name, column in columns.items():
        _check_length(column, name, rows)
    if not (own > 0).all():
        kept = np.flatnonzero(own > 0)
        own, rows = own[kept], len(kept)
        columns = {name: rows_of(column, kept) for name, column in columns.items()}
    return (own, rows, *columns.values())


def present(weight: Any, rows: int, **columns: Any) -> tuple[Any, ...]:
    """As `of_positive_weight`, without weights (None) where they are all 1."""
    own, *rest = of_positive_weight(weight, rows, **columns)
    return (unless_alike(own), *rest)


def with_total(result: EvaluationResult, total: float | None) -> EvaluationResult:
    """The result with the weight of all rows, if they have weights."""
    if total is None:
        return result
    return dataclasses.replace(result, metadata={**result.metadata, "total_weight": total})


def _exact_parts(values: Sequence[float]) -> tuple[float, ...]:
    """Few floats of the same exact sum: the rounded sum, what rounding left of it, and so on."""
    parts: list[float] = []
    while rest := math.fsum([*values, *(-part for part in parts)]):
        parts.append(rest)
    return tuple(parts)


def _check_length(column: Any, name: str, rows: int) -> None:
    if isinstance(column, Mapping):
        for key, part in column.items():
            _check_length(part, f"{name}[{key!r}]", rows)
    elif column is not None and len(column) != rows:
        raise ValueError(
            f"{name} has {len(column)} entries and y_true has {rows}; expected one length"
        )
