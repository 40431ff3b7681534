"""Which rows go to which side of a split."""

import hashlib
from numbers import Real
from typing import SupportsIndex


def split_indices(n: int, fraction: float, seed: SupportsIndex) -> tuple[list[int], list[int]]:
    """The indices of the two sides, each in ascending order.

    Args:
        n: Number of rows.
        fraction: Share of the first side.
        seed: The seed.

    Raises:
        TypeError: The seed is not an integer, or the fraction no number.
        ValueError: The fraction is not strictly between 0 and 1, or n is below 2.
    """
    if not isinstance(seed, SupportsIndex):
        raise TypeError(f"seed: found {type(seed).__name__} {seed!r}, expected an integer")
    if isinstance(fraction, bool) or not isinstance(fraction, Real):
        raise TypeError(
            f"fraction: found {type(fraction).__name__} {fraction!r}, expected a number"
        )
    if not 0 < fraction < 1:
        raise ValueError(f"fraction: found {fraction}, expected more than 0 and less than 1")
    if n < 2:
        raise ValueError(f"cannot split a dataset with n = {n}: each side needs at least one row")
    number = seed.__index__()
    # A keyed hash, not `random`, whose shuffle may change between versions of Python.
    order = sorted(range(n), key=lambda row: hashlib.blake2b(f"{number}:{row}".encode()).digest())
    first = min(max(round(n * fraction), 1), n - 1)
    return sorted(order[:first]), sorted(order[first:])
