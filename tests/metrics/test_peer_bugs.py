"""Wrong answers that other libraries have given, each with the right one.

The first part are results of metrax 0.2.4, torchmetrics 1.9 and JAX's own primitives, reproduced
there; the second the cases at the edge of each definition.
"""

import math
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from modelops_jax import metrics
from modelops_jax.evaluation import (
    AccuracyMetric,
    ModelEvaluator,
    UndefinedMetricWarning,
    bleu_metric,
    word_error_rate_metric,
)
from modelops_jax.metrics import MetricStream, compute, metric

# Its inferred types do not know every value that its documentation allows.
sk: Any = sklearn.metrics


def scored(count: int = 400):
    """Labels and logits that rank them with an area near 0.76."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, count)
    return labels, random.normal(size=count) + labels


@pytest.mark.parametrize("scale", ["logits", "rare event", "over-confident", "logits near 98"])
def test_area_of_scores_of_any_scale(scale):
    """metrax took 200 thresholds in [0, 1]: 0.24 of logits, 0.67 of probabilities below 0.01."""
    labels, logits = scored()
    with np.errstate(over="ignore"):
        scores = {
            "logits": logits,
            "rare event": 0.01 / (1 + np.exp(-logits)),
            "over-confident": 1 / (1 + np.exp(-20 * logits)),
            "logits near 98": 98 + logits,
        }[scale]
    expected = sk.roc_auc_score(labels, scores)
    assert metrics.roc_auc_score(labels, scores) == pytest.approx(expected, abs=1e-12)
    if scale != "over-confident":
        assert expected == pytest.approx(sk.roc_auc_score(labels, logits), abs=1e-12)


def test_scores_are_not_guessed_to_be_logits_from_their_batch():
    """torchmetrics takes a sigmoid of a batch that leaves [0, 1]: 1.0 in one, 0.899 one by one."""
    labels, scores = np.arange(20) % 3 > 0, np.linspace(-2, 1.8, 20)[np.argsort(np.arange(20) % 7)]
    stream = MetricStream({"area": metric("roc_auc_score")})
    for row in range(20):
        stream.update(labels[row : row + 1], scores[row : row + 1])
    whole = metrics.roc_auc_score(labels, scores)
    assert stream.report().values["area"] == whole
    assert whole == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-12)


def test_a_third_label_is_no_row_to_drop():
    """metrax dropped a row with the label 2 and gave 1.0."""
    with pytest.raises(ValueError, match="y_true: 1 labels other than 0 and 1, the first at inde"):
        metrics.roc_auc_score([0, 1, 2], [0.1, 0.9, 0.5])


def test_a_state_goes_through_jit():
    """metrax's AUCPR could not: its number of thresholds was data."""
    f2 = metric("fbeta_score", beta=2)
    state = f2.update(f2.identity(), jnp.array([1, 0, 1]), jnp.array([1, 1, 1]))
    assert jax.jit(lambda s: f2.finalize(s).value)(state) == pytest.approx(10 / 11, abs=1e-6)


def test_fbeta_merges_and_is_exactly_one_when_perfect():
    """metrax's did not merge, and gave 0.99999982."""
    half = metric("fbeta_score", beta=0.5)
    parts = [half.update(half.identity(), jnp.array([1, 0]), jnp.array([1, 0])) for _ in range(2)]
    assert half.finalize(half.merge(*parts)).value == 1.0


@pytest.mark.parametrize("offset", [1e3, 1e4, 1e6])
def test_r2_far_from_zero_in_float32(offset):
    """metrax gave 0.995 at an offset of 1e4, torchmetrics 0.986; the truth is 0.91."""
    random = np.random.default_rng(1)
    y_true = (offset + random.normal(size=4000)).astype(np.float32)
    y_pred = (y_true + 0.3 * random.normal(size=4000)).astype(np.float32)
    wide = [column.astype(np.float64) for column in (y_true, y_pred)]
    for name in ("r2_score", "explained_variance_score"):
        expected = getattr(sk, name)(*wide)
        assert getattr(metrics, name)(y_true, y_pred) == pytest.approx(expected, abs=1e-6)


def test_columns_are_never_broadcast():
    """metrax's accuracy of shapes (4,) and (4, 1) was 2.0."""
    labels = np.array([0, 1, 1, 0])
    with pytest.raises(ValueError, match=r"y_true \(4,\), y_pred \(4, 1\)"):
        metrics.accuracy_score(labels, labels[:, None])
    with pytest.raises(ValueError, match=r"y_pred has shape \(4, 1\)"):
        AccuracyMetric().compute(labels, labels[:, None])


