"""Which rows a step trains on: a pure function of (seed, epoch, step).

Nothing has to be saved to continue a run in the same order. Rows of like length share a batch,
because every row of a batch is padded to its longest.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, UInt32

from modelops_jax.models import common_prefix

from ._batch_shapes import BatchShape, choose_shapes
from ._dropout import dropout_words
from ._rows import TokenizedRow
from ._tokenized import TokenizedDataset, row_lengths

# Rows are sorted by length inside windows of this many batches: wide enough that the rows of a
# batch are alike, narrow enough that an epoch stays shuffled.
WINDOW = 16


class Batch(NamedTuple):
    """Padded rows, and where their trained tokens are.

    `prefix_ids` are the tokens all rows begin with, which `token_ids` leave out. `at` holds
    positions in the flattened (batch * tokens) states that predict the `targets`; unused places
    have `weight` 0. `dropout` has a number for each token, or no column where nothing is dropped.
    """

    prefix_ids: Int[np.ndarray, " prefix"]
    token_ids: Int[np.ndarray, "batch tokens"]
    segment_ids: Int[np.ndarray, "batch tokens"]
    at: Int[np.ndarray, " targets"]
    targets: Int[np.ndarray, " targets"]
    weight: Int[np.ndarray, " targets"]
    dropout: UInt32[np.ndarray, "batch _"]


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
        chunks = cut(window, batch_size)
        steps += [chunks[index] for index in random.permutation(len(chunks))]
    return steps


def cut(indices: Any, size: int) -> list[Any]:
    """Consecutive pieces of `size`; the last one may be shorter."""
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def make_batch(
    rows: Sequence[TokenizedRow],
    *,
    shape: BatchShape,
    pad_id: int,
    prefix: int = 0,
    dropout: Sequence[UInt32[np.ndarray, " _"]] = (),
) -> Batch:
    """Pad rows to one shape.

    Args:
        rows: At most `shape.rows` tokenised rows, whose tokens after the prefix fit the shape.
        shape: Of the batch; missing rows, tokens and targets are padding.
        pad_id: Any valid token id.
        prefix: Number of tokens that all rows begin with and that none of them trains.
        dropout: The numbers of each row's tokens, from `dropout_words`; none drops nothing.
    """
    words = np.zeros((shape.rows, shape.tokens if dropout else 0), np.uint32)
    for index, own in enumerate(dropout):
        words[index, : len(own)] = own
    token_ids = np.full((shape.rows, shape.tokens), pad_id, np.int32)
    segment_ids = np.zeros((shape.rows, shape.tokens), np.int32)
    at, targets = [], []
    for index, row in enumerate(rows):
        count = len(row.token_ids) - prefix
        token_ids[index, :count] = row.token_ids[prefix:]
        segment_ids[index, :count] = 1
        at.append(row.at - prefix + index * shape.tokens)
        targets.append(row.targets)
    used = sum(map(len, at))
    padded = np.zeros((3, shape.targets), np.int32)
    padded[:, :used] = np.concatenate(at), np.concatenate(targets), np.ones(used)
    return Batch(rows[0].token_ids[:prefix], token_ids, segment_ids, *padded, words)


class Batches:
    """The padded batches of a dataset, in at most four shapes.

    Args:
        dataset: Tokenised rows.
        groups: Indices of the rows of the batches that will be asked for.
        size: Number of rows of a batch; groups may have fewer.
        pad_id: Any valid token id.
        worth: Padded tokens that one more shape has to save.
        others: Whether batches of other rows will be asked for too.
        dropout_seed: Decides the numbers for dropout; none are drawn without it. With it rows stay
            whole, because a beginning computed once would be dropped alike in all of them.
    """

    def __init__(
        self,
        dataset: TokenizedDataset,
        groups: Iterable[Sequence[int]],
        *,
        size: int,
        pad_id: int,
        worth: int = 0,
        others: bool = False,
        dropout_seed: int | None = None,
    ):
        self._rows, self._pad_id, self._dropout_seed = dataset.rows, pad_id, dropout_seed
        self.prefix = shared_prefix(dataset) if size > 1 and dropout_seed is None else 0
        self._tokens = row_lengths(dataset) - self.prefix
        self._targets = np.asarray([len(row.at) for row in dataset.rows], np.int64)
        needed = [self._needed(group) for group in groups]
        if others:
            # No batch is larger than one of the longest row and the rows with the most targets.
            needed.append((self._tokens.max(), np.sort(self._targets)[-size:].sum()))
        needed = np.asarray(needed, np.int64)
        self.shapes = choose_shapes(size, needed, worth=worth)

    def make(self, group: Sequence[int], epoch: int = 0) -> Batch:
        """The rows with these indices in the smallest shape that holds them."""
        tokens, targets = self._needed(group)
        shape = next(
            shape for shape in self.shapes if tokens <= shape.tokens and targets <= shape.targets
        )
        rows = [self._rows[index] for index in group]
        dropout = []
        if (seed := self._dropout_seed) is not None:
            dropout = [
                dropout_words(seed, epoch, index, len(row.token_ids))
                for index, row in zip(group, rows, strict=True)
            ]
        return make_batch(
            rows, shape=shape, pad_id=self._pad_id, prefix=self.prefix, dropout=dropout
        )

    def _needed(self, group: Sequence[int]) -> tuple[int, int]:
        """Longest row and number of trained tokens."""
        indices = np.asarray(group)
        return int(self._tokens[indices].max()), int(self._targets[indices].sum())


def shared_prefix(dataset: TokenizedDataset) -> int:
    """Number of tokens that every row begins with and that need no states of their own."""
    # The state before the first trained token is a row's own, so the prefix ends before it.
    untrained = [row.token_ids[: row.at[0] + 1] for row in dataset.rows]
    return common_prefix([ids.tolist() for ids in untrained])
