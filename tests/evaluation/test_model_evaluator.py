"""`ModelEvaluator` and `create_evaluator`: each task's metrics, decisions, intervals, result."""

import math
import warnings
from dataclasses import replace
from decimal import Decimal
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from modelops_jax.evaluation import (
    AUCROCMetric,
    EvaluationResult,
    EvaluationStream,
    Evaluator,
    F1Metric,
    Interval,
    MetricValueError,
    ModelEvaluator,
    MSEMetric,
    NoIntervalWarning,
    TaskType,
    UndefinedMetricWarning,
    compare,
    create_evaluator,
)

# Its inferred types do not know every value that its documentation allows.
sk: Any = sklearn.metrics
RNG = np.random.default_rng(11)
TASKS = {
    "classification": TaskType.CLASSIFICATION,
    "binary": TaskType.BINARY_CLASSIFICATION,
    "multiclass": TaskType.MULTICLASS_CLASSIFICATION,
    "multilabel": TaskType.MULTILABEL_CLASSIFICATION,
    "regression": TaskType.REGRESSION,
    "ranking": TaskType.RANKING,
    "text_generation": TaskType.TEXT_GENERATION,
}


def test_every_task_has_a_name():
    """A task is made from itself, its value, or its own name in any case."""
    assert TASKS == {member.value: member for member in TaskType}
    for name, task in TASKS.items():
        for given in (task, name, name.upper(), task.name, task.name.lower()):
            assert create_evaluator(given).task_type is task
            assert create_evaluator(given).metrics


def test_unknown_task_names_the_choices():
    """An unknown task is a ValueError with every choice in it."""
    for make in (create_evaluator, ModelEvaluator, TaskType):
        with pytest.raises(ValueError, match="unknown task type 'poetry'") as caught:
            make("poetry")
        assert all(name in str(caught.value) for name in TASKS)


def expect(result: EvaluationResult, expected: dict[str, float]) -> None:
    """All metrics, in order, to 1e-12."""
    assert list(result.metrics) == list(expected)
    for name, value in expected.items():
        assert abs(result.metrics[name] - value) <= 1e-12 * max(1, abs(value)), name
        assert type(result.metrics[name]) is float


@pytest.mark.parametrize("convert", [list, np.asarray, jnp.asarray, lambda y: np.asarray(y, bool)])
def test_labels_zero_and_one_are_binary(convert):
    """Labels within {0, 1} and bools are a binary task with positive class 1."""
    y_true, y_pred = RNG.integers(0, 2, (2, 300)).tolist()
    result = ModelEvaluator(TaskType.CLASSIFICATION).evaluate(convert(y_true), convert(y_pred))
    precision, recall, f1, _ = sk.precision_recall_fscore_support(y_true, y_pred, average="binary")
    expect(
        result,
        {
            "accuracy": sk.accuracy_score(y_true, y_pred),
            "precision": precision,
            "recall": recall,
            "f1": f1,
        },
    )
    assert result.metadata == {
        "num_classes": 2,
        "classes": [0, 1],
        "averaging": "binary",
        "positive_class": 1,
    }
    assert result.sample_count == 300
    assert result.task_type is TaskType.CLASSIFICATION


@pytest.mark.parametrize("task", [TaskType.CLASSIFICATION, TaskType.MULTICLASS_CLASSIFICATION])
@pytest.mark.parametrize("names", [["0", "1"], [1, 2], [-1, 1], [0, 1, 2], ["a", "b", "c", "d"]])
def test_other_labels_are_macro_averaged(task, names):
    """Any other labels are averaged over the classes that occur in either list."""
    codes = RNG.integers(0, len(names), (2, 400))
    y_true, y_pred = ([names[code] for code in side] for side in codes)
    result = ModelEvaluator(task).evaluate(y_true, y_pred)
    precision, recall, f1, _ = sk.precision_recall_fscore_support(*codes, average="macro")
    expect(
        result,
        {
            "accuracy": sk.accuracy_score(*codes),
            "precision": precision,
            "recall": recall,
            "f1": f1,
        },
    )
    assert result.metadata == {
        "num_classes": len(names),
        "classes": sorted(names),
        "averaging": "macro",
    }


