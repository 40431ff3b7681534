"""Rows that hold nan: refused, left out and counted, or in values that are nan."""

import numpy as np
import pytest

from modelops_jax.metrics import compute, metric

METRICS = {
    name: metric(name) for name in ("mean_squared_error", "median_absolute_error", "r2_score")
}


def rows():
    """Values of which four rows hold nan, one of them on both sides, and weights."""
    y_true, y_pred = np.random.default_rng(0).normal(size=(2, 64))
    y_true[[3, 40]] = y_pred[[3, 9, 50]] = np.nan
    weight = np.arange(64) % 4.0
    return y_true, y_pred, weight, ~(np.isnan(y_true) | np.isnan(y_pred))


def test_omitted_rows_are_as_good_as_absent_and_counted():
    """With and without a weight or a mask; rows of weight 0 were not there to be left out."""
    y_true, y_pred, weight, keep = rows()
    for given in (None, weight, weight > 0):
        kept = None if given is None else given[keep]
        expected = compute(METRICS, y_true[keep], y_pred[keep], weight=kept)
        found = compute(METRICS, y_true, y_pred, weight=given, nan_policy="omit")
        gone = ~keep if given is None else ~keep & (given != 0)
        assert found.omitted == gone.sum()
        assert found.rows == expected.rows
        for name in METRICS:
            assert found.values[name] == pytest.approx(float(expected.values[name]), abs=1e-12)


def test_nan_is_propagated_if_a_row_of_weight_holds_it():
    """Into every value of the pass, and counted; without such a row nothing changes."""
    y_true, y_pred, _, keep = rows()
    found = compute(METRICS, y_true, y_pred, nan_policy="propagate")
    assert found.omitted == 4
    assert all(np.isnan(value) for value in found.values.values())
    expected = compute(METRICS, y_true, y_pred, weight=keep).values
    assert compute(METRICS, y_true, y_pred, weight=keep, nan_policy="propagate").values == expected


def test_rows_of_scores():
    """One nan in a row of scores is one."""
    _, y_pred, _, _ = rows()
    scores = np.stack([y_pred, -y_pred, 0 * y_pred], axis=1)
    scores[:, 0] = 0.5
    label = np.arange(64) % 3
    both = {"it": metric("top_k_accuracy_score")}
    good = ~np.isnan(y_pred)
    found = compute(both, label, scores, nan_policy="omit")
    assert found.omitted == 3
    assert found.values == compute(both, label[good], scores[good]).values


def test_other_invalid_rows_stay_errors():
    """Infinity is no nan, and the default refuses both; other policies are named."""
    for bad, policy in ((np.inf, "omit"), (np.inf, "propagate"), (np.nan, "raise")):
        with pytest.raises(ValueError, match="y_pred: 1 values that are not finite"):
            compute(METRICS, [0.0, 1.0], [bad, 1.0], nan_policy=policy)
    with pytest.raises(ValueError, match=r"nan_policy must be one of .*, not 'skip'"):
        compute(METRICS, [0.0], [0.0], nan_policy="skip")
