"""Slices of rows that come in batches are those of all rows together, and keep no row."""

import numpy as np
import pytest

from modelops_jax.evaluation import ModelEvaluator
from modelops_jax.metrics import SliceResampleStream, SliceStream, metric

RNG = np.random.default_rng(4)
ROWS = 90
NAMES = np.array(["ant", "bee", "cat"])
LABELS = NAMES[RNG.integers(0, 3, (2, ROWS))]
NUMBERS = RNG.normal(size=(2, ROWS)) + 100
LANG = np.where(np.arange(ROWS) < 60, NAMES[RNG.integers(0, 2, ROWS)], "late").tolist()
WEIGHT = np.where(np.arange(ROWS) < 30, 1.0, 0.01 + np.arange(ROWS) % 7)
LONG = (RNG.random(ROWS) > 0.5).tolist()
ASKED = {"lang": LANG, "long": LONG, ("lang", "long"): None}


def batch(columns, start, stop):
    return {n: None if column is None else column[start:stop] for n, column in columns.items()}


def streamed(evaluator, true, pred, asked=ASKED, **options):
    """In batches, of which the last rows are another stream's."""
    stream, other = evaluator.stream(), evaluator.stream()
    for into, start, stop in ((stream, 0, 7), (stream, 7, 50), (other, 50, 80), (other, 80, ROWS)):
        into.update(true[start:stop], pred[start:stop], slices=batch(asked, start, stop))
    stream.merge(other)
    return stream, stream.result(**options)


def told(part):
    """All that a result says of a slice, as numbers."""
    low = {name: one.low for name, one in part.intervals.items()}
    high = {name: one.high for name, one in part.intervals.items()}
    return part.metrics, part.undefined, part.p_values, low, high


@pytest.mark.filterwarnings("ignore:.*which a stream of sums does not keep")
@pytest.mark.filterwarnings("ignore:max_error has no interval")
@pytest.mark.parametrize(
    ("task", "rows", "metrics", "kept", "asked"),
    [
        ("classification", LABELS, None, (), ASKED),
        ("multiclass", LABELS, ["matthews_corrcoef"], (), ASKED),
        ("regression", NUMBERS, ["mean_absolute_error"], (), {"lang": LANG}),
        ("ranking", (NUMBERS[0] > 100, NUMBERS[1]), None, ("auc_roc",), ASKED),
        *(
            pytest.param(*case, ASKED, marks=pytest.mark.model)
            for case in (
                ("regression", NUMBERS, None, ()),
                ("regression", NUMBERS, ["max_error"], ("max_error",)),
                ("text_generation", LABELS.tolist(), None, ()),
            )
        ),
    ],
)
def test_slices_of_a_stream_are_those_of_all_rows(task, rows, metrics, kept, asked):
    """One by one and crossed, with intervals and tests; only named metrics keep rows."""
    evaluator = ModelEvaluator(task, metrics=metrics)
    stream, found = streamed(evaluator, *rows, asked=asked, confidence=0.9)
    whole = evaluator.evaluate(*rows, slices=asked, confidence=0.9)
    assert stream.keeps_rows == kept
    assert [one.key for one in found.slices] == [one.key for one in whole.slices]
    assert [one.rows for one in found.slices] == [one.rows for one in whole.slices]
    assert [one.tests for one in found.slices] == [one.tests for one in whole.slices]
    resampled = () if kept else stream.resamples_rows
    for one, expected in zip(found.slices, whole.slices, strict=True):
        values, ends = told(expected)[:3], told(expected)[3:]
        without = [{n: v for n, v in end.items() if n not in resampled} for end in ends]
        for mine, other in zip(told(one), [*values, *without], strict=True):
            assert mine == pytest.approx(other, rel=1e-9, abs=1e-12, nan_ok=True)


@pytest.mark.model
@pytest.mark.filterwarnings("ignore::modelops_jax.evaluation.UndefinedMetricWarning")
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize(
    ("task", "rows", "metrics", "times"),
    [
        ("classification", LABELS, None, 1),
        ("multiclass", RNG.integers(0, 200, (2, ROWS)), ["accuracy_score"], 1),
        ("regression", NUMBERS, ["mean_absolute_error", "r2_score"], 1),
        ("regression", NUMBERS, ["mean_absolute_error"], 120),
        ("text_generation", LABELS.tolist(), None, 1),
    ],
    ids=["labels", "many classes", "numbers", "blocks", "texts"],
)
def test_resampled_slices_have_the_intervals_of_evaluate(task, rows, metrics, times, weight):
    """A row is drawn by its number in its slice, in whichever batch it came; none is kept."""
    evaluator = ModelEvaluator(task, metrics=metrics)
    true, pred = (list(side) * times for side in rows)
    asked = {name: column and list(column) * times for name, column in ASKED.items()}
    weight = None if weight is None else np.tile(weight, times)
    stream, start = evaluator.stream(resamples=30, seed=2), 0
    for stop in (30 * times, 31 * times, 60 * times, ROWS * times):
        own = None if weight is None else weight[start:stop]
        part = slice(start, stop)
        stream.update(true[part], pred[part], slices=batch(asked, start, stop), weight=own)
        start = stop
    drawn = {"confidence": 0.9, "n_resamples": 30, "seed": 2}
    found = stream.result(**drawn)
    whole = evaluator.evaluate(true, pred, slices=asked, weight=weight, **drawn)
    assert stream.keeps_rows == ()
    for one, expected in zip(found.slices, whole.slices, strict=True):
        methods = {name: interval.method for name, interval in expected.intervals.items()}
        assert {n: interval.method for n, interval in one.intervals.items()} == methods
        assert methods.keys() == expected.metrics.keys()
        for mine, other in zip(told(one)[3:], told(expected)[3:], strict=True):
            assert mine == pytest.approx(other, rel=1e-11, abs=1e-12, nan_ok=True)