@pytest.mark.parametrize("side", [0, 1])
def test_a_class_of_one_list_only_is_a_class(side):
    """A label that only occurs in one list counts as a class, wherever it is."""
    sides = [["a", "b", "a"], ["a", "b", "c"]]
    y_true, y_pred = sides[side], sides[1 - side]
    with pytest.warns(UndefinedMetricWarning):
        result = ModelEvaluator("classification").evaluate(y_true, y_pred)
    assert result.metadata["classes"] == ["a", "b", "c"]
    expected = sk.f1_score(y_true, y_pred, average="macro", zero_division=0)
    assert result.metrics["f1"] == pytest.approx(expected, rel=1e-12)


def test_multiclass_of_zero_and_one_is_macro_averaged():
    """The task says what to do, not the labels, where it is not the undecided one."""
    y_true, y_pred = [0, 1, 1, 0, 1], [0, 1, 0, 0, 1]
    result = create_evaluator("multiclass").evaluate(y_true, y_pred)
    expected = sk.f1_score(y_true, y_pred, average="macro")
    assert result.metrics["f1"] == pytest.approx(expected, rel=1e-12)
    assert result.metadata["averaging"] == "macro"


def test_binary_task_needs_its_positive_class():
    """Names have no class 1: an error that says so, not four times 0.0."""
    message = "positive_class=1 does not occur among the labels 'ham'.* give the metric positive_cl"
    with pytest.raises(ValueError, match=message):
        create_evaluator("binary").evaluate(["ham", "spam"], ["ham", "ham"])


@pytest.mark.parametrize("labels", [[0, 1, 2], [1, 2, 2], [2, 3, 3]])
def test_binary_task_has_the_classes_it_says(labels):
    """A third label, or two of which 1 is not plainly the positive one, is a mistake."""
    found = ", ".join(map(str, sorted(set(labels))))
    with pytest.raises(ValueError, match=f"the labels are {found}; a binary task has 0 and 1"):
        create_evaluator("binary").evaluate(labels, labels)


def test_binary_task_takes_minus_one_and_one():
    """As support-vector machines write them."""
    result = create_evaluator("binary").evaluate([-1, 1, 1], [1, 1, -1])
    assert result.metrics["precision"] == 0.5


def test_many_classes_from_free_text():
    """Predictions that are all different are as many classes, and no obstacle."""
    y_true = ["yes", "no"] * 500
    y_pred = ["yes", "no"] * 400 + [f"answer {i}" for i in range(200)]
    with (
        pytest.warns(UndefinedMetricWarning, match="200 of 202 classes"),
        pytest.warns(NoIntervalWarning, match="has no interval: a mean over more than 128"),
    ):
        result = ModelEvaluator("classification").evaluate(y_true, y_pred, confidence=0.95)
    expected = sk.f1_score(y_true, y_pred, average="macro", zero_division=0)
    assert result.metrics["f1"] == pytest.approx(expected, rel=1e-12)
    assert result.metrics["accuracy"] == 0.8
    assert set(result.intervals) == {"accuracy"}


def test_regression():
    """MSE, MAE, RMSE and R2 equal scikit-learn, lists and arrays alike."""
    y_true = RNG.normal(size=200)
    y_pred = y_true + RNG.normal(size=200)
    for convert in (list, np.asarray):
        expect(
            create_evaluator("regression").evaluate(convert(y_true), convert(y_pred)),
            {
                "mse": sk.mean_squared_error(y_true, y_pred),
                "mae": sk.mean_absolute_error(y_true, y_pred),
                "rmse": sk.root_mean_squared_error(y_true, y_pred),
                "r2": sk.r2_score(y_true, y_pred),
            },
        )


def test_ranking():
    """Relevance labels against scores: the area under the ROC curve of all rows together."""
    y_true, scores = RNG.integers(0, 2, 200), RNG.normal(size=200)
    expect(
        create_evaluator("ranking").evaluate(y_true, scores),
        {"auc_roc": sk.roc_auc_score(y_true, scores)},
    )


def test_text_generation_takes_references_first():
    """As in every task y_true is what is right."""
    result = create_evaluator("text_generation").evaluate(["ab", "cd "], ["abc", " cd"])
    assert result.metrics == {"exact_match": 0.5, "length_ratio": 1.25}
    with pytest.raises(TypeError, match="y_pred has 3"):
        create_evaluator("text_generation").evaluate(["a"], [3])


