"""Intervals of the value of each class and label, which are those of the class against the rest."""

import json
from typing import Any

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from modelops_jax.evaluation import (
    EvaluationResult,
    EvaluationStream,
    ModelEvaluator,
    NoIntervalWarning,
    UndefinedMetricWarning,
)

sk: Any = sklearn.metrics
RNG = np.random.default_rng(12)
ROWS = 240
NAMES = np.array(["ant", "bee", "cat"])
TRUE = NAMES[RNG.integers(0, 3, ROWS)]
PRED = np.where(RNG.random(ROWS) < 0.6, TRUE, NAMES[RNG.integers(0, 3, ROWS)])
SETS = RNG.random((ROWS, 3)) < 0.4
SAID = SETS ^ (RNG.random((ROWS, 3)) < 0.2)
WEIGHT = RNG.exponential(size=ROWS)
GROUPS = np.arange(ROWS) // 3
RATIOS = ["precision", "recall", "f1"]
ASKED = {"jaccard": "jaccard_score", "f2": "fbeta_score", "specificity": "specificity_score"}
GIVEN: dict[str, dict[str, Any]] = {
    "plain": {},
    "weighted": {"weight": WEIGHT},
    "grouped": {"groups": GROUPS},
    "bca": {"weight": WEIGHT, "interval": "bca"},
}


def asked(task, average: str | None = None, metrics: Any = None):
    """An evaluator of ratios that are asked for."""
    evaluator = ModelEvaluator(task, metrics=metrics)
    for name, metric in ASKED.items():
        options = {"beta": 2.0} if name == "f2" else {}
        evaluator.add_metric(metric, name=name, average=average, **options)
    return evaluator


def ends(interval):
    """Both."""
    return [interval.low, interval.high]


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_a_class_has_the_interval_that_it_has_against_the_rest(task, given):
    """All built-in ratios and those that are asked for, by the same method."""
    options = {"confidence": 0.9, "n_resamples": 300, **GIVEN[given]}
    sides = (SETS, SAID) if task == "multilabel" else (TRUE, PRED)
    found = asked(task).evaluate(*sides, **options)
    assert "without_interval" not in found.metadata
    for place, one in enumerate(found.per_class):
        assert list(one.intervals) == list(one.metrics) == [*RATIOS, *ASKED]
        both = [s[:, place] if task == "multilabel" else s == one.label for s in sides]
        rest = asked("binary", "binary").evaluate(*(side * 1 for side in both), **options)
        for name, interval in one.intervals.items():
            same = rest.intervals[name]
            drawn_apart = given == "plain" and name == "f2"  # of other cells, or as rows
            assert one.metrics[name] == pytest.approx(rest.metrics[name], rel=1e-12)
            near = 0.03 if drawn_apart else 1e-9
            assert ends(interval) == pytest.approx(ends(same), abs=near)
            assert drawn_apart or interval.method == same.method
            assert (interval.level, interval.low < one.metrics[name] < interval.high) == (0.9, True)


def test_shares_have_wilson_s_interval_and_the_rest_that_of_rows_drawn_again():
    """SciPy's, and a loop over scikit-learn."""
    result = asked("multiclass").evaluate(TRUE, PRED, confidence=0.9)
    drawn = []
    for _ in range(400):
        rows = RNG.integers(0, ROWS, ROWS)
        drawn.append(sk.fbeta_score(TRUE[rows], PRED[rows], beta=2, average=None))
    low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
    for place, one in enumerate(result.per_class):
        hits = int(np.sum((one.label == TRUE) & (one.label == PRED)))
        for name, rows in (("precision", one.predicted), ("recall", one.rows)):
            share = scipy.stats.binomtest(hits, rows).proportion_ci(0.9, "wilson")
            assert ends(one.intervals[name]) == pytest.approx([share.low, share.high], abs=1e-9)
        assert ends(one.intervals["f2"]) == pytest.approx([low[place], high[place]], abs=0.03)
        assert one.intervals["f2"].method == "multinomial percentile"


