"""Comparisons of models on the same rows, against scipy, enumeration and simulated nulls."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from scipy import stats

from modelops_jax._distinct import distinct_rows, placed_rows
from modelops_jax.metrics import (
    CountResampleStream,
    PairedCountStream,
    PairedStream,
    SliceResampleStream,
    adjust_p_values,
    compute,
    confidence_intervals,
    mcnemar_test,
    metric,
    paired_count_differences,
    paired_differences,
)

MAE = {"it": metric("mean_absolute_error")}


@pytest.mark.parametrize("counts", [(0, 0), (5, 5), (1, 0), (3, 9), (40, 22), (700, 640), (0, 30)])
def test_mcnemar_is_a_fair_coin(counts):
    """The exact p-value is scipy's; the mid one lacks the chance of what was seen."""
    only_first, only_second = counts
    y_true = np.ones(only_first + only_second + 20, int)
    first, second = y_true.copy(), y_true.copy()
    second[:only_first] = 0
    first[only_first : only_first + only_second] = 7
    first[-5:] = second[-5:] = 3
    exact = mcnemar_test(y_true, first, second, method="exact")
    mid = mcnemar_test(y_true, first, second)
    assert (exact.only_first, exact.only_second) == (mid.only_first, mid.only_second) == counts
    tosses = sum(counts)
    expected = stats.binomtest(only_first, tosses).pvalue if tosses else 1.0
    assert exact.p_value == pytest.approx(expected, rel=1e-10)
    seen = stats.binom.pmf(only_first, tosses, 0.5)
    if only_first != only_second:
        assert mid.p_value == pytest.approx(expected - seen, rel=1e-9)
    assert mcnemar_test(y_true, second, first).p_value == mid.p_value
    counted = mcnemar_test([1, 1, 1], [1, 0, 1], [0, 1, 1], counts=np.array([*counts, 20]))
    assert counted == mid


@pytest.mark.parametrize(
    ("counts", "digits"),
    [
        ((260, 330), 12),
        ((10**6, 10**6 + 3000), 10),
        ((10**9, 10**9 + 60_000), 9),
        ((2**40,) * 2, 9),
    ],
)
def test_mcnemar_of_many_rows_needs_no_array_of_them(counts, digits):
    """Nor logarithms of factorials that large, whose difference has no digits left."""
    found = mcnemar_test([1, 1], [1, 0], [0, 1], counts=np.array(counts), method="exact")
    expected = min(1.0, 2 * stats.binom.cdf(counts[0], sum(counts), 0.5))
    assert found.p_value == pytest.approx(expected, rel=10.0**-digits)


def test_mcnemar_refuses_what_is_no_label():
    """Lengths that differ, scores, and another method."""
    with pytest.raises(ValueError, match=r"one length; found y_true \(3,\), first \(3,\), second"):
        mcnemar_test([1, 1, 0], [1, 1, 0], [1, 1])
    with pytest.raises(TypeError, match="second must hold integer or boolean labels"):
        mcnemar_test([1, 0], [1, 0], [0.5, 0.7])
    with pytest.raises(ValueError, match="method must be one of"):
        mcnemar_test([1, 0], [1, 0], [1, 0], method="chi2")
    with pytest.raises(ValueError, match="counts holds -1; expected none below 0"):
        mcnemar_test([1, 0], [1, 0], [1, 0], counts=[2, -1])
    with pytest.raises(ValueError, match=r"counts add up to 1.84e\+19; expected at most 4.61e\+18"):
        mcnemar_test([1] * 4, [1, 0] * 2, [1] * 4, counts=[2**62] * 4)  # 0 in 64 bits
    with pytest.raises(TypeError, match="counts must hold integer"):
        mcnemar_test([1, 0], [1, 0], [1, 0], counts=[2.0, 1.0])


