"""Which rows a step trains on: a pure function of (seed, epoch, step).

Nothing has to be saved to continue a run in the same order. Rows of like length share a batch,
because every row of a batch is padded to its longest; or several rows are packed into a sequence.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int, UInt32

from ._batch_shapes import TOKEN_STEP, BatchShape, choose_shapes
from ._dropout import dropout_words
from ._rows import TokenizedRow
from ._sequences import Sequences
from ._tokenized import TokenizedDataset

# Rows are sorted by length inside windows of this many batches: wide enough that the rows of a
# batch are alike, narrow enough that an epoch stays shuffled.
WINDOW = 16


NO_VALUES = np.zeros(0, np.float32)
NO_PLACES = np.zeros(0, np.int32)


class Batch(NamedTuple):
    """Padded sequences of one or more rows each, and where their trained tokens are.

    `prefix_ids` are the tokens all rows begin with, which `token_ids` leave out. The rows of a
    sequence are its segments 1, 2, ..., and 0 is padding; `positions` are counted in each row,
    the prefix included. `at` holds places in the flattened (batch * tokens) states that predict
    the `targets`; unused places have `weight` 0. `dropout` has a number for each token, or no
    column where nothing is dropped; `values` one for each target, where the objective has them.
    `computed` are the places of the flattened sequences that layers work on, filled up with
    batch * tokens; empty, they work on all.
    """

    prefix_ids: Int[np.ndarray, " prefix"]
    token_ids: Int[np.ndarray, "batch tokens"]
    segment_ids: Int[np.ndarray, "batch tokens"]
    positions: Int[np.ndarray, "batch tokens"]
    at: Int[np.ndarray, " targets"]
    targets: Int[np.ndarray, " targets"]
    weight: Int[np.ndarray, " targets"]
    dropout: UInt32[np.ndarray, "batch _"]
    values: Float32[np.ndarray, " _"] = NO_VALUES
    computed: Int[np.ndarray, " _"] = NO_PLACES

    @property
    def places(self) -> int:
        """Number of places that layers work on, the prefix included."""
        return len(self.prefix_ids) + (self.computed.size or self.token_ids.size)


class TokenCounts(NamedTuple):
    """What batches hold.

    `real` tokens are those of the rows, each row counted whole; the loss is on the `trained` ones.
    `computed` places are those that layers work on, and the tokens that all rows begin with once
    a batch. `padding` of them hold nothing.
    """

    real: int
    trained: int
    computed: int
    padding: int

    @property
    def padding_share(self) -> float:
        """Padding over computed places, in [0, 1); smaller is better."""
        return self.padding / self.computed

    @property
    def trained_share(self) -> float:
        """Trained over real tokens, in (0, 1]."""
        return self.trained / self.real


def epoch_batches(
    lengths: Int[np.ndarray, " rows"], batch_size: int, *, seed: int, epoch: int
) -> list[Int[np.ndarray, " batch"]]:
    """Indices of the rows of each step of an epoch; every row is in exactly one of them.

    Args:
        lengths: Of the rows, or of what else a step takes `batch_size` of. Those of a step are
            of like length.
        batch_size: How many of them a step takes; the last ones may be fewer.
        seed: Of the run.
        epoch: Counted from 0. Nothing else decides the order.
    """
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
    """Pad rows to one shape, each as a sequence of its own; see `make_packed_batch`."""
    sequences, words = [[row] for row in rows], [[own] for own in dropout]
    return make_packed_batch(sequences, shape=shape, pad_id=pad_id, prefix=prefix, dropout=words)


def make_packed_batch(
    sequences: Sequence[Sequence[TokenizedRow]],
    *,
    shape: BatchShape,
    pad_id: int,
    prefix: int = 0,
    dropout: Sequence[Sequence[UInt32[np.ndarray, " _"]]] = (),
) -> Batch:
    """Pad sequences of rows to one shape.

    Args:
        sequences: At most `shape.rows` lists of tokenised rows; what the rows of a list have
            after the prefix fits `shape.tokens`.
        shape: Of the batch; missing sequences, tokens and targets are padding.
        pad_id: Any valid token id.
        prefix: Number of tokens that all rows begin with and that none of them trains.
        dropout: The numbers of each row's tokens, from `dropout_words`, which go without a
            prefix; none drops nothing.
    """
    size = (shape.rows, shape.tokens)
    token_ids = np.full(size, pad_id, np.int32)
    segment_ids, positions = np.zeros(size, np.int32), np.zeros(size, np.int32)
    words = np.zeros((shape.rows, shape.tokens if dropout else 0), np.uint32)
    at, targets = [], []
    for index, rows in enumerate(sequences):
        start = 0
        for segment, row in enumerate(rows):
            end = start + len(row.token_ids) - prefix
            token_ids[index, start:end] = row.token_ids[prefix:]
            segment_ids[index, start:end] = segment + 1
            positions[index, start:end] = np.arange(prefix, len(row.token_ids))
            if dropout:
                words[index, start:end] = dropout[index][segment]
            at.append(row.at - prefix + start + index * shape.tokens)
            targets.append(row.targets)
            start = end
    used = sum(map(len, at))
    padded = np.zeros((3, shape.targets), np.int32)
    padded[:, :used] = np.concatenate(at), np.concatenate(targets), np.ones(used)
    prefix_ids = sequences[0][0].token_ids[:prefix]
    places, predicted, weight = padded
    computed = NO_PLACES
    if shape.computed is not None:
        computed = np.full(shape.computed, segment_ids.size, np.int32)
        real = np.flatnonzero(segment_ids)
        computed[: len(real)] = real
    batch = Batch(prefix_ids, token_ids, segment_ids, positions, places, predicted, weight, words)
    return batch._replace(computed=computed)


class Batches:
    """The padded batches of a dataset, in at most four shapes.

    Args:
        dataset: Tokenised rows.
        groups: Indices of the sequences of the batches that will be asked for.
        size: Number of sequences of a batch; groups may have fewer.
        pad_id: Any valid token id.
        worth: Padding (tokens) that one more shape has to save.
        compact: Layers work on tokens alone, and not on the padding between rows.
        others: Whether batches of other groups will be asked for too.
        sequences: Which rows make a sequence; by default each row is one, and what all rows begin
            with is shared.
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
        compact: bool = True,
        others: bool = False,
        sequences: Sequences | None = None,
        dropout_seed: int | None = None,
        values: Float32[np.ndarray, " targets"] | None = None,
    ):
        if sequences is None:
            prefix = shared_prefix(dataset) if size > 1 and dropout_seed is None else 0
            sequences = Sequences.of_single_rows(len(dataset), prefix)
        assert dropout_seed is None or sequences.prefix == 0, "see the arguments"
        self._dataset, self._pad_id, self.sequences = dataset, pad_id, sequences
        self._dropout_seed, self.prefix = dropout_seed, sequences.prefix
        self._real = sequences.sums(dataset.lengths)
        self._tokens = sequences.sums(dataset.lengths - self.prefix)
        self._targets = sequences.sums(dataset.trained_counts)
        self._values = None
        if values is not None:
            self._values = np.split(values, np.cumsum(dataset.trained_counts)[:-1])
        needed = [self._needed(group) for group in groups]
        if others:
            # No batch is larger than one of the longest and those with the most targets.
            targets, tokens = (
                int(np.sort(counts)[-size:].sum()) for counts in (self._targets, self._tokens)
            )
            needed.append((int(self._tokens.max()), targets, tokens))
        columns = 3 if compact else 2
        self.shapes = choose_shapes(size, np.asarray(needed, np.int64)[:, :columns], worth=worth)

    def make(self, group: Sequence[int], epoch: int = 0) -> Batch:
        """The sequences with these indices in the smallest shape that holds them."""
        members = [self.sequences[index] for index in group]
        rows = [[self._dataset[row] for row in sequence] for sequence in members]
        dropout = []
        if (seed := self._dropout_seed) is not None:
            lengths = self._dataset.lengths
            dropout = [
                [dropout_words(seed, epoch, row, int(lengths[row])) for row in sequence]
                for sequence in members
            ]
        shape = self.shape(group)
        batch = make_packed_batch(
            rows, shape=shape, pad_id=self._pad_id, prefix=self.prefix, dropout=dropout
        )
        if self._values is None:
            return batch
        own = np.concatenate([self._values[row] for sequence in members for row in sequence])
        return batch._replace(values=np.pad(own, (0, shape.targets - len(own))))

    def count(self, groups: Iterable[Sequence[int]]) -> TokenCounts:
        """What the batches of these sequences hold, without making them."""
        counts = np.zeros(4, np.int64)
        for group in groups:
            indices, places = np.asarray(group), self.shape(group).places
            padding = places - self._tokens[indices].sum()
            real, trained = self._real[indices].sum(), self._targets[indices].sum()
            counts += (real, trained, places + self.prefix, padding)
        return TokenCounts(*counts.tolist())

    def shape(self, group: Sequence[int]) -> BatchShape:
        """The smallest shape that holds these sequences."""
        longest, targets, tokens = self._needed(group)
        return next(
            shape
            for shape in self.shapes
            if longest <= shape.tokens and targets <= shape.targets and tokens <= shape.places
        )

    def largest(self, groups: Iterable[Sequence[int]]) -> Batch:
        """The batch of these that layers work most on; no other is made."""

        def size(group: Sequence[int]) -> tuple[int, int]:
            shape = self.shape(group)
            return shape.places, shape.tokens

        return self.make(max(groups, key=size))

    def _needed(self, group: Sequence[int]) -> tuple[int, int, int]:
        """Longest sequence, and numbers of trained tokens and of tokens."""
        indices = np.asarray(group)
        tokens = self._tokens[indices]
        return int(tokens.max()), int(self._targets[indices].sum()), int(tokens.sum())


def shared_prefix(dataset: TokenizedDataset) -> int:
    """Number of tokens that every row begins with and that need no states of their own."""
    if len(dataset) < 2:
        return 0
    shared = dataset.shared_beginning()
    return shared - shared % TOKEN_STEP
