"""Slices of an evaluation: by each column, crossed, the worst first."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

import modelops_jax.metrics as numeric
from modelops_jax.evaluation import (
    AccuracyMetric,
    F1Metric,
    ModelEvaluator,
    PrecisionMetric,
    RecallMetric,
)
from modelops_jax.metrics import adjust_p_values, fisher_test, student_tests

fisher_exact: Any = scipy.stats.fisher_exact
ttest_ind: Any = scipy.stats.ttest_ind

sk: Any = sklearn.metrics
RNG = np.random.default_rng(12)
COUNT = 600
LANG = np.array(["de", "en", "fr"])[RNG.integers(0, 3, COUNT)]
LONG = RNG.random(COUNT) < 0.5
CODES = RNG.integers(0, 4, (2, COUNT))
SLICES = {"lang": LANG, "long": LONG.tolist(), ("lang", "long"): None}
ROWS: dict[str, Any] = {
    "multiclass": CODES,
    "regression": RNG.normal(size=(2, COUNT)),
    "ranking": (CODES[0] > 1, RNG.normal(size=COUNT)),
    "multilabel": RNG.integers(0, 2, (2, COUNT, 3)),
}


def rows_of(key: Any) -> np.ndarray:
    """Which rows a slice has."""
    columns = {"lang": LANG, "long": LONG}
    return np.logical_and.reduce([columns[name] == value for name, value in key.items()])


@pytest.mark.parametrize("task", ROWS)
def test_a_slice_is_an_evaluation_of_its_rows(task):
    """Every slice of every slicing, with intervals from the same statistics."""
    y_true, y_pred = ROWS[task]
    evaluator = ModelEvaluator(task)
    result = evaluator.evaluate(y_true, y_pred, slices=SLICES, confidence=0.9)
    assert sorted(len(one.key) for one in result.slices) == [1] * 5 + [2] * 6
    for one in result.slices:
        rows = rows_of(one.key)
        alone = evaluator.evaluate(y_true[rows], y_pred[rows], confidence=0.9)
        assert one.rows == alone.sample_count == rows.sum()
        assert list(one.metrics) == list(alone.metrics)
        for name, value in alone.metrics.items():
            assert abs(one.metrics[name] - value) <= 1e-12 * max(1, abs(value))
        assert one.intervals.keys() == alone.intervals.keys()
        for name, interval in alone.intervals.items():
            assert one.intervals[name].low == pytest.approx(interval.low, rel=1e-9)


def test_values_are_those_of_scikit_learn():
    """F1 of one language, its classes being those that occur in it."""
    result = ModelEvaluator("classification").evaluate(*CODES, slices={"lang": LANG})
    for one in result.slices:
        rows = LANG == one.key["lang"]
        expected = sk.f1_score(CODES[0][rows], CODES[1][rows], average="macro")
        assert one.metrics["f1"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("task", "better"), [("multiclass", 1), ("regression", -1)])
def test_the_worst_come_first(task, better):
    """By the first metric, in its direction."""
    result = ModelEvaluator(task).evaluate(*ROWS[task], slices={"lang": LANG})
    values = [better * one.metrics[next(iter(result.metrics))] for one in result.slices]
    assert values == sorted(values)


def test_undefined_slices_come_last_and_are_counted():
    """One class only in a slice: nan there, and a value elsewhere."""
    result = ModelEvaluator("ranking").evaluate(
        [0, 1, 0, 1, 1, 1], [0.1, 0.2, 0.9, 0.3, 0.4, 0.5], slices={"k": [1, 1, 2, 2, 3, 3]}
    )
    assert [one.key["k"] for one in result.slices] == [2, 1, 3]
    assert math.isnan(result.slices[2].metrics["auc_roc"])
    assert result.slices[2].undefined == {"auc_roc": 1}


def test_the_task_is_decided_by_all_rows():
    """A slice with only 0 and 1 of a task with three classes is no binary one."""
    y_true, y_pred = [0, 1, 0, 2, 2, 1], [0, 0, 0, 2, 2, 1]
    keys = list("aaabbb")
    found = ModelEvaluator("classification").evaluate(y_true, y_pred, slices={"k": keys})
    first = next(one for one in found.slices if one.key["k"] == "a")
    expected = sk.precision_score([0, 1, 0], [0, 0, 0], average="macro", zero_division=0)
    assert first.metrics["precision"] == pytest.approx(expected, rel=1e-12)


def test_many_classes_and_slices():
    """More classes than a table holds: a mean in a slice is over the classes that occur there."""
    codes = RNG.integers(0, 150, (2, COUNT))
    codes[1, :300] = codes[0, :300]
    weight = RNG.random(COUNT)
    columns: dict[Any, Any] = {"lang": LANG, "few": codes[0] < 3}
    for average in ("macro", "weighted"):
        kinds = (PrecisionMetric, RecallMetric, F1Metric)
        asked = [AccuracyMetric(), *(kind(average=average) for kind in kinds)]
        evaluator = ModelEvaluator("multiclass", metrics=asked)
        stream = evaluator.stream()
        stream.update(*codes, slices=columns)
        with pytest.warns(UserWarning, match="classes"):
            results = [
                (evaluator.evaluate(*codes, slices=columns), None),
                (evaluator.evaluate(*codes, slices=columns, weight=weight), weight),
                (stream.result(), None),
            ]
        for result, worth in results:
            for one in result.slices:
                ((column, value),) = one.key.items()
                rows = columns[column] == value
                each = None if worth is None else worth[rows]
                ratios = sk.precision_recall_fscore_support(
                    *codes[:, rows], average=average, zero_division=0, sample_weight=each
                )
                expected = [sk.accuracy_score(*codes[:, rows], sample_weight=each), *ratios[:3]]
                assert list(one.metrics.values()) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("slices", "error", "message"),
    [
        ({"a": [1, 2]}, ValueError, r"slices\['a'\] has 2 entries and y_true has 3"),
        ({"a": [1, 2, "x"]}, TypeError, r"slices\['a'\] mixes labels of two kinds"),
        ({("a", "b"): None}, ValueError, r"expected different ones of \(\)"),
        ({"a": [1, 2, 3], ("a", "a"): None}, ValueError, "expected different ones of"),
        ({"a": [1, 2, 3], ("a",): [1]}, TypeError, "crossed slices need no column"),
    ],
)
def test_what_is_no_slicing_is_refused(slices, error, message):
    """With the name of the column."""
    with pytest.raises(error, match=message):
        ModelEvaluator("binary").evaluate([0, 1, 1], [0, 1, 1], slices=slices)


METRICS = {
    "matrix": numeric.metric("confusion_matrix", num_classes=4),
    "f1": numeric.metric("f1_score", average="macro", num_classes=4),
}
NUMBERS = {
    name: numeric.metric(name)
    for name in ("mean_absolute_error", "r2_score", "pearson_corrcoef", "max_error")
}


def test_statistics_of_slices_in_one_pass():
    """Counts exactly, sums to 1e-12, at an offset; a slice of equal values, and one without."""
    ids = RNG.integers(0, 5, COUNT) * 2  # those of odd numbers have no rows
    values = 1e6 + 1e-3 * RNG.normal(size=(2, COUNT))
    values[0, ids == 4] = 0.1
    mask, numbers = RNG.random(COUNT) < 0.7, RNG.random(COUNT)
    for metrics, columns, weight in ((METRICS, CODES, mask), (NUMBERS, values, numbers)):
        found = numeric.compute_slices(
            metrics, columns[0], columns[1], {"k": ids, "all": 0 * ids}, weight=weight
        )
        whole = numeric.compute(metrics, columns[0], columns[1], weight=weight)
        reports = [
            (found.whole, whole),
            (found.slices["all"][0], whole),
            *(
                (
                    found.slices["k"][place],
                    numeric.compute(
                        metrics,
                        columns[0][ids == place],
                        columns[1][ids == place],
                        weight=weight[ids == place],
                    ),
                )
                for place in range(3, 6)
            ),
        ]
        for one, expected in reports:
            assert (one.rows, one.undefined) == (expected.rows, expected.undefined)
            for name, value in expected.values.items():
                np.testing.assert_allclose(one.values[name], value, rtol=1e-12, atol=1e-12)
    assert found.slices["k"][4].undefined["r2_score"] == 1


def test_ids_that_are_no_slices_are_refused():
    """Fractions, negative numbers, other lengths; and invalid rows as ever."""
    for ids, error in (([0.5, 1.0], TypeError), ([-1, 0], ValueError), ([0], ValueError)):
        with pytest.raises(error, match=r"slices\['k'\]"):
            numeric.compute_slices(METRICS, [0, 1], [0, 1], {"k": ids})
    with pytest.raises(ValueError, match="y_pred: 1 labels outside 0 to 3"):
        numeric.compute_slices(METRICS, [0, 1], [0, 4], {"k": [0, 1]})


def test_groups_are_resampled_within_a_slice_too():
    """The interval of a slice is that of its rows with their groups."""
    random = np.random.default_rng(5)
    group = random.integers(0, 30, 240)
    true = random.integers(0, 2, 30)[group] ^ (random.random(240) < 0.1)
    lang = np.where(group % 2 == 0, "de", "en")
    evaluator = ModelEvaluator("binary")
    wanted = {"confidence": 0.9, "seed": 3}
    pred = random.integers(0, 2, 30)[group]
    whole = evaluator.evaluate(true, pred, groups=group, slices={"lang": lang}, **wanted)
    for part in whole.slices:
        rows = lang == part.key["lang"]
        alone = evaluator.evaluate(true[rows], pred[rows], groups=group[rows], **wanted)
        assert part.intervals["accuracy"].method == "Poisson of groups percentile"
        assert part.intervals["accuracy"] == alone.intervals["accuracy"]


def test_areas_in_slices_of_groups_are_resampled_and_have_no_test():
    """A score is no label: no row adds a number of its own to an area."""
    random = np.random.default_rng(6)
    group, true, score = random.integers(0, 12, 90), random.random(90) < 0.5, random.random(90)
    evaluator = ModelEvaluator("ranking")
    slices: dict[Any, Any] = {"half": group % 2}
    found = evaluator.evaluate(true, score, groups=group, slices=slices, confidence=0.9).slices
    assert len(found) == 2
    for part in found:
        rows = group % 2 == part.key["half"]
        assert part.metrics["auc_roc"] == pytest.approx(sk.roc_auc_score(true[rows], score[rows]))
        alone = evaluator.evaluate(true[rows], score[rows], groups=group[rows], confidence=0.9)
        assert part.intervals == alone.intervals
        assert part.p_values == part.tests == {}


@pytest.mark.filterwarnings("ignore::modelops_jax.evaluation.UndefinedMetricWarning")
def test_a_slice_of_ignored_rows_alone_is_tested_in_groups_wherever_it_comes():
    """First or last among the slices: it has no value, and does not differ."""
    evaluator = ModelEvaluator("multiclass", metrics=["accuracy_score"], ignore_index="?")
    for part in ("a", "z"):
        found = evaluator.evaluate(
            list("ab?ab"), list("abaab"), confidence=0.9, groups=range(5),
            slices={"part": ["k", "k", part, "m", "m"]},
        ).slices  # fmt: skip
        told = {one.key["part"]: (one.metrics["accuracy_score"], one.p_values) for one in found}
        tested = {"accuracy_score": 1.0}
        assert told == {"k": (1.0, tested), "m": (1.0, tested), part: (0.0, tested)}


def test_metrics_of_ones_own_have_no_slices():
    """They are in the result, and their column is in no table of slices."""

    class Bias:
        name = "bias"

        def compute(self, y_true, y_pred):
            return 0.25

    result = (
        ModelEvaluator("regression")
        .add_metric(Bias())
        .evaluate(*ROWS["regression"], slices={"lang": LANG})
    )
    assert result.metrics["bias"] == 0.25
    assert list(result.slices[0].metrics) == ["mse", "mae", "rmse", "r2"]
    assert "by lang" in str(result)


def test_slices_that_differ_are_called_so_by_an_adjusted_test():
    """Fisher's test against the other rows, by Holm; not without intervals, nor in groups."""
    rng = np.random.default_rng(5)
    key = np.repeat(["a", "b", "c", "d"], [400, 300, 60, 40])
    true = rng.integers(0, 2, 800)
    wrong = rng.random(800) < np.where(key == "c", 0.5, 0.2)
    pred = np.where(wrong, 1 - true, true)
    evaluator = ModelEvaluator("binary").add_metric("matthews_corrcoef")
    result = evaluator.evaluate(true, pred, confidence=0.95, slices={"key": key.tolist()})
    raw = {}
    for name in "abcd":
        inside, hits = key == name, ~wrong
        table = [[(hits & inside).sum(), (~hits & inside).sum()]]
        table += [[(hits & ~inside).sum(), (~hits & ~inside).sum()]]
        raw[name] = fisher_exact(table).pvalue
    ordered = sorted(raw, key=raw.__getitem__)
    adjusted, least = {}, 0.0
    for place, name in enumerate(ordered):
        least = max(least, min(1.0, raw[name] * (4 - place)))
        adjusted[name] = least
    for one in result.slices:
        assert one.p_values["accuracy"] == pytest.approx(adjusted[one.key["key"]], rel=1e-9)
        assert one.differs("accuracy") == (one.key["key"] == "c")
        assert "matthews_corrcoef" not in one.p_values
    assert "by key (* differs from the other rows)" in str(result)
    again = type(result).from_dict(result.to_dict())
    assert again.slices == result.slices
    plain = evaluator.evaluate(true, pred, slices={"key": key.tolist()})
    assert not any(one.p_values for one in plain.slices)


