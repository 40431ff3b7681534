"""Bootstrap of metrics whose state is the rows: against drawing rows, scikit-learn and scipy."""

import itertools

import numpy as np
import pytest
import sklearn.metrics as sk
from scipy import stats

from modelops_jax.metrics import (
    METRICS,
    bootstrap_intervals,
    compute,
    confidence_intervals,
    metric,
    paired_differences,
    state_intervals,
)
from modelops_jax.metrics._interval import Resampled
from modelops_jax.metrics._kept_draws import KeptDraws, measured

RNG = np.random.default_rng(0)
ROWS = 60
LABEL = RNG.integers(0, 2, ROWS)
SCORE = np.round(RNG.normal(size=ROWS) + LABEL, 1)  # with ties
CLASS = RNG.integers(0, 3, ROWS)
SCORES = np.round(RNG.normal(size=(ROWS, 3)) + np.eye(3)[CLASS], 1)
VALUE = np.round(RNG.normal(size=ROWS), 1)
CLOSE = np.round(VALUE + RNG.normal(size=ROWS), 1)
BOTH = np.stack([VALUE, CLOSE], axis=1), np.stack([CLOSE, SCORE], axis=1)


def _partial(true, score):
    return sk.roc_auc_score(true, score, max_fpr=0.3)


def _of_classes(function, average):
    """One class against the rest, of any scores: scikit-learn's own takes probabilities only."""

    def value(label, scores):
        member = np.eye(3)[label]
        return function(member, scores, average=average)

    return value


def _one_against_one(label, scores):
    areas = []
    for pair in itertools.combinations(range(3), 2):
        rows = np.isin(label, pair)
        of_pair = [sk.roc_auc_score(label[rows] == k, scores[rows, k]) for k in pair]
        areas.append(np.mean(of_pair))
    return np.mean(areas)


def _of_entries(function, average):
    """scikit-learn on the entries of each label, or of each row, that are not to be ignored."""

    def value(labels, scores):
        columns = zip(*(c if average == "samples" else c.T for c in (labels, scores)), strict=True)
        found = [function(label[label >= 0], score[label >= 0]) for label, score in columns]
        if average is None:
            return found
        support = (labels == 1).sum(axis=0) if average == "weighted" else None
        return np.average(found, weights=support)

    return value


def _spearman(true, pred):
    return stats.spearmanr(true, pred)[0]


def _gap(label, confidence):
    """Ten bins of equal mass, a tie spread over its bins: from every row cut into ten."""
    order = np.argsort(confidence, kind="stable")
    label, confidence = label[order].astype(float), confidence[order]
    for value in np.unique(confidence):
        tie = confidence == value
        label[tie] = label[tie].mean()
    bins = np.repeat(confidence - label, 10).reshape(10, -1)
    return np.abs(bins.sum(axis=1)).sum() / bins.size


CASES = {
    "area": ("roc_auc_score", {}, (LABEL, SCORE), sk.roc_auc_score),
    "partial": ("roc_auc_score", {"max_fpr": 0.3}, (LABEL, SCORE), _partial),
    "precision": ("average_precision_score", {}, (LABEL, SCORE), sk.average_precision_score),
    "median": ("median_absolute_error", {}, (VALUE, CLOSE), sk.median_absolute_error),
    "medians": ("median_absolute_error", {"num_outputs": 2}, BOTH, sk.median_absolute_error),
    "ranks": ("spearman_corrcoef", {}, (VALUE, CLOSE), _spearman),
    "gap": (
        "adaptive_calibration_error",
        {"bins": 10},
        (LABEL, np.round(RNG.random(ROWS), 2)),
        _gap,
    ),
    "ovo": (
        "roc_auc_score",
        {"num_classes": 3, "multi_class": "ovo"},
        (CLASS, SCORES),
        _one_against_one,
    ),
}
for _name, _function in (
    ("roc_auc_score", sk.roc_auc_score),
    ("average_precision_score", sk.average_precision_score),
):
    for _average in ("macro", "weighted", "micro", None):
        CASES[f"{_name} {_average}"] = (
            _name,
            {"num_classes": 3, "average": _average},
            (CLASS, SCORES),
            _of_classes(_function, _average),
        )