def test_two_columns_are_two_vectors():
    """Shape (n, 1) on both sides is shape (n,): everywhere, traced too; a weight is a vector."""
    labels, other = np.array([0, 1, 1, 0])[:, None], np.array([0, 1, 0, 0])[:, None]
    score = np.array([0.2, 0.9, 0.4, 0.1])[:, None]
    for accuracy in (metrics.accuracy_score, jax.jit(metrics.accuracy_score)):
        assert float(accuracy(labels, other)) == 0.75
    assert metrics.log_loss(labels, score) == metrics.log_loss(labels[:, 0], score[:, 0])
    assert metrics.roc_auc_score(labels, score, weight=np.ones(4)) == 1.0
    assert metrics.f1_score(labels, other, num_labels=1, average="macro") == pytest.approx(2 / 3)
    assert AccuracyMetric().compute(labels, other) == 0.75
    assert ModelEvaluator("ranking").evaluate(labels, score).metrics["auc_roc"] == 1.0
    evaluator = ModelEvaluator("binary", metrics=["roc_auc_score"])
    assert evaluator.evaluate(labels, None, y_score=score).metrics["roc_auc_score"] == 1.0
    with pytest.raises(ValueError, match=r"weight \(4, 1\)"):
        metrics.accuracy_score(labels, other, weight=np.ones((4, 1)))


def test_ranks_of_a_stream_trace_nothing():
    """Spearman's state of metrax grew inside jit: five batches, five traces."""
    y_true, y_pred = np.random.default_rng(2).normal(size=(2, 50))
    stream = MetricStream({"rho": metric("spearman_corrcoef")})
    with jax.no_tracing():
        for batch in range(5):
            stream.update(*(c[batch * 10 : batch * 10 + 10] for c in (y_true, y_pred)))
    assert stream.report().values["rho"] == metrics.spearman_corrcoef(y_true, y_pred)


def test_nan_is_no_negative_prediction():
    """metrax counted a prediction of nan as negative."""
    with pytest.raises(TypeError, match="y_pred must hold integer or boolean labels"):
        metrics.precision_score([0, 1], [np.nan, 1.0])
    with pytest.raises(ValueError, match="y_pred has the label nan at index 0"):
        ModelEvaluator("binary").evaluate([0, 1], [np.nan, 1.0])


def test_the_ignored_label_minus_one_is_no_class():
    """`jnp.bincount` counts -1 as class 0, `.at[-1]` as the last class."""
    y_true, y_pred = np.array([0, 1, -1, -1]), np.array([0, 0, 1, 2])
    options: dict[str, Any] = {"num_classes": 3, "ignore_index": -1}
    found = np.asarray(metrics.confusion_matrix(y_true, y_pred, **options))
    assert found.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]
    with pytest.raises(ValueError, match="y_true: 2 labels outside 0 to 2, the first at index 2"):
        metrics.confusion_matrix(y_true, y_pred, num_classes=3)
    traced = jax.jit(lambda *rows: metrics.confusion_matrix(*rows, num_classes=3))
    assert (np.asarray(traced(y_true, y_pred)) == -1).all()  # a failure inside jit is data


def test_a_predicted_label_outside_the_classes_is_refused():
    """torchmetrics' accuracy of [0, 5] against [0, 1] with three classes was 1.0."""
    with pytest.raises(ValueError, match="y_pred: 1 labels outside 0 to 2, the first at index 1"):
        metrics.accuracy_score([0, 1], [0, 5], num_classes=3)


def test_scores_that_differ_past_float32_do_not_tie():
    """As float32, scores 1e-9 apart are ties."""
    labels, scores = [0, 1, 0, 1], np.array([0.5, 0.5 + 1e-9, 0.5 + 2e-9, 0.5 + 3e-9])
    assert metrics.roc_auc_score(labels, scores) == 0.75
    assert metrics.roc_auc_score(labels, scores.astype(np.float32)) == 0.5


def test_a_confidence_of_one_is_in_the_last_bin():
    """torchmetrics put it into a bin of its own: 0.525 instead of 0.475."""
    labels, confidences = [1, 0, 1, 0], [1.0, 1.0, 0.95, 0.95]
    found = metrics.expected_calibration_error(labels, confidences, bins=10)
    assert found == pytest.approx(0.475, abs=1e-12)


def test_products_of_large_classes_do_not_wrap():
    """100,000 rows of each class make 1e10 pairs, past 2**31."""
    labels = np.repeat([0, 1], 100_000)
    scores = np.tile(np.arange(100_000, dtype=np.float32), 2)
    assert metrics.roc_auc_score(labels, scores) == pytest.approx(0.5, abs=1e-12)
    assert jax.jit(metrics.roc_auc_score)(labels, scores) == pytest.approx(0.5, abs=1e-6)


