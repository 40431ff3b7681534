"""AUROC and average precision of many classes, and partial areas, against scikit-learn."""

import jax
import numpy as np
import pytest
import sklearn.metrics as oracle

from modelops_jax.metrics import average_precision_score, compute, metric, roc_auc_score

CLASSES = 3


def scored(rows: int = 200):
    """Labels, probabilities with ties, and weights."""
    random = np.random.default_rng(7)
    y_true = random.integers(0, CLASSES, rows)
    logits = np.round(random.normal(size=(rows, CLASSES)) + np.eye(CLASSES)[y_true], 1)
    score = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return y_true, score, random.integers(0, 4, rows) / 4


@pytest.mark.parametrize("average", ["macro", "weighted", "micro", None])
def test_one_against_the_rest_is_that_of_scikit_learn(average):
    """Every average, weighted and not, on the host to 1e-12."""
    y_true, score, weight = scored()
    member = np.eye(CLASSES)[y_true]
    for given in (None, weight):
        options = {"weight": given, "average": average, "num_classes": CLASSES}
        found = roc_auc_score(y_true, score, **options)
        expected = oracle.roc_auc_score(member, score, average=average, sample_weight=given)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
        found = average_precision_score(y_true, score, **options)
        expected = oracle.average_precision_score(
            member, score, average=average, sample_weight=given
        )
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_one_against_one_is_that_of_scikit_learn(average):
    """Hand and Till's mean over the pairs, on the host to 1e-12, traced to 1e-6."""
    y_true, score, _ = scored()
    options = {"num_classes": CLASSES, "multi_class": "ovo"}
    found = roc_auc_score(y_true, score, average=average, **options)
    expected = oracle.roc_auc_score(y_true, score, multi_class="ovo", average=average)
    assert found == pytest.approx(expected, abs=1e-12)
    traced = jax.jit(lambda t, s: roc_auc_score(t, s, average=average, **options))
    narrow = score.astype(np.float32)  # ties where float64 has none
    expected = roc_auc_score(y_true, narrow, average=average, **options)
    assert float(traced(y_true, narrow)) == pytest.approx(expected, abs=1e-6)


def test_pairs_come_in_order():
    """Without an average there is an area for (0, 1), (0, 2) and (1, 2)."""
    y_true, score, _ = scored()
    found = roc_auc_score(y_true, score, num_classes=3, multi_class="ovo", average=None)
    for value, pair in zip(np.asarray(found), [(0, 1), (0, 2), (1, 2)], strict=True):
        rows = np.isin(y_true, pair)
        areas = [oracle.roc_auc_score(y_true[rows] == k, score[rows, k]) for k in pair]
        assert value == pytest.approx(np.mean(areas), abs=1e-12)


def test_an_absent_class_makes_a_mean_nan_unless_left_out():
    """nan of the class and counted; `skip` means over the others, traced as well."""
    y_true, score, _ = scored()
    y_true = np.where(y_true == 2, 0, y_true)
    each = metric("roc_auc_score", num_classes=3, average=None)
    report = compute({"each": each}, y_true, score)
    assert np.isnan(report.values["each"]).tolist() == [False, False, True]
    assert report.undefined["each"] == 1
    present = np.asarray(report.values["each"])[:2]
    for average, expected in (
        ("macro", present.mean()),
        ("weighted", np.average(present, weights=np.bincount(y_true))),
    ):
        assert np.isnan(roc_auc_score(y_true, score, num_classes=3, average=average))
        options = {"num_classes": 3, "average": average, "absent": "skip"}
        assert roc_auc_score(y_true, score, **options) == pytest.approx(expected, abs=1e-12)
    pairs = roc_auc_score(y_true, score, num_classes=3, multi_class="ovo", average=None)
    assert np.isnan(pairs).tolist() == [False, True, True]
    nothing = {"num_classes": 3, "absent": "skip"}
    assert np.isnan(roc_auc_score(y_true * 0, score, **nothing))
    precision = average_precision_score(y_true, score, num_classes=3, average=None)
    assert np.isnan(precision).tolist() == [False, False, True]


@pytest.mark.parametrize("decimals", [0, 1, 9])
@pytest.mark.parametrize("max_fpr", [0.01, 0.37, 1])
def test_partial_areas_are_those_of_scikit_learn(decimals, max_fpr):
    """Standardised by McClish, cut inside and between steps, ties and weights and all."""
    random = np.random.default_rng(decimals)
    y_true = random.integers(0, 2, 300)
    score = np.round(random.normal(size=300) + y_true, decimals)
    weight = random.integers(0, 4, 300) / 4
    for given in (None, weight):
        expected = oracle.roc_auc_score(y_true, score, max_fpr=max_fpr, sample_weight=given)
        found = roc_auc_score(y_true, score, max_fpr=max_fpr, weight=given)
        assert found == pytest.approx(expected, abs=1e-12)
    traced = jax.jit(lambda t, s: roc_auc_score(t, s, max_fpr=max_fpr))
    narrow = score.astype(np.float32)
    expected = oracle.roc_auc_score(y_true, narrow.astype(np.float64), max_fpr=max_fpr)
    assert float(traced(y_true, narrow)) == pytest.approx(expected, abs=1e-6)


def test_partial_area_of_one_class_is_undefined():
    """nan and flagged, on the host and traced."""
    partial = metric("roc_auc_score", max_fpr=0.5)
    for y_true in ([1, 1], [0, 0], []):
        score = np.linspace(0, 1, len(y_true)).astype(np.float32)
        report = compute({"it": partial}, y_true, score)
        assert np.isnan(report.values["it"])
        assert report.undefined["it"] == 1
    traced = jax.jit(lambda t, s: roc_auc_score(t, s, max_fpr=0.5))
    assert np.isnan(traced(np.ones(2, np.int32), np.ones(2, np.float32)))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"max_fpr": 0.0}, "max_fpr must be above 0 and at most 1, not 0.0"),
        ({"max_fpr": 0.5, "num_classes": 3}, "max_fpr is for two classes"),
        ({"num_classes": 3, "multi_class": "all"}, "multi_class must be one of .*, not 'all'"),
        ({"num_classes": 3, "average": "samples"}, "average must be one of .* or None"),
        ({"num_classes": 3, "absent": "count"}, "absent must be one of .*, not 'count'"),
        ({"num_classes": 3, "multi_class": "ovo", "average": "micro"}, "average='micro' is for"),
        ({"num_classes": 1}, "num_classes must be at least 2, not 1"),
    ],
)
def test_options_outside_their_choices_are_refused(config, message):
    """A wrong option raises a ValueError that says what was found."""
    with pytest.raises(ValueError, match=message):
        metric("roc_auc_score", **config)


def test_bad_rows_are_refused():
    """A label that is no class, a score that is not finite, a column too many."""
    y_true, score, _ = scored()
    with pytest.raises(ValueError, match="y_true: 1 labels outside 0 to 2"):
        roc_auc_score(np.append(y_true[1:], 3), score, num_classes=3)
    score[5, 1] = np.nan
    with pytest.raises(ValueError, match="y_pred: 1 rows with scores that are not finite"):
        roc_auc_score(y_true, score, num_classes=3)
    with pytest.raises(ValueError, match=r"y_pred of shape \(n, 4\).* found \(200, 3\)"):
        roc_auc_score(y_true, score, num_classes=4)