def test_holm_is_the_closed_test():
    """A hypothesis is rejected where every set with it is, by Bonferroni; nan is no test."""
    p_values = np.random.default_rng(0).random(6) ** 3
    p_values[3] = p_values[1]
    sets = [s for size in range(1, 7) for s in itertools.combinations(range(6), size)]
    expected = [
        max(min(1.0, len(s) * p_values[list(s)].min()) for s in sets if i in s) for i in range(6)
    ]
    assert adjust_p_values(p_values) == pytest.approx(expected)
    assert adjust_p_values([0.01, math.nan, 0.5])[[0, 2]] == pytest.approx([0.02, 0.5])
    assert np.isnan(adjust_p_values([0.01, math.nan, 0.5])[1])


def test_benjamini_hochberg_is_scipys():
    """scipy's false_discovery_control, ties and certainties among them."""
    p_values = np.append(np.random.default_rng(1).random(20), [0.0, 1.0, 0.03, 0.03])
    found = adjust_p_values(p_values, method="benjamini-hochberg")
    assert found == pytest.approx(stats.false_discovery_control(p_values))
    assert adjust_p_values([]).size == 0
    with pytest.raises(ValueError, match=r"p_values must be in \[0, 1\]"):
        adjust_p_values([0.5, 1.2])
    with pytest.raises(ValueError, match=r"one axis, shape \(m,\); found \(1, 1\)"):
        adjust_p_values(np.array([[0.5]]))
    with pytest.raises(ValueError, match="method must be one of"):
        adjust_p_values([0.5], method="bonferroni")


def test_a_difference_of_means_is_the_mean_of_differences():
    """Its bootstrap is that of the rows' differences, its test scipy's of random signs."""
    random = np.random.default_rng(2)
    first, noise = random.exponential(size=(2, 80))
    second = first + 0.3 * noise - 0.26
    y_preds = {"a": first, "b": second}
    found = paired_differences(MAE, np.zeros(80), y_preds, n_resamples=4000)["it"]["a", "b"]
    rows = np.abs(first) - np.abs(second)
    assert found.value == pytest.approx(rows.mean(), rel=1e-12)
    boot = stats.bootstrap((rows,), np.mean, method="percentile", n_resamples=4000, rng=3)
    spread = float(boot.standard_error)
    ends = found.interval.low, found.interval.high
    assert ends == pytest.approx(tuple(boot.confidence_interval), abs=0.2 * spread)
    theirs = stats.permutation_test(
        (rows,), np.mean, permutation_type="samples", n_resamples=4000, rng=4
    ).pvalue
    assert found.p_value == pytest.approx(theirs, abs=6 * math.sqrt(theirs / 4000))
    assert found.interval.method == "paired Poisson percentile"
    alone = [np.std(np.abs(pred)) / math.sqrt(80) for pred in y_preds.values()]
    assert ends[1] - ends[0] < 2 * min(alone)  # their rows vary together


SCORES = {
    "f1": (metric("f1_score", average="macro", num_classes=3), "f1_score", {"average": "macro"}),
    "r2": (metric("r2_score"), "r2_score", {}),
}


@pytest.mark.parametrize("name", ["f1", "r2"])
def test_a_permutation_swaps_predictions(name):
    """The p-value is that of all 2**8 ways to swap eight rows, for tables and for moments."""
    random = np.random.default_rng(5)
    if name == "f1":
        y_true = np.array([0, 1, 2, 0, 1, 2, 0, 1])
        first, second = y_true.copy(), random.integers(0, 3, 8)
    else:
        y_true = random.normal(size=8)
        first, second = y_true + 0.4 * random.normal(size=(2, 8)) * [[1], [3]]
    found, score, options = SCORES[name]
    score = getattr(sklearn.metrics, score)
    if name == "f1":
        options = options | {"zero_division": 0.0}

    def difference(swap):
        one, other = np.where(swap, second, first), np.where(swap, first, second)
        return score(y_true, one, **options) - score(y_true, other, **options)

    observed = difference(np.zeros(8, bool))
    every = [difference(np.array(s)) for s in itertools.product([False, True], repeat=8)]
    expected = np.mean(np.abs(every) >= abs(observed) - 1e-12)
    ours = paired_differences({name: found}, y_true, {"a": first, "b": second}, n_resamples=4000)[
        name
    ]["a", "b"]
    assert ours.value == pytest.approx(observed, abs=1e-12)
    assert ours.p_value == pytest.approx(expected, abs=5 * math.sqrt(expected / 4000))


