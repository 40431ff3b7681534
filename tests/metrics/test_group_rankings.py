"""Metrics of ranked groups: scikit-learn by query, every order of ties, and resampled groups."""

import itertools
import math
import time

import jax
import numpy as np
import pytest
import sklearn.metrics as oracle

from modelops_jax.metrics import (
    METRICS,
    MetricStream,
    bootstrap_intervals,
    compute,
    dcg_score,
    hit_rate_at_k,
    metric,
    ndcg_score,
    precision_at_k,
)

NAMES = [name for name, info in METRICS.items() if info.inputs == "groups"]


def rankings(queries: int, most: int, seed: int = 0, decimals: int = 1):
    """Rows of queries of 1 to `most` rows, with ties, in random order, under odd ids."""
    random = np.random.default_rng(seed)
    sizes = random.integers(1, most + 1, queries)
    groups = np.repeat(random.choice(np.arange(-(10**12), 10**12, 10**9), queries, False), sizes)
    relevance = random.choice(4, groups.size, p=[0.6, 0.2, 0.1, 0.1])
    score = np.round(random.normal(size=groups.size) + relevance / 2, decimals)
    order = random.permutation(groups.size)
    return relevance[order], score[order], groups[order]


def of_order(name: str, relevance: np.ndarray, k: int | None) -> float:
    """The metric of one query whose rows are in this order, as textbooks define it."""
    size, found = len(relevance), [r > 0 for r in relevance]
    cut = size if k is None else k
    gain = sum(r / math.log2(i + 2) for i, r in enumerate(relevance[:cut]))
    best = sum(r / math.log2(i + 2) for i, r in enumerate(sorted(relevance)[::-1][:cut]))
    first = next((i for i, hit in enumerate(found[:cut]) if hit), None)
    precisions = [sum(found[: i + 1]) / (i + 1) for i, hit in enumerate(found[:cut]) if hit]
    if name == "dcg_score":
        return gain
    if name == "precision_at_k":
        return sum(found[:cut]) / cut
    if not any(found):
        return math.nan
    return {
        "ndcg_score": gain / best,
        "mean_reciprocal_rank": 0.0 if first is None else 1 / (first + 1),
        "mean_average_precision": sum(precisions) / min(cut, sum(found)),
        "recall_at_k": sum(found[:cut]) / sum(found),
        "hit_rate_at_k": float(first is not None),
    }[name]


def by_orders(name: str, columns, k: int | None) -> list[float]:
    """The mean of every query over all orders that its ties leave open."""
    values = []
    for group in np.unique(columns[2]):
        true, pred = (column[columns[2] == group] for column in columns[:2])
        orders = [
            of_order(name, true[list(order)], k)
            for order in itertools.permutations(range(true.size))
            if np.all(np.diff(pred[list(order)]) <= 0)
        ]
        values.append(float(np.mean(orders)))
    return values


@pytest.mark.parametrize("k", [None, 1, 2, 4, 9])
@pytest.mark.parametrize("name", NAMES)
def test_ties_are_the_mean_over_all_orders(name, k):
    """Brute force over every order of queries of up to six rows, most of them tied."""
    columns = rankings(12, 6, seed=1, decimals=0)
    columns = (*(c.astype(np.float64) for c in columns[:2]), columns[2])
    expected = by_orders(name, columns, k)
    report = compute({"it": metric(name, k=k)}, *columns[:2], groups=columns[2])
    assert report.values["it"] == pytest.approx(np.nanmean(expected), abs=1e-13)
    assert report.undefined["it"] == np.isnan(expected).sum()
    assert name in ("dcg_score", "precision_at_k") or report.undefined["it"] > 0


@pytest.mark.parametrize("k", [None, 3])
def test_gains_are_those_of_scikit_learn_by_query(k):
    """The same numbers as scikit-learn's, which takes one query a call, ties included."""
    true, pred, groups = rankings(150, 40)
    gains, shares = [], []
    for group in np.unique(groups):
        rows = [c[groups == group][None] for c in (true, pred)]
        if rows[0].size == 1:  # scikit-learn refuses a query of one row
            rows = [np.append(column, [[0.0]], axis=1) for column in rows]
            rows[1][0, 1] = rows[1].min() - 1
        gains.append(oracle.dcg_score(*rows, k=k))
        if rows[0].any():
            shares.append(oracle.ndcg_score(*rows, k=k))
    assert dcg_score(true, pred, groups, k=k) == pytest.approx(np.mean(gains), rel=1e-12)
    assert ndcg_score(true, pred, groups, k=k) == pytest.approx(np.mean(shares), rel=1e-12)


def test_reciprocal_rank_of_long_ties_keeps_its_digits():
    """One tie of 3,000 rows of which 5 are relevant: exact fractions agree."""
    from fractions import Fraction

    size, relevant = 3000, 5
    chance, expected = Fraction(1), 0.0
    for place in range(size - relevant + 1):
        expected += float(chance * Fraction(relevant, size - place) / (place + 1))
        chance *= Fraction(size - place - relevant, size - place)
        chance = chance.limit_denominator(10**40)
    true = np.arange(size) < relevant
    found = METRICS["mean_reciprocal_rank"].function(true, np.zeros(size), np.zeros(size, int))
    assert found == pytest.approx(expected, rel=1e-12)


