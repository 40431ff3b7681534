"""Top-k accuracy, log loss and Brier score against scikit-learn, with a column per class."""

import decimal
import math
from decimal import Decimal
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics as oracle

from modelops_jax.metrics import (
    ClassRowMean,
    Metric,
    bootstrap_intervals,
    brier_score_loss,
    compute,
    log_loss,
    metric,
    top_k_accuracy_score,
)
from modelops_jax.metrics._class_rows import cross_entropy
from modelops_jax.metrics._compute import BUCKETS

LOSSES: dict[str, tuple[Any, Any]] = {
    "log_loss": (log_loss, oracle.log_loss),
    "brier_score_loss": (brier_score_loss, oracle.brier_score_loss),
}


def scored(classes: int = 5, count: int = 60, seed: int = 0):
    """Labels, scores with ties, and weights; all classes occur."""
    random = np.random.default_rng(seed)
    y_true = np.concatenate([np.arange(classes), random.integers(0, classes, count - classes)])
    scores = np.round(random.normal(size=(count, classes)) + np.eye(classes)[y_true], 1)
    return y_true, scores, random.random(count)


def softmax(scores):
    """Probabilities of the scores."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def same(found, expected):
    """Equal within 1e-12 of max(1, |value|)."""
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("k", [1, 3])
def test_top_k_accuracy_is_scikit_learns_ties_included(k):
    """Weighted; of equal scores the later class is the higher one."""
    y_true, scores, weight = scored()
    for given in (scores, np.zeros_like(scores), scores + np.arange(5) * 1e-3):
        expected = oracle.top_k_accuracy_score(y_true, given, k=k, sample_weight=weight)
        same(top_k_accuracy_score(y_true, given, k=k, weight=weight), expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_top_k_accuracy_of_each_class_is_that_of_its_rows(weighted):
    """And the averages are the means over classes that have rows, alike and by their rows."""
    y_true, scores, weight = scored()
    scores = np.concatenate([scores, np.full((len(scores), 1), -9.0)], axis=1)  # a class of no row
    given = weight if weighted else np.ones(len(y_true))
    each = [
        oracle.top_k_accuracy_score(
            y_true[y_true == c], scores[y_true == c], k=2, labels=range(6),
            sample_weight=given[y_true == c],
        )
        for c in range(5)
    ]  # fmt: skip
    support = [given[y_true == c].sum() for c in range(5)]
    expected: dict[Any, Any] = {
        None: [*each, math.nan],
        "macro": np.mean(each),
        "weighted": np.average(each, weights=support),
        "micro": oracle.top_k_accuracy_score(
            y_true, scores, k=2, labels=range(6), sample_weight=given
        ),
    }
    asked = {
        str(average): metric("top_k_accuracy_score", average=average, num_classes=6)
        for average in expected
    }
    report = compute(asked, y_true, scores, weight=weight if weighted else None)
    for average, value in expected.items():
        same(report.values[str(average)], value)
    assert report.undefined == {"None": 1, "macro": 0, "weighted": 0, "micro": 0}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_probabilities_are_scikit_learns(name):
    """A column per class, weighted and not; of two classes also the one column."""
    ours, theirs = LOSSES[name]
    y_true, scores, weight = scored()
    probability = softmax(scores)
    for given in (None, weight):
        expected = theirs(y_true, probability, sample_weight=given)
        same(ours(y_true, probability, weight=given), expected)
    y_true, scores, weight = scored(2)
    probability = softmax(scores)
    expected = theirs(y_true, probability, sample_weight=weight)
    same(ours(y_true, probability, weight=weight), expected)
    same(ours(y_true == 1, probability[:, 1].tolist(), weight=weight), expected)


def test_logits_give_the_loss_of_their_softmax():
    """Of shape (n, k), and of shape (n,) where the sigmoid is the probability of class 1."""
    y_true, scores, weight = scored()
    expected = oracle.log_loss(y_true, softmax(scores), sample_weight=weight)
    same(log_loss(y_true, scores, weight=weight, from_logits=True), expected)
    same(log_loss(y_true, scores + 100, weight=weight, from_logits=True), expected)
    y_true, scores, _ = scored(2)
    expected = oracle.log_loss(y_true, softmax(scores))
    same(log_loss(y_true, scores[:, 1] - scores[:, 0], from_logits=True), expected)


def test_large_logits_lose_nothing():
    """Losses of 1,000 and of exp(-40), where a probability in between would be 0 or 1."""
    logits = [[1000.0, 0.0], [0.0, 40.0]]
    with decimal.localcontext(prec=40):
        one, other = ((1 + Decimal(-size).exp()).ln() for size in (1000, 40))
        exact, tiny = float((1000 + one + other) / 2), float(other)
    same(log_loss([1, 1], logits, from_logits=True), exact)
    assert log_loss([1], [40.0], from_logits=True) == pytest.approx(tiny, rel=1e-12)
    assert log_loss([0], [[1000.0, 0.0]], from_logits=True) == 0.0


def test_a_label_of_probability_zero_costs_infinity():
    """The definition, where scikit-learn clips: in one block, merged, and traced."""
    y_true, probability = np.array([0, 1, 0]), np.array([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5]])
    assert log_loss(y_true, probability) == math.inf
    keep = np.array([True, False, True])
    same(log_loss(y_true, probability, weight=keep), math.log(2) / 2)
    loss = metric("log_loss")
    update, state = jax.jit(loss.update), loss.identity()
    for row in range(3):
        state = update(state, y_true[row : row + 1], probability[row : row + 1])
    assert loss.finalize(state).value == math.inf
    assert jax.jit(log_loss)(y_true, probability) == math.inf
    interval = bootstrap_intervals({"it": loss}, y_true, probability)["it"]
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_rows_that_were_left_out_have_no_slope():
    """A masked row with probability 0 of its label does not make the gradient nan."""
    probability = jnp.array([[0.25, 0.75], [0.0, 1.0]])
    keep = jnp.array([True, False])
    loss = jax.jit(jax.grad(lambda p: log_loss(jnp.array([1, 0]), p, weight=keep)))
    slope = loss(probability)
    np.testing.assert_allclose(slope, [[0, -1 / 0.75], [0, 0]], rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    "bad", [[0.5, 0.6], [0.5, 0.5 - 1e-6], [1.2, -0.2], [math.nan, 0.5], [math.inf, 0.0]]
)
def test_rows_that_are_no_probabilities_are_refused(name, bad):
    """A sum that is not 1, entries outside 0 to 1, nan: an error, and nan traced."""
    ours, _ = LOSSES[name]
    rows = np.array([[0.5, 0.5], bad])
    with pytest.raises(ValueError, match="y_pred: 1 rows that are no probabilities"):
        ours([0, 1], rows)
    if abs(sum(bad) - 1) > 1e-3 or bad[0] > 1:
        assert np.isnan(jax.jit(ours)(np.array([0, 1]), rows.astype(np.float32)))
    if not 0 <= bad[0] <= 1:
        with pytest.raises(ValueError, match="y_pred: 1 rows that are no probabilities"):
            ours([0, 1], rows[:, 0])


@pytest.mark.parametrize("kind", [np.float32, np.float16, jnp.bfloat16])
def test_the_sum_of_probabilities_is_judged_by_their_precision(kind):
    """Sums may be off by the root of eps, as in scikit-learn; one that is 10 % off never passes."""
    y_true, scores, _ = scored(count=500)
    off = 0.4 * float(jnp.finfo(kind).eps) ** 0.5
    probability = ((1 - off) * softmax(scores)).astype(kind)
    expected = np.mean(-np.log(probability.astype(np.float64)[np.arange(500), y_true]))
    same(log_loss(y_true, probability), expected)
    with pytest.raises(ValueError, match="y_pred: 500 rows"):
        log_loss(y_true, (0.9 * probability.astype(np.float64)).astype(kind))


def test_labels_that_are_no_column_are_refused():
    """On every path of y_pred, -1 included; what a mask leaves out is not looked at."""
    probability = np.full((4, 3), 1 / 3)
    y_true = np.array([0, 3, -1, 2**40])
    for found in (metric("log_loss"), metric("log_loss", from_logits=True)):
        with pytest.raises(ValueError, match="y_true: 3 labels that are no column of y_pred"):
            compute({"it": found}, y_true, probability)
    with pytest.raises(ValueError, match="y_true: 3 labels"):
        brier_score_loss(y_true, probability[:, 0])
    same(log_loss(y_true, probability, weight=y_true == 0), math.log(3))
    with pytest.raises(TypeError, match="y_true must hold integer or boolean labels"):
        log_loss(np.array([0.0, 1.0]), probability[:2])
    with pytest.raises(ValueError, match="y_pred: 1 rows with scores that are not finite"):
        top_k_accuracy_score([0, 1], [[0.1, 0.2, 0.3], [-np.inf, 0.1, 0.2]])


def test_shapes_that_do_not_fit_are_refused_with_all_of_them():
    """Concrete and traced; nothing is broadcast, squeezed or guessed."""
    labels, table = np.zeros(3, np.int32), np.full((3, 2), 0.5)
    for function in (log_loss, jax.jit(log_loss)):
        with pytest.raises(ValueError, match=r"one length; found y_true \(3,\), y_pred \(2, 2\)"):
            function(labels, table[:2])
        with pytest.raises(ValueError, match=r"\(n,\) or \(n, k\) and all else of shape \(n,\)"):
            function(labels, table[None])
        with pytest.raises(ValueError, match=r"y_pred of shape .*; found y_true \(3, 2\)"):
            function(np.zeros((3, 2), np.int32), table)
        with pytest.raises(ValueError, match="a column per class, 2 or more; it has 1"):
            function(labels, table[:, :1])
    with pytest.raises(ValueError, match=r"y_pred of shape \(n, k\) .*; found .*y_pred \(3,\)"):
        top_k_accuracy_score(labels, table[:, 0])
    with pytest.raises(ValueError, match=r"one axis, shape \(n,\); found .*y_pred \(3, 2\)"):
        compute({"it": metric("mean_squared_error")}, labels, table)
    both = {"top": metric("top_k_accuracy_score"), "accuracy": metric("accuracy_score")}
    with pytest.raises(ValueError, match="cannot share one pass"):
        compute(both, labels, table)


def test_losses_of_one_column_share_a_pass_with_its_other_metrics():
    """Probabilities of class 1 are scores and values too."""
    y_true, scores, _ = scored(2)
    probability = softmax(scores)[:, 1]
    names = ("log_loss", "brier_score_loss", "roc_auc_score", "mean_squared_error")
    found = compute({name: metric(name) for name in names}, y_true, probability).values
    for name in names:
        same(found[name], getattr(oracle, name)(y_true, probability))


def test_k_has_its_bounds():
    """0 looks at nothing, and all classes are always right."""
    with pytest.raises(ValueError, match="k must be at least 1, not 0"):
        metric("top_k_accuracy_score", k=0)
    with pytest.raises(ValueError, match="k is 3, y_pred has 3 columns"):
        top_k_accuracy_score([0, 1], np.eye(3)[:2], k=3)
    with pytest.raises(ValueError, match="y_pred has 3 columns; num_classes=4 expects one per"):
        top_k_accuracy_score([0, 1], np.eye(3)[:2], k=2, num_classes=4)
    with pytest.raises(ValueError, match="average='macro' needs num_classes"):
        metric("top_k_accuracy_score", average="macro")
    with pytest.raises(ValueError, match=r"average must be one of .*'macros'"):
        metric("top_k_accuracy_score", average="macros", num_classes=3)


def test_no_rows_are_undefined():
    """nan, and counted, for empty arrays of both shapes and for masked rows."""
    metrics = {"log": metric("log_loss"), "brier": metric("brier_score_loss")}
    none = np.zeros(0, np.int32)
    for y_pred in (np.zeros((0, 3)), np.zeros(0)):
        report = compute(metrics, none, y_pred)
        assert all(math.isnan(value) for value in report.values.values())
        assert report.undefined == {"log": 1, "brier": 1}
    assert math.isnan(top_k_accuracy_score(none, np.zeros((0, 3))))


def test_perfect_probabilities_lose_exactly_nothing():
    """0 and not -0.0 nor a clipped 2e-16; one-hot integers are probabilities too."""
    y_true, _, _ = scored()
    for loss in (log_loss, brier_score_loss):
        found = loss(y_true, np.eye(5, dtype=int)[y_true])
        assert found == 0
        assert not np.signbit(found)


SHAPES: list[tuple[int, ...]] = []


class Noted(ClassRowMean):
    """A mean that notes the shape of every block it is traced for."""

    @classmethod
    def of_rows_together(cls, statistics, rows):
        SHAPES.append(rows.y_pred.shape)
        return super().of_rows_together(statistics, rows)


def test_wide_rows_go_through_short_blocks():
    """A table longer than the block of its width gives NumPy's loss, host and traced.

    2,048 and 512 rows at a time from the host, of which at most 2**17 numbers at once.
    """
    random = np.random.default_rng(1)
    classes, count = BUCKETS[-1] // BUCKETS[1], BUCKETS[1] + 3
    y_true = random.integers(0, classes, count)
    logits = random.normal(size=(count, classes)).astype(np.float32)
    wide = logits.astype(np.float64)
    expected = np.mean(np.log(np.exp(wide).sum(1)) - wide[np.arange(count), y_true])
    noted = Metric(
        "noted", (Noted(cross_entropy, probabilities=False),), metric("log_loss").finalizer
    )
    same(compute({"it": noted}, y_true, logits).values["it"], expected)
    assert set(SHAPES) == {(1024, classes), (0, classes), (512, classes)}
    traced = jax.jit(lambda t, p: log_loss(t, p, from_logits=True))
    np.testing.assert_allclose(traced(y_true, logits), expected, rtol=1e-6)


def test_intervals_resample_whole_rows():
    """The interval of a mean of per-row losses is that of resampling the losses themselves."""
    y_true, scores, weight = scored(count=700)
    probability = softmax(scores)
    metrics = {"log": metric("log_loss"), "brier": metric("brier_score_loss")}
    found = bootstrap_intervals(metrics, y_true, probability, weight=weight)
    own = probability[np.arange(700), y_true]
    per_row = {
        "log": -np.log(own),
        "brier": np.sum((np.eye(5)[y_true] - probability) ** 2, axis=1),
    }
    random = np.random.default_rng(2)
    index = random.integers(0, 700, (2000, 700))
    for name, losses in per_row.items():
        means = (losses * weight)[index].sum(1) / weight[index].sum(1)
        ends = np.quantile(means, [0.025, 0.975])
        noise = 8 * np.std(means) / math.sqrt(1000)
        assert np.all(np.abs(ends - (found[name].low, found[name].high)) < noise)