def test_small_slices_cost_their_rows_and_large_ones_their_resamples():
    """Rows that wait for a block are fewer than one, and there are no sums before it is full."""
    stream = SliceResampleStream({"mae": metric("mean_absolute_error")}, n_resamples=2)
    few, many = np.zeros(10, np.int64), np.ones(5_000, np.int64)
    stream.update(np.zeros(5_010), np.ones(5_010), np.concatenate([few, many]), 2)
    small, large = stream._slices
    assert (small.waiting, small._sums) == (10, None)
    assert large.waiting == 5_000 - 4_096
    with pytest.raises(ValueError, match="slices has the number 1; expected less than count=1"):
        stream.update([1.0], [1.0], [1], 1)
    with pytest.raises(ValueError, match="accuracy_score is no function of sums over rows"):
        SliceResampleStream({"accuracy": metric("accuracy_score")})


@pytest.mark.filterwarnings("ignore::modelops_jax.evaluation.UndefinedMetricWarning")
def test_ignored_rows_are_in_no_slice_and_many_classes_are_no_table():
    """A slice whose rows are all ignored has no value; of 200 classes each is counted alone."""
    evaluator = ModelEvaluator("multiclass", ignore_index="late")
    true = np.where(np.array(LANG) == "late", "late", LABELS[0])
    _, found = streamed(evaluator, true, LABELS[1])
    whole = evaluator.evaluate(true, LABELS[1], slices=ASKED)
    assert [told(one) for one in found.slices] == [told(one) for one in whole.slices]
    evaluator = ModelEvaluator("multiclass")
    true, pred = RNG.integers(0, 200, (2, ROWS))
    _, found = streamed(evaluator, true, np.where(LONG, true, pred))
    whole = evaluator.evaluate(true, np.where(LONG, true, pred), slices=ASKED)
    assert [told(one) for one in found.slices] == [told(one) for one in whole.slices]


def test_numbers_of_slices_are_refused_that_are_none():
    """Nothing is rounded, dropped or counted elsewhere; nor are metrics without small states."""
    stream = SliceStream({"mae": metric("mean_absolute_error")})
    stream.update([1.0], [2.0], [0], 1)
    for ids, error, said in (
        ([0.9, 1.2], TypeError, "slices must hold integers, not float64"),
        ([0, -1], ValueError, "slices has numbers from -1 to 0"),
        ([0, 2], ValueError, "slices has the number 2; expected less than count=2"),
        ([0], ValueError, r"slices has shape \(1,\) and y_true \(2,\)"),
    ):
        with pytest.raises(error, match=said):
            stream.update([1.0, 1.0], [1.0, 1.0], ids, 2)
    assert [float(one.values["mae"]) for one in stream.reports()] == [1.0]
    with pytest.raises(ValueError, match="worst: max_error has no small state for every slice"):
        SliceStream({"worst": metric("max_error")})


def test_slices_come_with_every_batch_or_with_none():
    stream = ModelEvaluator("classification").stream()
    stream.update(["a"], ["a"], slices={"lang": ["de"]})
    with pytest.raises(ValueError, match="these rows have slices by no column; the rows before by"):
        stream.update(["a"], ["b"])
    with pytest.raises(ValueError, match="slices by long; the rows before by lang"):
        stream.update(["a"], ["b"], slices={"long": [True]})
    with pytest.raises(TypeError, match="labels of two kinds"):
        stream.update(["a"], ["b"], slices={"lang": [3]})
    stream.update([], [])
    assert [one.rows for one in stream.result().slices] == [1]


def test_slices_of_several_outputs_keep_their_rows():
    """Which the first rows tell; rows, and streams, of another number of outputs are refused."""
    evaluator = ModelEvaluator("regression", metrics=["mean_absolute_error"])
    true, pred = RNG.normal(size=(2, 6, 2))
    lang = ["de", "en", "de", "en", "en", "de"]
    stream, one = evaluator.stream(), evaluator.stream()
    for rows in (slice(0, 2), slice(2, 6)):
        stream.update(true[rows], pred[rows], slices={"lang": lang[rows]})
    whole = evaluator.evaluate(true, pred, slices={"lang": lang})
    assert stream.result().slices == whole.slices
    assert stream.keeps_rows == ("mean_absolute_error",)
    one.update([1.0, 2.0], [1.0, 3.0], slices={"lang": ["de", "en"]})
    with pytest.raises(ValueError, match="have the outputs a row 2; the rows before have None"):
        one.update(true, pred, slices={"lang": lang})
    with pytest.raises(ValueError, match="another number of outputs"):
        one.merge(stream)
    assert [part.metrics["mean_absolute_error"] for part in one.result().slices] == [1.0, 0.0]