def test_slices_of_rows_in_groups_are_tested_by_group():
    """Shares and means, of labels whose groups are named and of rows that hold no label."""
    rng = np.random.default_rng(9)
    groups = np.repeat(np.arange(40), 5)
    key = np.where(groups < 12, "a", "b")
    right = rng.random(200) < np.where(key == "a", 0.5, 0.9)
    true = ["x", "y"] * 100
    pred = [kind if ok else "xy"[kind == "x"] for kind, ok in zip(true, right, strict=True)]
    names = [f"user {group}" for group in groups]
    slices: Any = {"key": key.tolist()}
    evaluator = ModelEvaluator("multiclass", metrics=["accuracy_score", "matthews_corrcoef"])
    found = evaluator.evaluate(true, pred, confidence=0.95, slices=slices, groups=names)
    shares = right.reshape(40, 5).mean(axis=1)
    (expected,) = {ttest_ind(shares[:12], shares[12:]).pvalue}
    for one in found.slices:
        assert one.tests == {"accuracy_score": "Student of groups"}
        assert one.p_values["accuracy_score"] == pytest.approx(
            2 * expected, rel=1e-9
        )  # Holm, of two
    assert type(found).from_dict(found.to_dict()).slices == found.slices
    values = rng.normal(size=200) + right
    of_values = ModelEvaluator(
        "regression", metrics=["root_mean_squared_error", "r2_score"]
    ).evaluate(values, np.zeros(200), confidence=0.95, slices=slices, groups=names)
    squares = (values**2).reshape(40, 5).mean(axis=1)
    expected = ttest_ind(squares[:12], squares[12:]).pvalue
    for one in of_values.slices:
        assert one.tests == {"root_mean_squared_error": "Student of groups"}
        p_value = one.p_values["root_mean_squared_error"]
        assert p_value == pytest.approx(min(1, 2 * expected), rel=1e-9)


