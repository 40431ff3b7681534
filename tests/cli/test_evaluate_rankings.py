"""`modelops evaluate --task ranking --group QUERY`: rankings by query, from a file."""

import functools
import json

import numpy as np
import pytest
from sklearn import metrics as sk

import modelops_jax.data
from modelops_jax.cli import main
from modelops_jax.evaluation import ModelEvaluator, UndefinedMetricWarning, compare

ASKED = ["--task", "ranking", "--true", "relevance", "--group", "query"]


@pytest.fixture(scope="module")
def rankings(tmp_path_factory):
    """Graded relevance of 40 queries of 8 rows, and two models' scores, in a mixed order."""
    random = np.random.default_rng(5)
    relevance = random.integers(0, 4, (40, 8))
    relevance[:, 0] = 3
    good = relevance + random.normal(size=relevance.shape)
    poor = relevance + 4 * random.normal(size=relevance.shape)
    query = np.repeat(np.arange(40), 8).reshape(40, 8)
    rows = [
        {"relevance": int(r), "good": g, "poor": p, "query": f"q{q}", "kind": f"k{q % 2}"}
        for r, g, p, q in zip(*(c.ravel() for c in (relevance, good, poor, query)), strict=True)
    ]
    path = tmp_path_factory.mktemp("rankings") / "rankings.jsonl"
    path.write_text("".join(f"{json.dumps(rows[i])}\n" for i in random.permutation(len(rows))))
    return path, relevance, good, poor


def evaluated(capsys, *arguments):
    """The JSON that the command prints."""
    assert main(["evaluate", *map(str, arguments), "--format", "json"]) == 0
    out, err = capsys.readouterr()
    return json.loads(out), err


def average_precision(relevance, scores):
    """The mean over queries of precision at the ranks of relevant rows, by definition."""
    found = []
    for true, score in zip(relevance > 0, scores, strict=True):
        ranked = true[np.argsort(-score)]
        found.append((np.cumsum(ranked) / np.arange(1, 1 + len(ranked)))[ranked].mean())
    return np.mean(found)


def test_values_intervals_and_slices_are_of_queries(rankings, capsys):
    path, relevance, good, _ = rankings
    asked = [path, *ASKED, "--pred", "good", "--ci", "0.95", "--slice", "kind"]
    found, err = evaluated(capsys, *asked)
    assert err == ""
    assert list(found["metrics"]) == [
        "ndcg_score", "mean_reciprocal_rank", "mean_average_precision",
    ]  # fmt: skip
    expected = sk.ndcg_score(relevance, good)
    assert found["metrics"]["ndcg_score"] == pytest.approx(expected, abs=1e-12)
    by_definition = average_precision(relevance, good)
    assert found["metrics"]["mean_average_precision"] == pytest.approx(by_definition, abs=1e-12)
    assert found["metadata"]["queries"] == 40
    interval = found["intervals"]["ndcg_score"]
    assert interval["method"] == "Poisson of groups percentile"
    of_queries = [sk.ndcg_score(r[None], s[None]) for r, s in zip(relevance, good, strict=True)]
    # The normal interval of 40 means of queries, which the bootstrap is to come near.
    half = 1.96 * np.std(of_queries, ddof=1) / np.sqrt(40)
    assert interval["low"] == pytest.approx(expected - half, abs=half / 3)
    assert interval["high"] == pytest.approx(expected + half, abs=half / 3)
    parts = {part["key"]["kind"]: part for part in found["slices"]}
    for place, name in enumerate(("k0", "k1")):
        own = sk.ndcg_score(relevance[place::2], good[place::2])
        assert parts[name]["metrics"]["ndcg_score"] == pytest.approx(own, abs=1e-12)
        assert parts[name]["intervals"]["ndcg_score"]["low"] < own