def pairs_of(models):
    """Every two models once, none twice."""
    names = list(models)
    return list(zip(names[::2], names[1::2], strict=True))


def alike(draw, pairs=200):
    """Models that are equally good, each with its own draws of the rows."""
    return {f"m{at}": draw() for at in range(2 * pairs)}


def rejected_of(found):
    """The share of differences with p at most 0.05."""
    return np.mean(np.array([one.p_value for one in found]) <= 0.05)


@pytest.mark.parametrize("grouped", [False, True])
def test_equal_models_are_told_apart_as_seldom_as_the_level_says(grouped):
    """Of 200 pairs of equally good models 5 % have p < 0.05, and 95 % have 0 inside.

    Rows in groups that share most of their errors need their groups: without, a third would.
    """
    random = np.random.default_rng(6)

    def draw():
        own = random.normal(size=256)
        return np.repeat(random.normal(size=64), 4) + 0.3 * own if grouped else own

    groups = np.arange(256) // 4 if grouped else None
    models = alike(draw)
    pairs = pairs_of(models)

    def rates(groups):
        found = paired_differences(
            MAE, np.zeros(256), models, pairs=pairs, groups=groups, n_resamples=400
        )["it"].values()
        low, high = np.array([(one.interval.low, one.interval.high) for one in found]).T
        return rejected_of(found), np.mean((low <= 0) & (high >= 0))

    rejected, inside = rates(groups)
    assert 0.02 <= rejected <= 0.08
    assert 0.92 <= inside <= 0.98
    if grouped:
        rejected, inside = rates(None)
        assert rejected > 0.2
        assert inside < 0.8


def test_equally_right_classifiers_are_told_apart_as_seldom_as_the_level_says():
    """Mid-p rejects near 5 %, the exact test and swaps no more often."""
    random = np.random.default_rng(7)
    models = alike(lambda: (random.random(128) < 0.8).astype(int))
    ones = np.ones(128, int)
    accuracy = {"it": metric("accuracy_score")}
    pairs = pairs_of(models)
    found = paired_differences(accuracy, ones, models, pairs=pairs, n_resamples=400)["it"]
    mid, exact = (
        np.mean(
            [mcnemar_test(ones, models[a], models[b], method=m).p_value <= 0.05 for a, b in pairs]
        )
        for m in ("mid-p", "exact")
    )
    assert rejected_of(found.values()) <= 0.08
    assert 0.02 <= mid <= 0.08
    assert exact <= mid


def test_real_differences_are_found_and_have_a_sign():
    """Half an error less in every row, per class as well; pairs have the order asked for."""
    random = np.random.default_rng(8)
    y_true = random.integers(0, 3, 600)
    good, bad = (
        np.where(random.random(600) < right, y_true, random.integers(0, 3, 600))
        for right in (0.9, 0.6)
    )
    metrics = {
        "accuracy": metric("accuracy_score"),
        "each": metric("f1_score", average=None, num_classes=3),
    }
    pairs = [("bad", "good"), ("good", "bad")]
    found = paired_differences(metrics, y_true, {"good": good, "bad": bad}, pairs=pairs)
    worse, better = (found["accuracy"][pair] for pair in pairs)
    assert worse.interval.high < 0 < better.interval.low
    assert worse.value == -better.value
    assert worse.p_value == better.p_value < 0.001
    values = [compute(metrics, y_true, pred).values["each"] for pred in (good, bad)]
    assert found["each"]["good", "bad"].value == pytest.approx(values[0] - values[1])
    assert np.shape(found["each"]["good", "bad"].p_value) == (3,)
    assert np.all(np.asarray(found["each"]["good", "bad"].interval.low) > 0)


