"""Rows of several labels each, against scikit-learn, and how well their intervals cover."""

import math
from typing import Any

import numpy as np
import pytest
import sklearn.metrics

from modelops_jax import metrics
from modelops_jax.metrics import bootstrap_intervals, compute, metric

# Its inferred types do not know every value that its documentation allows.
sk: Any = sklearn.metrics
LABELS = 5
AVERAGES = ("micro", "macro", "weighted", "samples", None)


def rows(seed: int = 0, count: int = 60):
    """Indicators with a label nobody has, a row without any label, and weights."""
    random = np.random.default_rng(seed)
    y_true, y_pred = (random.random((2, count, LABELS)) < 0.3).astype(np.int64)
    y_true[:, 4], y_pred[:, 4], y_true[3], y_pred[3] = 0, 0, 0, 0
    return y_true, y_pred, random.random(count)


def same(found, expected):
    """Equal within 1e-12, nan where nan is expected."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("zero_division", [0, 1, math.nan])
def test_ratios_equal_scikit_learns(weighted, zero_division):
    """Every ratio in every average, and every rule for 0/0, in one pass."""
    y_true, y_pred, weight = rows()
    given = weight if weighted else None
    options = {"num_labels": LABELS, "zero_division": zero_division}
    oracles = {
        "precision_score": sk.precision_score,
        "recall_score": sk.recall_score,
        "f1_score": sk.f1_score,
        "jaccard_score": sk.jaccard_score,
    }
    configured = {
        (name, average): metric(name, average=average, **options)
        for name in oracles
        for average in AVERAGES
    }
    report = compute({str(key): m for key, m in configured.items()}, y_true, y_pred, weight=given)
    for name, average in configured:
        if name == "jaccard_score" and math.isnan(zero_division):
            continue  # scikit-learn takes 0 and 1 only
        expected = oracles[name](
            y_true, y_pred, average=average, sample_weight=given, zero_division=zero_division
        )
        same(report.values[str((name, average))], expected)


@pytest.mark.parametrize("average", AVERAGES)
def test_f_beta_and_specificity_equal_scikit_learns(average):
    """F-beta as it is; specificity as the recall of the labels that a row has not."""
    y_true, y_pred, _ = rows(1)
    found = metrics.fbeta_score(y_true, y_pred, beta=2, average=average, num_labels=LABELS)
    same(found, sk.fbeta_score(y_true, y_pred, beta=2, average=average, zero_division=0))
    if average != "weighted":  # which weighs by the rows that have a label, in specificity too
        found = metrics.specificity_score(y_true, y_pred, average=average, num_labels=LABELS)
        same(found, sk.recall_score(1 - y_true, 1 - y_pred, average=average, zero_division=0))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_shares_equal_scikit_learns(weighted, dtype):
    """Accuracy and zero-one loss are of whole rows, the Hamming loss of single labels."""
    y_true, y_pred, weight = rows(2)
    y_pred[::2] = y_true[::2]
    given = weight if weighted else None
    columns = y_true.astype(dtype), y_pred.astype(dtype)
    for name in ("accuracy_score", "zero_one_loss", "hamming_loss"):
        found = getattr(metrics, name)(*columns, weight=given, num_labels=LABELS)
        same(found, getattr(sk, name)(*columns, sample_weight=given))
    found = metrics.f1_score(*columns, weight=given, average="samples", num_labels=LABELS)
    expected = sk.f1_score(*columns, sample_weight=given, average="samples", zero_division=0)
    same(found, expected)


def test_no_rows_and_undefined_labels_are_counted():
    """No rows are 0/0 by the same rules as without labels; undefined rows and labels count."""
    none = np.zeros((0, LABELS), int)
    configured = {
        "accuracy": metric("accuracy_score", num_labels=LABELS),
        "hamming": metric("hamming_loss", num_labels=LABELS),
        "samples": metric("f1_score", average="samples", num_labels=LABELS, zero_division=1),
        "macro": metric("f1_score", average="macro", num_labels=LABELS),
    }
    report = compute(configured, none, none)
    expected = {"accuracy": 0.0, "hamming": math.nan, "samples": 1.0, "macro": 0.0}
    np.testing.assert_equal(report.values, expected)
    y_true, y_pred, _ = rows()
    undefined = compute(configured, y_true, y_pred).undefined
    without = int((~(y_true | y_pred).any(axis=1)).sum())
    assert undefined == {"accuracy": 0, "hamming": 0, "samples": without, "macro": 1}
    skipped = metrics.f1_score(y_true, y_pred, average="macro", num_labels=LABELS, absent="skip")
    used = y_true[:, :4], y_pred[:, :4]
    same(skipped, sk.f1_score(*used, average="macro"))


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ((5, 5), {"num_labels": 4}, "y_true has 5 columns; num_labels=4"),
        ((5, 4), {"num_labels": 5}, "of one shape; found y_true .60, 5., y_pred .60, 4."),
        ((5, 5), {}, r"average='macro' needs num_classes.*num_labels"),
        ((5, 5), {"num_labels": 0}, "num_labels must be at least 1"),
        ((5, 5), {"num_labels": 5, "num_classes": 2}, "pass one of the two"),
        ((5, 5), {"num_labels": 5, "average": "binary"}, "for rows of one label each"),
        ((5, 5), {"average": "samples", "num_classes": 2}, "'samples' needs num_labels"),
    ],
)
def test_shapes_and_options_that_do_not_fit_are_refused(columns, options, message):
    """What is no matrix of so many labels is an error that says what was expected."""
    y_true, y_pred, _ = rows()
    true, pred = (y[:, :k] for y, k in zip((y_true, y_pred), columns, strict=True))
    with pytest.raises(ValueError, match=message):
        metrics.f1_score(true, pred, **{"average": "macro"} | options)


def test_other_labels_are_refused_with_the_row():
    """An entry that is neither 0 nor 1 names its row, in counts, matches and rows alike."""
    y_true, y_pred, _ = rows()
    y_pred[7, 2] = 2
    for average in ("micro", "samples"):
        with pytest.raises(ValueError, match=r"y_pred: 1 rows with a label .* at index 7"):
            metrics.f1_score(y_true, y_pred, num_labels=LABELS, average=average)
    with pytest.raises(ValueError, match=r"y_pred: 1 rows with a label .* at index 7"):
        metrics.accuracy_score(y_true, y_pred, num_labels=LABELS)
    labels = metric("accuracy_score", num_labels=LABELS)
    with pytest.raises(ValueError, match="cannot share one pass"):
        compute({"a": labels, "b": metric("accuracy_score")}, y_true, y_pred)


def test_intervals_cover_what_they_say_though_labels_are_correlated():
    """Rows that are wrong in many labels at once: 93 to 97 %, where cells would have 80 %."""
    random = np.random.default_rng(5)
    found = {"it": metric("hamming_loss", num_labels=4)}
    samples, count, held, of_cells = 500, 200, 0, 0
    truth = 0.3 * 0.7
    for sample in range(samples):
        hard = random.random(count) < 0.3
        wrong = hard[:, None] & (random.random((count, 4)) < 0.7)
        y_true = random.random((count, 4)) < 0.5
        ends = bootstrap_intervals(found, y_true, y_true ^ wrong, n_resamples=400, seed=sample)
        held += ends["it"].low <= truth <= ends["it"].high
        share = wrong.mean()
        half = 1.96 * math.sqrt(share * (1 - share) / wrong.size)
        of_cells += abs(share - truth) <= half
    assert 0.93 <= held / samples <= 0.97
    assert of_cells / samples < 0.85
