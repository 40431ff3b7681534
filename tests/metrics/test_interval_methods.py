"""Intervals by method: Wilson, Clopper-Pearson, BCa and groups of rows, against scipy's."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from modelops_jax.metrics import (
    bootstrap_intervals,
    compute,
    confidence_intervals,
    count_intervals,
    metric,
    proportion_interval,
)
from modelops_jax.metrics._interval import Resampled

MEAN = {"it": metric("mean_absolute_error")}


@pytest.mark.parametrize("method", ["wilson", "exact"])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
def test_proportions_are_those_of_scipy(method, level):
    """Both methods over numerators from 0 to n, one trial and a million among them."""
    cases = [(0, 1), (1, 1), (0, 7), (3, 7), (7, 7), (1, 100), (50, 100), (3, 10**6)]
    hits, trials = np.array(cases).T
    found = proportion_interval(hits, trials, level=level, method=method)
    for at, (k, n) in enumerate(cases):
        expected = stats.binomtest(k, n).proportion_ci(level, method=method)
        assert np.asarray(found.low)[at] == pytest.approx(expected.low, abs=1e-12, rel=1e-9)
        assert np.asarray(found.high)[at] == pytest.approx(expected.high, abs=1e-12, rel=1e-9)
    assert found.method == {"wilson": "Wilson", "exact": "Clopper-Pearson"}[method]
    assert (found.n_resamples, found.seed) == (0, None)


def test_proportions_of_nothing_and_of_all():
    """0 of n begins at 0, n of n ends at 1, nothing of nothing may be anything."""
    for method in ("wilson", "exact"):
        none, every = (proportion_interval(k, 20, method=method) for k in (0, 20))
        assert none.low == 0.0 < none.high < 0.2
        assert 0.8 < every.low < every.high == 1.0
        nothing = proportion_interval(0, 0, method=method)
        assert (nothing.low, nothing.high) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("name", "options", "counts"),
    [
        ("accuracy_score", {}, (70, 100)),
        ("accuracy_score", {"num_classes": 2}, (70, 100)),
        ("zero_one_loss", {}, (30, 100)),
        ("precision_score", {}, (30, 40)),
        ("recall_score", {}, (30, 50)),
        ("specificity_score", {}, (40, 50)),
        ("jaccard_score", {}, (30, 60)),
        ("f1_score", {"average": "micro"}, (70, 100)),
        ("precision_score", {"average": "micro", "num_classes": 2}, (70, 100)),
    ],
)
def test_shares_of_rows_get_wilson(name, options, counts):
    """The numerator and denominator of each metric, of 30 TP, 10 FP, 20 FN and 40 TN."""
    y_true, y_pred = np.repeat([[1, 1], [0, 1], [1, 0], [0, 0]], [30, 10, 20, 40], axis=0).T
    found = confidence_intervals({"it": metric(name, **options)}, y_true, y_pred)["it"]
    assert found == proportion_interval(*counts)


def test_f1_rises_with_the_share_of_its_union():
    """F1 = 2 J / (1 + J): the interval of Jaccard's share, moved; per class where there are more.

    Its coverage is the share's, whatever the curve.
    """
    y_true, y_pred = np.repeat([[1, 1], [0, 1], [1, 0], [0, 0]], [30, 10, 20, 40], axis=0).T
    metrics = {
        "f1": metric("f1_score"),
        "each": metric("f1_score", average=None, num_classes=2),
        "micro": metric("jaccard_score", average="micro"),
    }
    found = confidence_intervals(metrics, y_true, y_pred)
    values = compute(metrics, y_true, y_pred).values
    shares = [proportion_interval(40, 70), proportion_interval(30, 60)]
    expected = [[2 * end / (1 + end) for end in (one.low, one.high)] for one in shares]
    assert (found["f1"].low, found["f1"].high) == pytest.approx(expected[1])
    assert np.stack([found["each"].low, found["each"].high], 1) == pytest.approx(np.array(expected))
    for name, interval in found.items():
        assert np.all((interval.low < values[name]) & (values[name] < interval.high)), name
        assert interval.method == "Wilson"


def test_what_is_no_share_gets_a_bootstrap():
    """Means over classes, weights and groups have none; asked for by name they are refused."""
    random = np.random.default_rng(0)
    y_true, y_pred = random.integers(0, 3, (2, 200))
    metrics = {
        "accuracy": metric("accuracy_score", num_classes=3),
        "macro": metric("f1_score", average="macro", num_classes=3),
        "f2": metric("fbeta_score", beta=2),
    }

    def methods(**options):
        found = confidence_intervals(metrics, y_true, y_pred, n_resamples=20, **options)
        return [interval.method for interval in found.values()]

    assert methods() == ["Wilson", "multinomial percentile", "multinomial percentile"]
    assert methods(method="bca") == ["multinomial BCa"] * 3
    assert methods(weight=np.ones(200)) == ["Poisson percentile"] * 3
    assert methods(weight=np.ones(200, bool))[0] == "Wilson"
    assert methods(groups=np.arange(200) // 4) == ["Poisson of groups percentile"] * 3
    with pytest.raises(ValueError, match=r"method='exact' is for shares of .* macro, f2 are not"):
        methods(method="exact")
    with pytest.raises(ValueError, match=r"which accuracy, macro, f2 are not"):
        methods(method="wilson", groups=np.arange(200))
    with pytest.raises(ValueError, match=r"method must be one of .*'auto'.* not 'wald'"):
        methods(method="wald")
    with pytest.raises(ValueError, match=r"expected 0 <= successes <= trials; found 3 of 2"):
        proportion_interval(3, 2)
    with pytest.raises(ValueError, match=r"expected whole numbers; found 1\.5 of 3"):
        proportion_interval(np.array(1.5), np.array(3.0))


def test_top_k_accuracy_is_a_share():
    """Its numerator counts the rows whose label is among the first k."""
    random = np.random.default_rng(1)
    labels, scores = random.integers(0, 4, 90), random.normal(size=(90, 4))
    top = {"it": metric("top_k_accuracy_score", k=2)}
    hits = round(90 * float(compute(top, labels, scores).values["it"]))
    assert confidence_intervals(top, labels, scores)["it"] == proportion_interval(hits, 90)


def test_bca_from_scipys_resamples_is_scipys():
    """Given the same resamples and the same left-out values, the ends are scipy's."""
    sample = np.random.default_rng(2).exponential(size=40)
    theirs = stats.bootstrap((sample,), np.mean, n_resamples=999, method="BCa", rng=3)
    left_out = (sample.sum() - sample) / 39
    ours = Resampled(np.asarray(sample.mean()), theirs.bootstrap_distribution, left_out)
    assert ours.ends(0.95, bca=True) == pytest.approx(theirs.confidence_interval, rel=1e-9)
    grouped = Resampled(ours.estimate, ours.values, left_out[:1].repeat(3), np.array([5, 1, 2]))
    assert grouped.ends(0.95, bca=True) == grouped.ends(0.95, bca=False)  # nothing to learn from