def test_a_weight_goes_with_its_row():
    """All 2**7 swaps of weighted rows; a class that a swap takes all rows from leaves the mean."""
    weight = np.random.default_rng(3).random(7)
    lenient: Any = {"zero_division": 0.0}  # scikit-learn's annotation knows strings only
    y_true = np.array([0, 0, 0, 0, 1, 1, 1])
    first, second = np.array([0, 0, 2, 0, 1, 1, 0]), np.array([2, 2, 0, 2, 1, 1, 1])

    def difference(swap):
        one, other = (
            sklearn.metrics.precision_score(
                y_true, pred, average="macro", sample_weight=weight, **lenient
            )
            for pred in (np.where(swap, second, first), np.where(swap, first, second))
        )
        return float(one) - float(other)

    every = [difference(np.array(s)) for s in itertools.product([False, True], repeat=7)]
    expected = np.mean(np.abs(every) >= abs(every[0]) - 1e-12)
    macro = {"it": metric("precision_score", average="macro", num_classes=3)}
    models = {"a": first, "b": second}
    found = paired_differences(macro, y_true, models, weight=weight, n_resamples=4000)
    assert found["it"]["a", "b"].value == pytest.approx(every[0])
    assert found["it"]["a", "b"].p_value == pytest.approx(expected, abs=0.04)


def test_identical_models_do_not_differ():
    """No swap changes anything: 0, an interval of 0 and p = 1. Nothing at all: nan."""
    pred = np.arange(5.0)
    found = paired_differences(MAE, np.zeros(5), {"a": pred, "b": pred}, n_resamples=50)["it"]
    one = found["a", "b"]
    assert (one.value, one.interval.low, one.interval.high, one.p_value) == (0.0, 0.0, 0.0, 1.0)
    none = np.zeros(0)
    empty = paired_differences(MAE, none, {"a": none, "b": none}, n_resamples=50)["it"]["a", "b"]
    assert math.isnan(empty.value)
    assert math.isnan(empty.p_value)


def test_what_cannot_be_compared_is_refused():
    """One model, unknown models, and metrics without sums."""
    ones = np.ones(4)
    with pytest.raises(ValueError, match=r"two models or more to compare; it has \['a'\]"):
        paired_differences(MAE, ones, {"a": ones})
    with pytest.raises(ValueError, match="pairs has the model 'c'; y_preds has a, b"):
        paired_differences(MAE, ones, {"a": ones, "b": ones}, pairs=[("a", "c")])
    sketch = {"auc": metric("sketched_roc_auc_score")}
    with pytest.raises(ValueError, match="auc: sketched_roc_auc_score has no bootstrap"):
        paired_differences(sketch, ones, {"a": ones, "b": ones})


def test_rankings_are_compared_by_their_queries():
    """Against all 2^10 swaps of whole queries; a query without a relevant row has no part in it."""
    random = np.random.default_rng(11)
    relevance = (random.random((11, 6)) < 0.4).astype(float)
    relevance[:, 0], relevance[10] = 1, 0
    models = [relevance + random.normal(size=relevance.shape) for _ in range(2)]
    scores: dict[str, Any] = {n: m.ravel() for n, m in zip("ab", models, strict=True)}
    metrics = {"ndcg": metric("ndcg_score"), "mse": metric("mean_squared_error")}
    queries = np.repeat(np.arange(11), 6)
    found = paired_differences(metrics, relevance.ravel(), scores, groups=queries, n_resamples=4000)
    assert list(found) == ["ndcg", "mse"]
    one, two = (
        [sklearn.metrics.ndcg_score(r[None], s[None]) for r, s in zip(relevance, m, strict=True)]
        for m in models
    )
    apart = np.subtract(one, two)[:10]
    swaps = np.array(list(itertools.product((1, -1), repeat=10))) @ apart
    exact = np.mean(np.abs(swaps) >= abs(apart.sum()) - 1e-12)
    difference = found["ndcg"]["a", "b"]
    assert difference.value == pytest.approx(apart.mean(), abs=1e-12)
    assert 0.02 < exact < 0.98
    # Four standard errors of so many swaps.
    assert difference.p_value == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 4000))