def test_batches_may_split_queries():
    """Rows of a query in any batch, merged and saved, are the query."""
    columns = rankings(60, 9)
    metrics = {name: metric(name, k=3) for name in NAMES}
    whole = compute(metrics, *columns[:2], groups=columns[2])
    streams = [MetricStream(metrics) for _ in range(2)]
    for start in range(0, columns[0].size, 50):
        true, pred, groups = (c[start : start + 50] for c in columns)
        streams[start // 50 % 2].update(true, pred, groups=groups)
    streams[0].save("first.state")
    merged = MetricStream.load("first.state", metrics)
    merged.merge(streams[1])
    assert merged.report().values == pytest.approx(whole.values, rel=1e-13)
    assert merged.report().undefined == whole.undefined
    assert set(merged.keeps_rows) == set(NAMES)


def test_a_weight_is_of_the_query():
    """Numbers weigh the queries; two numbers in one query are refused, traced they give nan."""
    true, pred, groups = [1, 0, 0, 1], [2.0, 1.0, 2.0, 1.0], [0, 0, 1, 1]
    found = METRICS["mean_reciprocal_rank"].function(true, pred, groups, weight=[3.0, 3, 1, 1])
    assert found == (3 * 1 + 1 * 0.5) / 4
    uneven = np.array([3.0, 3.0, 1.0, 2.0])
    with pytest.raises(ValueError, match="weight: 1 groups whose rows have different weights"):
        ndcg_score(true, pred, groups, weight=uneven)
    arrays = (np.array(true), np.array(pred), np.array(groups))
    assert np.isnan(jax.jit(ndcg_score)(*arrays, weight=uneven))


def test_without_queries_there_is_no_value():
    """No rows, or no query with a relevant row: nan, but a precision of 0."""
    assert np.isnan(dcg_score([], [], []))
    report = compute({"ndcg": metric("ndcg_score")}, [0, 0], [1.0, 2.0], groups=[4, 5])
    assert np.isnan(report.values["ndcg"])
    assert report.undefined["ndcg"] == 3  # two queries, and the mean
    assert precision_at_k([0, 0], [1.0, 2.0], [4, 5]) == 0.0
    assert dcg_score([0, 0], [1.0, 2.0], [4, 5]) == 0.0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"groups": None}, ValueError, "groups is missing"),
        ({"groups": [0, 0]}, ValueError, r"groups has shape \(2,\); expected \(3,\)"),
        ({"groups": [0.0, 0.0, 1.0]}, TypeError, "groups must hold integers, not float64"),
        ({"groups": ["a", "a", "b"]}, TypeError, "groups must hold integers"),
        ({"y_true": [1, 0, -1]}, ValueError, "y_true: 1 values that are negative"),
        ({"y_true": [1, 0, np.inf]}, ValueError, "y_true: 1 values"),
        ({"y_pred": [1.0, np.nan, 0.0]}, ValueError, "y_pred: 1 values"),
        ({"weight": [1.0, -1.0, 1.0]}, ValueError, "weight: 1 weights that are negative"),
        ({"k": 0}, ValueError, "k must be at least 1, not 0"),
        ({"k": True}, TypeError, "k must be an integer or None, not True"),
    ],
)
def test_refusals(change, error, message):
    """What no definition covers is an error that names the argument."""
    given = {"y_true": [1, 0, 2], "y_pred": [0.1, 0.2, 0.3], "groups": [0, 0, 1]} | change
    k, weight = given.pop("k", None), given.pop("weight", None)
    with pytest.raises(error, match=message):
        compute({"it": metric("ndcg_score", k=k)}, **given, weight=weight)


def test_ids_are_never_wrapped():
    """Two ids that are one in 32 bits are two groups, or an error where there are only 32."""
    true, pred, groups = np.array([1, 0]), np.array([1.0, 2.0]), np.array([0, 2**32])
    assert hit_rate_at_k(true, pred, groups, k=1) == 1.0  # the second query has no relevant row
    with pytest.raises(ValueError, match="which int32 cannot hold: number them with"):
        jax.jit(lambda score: ndcg_score(true, score, groups))(pred)
    with pytest.raises(ValueError, match="none of the metrics is of groups"):
        compute({"mse": metric("mean_squared_error")}, true, pred, groups=groups)


def test_intervals_resample_queries():
    """The ends are those of drawing whole queries, which rows of one query make wider."""
    random = np.random.default_rng(3)
    groups = np.repeat(np.arange(200), 10)
    good = np.repeat(random.random(200) < 0.5, 10)
    true = np.tile(np.arange(10) == 0, 200)
    pred = np.where(good, true, ~true) + 0.01 * random.random(2000)
    mrr = {"mrr": metric("mean_reciprocal_rank")}
    found = bootstrap_intervals(mrr, true, pred, groups=groups)["mrr"]
    each = np.where(good[::10], 1.0, 0.1)
    means = each[random.integers(0, 200, (4000, 200))].mean(axis=1)
    assert found.method == "Poisson of groups percentile"
    assert (found.low, found.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.012)
    again = bootstrap_intervals(mrr, true, pred, groups=groups, weight=np.full(2000, 2.0))["mrr"]
    assert again.low == pytest.approx(found.low, abs=1e-12)


def test_many_queries_are_at_least_twenty_times_as_fast_as_a_loop():
    """8,000 queries of 40 rows against scikit-learn's one call a query, on a sample of 200."""
    random = np.random.default_rng(0)
    true, pred = random.integers(0, 4, (8000, 40)), random.normal(size=(8000, 40))
    groups = np.repeat(np.arange(8000), 40)
    found, times = math.nan, []
    for _ in range(3):
        start = time.perf_counter()
        found = ndcg_score(true.reshape(-1), pred.reshape(-1), groups)
        times.append(time.perf_counter() - start)
    start = time.perf_counter()
    for query in range(200):
        oracle.ndcg_score(true[query : query + 1], pred[query : query + 1])
    loop = (time.perf_counter() - start) * 40
    assert found == pytest.approx(oracle.ndcg_score(true, pred), rel=1e-12)
    assert loop / min(times) > 20