def test_means_that_differ_are_called_so_by_students_test():
    """Of errors and of texts, beside Fisher's of shares."""
    rng = np.random.default_rng(8)
    key = np.repeat(["a", "b", "c"], [150, 30, 60])
    true = rng.normal(size=240) + 1e3
    pred = true + rng.exponential(size=240) * np.where(key == "b", 2.5, 1)
    names = ["mean_absolute_error", "root_mean_squared_error"]
    slices: Any = {"key": key.tolist()}
    result = ModelEvaluator("regression", metrics=names).evaluate(
        true, pred, confidence=0.95, slices=slices
    )
    error = pred - true
    values = dict(zip(names, (abs(error), error**2), strict=True))
    for name, of_rows in values.items():
        raw = [ttest_ind(of_rows[key == k], of_rows[key != k]).pvalue for k in "abc"]
        expected: Any = dict(zip("abc", adjust_p_values(raw, method="holm"), strict=True))
        for one in result.slices:
            assert one.p_values[name] == pytest.approx(expected[one.key["key"]], rel=1e-9), name
            assert one.tests[name] == "Student"
    assert [one.key["key"] for one in result.slices if one.differs(names[0])] == ["b"]
    assert type(result).from_dict(result.to_dict()).slices == result.slices
    # What is shared is a column of y_pred, not y_pred itself.
    said = ["a b c d" if k == "a" else "a b x y" for k in key]
    said[:20], said[140:170], said[-5:] = ["a x y z"] * 20, ["a b c x"] * 30, ["a b c d"] * 5
    texts = ModelEvaluator("text_generation", metrics=["rouge_1_score", "exact_match"])
    found = texts.evaluate(["a b c d"] * 240, said, confidence=0.95, slices=slices)
    shared = np.array([len({*text.split()} & {*"abcd"}) / 4 for text in said])
    raw = [ttest_ind(shared[key == k], shared[key != k]).pvalue for k in "abc"]
    expected = dict(zip("abc", adjust_p_values(raw, method="holm"), strict=True))
    for one in found.slices:
        assert one.tests == {"rouge_1_score": "Student", "exact_match": "Fisher"}
        assert one.p_values["rouge_1_score"] == pytest.approx(expected[one.key["key"]], rel=1e-9)