def test_small_labels_do_not_wrap():
    """torchmetrics multiplied uint8 labels by the number of classes in uint8."""
    y_true, y_pred = np.array([0, 99, 50, 99], np.uint8), np.array([0, 99, 49, 98], np.uint8)
    expected = sk.f1_score(y_true, y_pred, average="macro", labels=range(100), zero_division=0)
    found = metrics.f1_score(y_true, y_pred, average="macro", num_classes=100, absent="count")
    assert found == pytest.approx(expected, abs=1e-12)


def test_equal_states_are_not_shared_by_their_values():
    """torchmetrics' groups alias metrics whose first states are equal."""
    stream = MetricStream({"mse": metric("mean_squared_error"), "ratio": metric("length_ratio")})
    stream.update([1.0, 1.0], [2.0, 0.0])  # both are 1 after this batch
    stream.update([1.0], [4.0])
    assert stream.report().values == {"mse": 11 / 3, "ratio": 2.0}


# The edge of each definition.


@pytest.mark.parametrize("label", [0, 1])
def test_area_of_one_class_is_nan(label):
    """Elsewhere 0.0, -0.0 or 0.5."""
    assert math.isnan(metrics.roc_auc_score([label] * 3, [0.1, 0.5, 0.3]))


def test_mean_area_with_an_absent_class():
    """nan, or, if asked for, the mean of the others; elsewhere a silent 0 was folded in."""
    labels, scores = [0, 1, 0, 1], np.eye(3)[[0, 1, 1, 0]] * 0.5 + 1 / 6
    assert math.isnan(metrics.roc_auc_score(labels, scores, num_classes=3))
    skipped = metrics.roc_auc_score(labels, scores, num_classes=3, absent="skip")
    assert skipped == pytest.approx(0.5, abs=1e-12)


def test_average_precision_without_positives_is_nan():
    """Elsewhere 0.0 or -0.0."""
    assert math.isnan(metrics.average_precision_score([0, 0], [0.1, 0.2]))


@pytest.mark.parametrize("zero_division", [0, 1, math.nan])
def test_precision_of_nothing_predicted(zero_division):
    """The asked-for value, and it is counted."""
    found = metric("precision_score", zero_division=zero_division)
    report = compute({"precision": found}, [1, 0], [0, 0])
    np.testing.assert_equal(float(report.values["precision"]), float(zero_division))
    assert report.undefined == {"precision": 1}


def test_macro_mean_over_a_class_in_neither_list():
    """Left out, as scikit-learn does without `labels`; or counted as 0, as it does with them."""
    y_true, y_pred = [0, 0, 1], [0, 1, 1]
    options: dict[str, Any] = {"average": "macro", "num_classes": 3}
    present = metrics.f1_score(y_true, y_pred, **options)
    assert present == pytest.approx(sk.f1_score(y_true, y_pred, average="macro"), abs=1e-12)
    forced = metrics.f1_score(y_true, y_pred, absent="count", **options)
    expected = sk.f1_score(y_true, y_pred, average="macro", labels=[0, 1, 2], zero_division=0)
    assert forced == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-6])
def test_r2_of_small_targets_is_not_that_of_a_constant(scale):
    """torchmetrics compares with an absolute tolerance: 0.0 for targets of scale 1e-3."""
    y_true, y_pred = np.array([1.0, 2.0, 3.0]) * scale, np.array([9.0, 2.0, 3.0]) * scale
    assert metrics.r2_score(y_true, y_pred) == pytest.approx(sk.r2_score(y_true, y_pred), rel=1e-12)


def test_r2_of_a_constant():
    """1.0 if exact and 0.0 if not; without `force_finite` nan and -inf. metrax: always 1.0."""
    constant, other = np.full(3, 0.1), np.array([0.1, 0.2, 0.3])
    assert metrics.r2_score(constant, constant) == 1.0
    assert metrics.r2_score(constant, other) == 0.0
    assert math.isnan(metrics.r2_score(constant, constant, force_finite=False))
    assert metrics.r2_score(constant, other, force_finite=False) == -math.inf


def test_r2_of_one_row_is_nan():
    """metrax gave a value."""
    assert math.isnan(metrics.r2_score([1.0], [2.0]))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_that_are_not_finite_are_refused_or_nan(bad):
    """Never dropped, never a class; inside jit the result is nan."""
    with pytest.raises(ValueError, match="y_pred: 1 values that are not finite, the first at inde"):
        metrics.mean_squared_error([1.0, 2.0], [bad, 2.0])
    with pytest.raises(ValueError, match="y_pred: 1 scores that are not finite"):
        metrics.roc_auc_score([0, 1], [bad, 2.0])
    assert math.isnan(jax.jit(metrics.mean_squared_error)(jnp.ones(2), jnp.array([bad, 1.0])))


