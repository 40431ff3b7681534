"""Rows of small integers, each distinct one once."""

import math

import numpy as np

# Rows are found in a table, rather than sorted, where it has at most so many cells a row.
_CELLS_PER_ROW = 4
_SMALL_TABLE = 1 << 16
_LARGEST_CODE = 1 << 62


def distinct_rows(
    rows: np.ndarray, counts: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows in lexicographic order, and how often each occurs.

    Args:
        rows: non-negative integers, shape (n, columns); the fastest where a column lies together.
        counts: how many rows each of these stands for, shape (n,); None: one.

    Returns:
        Rows of int64, and their counts, int64.
    """
    codes, widths = _codes(rows)
    if widths is not None and _has_table(codes, widths):
        table = np.bincount(codes)
        filled = np.flatnonzero(table)
        # Sums of counts below 2**53 are exact.
        totals = table if counts is None else np.bincount(codes, counts).astype(np.int64)
        return _of_codes(filled, widths), totals[filled]
    if widths is not None and counts is None:
        # Without the places of the rows NumPy sorts the numbers alone, ten times as fast.
        distinct, totals = np.unique(codes, return_counts=True)
        return _of_codes(distinct, widths), totals
    distinct, places = _sorted(rows, codes)
    return distinct, np.bincount(places, counts).astype(np.int64)


def placed_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows in lexicographic order, and which of them each row is.

    Args:
        rows: as `distinct_rows` takes them.

    Returns:
        Rows of int64, and the place among them of each that was given, shape (n,).
    """
    codes, widths = _codes(rows)
    if widths is None or not _has_table(codes, widths):
        return _sorted(rows, codes)
    there = np.zeros(math.prod(widths), bool)
    there[codes] = True
    return _of_codes(np.flatnonzero(there), widths), (np.cumsum(there) - 1)[codes]


def rows_by_number(numbers: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """The numbers that occur among those of rows, in order, and which rows have each, in order."""
    order = np.argsort(numbers, kind="stable")
    distinct, first = np.unique(numbers[order], return_index=True)
    return list(zip(distinct.tolist(), np.split(order, first[1:]), strict=True))


def _codes(rows: np.ndarray) -> tuple[np.ndarray, tuple[int, ...] | None]:
    """Each row as one number, in the order of the rows, and how many values each digit has.

    The latter is None where such a number would not fit, and digits give way to their place among
    those that occur.
    """
    widths = tuple((rows.max(axis=0, initial=0).astype(np.int64) + 1).tolist())
    codes, width, fits = rows[:, 0].astype(np.int64), widths[0], True
    for column, own in zip(rows.T[1:], widths[1:], strict=True):
        if width > _LARGEST_CODE // own:
            distinct, codes = np.unique(codes, return_inverse=True)
            width, fits = len(distinct), False
        codes *= own
        codes += column
        width *= own
    return codes, widths if fits else None


def _has_table(codes: np.ndarray, widths: tuple[int, ...]) -> bool:
    return math.prod(widths) <= max(_SMALL_TABLE, _CELLS_PER_ROW * len(codes))


def _of_codes(codes: np.ndarray, widths: tuple[int, ...]) -> np.ndarray:
    return np.stack(np.unravel_index(codes, widths), axis=1)


def _sorted(rows: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    _, first, places = np.unique(codes, return_index=True, return_inverse=True)
    return rows[first].astype(np.int64), places