def test_students_test_of_little():
    """No rows, one slice of all, equal numbers; and no p-value that no permutation could have."""
    assert student_tests([0, 5, 0], [math.nan, 1.0, 0.0], [math.nan, 2.0, 0.0]) == [1.0] * 3
    assert student_tests([3, 2], [1.0, 1.0], [0.0, 0.0]) == [1.0, 1.0]
    assert student_tests([1, 1], [1.0, 2.0], [0.0, 0.0]) == [1.0, 1.0]
    assert student_tests([2, 2], [0.0, 1.0], [0.0, 0.0]) == pytest.approx([1 / 6] * 2)


@pytest.mark.parametrize("seed", range(3))
def test_fisher_is_scipys(seed):
    """Two-sided, at the edges and in the middle."""
    rng = np.random.default_rng(seed)
    for rows, others in ((0, 5), (1, 1), (7, 3), (40, 900), (3000, 5000)):
        hits, found = int(rng.integers(0, rows + 1)), int(rng.integers(0, others + 1))
        expected = fisher_exact([[hits, rows - hits], [found, others - found]]).pvalue
        assert fisher_test(hits, rows, found, others) == pytest.approx(expected, rel=1e-7)
    with pytest.raises(ValueError, match="hits is 3; expected 0 to 2"):
        fisher_test(3, 2, 0, 1)