def test_distinct_rows_are_numpys():
    """By a table, by sorting, and where a row has more digits than an integer; counts add up."""
    random = np.random.default_rng(12)
    for high, columns in ((3, 3), (1 << 20, 2), (1 << 30, 4), (2, 70), (1 << 30, 1)):
        rows = random.integers(0, high, (40, columns))[random.integers(0, 40, 60)]
        counts = random.integers(1, 1 << 40, 60)
        expected, places = np.unique(rows, axis=0, return_inverse=True)
        several = np.zeros(len(expected), np.int64)
        np.add.at(several, places.reshape(-1), counts)
        found, totals = distinct_rows(rows, counts)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(totals, several)
        np.testing.assert_array_equal(
            distinct_rows(rows)[1], np.unique(rows, axis=0, return_counts=True)[1]
        )
        found, where = placed_rows(rows)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(where, places.reshape(-1))
    for rows in (np.zeros((0, 2), np.int32), np.zeros((0, 2), np.int32)[:, :1]):
        assert [part.shape for part in placed_rows(rows)] == [(0, rows.shape[1]), (0,)]
        assert [part.shape for part in distinct_rows(rows)] == [(0, rows.shape[1]), (0,)]


def labels_of_three(rows):
    """The truth of three classes, and two models that are right now and then."""
    random = np.random.default_rng(13)
    y_true = random.integers(0, 3, rows)
    guess = {
        name: np.where(random.random(rows) < right, y_true, random.integers(0, 3, rows))
        for name, right in (("a", 0.6), ("b", 0.6))
    }
    return y_true, guess


def test_counts_are_drawn_as_rows_are():
    """Rows of a float weight are drawn one by one: the same interval and p-value, to their noise.

    And those of distinct rows and their counts, or of rows in another order, are the same.
    """
    y_true, guess = labels_of_three(400)
    macro: Any = {"f1": metric("f1_score", average="macro", num_classes=3)}
    found = paired_differences(macro, y_true, guess, method="bca")
    by_rows = paired_differences(macro, y_true, guess, weight=np.ones(400), method="bca")
    rows, counts = distinct_rows(np.stack([y_true, *guess.values()], axis=1))
    of_counts = dict(zip(guess, rows.T[1:], strict=True))
    again = paired_count_differences(macro, rows[:, 0], of_counts, counts, method="bca")
    assert again == found
    one, other = found["f1"]["a", "b"], by_rows["f1"]["a", "b"]
    assert one.value == pytest.approx(other.value, abs=1e-12)
    width = float(other.interval.high - other.interval.low)
    ends = (one.interval.low, one.interval.high)
    assert ends == pytest.approx((other.interval.low, other.interval.high), abs=width / 15)
    assert 0.01 < other.p_value < 0.4
    assert one.p_value == pytest.approx(other.p_value, abs=0.035)
    assert one.interval.method == "paired multinomial BCa"