def test_lengths_that_differ_are_refused():
    """When traced, too, with both shapes."""
    with pytest.raises(ValueError, match=r"y_true \(2,\), y_pred \(3,\)"):
        jax.jit(metrics.mean_squared_error)(jnp.ones(2), jnp.ones(3))


def test_no_rows():
    """nan, or of shares of rows 0.0 that counts as undefined; a mask that leaves nothing alike."""
    assert math.isnan(metrics.mean_squared_error(np.zeros(0), np.zeros(0)))
    shares = {"accuracy": metric("accuracy_score"), "mse": metric("mean_squared_error")}
    nothing = compute(shares, [1, 0], [1, 0], weight=[False, False])
    assert (nothing.values["accuracy"], nothing.rows) == (0.0, 0)
    assert math.isnan(nothing.values["mse"])
    assert nothing.undefined == {"accuracy": 1, "mse": 1}
    assert math.isnan(MetricStream({"mse": metric("mean_squared_error")}).report().values["mse"])


def test_correlation_with_a_constant_is_nan():
    """metrax gave 0."""
    assert math.isnan(metrics.pearson_corrcoef([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]))


def test_correlation_of_small_values():
    """torchmetrics once gave nan for values of scale 1e-6."""
    y_true, y_pred = np.random.default_rng(3).normal(size=(2, 30)) * 1e-6
    expected = np.corrcoef(y_true, y_pred)[0, 1]
    assert metrics.pearson_corrcoef(y_true, y_pred) == pytest.approx(expected, abs=1e-12)


def test_strings_are_labels():
    """Others take integers only."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UndefinedMetricWarning)
        found = ModelEvaluator("multiclass").evaluate(["a", "b", "b"], ["a", "b", "a"])
    assert found.metrics["accuracy"] == 2 / 3


def test_zero_has_no_sign():
    """torchmetrics and metrax gave -0.0."""
    worst = metrics.roc_auc_score([1, 0], [0.1, 0.9])
    assert worst == 0.0
    assert not np.signbit(worst)


def test_two_sentences_are_no_two_tokens():
    """metrax's word error rate of them was 1/2: one of six words is wrong."""
    assert word_error_rate_metric(["a b c", "d e x"], ["a b c", "d e f"]) == pytest.approx(1 / 6)


def test_a_word_error_rate_is_counted_inside_jit():
    """metrax's is not: of lengths and errors it is a ratio of sums."""
    traced = jax.jit(metrics.word_error_rate)
    assert float(traced(jnp.array([3.0, 3.0]), jnp.array([0.0, 1.0]))) == pytest.approx(1 / 6)


def test_the_reference_length_of_bleu_is_the_closest():
    """metrax took the shortest: four words beside references of two and five are too few."""
    found = bleu_metric(["a b c d"], [["a b", "a b c d e"]], max_ngram_order=1)
    assert found == pytest.approx(100 * math.exp(1 - 5 / 4), rel=1e-12)


def test_a_mask_is_never_broadcast_over_rows():
    """flax 5588: a mask of one entry counted as one row, and its sum as that of all."""
    for mask in ([True], [[True]] * 4, True):
        with pytest.raises(ValueError, match=r"y_true \(4,\), y_pred \(4,\), weight "):
            metrics.mean_squared_error([1.0, 2.0, 3.0, 4.0], [1.0] * 4, weight=np.array(mask))


@pytest.mark.model
def test_tensors_and_series_are_columns():
    """torch and pandas, as labels and as values; a type that NumPy lacks is an error."""
    import pandas
    import torch

    labels, other = [0, 1, 1, 0], [0, 1, 0, 0]
    for kind in (torch.tensor, pandas.Series, lambda c: pandas.Series(c, dtype="Int64")):
        assert AccuracyMetric().compute(kind(labels), kind(other)) == 0.75
        assert ModelEvaluator("binary").evaluate(kind(labels), kind(other)).metrics["recall"] == 0.5
    names = pandas.Series(["a", "b", "b", "a"], dtype="category")
    assert AccuracyMetric().compute(names, pandas.Series(["a", "b", "a", "a"])) == 0.75
    values = torch.tensor([1.0, 2.0])
    assert ModelEvaluator("regression").evaluate(values, values + 1).metrics["mse"] == 1.0
    with pytest.raises(TypeError):
        ModelEvaluator("regression").evaluate(values, values.to(torch.bfloat16))