@pytest.mark.parametrize("task", TASKS.values())
def test_no_rows(task):
    """Shares of rows are 0.0 of no rows, the rest is nan, and each metric says so."""
    evaluator = ModelEvaluator(task)
    with pytest.warns(UndefinedMetricWarning, match="there are no rows") as caught:
        result = evaluator.evaluate([], [], confidence=0.9)
    nan = task in (TaskType.REGRESSION, TaskType.RANKING)
    expected = dict.fromkeys((m.name for m in evaluator.metrics), math.nan if nan else 0.0)
    np.testing.assert_equal(result.metrics, expected)
    assert len(caught) == len(evaluator.metrics)
    assert list(result.metadata["undefined"]) == list(expected)
    assert result.sample_count == 0
    assert not result.intervals


def test_intervals_are_those_of_the_metrics_room():
    """Every metric with a bootstrap gets its interval, at the level and seed asked for."""
    y_true, y_pred = RNG.integers(0, 3, (2, 200))
    result = ModelEvaluator("classification").evaluate(y_true, y_pred, confidence=0.9, seed=3)
    assert list(result.intervals) == ["accuracy", "precision", "recall", "f1"]
    for name, interval in result.intervals.items():
        assert isinstance(interval, Interval)
        assert interval.low < result.metrics[name] < interval.high
        assert interval.level == 0.9
    again = ModelEvaluator("classification").evaluate(y_true, y_pred, confidence=0.9, seed=3)
    assert again.intervals == result.intervals
    other = ModelEvaluator("classification").evaluate(y_true, y_pred, confidence=0.9, seed=4)
    assert other.intervals != result.intervals
    assert not ModelEvaluator("classification").evaluate(y_true, y_pred).intervals


def test_interval_of_exact_match_is_that_of_its_matches():
    """Exact match is a share of rows and has Wilson's interval: 90 of 100, and none of 100."""
    y_true = ["yes"] * 90 + ["no"] * 10
    evaluator = ModelEvaluator("text_generation")
    result = evaluator.evaluate(y_true, ["yes"] * 100, confidence=0.95)
    exact = result.intervals["exact_match"]
    # scipy.stats.binomtest(hits, 100).proportion_ci(method="wilson")
    assert (exact.low, exact.high) == pytest.approx((0.8256343385, 0.9447708629), abs=1e-9)
    assert set(result.intervals) == {"exact_match", "length_ratio"}
    none = evaluator.evaluate(y_true, ["?"] * 100, confidence=0.95).intervals["exact_match"]
    assert none.low == 0.0
    assert none.high == pytest.approx(0.0369934982, abs=1e-9)


def test_intervals_of_groups_are_wider():
    """Each row four times over: as groups the interval is that of one copy, alone half of it."""
    y_true, y_pred = np.repeat(RNG.integers(0, 2, (2, 60)), 4, axis=1)
    groups = [f"document {row // 4}" for row in range(240)]
    evaluator = ModelEvaluator("binary")
    alone = evaluator.evaluate(y_true, y_pred, confidence=0.95).intervals
    found = evaluator.evaluate(y_true, y_pred, confidence=0.95, groups=groups).intervals
    one = evaluator.evaluate(y_true[::4], y_pred[::4], confidence=0.95).intervals
    for name in ("accuracy", "f1"):
        width, narrow, wide = (i[name].high - i[name].low for i in (found, alone, one))
        assert narrow < 0.6 * width
        assert width == pytest.approx(wide, rel=0.15)
    with pytest.raises(ValueError, match=r"groups must have shape \(240,\)"):
        evaluator.evaluate(y_true, y_pred, confidence=0.95, groups=[1, 2])


def test_intervals_of_regression_and_ranking():
    """Means and R2 have a bootstrap of their sums, exact AUROC has DeLong's interval."""
    y_true, y_pred = RNG.normal(size=(2, 100))
    regression = create_evaluator("regression").evaluate(y_true, y_pred, confidence=0.95)
    for name in ("mse", "mae", "rmse"):
        interval = regression.intervals[name]
        assert interval.low < regression.metrics[name] < interval.high
    ranking = create_evaluator("ranking").evaluate(y_true > 0, y_pred, confidence=0.95)
    interval = ranking.intervals["auc_roc"]
    assert interval.low < ranking.metrics["auc_roc"] < interval.high
    assert interval.method == "DeLong"
    assert "95 % interval" in str(ranking)


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.5, math.nan])
def test_confidence_is_a_level(confidence):
    """A level outside (0, 1) is refused, 95 above all."""
    with pytest.raises(ValueError, match=r"confidence is .*expected None or a level in \(0, 1\)"):
        create_evaluator("binary").evaluate([0, 1], [0, 1], confidence=confidence)


