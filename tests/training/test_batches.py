"""Every row is seen once an epoch, in an order that is a function of the seed and the epoch."""

import itertools

import numpy as np
import pytest

from modelops_jax.training import (
    Batches,
    BatchShape,
    OverlongRowsWarning,
    TokenizedDataset,
    TokenizedRow,
    TrainingConfig,
    choose_shapes,
    dropout_words,
    epoch_batches,
    make_batch,
    shared_prefix,
    tokenize,
)


def dataset_of(lengths: list[int]) -> TokenizedDataset:
    """Rows of given lengths; the last token of each is trained."""
    return TokenizedDataset.from_rows(
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
    steps = epoch_batches(dataset.lengths, batch_size, seed=0, epoch=3)
    assert len(steps) == -(-rows // batch_size)
    assert sorted(np.concatenate(steps).tolist()) == list(range(rows))


def test_order_is_a_function_of_seed_and_epoch():
    """The same pair gives the same order; another seed or epoch another one."""
    dataset = dataset_of([2 + index % 50 for index in range(300)])

    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(epoch_batches(dataset.lengths, 8, seed=seed, epoch=epoch)).tolist()

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1) != order(1, 1) != order(0, 0)


def test_rows_of_a_batch_are_of_like_length():
    """Little padding: at most a tenth on lengths spread evenly from 2 to 201."""
    random = np.random.default_rng(0)
    dataset = dataset_of(random.integers(2, 202, 512).tolist())
    padded = real = 0
    for rows in epoch_batches(dataset.lengths, 8, seed=0, epoch=0):
        lengths = [len(dataset[row].token_ids) for row in rows]
        padded, real = padded + max(lengths) * len(lengths), real + sum(lengths)
    assert 1 - real / padded < 0.1


def test_batch_points_at_the_states_before_the_trained_tokens():
    """The state at p - 1 predicts the token at p; padding has no weight."""
    rows = [
        TokenizedRow(np.asarray([4, 5, 6, 7], np.int32), np.asarray([True, False, True, True])),
        TokenizedRow(np.asarray([8, 9], np.int32), np.asarray([False, True])),
    ]
    batch = make_batch(rows, shape=BatchShape(rows=4, tokens=32, targets=16), pad_id=9)
    assert batch.token_ids.shape == (4, 32)
    assert batch.targets.shape == (16,)
    assert batch.segment_ids.sum(axis=1).tolist() == [4, 2, 0, 0]
    used = batch.weight == 1
    assert batch.at[used].tolist() == [1, 2, 32]
    assert batch.targets[used].tolist() == [6, 7, 9]


def test_a_shared_beginning_is_left_out_of_the_rows():
    """The prefix ends before the state that predicts the first trained token of any row."""
    head = np.arange(10, 20, dtype=np.int32)
    rows = [
        TokenizedRow(np.append(head, [1, 2, 3]), np.arange(13) >= 12),
        TokenizedRow(np.append(head, [1, 5]), np.arange(12) >= 11),
    ]
    dataset = TokenizedDataset.from_rows(rows)
    assert shared_prefix(dataset) == 8
    batch = Batches(dataset, [[1, 0]], size=2, pad_id=0).make([1, 0])
    assert batch.prefix_ids.tolist() == head[:8].tolist()
    assert batch.token_ids[0, :4].tolist() == [18, 19, 1, 5]
    assert batch.token_ids[1, :5].tolist() == [18, 19, 1, 2, 3]
    used = batch.weight == 1
    assert batch.token_ids.reshape(-1)[batch.at[used] + 1].tolist() == [5, 3]
    assert batch.targets[used].tolist() == [5, 3]


@pytest.mark.parametrize(
    ("trained_from", "prefix"), [(0, 0), (1, 0), (8, 0), (9, 8), (16, 8), (17, 16), (19, 16)]
)
def test_trained_tokens_keep_a_state_of_their_own(trained_from: int, prefix: int):
    """Rows that begin alike all the way share at most what comes before a trained token's state."""
    row = TokenizedRow(np.arange(20, dtype=np.int32), np.arange(20) >= trained_from)
    assert shared_prefix(TokenizedDataset.from_rows([row, row])) == prefix
    assert shared_prefix(TokenizedDataset.from_rows([row])) == 0


def test_shapes_are_the_best_of_their_number():
    """Against every choice of lengths; a shape more would save little, one less costs more."""
    random = np.random.default_rng(0)
    for _ in range(20):
        tokens = random.integers(1, 100, 12)
        needed = np.stack([tokens, random.integers(1, 40, 12)], axis=1)
        rounded = -(-tokens // 8) * 8
        shapes = choose_shapes(3, needed, worth=60)

        def padded(lengths, rounded=rounded):
            return sum(min(length for length in lengths if length >= one) for one in rounded)

        def best(count: int, rounded=rounded, padded=padded):
            shorter = sorted(set(rounded.tolist()))[:-1]
            choices = itertools.combinations(shorter, min(count - 1, len(shorter)))
            return min(padded([*choice, rounded.max()]) for choice in choices)

        assert len(shapes) <= 4
        assert padded([shape.tokens for shape in shapes]) == best(len(shapes))
        if 1 < len(shapes):
            assert 3 * (best(len(shapes) - 1) - best(len(shapes))) >= 60
        if len(shapes) < 4:
            assert 3 * (best(len(shapes)) - best(len(shapes) + 1)) < 60
        for length, targets in needed:
            shape = next(shape for shape in shapes if length <= shape.tokens)
            assert targets <= shape.targets


def test_shapes_for_layers_that_work_on_tokens_alone():
    """The best numbers of tokens; a batch fits in rows, tokens and targets, or takes another."""
    random = np.random.default_rng(1)
    for _ in range(20):
        longest = random.integers(1, 100, 12)
        tokens = longest + random.integers(0, 2 * longest)  # of three rows
        needed = np.stack([longest, random.integers(1, 40, 12), tokens], axis=1)
        shapes = choose_shapes(3, needed)
        rounded = np.minimum(-(-tokens // 8) * 8, 3 * (-(-longest // 8) * 8))
        chosen = [shape.places for shape in shapes]
        assert chosen == sorted(chosen)
        assert chosen[-1] == rounded.max()
        computed = sum(min(size for size in chosen if size >= one) for one in rounded)
        sizes = sorted(set(rounded.tolist()))[:-1]
        best = min(
            sum(min(size for size in [*choice, rounded.max()] if size >= one) for one in rounded)
            for choice in itertools.combinations(sizes, min(3, len(sizes)))
        )
        assert computed == best
        for long, targets, count in needed:
            assert any(
                long <= shape.tokens and targets <= shape.targets and count <= shape.places
                for shape in shapes
            )
    # Rows of one length leave no padding out.
    assert choose_shapes(2, np.asarray([[16, 3, 32]])) == [BatchShape(2, 16, 16)]


def test_batches_that_were_not_seen_fit_too():
    """The shapes of two small batches, and one that holds whatever else may come."""
    dataset = dataset_of([5, 6, 40, 30, 7, 100])
    batches = Batches(dataset, [[0, 1], [1, 0]], size=2, pad_id=0, others=True)
    assert batches.shapes == [BatchShape(2, 8, 16), BatchShape(2, 104, 16, 144)]
    for group in itertools.permutations(range(6), 2):
        batch = batches.make(group)
        assert batch.segment_ids.sum() == sum(len(dataset[row].token_ids) for row in group)


def test_rows_of_one_length_need_one_shape():
    """Nothing is compiled that saves nothing; a very long context stays cheap to plan."""
    needed = np.asarray([[33, 2]] * 100 + [[34, 17]])
    assert choose_shapes(4, needed) == [BatchShape(4, 40, 32)]
    assert choose_shapes(4, np.asarray([[8, 2], [80, 2]]), worth=289) == [BatchShape(4, 80, 16)]
    assert len(choose_shapes(4, np.asarray([[8, 2], [80, 2]]), worth=288)) == 2
    long = np.stack([np.arange(1, 131_073, 64), np.ones(2048, int)], axis=1)
    assert len(choose_shapes(1, long)) == 4


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
    assert 0 < len(kept) < len(rows)
    with pytest.raises(ValueError, match="no row is left"):
        tokenize(rows, model.tokenizer, drop, context=8, name="training")


def test_dropout_follows_seed_epoch_and_row():
    """A row has its numbers in whatever batch it lies; others have other numbers."""
    rows = [
        TokenizedRow(np.arange(length, dtype=np.int32), np.arange(length) > 20)
        for length in (29, 32, 27)
    ]
    groups = [[0, 1], [2], [2, 0, 1]]
    batches = Batches(TokenizedDataset.from_rows(rows), groups, size=3, pad_id=0, dropout_seed=5)
    assert batches.prefix == 0, "a beginning computed once has no row to be dropped by"
    pair, alone, all_three = (batches.make(group, 2).dropout for group in groups)
    np.testing.assert_array_equal(pair[0, :29], all_three[1, :29])
    np.testing.assert_array_equal(alone[0, :27], all_three[0, :27])
    np.testing.assert_array_equal(alone[0, :27], dropout_words(5, 2, 2, 27))
    different = [dropout_words(*key, 27) for key in ((5, 2, 2), (5, 1, 2), (5, 2, 1), (6, 2, 2))]
    assert len(np.unique(np.concatenate(different))) == 4 * 27
    plain = Batches(TokenizedDataset.from_rows(rows), groups, size=3, pad_id=0)
    assert plain.prefix > 0
    assert plain.make(groups[0]).dropout.shape == (3, 0)
