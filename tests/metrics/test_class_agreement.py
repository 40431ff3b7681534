"""Balanced accuracy, Matthews' correlation and Cohen's kappa against scikit-learn."""

import math
import warnings
from fractions import Fraction

import jax
import numpy as np
import pytest
import sklearn.metrics as oracle
from mpmath import mp

from modelops_jax.metrics import (
    balanced_accuracy_score,
    cohen_kappa_score,
    compute,
    compute_counts,
    confidence_intervals,
    matthews_corrcoef,
    metric,
)

DISTANCES = (None, "linear", "quadratic")


def labels(seed: int, classes: int, used: int, count: int = 60):
    """Random labels of which only the first `used` classes occur, and weights."""
    random = np.random.default_rng(seed)
    y_true = random.integers(0, used, count)
    y_pred = np.where(random.random(count) < 0.5, y_true, random.integers(0, used, count))
    return y_true, y_pred, random.random(count)


def same(found, expected):
    """Equal within 1e-12, nan where nan is expected, and never -0.0."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert not np.any(np.signbit(found) & (found == 0))


@pytest.mark.parametrize(("classes", "used"), [(2, 2), (5, 5), (5, 3)])
def test_values_equal_scikit_learns(classes, used):
    """Two classes, many, and some absent; unweighted and weighted."""
    y_true, y_pred, weight = labels(classes, classes, used)
    for given in (None, weight):
        options = {"weight": given, "num_classes": classes}
        same(
            matthews_corrcoef(y_true, y_pred, **options),
            oracle.matthews_corrcoef(y_true, y_pred, sample_weight=given),
        )
        same(
            balanced_accuracy_score(y_true, y_pred, **options),
            oracle.balanced_accuracy_score(y_true, y_pred, sample_weight=given),
        )
        same(
            balanced_accuracy_score(y_true, y_pred, adjusted=True, **options),
            oracle.balanced_accuracy_score(y_true, y_pred, sample_weight=given, adjusted=True),
        )
        for distance in DISTANCES:
            expected = oracle.cohen_kappa_score(
                y_true, y_pred, sample_weight=given, weights=distance, labels=range(classes)
            )
            same(cohen_kappa_score(y_true, y_pred, distance=distance, **options), expected)


def test_kappa_measures_distance_between_class_numbers():
    """Classes 0 and 4 are 4 apart though none between them occurs: scikit-learn with labels."""
    y_true, y_pred = np.array([0, 4, 1, 0, 1]), np.array([0, 4, 4, 1, 1])
    found = cohen_kappa_score(y_true, y_pred, num_classes=5, distance="quadratic")
    forced = oracle.cohen_kappa_score(y_true, y_pred, weights="quadratic", labels=range(5))
    ranks = oracle.cohen_kappa_score(y_true, y_pred, weights="quadratic")
    same(found, forced)
    assert abs(found - ranks) > 0.01


def test_opposite_predictions_reach_the_lower_ends():
    """-1 for both agreements, and -1 / (classes - 1) for adjusted balanced accuracy."""
    y_true = np.array([0, 1, 0, 1])
    for distance in DISTANCES:
        assert cohen_kappa_score(y_true, 1 - y_true, num_classes=2, distance=distance) == -1
    assert matthews_corrcoef(y_true, 1 - y_true, num_classes=2) == -1
    assert balanced_accuracy_score(y_true, 1 - y_true, num_classes=2, adjusted=True) == -1
    three = np.array([0, 1, 2])
    found = balanced_accuracy_score(three, np.roll(three, 1), num_classes=3, adjusted=True)
    assert found == -0.5


@pytest.mark.parametrize(
    ("y_true", "y_pred"), [([0, 0, 1], [1, 1, 1]), ([1, 1], [0, 1]), ([1, 1], [1, 1])]
)
def test_a_correlation_with_one_class_is_zero_and_undefined(y_true, y_pred):
    """By custom 0, even of perfect predictions, as in scikit-learn; the report counts it."""
    found = compute({"it": metric("matthews_corrcoef", num_classes=2)}, y_true, y_pred)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A single label was found", UserWarning)
        expected = oracle.matthews_corrcoef(y_true, y_pred)
    assert found.values["it"] == expected == 0.0
    assert found.undefined["it"] == 1


def test_kappa_of_one_class_is_nan_and_undefined():
    """Both lists of one class leave nothing to agree about; of different ones kappa is 0."""
    for distance in DISTANCES:
        kappa = {"it": metric("cohen_kappa_score", num_classes=3, distance=distance)}
        found = compute(kappa, [1, 1], [1, 1])
        assert math.isnan(found.values["it"])
        assert found.undefined["it"] == 1
        found = compute(kappa, [1, 1], [2, 2])
        assert found.values["it"] == 0.0
        assert found.undefined["it"] == 0


def test_balanced_accuracy_leaves_out_classes_without_true_rows():
    """Such a class counts as undefined where it was predicted: there scikit-learn warns."""
    y_true, y_pred = np.array([0, 0, 1]), np.array([0, 2, 1])
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        expected = oracle.balanced_accuracy_score(y_true, y_pred)
    found = compute({"it": metric("balanced_accuracy_score", num_classes=5)}, y_true, y_pred)
    assert found.values["it"] == expected == 0.75
    assert found.undefined["it"] == 1
    adjusted = {"it": metric("balanced_accuracy_score", num_classes=3, adjusted=True)}
    found = compute(adjusted, [1, 1], [1, 1])
    assert math.isnan(found.values["it"])
    assert found.undefined["it"] == 1


@pytest.mark.parametrize(
    "name", ["balanced_accuracy_score", "matthews_corrcoef", "cohen_kappa_score"]
)
def test_no_rows_are_undefined(name):
    """nan of nothing, and of nothing but masked rows, on the host and traced."""
    found = metric(name, num_classes=3)
    none = np.zeros(0, np.int32)
    report = compute({"it": found}, none, none)
    assert math.isnan(report.values["it"])
    assert report.undefined["it"] == 1
    rows = np.array([0, 1])
    masked = compute({"it": found}, rows, rows, weight=np.array([False, False]))
    assert math.isnan(masked.values["it"])
    traced = jax.jit(lambda t, p: found.finalize(found.update(found.identity(), t, p)).value)
    assert np.isnan(traced(none, none))


def test_a_rare_class_keeps_the_digits_of_the_correlation():
    """4 rows of one class among 10**12: the textbook's difference of squares has 5 digits left."""
    table = [[10**12, 2], [1, 3]]
    found = metric("matthews_corrcoef", num_classes=2)
    state = jax.device_get(found.identity()[0])
    cells = type(state.cells)(
        np.array(table, np.int64).astype(np.uint64) & 0xFFFF,
        np.array(table, np.int64).astype(np.uint64) >> np.uint64(16),
    )
    value = found.finalize((type(state)(cells, state.invalid),)).value
    (tn, fp), (fn, tp) = table
    with mp.workdps(50):
        below = mp.mpf((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
        exact = float(mp.mpf(tp * tn - fp * fn) / mp.sqrt(below))
    assert abs(value - exact) < 1e-12


MANY = 5_000
AGREEMENTS = ("balanced_accuracy_score", "cohen_kappa_score", "matthews_corrcoef")


@pytest.mark.parametrize("weighted", [False, True])
def test_values_of_more_classes_than_a_table_has_equal_scikit_learns(weighted):
    """80 of 5,000 classes, with weights, or with masked rows and a label to ignore."""
    y_true, y_pred, weight = labels(11, 80, 80, 500)
    place = np.sort(np.random.default_rng(12).permutation(MANY)[:80])
    y_true, y_pred, ignored = place[y_true], place[y_pred], None if weighted else int(place[7])
    weight = np.where(weight < 0.2, 0, weight)
    given, kept = weight if weighted else weight > 0, (weight > 0) & (y_true != ignored)
    weight = weight[kept] if weighted else None
    options = {"weight": given, "num_classes": MANY, "ignore_index": ignored}
    for name, ours in zip(
        AGREEMENTS, (balanced_accuracy_score, cohen_kappa_score, matthews_corrcoef), strict=True
    ):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "y_pred contains classes not in y_true", UserWarning)
            expected = getattr(oracle, name)(y_true[kept], y_pred[kept], sample_weight=weight)
        same(ours(y_true, y_pred, **options), expected)


def test_many_rows_of_many_classes_keep_all_digits():
    """A thousand million rows of one class beside few of others, against whole numbers."""
    random = np.random.default_rng(13)
    y_true, y_pred = random.integers(0, MANY, (2, 500))
    y_pred = np.where(random.random(500) < 0.5, y_true, y_pred)
    counts = random.integers(1, 9, 500)
    y_true[0], y_pred[0], counts[0] = 7, 7, 10**9
    metrics = {name: metric(name, num_classes=MANY) for name in AGREEMENTS}
    found = compute_counts(metrics, y_true, y_pred, counts)
    actual, predicted, hit = (
        np.bincount(codes, given, MANY).astype(np.int64).astype(object)
        for codes, given in (
            (y_true, counts),
            (y_pred, counts),
            (y_true, counts * (y_true == y_pred)),
        )
    )
    rows = int(counts.sum())
    both = rows * hit.sum() - (actual * predicted).sum()
    of_true, of_pred = (rows**2 - (side**2).sum() for side in (actual, predicted))
    with mp.workdps(60):
        matthews = both / mp.sqrt(mp.mpf(of_true) * of_pred)
    kappa = Fraction(both, rows**2 - (actual * predicted).sum())
    same(found.values["matthews_corrcoef"], float(matthews))
    same(found.values["cohen_kappa_score"], float(kappa))
    assert 0.3 < kappa < 0.9
    recalls = [Fraction(h, a) for h, a in zip(hit, actual, strict=True) if a]
    same(found.values["balanced_accuracy_score"], float(sum(recalls) / len(recalls)))


def test_what_so_many_classes_do_not_have():
    """Intervals, which draw pairs; a distance, which is of pairs; and no end."""
    with pytest.raises(ValueError, match="counts the outcomes of each, and not the pairs"):
        confidence_intervals({"it": metric("cohen_kappa_score", num_classes=MANY)}, [1], [1])
    with pytest.raises(ValueError, match="num_classes is 20,000, a table of 400,000,000 cells"):
        metric("cohen_kappa_score", num_classes=20_000, distance="linear")
    with pytest.raises(ValueError, match=r"num_classes is 16,777,217; .* at most 16,777,216"):
        metric("matthews_corrcoef", num_classes=(1 << 24) + 1)
    with pytest.raises(ValueError, match="y_pred: 1 labels outside 0 to 4999"):
        matthews_corrcoef([1, 2], [1, MANY], num_classes=MANY)


def test_weights_of_any_scale_give_the_same_agreement():
    """Products of weights neither overflow nor vanish, in float32 inside jit too."""
    y_true, y_pred, weight = labels(7, 4, 4)
    for name in ("matthews_corrcoef", "cohen_kappa_score"):
        found = metric(name, num_classes=4)
        expected = compute({"it": found}, y_true, y_pred, weight=weight).values["it"]
        empty = found.identity(weighted=True)
        traced = jax.jit(lambda t, p, w, f=found, e=empty: f.finalize(f.update(e, t, p, w)).value)
        for scale in (1e-25, 1e25):
            scaled = compute({"it": found}, y_true, y_pred, weight=scale * weight).values["it"]
            same(scaled, expected)
            narrow = traced(y_true, y_pred, (scale * weight).astype(np.float32))
            np.testing.assert_allclose(narrow, expected, atol=1e-6)


def test_a_class_of_next_to_no_weight_keeps_its_correlation():
    """In float32 the product of two variances of 1e-25 would be 0."""
    y_true, y_pred, weight = np.array([0, 1, 1]), np.array([0, 1, 0]), [1, 1e-25, 1e-25]
    traced = jax.jit(lambda w: matthews_corrcoef(y_true, y_pred, num_classes=2, weight=w))
    found = traced(np.array(weight, np.float32))
    expected = oracle.matthews_corrcoef(y_true, y_pred, sample_weight=[1, 1e-4, 1e-4])
    np.testing.assert_allclose(found, math.sqrt(0.5), rtol=1e-6)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize("classes", [3, MANY])
def test_classes_beside_a_heavy_one_keep_their_digits(classes):
    """What others weigh is no difference: that of 10**15 and all rows has one digit left."""
    y_true, y_pred = np.array([[0, 1, 2, 1, 2, 0], [0, 1, 1, 2, 2, 1]])
    weight = np.array([1e15, 0.3, 0.1, 0.7, 0.2, 0.4])
    table = [[Fraction(0)] * 3 for _ in range(3)]
    for true, pred, one in zip(y_true, y_pred, weight.tolist(), strict=True):
        table[true][pred] += Fraction(one)
    actual, predicted = [sum(row) for row in table], [sum(c) for c in zip(*table, strict=True)]
    rows, hits = sum(actual), sum(table[k][k] for k in range(3))
    chance = sum(a * p for a, p in zip(actual, predicted, strict=True))
    of_true, of_pred = (rows**2 - sum(v * v for v in side) for side in (actual, predicted))
    with mp.workdps(60):
        both = rows * hits - chance
        spread = mp.mpf(of_true.numerator) * of_pred.numerator
        spread /= mp.mpf(of_true.denominator) * of_pred.denominator
        matthews = mp.mpf(both.numerator) / both.denominator / mp.sqrt(spread)
    options = {"num_classes": classes, "weight": weight}
    same(matthews_corrcoef(y_true, y_pred, **options), float(matthews))
    kappa = float(both / (rows**2 - chance))
    same(cohen_kappa_score(y_true, y_pred, **options), kappa)
    assert 0.3 < kappa < 0.6


def test_kappa_is_the_exact_fraction():
    """Against exact fractions of the counts, for every distance."""
    y_true, y_pred, _ = labels(8, 4, 4, count=30)
    table = oracle.confusion_matrix(y_true, y_pred, labels=range(4)).tolist()
    true = [sum(row) for row in table]
    pred = [sum(column) for column in zip(*table, strict=True)]
    measures = {None: lambda i, j: int(i != j), "linear": lambda i, j: abs(i - j)}
    measures["quadratic"] = lambda i, j: (i - j) ** 2
    for distance, measure in measures.items():
        cells = [(i, j) for i in range(4) for j in range(4)]
        observed = sum(measure(i, j) * table[i][j] for i, j in cells)
        expected = Fraction(sum(measure(i, j) * true[i] * pred[j] for i, j in cells), 30)
        exact = float(1 - observed / expected)
        found = cohen_kappa_score(y_true, y_pred, num_classes=4, distance=distance)
        assert abs(found - exact) <= 1e-15


def test_an_unknown_distance_is_refused():
    """The message has the choices."""
    with pytest.raises(ValueError, match=r"distance must be one of .*quadratic.*, not 'cubic'"):
        metric("cohen_kappa_score", num_classes=3, distance="cubic")