def test_results_are_written_read_and_shown():
    """JSON and back, and of older versions; the table, the notebook's, and the signature."""
    result = asked("multiclass", metrics=[]).evaluate(TRUE, PRED, confidence=0.9, seed=4)
    assert result.intervals == {}
    data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert EvaluationResult.from_dict(data) == result
    assert "|level:0.9|method:Wilson+multinomial-percentile|resamples:1000|" in result.signature
    first = result.per_class[0]
    written = {name: "[{:.4f}, {:.4f}]".format(*ends(i)) for name, i in first.intervals.items()}
    assert ["jaccard", "interval", "f2"] == str(result).split("\n")[3].split()[1:4]
    assert f"  {first.metrics['jaccard']:.4f}  {written['jaccard']}  " in str(result)
    page = result._repr_html_().replace("\u00a0", " ")
    values = [f"{first.metrics[name]:.4f} {one}" for name, one in written.items()]
    assert all(f">{one}<" in page for one in values)
    plain = ModelEvaluator("multiclass").evaluate(TRUE, PRED, confidence=0.9)
    assert "{:.4f}, {:.4f}".format(*ends(plain.per_class[0].intervals["f1"])) in str(plain)
    for one in data["per_class"]:
        del one["intervals"]
    older = EvaluationResult.from_dict(data)
    assert [one.intervals for one in older.per_class] == [{}, {}, {}]
    assert "interval" not in str(older)


