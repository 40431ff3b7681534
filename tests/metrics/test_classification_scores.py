"""Shares of rows, ratios of classes and the confusion matrix against scikit-learn."""

import itertools
import math
import warnings
from fractions import Fraction
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from modelops_jax.metrics import (
    UndefinedMetricWarning,
    accuracy_score,
    compute,
    confusion_matrix,
    f1_score,
    fbeta_score,
    hamming_loss,
    jaccard_score,
    metric,
    precision_score,
    recall_score,
    specificity_score,
    token_accuracy_score,
    zero_one_loss,
)

RATIOS: dict[str, tuple[Any, Any]] = {
    "precision_score": (precision_score, oracle.precision_score),
    "recall_score": (recall_score, oracle.recall_score),
    "f1_score": (f1_score, oracle.f1_score),
    "f2_score": (partial(fbeta_score, beta=2), partial(oracle.fbeta_score, beta=2)),
    "f03_score": (partial(fbeta_score, beta=0.3), partial(oracle.fbeta_score, beta=0.3)),
    "jaccard_score": (jaccard_score, oracle.jaccard_score),
}
AVERAGES = ("micro", "macro", "weighted", None)
# scikit-learn's Jaccard has no nan.
ZERO_DIVISIONS = [
    (name, value)
    for name in RATIOS
    for value in (0.0, 1.0, math.nan)
    if not (name == "jaccard_score" and math.isnan(value))
]


def labels(seed: int, count: int = 60, classes: int = 5, used: int = 5):
    """Random labels of which only the first `used` classes occur."""
    random = np.random.default_rng(seed)
    y_true = random.integers(0, used, count)
    y_pred = np.where(random.random(count) < 0.5, y_true, random.integers(0, used, count))
    return y_true, y_pred, random.random(count)


def same(found, expected):
    """Equal within 1e-12, nan where nan is expected, and never -0.0."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert not np.any(np.signbit(np.nan_to_num(found)))


@pytest.mark.parametrize("name", RATIOS)
@pytest.mark.parametrize("average", AVERAGES)
def test_averages_equal_scikit_learn_over_the_classes_present(name, average):
    """Unweighted and weighted, all classes present or some absent from both lists."""
    ours, theirs = RATIOS[name]
    for seed, used, weighted in itertools.product(range(2), (5, 3), (False, True)):
        y_true, y_pred, weight = labels(seed, used=used)
        given = weight if weighted else None
        found = ours(y_true, y_pred, weight=given, average=average, num_classes=5)
        chosen = range(5) if average is None else None
        expected = theirs(
            y_true, y_pred, labels=chosen, sample_weight=given, average=average, zero_division=0
        )
        same(found, expected)


@pytest.mark.parametrize(("name", "zero_division"), ZERO_DIVISIONS)
def test_absent_classes_can_be_counted_as_forced_labels_are(name, zero_division):
    """absent="count" equals scikit-learn with `labels=` forced, for every zero_division."""
    ours, theirs = RATIOS[name]
    y_true, y_pred, _ = labels(0, count=12, used=3)
    for average in ("macro", "weighted", None):
        options = {"average": average, "zero_division": zero_division}
        found = ours(y_true, y_pred, num_classes=5, absent="count", **options)
        same(found, theirs(y_true, y_pred, labels=range(5), **options))


@pytest.mark.parametrize(("name", "zero_division"), ZERO_DIVISIONS)
def test_nothing_over_nothing_is_zero_division(name, zero_division):
    """0/0 takes the value asked for in every average, as in scikit-learn."""
    ours, theirs = RATIOS[name]
    cases = [([0, 0, 1], [1, 1, 1]), ([1, 1, 1], [0, 0, 0]), ([0, 0], [0, 0]), ([2, 2], [0, 0])]
    for y_true, y_pred in cases:
        for average in ("macro", "weighted", "micro"):
            options = {"average": average, "zero_division": zero_division}
            found = ours(np.array(y_true), np.array(y_pred), num_classes=3, **options)
            same(found, theirs(y_true, y_pred, **options))
        if max(y_true + y_pred) < 2:
            found = ours(np.array(y_true), np.array(y_pred), zero_division=zero_division)
            same(found, theirs(y_true, y_pred, zero_division=zero_division))


@pytest.mark.parametrize("name", RATIOS)
def test_binary_is_of_the_positive_class_against_all_others(name):
    """Any class can be the positive one, with and without the number of classes."""
    ours, theirs = RATIOS[name]
    y_true, y_pred, weight = labels(3)
    for positive in range(5):
        expected = theirs(y_true == positive, y_pred == positive, sample_weight=weight)
        for classes in (None, 5):
            found = ours(
                y_true, y_pred, weight=weight, positive_class=positive, num_classes=classes
            )
            same(found, expected)


@pytest.mark.parametrize("average", AVERAGES)
def test_specificity_is_the_recall_of_all_other_rows(average):
    """Against scikit-learn's one-against-all tables, classes absent and weights included."""
    for seed, used, weighted in itertools.product(range(2), (5, 3), (False, True)):
        y_true, y_pred, weight = labels(seed, used=used)
        given = weight if weighted else None
        chosen = range(5) if average is None else range(used)
        tables = oracle.multilabel_confusion_matrix(
            y_true, y_pred, labels=chosen, sample_weight=given
        )
        rejected, negatives = tables[:, 0, 0], tables[:, 0].sum(1)
        expected = {
            "micro": rejected.sum() / negatives.sum(),
            "macro": np.mean(rejected / negatives),
            "weighted": np.average(rejected / negatives, weights=tables[:, 1].sum(1)),
            None: rejected / negatives,
        }[average]
        found = specificity_score(y_true, y_pred, weight=given, average=average, num_classes=5)
        same(found, expected)


