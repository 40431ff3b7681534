"""The sketched AUROC is within its bound of the exact one, always."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from modelops_jax.metrics import (
    bootstrap_intervals,
    compute,
    metric,
    roc_auc_interval,
    roc_auc_score,
)

BOTH = {
    "area": metric("sketched_roc_auc_score"),
    "bound": metric("sketched_roc_auc_bound"),
}
COARSE = {
    "area": metric("sketched_roc_auc_score", bits=6),
    "bound": metric("sketched_roc_auc_bound", bits=6),
}


def sketch(metrics, y_true, score, weight=None):
    """The area and its bound."""
    found = compute(metrics, y_true, score, weight=weight).values
    return float(found["area"]), float(found["bound"])


def by_pairs(y_true, score) -> Fraction:
    """The definition over all pairs, in fractions."""
    ups = [s for label, s in zip(y_true, score, strict=True) if label == 1]
    downs = [s for label, s in zip(y_true, score, strict=True) if label == 0]
    won = sum(Fraction(int(u > d) * 2 + int(u == d), 2) for u in ups for d in downs)
    return Fraction(won, len(ups) * len(downs))


@settings(max_examples=80)
@given(st.data())
def test_the_exact_area_is_within_the_bound(data):
    """Floats of every size and sign, denormals, ties and neighbours, coarse and fine bins."""
    floats = st.floats(allow_nan=False, allow_infinity=False, width=64)
    near = st.integers(-4, 4).map(lambda k: 1 + k * 2.0**-8)
    score = data.draw(st.lists(st.one_of(floats, near, st.just(-0.0)), min_size=2, max_size=12))
    y_true = [0, 1, *(data.draw(st.integers(0, 1)) for _ in score[2:])]
    exact = by_pairs(y_true, score)
    for metrics in (BOTH, COARSE):
        area, bound = sketch(metrics, np.array(y_true), np.array(score))
        assert abs(Fraction(area) - exact) <= Fraction(bound) + Fraction(1, 10**15)


def scores_of(kind: str, rows: int = 20_000):
    """Labels and scores as models give them."""
    random = np.random.default_rng(0)
    y_true = random.integers(0, 2, rows)
    logit = random.normal(size=rows) + y_true
    score = {
        "logits": logit,
        "rare": 0.01 / (1 + np.exp(-logit)),
        "saturated": 1 / (1 + np.exp(-20 * logit)),
        "tied": np.round(logit, 1),
    }[kind]
    return y_true, score.astype(np.float32)


@pytest.mark.parametrize(
    ("kind", "largest"), [("logits", 1e-3), ("rare", 3e-3), ("saturated", 0.1), ("tied", 0.02)]
)
def test_bounds_of_real_scores(kind, largest):
    """Logits and rare events are told apart; saturated probabilities are known not to be."""
    y_true, score = scores_of(kind)
    area, bound = sketch(BOTH, y_true, score)
    exact = oracle.roc_auc_score(y_true, score.astype(np.float64))
    assert abs(area - exact) <= bound <= largest
    if kind != "saturated":
        assert abs(area - exact) <= bound / 20 + 1e-12  # the mistakes of the bins cancel
    weight = np.random.default_rng(1).random(y_true.size)
    area, bound = sketch(BOTH, y_true, score, weight)
    exact = oracle.roc_auc_score(y_true, score.astype(np.float64), sample_weight=weight)
    assert abs(area - exact) <= bound <= 2 * largest


def test_bfloat16_loses_nothing():
    """Two bytes are two bytes: the area is the exact one of these scores."""
    y_true, score = scores_of("logits", 2000)
    narrow = jnp.asarray(score, jnp.bfloat16)
    area, _ = sketch(BOTH, y_true, narrow)
    assert area == roc_auc_score(y_true, narrow)
    assert area == pytest.approx(oracle.roc_auc_score(y_true, np.float64(narrow)), abs=1e-15)


def test_batches_add_up_and_tracing_agrees():
    """Streams of batches give what one pass gives, in jit, with one shape of state."""
    y_true, score = scores_of("logits", 3000)
    area, bound = sketch(BOTH, y_true, score)
    update = jax.jit(BOTH["area"].update)
    state = BOTH["area"].identity()
    for start in range(0, 3000, 1000):
        state = update(state, y_true[start : start + 1000], score[start : start + 1000])
    assert BOTH["area"].finalize(state).value == area
    for name, expected in (("area", area), ("bound", bound)):
        finalize = jax.jit(lambda state, name=name: BOTH[name].finalize(state).value)
        assert finalize(state).dtype == jnp.float32
        assert float(finalize(state)) == pytest.approx(expected, abs=1e-7)


def test_one_class_is_undefined():
    """nan and flagged, both."""
    for y_true in ([1, 1], [0, 0]):
        report = compute(COARSE, y_true, [0.1, 0.2])
        assert np.isnan([report.values["area"], report.values["bound"]]).all()
        assert report.undefined == {"area": 1, "bound": 1}


def test_interval_is_delongs_widened_by_the_bound():
    """Near the exact area's interval, and never inside it; weights are refused."""
    y_true, score = scores_of("logits", 2000)
    _, bound = sketch(BOTH, y_true, score)
    found = bootstrap_intervals({"area": BOTH["area"]}, y_true, score)["area"]
    exact = roc_auc_interval(y_true, score)
    assert exact.low - 2 * bound < found.low < exact.low
    assert exact.high < found.high < exact.high + 2 * bound
    assert found.method == "DeLong, widened by the sketch's bound"
    with pytest.raises(ValueError, match="unweighted rows"):
        bootstrap_intervals({"area": BOTH["area"]}, y_true, score, weight=np.full(2000, 2.0))
    with pytest.raises(ValueError, match="65,536 bins is not resampled by rows"):
        bootstrap_intervals({"it": BOTH["bound"]}, y_true, score, weight=np.full(2000, 2.0))
    few = bootstrap_intervals({"area": COARSE["area"]}, [0, 1, 1], [0.1, 0.2, 0.3])["area"]
    assert np.isnan(few.low)
    assert np.isnan(few.high)


def test_bad_rows_and_bits_are_refused():
    """As the exact area refuses them."""
    with pytest.raises(ValueError, match=r"y_true: 1 labels .* index \d; y_pred: 1 scores"):
        compute(COARSE, [0, 1, 2], [0.1, np.inf, 0.2])
    with pytest.raises(ValueError, match="bits must be between 2 and 24, not 32"):
        metric("sketched_roc_auc_score", bits=32)
