"""Weights of rows: that many rows for a value, fewer for an interval, and none at all for 0."""

import json
import math
import re
from typing import Any

import numpy as np
import pytest
import sklearn.metrics

import modelops_jax.metrics as numeric
from modelops_jax.cli import main
from modelops_jax.evaluation import EvaluationStream, F1Metric, ModelEvaluator, compare
from modelops_jax.evaluation._pair_counts import PairCounts
from modelops_jax.evaluation._running import LabelCounts

RNG = np.random.default_rng(0)
ROWS = 80
TIMES = RNG.integers(0, 4, ROWS)
NAMES = np.array(["ant", "bee", "cat"])
CODES = RNG.integers(0, 3, (2, ROWS))
SURE = RNG.dirichlet([1, 1, 1], ROWS)
VALUES = RNG.normal(size=(2, ROWS))
QUERY = np.arange(ROWS) // 5
# By task its metrics (None: its own), what is right, what was predicted, and scores.
TASKS: dict[str, Any] = {
    "classification": (None, NAMES[CODES[0]], NAMES[CODES[1]], None),
    "binary": (None, CODES[0] > 1, CODES[1] > 1, None),
    "multiclass": (
        ["accuracy_score", "f1_score", "log_loss", "roc_auc_score", "top_k_accuracy_score"],
        *CODES,
        SURE,
    ),
    "multilabel": (None, *RNG.integers(0, 2, (2, ROWS, 3)), None),
    "regression": (["mean_squared_error", "r2_score", "median_absolute_error"], *VALUES, None),
    "ranking": (None, CODES[0] > 0, VALUES[1], None),
    "text_generation": (
        ["exact_match", "bleu_score", "rouge_l_score"],
        [f"the {name} eats" for name in NAMES[CODES[0]]],
        [f"the {name} eats" for name in NAMES[CODES[1]]],
        None,
    ),
}


def repeated(column, times=TIMES) -> Any:
    """Each row as often as it weighs."""
    if column is None:
        return None
    if isinstance(column, list):
        return [entry for entry, many in zip(column, times, strict=True) for _ in range(many)]
    return np.repeat(column, times, axis=0)


# The others compile as much again.
COMMON = ("classification", "ranking")


@pytest.mark.parametrize(
    "task",
    [pytest.param(t, marks=() if t in COMMON else pytest.mark.model) for t in TASKS],
)
def test_a_weight_is_that_many_rows_for_a_value(task):
    """Of all rows, of classes and of slices; a mask is the rows that it keeps, and is exact."""
    metrics, true, pred, score = TASKS[task]
    evaluator = ModelEvaluator(task, metrics=metrics)
    half = np.arange(ROWS) % 2
    found = evaluator.evaluate(true, pred, y_score=score, weight=TIMES, slices={"half": half})
    many = evaluator.evaluate(
        *(repeated(column) for column in (true, pred)),
        y_score=repeated(score),
        slices={"half": repeated(half)},
    )
    assert found.metrics == pytest.approx(many.metrics, rel=1e-12, abs=1e-12)
    assert found.sample_count == int((TIMES > 0).sum())
    assert found.metadata["total_weight"] == many.sample_count
    assert f"total_weight:{float(many.sample_count)}" in found.signature
    for one, other in zip(found.per_class, many.per_class, strict=True):
        assert one.metrics == pytest.approx(other.metrics, rel=1e-12)
    for one, other in zip(found.slices, many.slices, strict=True):
        assert one.key == other.key
        assert one.metrics == pytest.approx(other.metrics, rel=1e-12, abs=1e-12)
    keep = TIMES > 1
    masked = evaluator.evaluate(true, pred, y_score=score, weight=keep)
    few = (repeated(column, keep.astype(int)) for column in (true, pred, score))
    true, pred, score = few
    assert masked == evaluator.evaluate(true, pred, y_score=score)


ONES = np.where(np.arange(ROWS) < 40, 1, TIMES)
WEIGHTS = {"counts": ONES, "fractions": np.where(ONES > 1, ONES - 0.7, ONES), "ones": ONES > 0}


def _taken(column, rows):
    if isinstance(column, dict):
        return {name: part[rows] for name, part in column.items()}
    return column[rows]