def test_models_are_compared_on_the_same_queries(rankings, tmp_path, capsys):
    path, relevance, good, poor = rankings
    page = tmp_path / "page.html"
    asked = [path, *ASKED, "--pred", "good", "--pred", "poor", "--metric", "ndcg_score:k=3"]
    found, _ = evaluated(capsys, *asked, "--baseline", "poor", "--report", page)
    metric = found["metrics"]["ndcg_score:k=3"]
    values = [sk.ndcg_score(relevance, scores, k=3) for scores in (good, poor)]
    assert [metric["values"][name] for name in ("good", "poor")] == pytest.approx(values, abs=1e-12)
    assert metric["verdicts"]["good"] == "better than poor"
    (pair,) = metric["pairs"]
    assert pair["difference"] == pytest.approx(values[0] - values[1], abs=1e-12)
    assert (pair["test"], pair["distinguishable"]) == ("permutation", True)
    assert pair["interval"]["method"] == "paired Poisson of groups percentile"
    apart = [
        sk.ndcg_score(r[None], g[None], k=3) - sk.ndcg_score(r[None], p[None], k=3)
        for r, g, p in zip(relevance, good, poor, strict=True)
    ]
    half = 1.96 * np.std(apart, ddof=1) / np.sqrt(40)
    assert pair["interval"]["low"] == pytest.approx(np.mean(apart) - half, abs=half / 3)
    assert pair["interval"]["high"] == pytest.approx(np.mean(apart) + half, abs=half / 3)
    assert "ndcg_score:k=3" in page.read_text()


def test_a_query_may_lie_in_several_chunks(rankings, capsys, monkeypatch):
    """Of rows in a mixed order, chunks hold parts of every query."""
    path, relevance, good, _ = rankings
    chunks = list(modelops_jax.data.read_table(path, {"query": "label"}, chunk_rows=150))
    assert [len(chunk.lines) for chunk in chunks] == [150, 150, 20]
    assert set(chunks[0].columns["query"]) & set(chunks[1].columns["query"])
    in_chunks = functools.partial(modelops_jax.data.read_table, chunk_rows=150)
    monkeypatch.setattr("modelops_jax.data.read_table", in_chunks)
    found, _ = evaluated(capsys, path, *ASKED, "--pred", "good")
    expected = sk.ndcg_score(relevance, good)
    assert found["metrics"]["ndcg_score"] == pytest.approx(expected, abs=1e-12)


def test_bad_rows_and_missing_queries_are_named(tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    rows = [(True, 0.5, "a"), (-1, 0.2, "a"), (2.5, 0.1, None), (0, "x", "b"), (0, 0.1, "b")]
    keys = ("relevance", "y_pred", "query")
    path.write_text("".join(f"{json.dumps(dict(zip(keys, r, strict=True)))}\n" for r in rows))
    assert main(["evaluate", str(path), *ASKED]) == 1
    err = capsys.readouterr().err
    assert "line 2: relevance: found -1, expected a relevance of at least 0" in err
    assert "line 3: query: found NoneType None, expected a label" in err
    assert "line 4: y_pred: found str 'x', expected a number" in err
    assert "3 bad row(s), 2 good" in err
    found, err = evaluated(capsys, path, *ASKED, "--allow-bad-rows")
    assert found["metrics"]["ndcg_score"] == 1.0
    assert "1 of 2 queries have no relevant row and are left out" in err
    alone = ["--task", "ranking", "--true", "relevance", "--metric", "dcg_score"]
    assert main(["evaluate", str(path), *alone]) == 1
    assert "dcg_score: needs --group, the column of each row's query" in capsys.readouterr().err


def test_the_evaluator_takes_any_ids_and_refuses_none():
    evaluator = ModelEvaluator("ranking", metrics=["precision_at_k"]).add_metric("recall_at_k", k=1)
    rows = ([1, 0, 0, 0], [0.9, 0.1, 0.3, 0.2])
    with pytest.warns(UndefinedMetricWarning, match="recall_at_k: 1 of 2 queries"):
        found = evaluator.evaluate(*rows, groups=["b", "a", "b", "a"])
    assert found.metrics == {"precision_at_k": 0.25, "recall_at_k": 1.0}
    for refused in (
        lambda: evaluator.evaluate(*rows),
        lambda: evaluator.stream().update(*rows),
        lambda: compare(rows[0], {"a": rows[1], "b": rows[1]}, task=evaluator),
    ):
        with pytest.raises(ValueError, match="groups is missing"):
            refused()
    with pytest.raises(ValueError, match=r"y_true has -1\.0 at index 0"):
        evaluator.evaluate([-1, 1], [0.1, 0.2], groups=[1, 1])
    with pytest.raises(ValueError, match="y_true has 4 entries and groups has 1"):
        evaluator.evaluate(*rows, groups=[1])