@pytest.mark.model
@pytest.mark.parametrize("given", ["", "weight", "groups", "weight and groups"])
def test_batches_are_drawn_as_all_rows_are(given):
    """Sums about another mean, tables bit for bit; a refused batch changes nothing."""
    y_true, guess = labels_of_three(700)
    rng = np.random.default_rng(3)
    own: Any = {"weight": rng.random(700), "groups": rng.integers(0, 600, 700)}
    own = {name: column for name, column in own.items() if name in given}
    metrics = {
        "it": metric("mean_absolute_error"),
        "r2": metric("r2_score"),
        "accuracy": metric("accuracy_score"),
    }
    stream = PairedStream(metrics, ["a", "b"], n_resamples=40, seed=5)
    assert stream.intervals() == {"a": {}, "b": {}}
    start = 0
    for stop in (1, 1, 30, 650, 700):
        part = {name: pred[start:stop] for name, pred in guess.items()}
        of_part = {name: column[start:stop] for name, column in own.items()}
        stream.update(y_true[start:stop], part, **of_part)
        with pytest.raises(ValueError, match=r"expected arrays of one length"):
            stream.update([1, 2], {"a": [1, 2], "b": [1]})
        start = stop
    assert stream.rows == 700
    drawn: Any = {"n_resamples": 40, "seed": 5}
    method = "bca" if "groups" in own else "percentile"
    found = stream.differences(0.9, method=method)
    whole = paired_differences(metrics, y_true, guess, level=0.9, method=method, **own, **drawn)
    for name, pairs in whole.items():
        one, other = found[name]["a", "b"], pairs["a", "b"]
        assert one.value == pytest.approx(other.value, abs=1e-12)
        assert one.p_value == other.p_value
        assert one.interval.method == other.interval.method
        for end in ("low", "high"):
            expected = getattr(other.interval, end)
            assert getattr(one.interval, end) == pytest.approx(expected, abs=1e-12)
    for model, ours in stream.intervals(0.9).items():
        single = confidence_intervals(metrics, y_true, guess[model], level=0.9, **own, **drawn)
        for name, interval in single.items():
            assert ours[name].method == interval.method
            assert ours[name].low == pytest.approx(interval.low, abs=1e-12)
    if "groups" not in own:
        with pytest.raises(ValueError, match=r"method is 'bca'; it, r2.*: resampled as rows come"):
            stream.differences(method="bca")
    for name in ("weight", "groups"):
        others = {"weight": np.ones(2), "groups": [1, 2]}
        asked = own.keys() ^ {name}
        with pytest.raises(
            ValueError, match=f"these rows have (no )?{name.rstrip('s')}s; the rows"
        ):
            stream.update([1, 2], {"a": [1, 2], "b": [1, 0]}, **{n: others[n] for n in asked})
    with pytest.raises(ValueError, match=r"y_preds is of \['a'\]; the stream is of a, b"):
        stream.update([1], {"a": [1]})
    with pytest.raises(ValueError, match="median: median_absolute_error is no function of sums"):
        PairedStream({"median": metric("median_absolute_error")}, ["a", "b"])


@pytest.mark.model
def test_pairs_of_labels_are_drawn_as_rows_are():
    """More classes than a table has, of which two labels are one in the end; late ones, too."""
    rng, rows = np.random.default_rng(4), 1500
    true = rng.integers(0, 4, rows)
    guess = {
        name: np.where(rng.random(rows) < 0.7, true, rng.integers(0, 4, rows)) for name in "ab"
    }
    weight = rng.random(rows)
    stream = PairedCountStream(["a", "b"], n_resamples=40, seed=5)
    metrics = {"accuracy": metric("accuracy_score", num_classes=3)}
    assert stream.intervals(metrics) == {"a": {}, "b": {}}
    for part in (slice(0, 7), slice(7, 1200), slice(1200, rows)):
        stream.update(true[part], {n: pred[part] for n, pred in guess.items()}, weight[part])

    def fewer(labels):
        return np.where(labels == 3, 2, labels)

    stream.relabel({n: (fewer(t), fewer(p)) for n, (t, p) in stream.labels.items()})
    guess = {name: fewer(pred) for name, pred in guess.items()}
    drawn: Any = {"n_resamples": 40, "seed": 5}
    whole = paired_differences(metrics, fewer(true), guess, weight=weight, **drawn)
    one, other = stream.differences(metrics)["accuracy"]["a", "b"], whole["accuracy"]["a", "b"]
    assert one.p_value == other.p_value
    assert one.interval.low == pytest.approx(other.interval.low, abs=1e-12)
    assert one.value == pytest.approx(other.value, abs=1e-12)
    single = confidence_intervals(metrics, fewer(true), guess["b"], weight=weight, **drawn)
    found = stream.intervals(metrics)["b"]["accuracy"]
    assert found.high == pytest.approx(single["accuracy"].high, abs=1e-12)
    for method, why in (("bca", "give percentiles"), ("wilson", "for shares of unweighted")):
        with pytest.raises(ValueError, match=why):
            stream.intervals(metrics, method=method)
    with pytest.raises(ValueError, match="no function of a table of counts"):
        stream.differences({"it": metric("mean_absolute_error")})


