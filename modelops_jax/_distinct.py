"""Rows of small integers, each distinct one once."""

import numpy as np

# Rows are counted in a table, rather than sorted, where it has at most so many cells a row.
_CELLS_PER_ROW = 4
_SMALL_TABLE = 1 << 16
_LARGEST_CODE = 1 << 62


def distinct_rows(
    rows: np.ndarray, counts: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows in lexicographic order, and how often each occurs.

    Args:
        rows: non-negative integers, shape (n, columns).
        counts: how many rows each of these stands for, shape (n,); None: one.

    Returns:
        Rows of int64, and their counts, int64.
    """
    if not len(rows):
        return rows.astype(np.int64), np.zeros(0, np.int64)
    codes, widths, width = _codes(rows)
    if widths is not None and width <= max(_SMALL_TABLE, _CELLS_PER_ROW * len(rows)):
        # Sums of counts below 2**53 are exact.
        table = np.bincount(codes, counts, minlength=width).astype(np.int64)
        filled = np.flatnonzero(np.bincount(codes, minlength=width))
        return np.stack(np.unravel_index(filled, widths), axis=1), table[filled]
    distinct, first, places = np.unique(codes, return_index=True, return_inverse=True)
    totals = np.bincount(places, counts, minlength=len(distinct)).astype(np.int64)
    return rows[first].astype(np.int64), totals


def distinct_places(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows in lexicographic order, and for each row which of them it is, int64."""
    if not len(rows):
        return rows, np.zeros(0, np.int64)
    _, first, places = np.unique(_codes(rows)[0], return_index=True, return_inverse=True)
    return rows[first], places


def _codes(rows: np.ndarray) -> tuple[np.ndarray, tuple[int, ...] | None, int]:
    """Each row as one number, in order, below a width; and the widths of the columns it is of.

    Of columns whose numbers would not fit, a number is the place among them, and has no widths.
    """
    widths = tuple((rows.max(axis=0).astype(np.int64) + 1).tolist())
    codes, width, renumbered = np.zeros(len(rows), np.int64), 1, False
    for column, own in zip(rows.T, widths, strict=True):
        if width > _LARGEST_CODE // own:
            distinct, codes = np.unique(codes, return_inverse=True)
            width, renumbered = len(distinct), True
        codes, width = codes * own + column, width * own
    return codes, None if renumbered else widths, width
