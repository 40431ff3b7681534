"""States: exact counts at any size, compensated sums, and merging."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.metrics import ConfusionCounts, RowMean, RowVariance, Statistic, metric
from modelops_jax.metrics._exact import ExactCount
from modelops_jax.metrics._pair import Pair, sum_columns
from modelops_jax.metrics._row_functions import squared_error, target


@pytest.mark.parametrize("doublings", [25, 32, 44])
def test_counts_are_exact_past_2_to_the_24_and_31(doublings):
    """A confusion matrix merged with itself again and again stays exact, odd counts and all."""
    statistic = ConfusionCounts(2)
    state = statistic.block(jnp.array([0, 0, 1]), jnp.array([0, 1, 1]))
    merge = jax.jit(statistic.merge)
    one = state
    for _ in range(doublings):
        state = merge(state, state)
    state = jax.device_get(merge(state, one))
    expected = 2**doublings + 1
    np.testing.assert_array_equal(state.cells.integers(), [[expected, expected], [0, expected]])
    assert state.cells.integers().dtype == np.int64
    f1 = metric("f1_score", num_classes=2).finalize((state,)).value
    assert f1 == pytest.approx(2 / 3, abs=1e-15)


def test_a_full_count_and_one_more_are_not_the_same():
    """2**24 rows and one row make 2**24 + 1, whichever state comes first."""
    many = ExactCount.of(jnp.array([2**24], jnp.int32))
    one = ExactCount.of(jnp.array([1], jnp.int32))
    for total in (many + one, one + many):
        assert jax.device_get(total).integers() == 2**24 + 1


def test_limbs_of_65536_counts_can_be_summed_before_the_carry():
    """The sum that a mesh makes of normalised limbs does not overflow."""
    count = ExactCount.of(jnp.full((65_536,), 2**31 - 1, jnp.int32))
    assert jax.device_get(count.total()).integers() == 65_536 * (2**31 - 1)


def test_a_running_float32_sum_does_not_stop_at_2_to_the_24():
    """Adding ones to 2**24 in pairs keeps every one of them."""

    def add(total: Pair, one: jax.Array) -> tuple[Pair, None]:
        return total + one, None

    start = Pair.of(jnp.float32(2**24))
    total, _ = jax.jit(lambda: jax.lax.scan(add, start, jnp.ones(1001, jnp.float32)))()
    assert jax.device_get(total).value() == 2**24 + 1001


@pytest.mark.parametrize("count", [0, 1, 7, 2048, 2049, 100_003])
def test_column_sums_of_any_length(count):
    """Counts are exact and float32 sums good to 1e-7, at every alignment."""
    random = np.random.default_rng(count)
    flags, values = random.random(count) < 0.3, random.random(count).astype(np.float32)
    counts, sums = jax.device_get(jax.jit(sum_columns)([jnp.asarray(flags), jnp.asarray(values)]))
    assert counts.tolist() == [flags.sum()]
    np.testing.assert_allclose(sums.value(), [np.sum(values, dtype=np.float64)], rtol=1e-7)


def test_batches_of_one_row_keep_the_mean_square():
    """A stream of single rows at an offset of 1e6 loses nothing to the merges."""
    with jax.enable_x64(True):
        statistic = RowVariance(target)
        random = np.random.default_rng(0)
        values = 1e6 + 1e-6 * random.normal(size=400)
        update = jax.jit(statistic.update)
        state = statistic.identity(dtype=jnp.float64)
        for value in values:
            state = update(state, value[None], value[None])
        state = jax.device_get(state)
    centred = values - 1e6  # exact: neighbours of 1e6
    expected = np.sum((centred - centred.mean()) ** 2)
    np.testing.assert_allclose(state.squares.value(), expected, rtol=1e-12)
    assert state.rows.integers() == 400


def test_the_identity_changes_no_bit():
    """Merging with the state of no rows, from either side, gives the state back."""
    values = jnp.asarray(1e6 + np.random.default_rng(1).normal(size=50), jnp.float32)
    labels = jnp.arange(50) % 3
    cases: list[tuple[Statistic, jax.Array]] = [
        (RowMean(squared_error), values),
        (RowVariance(target), values),
        (ConfusionCounts(3), labels),
    ]
    for statistic, given in cases:
        state, empty = statistic.block(given, given), statistic.identity()
        for merged in (statistic.merge(state, empty), statistic.merge(empty, state)):
            jax.tree.map(np.testing.assert_array_equal, merged, state)


def test_weighted_and_unweighted_states_do_not_mix():
    """Integer counts and sums of weights are different states, and the message says what to do."""
    rows = jnp.array([0, 1]), jnp.array([0.5, 0.7])
    for name, options in (("confusion_matrix", {"num_classes": 2}), ("roc_auc_score", {})):
        found = metric(name, **options)
        with pytest.raises(TypeError, match="weighted=True"):
            found.update(found.identity(), rows[0], rows[0], rows[1])


def test_a_stream_with_an_invalid_row_says_so_at_the_end():
    """The counts of invalid rows add up over batches, and finalizing the state raises."""
    f1 = metric("f1_score", average="macro", num_classes=3)
    state = f1.identity()
    for y_true in ([0, 1, 7], [2, 2, 2], [-1, 0, 9]):
        state = f1.update(state, jnp.array(y_true), jnp.array([0, 1, 2]))
    with pytest.raises(ValueError, match="y_true: 3 labels outside 0 to 2"):
        f1.finalize(state)


def test_finalizing_before_any_update_is_undefined():
    """The state of no rows gives nan or zero_division, and counts as undefined."""
    mse, f1 = metric("mean_squared_error"), metric("f1_score")
    assert np.isnan(mse.finalize(mse.identity()).value)
    assert mse.finalize(mse.identity()).undefined == 1
    assert f1.finalize(f1.identity()) == (0.0, 1)


def test_a_state_passes_through_jit():
    """States are pytrees of arrays alone: configuration is static and never a leaf."""
    auc, f1 = metric("roc_auc_score"), metric("f1_score", average="macro", num_classes=3)
    for found, y_pred in ((auc, jnp.array([0.3, 0.1, 0.9])), (f1, jnp.array([0, 1, 2]))):
        state = found.update(found.identity(), jnp.array([0, 1, 1]), y_pred)
        traced = jax.jit(lambda state, found=found: found.finalize(state).value)(state)
        np.testing.assert_allclose(traced, found.finalize(state).value, rtol=1e-6)
        assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