def test_streams_of_several_models_refuse_what_they_cannot_add():
    """By name, and before anything is added: the next good batch is taken."""
    stream = PairedCountStream(["a", "b"], n_resamples=2)
    labels, weight = np.array([0, 1]), np.array([0.5, 1.0])
    guess = {"a": labels, "b": labels}
    for true, said, own, error, message in [
        (np.array([0.7, 1.7]), guess, weight, TypeError, "y_true must hold integers"),
        (labels, guess | {"b": np.array([0, -1])}, weight, ValueError, "labels from -1 to 0"),
        (labels, guess, np.array([np.nan, 1]), ValueError, "finite numbers"),
        (labels, guess | {"c": labels}, weight, ValueError, "the stream is of a, b"),
        (labels, guess | {"b": labels[:1]}, weight, ValueError, "expected one a row"),
    ]:
        with pytest.raises(error, match=message):
            stream.update(true, said, own)
    stream.update(labels, guess, weight)
    assert CountResampleStream().intervals({}) == {}

    errors = {"mse": metric("mean_squared_error")}
    grouped = PairedStream(errors, ["a", "b"], n_resamples=2)
    said = {"a": [1.0, 2.0], "b": [1.0, 1.0]}
    grouped.update([1.0, 2.0], said, groups=[1, 2])
    with pytest.raises(TypeError, match="groups are of two kinds"):
        grouped.update([1.0, 2.0], said, groups=np.array(["2020-01-01", "2020-01-02"], "M8[D]"))
    plain = PairedStream(errors, ["a", "b"], n_resamples=2)
    plain.update([1.0, 2.0], said)
    for one, other, message in [
        (plain, plain, "rows in no groups draw by their number"),
        (grouped, plain, "these rows have no groups; the rows before have groups"),
        (grouped, PairedStream(MAE, ["a", "b"], n_resamples=2), "is of the metrics"),
        (grouped, PairedStream(errors, ["a", "c"], n_resamples=2), "is of the models"),
        (grouped, PairedStream(errors, ["a", "b"], n_resamples=3), "is of the draws"),
    ]:
        with pytest.raises(ValueError, match=message):
            one.merge(other)
    assert grouped.rows == 2
    wide = PairedStream({"loss": metric("brier_score_loss")}, ["a", "b"])
    with pytest.raises(ValueError, match="shapes"):
        wide.update([0, 1], {"a": np.full((2, 3), 1 / 3), "b": np.full((2, 4), 1 / 4)})
    wide.update([0, 1], {"a": np.full((2, 3), 1 / 3), "b": np.full((2, 3), 1 / 3)}, groups=[1, 2])
    wider = PairedStream({"loss": metric("brier_score_loss")}, ["a", "b"])
    wider.update([0], dict.fromkeys("ab", np.full((1, 4), 1 / 4)), groups=[1])
    with pytest.raises(ValueError, match="the other stream has rows of the shapes"):
        wide.merge(wider)
    assert wide.rows == 2


def test_a_slice_checks_every_batch():
    """Not its first rows alone."""
    stream = SliceResampleStream({"mse": metric("mean_squared_error")}, n_resamples=2)
    stream.update([1.0, 2.0], [1.0, 4.0], [0, 0], 1)
    with pytest.raises(ValueError, match="not finite"):
        stream.update([1.0, np.nan], [1.0, 4.0], [0, 0], 1)