# Of every row and every label some entries are set, others are not, and some are ignored.
_random = np.random.default_rng(7)
LABELS = _random.permuted(np.tile([1, 0, 1, 0, -1], (ROWS, 1)), axis=1)
LABEL_SCORES = np.round(_random.normal(size=LABELS.shape) + LABELS, 1)
for _name, _function, _average in (
    ("roc_auc_score", sk.roc_auc_score, "weighted"),
    ("average_precision_score", sk.average_precision_score, None),
    ("average_precision_score", sk.average_precision_score, "samples"),
):
    CASES[f"{_name} of labels {_average}"] = (
        _name,
        {"num_labels": 5, "average": _average, "ignore_index": -1},
        (LABELS, LABEL_SCORES),
        _of_entries(_function, _average),
    )


@pytest.mark.parametrize("kept", CASES)
def test_a_resample_is_the_metric_of_the_rows_it_drew(kept):
    """Rows counted as often as they were drawn are these rows, repeated: by peers on them."""
    name, options, columns, peer = CASES[kept]
    one = metric(name, **options)
    states = compute({"it": one}, *columns).states
    counts = np.random.default_rng(1).poisson(1, (6, ROWS)).astype(np.uint8)
    counts[0] = 1
    found = one.reweighed([states[statistic] for statistic in one.statistics])(counts)
    for drawn, value in zip(counts, found, strict=True):
        expected = peer(*(np.repeat(column, drawn, axis=0) for column in columns))
        assert value == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("kept", CASES)
def test_a_weight_goes_with_its_row(kept):
    """Counts times weights, as in one pass over the rows; a row of weight 0 is absent."""
    name, options, columns, _ = CASES[kept]
    weight = RNG.exponential(size=ROWS) * (RNG.random(ROWS) < 0.8)
    one = metric(name, **options)
    states = compute({"it": one}, *columns, weight=weight).states
    counts = np.random.default_rng(2).poisson(1, (4, ROWS)).astype(np.uint8)
    found = one.reweighed([states[statistic] for statistic in one.statistics])(counts)
    for drawn, value in zip(counts, found, strict=True):
        expected = compute({"it": one}, *columns, weight=drawn * weight).values["it"]
        np.testing.assert_allclose(value, expected, rtol=1e-12)


def test_every_metric_has_an_interval_or_says_why_not():
    """Only the maximum has none, on all options of the table's page."""
    without = {}
    for name, info in METRICS.items():
        one = metric(name, **{o: 3 for o, default in info.options.items() if not default})
        if one.no_interval is not None:
            without[name] = one.no_interval
    assert list(without) == ["max_error"]
    with pytest.raises(ValueError, match="worst: max_error has no interval: the largest of the"):
        bootstrap_intervals({"worst": metric("max_error")}, VALUE, CLOSE)


def test_intervals_name_their_method_and_seed():
    """One seed is one interval, from rows and from their state, whatever else is computed."""
    precision = {"it": metric("average_precision_score")}
    both = precision | {"area": metric("roc_auc_score")}
    found = confidence_intervals(both, LABEL, SCORE, n_resamples=100, seed=3)
    assert found["area"].method == "DeLong"
    assert found["it"].method == "Poisson percentile"
    assert (found["it"].n_resamples, found["it"].seed) == (100, 3)
    states = compute(both, LABEL, SCORE).states
    assert state_intervals(both, states, n_resamples=100, seed=3) == found
    alone = confidence_intervals(precision, LABEL, SCORE, n_resamples=100, seed=3)
    assert alone["it"] == found["it"]
    other = confidence_intervals(precision, LABEL, SCORE, n_resamples=100, seed=4)
    assert other["it"] != found["it"]
    bca = confidence_intervals(precision, LABEL, SCORE, n_resamples=100, method="bca")["it"]
    assert bca.method == "Poisson BCa"
    assert bca.low < bca.high