def test_bca_of_rows_is_scipys_but_for_the_draws():
    """A skewed mean of few rows: both ends lie above the percentile's, where scipy's are."""
    sample = np.random.default_rng(2).exponential(size=60)
    theirs = stats.bootstrap((sample,), np.mean, n_resamples=9999, method="BCa", rng=3)
    spread = float(theirs.standard_error)
    zeros = np.zeros(60)
    found = bootstrap_intervals(MEAN, zeros, sample, method="bca", n_resamples=4000)["it"]
    plain = bootstrap_intervals(MEAN, zeros, sample, n_resamples=4000)["it"]
    assert found.method == "Poisson BCa"
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=0.12 * spread)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=0.12 * spread)
    assert found.low > plain.low + 0.05 * spread
    assert found.high > plain.high + 0.05 * spread


def test_bca_of_cells_is_scipys_but_for_the_draws():
    """Accuracy of 3 wrong rows in 60, from the two counts alone."""
    right = np.arange(60) >= 3
    theirs = stats.bootstrap((right.astype(float),), np.mean, n_resamples=9999, rng=3)
    accuracy = {"it": metric("accuracy_score")}
    states = compute(accuracy, np.ones(60, int), right).states
    found = count_intervals(accuracy, states, method="bca", n_resamples=9999)["it"]
    # The values are sixtieths, so the ends may differ by one of them.
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=1.01 / 60)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=1.01 / 60)
    assert found.method == "multinomial BCa"