def streamed(evaluator, columns, weight, path=None, *, resamples=0, seed=0, **of_rows):
    """Batches, the first ones of rows that weigh 1; with a path the last ones come from a file."""
    stream, late = evaluator.stream(resamples=resamples, seed=seed), evaluator.stream()
    true, pred, score = columns
    for start in range(0, ROWS, 16):
        rows = slice(start, start + 16)
        given = {name: _taken(column, rows) for name, column in of_rows.items()}
        (late if path and start > 40 else stream).update(
            true[rows],
            pred[rows],
            y_score=None if score is None else score[rows],
            weight=weight[rows],
            **given,
        )
    if path:
        late.save(path)
        stream.merge(EvaluationStream.load(path, evaluator))
    return stream


@pytest.mark.filterwarnings("ignore::modelops_jax.evaluation.NoIntervalWarning")
@pytest.mark.parametrize(
    ("task", "kind"),
    [
        pytest.param(t, k, marks=() if (t in COMMON and k == "fractions") else pytest.mark.model)
        for t in TASKS
        for k in WEIGHTS
    ],
)
def test_a_stream_of_weighted_rows_gives_what_one_evaluation_gives(task, kind, tmp_path):
    """Merged, from a file, and by slices; where all weigh 1 or 0 also the intervals."""
    metrics, *columns = TASKS[task]
    evaluator, weight = ModelEvaluator(task, metrics=metrics), WEIGHTS[kind]
    half: Any = {"half": np.arange(ROWS) % 2}
    level = None if kind == "fractions" else 0.9
    asked = {"y_score": columns[2], "weight": weight, "confidence": level}
    whole = evaluator.evaluate(*columns[:2], **asked, slices=half)
    found = streamed(evaluator, columns, weight, tmp_path / "state").result(confidence=level)
    sliced = streamed(evaluator, columns, weight, slices=half).result()
    for one in (found, sliced):
        assert one.metrics == pytest.approx(whole.metrics, rel=1e-12, abs=1e-12)
        assert one.sample_count == whole.sample_count
        assert one.metadata.get("total_weight") == whole.metadata.get("total_weight")
        for mine, other in zip(one.per_class, whole.per_class, strict=True):
            assert mine.metrics == pytest.approx(other.metrics, rel=1e-12)
            assert (mine.rows, mine.predicted) == (other.rows, other.predicted)
    assert sliced.slices
    for mine, other in zip(sliced.slices, whole.slices, strict=True):
        assert (mine.key, mine.rows) == (other.key, other.rows)
        assert mine.metrics == pytest.approx(other.metrics, rel=1e-12, abs=1e-12)
    methods = {name: interval.method for name, interval in found.intervals.items()}
    for name, method in methods.items():
        interval, other = found.intervals[name], whole.intervals[name]
        assert method == other.method
        assert (interval.low, interval.high) == pytest.approx((other.low, other.high), abs=1e-12)
    if kind == "counts":
        kept = ("auc_score", "auc_roc", "absolute_error")
        assert list(methods) == [name for name in found.metrics if name.endswith(kept)]
    if task == "classification" and kind == "ones":
        assert methods.keys() == whole.metrics.keys()


@pytest.mark.parametrize(
    "task", [pytest.param(t, marks=() if t == COMMON[0] else pytest.mark.model) for t in TASKS]
)
def test_a_stream_draws_the_intervals_of_weighted_rows(task):
    """The same as of all rows together: also those of counts, and of rows that first weigh 1."""
    metrics, *columns = TASKS[task]
    evaluator, weight = ModelEvaluator(task, metrics=metrics), WEIGHTS["fractions"]
    asked: Any = {"confidence": 0.9, "n_resamples": 20, "seed": 3}
    whole = evaluator.evaluate(*columns[:2], y_score=columns[2], weight=weight, **asked)
    found = streamed(evaluator, columns, weight, resamples=20, seed=3).result(**asked)
    assert_drawn_alike(found, whole)


