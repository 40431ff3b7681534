"""Curves, sweeps and partial areas against scikit-learn."""

import warnings

import jax
import numpy as np
import pytest
import sklearn.metrics as oracle

from modelops_jax.metrics import (
    average_precision_score,
    compute,
    metric,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
    threshold_sweep,
    threshold_tables_metric,
)

CURVES = [
    (roc_curve, oracle.roc_curve),
    (precision_recall_curve, oracle.precision_recall_curve),
]


def scored(decimals: int, rows: int = 300):
    """Labels, scores with ties and weights of which some are 0."""
    random = np.random.default_rng(decimals)
    y_true = random.integers(0, 2, rows)
    score = np.round(random.normal(size=rows) + y_true, decimals)
    return y_true, score, random.integers(0, 4, rows) / 4


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("decimals", [0, 1, 9])
@pytest.mark.parametrize(("ours", "theirs"), CURVES)
def test_curves_are_those_of_scikit_learn(ours, theirs, decimals, drop):
    """Every point and threshold, with ties, weights and points dropped."""
    y_true, score, weight = scored(decimals)
    for given in (None, weight):
        found = ours(y_true, score, weight=given, drop_intermediate=drop)
        expected = theirs(y_true, score, sample_weight=given, drop_intermediate=drop)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
    narrow = ours(y_true, score.astype(np.float32))
    assert narrow.thresholds.dtype == np.float32


def test_areas_under_the_curves_are_the_scores():
    """The trapezoids of one are AUROC, the steps of the other average precision."""
    y_true, score, weight = scored(1)
    roc = roc_curve(y_true, score, weight=weight)
    area = np.trapezoid(roc.tpr, roc.fpr)
    assert area == pytest.approx(roc_auc_score(y_true, score, weight=weight), abs=1e-12)
    curve = precision_recall_curve(y_true, score, weight=weight)
    steps = -np.sum(np.diff(curve.recall) * curve.precision[:-1])
    assert steps == pytest.approx(average_precision_score(y_true, score, weight=weight), abs=1e-12)


def test_a_class_that_is_absent_has_no_rate():
    """nan, not 0 or 1; no rows leave the two ends."""
    assert np.isnan(roc_curve([1, 1], [0.1, 0.2]).fpr).all()
    assert np.isnan(roc_curve([0, 0], [0.1, 0.2]).tpr).all()
    curve = precision_recall_curve([0, 0], [0.1, 0.2])
    assert curve.precision.tolist() == [0, 0, 1]
    np.testing.assert_array_equal(curve.recall, [np.nan, np.nan, 0])
    assert precision_recall_curve([], []).precision.tolist() == [1]
    assert roc_curve([], []).thresholds.tolist() == [np.inf]
    with pytest.raises(
        ValueError, match=r"1 scores that are not finite, .* index 1 \(y_score is y_pred here"
    ):
        roc_curve([0, 1], [0.1, np.inf])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sweep_is_the_confusion_matrix_at_each_threshold(dtype):
    """Counts and metrics equal those of labels cut at the threshold, scores on it included."""
    y_true, score, weight = scored(1)
    score = score.astype(dtype)
    thresholds = [-5.0, 0.3, 0.35, 1.0, 9.0]
    macro = {"f1": metric("f1_score", average="macro", num_classes=2)}
    for given in (None, weight):
        found = threshold_sweep(y_true, score, thresholds, weight=given)
        macros = threshold_sweep(y_true, score, thresholds, weight=given, metrics=macro)
        for k, threshold in enumerate(thresholds):
            cut = (score >= dtype(threshold)).astype(int)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                rows = oracle.precision_recall_fscore_support(
                    y_true, cut, sample_weight=given, average="binary"
                )
                f1 = oracle.f1_score(y_true, cut, sample_weight=given, average="macro")
            table = oracle.confusion_matrix(y_true, cut, sample_weight=given)
            counts = (
                found.true_negatives[k], found.false_positives[k],
                found.false_negatives[k], found.true_positives[k],
            )  # fmt: skip
            np.testing.assert_allclose(counts, table.reshape(-1), rtol=1e-6)
            values = [found.values[f"{name}_score"][k] for name in ("precision", "recall", "f1")]
            np.testing.assert_allclose(values, rows[:3], atol=1e-6)
            assert macros.values["f1"][k] == pytest.approx(f1, abs=1e-6)


def test_a_sweep_streams_and_traces():
    """Batches merge to the whole, inside jit too."""
    y_true, score, _ = scored(1)
    sweep = threshold_tables_metric([0.0, 0.5, 1.0])
    whole = compute({"it": sweep}, y_true, score).values["it"]
    update = jax.jit(sweep.update)
    state = sweep.identity()
    for start in range(0, 300, 100):
        rows = slice(start, start + 100)
        state = update(state, y_true[rows], score[rows].astype(np.float32))
    np.testing.assert_array_equal(sweep.finalize(state).value, whole)
    traced = jax.jit(lambda t, s: sweep.finalize(sweep.update(sweep.identity(), t, s)).value)
    np.testing.assert_array_equal(traced(y_true[:100], score[:100]).sum((1, 2)), 100)


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ([], "one or more finite numbers"),
        ([0.5, 0.5], "ascending, without equal ones"),
        ([0.5, np.nan], "one or more finite numbers"),
        ([[0.5]], "one or more finite numbers"),
    ],
)
def test_thresholds_are_checked(thresholds, message):
    """Nothing is sorted or dropped silently."""
    with pytest.raises(ValueError, match=message):
        threshold_sweep([0, 1], [0.1, 0.2], thresholds)


def test_a_sweep_refuses_what_it_cannot_use():
    """Rows without a cell, and metrics of other statistics."""
    with pytest.raises(ValueError, match=r"y_true: 1 labels .* index \d; y_pred: 1 scores"):
        threshold_sweep([0, 2, 1], [0.1, 0.2, np.nan], [0.5])
    with pytest.raises(ValueError, match=r"mse: mean_squared_error is not a metric of the conf"):
        threshold_sweep([0, 1], [0.1, 0.2], [0.5], metrics={"mse": metric("mean_squared_error")})
