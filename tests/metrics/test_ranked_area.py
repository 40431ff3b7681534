"""Exact AUROC against the definition over all pairs."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from modelops_jax.metrics import _pair_count, compute, metric, roc_auc_score

TRACED = jax.jit(lambda t, s, w=None: roc_auc_score(t, s, weight=w))


def by_pairs(y_true, score, weight=None) -> float:
    """The definition: every positive against every negative, ties one half, in fractions."""
    weight = [1] * len(y_true) if weight is None else [Fraction(float(w)) for w in weight]
    rows = list(zip(y_true, score, weight, strict=True))
    won = total = Fraction(0)
    for _, high, up in (row for row in rows if row[0] == 1):
        for _, low, down in (row for row in rows if row[0] == 0):
            total += up * down
            won += up * down * (Fraction(1) if high > low else Fraction(int(high == low), 2))
    return float(won / total)


def scored(count: int = 60, decimals: int = 1, seed: int = 0):
    """Scores with many ties, of both signs."""
    random = np.random.default_rng(seed)
    y_true = np.concatenate([[0, 1], random.integers(0, 2, count - 2)])
    score = np.round(random.normal(size=count) + 0.5 * y_true, decimals)
    return y_true, score, random.random(count)


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_area_is_the_share_of_pairs_won(decimals):
    """With and without ties and weights, on the host exactly and traced to 1e-6."""
    y_true, score, weight = scored(decimals=decimals)
    narrow = score.astype(np.float32)
    for weights in (None, weight):
        exact = by_pairs(y_true, score, weights)
        assert abs(roc_auc_score(y_true, score, weight=weights) - exact) <= 1e-12
        slim = None if weights is None else weights.astype(np.float32)
        exact = by_pairs(y_true, narrow, slim)
        assert abs(float(TRACED(y_true, narrow, slim)) - exact) <= 1e-6


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-2, 2)), min_size=0, max_size=14))
def test_area_of_any_small_input(rows):
    """Ties of every pattern, in a fixed traced shape and on the host."""
    rows = [(0, 0), (1, 1), *rows]
    y_true, score = (np.array(column) for column in zip(*rows, strict=True))
    exact = by_pairs(y_true, score)
    assert roc_auc_score(y_true, score) == pytest.approx(exact, abs=1e-15)
    room = 16 - y_true.size
    padded = np.pad(y_true, (0, room)), np.pad(np.float32(score), (0, room))
    found = TRACED(*padded, np.arange(16) < y_true.size)
    assert float(found) == pytest.approx(exact, abs=1e-6)


def test_scores_apart_only_in_float64_are_not_ties():
    """Scores 1e-12 apart keep their order: nothing is cut to float32, nor to float64."""
    score = np.array([0.5, 0.5 + 1e-12, 0.5 + 2e-12])
    assert roc_auc_score(np.array([0, 1, 1]), score) == 1.0
    longest = np.array([1, 1 + np.finfo(np.longdouble).eps], np.longdouble)
    assert roc_auc_score(np.array([0, 1]), longest) == 1.0


def test_a_program_with_64_bit_types_ranks_float64():
    """Inside a user's float64 jit the area is ranked in float64 and returned in it."""
    y_true, score, weight = scored(decimals=12)
    with jax.enable_x64(True):
        for weights in (None, weight):
            found = TRACED(y_true, score * 1e-9 + 1, weights)
            assert found.dtype == jnp.float64
            exact = by_pairs(y_true, score * 1e-9 + 1, weights)
            assert abs(float(found) - exact) <= 1e-12


def test_large_logits_and_rare_events_need_no_threshold():
    """The area is the same for logits, probabilities, rescaled and saturated scores."""
    y_true, logits, _ = scored(count=400, decimals=6)
    expected = by_pairs(y_true, logits)
    for score in (logits, 1 / (1 + np.exp(-logits)), 0.01 / (1 + np.exp(-logits)), 98 + logits):
        assert abs(roc_auc_score(y_true, score) - expected) <= 1e-12


def test_pairs_do_not_overflow_32_bits():
    """100,000 rows make 2.5e9 pairs; traced and concrete agree with scikit-learn."""
    y_true, score, weight = scored(count=100_000, decimals=3)
    score, weight = score.astype(np.float32), weight.astype(np.float32)
    for weights in (None, weight):
        expected = oracle.roc_auc_score(y_true, np.float64(score), sample_weight=weights)
        assert abs(roc_auc_score(y_true, score, weight=weights) - expected) <= 1e-9
        assert abs(float(TRACED(y_true, score, weights)) - expected) <= 1e-6