def test_specificity_of_two_classes_is_recall_of_the_other():
    """Binary, with and without the number of classes; 0/0 where there are no other rows."""
    y_true, y_pred, weight = labels(9, used=2)
    expected = oracle.recall_score(y_true, y_pred, pos_label=0, sample_weight=weight)
    for classes in (None, 2):
        same(specificity_score(y_true, y_pred, weight=weight, num_classes=classes), expected)
    for classes, zero_division in itertools.product((None, 2), (0.0, 1.0, math.nan)):
        options = {"num_classes": classes, "zero_division": zero_division}
        report = compute({"it": metric("specificity_score", **options)}, [1, 1], [0, 1])
        same(report.values["it"], zero_division)
        assert report.undefined["it"] == 1
    assert specificity_score([0, 0], [1, 1]) == 0.0


def test_specificity_does_not_cancel():
    """A few light negatives beside heavy positives keep all their digits."""
    y_true, y_pred = np.array([1, 1, 0, 0]), np.array([1, 0, 0, 1])
    weight = np.array([1e15, 3e15, 1e-3, 2e-3])
    for classes in (None, 2, 5):
        same(specificity_score(y_true, y_pred, weight=weight, num_classes=classes), 1 / 3)


def test_the_ends_of_beta_are_precision_and_recall():
    """0, infinity and the scale of beta; a negative or undefined one is refused."""
    y_true, y_pred, _ = labels(10, used=4)
    options = {"average": None, "num_classes": 5}
    ends = {0: precision_score, 1: f1_score, math.inf: recall_score}
    for beta, function in ends.items():
        same(fbeta_score(y_true, y_pred, beta=beta, **options), function(y_true, y_pred, **options))
    same(
        fbeta_score(y_true, y_pred, beta=1e200, **options), recall_score(y_true, y_pred, **options)
    )
    for beta in (-1, math.nan):
        with pytest.raises(ValueError, match="beta must be 0 or more"):
            fbeta_score(y_true, y_pred, beta=beta)


def test_micro_jaccard_needs_no_number_of_classes():
    """The share of matches knows it: equal / (equal + 2 different)."""
    y_true, y_pred, weight = labels(11)
    expected = oracle.jaccard_score(y_true, y_pred, average="micro", sample_weight=weight)
    for classes in (None, 5):
        found = jaccard_score(y_true, y_pred, average="micro", weight=weight, num_classes=classes)
        same(found, expected)
    with pytest.raises(ValueError, match="average='micro' needs num_classes"):
        specificity_score(y_true, y_pred, average="micro")


@pytest.mark.parametrize("name", ["hamming_loss", "zero_one_loss"])
def test_losses_are_the_share_that_differs(name):
    """As scikit-learn's, over either statistic; nan of no rows, never a perfect 0."""
    ours = {"hamming_loss": hamming_loss, "zero_one_loss": zero_one_loss}[name]
    y_true, y_pred, weight = labels(12)
    for given, classes in itertools.product((None, weight), (None, 5)):
        expected = getattr(oracle, name)(y_true, y_pred, sample_weight=given)
        same(ours(y_true, y_pred, weight=given, num_classes=classes), expected)
    none = np.zeros(0, np.int32)
    for classes in (None, 3):
        report = compute({"it": metric(name, num_classes=classes)}, none, none)
        assert math.isnan(report.values["it"])
        assert report.undefined["it"] == 1


