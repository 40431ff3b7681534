"""Which rows a step trains on: a pure function of (seed, epoch, step).

Nothing has to be saved to continue a run in the same order. Rows of like length share a batch,
because every row of a batch is padded to its longest.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from ._rows import TokenizedRow
from ._tokenized import TokenizedDataset, row_lengths

# Rows are sorted by length inside windows of this many batches: wide enough that the rows of a
# batch are alike, narrow enough that an epoch stays shuffled.
WINDOW = 16
# Padded lengths are multiples of this, so that few shapes are compiled.
LENGTH_STEP = 32
# Numbers of trained tokens are padded to an eighth of the batch's tokens, and at least this.
TARGET_STEP = 64


class Batch(NamedTuple):
    """Padded rows, and where their trained tokens are.

    `at` holds positions in the flattened (batch * tokens) states that predict the `targets`;
    unused places have `weight` 0.
    """

    token_ids: Int[np.ndarray, "batch tokens"]
    segment_ids: Int[np.ndarray, "batch tokens"]
    at: Int[np.ndarray, " targets"]
    targets: Int[np.ndarray, " targets"]
    weight: Int[np.ndarray, " targets"]


def epoch_batches(
    dataset: TokenizedDataset, batch_size: int, *, seed: int, epoch: int
) -> list[Int[np.ndarray, " rows"]]:
    """Indices of the rows of each step of an epoch; every row is in exactly one of them."""
    lengths = row_lengths(dataset)
    random = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    order = random.permutation(len(lengths))
    steps = []
    for start in range(0, len(order), WINDOW * batch_size):
        window = order[start : start + WINDOW * batch_size]
        # Stable, so that rows of equal length keep their shuffled order.
        window = window[np.argsort(-lengths[window], kind="stable")]
        chunks = [window[at : at + batch_size] for at in range(0, len(window), batch_size)]
        steps += [chunks[index] for index in random.permutation(len(chunks))]
    return steps


def make_batch(rows: Sequence[TokenizedRow], *, size: int, pad_id: int) -> Batch:
    """Pad rows to one shape.

    Args:
        rows: At most `size` tokenised rows.
        size: Number of rows of the batch; missing ones are padding.
        pad_id: Any valid token id.
    """
    longest = max(len(row.token_ids) for row in rows)
    length = -(-longest // LENGTH_STEP) * LENGTH_STEP
    token_ids = np.full((size, length), pad_id, np.int32)
    segment_ids = np.zeros((size, length), np.int32)
    at, targets = [], []
    for index, row in enumerate(rows):
        count = len(row.token_ids)
        token_ids[index, :count] = row.token_ids
        segment_ids[index, :count] = 1
        # The state at position p - 1 predicts the token at p; the first token has no state.
        trained = np.flatnonzero(row.trained[1:])
        at.append(trained + index * length)
        targets.append(row.token_ids[trained + 1])
    step = max(TARGET_STEP, size * length // 8)
    used = sum(map(len, at))
    slots = -(-used // step) * step
    padded = np.zeros((3, slots), np.int32)
    padded[:, :used] = np.concatenate(at), np.concatenate(targets), np.ones(used)
    return Batch(token_ids, segment_ids, *padded)


def micro_batches(
    dataset: TokenizedDataset, indices: Sequence[int], *, size: int, pad_id: int
) -> Iterator[Batch]:
    """The rows of one step, cut into padded batches of `size` rows."""
    for start in range(0, len(indices), size):
        rows = [dataset.rows[index] for index in indices[start : start + size]]
        yield make_batch(rows, size=size, pad_id=pad_id)
