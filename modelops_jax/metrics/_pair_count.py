"""Counting won pairs of unweighted rows on the host: integers, one sort, all cores.

NumPy sorts integers with vector instructions. A score and its label are therefore packed into
one integer, in the order of the scores, which is sorted once. Everything before and after goes
through pieces that stay in the cache, in threads: NumPy lets go of the interpreter's lock.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

_PIECE = 1 << 16


class PairCount(NamedTuple):
    """Rows of both classes, and twice the pairs won, so that a tied pair is one."""

    positives: int
    negatives: int
    won: int


def count_pairs(score: np.ndarray, positive: np.ndarray) -> PairCount:
    """How many (positive, negative) pairs of rows the positive row wins by its score.

    Args:
        score: finite floats, shape (n,).
        positive: booleans, shape (n,).
    """
    keys = _keys(score, positive)
    keys.sort()
    one = keys.dtype.type(1)

    def count(piece: slice) -> tuple[int, int, np.ndarray]:
        """Positive rows, the sum of their places, and the places before which the label turns."""
        rows = keys[piece.start : piece.stop + 1]
        label = rows & one
        turns = piece.start + np.flatnonzero((np.diff(rows) == one) & (label[1:] == one))
        place = np.flatnonzero(label[: piece.stop - piece.start])
        return place.size, int(place.sum()) + piece.start * place.size, turns

    found = list(_pieces(count, keys.size))
    positives, places = sum(piece[0] for piece in found), sum(piece[1] for piece in found)
    # Before a positive row stand earlier positive ones, and the negative ones up to its score.
    upto = places - positives * (positives - 1) // 2
    # Where the label turns within one score, that score's negative and positive rows meet.
    turn = np.concatenate([np.zeros(0, np.int64), *(piece[2] for piece in found)])
    tied_down = turn + 1 - np.searchsorted(keys, keys[turn], side="left")
    tied_up = np.searchsorted(keys, keys[turn + 1], side="right") - turn - 1
    return PairCount(positives, keys.size - positives, 2 * upto - int((tied_down * tied_up).sum()))


def _keys(score: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Unsigned integers in the order of the scores, with the label in the lowest bit.

    A score's distance from 0 in steps of its float type, where the empty stretch up to the
    smallest one is left out: that makes room for the sign and the label in as many bits.
    """
    if score.dtype.itemsize < 4:
        score = score.astype(np.float32)
    elif score.dtype.itemsize > 8:
        score = _ranks(score)
    unsigned = np.uint32 if score.dtype == np.float32 else np.uint64
    sign, one = unsigned(1 << (8 * score.dtype.itemsize - 1)), unsigned(1)
    bits = np.ascontiguousarray(score).view(unsigned)

    def extent(piece: slice) -> tuple[Any, Any, bool]:
        """The largest distance, one less than the smallest, and whether a score is negative."""
        distance = bits[piece] & (sign - one)
        # One less than a distance of 0 wraps around to the largest integer.
        return distance.max(), (distance - one).min(), bool((bits[piece] > sign).any())

    extents = list(_pieces(extent, score.size))
    widest, stretch = unsigned(0), unsigned(0)
    if any(negative for *_, negative in extents):
        stretch = min(least for _, least, _ in extents)
        widest = max(most for most, *_ in extents) - stretch
        if widest >= sign // unsigned(2):
            wider = score.astype(np.float64) if unsigned is np.uint32 else _ranks(score)
            return _keys(wider, positive)
    keys = np.empty_like(bits)

    def pack(piece: slice) -> None:
        key = bits[piece] & (sign - one)
        key -= np.minimum(key, stretch)
        if widest:
            key = np.where(bits[piece] > sign, widest - key, widest + key)
        key <<= one
        np.bitwise_or(key, positive[piece], out=keys[piece])

    list(_pieces(pack, score.size))
    return keys


def _pieces(work: Callable[[slice], Any], rows: int) -> Iterator[Any]:
    """The results of work on pieces of the rows, in order."""
    pieces = [slice(start, min(start + _PIECE, rows)) for start in range(0, rows, _PIECE)]
    if len(pieces) == 1:
        yield work(pieces[0])
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(work, pieces)


def _ranks(score: np.ndarray) -> np.ndarray:
    return np.unique(score, return_inverse=True)[1].astype(np.float64)