@pytest.mark.parametrize("given", ["plain", "weighted", "grouped"])
@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_streams_have_them(task, given, tmp_path):
    """Of two streams that were saved, or that draw as rows come in, what `evaluate` gives."""
    sides = (SETS, SAID) if task == "multilabel" else (TRUE, PRED)
    options, evaluator = GIVEN[given], asked(task)
    expected = evaluator.evaluate(*sides, confidence=0.9, **options)
    drawing = 0 if given == "grouped" else 1000
    streams = [evaluator.stream(resamples=drawing) for _ in range(2)]
    for place, rows in enumerate(np.array_split(np.arange(ROWS), 4)):
        own = {name: column[rows] for name, column in options.items()}
        streams[place // 2 if not drawing else 0].update(*(s[rows] for s in sides), **own)
    for place, stream in enumerate(streams):
        stream.save(tmp_path / str(place))
    whole, rest = (EvaluationStream.load(tmp_path / str(place), evaluator) for place in range(2))
    if not drawing:
        whole.merge(rest)
    found = whole.result(confidence=0.9)
    for one, other in zip(found.per_class, expected.per_class, strict=True):
        assert one.metrics == pytest.approx(other.metrics, rel=1e-12)
        assert one.intervals.keys() == other.intervals.keys()
        for name, interval in one.intervals.items():
            assert interval.method == other.intervals[name].method
            assert ends(interval) == pytest.approx(ends(other.intervals[name]), abs=1e-9)


def test_sums_that_are_not_drawn_again_have_none():
    """Of a stream without resamples, whose result says so; shares of rows have theirs."""
    stream = asked("multilabel", metrics=[]).stream()
    stream.update(SETS, SAID)
    with pytest.warns(NoIntervalWarning, match="^f2 has no interval: it resamples rows"):
        result = stream.result(confidence=0.9)
    assert set(result.per_class[0].intervals) == {*RATIOS, "jaccard", "specificity"}
    assert list(result.metadata["without_interval"]) == ["f2"]


def test_classes_that_do_not_occur():
    """0 of 0 rows may be anything; 0 in every resample is 0. Labels of no rows are undefined."""
    evaluator = asked("multiclass", metrics=[])
    with pytest.warns(UndefinedMetricWarning, match="there are no rows"):
        evaluator.evaluate([], [], confidence=0.9)
    sides = ["ant"] * 8 + ["bee"] * 2, ["ant"] * 10
    share = evaluator.evaluate(*sides, confidence=0.9).per_class[1]
    assert ends(share.intervals["precision"]) == [0.0, 1.0]
    assert share.metrics["precision"] == 0.0
    evaluator.add_metric("precision_score", name="own", average=None, zero_division=1)
    with pytest.warns(UndefinedMetricWarning, match="^own: it is 0/0"):
        result = evaluator.evaluate(*sides, confidence=0.9, interval="percentile")
    drawn = result.per_class[1]
    assert [drawn.metrics["own"], *ends(drawn.intervals["own"])] == [1.0, 1.0, 1.0]
    assert ends(drawn.intervals["precision"]) == ends(drawn.intervals["f2"]) == [0.0, 0.0]
    sets = ModelEvaluator("multilabel").add_metric("cohen_kappa_score", average=None)
    with pytest.warns(UndefinedMetricWarning, match="there are no rows"):
        found = sets.evaluate(np.zeros((0, 3), bool), np.zeros((0, 3), bool), confidence=0.9)
    assert [one.intervals for one in found.per_class] == [{}, {}, {}]
    assert np.isnan([one.metrics["cohen_kappa_score"] for one in found.per_class]).all()


def test_a_table_of_many_classes_is_drawn_for_metrics_that_need_it():
    """Of weighted rows each of its cells is; of counted ones the shares of classes cost nothing."""
    labels = np.arange(ROWS) % 17
    accuracy = ModelEvaluator("multiclass", metrics=["accuracy_score"])
    own = {"weight": WEIGHT, "confidence": 0.9, "n_resamples": 20}
    assert accuracy.evaluate(labels, labels, **own).per_class[0].intervals == {}
    shares = accuracy.evaluate(labels, labels, confidence=0.9)
    assert set(shares.per_class[0].intervals) == {*RATIOS}
    drawn = accuracy.add_metric("f1_score").evaluate(labels, labels, **own)
    assert set(drawn.per_class[0].intervals) == {*RATIOS}


@pytest.mark.simulation
@pytest.mark.parametrize("given", ["plain", "weighted", "clustered"])
def test_coverage(given):
    """F1 and recall of classes, and of labels, hold the truth in 93 to 97 % of 720 and 600 samples.

    Of 12 classes that are alike, and of 120 labels that are independent, each is a sample.
    """
    random = np.random.default_rng(5)
    size = 2 if given == "clustered" else 1

    def simulated(rows, columns):
        """Which rows are wrong: 0.3 of them, those of a group together more often than not."""
        luck, own = random.random((2, rows, columns))
        shared = luck[np.arange(rows) // size]
        return np.where(random.random((rows, columns)) < 0.7, shared, own) > 0.7

    def held(task, *sides):
        rows = len(sides[0])
        options: dict[str, dict[str, Any]] = {
            "plain": {},
            "weighted": {"weight": random.exponential(size=rows)},
            "clustered": {"groups": np.arange(rows) // size},
        }
        evaluator = ModelEvaluator(task, metrics=["f1_score"])
        result = evaluator.evaluate(*sides, confidence=0.95, **options[given])
        both = [[ends(one.intervals[n]) for n in ("f1", "recall")] for one in result.per_class]
        low, high = np.moveaxis(np.array(both), 2, 0)
        # As many rows come to a class as it loses, and to a label that half of the rows have.
        return (low <= 0.7) & (high >= 0.7)

    found: dict[str, list[Any]] = {"multiclass": [], "multilabel": []}
    for _ in range(60):
        kinds = np.repeat(random.integers(0, 12, 2400 // size), size)
        turn = random.integers(1, 12, 2400)
        pred = (kinds + simulated(2400, 1)[:, 0] * turn) % 12
        found["multiclass"].append(held("multiclass", kinds, pred))
    for _ in range(5):
        sets = np.repeat(random.random((600 // size, 120)) < 0.5, size, axis=0)
        found["multilabel"].append(held("multilabel", sets, sets ^ simulated(600, 120)))
    shares = {name: np.concatenate(of_task).mean(axis=0) for name, of_task in found.items()}
    assert all(((both >= 0.93) & (both <= 0.97)).all() for both in shares.values()), shares
