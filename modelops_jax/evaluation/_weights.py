"""Weights of rows as a person passes them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ._vectors import check_concrete


def read_weight(weight: Any, rows: int) -> np.ndarray:
    """Give weights as float64, shape (rows,); a mask as 0 and 1.

    Raises:
        TypeError: weights that are no numbers or bools.
        ValueError: not one for each row; weights that are negative or not finite, naming the first.
    """
    check_concrete(weight, "weight")
    given = np.asarray(weight)
    if given.shape != (rows,):
        raise ValueError(f"weight has shape {given.shape}; expected ({rows},), one for each row")
    if given.dtype.kind not in "biuf":
        raise TypeError(f"weight holds {given.dtype}; expected numbers of at least 0, or bools")
    values = given.astype(np.float64)
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        index = int(np.argmax(bad))
        raise ValueError(
            f"weight has {values[index]} at index {index} ({int(bad.sum())} such entries in all); "
            "expected finite numbers of at least 0"
        )
    return values


def present(weight: np.ndarray, *columns: Any) -> tuple[Any, ...]:
    """The weights and the columns of the rows of positive weight.

    No weights (None) where they are all 1: such rows are as good as rows without.
    """
    keep = weight > 0
    if not keep.all():
        weight, columns = weight[keep], tuple(_taken(column, keep) for column in columns)
    return (None if (weight == 1).all() else weight, *columns)


def _taken(column: Any, keep: np.ndarray) -> Any:
    if column is None:
        return None
    if isinstance(column, Mapping):
        return {name: _taken(part, keep) for name, part in column.items()}
    if hasattr(column, "__array__"):
        return np.asarray(column)[keep]
    return [entry for entry, kept in zip(column, keep, strict=True) if kept]