@pytest.mark.parametrize(("dtype", "width"), [(np.float16, 16), (np.float32, 32), (np.float64, 64)])
@settings(max_examples=60)
@given(data=st.data())
def test_area_of_floats_of_every_size(dtype, width, data):
    """Denormals beside the largest numbers, both signs and both zeros keep their order."""
    pool = st.floats(allow_nan=False, allow_infinity=False, width=width)
    some = data.draw(st.lists(pool, min_size=1, max_size=4))
    score = data.draw(st.lists(st.sampled_from([*some, 0.0, -0.0]), min_size=2, max_size=12))
    y_true = [0, 1, *(data.draw(st.integers(0, 1)) for _ in score[2:])]
    score = np.array(score, dtype)
    assert roc_auc_score(np.array(y_true), score) == pytest.approx(
        by_pairs(y_true, score.tolist()), abs=1e-15
    )


@pytest.mark.parametrize("decimals", [1, 9])
def test_pieces_are_packed_and_counted_apart(decimals, monkeypatch):
    """Many rows, which threads pack and scan in pieces; ties go across their edges."""
    monkeypatch.setattr(_pair_count, "_PIECE", 64)
    y_true, score, _ = scored(count=5000, decimals=decimals)
    expected = oracle.roc_auc_score(y_true, score)
    assert roc_auc_score(y_true, score) == pytest.approx(expected, abs=1e-12)
    assert roc_auc_score(y_true, np.round(score)) == pytest.approx(
        oracle.roc_auc_score(y_true, np.round(score)), abs=1e-12
    )


def test_negative_zero_ties_with_zero():
    """-0.0 and 0.0 are one score."""
    y_true, score = np.array([0, 1]), np.array([0.0, -0.0], np.float32)
    assert roc_auc_score(y_true, score) == 0.5
    assert float(TRACED(y_true, score)) == 0.5


def test_one_class_is_undefined():
    """Only positives, only negatives, or no rows: nan and flagged, never 0, 0.5 or -0.0."""
    for y_true in ([1, 1, 1], [0, 0, 0], []):
        score = np.linspace(0, 1, len(y_true)).astype(np.float32)
        report = compute({"auc": metric("roc_auc_score")}, y_true, score)
        assert np.isnan(report.values["auc"])
        assert report.undefined["auc"] == 1
        assert np.isnan(TRACED(np.array(y_true, np.int32), score))


def test_worst_ranking_is_positive_zero():
    """Every pair lost is +0.0, and every pair won exactly 1."""
    y_true, score = np.array([0, 0, 1]), np.array([2.0, 3.0, 1.0], np.float32)
    for value in (roc_auc_score(y_true, score), np.asarray(TRACED(y_true, score))):
        assert value == 0.0
        assert not np.signbit(value)
    assert roc_auc_score(y_true, -score) == 1.0


def test_labels_other_than_zero_and_one_are_refused():
    """A label 2 is an error, not a row silently dropped."""
    y_true, score = np.array([0, 1, 2]), np.array([0.1, 0.2, 0.3], np.float32)
    with pytest.raises(ValueError, match="y_true: 1 labels other than 0 and 1"):
        roc_auc_score(y_true, score)
    assert np.isnan(TRACED(y_true, score))


def test_scores_that_are_not_finite_are_refused():
    """nan is not silently ranked."""
    y_true, score = np.array([0, 1, 1]), np.array([0.1, np.nan, 0.3], np.float32)
    with pytest.raises(ValueError, match="y_pred: 1 scores that are not finite"):
        roc_auc_score(y_true, score)
    assert np.isnan(TRACED(y_true, score))


def test_batches_do_not_change_the_ranking():
    """One batch or twenty give the same area, whatever range a batch's scores have."""
    y_true, score, _ = scored(count=20, decimals=9)
    auc = metric("roc_auc_score")
    states = auc.identity()
    for row in range(20):
        states = auc.update(states, y_true[row : row + 1], score[row : row + 1].astype(np.float32))
    assert auc.finalize(states).value == roc_auc_score(y_true, score.astype(np.float32))


def test_bfloat16_scores_are_ranked_without_loss():
    """Narrow scores are widened, not rounded."""
    y_true, score, _ = scored(decimals=2)
    narrow = jnp.asarray(score, jnp.bfloat16)
    expected = by_pairs(y_true, np.float64(narrow))
    assert abs(roc_auc_score(y_true, narrow) - expected) <= 1e-12
    assert abs(float(TRACED(y_true, narrow)) - expected) <= 1e-6