@pytest.mark.model
def test_many_weighted_classes_are_drawn_as_metrics_tell_them_apart():
    """Past 128 classes no table of all is drawn; a positive class may come late, and in blocks."""
    true = np.concatenate([np.arange(1, 100), RNG.integers(0, 150, 6_000)])
    pred = np.where(RNG.random(true.size) < 0.6, true, RNG.integers(0, 150, true.size))
    late = np.arange(true.size) > 5_000
    true, pred = (np.where((side == 0) & ~late, 1, side) for side in (true, pred))
    weight = 0.5 + RNG.random(true.size)
    evaluator = ModelEvaluator("multiclass", metrics=["accuracy_score", F1Metric(0)])
    asked: Any = {"confidence": 0.9, "n_resamples": 20}
    stream = evaluator.stream(resamples=20)
    for rows in np.split(np.arange(true.size), [50, 99, 4_800, 5_500]):
        stream.update(true[rows], pred[rows], weight=weight[rows])
    (labels,) = stream._running
    assert isinstance(labels, LabelCounts)
    assert labels._drawn is not None
    assert len(labels._drawn.whole._sums._models[0].pairs) <= 6
    assert_drawn_alike(
        stream.result(**asked), evaluator.evaluate(true, pred, weight=weight, **asked)
    )


def assert_drawn_alike(found, whole):
    """Every metric has its interval, which is drawn, and is the same to rounding."""
    assert found.intervals.keys() == whole.intervals.keys() == whole.metrics.keys()
    for name, interval in found.intervals.items():
        other = whole.intervals[name]
        assert interval.method == other.method
        assert interval.method.startswith("Poisson")
        assert (interval.low, interval.high) == pytest.approx((other.low, other.high), abs=1e-12)
        assert interval.low < interval.high or name == "bleu_score"  # 0 of such short texts
    assert found.signature == whole.signature


def test_many_classes_and_queries_are_weighted(tmp_path):
    """150 classes, whose mean is made class by class; queries whose weight all their rows have."""
    codes = np.concatenate([np.arange(150), RNG.integers(0, 150, (200,))])
    other = np.where(RNG.random(350) < 0.5, codes, RNG.integers(0, 150, 350))
    times = RNG.integers(1, 4, 350)
    for average in ("macro", "weighted"):
        evaluator = ModelEvaluator("multiclass", metrics=[F1Metric(average=average)])
        found = evaluator.evaluate(codes, other, weight=times).metrics
        many = evaluator.evaluate(np.repeat(codes, times), np.repeat(other, times)).metrics
        assert found == pytest.approx(many, rel=1e-12)
        stream = evaluator.stream()
        for rows in (slice(0, 100), slice(100, 350)):
            stream.update(codes[rows], other[rows], weight=times[rows])
        assert stream.result().metrics == pytest.approx(many, rel=1e-12)
    ndcg = ModelEvaluator("ranking", metrics=["ndcg_score"])
    relevance = (RNG.random(ROWS) < 0.5).astype(float)
    of_query = 1.0 + QUERY % 3
    found = ndcg.evaluate(relevance, VALUES[0], groups=QUERY, weight=of_query)
    expected = numeric.ndcg_score(relevance, VALUES[0], groups=QUERY, weight=of_query)
    assert found.metrics["ndcg_score"] == pytest.approx(float(expected), abs=1e-12)
    columns = relevance, VALUES[0], None
    stream = streamed(ndcg, columns, of_query, tmp_path / "state", groups=QUERY)
    assert stream.result() == found


@pytest.mark.model
def test_intervals_and_tests_of_weighted_rows():
    """Those of the numeric core with its weights: rows are resampled, no counts and no formula."""
    weight = RNG.exponential(size=ROWS) * (RNG.random(ROWS) < 0.9)
    kept = weight > 0
    true, pred = (CODES > 0).astype(int)
    groups = np.arange(ROWS) // 2
    cases: tuple[tuple[str, dict[str, Any]], ...] = (
        ("f1_score", {}),
        ("roc_auc_score", {"groups": groups}),
    )
    for name, asked in cases:
        evaluator = ModelEvaluator("binary", metrics=[name])
        of_scores = evaluator.reads_scores
        found = evaluator.evaluate(
            true,
            None if of_scores else pred,
            y_score=VALUES[0] if of_scores else None,
            weight=weight,
            confidence=0.9,
            **asked,
        )
        own: dict[str, Any] = {option: column[kept] for option, column in asked.items()}
        expected = numeric.confidence_intervals(
            {name: numeric.metric(name)},
            true[kept],
            (VALUES[0] if of_scores else pred)[kept],
            weight=weight[kept],
            level=0.9,
            **own,
        )[name]
        interval = found.intervals[name]
        assert interval.method.startswith("Poisson")
        assert (interval.low, interval.high) == pytest.approx(
            (expected.low, expected.high), abs=1e-12
        )