@pytest.mark.parametrize("weighted", [False, True])
def test_hamming_loss_of_a_class_is_what_its_recall_lacks(weighted):
    """And its macro-average what balanced accuracy lacks: of classes that have true rows."""
    y_true, y_pred, weight = labels(13)
    y_pred[:3] = 5  # predicted, and nowhere true
    given = weight if weighted else None
    found = {
        average: hamming_loss(y_true, y_pred, weight=given, num_classes=7, average=average)
        for average in (None, "macro", "weighted", "micro")
    }
    of_classes: dict[str, Any] = {"labels": range(5), "average": None, "zero_division": 0}
    recall = np.asarray(oracle.recall_score(y_true, y_pred, sample_weight=given, **of_classes))
    same(found[None], [*(1 - recall), math.nan, math.nan])
    same(found["macro"], 1 - np.mean(recall))
    loss = oracle.zero_one_loss(y_true, y_pred, sample_weight=given)
    same([found["weighted"], found["micro"]], [loss, loss])
    with pytest.raises(ValueError, match=r"average='macro' needs num_classes, .*or num_labels"):
        hamming_loss(y_true, y_pred, average="macro")


def test_confusion_matrix_is_scikit_learns():
    """Integer counts unweighted, sums of weights weighted, few classes and many."""
    for classes in (2, 5, 40):
        y_true, y_pred, weight = labels(4, count=500, used=classes)
        found = confusion_matrix(y_true, y_pred, num_classes=classes)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, oracle.confusion_matrix(y_true, y_pred))
        found = confusion_matrix(y_true, y_pred, num_classes=classes, weight=weight)
        same(found, oracle.confusion_matrix(y_true, y_pred, sample_weight=weight))


@settings(max_examples=40)
@drawn(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_macro_f1_is_the_exact_fraction(rows):
    """Against exact fractions on arbitrary small inputs."""
    y_true, y_pred = (np.array(column) for column in zip(*rows, strict=True))
    per_class = []
    for label in sorted({*y_true, *y_pred}):
        hits = int(((y_true == label) & (y_pred == label)).sum())
        per_class.append(Fraction(2 * hits, int((y_true == label).sum() + (y_pred == label).sum())))
    exact = float(sum(per_class) / len(per_class))
    assert abs(f1_score(y_true, y_pred, average="macro", num_classes=4) - exact) <= 1e-15


@pytest.mark.parametrize("kind", [np.bool_, np.int8, np.uint8, np.uint16, np.int32, np.int64])
def test_every_integer_type_is_a_label_type(kind):
    """Booleans and integers of any width give the same value, traced or not."""
    y_true, y_pred, _ = labels(5, used=2)
    expected = oracle.f1_score(y_true, y_pred)
    given = y_true.astype(kind), y_pred.astype(kind)
    same(f1_score(*given), expected)
    found = jax.jit(f1_score)(*map(jnp.asarray, given))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_wide_labels_are_not_cut_to_32_bits():
    """2**40 is not 0: 64-bit labels are compared in 64 bits."""
    y_true, y_pred = np.array([2**40, 2**40, 5]), np.array([0, 2**40, 5])
    assert accuracy_score(y_true, y_pred) == pytest.approx(2 / 3, abs=1e-15)
    with pytest.raises(
        ValueError, match=r"y_true: 2 labels outside 0 to 5, .* index 0; y_pred: 1 labels"
    ):
        accuracy_score(y_true, y_pred, num_classes=6)


@pytest.mark.parametrize("bits", [32, 64])
def test_unsigned_labels_are_not_negative_ones(bits):
    """2**bits - 1 is not -1, and is itself in any type that holds it, host or traced."""
    unsigned = np.array([2**bits - 1, 2**bits - 1, 5], f"uint{bits}")
    signed = np.array([-1, -1, 5], f"int{bits}")
    third = pytest.approx(1 / 3, abs=1e-6)
    assert accuracy_score(unsigned, signed) == accuracy_score(signed, unsigned) == third
    assert accuracy_score(unsigned, unsigned) == 1.0
    assert recall_score(unsigned, signed, positive_class=-1) == 0.0
    assert token_accuracy_score(unsigned[:, None], signed[:, None], ignore_index=-1) == third
    if bits == 32:
        assert accuracy_score(unsigned, unsigned.astype(np.int64)) == 1.0
        assert jax.jit(accuracy_score)(unsigned, signed) == third


def test_a_wide_class_count_fits_narrow_labels():
    """300 classes with 8-bit labels: the bound does not wrap around."""
    y_true = np.array([0, 100, 127], np.int8)
    assert accuracy_score(y_true, y_true, num_classes=300) == 1.0


def test_minus_one_is_never_counted_as_a_class():
    """An ignore label is an error, not class 0 (bincount) nor the last class (negative index)."""
    y_true, y_pred = np.array([0, 5, -1, 2]), np.array([0, 1, 2, -1])
    for classes in (3, 2):  # the path of few cells, and of many
        with pytest.raises(ValueError, match=r"y_true: \d labels outside .*; y_pred: \d labels"):
            confusion_matrix(y_true, y_pred, num_classes=classes)
    for classes in (3, 2):
        traced = jax.jit(lambda t, p, c=classes: confusion_matrix(t, p, num_classes=c))
        assert (traced(y_true, y_pred) == -1).all()
    keep = np.array([True, False, False, False])
    masked = confusion_matrix(y_true, y_pred, num_classes=3, weight=keep)
    np.testing.assert_array_equal(masked, np.diag([1, 0, 0]))


def test_a_prediction_outside_the_classes_is_not_folded_into_another_cell():
    """predictions [0, 5] of 3 classes are no cell (2, 2): the row is invalid."""
    with pytest.raises(ValueError, match="y_pred: 1 labels outside 0 to 2"):
        accuracy_score(np.array([0, 1]), np.array([0, 5]), num_classes=3)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("accuracy_score", {"num_classes": 3}),
        ("f1_score", {"average": "macro", "num_classes": 3}),
        ("f1_score", {"average": None, "num_classes": 3}),
    ],
)
def test_invalid_labels_under_tracing_give_nan(name, options):
    """Inside jit a failure is data: every entry of the value is nan."""
    function = {"accuracy_score": accuracy_score, "f1_score": f1_score}[name]
    found = jax.jit(lambda t, p: function(t, p, **options))(np.array([0, 7]), np.array([0, 1]))
    assert jnp.isnan(found).all()