def test_areas_of_groups_and_of_weighted_rows_are_resampled():
    """Rows in fours: as groups the interval is that of one copy; of weights DeLong has none."""
    area = {"it": metric("roc_auc_score")}
    four = [np.repeat(column, 4) for column in (LABEL, SCORE)]
    groups = np.arange(4 * ROWS) // 4
    of_groups = bootstrap_intervals(area, *four, groups=groups)["it"]
    one = bootstrap_intervals(area, LABEL, SCORE, groups=np.arange(ROWS))["it"]
    assert (of_groups.low, of_groups.high) == pytest.approx((one.low, one.high), abs=1e-12)
    assert of_groups.method == "Poisson of groups percentile"
    delong = confidence_intervals(area, LABEL, SCORE)["it"]
    assert one.high - one.low == pytest.approx(delong.high - delong.low, rel=0.15)
    weighted = confidence_intervals(area, LABEL, SCORE, weight=np.full(ROWS, 2.0))["it"]
    assert weighted.method == "Poisson percentile"
    masked = confidence_intervals(area, LABEL, SCORE, weight=np.ones(ROWS))["it"]
    assert masked == delong


def test_no_rows_and_one_class_have_no_ends():
    """nan, as where all resamples are undefined."""
    precision = {"it": metric("average_precision_score"), "ranks": metric("spearman_corrcoef")}
    for rows in (0, 4):
        columns = np.zeros(rows, int), np.zeros(rows)
        found = bootstrap_intervals(precision, *columns, n_resamples=20)
        assert all(np.isnan(i.low) and np.isnan(i.high) for i in found.values())
        models = {"a": columns[1], "b": columns[1]}
        for weight in (None, np.zeros(rows)):
            compared = paired_differences(
                precision, columns[0], models, weight=weight, n_resamples=20
            )
            for found in (by_pair["a", "b"] for by_pair in compared.values()):
                nothing = np.array([found.value, found.interval.low, found.p_value])
                assert np.isnan(nothing).all()


def test_draws_depend_on_place_and_seed_alone():
    """More rows or sets do not change those that were there; 0 or 1 half of the time each."""
    few = np.concatenate(list(KeptDraws(700, None, 5).resamples(20)))
    more = np.concatenate(list(KeptDraws(3000, None, 5).resamples(40)))
    assert few.shape == (20, 700)
    np.testing.assert_array_equal(more[:20, :700], few)
    assert more.mean() == pytest.approx(1, abs=0.02)
    assert more.var() == pytest.approx(1, abs=0.04)
    swaps = np.concatenate(list(KeptDraws(3000, None, 5).swaps(40)))
    assert set(np.unique(swaps)) == {0, 1}
    assert swaps.mean() == pytest.approx(0.5, abs=0.01)
    left = np.concatenate(list(KeptDraws(5, np.array([7, 7, 8, 9, 9]), 0).left_out()))
    assert left.tolist() == [[0, 0, 1, 1, 1], [1, 1, 0, 1, 1], [1, 1, 1, 0, 0]]


def test_swaps_are_all_swaps_of_rows():
    """Average precision of eight rows: the p-value is that of all 2^8 swaps of ranks."""
    label = np.array([0, 1, 1, 0, 1, 0, 0, 1])
    first = np.arange(8) + 4.0 * label
    order = np.random.default_rng(8).permutation(8)
    second = np.exp(order / 3 + 0.3 * label)  # on another scale
    scores = {"a": first, "b": second}
    precision = {"it": metric("average_precision_score")}
    found = paired_differences(precision, label, scores, n_resamples=4000)["it"]["a", "b"]
    apart = [sk.average_precision_score(label, s) for s in (first, second)]
    assert found.value == pytest.approx(apart[0] - apart[1], abs=1e-12)
    ranks = [stats.rankdata(s) for s in (first, second)]
    swapped = []
    for swap in itertools.product((False, True), repeat=8):
        both = np.where(swap, ranks[1], ranks[0]), np.where(swap, ranks[0], ranks[1])
        one, other = (sk.average_precision_score(label, s) for s in both)
        swapped.append(one - other)
    exact = np.mean(np.abs(swapped) >= abs(found.value) - 1e-12)
    assert 0.02 < exact < 0.98
    assert found.p_value == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 4000))
    scaled = paired_differences(precision, label, scores | {"a": 1e3 * first}, n_resamples=4000)
    assert scaled["it"]["a", "b"] == found


