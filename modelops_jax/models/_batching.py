"""Which sequences are read together, and how they are padded."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

# Tokens read in one call: enough rows for full-speed products, little enough for a laptop.
TOKEN_BUDGET = 4096
# Lengths are padded to multiples of this, so that few shapes are compiled.
LENGTH_STEP = 32
# A shorter common beginning is not worth a call of its own.
SHORTEST_PREFIX = 8


class Batch(NamedTuple):
    """Rows read together: where they come from, and their padded tokens."""

    rows: list[int]
    token_ids: Int[np.ndarray, "batch tokens"]
    lengths: Int[np.ndarray, " batch"]


def round_up(value: int, step: int) -> int:
    return -(-value // step) * step


def batches(sequences: Sequence[Sequence[int]], pad_id: int) -> Iterator[Batch]:
    """Group sequences by padded length, longest first, each group under the token budget.

    The number of rows is padded to a power of two by repeating rows; `rows` has only the real
    ones. Longest first, so that a lack of memory shows at once and not at the end.
    """
    order = sorted(range(len(sequences)), key=lambda row: -len(sequences[row]))
    start = 0
    while start < len(order):
        length = round_up(len(sequences[order[start]]), LENGTH_STEP)
        most = 1 << (max(TOKEN_BUDGET // length, 1).bit_length() - 1)
        rows = order[start : start + most]
        start += most
        padded = 1 << (len(rows) - 1).bit_length()
        token_ids = np.full((padded, length), pad_id, np.int32)
        lengths = np.empty(padded, np.int32)
        for index in range(padded):
            sequence = sequences[rows[index % len(rows)]]
            token_ids[index, : len(sequence)] = sequence
            lengths[index] = len(sequence)
        yield Batch(rows, token_ids, lengths)


def common_prefix(sequences: Sequence[Sequence[int]]) -> int:
    """Number of tokens that all sequences begin with and that are worth computing once.

    Args:
        sequences: Token ids.

    Returns:
        A multiple of 8 that leaves every sequence at least one token of its own; 0 for fewer than
        two sequences.

    Example:
        >>> from modelops_jax.models import common_prefix
        >>> common_prefix([[*range(9), 5], [*range(9), 6, 7]])
        8
    """
    if len(sequences) < 2:
        return 0
    # The smallest and the largest list differ first where any two of them do.
    first, last = min(map(list, sequences)), max(map(list, sequences))
    differing = (
        at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other
    )
    shared = next(differing, min(len(first), len(last)))
    shared = min(shared, min(map(len, sequences)) - 1)
    return shared - shared % SHORTEST_PREFIX
