"""Packed rows: each once, in as few sequences as best-fit decreasing gives, unseen by others."""

import dataclasses

import numpy as np
import pytest

from modelops_jax.training import (
    Batch,
    Batches,
    BatchShape,
    ConfigError,
    TokenizedDataset,
    TokenizedRow,
    TrainingConfig,
    make_packed_batch,
    pack_rows,
)
from modelops_jax.training._plan import Plan


def dataset_of(lengths: list[int], head: int = 0) -> TokenizedDataset:
    """Rows of given lengths with the same first tokens; the last token of each is trained."""
    random = np.random.default_rng(0)
    rows = []
    for length in lengths:
        ids = random.integers(0, 1000, length).astype(np.int32)
        ids[:head] = np.arange(head)
        rows.append(TokenizedRow(ids, np.arange(length) == length - 1))
    return TokenizedDataset.from_rows(rows)


def best_fit_decreasing(lengths: list[int], capacity: int) -> list[int]:
    """The rule by its definition: how full each sequence is, in any order."""
    filled: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [at for at, full in enumerate(filled) if full + length <= capacity]
        if fitting:
            filled[max(fitting, key=lambda at: filled[at])] += length
        else:
            filled.append(length)
    return sorted(filled)


@pytest.mark.parametrize("capacity", [20, 33, 200])
def test_rows_are_packed_best_fit_first(capacity: int):
    """Each row is in one sequence; the sequences are as full as the rule by definition says."""
    random = np.random.default_rng(capacity)
    for _ in range(20):
        lengths = random.integers(1, 21, random.integers(1, 60))
        packed = pack_rows(lengths, capacity, seed=1)
        found = [packed[index] for index in range(len(packed))]
        assert sorted(row for rows in found for row in rows) == list(range(len(lengths)))
        filled = packed.sums(lengths).tolist()
        assert filled == [sum(lengths[row] for row in rows) for rows in found]
        assert sorted(filled) == best_fit_decreasing(lengths.tolist(), capacity)


def test_packing_is_a_function_of_the_seed():
    """The same seed packs the same rows together, another one others of the same lengths."""
    lengths = np.full(50, 10)

    def packed(seed: int) -> list[int]:
        return pack_rows(lengths, 25, seed=seed).rows.tolist()

    assert packed(3) == packed(3) != packed(4)


def test_a_row_longer_than_a_sequence_is_refused():
    """By its index; nothing is cut."""
    with pytest.raises(ValueError, match="row 1 has 9 tokens; expected at most 8"):
        pack_rows(np.asarray([3, 9]), 6, prefix=2)


def test_packed_rows_are_segments_with_positions_of_their_own():
    """Positions begin again after the shared beginning, and the targets point into their rows."""
    rows = [
        TokenizedRow(np.asarray([7, 4, 5, 6], np.int32), np.asarray([False, False, True, True])),
        TokenizedRow(np.asarray([7, 8, 9], np.int32), np.asarray([False, False, True])),
    ]
    shape = BatchShape(rows=2, tokens=8, targets=16)
    batch = make_packed_batch([rows], shape=shape, pad_id=0, prefix=1)
    assert batch.prefix_ids.tolist() == [7]
    assert batch.token_ids[0].tolist() == [4, 5, 6, 8, 9, 0, 0, 0]
    assert batch.segment_ids.tolist() == [[1, 1, 1, 2, 2, 0, 0, 0], [0] * 8]
    assert batch.positions[0].tolist() == [1, 2, 3, 1, 2, 0, 0, 0]
    used = batch.weight == 1
    assert batch.at[used].tolist() == [0, 1, 3]
    assert batch.targets[used].tolist() == [5, 6, 9]


def test_counts_are_those_of_the_batches():
    """Real, trained, computed and padded tokens, counted without making a batch."""
    dataset = dataset_of([12, 20, 9, 15, 11, 30], head=8)
    sequences = pack_rows(dataset.lengths, 24, prefix=8)
    groups = [[0, 1], [2]][: -(-len(sequences) // 2)]
    batches = Batches(dataset, groups, size=2, pad_id=0, sequences=sequences)
    made = [batches.make(group) for group in groups]
    counts = batches.count(groups)
    assert counts.real == dataset.tokens
    assert counts.trained == dataset.trained_tokens == sum(b.weight.sum() for b in made)
    assert counts.computed == sum((b.computed.size or b.token_ids.size) + 8 for b in made)
    tokens = sum(np.count_nonzero(b.segment_ids) + 8 for b in made)
    assert counts.padding == counts.computed - tokens > 0
    assert counts.padding_share == counts.padding / counts.computed
    assert counts.trained_share == dataset.trained_tokens / dataset.tokens


@pytest.mark.parametrize("packing", [False, True])
@pytest.mark.parametrize(("rows", "batch_size"), [(3, 8), (41, 4), (41, 1)])
@pytest.mark.parametrize("micro", [None, 3])
def test_acceptance_6_each_row_once_an_epoch(model, packing, rows, batch_size, micro):
    """The last partial batch is used, and fewer rows than a batch work; real tokens are counted."""
    lengths = np.random.default_rng(5).integers(10, 40, rows).tolist()
    dataset = dataset_of(lengths, head=8)
    config = TrainingConfig(
        epochs=2,
        batch_size=batch_size,
        micro_batch_size=micro,
        packing=packing,
        pack_length=64 if packing else None,
    )
    plan = Plan(dataset, config, model)
    order = []
    for epoch in range(2):
        seen, real = [], 0
        for step in range(epoch * plan.epoch_steps, (epoch + 1) * plan.epoch_steps):
            real += plan.tokens(step)
            for batch in plan.batches(step):
                seen += rows_in(batch)
        assert sorted(seen) == sorted(row.token_ids.tolist() for row in dataset)
        assert real == dataset.tokens
        order.append(seen)
    assert order[0] != order[1] or plan.epoch_steps == 1
    counts = plan.token_counts()
    assert (counts.real, counts.trained) == (2 * dataset.tokens, 2 * dataset.trained_tokens)
    again = Plan(dataset, config, model)
    assert [rows_in(batch) for batch in again.batches(1 % again.total_steps)] == [
        rows_in(batch) for batch in plan.batches(1 % plan.total_steps)
    ]


def rows_in(batch: Batch) -> list[list[int]]:
    """The tokens of each row of a batch, the shared beginning included."""
    found = []
    for ids, segments in zip(batch.token_ids, batch.segment_ids, strict=True):
        for segment in range(1, segments.max() + 1):
            found.append(batch.prefix_ids.tolist() + ids[segments == segment].tolist())
    return found


def test_length_to_pack_to_is_the_longest_row():
    """The limit of a row and the length of a sequence, for a context of 256."""
    assert TrainingConfig(packing=True).sequence_length(256) == 256
    config = TrainingConfig(packing=True, max_length=64)
    assert (config.longest_row(256), config.sequence_length(256)) == (64, 64)
    wider = dataclasses.replace(config, pack_length=512)
    assert (wider.longest_row(256), wider.sequence_length(256)) == (64, 512)
    narrower = dataclasses.replace(config, pack_length=32)
    assert (narrower.longest_row(256), narrower.sequence_length(256)) == (32, 32)
    with pytest.raises(ConfigError, match="packing is false"):
        TrainingConfig(pack_length=64)