def test_entries_to_ignore_have_no_rank():
    """Behind the rows, where they change no draw, they change nothing: also of scores below 0."""
    random, more = np.random.default_rng(9), 20
    label = random.integers(0, 2, 40)
    scores = {name: random.normal(size=40) + label + shift for name, shift in (("a", 0), ("b", -1))}
    expected = paired_differences(
        {"it": metric("average_precision_score")}, label, scores, n_resamples=50
    )["it"]["a", "b"]
    labels = np.append(label, np.full(more, -1))[:, None]
    tables = {name: np.append(score, np.zeros(more))[:, None] for name, score in scores.items()}
    for average in ("micro", "macro"):
        options = {"num_labels": 1, "average": average, "ignore_index": -1}
        found = paired_differences(
            {"it": metric("average_precision_score", **options)}, labels, tables, n_resamples=50
        )["it"]["a", "b"]
        assert found.p_value == expected.p_value
        assert found.value == pytest.approx(expected.value, abs=1e-12)


def held(name, columns, truth, *, groups=None, weight=None, **options):
    """The share of samples whose 95 % interval holds the truth."""
    one = metric(name, **options)
    draws = np.concatenate(list(KeptDraws(columns[0].shape[1], groups, 1).resamples(400)))
    inside = 0
    for place, sample in enumerate(zip(*columns, strict=True)):
        own = None if weight is None else weight[place]
        states = compute({"it": one}, *sample, weight=own).states
        measure = one.reweighed([states[statistic] for statistic in one.statistics])
        values = measured({"it": measure}, iter([draws]))["it"]
        low, high = Resampled(np.zeros(()), values).ends(0.95, bca=False)
        inside += low <= truth <= high
    return inside / len(columns[0])


SAMPLES, LONG = 600, 400


def _scored(seed, groups=1):
    """Labels and scores one standard deviation apart; rows of a group share most of the noise."""
    random = np.random.default_rng(seed)
    label = np.repeat(random.integers(0, 2, (SAMPLES, LONG // groups)), groups, axis=1)
    noise = random.normal(size=(SAMPLES, LONG))
    if groups > 1:
        shared = np.repeat(random.normal(size=(SAMPLES, LONG // groups)), groups, axis=1)
        noise = np.sqrt(0.9) * shared + np.sqrt(0.1) * noise
    return label, noise + label


@pytest.mark.simulation
def test_coverage():
    """Every kept-row path holds the truth in 93 to 97 % of samples; the truth by quadrature."""
    label, score = _scored(3)
    area = stats.norm.cdf(1 / np.sqrt(2))
    cut = np.linspace(-9, 10, 200_001)
    hits, alarms = stats.norm.sf(cut - 1), stats.norm.sf(cut)
    precision = np.trapezoid(hits / (hits + alarms) * stats.norm.pdf(cut - 1), cut)
    weight = np.random.default_rng(4).exponential(size=label.shape)
    found = {
        "precision": held("average_precision_score", (label, score), precision),
        "weighted area": held("roc_auc_score", (label, score), area, weight=weight),
    }
    groups = np.arange(LONG) // 4
    grouped = _scored(5, groups=4)
    found["area of groups"] = held("roc_auc_score", grouped, area, groups=groups)
    true, noise = np.random.default_rng(6).normal(size=(2, SAMPLES, LONG))
    ranks = 6 / np.pi * np.arcsin(np.sqrt(0.5) / 2)
    found["ranks"] = held("spearman_corrcoef", (true, true + noise), ranks)
    found["median"] = held("median_absolute_error", (true, true + noise), stats.norm.ppf(0.75))
    assert {name: share for name, share in found.items() if not 0.93 <= share <= 0.97} == {}
    assert held("roc_auc_score", grouped, area) < 0.85
