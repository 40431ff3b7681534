"""Counting won pairs of unweighted rows on the host: integers, one sort, all cores.

NumPy sorts integers with vector instructions and without the interpreter's lock. A score and
its label are therefore packed into one integer, in the order of the scores, and the range of
scores is cut into parts that are sorted and counted in threads.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

# Rows worth a part of their own, and how many parts there are at most: each is one more pass.
_PART = 1 << 21
_MOST_PARTS = 16
_SAMPLE = 1024
# Rows that are scanned while they stay in the cache.
_BLOCK = 1 << 16


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
    parts = min(_MOST_PARTS, -(-keys.size // _PART))
    if parts <= 1:
        return _count(keys)
    sample = np.sort(keys[:: keys.size // _SAMPLE])
    # Even, a negative row's: rows of one score stay in one part.
    cuts = sample[np.arange(1, parts) * sample.size // parts] & ~keys.dtype.type(1)

    def count(part: int) -> PairCount:
        above = keys >= cuts[part - 1] if part else np.True_
        below = keys < cuts[part] if part < parts - 1 else np.True_
        return _count(keys[above & below])

    with ThreadPoolExecutor(min(parts, os.cpu_count() or 1)) as pool:
        counts = list(pool.map(count, range(parts)))
    positives = negatives = won = 0
    for part in counts:  # from the lowest scores up
        won += part.won + 2 * part.positives * negatives
        positives += part.positives
        negatives += part.negatives
    return PairCount(positives, negatives, won)


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
    sign = unsigned(1 << (8 * score.dtype.itemsize - 1))
    bits = np.ascontiguousarray(score).view(unsigned)
    keys, below_zero = bits & (sign - unsigned(1)), bits > sign
    if below_zero.any():
        # One less than the smallest distance; a distance of 0 wraps around to the largest.
        keys -= np.minimum(keys, (keys - unsigned(1)).min())
        widest = keys.max()
        if widest < sign // unsigned(2):
            keys = np.where(below_zero, widest - keys, widest + keys)
        elif unsigned is np.uint32:
            return _keys(score.astype(np.float64), positive)
        else:
            return _keys(_ranks(score), positive)
    keys <<= unsigned(1)
    keys |= positive
    return keys


def _ranks(score: np.ndarray) -> np.ndarray:
    return np.unique(score, return_inverse=True)[1].astype(np.float64)


def _count(keys: np.ndarray) -> PairCount:
    """Count the pairs of one part."""
    keys, one = np.sort(keys), keys.dtype.type(1)
    positives = places = 0
    turns = [np.zeros(0, np.int64)]
    for start in range(0, keys.size, _BLOCK):
        block = keys[start : start + _BLOCK + 1]
        label = block & one
        turns.append(start + np.flatnonzero((np.diff(block) == one) & (label[1:] == one)))
        place = np.flatnonzero(label[:_BLOCK])
        positives += place.size
        places += int(place.sum()) + start * place.size
    # Before a positive row stand earlier positive ones, and the negative ones up to its score.
    upto = places - positives * (positives - 1) // 2
    # Where the label turns within one score, that score's negative and positive rows meet.
    turn = np.concatenate(turns)
    tied_down = turn + 1 - np.searchsorted(keys, keys[turn], side="left")
    tied_up = np.searchsorted(keys, keys[turn + 1], side="right") - turn - 1
    return PairCount(positives, keys.size - positives, 2 * upto - int((tied_down * tied_up).sum()))