def test_empty_input_gives_zero_and_counts_as_undefined():
    """Count ratios of no rows are 0 and flagged; the matrix is all zeros."""
    metrics = {
        name: metric(name, **({"num_classes": 3, "average": "macro"} if "f1" in name else {}))
        for name in ("accuracy_score", "precision_score", "recall_score", "f1_score")
    }
    none = np.zeros(0, np.int32)
    report = compute(metrics, none, none)
    assert report.values == dict.fromkeys(metrics, 0.0)
    assert report.undefined == dict.fromkeys(metrics, 1) | {"f1_score": 0}
    assert report.rows == 0
    assert not confusion_matrix(none, none, num_classes=2).any()


def test_undefined_classes_are_counted():
    """The report says how many classes of a mean were 0/0."""
    f1 = metric("f1_score", average="macro", num_classes=4, absent="count")
    precision = metric("precision_score", average=None, num_classes=4)
    rows = np.array([0, 1, 1]), np.array([0, 0, 0])
    report = compute({"f1": f1, "precision": precision}, *rows)
    assert report.undefined == {"f1": 2, "precision": 3}


def test_f1_is_not_made_from_precision_and_recall():
    """Where precision and recall are both 0 and defined, F1 is 0 and defined, not 0/0."""
    report = compute({"f1": metric("f1_score", zero_division=math.nan)}, [1, 0], [0, 1])
    assert report.values["f1"] == 0.0
    assert report.undefined["f1"] == 0


def test_perfect_predictions_give_exactly_one():
    """No epsilon: perfect is 1, not 0.99999982."""
    y_true, _, weight = labels(6)
    for average in ("micro", "macro", "weighted"):
        options = {"weight": weight, "average": average, "num_classes": 5}
        assert f1_score(y_true, y_true, **options) == 1.0
        assert fbeta_score(y_true, y_true, beta=0.3, **options) == 1.0
        assert jaccard_score(y_true, y_true, **options) == 1.0
        assert specificity_score(y_true, y_true, **options) == 1.0


def test_float_labels_are_refused():
    """Scores passed where labels belong are named as what they are."""
    with pytest.raises(TypeError, match="y_pred must hold integer or boolean labels, not float64"):
        accuracy_score(np.array([0, 1]), np.array([0.2, 0.9]))


def test_scikit_learn_warns_of_nothing_we_hide():
    """Where scikit-learn warns of an undefined ratio our report counts one."""
    y_true, y_pred = np.array([0, 0, 1]), np.array([0, 0, 0])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        oracle.precision_score(y_true, y_pred)
    report = compute({"p": metric("precision_score")}, y_true, y_pred)
    assert len(caught) == report.undefined["p"] == 1


def test_warn_is_zero_and_warns_of_concrete_rows():
    """scikit-learn's fourth value of `zero_division`; nothing is said where nothing is 0/0."""
    for function in (precision_score, recall_score, f1_score):
        with pytest.warns(UndefinedMetricWarning, match="1 of its ratios are 0/0"):
            assert function([0, 0], [0, 0], zero_division="warn") == 0.0
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert function([0, 1], [0, 1], zero_division="warn") == 1.0
    with pytest.raises(ValueError, match="must be 0, 1, nan or 'warn', not 'raise'"):
        f1_score([0], [0], zero_division="raise")