def test_parts_of_many_rows_have_the_rows_acceleration():
    """More rows than parts: leaving out 512 parts in turn tells the skewness of all rows."""
    sample = np.random.default_rng(4).exponential(size=3000)
    found = bootstrap_intervals(MEAN, np.zeros(3000), sample, method="bca", n_resamples=4000)["it"]
    theirs = stats.bootstrap((sample,), np.mean, n_resamples=4000, method="BCa", rng=3, batch=100)
    assert found.low == pytest.approx(
        theirs.confidence_interval.low, abs=0.2 * float(theirs.standard_error)
    )


REGRESSION = {
    "explained_variance_score": {},
    "pearson_corrcoef": {},
    "concordance_corrcoef": {},
    "mean_squared_log_error": {},
    "mean_poisson_deviance": {},
    "huber_loss": {"delta": 0.5},
}


def test_regression_statistics_and_rows_give_the_same_interval():
    """Moments, covariances and restricted domains agree with drawing rows one by one."""
    random = np.random.default_rng(5)
    y_true = np.exp(random.normal(size=300))
    y_pred = y_true * np.exp(0.7 * random.normal(size=300))
    metrics = {name: metric(name, **options) for name, options in REGRESSION.items()}
    found = bootstrap_intervals(metrics, y_true, y_pred, n_resamples=2000)
    index = random.integers(0, 300, (1000, 300))
    for name in metrics:
        loop = np.array([_value(name, y_true[rows], y_pred[rows]) for rows in index])
        ends = np.quantile(loop, [0.025, 0.975])
        noise = 8 * np.std(loop) / math.sqrt(1000)
        assert np.all(np.abs(ends - (found[name].low, found[name].high)) < noise), name


def _value(name, t, p):
    """The definitions, in NumPy."""
    cov = np.cov(t, p, bias=True)
    return {
        "explained_variance_score": lambda: 1 - np.var(t - p) / np.var(t),
        "pearson_corrcoef": lambda: np.corrcoef(t, p)[0, 1],
        "concordance_corrcoef": lambda: (
            2 * cov[0, 1] / (cov[0, 0] + cov[1, 1] + (t.mean() - p.mean()) ** 2)
        ),
        "mean_squared_log_error": lambda: np.mean((np.log1p(t) - np.log1p(p)) ** 2),
        "mean_poisson_deviance": lambda: 2 * np.mean(t * np.log(t / p) - t + p),
        "huber_loss": lambda: np.mean(
            np.where(abs(t - p) <= 0.5, (t - p) ** 2 / 2, 0.5 * (abs(t - p) - 0.25))
        ),
    }[name]()


def test_class_rows_and_rows_give_the_same_interval():
    """Log loss of a column per class, resampled by its rows' own losses."""
    random = np.random.default_rng(6)
    labels = random.integers(0, 3, 300)
    scores = random.normal(size=(300, 3)) + np.eye(3)[labels]
    loss = {"it": metric("log_loss", from_logits=True)}
    found = bootstrap_intervals(loss, labels, scores, n_resamples=2000)["it"]
    each = -np.log(np.exp(scores)[np.arange(300), labels] / np.exp(scores).sum(1))
    theirs = stats.bootstrap((each,), np.mean, method="percentile", rng=7)
    for end, expected in zip((found.low, found.high), theirs.confidence_interval, strict=True):
        assert end == pytest.approx(expected, abs=0.15 * float(theirs.standard_error))


def grouped(rows=1500, seed=8):
    """Values whose groups, of unlike sizes and in no order, share most of what they are."""
    random = np.random.default_rng(seed)
    groups = random.integers(0, 60, rows)
    value = random.normal(size=60)[groups] + 0.3 * random.normal(size=rows)
    return np.zeros(rows), value, groups


