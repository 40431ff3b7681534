"""Agreement and tables of rows of several labels, and entries that are ignored."""

import math
from typing import Any

import numpy as np
import pytest
import sklearn.metrics

from modelops_jax import metrics
from modelops_jax.metrics import compute, metric

sk: Any = sklearn.metrics
LABELS = 5
ORACLES = {
    "balanced_accuracy_score": sk.balanced_accuracy_score,
    "matthews_corrcoef": sk.matthews_corrcoef,
    "cohen_kappa_score": sk.cohen_kappa_score,
}


def rows(seed: int = 0, count: int = 60):
    """Indicators that agree by half, and weights."""
    random = np.random.default_rng(seed)
    y_true, other = (random.random((2, count, LABELS)) < 0.3).astype(np.int64)
    y_pred = np.where(random.random((count, LABELS)) < 0.5, y_true, other)
    return y_true, y_pred, random.random(count)


def same(found, expected):
    """Equal within 1e-12, nan where nan is expected."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_agreement_of_labels_is_scikit_learns_of_their_columns(weighted):
    """Of each label, of all entries as one column, and both means, in one pass."""
    y_true, y_pred, weight = rows()
    given = weight if weighted else None
    support = (y_true * (weight[:, None] if weighted else 1)).sum(axis=0)
    averages = ("micro", "macro", "weighted", None)
    configured = {
        f"{name} {average}": metric(name, num_labels=LABELS, average=average)
        for name in ORACLES
        for average in averages
    }
    found = compute(configured, y_true, y_pred, weight=given).values
    for name, oracle in ORACLES.items():
        every = [oracle(*c, sample_weight=given) for c in zip(y_true.T, y_pred.T, strict=True)]
        flat = None if given is None else np.repeat(given, LABELS)
        expected = {
            "micro": oracle(y_true.ravel(), y_pred.ravel(), sample_weight=flat),
            "macro": np.mean(every),
            "weighted": np.average(every, weights=support),
            None: every,
        }
        for average in averages:
            same(found[f"{name} {average}"], expected[average])


def test_a_label_without_agreement_is_left_out_of_means():
    """Kappa of a label that nobody has is nan, and counts as undefined; Matthews' is 0."""
    y_true, y_pred, _ = rows(1)
    y_true[:, 2] = y_pred[:, 2] = 0
    kappa, matthews = (metric(name, num_labels=LABELS) for name in list(ORACLES)[:0:-1])
    report = compute({"kappa": kappa, "matthews": matthews}, y_true, y_pred)
    others = [0, 1, 3, 4]
    columns = [(y_true[:, k], y_pred[:, k]) for k in others]
    same(report.values["kappa"], np.mean([sk.cohen_kappa_score(*c) for c in columns]))
    same(report.values["matthews"], sum(sk.matthews_corrcoef(*c) for c in columns) / LABELS)
    assert report.undefined == {"kappa": 1, "matthews": 1}


@pytest.mark.parametrize("weighted", [False, True])
def test_tables_of_labels_are_scikit_learns(weighted):
    """Integers stay integers, weights are summed."""
    y_true, y_pred, weight = rows(2)
    given = weight if weighted else None
    found = metrics.multilabel_confusion_matrix(y_true, y_pred, num_labels=LABELS, weight=given)
    same(found, sk.multilabel_confusion_matrix(y_true, y_pred, sample_weight=given))
    assert found.dtype == (np.float64 if weighted else np.int64)


def test_two_classes_are_the_default_of_agreement():
    """Without a number of classes labels are 0 and 1, and any other is refused."""
    y_true, y_pred, _ = rows(3)
    for name, oracle in ORACLES.items():
        function = metrics.METRICS[name].function
        same(function(y_true[:, 0], y_pred[:, 0]), oracle(y_true[:, 0], y_pred[:, 0]))
        with pytest.raises(ValueError, match="labels outside 0 to 1"):
            function(y_true[:, 0] + 1, y_pred[:, 0])
        with pytest.raises(ValueError, match=r"average=None is .* needs num_labels"):
            metric(name, average=None)
        with pytest.raises(ValueError, match="pass one of the two"):
            metric(name, num_labels=3, num_classes=3)
        with pytest.raises(ValueError, match=r"average must be one of .*, not 'samples'"):
            metric(name, num_labels=3, average="samples")


def ignoring(seed: int):
    """Rows with entries to ignore, one row and one label of them alone."""
    y_true, y_pred, weight = rows(seed)
    ignored = np.random.default_rng(seed + 50).random(y_true.shape) < 0.3
    ignored[7], ignored[:, 4] = True, True
    spoiled = np.where(ignored, 9, y_pred)  # what was predicted there is not read
    return np.where(ignored, -1, y_true), spoiled, weight, ~ignored