@pytest.mark.model
def test_slices_of_weighted_rows_are_tested_in_groups():
    """Student of groups; without groups they are not tested at all."""
    weight = RNG.exponential(size=ROWS)
    true, pred = (CODES > 0).astype(int)
    groups = np.arange(ROWS) // 2
    sliced = ModelEvaluator("binary").evaluate(
        true, pred, weight=weight, confidence=0.9, slices={"q": groups % 2}, groups=groups
    )
    assert {one.tests["accuracy"] for one in sliced.slices} == {"Student of groups"}
    assert all(
        one.intervals["f1"].method == "Poisson of groups percentile" for one in sliced.slices
    )


@pytest.mark.model
def test_weighted_models_are_compared():
    """The difference is that of repeated rows, its interval and test those of the core."""
    models = {"a": CODES[1] > 0, "b": VALUES[0] > 0}
    true, weight = CODES[0] > 0, TIMES.astype(float)
    found = compare(true, models, task="binary", weight=weight, n_resamples=100)
    many = compare(
        repeated(true), {n: repeated(p) for n, p in models.items()}, task="binary", n_resamples=100
    )
    keep = TIMES > 0
    direct = numeric.paired_differences(
        {"it": numeric.metric("accuracy_score")},
        true[keep].astype(int),
        {name: pred[keep].astype(int) for name, pred in models.items()},
        weight=weight[keep],
        n_resamples=100,
    )["it"]["a", "b"]
    for name, one in found.metrics.items():
        (pair,), (other,) = one.pairs, many.metrics[name].pairs
        assert pair.difference == pytest.approx(other.difference, abs=1e-12)
        assert pair.test == "permutation"
    (pair,) = found.metrics["accuracy"].pairs
    assert (pair.p_value, pair.interval.low) == pytest.approx(
        (direct.p_value, direct.interval.low), abs=1e-12
    )


def test_weights_that_are_none_are_refused():
    """Each with what was found; an own metric takes a mask."""

    class Own:
        name = "own"

        def compute(self, y_true, y_pred):
            return float(len(y_true))

    evaluator = ModelEvaluator("binary").add_metric(Own())
    true = [1, 0, 1]
    assert evaluator.evaluate(true, true, weight=[True, False, True]).metrics["own"] == 2.0
    with pytest.raises(ValueError, match="own: metrics of your own take no weight"):
        evaluator.evaluate(true, true, weight=[1.0, 2.0, 1.0])
    with pytest.raises(ValueError, match=r"weight has shape \(2,\); expected \(3,\)"):
        evaluator.evaluate(true, true, weight=[1, 2])
    with pytest.raises(ValueError, match=r"weight has -1\.0 at index 1 \(1 such entries in all\)"):
        evaluator.evaluate(true, true, weight=[1, -1, 1])
    with pytest.raises(TypeError, match="expected numbers of at least 0"):
        evaluator.evaluate(true, true, weight=["a", "b", "c"])
    for extreme, told in ((5e-324, "5e-324"), (1e300, r"1e\+300")):
        with pytest.raises(ValueError, match=rf"weight has {told} at index 2 \(1 such.* 1e-140"):
            evaluator.evaluate(true, true, weight=[1.0, 2.0, extreme])
    stream = evaluator.stream()
    stream.update(true, true, weight=[1, 0, 1])
    with pytest.raises(ValueError, match="own: metrics of your own take no weight"):
        stream.update(true, true, weight=[1.0, 2.0, 1.0])
    with pytest.raises(ValueError, match="these rows have no weights; the rows before have weigh"):
        stream.update(true, true)
    stream.update(["any", "label"], ["at", "all"], weight=[0, 0])
    assert (stream.rows, stream.result().metrics["own"]) == (2, 2.0)
    other = evaluator.stream()
    other.update(true, true)
    with pytest.raises(ValueError, match="the other stream have no weights"):
        stream.merge(other)


