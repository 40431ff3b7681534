"""Multilabel rows: which of the labels each row has, as a matrix of 0 and 1."""

from typing import Any

import numpy as np

from ._vectors import check_concrete


def as_indicators(
    values: Any, name: str, ignore_index: int | None = None, seen: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Give `values` as a bool matrix of shape (rows, labels), and where it has `ignore_index`.

    Args:
        values: a two-axis array, or a list of rows of one length, of 0, 1, False or True.
        name: the argument, for messages.
        ignore_index: an entry that may be there besides, and is False; None: none.
        seen: of the other argument the entries that count; any may be where they do not.

    Raises:
        TypeError: no list or array, or entries that are no numbers.
        ValueError: no two axes, or an entry other than 0 and 1.
    """
    check_concrete(values, name)
    if isinstance(values, list | tuple):
        check_rows(values, name)
    elif not hasattr(values, "__array__"):
        raise TypeError(
            f"{name} is a {type(values).__name__}; expected rows of 0 and 1, shape (rows, labels)"
        )
    matrix = np.asarray(values)
    if matrix.ndim != 2 and matrix.size:
        raise ValueError(
            f"{name} has shape {matrix.shape}; expected rows of 0 and 1, shape (rows, labels)"
        )
    if matrix.dtype == bool and ignore_index is None:
        return matrix, None
    if matrix.dtype.kind == "b":
        matrix = matrix.astype(np.int8)
    if matrix.dtype.kind not in "iuf" and matrix.size:
        raise TypeError(f"{name} has dtype {matrix.dtype}; expected 0 and 1, or bools")
    ones = matrix == 1
    wrong = ~(ones | (matrix == 0))
    ignored = None
    if ignore_index is not None:
        ignored = matrix == ignore_index
        ones, wrong = ones & ~ignored, wrong & ~ignored
    if seen is not None and seen.shape == matrix.shape:
        ones, wrong = ones & seen, wrong & seen
    if wrong.any():
        row, label = np.argwhere(wrong)[0].tolist()
        raise ValueError(
            f"{name} has {matrix[row, label]} in row {row}, label {label}; expected 0 or 1"
        )
    if matrix.ndim != 2:
        return np.zeros((0, 0), bool), None
    return ones, ignored


def check_rows(rows: Any, name: str) -> None:
    """Refuse rows of different length, which NumPy would report without a name or a row."""
    for index, row in enumerate(rows):
        if np.ndim(row) != 1:
            raise ValueError(f"{name} has {row!r} as row {index}; expected a list of 0 and 1")
        if len(row) != len(rows[0]):
            raise ValueError(
                f"{name} has {len(row)} labels in row {index} and {len(rows[0])} in row 0; "
                "expected one number of labels"
            )