@pytest.mark.parametrize("weighted", [False, True])
def test_ignored_entries_are_as_good_as_absent(weighted):
    """Ratios, tables and agreement are those of each label's own rows; Hamming's of the rest."""
    y_true, y_pred, weight, seen = ignoring(4)
    given = weight if weighted else None
    options: dict[str, Any] = {"num_labels": LABELS, "ignore_index": -1}
    names = ("precision_score", "recall_score", "f1_score", "specificity_score", "jaccard_score")
    configured = {
        f"{name} {average}": metric(name, **options, average=average)
        for name in (*names, "matthews_corrcoef")
        for average in ("micro", None)
    }
    configured["tables"] = metric("multilabel_confusion_matrix", **options)
    averages = ("micro", None, "macro", "weighted")
    hamming = [metric("hamming_loss", **options, average=average) for average in averages]
    configured |= {f"hamming {a}": m for a, m in zip(averages, hamming, strict=True)}
    found = compute(configured, y_true, y_pred, weight=given).values
    wide = np.broadcast_to(weight[:, None], seen.shape)

    def of(function, where, **more):
        sample = wide[where] if weighted else None
        if not where.any():
            return 0.0
        return function(y_true[where], y_pred[where], sample_weight=sample, **more)

    oracles = {
        "precision_score": sk.precision_score,
        "recall_score": sk.recall_score,
        "f1_score": sk.f1_score,
        "jaccard_score": sk.jaccard_score,
        "specificity_score": sk.recall_score,
    }
    columns = [seen & (np.arange(LABELS) == k) for k in range(LABELS)]
    for name, oracle in oracles.items():
        more = {"pos_label": 0} if name == "specificity_score" else {}
        every = [of(oracle, where, zero_division=0, **more) for where in columns]
        same(found[f"{name} None"], every)
        same(found[f"{name} micro"], of(oracle, seen, zero_division=0, **more))
    matthews = [of(sk.matthews_corrcoef, where) for where in columns[:4]]
    same(found["matthews_corrcoef None"], [*matthews, math.nan])
    same(found["matthews_corrcoef micro"], of(sk.matthews_corrcoef, seen))
    same(found["hamming micro"], of(sk.zero_one_loss, seen))
    each = [of(sk.zero_one_loss, where) for where in columns[:4]]
    same(found["hamming None"], [*each, math.nan])  # of the fifth label nothing is left
    same(found["hamming macro"], np.mean(each))
    support = [((y_true == 1) * (wide if weighted else 1))[where].sum() for where in columns[:4]]
    same(found["hamming weighted"], np.average(each, weights=support))
    tables = [of(sk.confusion_matrix, where, labels=[0, 1]) * np.ones((2, 2)) for where in columns]
    same(found["tables"], tables)


def test_ignored_entries_of_whole_rows_and_of_samples():
    """A row's own ratio is of what is left; a row of which nothing is left counts nowhere."""
    y_true, y_pred, weight, seen = ignoring(5)
    y_pred[::2] = np.where(seen[::2], y_true[::2], 9)
    options: dict[str, Any] = {"num_labels": LABELS, "ignore_index": -1}
    left = [i for i in range(len(seen)) if seen[i].any()]
    assert len(left) < len(seen)
    right = [(y_true[i] == y_pred[i])[seen[i]].all() for i in left]
    share = np.average(right, weights=weight[left])
    same(metrics.accuracy_score(y_true, y_pred, weight=weight, **options), share)
    same(metrics.zero_one_loss(y_true, y_pred, weight=weight, **options), 1 - share)
    for name in ("f1_score", "specificity_score"):
        of_rows = []
        for i in left:
            true, pred = y_true[i][seen[i]], y_pred[i][seen[i]]
            if name == "specificity_score":
                of_rows.append(sk.recall_score(true, pred, pos_label=0, zero_division=0))
            else:
                of_rows.append(sk.f1_score(true, pred, zero_division=0))
        found = metrics.METRICS[name].function(
            y_true, y_pred, weight=weight, average="samples", **options
        )
        same(found, np.average(of_rows, weights=weight[left]))
    nothing = np.full((3, LABELS), -1)
    assert math.isnan(metrics.hamming_loss(nothing, nothing, **options))
    assert metrics.f1_score(nothing, nothing, average="samples", zero_division=1, **options) == 1


def test_zero_may_be_ignored_and_others_are_refused():
    """A class of entries to ignore may be 0; an entry that is not ignored has to be 0 or 1."""
    y_true, y_pred, _ = rows(6)
    found = metrics.hamming_loss(y_true, y_pred, num_labels=LABELS, ignore_index=0)
    same(found, 1 - y_pred[y_true == 1].mean())
    y_pred[3, 1], y_true[3, 1] = 2, 1
    with pytest.raises(ValueError, match=r"y_pred: 1 rows with a label .* at index 3"):
        metrics.hamming_loss(y_true, y_pred, num_labels=LABELS, ignore_index=0)
    y_true[3, 1] = 0
    metrics.hamming_loss(y_true, y_pred, num_labels=LABELS, ignore_index=0)