def test_added_metrics():
    """Built-in and own metrics are added under their names, in order, and get (y_true, y_pred)."""

    class Bias:
        name = "bias"

        def compute(self, y_true, y_pred):
            return float(np.mean(np.asarray(y_pred) - np.asarray(y_true)))

    evaluator = create_evaluator("binary").add_metric(Bias()).add_metric(MSEMetric())
    assert [metric.name for metric in evaluator.metrics][-2:] == ["bias", "mse"]
    with pytest.warns(NoIntervalWarning, match="bias has no interval: a metric of your own"):
        result = evaluator.evaluate([0, 0, 1, 1], [1, 1, 1, 1], confidence=0.95)
    assert result.metrics["bias"] == 0.5
    assert result.metrics["mse"] == 0.5
    assert "bias" not in result.intervals
    assert list(result.metrics) == [metric.name for metric in evaluator.metrics]
    assert "bias" not in [metric.name for metric in create_evaluator("binary").metrics]


def test_what_cannot_be_added():
    """A second metric of one name, a class, and what is no metric are refused."""
    evaluator = create_evaluator("binary")
    with pytest.raises(ValueError, match="a metric named 'f1' is there already; the names are: ac"):
        evaluator.add_metric(F1Metric(average="macro"))
    mistakes: list[Any] = [F1Metric, len, 1]
    for mistake in mistakes:
        with pytest.raises(TypeError):
            evaluator.add_metric(mistake)


def test_an_added_metric_that_raises_is_named():
    """The error of a metric of one's own carries its name; that of the input is plain."""

    class Broken:
        name = "broken"

        def compute(self, y_true, y_pred):
            raise ValueError("no luck")

    evaluator = create_evaluator("binary").add_metric(Broken())
    with pytest.raises(MetricValueError, match="metric 'broken' failed: ValueError: no luck"):
        evaluator.evaluate([0, 1], [0, 1])
    with pytest.raises(ValueError, match="y_true has 2 entries and y_pred has 1"):
        evaluator.evaluate([0, 1], [0])
    with pytest.raises(TypeError, match="y_true is one str"):
        evaluator.evaluate("01", [0, 1])


def test_auroc_added_to_a_binary_task():
    """Metrics that read their arguments differently live in one evaluation."""
    result = create_evaluator("binary").add_metric(AUCROCMetric()).evaluate([0, 1, 1], [0, 1, 0])
    assert result.metrics["auc_roc"] == 0.75
    assert result.metrics["recall"] == 0.5


def test_float64_at_large_offsets():
    """Through the evaluator too, values at an offset of 1e6 and a scale of 1e-3 are exact."""
    y_true = 1e6 + 1e-3 * RNG.normal(size=1000)
    y_pred = y_true + 1e-4 * RNG.normal(size=1000)
    result = create_evaluator("regression").evaluate(y_true, y_pred)
    exact = math.fsum((y_true - y_pred) ** 2) / 1000
    spread = math.fsum((y_true - 1e6 - math.fsum(y_true - 1e6) / 1000) ** 2)
    assert abs(result.metrics["mse"] - exact) < 1e-12
    assert result.metrics["r2"] == pytest.approx(1 - 1000 * exact / spread, abs=1e-12)


def test_result_reads_as_a_table():
    """The text of a result has its task, its rows, and one line per metric with its interval."""
    result = create_evaluator("binary").evaluate([0, 1] * 50, [0, 1] * 40 + [1, 0] * 10)
    assert str(result).splitlines() == [
        "binary, 100 rows",
        "  accuracy   0.8000",
        "  precision  0.8000",
        "  recall     0.8000",
        "  f1         0.8000",
    ]
    interval = Interval(0.7, 0.9, 0.95, "by hand", 10, 0)
    one = EvaluationResult({"m": 1e-9}, TaskType.RANKING, 1, intervals={"m": interval})
    assert str(one) == "ranking, 1 row\n  m  1e-09  [0.7000, 0.9000] 95 % interval"