def test_groups_are_resampled_whole():
    """As drawing groups with replacement does, and three times as wide as rows alone."""
    zeros, value, groups = grouped()
    found = bootstrap_intervals(MEAN, zeros, value, groups=groups, n_resamples=2000)["it"]
    rows = bootstrap_intervals(MEAN, zeros, value, n_resamples=2000)["it"]
    members = [np.abs(value[groups == g]) for g in range(60)]
    sums, sizes = np.array([[m.sum(), m.size] for m in members]).T
    index = np.random.default_rng(9).integers(0, 60, (3000, 60))
    expected = np.quantile(sums[index].sum(1) / sizes[index].sum(1), [0.025, 0.975])
    width = expected[1] - expected[0]
    assert (found.low, found.high) == pytest.approx(expected, abs=0.06 * width)
    assert rows.high - rows.low < 0.4 * width


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_groups_do_not_depend_on_the_order_of_rows(method):
    """Rows in another order, ids as strings: equal but for the rounding of sums."""
    _, value, groups = grouped(5000)
    metrics = MEAN | {"r": metric("pearson_corrcoef")}
    shift = value + np.random.default_rng(1).normal(size=5000)

    def ends(order, ids):
        found = bootstrap_intervals(
            metrics, shift[order], value[order], groups=ids[order], method=method, n_resamples=200
        )
        return [end for one in found.values() for end in (one.low, one.high)]

    order = np.random.default_rng(2).permutation(5000)
    names = np.array([f"{g:03}" for g in groups])
    assert ends(order, names) == pytest.approx(ends(np.arange(5000), groups), rel=1e-12)


def test_every_row_its_own_group_is_no_group():
    """Ids in the order of the rows give the rows' own draws; a weight goes with its row."""
    random = np.random.default_rng(3)
    y_true, y_pred, weight = random.random((3, 5000))
    alone = bootstrap_intervals(MEAN, y_true, y_pred, weight=weight, n_resamples=50)["it"]
    ids = np.arange(5000)
    apart = bootstrap_intervals(MEAN, y_true, y_pred, weight=weight, groups=ids, n_resamples=50)
    assert (apart["it"].low, apart["it"].high) == pytest.approx((alone.low, alone.high), rel=1e-12)


def test_groups_are_one_id_a_row():
    """Another length and nan are refused."""
    with pytest.raises(ValueError, match=r"groups must have shape \(4,\).*found \(3,\)"):
        bootstrap_intervals(MEAN, np.zeros(4), np.ones(4), groups=[1, 2, 3])
    with pytest.raises(ValueError, match="groups holds 1 nan"):
        bootstrap_intervals(MEAN, np.zeros(2), np.ones(2), groups=[1.0, math.nan])
    with pytest.raises(ValueError, match=r"method must be one of .* not 'wilson'"):
        bootstrap_intervals(MEAN, np.zeros(2), np.ones(2), method="wilson")


@pytest.mark.parametrize("strict", [False, True])
def test_bca_of_what_never_varies_is_the_value(strict: bool, request: pytest.FixtureRequest):
    """No spread: the ends are the value, and no rows give nan, in float32 too."""
    if strict:
        request.getfixturevalue("strict_flags")
    ones = jnp.ones(8, jnp.float32)
    found = bootstrap_intervals(MEAN, ones, ones + 1, method="bca", n_resamples=20)["it"]
    assert (found.low, found.high) == (1.0, 1.0)
    none = bootstrap_intervals(MEAN, ones[:0], ones[:0], method="bca", n_resamples=20)["it"]
    assert math.isnan(none.low)
    assert math.isnan(none.high)


def test_resamples_that_differ_from_the_estimate_by_rounding_are_ties():
    """Sums of the same rows in another order are another number in the last digit."""
    left_out = np.array([0.25, 0.3, 0.4, 0.29])
    ends = [
        Resampled(np.array(0.3), np.array([0.1, 0.2, tie, tie, 0.4, 0.6]), left_out).ends(0.9, True)
        for tie in (0.3, 0.1 + 0.2, 0.3 - 1e-16)
    ]
    for other in ends[1:]:
        np.testing.assert_allclose(other, ends[0], rtol=1e-12)