def test_the_weight_of_all_rows_does_not_depend_on_the_batches():
    """It is rounded once, where adding batch by batch rounds each time."""
    weight, labels = np.full(36, 0.1), np.zeros(36, int)
    evaluator = ModelEvaluator("binary", metrics=["accuracy_score"])
    stream = evaluator.stream()
    for part in np.split(weight, 12):
        stream.update(labels[:3], labels[:3], weight=part)
    total = stream.result().metadata["total_weight"]
    assert total == math.fsum(weight) != sum(weight)
    assert stream.result().signature == evaluator.evaluate(labels, labels, weight=weight).signature


def test_weights_of_pairs_are_summed_to_the_last_digit():
    """A row of 2**53 before rows of 1, which a float would not add to it, batch by batch."""
    true, pred, ids = np.random.default_rng(1).integers(0, 3, (3, 1_000))
    weight = np.ones(1_000)
    weight[:2] = 2.0**53
    parts = PairCounts.of_none(sliced=True)
    for start in range(0, 1_000, 2):
        parts += PairCounts.of_rows(*(c[start : start + 2] for c in (true, pred, weight, ids)))
    expected: dict[tuple[int, ...], list[float]] = {}
    keys = zip(ids.tolist(), true.tolist(), pred.tolist(), strict=True)
    for key, one in zip(keys, weight.tolist(), strict=True):
        expected.setdefault(key, []).append(one)
    assert parts.weights is not None
    found = zip(map(tuple, parts.cells.tolist()), parts.counts, parts.weights.T, strict=True)
    sums = {cell: (count, *map(int, both)) for cell, count, both in found}
    assert {cell: (n, high + low) for cell, (n, high, low) in sums.items()} == {
        cell: (len(values), sum(map(int, values))) for cell, values in expected.items()
    }
    for number, part in enumerate(parts.by_slice(range(3))):
        cells = zip(part.cells.tolist(), part.counts.tolist(), strict=True)
        own = {(number, *cell): count for cell, count in cells}
        assert own == {cell: len(v) for cell, v in expected.items() if cell[0] == number}


def test_the_command_takes_a_column_of_weights(tmp_path, capsys):
    """Of one model and of two; a weight that is none is a bad row, and the page counts by it."""
    rows = zip(CODES[0].tolist(), CODES[1].tolist(), TIMES.tolist(), strict=True)
    lines = [{"y_true": t, "y_pred": p, "other": (t + 1) % 3, "w": w} for t, p, w in rows]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    asked = ["evaluate", str(path), "--task", "multiclass", "--weight", "w", "--format", "json"]
    page = tmp_path / "page.html"
    assert main([*asked, "--report", str(page)]) == 0
    found = json.loads(capsys.readouterr().out)["metrics"]
    expected = ModelEvaluator("multiclass").evaluate(*(repeated(c) for c in CODES)).metrics
    assert found == pytest.approx(expected, abs=1e-12)
    text = page.read_text("utf-8")
    matrix = sklearn.metrics.confusion_matrix(*CODES, sample_weight=TIMES)
    assert re.findall(r"<b>(\d+)</b>", text) == [str(count) for count in matrix.ravel()]
    assert "The pictures count each row by its &#39;w&#39;." in text
    assert "memory did not grow with its rows" in text
    assert re.search(r"<dt>Weight</dt><dd[^>]*>w<", text)
    assert main([*asked, "--pred", "y_pred", "--pred", "other", "--resamples", "50"]) == 0
    accuracy = json.loads(capsys.readouterr().out)["metrics"]["accuracy"]
    assert accuracy["values"]["y_pred"] == pytest.approx(expected["accuracy"], abs=1e-12)
    assert accuracy["pairs"][0]["test"] == "permutation"
    with path.open("a") as file:
        file.write('{"y_true": 0, "y_pred": 0, "other": 1, "w": -1}\n')
    assert main(asked) == 1
    line = len(lines) + 1
    assert f"line {line}: w: found -1, expected a weight of at least 0" in capsys.readouterr().err
    assert main([*asked, "--allow-bad-rows"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["metrics"], found["bad_rows"]) == (pytest.approx(expected, abs=1e-12), 1)
