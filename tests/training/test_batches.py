"""Every row is seen once an epoch, in an order that is a function of the seed and the epoch."""

import numpy as np
import pytest

from modelops_jax.training import (
    OverlongRowsWarning,
    TokenizedDataset,
    TokenizedRow,
    TrainingConfig,
    epoch_batches,
    make_batch,
    tokenize,
)


def dataset_of(lengths: list[int]) -> TokenizedDataset:
    """Rows of given lengths; the last token of each is trained."""
    return TokenizedDataset(
        [
            TokenizedRow(np.arange(length, dtype=np.int32), np.arange(length) == length - 1)
            for length in lengths
        ]
    )


@pytest.mark.parametrize(
    ("rows", "batch_size"), [(1, 8), (7, 8), (8, 8), (9, 8), (1000, 8), (5, 1)]
)
def test_each_row_once_an_epoch(rows: int, batch_size: int):
    """The last partial batch is used; fewer rows than a batch work."""
    dataset = dataset_of([2 + index % 50 for index in range(rows)])
    steps = epoch_batches(dataset, batch_size, seed=0, epoch=3)
    assert len(steps) == -(-rows // batch_size)
    assert sorted(np.concatenate(steps).tolist()) == list(range(rows))


def test_order_is_a_function_of_seed_and_epoch():
    """The same pair gives the same order; another seed or epoch another one."""
    dataset = dataset_of([2 + index % 50 for index in range(300)])

    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(epoch_batches(dataset, 8, seed=seed, epoch=epoch)).tolist()

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1) != order(1, 1) != order(0, 0)


def test_rows_of_a_batch_are_of_like_length():
    """Little padding: at most a tenth on lengths spread evenly from 2 to 201."""
    random = np.random.default_rng(0)
    dataset = dataset_of(random.integers(2, 202, 512).tolist())
    padded = real = 0
    for rows in epoch_batches(dataset, 8, seed=0, epoch=0):
        lengths = [len(dataset.rows[row].token_ids) for row in rows]
        padded, real = padded + max(lengths) * len(lengths), real + sum(lengths)
    assert 1 - real / padded < 0.1


def test_batch_points_at_the_states_before_the_trained_tokens():
    """The state at p - 1 predicts the token at p; padding has no weight."""
    rows = [
        TokenizedRow(np.asarray([4, 5, 6, 7], np.int32), np.asarray([True, False, True, True])),
        TokenizedRow(np.asarray([8, 9], np.int32), np.asarray([False, True])),
    ]
    batch = make_batch(rows, size=4, pad_id=9)
    assert batch.token_ids.shape == (4, 32)
    assert batch.segment_ids.sum(axis=1).tolist() == [4, 2, 0, 0]
    used = batch.weight == 1
    assert batch.at[used].tolist() == [1, 2, 32]
    assert batch.targets[used].tolist() == [6, 7, 9]


def test_empty_dataset_is_refused(model):
    """There is nothing to train on."""
    from modelops_jax.data import Dataset

    with pytest.raises(ValueError, match="the training dataset is empty"):
        tokenize(Dataset([]), model.tokenizer, TrainingConfig(), context=64, name="training")


def test_invalid_rows_are_listed(model):
    """Rows without the keys are named before anything is trained."""
    from modelops_jax.data import Dataset

    wrong = Dataset([{"prompt": "a", "completion": "b"}, {"prompt": "a"}])
    with pytest.raises(ValueError, match=r"1 invalid row"):
        tokenize(wrong, model.tokenizer, TrainingConfig(), context=64, name="training")


def test_overlong_rows_are_refused_or_dropped_aloud(model, rows):
    """Never cut, never silent; and no row left is an error."""
    drop = TrainingConfig(overlong="drop", max_length=40)
    with pytest.raises(ValueError, match=r"row\(s\) of the training dataset are longer than 40"):
        tokenize(rows, model.tokenizer, TrainingConfig(max_length=40), context=256, name="training")
    with pytest.warns(OverlongRowsWarning, match="they are left out"):
        kept = tokenize(rows, model.tokenizer, drop, context=256, name="training")
    assert 0 < len(kept.rows) < len(rows)
    with pytest.raises(ValueError, match="no row is left"):
        tokenize(rows, model.tokenizer, drop, context=8, name="training")