def test_rows_may_come_one_at_a_time():
    """Iterators of rows give what lists of them give."""
    true, pred = ["a", "b", "b"], ["a", "b", "a"]
    evaluator = ModelEvaluator("multiclass", metrics=["accuracy_score"])
    expected = evaluator.evaluate(true, pred)
    assert evaluator.evaluate(iter(true), map(str, pred)) == expected
    stream = evaluator.stream()
    stream.update((label for label in true), iter(pred))
    assert stream.result().metrics == expected.metrics
    assert Evaluator().evaluate(iter(pred), iter(true)) == Evaluator().evaluate(pred, true)


@pytest.mark.model
def test_groups_and_predictions_to_compare_may_come_one_at_a_time():
    true, pred, ids = ["a", "b", "b"], ["a", "b", "a"], ["x", "x", "y"]
    evaluator = ModelEvaluator("multiclass", metrics=["accuracy_score"])
    both = compare(iter(true), {"one": iter(pred), "two": iter(true)}, task=evaluator)
    assert both == compare(true, {"one": pred, "two": true}, task=evaluator)
    found = evaluator.evaluate(true, pred, confidence=0.9, groups=iter(ids))
    assert found == evaluator.evaluate(true, pred, confidence=0.9, groups=ids)


def test_rows_with_nan_are_omitted_and_counted():
    """From every column: predictions, scores, slices and groups; the rest is as without them."""
    random = np.random.default_rng(4)
    true, score = random.integers(0, 2, 60), random.random(60)
    pred, half = (score > 0.5).astype(int), np.arange(60) % 2
    scored = score.copy()
    scored[[2, 30]] = np.nan
    keep = ~np.isnan(scored)
    evaluator = ModelEvaluator("binary", metrics=["accuracy_score", "brier_score_loss"])
    columns = {"y_true": true, "y_pred": pred, "y_score": scored}
    given = {**columns, "slices": {"half": half}, "groups": np.arange(60) // 4}
    with pytest.raises(ValueError, match="y_score has nan at index 2"):
        evaluator.evaluate(**given)
    lists = {"y_true": true.tolist(), "y_pred": pred.tolist(), "y_score": scored.tolist()}
    expected = evaluator.evaluate(
        true[keep], pred[keep], y_score=score[keep],
        slices={"half": half[keep]}, groups=given["groups"][keep],
    )  # fmt: skip
    for found in (
        evaluator.evaluate(**given, nan_policy="omit"),
        evaluator.evaluate(**given | lists, nan_policy="omit"),
    ):
        assert (found.sample_count, found.invalid_count) == (58, 2)
        assert found == replace(expected, invalid_count=2)
    with pytest.warns(UndefinedMetricWarning, match="brier_score_loss: 2 of its rows hold nan"):
        found = evaluator.evaluate(**columns, nan_policy="propagate")
    assert found.metrics["accuracy_score"] == np.mean(true == pred)
    assert np.isnan(found.metrics["brier_score_loss"])
    assert found.undefined == {"brier_score_loss": 1}
    assert (
        list(found.metrics) == list(found.configuration) == ["accuracy_score", "brier_score_loss"]
    )
    omitting, spreading = (evaluator.stream(nan_policy=p) for p in ("omit", "propagate"))
    for rows in (slice(0, 3), slice(3, 20), slice(20, 60)):
        batch = {name: column[rows] for name, column in columns.items()}
        sliced = {"slices": {"half": half[rows]}, "groups": given["groups"][rows]}
        omitting.update(**batch, **sliced)
        spreading.update(**batch)
    streamed = omitting.result()
    assert replace(streamed, slices=()) == replace(expected, invalid_count=2, slices=())
    for one, other in zip(streamed.slices, expected.slices, strict=True):
        assert (one.key, one.rows) == (other.key, other.rows)
        assert one.metrics == pytest.approx(other.metrics, rel=1e-12)
    with pytest.warns(UndefinedMetricWarning, match="brier_score_loss: 2 of its rows hold nan"):
        assert repr(spreading.result()) == repr(found)
    with pytest.raises(ValueError, match="has no slices; 'omit' has"):
        evaluator.evaluate(**given, nan_policy="propagate")
    with pytest.raises(ValueError, match="nan_policy must be one of"):
        evaluator.evaluate(**columns, nan_policy="drop")


@pytest.mark.parametrize("values", [[np.nan], [[np.nan, 1.0]]])
def test_no_row_is_left_to_hold_nan(values):
    """Rows of weight 0 go first, here all of them: the values are those of no rows."""
    values, weight = np.array(values), [0.0]
    with pytest.warns(UndefinedMetricWarning, match="there are no rows"):
        found = ModelEvaluator("regression").evaluate(
            values, values, weight=weight, nan_policy="omit"
        )
    assert (found.sample_count, found.invalid_count) == (0, 0)


def test_nan_counts_where_it_is_read():
    """Not in predictions beside scores alone; in a label; in y_pred that is read as scores."""
    brier = ModelEvaluator("binary", metrics=["brier_score_loss"])
    for policy in ("omit", "propagate"):
        found = brier.evaluate([0, 1], [np.nan, 1], y_score=[0.0, 0.5], nan_policy=policy)
        assert (found.metrics, found.invalid_count) == ({"brier_score_loss": 0.125}, 0)
    labels = ModelEvaluator("classification", metrics=["accuracy_score"])
    found = labels.evaluate(["a", np.nan, "b"], ["a", "a", "a"], nan_policy="omit")
    decimals = [Decimal(1), Decimal("snan"), Decimal(2)]
    assert labels.evaluate(decimals, [Decimal(1)] * 3, nan_policy="omit").metrics == found.metrics
    assert (found.metrics, found.invalid_count) == ({"accuracy_score": 0.5}, 1)
    with pytest.raises(TypeError, match="NoneType"):
        labels.evaluate(["a", None], ["a", "a"], nan_policy="omit")
    perplexity = ModelEvaluator("text_generation", metrics=["perplexity"])
    with pytest.warns(UndefinedMetricWarning, match="perplexity: 1 of its rows hold nan"):
        found = perplexity.evaluate([2, 3], [-1.0, np.nan], nan_policy="propagate")
    assert np.isnan(found.metrics["perplexity"])


@pytest.mark.parametrize("policy", ["omit", "propagate"])
def test_streams_count_rows_with_nan_as_one_evaluation_does(policy, tmp_path):
    """Of labels as of scores, merged and from a file; rows of weight 0 may hold anything."""
    true = ["a", "b", math.nan, "a", "b", "a", math.nan, "b"]
    pred = ["a", "b", "b", "b", "b", math.nan, math.nan, "a"]
    weight = [1, 2, 1, 3, 1, 0, 2, 1]
    evaluator = ModelEvaluator("classification", metrics=["accuracy_score"])
    stream, late = (evaluator.stream(nan_policy=policy) for _ in range(2))
    for into, rows in ((stream, slice(0, 3)), (late, slice(3, 6)), (late, slice(6, 8))):
        into.update(true[rows], pred[rows], weight=weight[rows])
    late.save(tmp_path / "state")
    stream.merge(EvaluationStream.load(tmp_path / "state", evaluator))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        whole = evaluator.evaluate(true, pred, weight=weight, nan_policy=policy)
        found = stream.result()
    assert repr(found) == repr(whole)
    assert found.signature == whole.signature
    assert found.invalid_count == (2 if policy == "omit" else 0)
    assert math.isnan(found.metrics["accuracy_score"]) == (policy == "propagate")
    with pytest.raises(ValueError, match=r"nan_policy': 'omit'|nan_policy': 'propagate'"):
        evaluator.stream().merge(stream)
    if policy == "omit":
        with pytest.raises(TypeError, match="NoneType"):
            stream.update(["a", None], ["a", "a"], weight=[1, 1])


def test_rows_with_nan_of_several_outputs():
    """One nan of a row leaves the row out; where all metrics are nan nothing else is computed."""
    true, pred = np.random.default_rng(5).normal(size=(2, 20, 2))
    true[4, 1] = np.nan
    evaluator = ModelEvaluator("regression", metrics=["mean_absolute_error"])
    found = evaluator.evaluate(true, pred, nan_policy="omit")
    keep = np.arange(20) != 4
    error = np.abs(true[keep] - pred[keep]).mean()
    assert found.metrics["mean_absolute_error"] == pytest.approx(error, abs=1e-12)
    with pytest.warns(UndefinedMetricWarning, match="1 of its rows hold nan"):
        found = evaluator.evaluate(true.tolist(), pred.tolist(), nan_policy="propagate")
    assert np.isnan(found.metrics["mean_absolute_error"])
    assert found.sample_count == 20
