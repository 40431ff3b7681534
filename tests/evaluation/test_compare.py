"""`compare`: the right tests on the right rows, adjusted, and a ranking that says what is real."""

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import modelops_jax.metrics as numeric
from modelops_jax.evaluation import (
    AUCROCMetric,
    ComparisonStream,
    ModelEvaluator,
    NoIntervalWarning,
    TaskType,
    UndefinedMetricWarning,
    compare,
)
from modelops_jax.evaluation._comparison import compact_letters

ANIMALS = np.array(["bird", "cat", "dog"])


def answers(rates, rows=300, seed=0):
    """The truth, and for each rate predictions that are right at least so often."""
    random = np.random.default_rng(seed)
    truth = random.choice(ANIMALS, rows)
    guess = {
        name: np.where(random.random(rows) < rate, truth, random.choice(ANIMALS, rows))
        for name, rate in rates.items()
    }
    return truth, guess


def test_a_letter_is_shared_unless_two_are_apart():
    """Over random sets of pairs that are apart, five models at a time."""
    random = np.random.default_rng(1)
    pairs = list(itertools.combinations("vwxyz", 2))
    for _ in range(200):
        apart = [pair for pair in pairs if random.random() < 0.5]
        letters = compact_letters("vwxyz", apart)
        for pair in pairs:
            assert bool(set(letters[pair[0]]) & set(letters[pair[1]])) == (pair not in apart)
    assert compact_letters("xyz", [("x", "z")]) == {"x": "a", "y": "ab", "z": "b"}
    assert compact_letters("xy", []) == {"x": "a", "y": "a"}


def test_accuracy_is_compared_by_mcnemar_and_holm():
    """Three models: values of an evaluation each, McNemar's p of each pair, times its rank."""
    truth, guess = answers({"small": 0.5, "large": 0.85, "medium": 0.8})
    found = compare(truth, guess, task="classification", seed=3)
    accuracy = found.metrics["accuracy"]
    assert list(accuracy.values) == ["large", "medium", "small"]
    for name, pred in guess.items():
        single = ModelEvaluator("classification").evaluate(truth, pred, confidence=0.95)
        for metric, value in single.metrics.items():
            assert found.metrics[metric].values[name] == pytest.approx(value, abs=1e-12)
        assert accuracy.intervals[name] == single.intervals["accuracy"]
    expected = []
    for pair in accuracy.pairs:
        one, other = guess[pair.first] == truth, guess[pair.second] == truth
        assert pair.difference == pytest.approx(one.mean() - other.mean(), abs=1e-12)
        fewer, tosses = np.sum(one & ~other), np.sum(one ^ other)
        mid = stats.binomtest(int(fewer), int(tosses)).pvalue - stats.binom.pmf(fewer, tosses, 0.5)
        assert pair.p_value == pytest.approx(mid, rel=1e-9)
        assert pair.test == "McNemar (mid-p)"
        assert pair.interval.low < pair.difference < pair.interval.high
        expected.append(mid)
    adjusted = [pair.adjusted_p_value for pair in accuracy.pairs]
    assert adjusted == pytest.approx(numeric.adjust_p_values(expected))
    assert accuracy.verdicts == {
        "large": "best",
        "medium": "not distinguishable from the best",
        "small": "worse than the best",
    }
    assert accuracy.letters == {"large": "a", "medium": "a", "small": "b"}
    f1 = found.metrics["f1"].pair("small", "large")
    assert (f1.test, f1.distinguishable) == ("permutation", True)
    with pytest.raises(KeyError, match="not compared"):
        accuracy.pair("large", "small")


def test_models_have_one_set_of_classes():
    """One model alone is binary, the other says a third label: both are averaged over classes."""
    truth = [0, 1] * 20
    third = [2, *truth[1:]]
    with pytest.warns(UndefinedMetricWarning, match="three: recall: .*2"):
        found = compare(truth, {"two": truth, "three": third}, task=TaskType.CLASSIFICATION)
    recall = found.metrics["recall"].values
    assert recall["two"] == 1.0
    assert recall["three"] == pytest.approx((19 / 20 + 1 + 0) / 3)


def test_a_baseline_is_what_the_others_are_compared_with():
    """Errors: less is better, and a difference is the model's value minus the baseline's."""
    random = np.random.default_rng(2)
    y_true = random.normal(size=150)
    guess = {
        "old": (y_true + random.normal(size=150)).tolist(),
        "good": y_true + 0.5 * random.normal(size=150),
        "bad": y_true + 2 * random.normal(size=150),
    }
    found = compare(y_true, guess, task="regression", baseline="old", confidence=0.9)
    mae = found.metrics["mae"]
    assert [(pair.first, pair.second) for pair in mae.pairs] == [("good", "old"), ("bad", "old")]
    assert mae.verdicts == {
        "good": "better than old",
        "old": "baseline",
        "bad": "worse than old",
    }
    assert not mae.letters
    errors = np.abs(y_true - np.array(guess["good"])) - np.abs(y_true - np.array(guess["old"]))
    pair = mae.pair("good", "old")
    assert pair.difference == pytest.approx(errors.mean())
    spread = errors.std() / math.sqrt(150)
    ends = pair.interval.low, pair.interval.high
    assert ends == pytest.approx(
        (errors.mean() - 1.645 * spread, errors.mean() + 1.645 * spread), abs=0.2 * spread
    )
    assert found.metrics["r2"].verdicts["good"] == "better than old"
    assert "baseline old, 90 % level" in str(found)


def test_areas_are_compared_by_delong():
    """Ranking: DeLong's test and interval; of rows in groups resampled and swapped groups."""
    random = np.random.default_rng(3)
    labels = random.choice(["ham", "spam"], 200)
    signal = (labels == "spam").astype(float)
    guess = {name: signal + s * random.normal(size=200) for name, s in (("a", 1.0), ("b", 2.0))}
    task = ModelEvaluator("classification")
    for metric in task.metrics:
        del task._metrics[metric.name]
    task.add_metric(AUCROCMetric(positive_class="spam"))
    (pair,) = compare(labels, guess, task=task).metrics["auc_roc"].pairs
    direct = numeric.delong_test(signal.astype(int), guess["a"], guess["b"])
    assert (pair.difference, pair.p_value, pair.test) == (
        direct.difference,
        direct.p_value,
        "DeLong",
    )
    assert pair.interval.high - pair.difference == pytest.approx(1.959964 * direct.standard_error)
    groups = np.arange(200) // 4
    grouped = compare(labels, guess, task=task, groups=groups, n_resamples=200)
    (pair,) = grouped.metrics["auc_roc"].pairs
    direct = numeric.paired_differences(
        {"it": numeric.metric("roc_auc_score")},
        signal.astype(int),
        guess,
        groups=groups,
        n_resamples=200,
    )["it"]["a", "b"]
    assert (pair.difference, pair.interval, pair.p_value) == (
        direct.value,
        direct.interval,
        direct.p_value,
    )
    assert pair.test == "permutation"


def test_scores_of_classes_are_compared():
    """Log loss and areas of three classes by paired resamples, as the numeric core does it."""
    random = np.random.default_rng(4)
    codes = random.integers(0, 3, 150)
    better, worse = (
        np.exp(sharp * np.eye(3)[codes] + random.normal(size=(150, 3))) for sharp in (2, 1)
    )
    probabilities = {
        name: odds / odds.sum(axis=1, keepdims=True)
        for name, odds in (("better", better), ("worse", worse))
    }
    task = ModelEvaluator("multiclass", metrics=["log_loss", "roc_auc_score"])
    asked = {"n_resamples": 200, "interval": "bca"}
    found = compare(codes, None, scores=probabilities, task=task, **asked)
    metrics = {
        "log_loss": numeric.metric("log_loss"),
        "roc_auc_score": numeric.metric("roc_auc_score", num_classes=3),
    }
    direct = numeric.paired_differences(
        metrics, codes, probabilities, n_resamples=200, method="bca"
    )
    for name, one in found.metrics.items():
        (pair,) = one.pairs
        expected = direct[name]["better", "worse"]
        assert pair.difference == pytest.approx(expected.value, abs=1e-12)
        assert pair.interval.low == pytest.approx(expected.interval.low, abs=1e-12)
        assert pair.interval.method == "paired Poisson BCa"
        assert pair.p_value == expected.p_value < 0.05
        assert one.verdicts == {"better": "best", "worse": "worse than the best"}
        single = task.evaluate(codes, None, y_score=probabilities["better"], confidence=0.95)
        assert one.values["better"] == pytest.approx(single.metrics[name], abs=1e-12)
    by_label = {
        name: dict(zip("abc", columns.T, strict=True)) for name, columns in probabilities.items()
    }
    named = compare(np.array(["a", "b", "c"])[codes], None, scores=by_label, task=task, **asked)
    assert named.metrics["log_loss"].pairs == found.metrics["log_loss"].pairs
    by_place = dict(enumerate(probabilities["better"].T))
    more = by_place | {3: np.zeros(150)}
    losses = ModelEvaluator("multiclass", metrics=["log_loss"])
    with pytest.raises(ValueError, match=r"of one model and \[0, 1, 2, 3\] of another; expected"):
        compare(codes, None, scores={"a": by_place, "b": more}, task=losses)
    with pytest.raises(
        ValueError, match=r"scores has \['better', 'worse'\]; expected the same models"
    ):
        compare(codes, {"a": codes, "b": codes}, scores=probabilities, task=task)


def test_ignored_rows_and_order_statistics_are_compared():
    """Labels to ignore are in no test; medians and ranks have one; a maximum says it has none."""
    random = np.random.default_rng(5)
    labels = random.integers(0, 3, 120)
    guess = {name: np.where(random.random(120) < 0.7, labels, 1) for name in "ab"}
    task = ModelEvaluator("multiclass", ignore_index=2)
    groups = np.arange(120) // 2
    found = compare(labels, guess, task=task, groups=groups, n_resamples=100)
    kept = labels != 2
    few = {name: pred[kept] for name, pred in guess.items()}
    names = ["accuracy", "precision", "recall", "f1"]
    expected = compare(labels[kept], few, task="multiclass", groups=groups[kept], n_resamples=100)
    assert list(found.metrics) == names
    for name in names:
        assert found.metrics[name].pairs == expected.metrics[name].pairs
    value = random.normal(size=120)
    close = {name: value + s * random.normal(size=120) for name, s in (("a", 0.1), ("b", 1.0))}
    names = ["median_absolute_error", "spearman_corrcoef", "max_error"]
    task = ModelEvaluator("regression", metrics=names)
    with pytest.warns(NoIntervalWarning, match="max_error is not compared: the largest of"):
        found = compare(value, close, task=task, n_resamples=100)
    assert [len(one.pairs) for one in found.metrics.values()] == [1, 1, 0]
    median = found.metrics["median_absolute_error"]
    assert median.pairs[0].p_value < 0.05
    drawn = {pair.interval for pair in median.pairs} | {*median.intervals.values()}
    assert {interval.n_resamples for interval in drawn} == {100}


def test_groups_make_differences_less_certain():
    """Rows copied eight times tell models apart alone, and do not as groups."""
    truth, guess = answers({"a": 0.7, "b": 0.55}, rows=60, seed=4)
    truth = np.repeat(truth, 8)
    guess = {name: np.repeat(pred, 8) for name, pred in guess.items()}
    alone = compare(truth, guess, task="multiclass").metrics["accuracy"].pairs[0]
    groups = np.repeat(np.arange(60), 8)
    found = compare(truth, guess, task="multiclass", groups=groups).metrics["accuracy"].pairs[0]
    assert alone.p_value < 0.2 * found.p_value
    assert found.test == "permutation"
    assert found.interval.high - found.interval.low > 2 * (alone.interval.high - alone.interval.low)


def test_texts_and_label_sets_are_compared_by_their_rows():
    """Exact match and subset accuracy by McNemar's test, the rest by swaps of whole rows."""
    truth = ["yes", "no"] * 40
    guess = {"same": truth, "none": ["?"] * 80}
    found = compare(truth, guess, task="text_generation").metrics
    assert found["exact_match"].verdicts == {"same": "best", "none": "worse than the best"}
    assert found["length_ratio"].pairs[0].test == "permutation"
    matrix = np.random.default_rng(5).integers(0, 2, (60, 3))
    guess = {"same": matrix, "less": np.where([True, False, True], matrix, 1 - matrix)}
    sets = compare(matrix, guess, task="multilabel").metrics
    assert sets["subset_accuracy"].verdicts["less"] == "worse than the best"
    assert sets["subset_accuracy"].pairs[0].test == "McNemar (mid-p)"
    assert sets["f1_micro"].pairs[0].test == "permutation"
    assert sets["f1_micro"].values["same"] == 1.0
    assert sets["f1_micro"].verdicts["less"] == "worse than the best"
    # A label of which every entry is ignored is as good as none, and decides no row.
    ignoring = ModelEvaluator("multilabel", metrics=["accuracy_score"], ignore_index=-1)
    entries = np.where([True, True, False], matrix, -1)
    found = compare(entries, guess, task=ignoring).metrics
    without = {model: said[:, :2] for model, said in guess.items()}
    assert found == compare(matrix[:, :2], without, task=ignoring).metrics
    stream = ComparisonStream(list(guess), task=ignoring)
    stream.update(entries, guess)
    assert stream.result().metrics["accuracy_score"].pairs[0].p_value < 0.001


def test_a_comparison_reads_as_a_table_and_is_json():
    """The first line says what was done; each model has its value, letters and verdict."""
    truth, guess = answers({"small": 0.4, "large": 0.9}, rows=100)
    found = compare(truth, guess, task="multiclass", correction="benjamini-hochberg")
    lines = str(found).splitlines()
    assert lines[0] == (
        "multiclass, 2 models on 100 rows, all pairs, 95 % level, p-values adjusted: "
        "benjamini-hochberg"
    )
    assert lines[1] == "accuracy (higher is better)"
    values = found.metrics["accuracy"].values
    assert lines[2].startswith(f"  large  {values['large']:.4f}  [0.")
    assert lines[2].endswith("]  a  best")
    assert f"  b  worse than the best ({values['small'] - values['large']:.4f}, p " in lines[3]
    assert lines[-1] == "Models that share a letter are not distinguishable."
    odd = replace(
        found.metrics["accuracy"], metric="a\n", values={"b\x1b": 1.0}, intervals={}, letters={},
        pairs=(),
    )  # fmt: skip
    assert all(line.isprintable() for line in odd.lines())
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["models"] == ["small", "large"]
    assert plain["metrics"]["f1"]["verdicts"]["large"] == "best"
    assert plain["metrics"]["accuracy"]["pairs"][0]["interval"]["level"] == 0.95


def test_what_is_undefined_is_null():
    """R2 of one row: no value, no p-value, nothing told apart, and JSON without nan."""
    with pytest.warns(UndefinedMetricWarning, match="a: r2|b: r2|one row"):
        found = compare([1.0], {"a": [1.0], "b": [2.0]}, task="regression", n_resamples=20)
    assert math.isnan(found.metrics["r2"].pairs[0].adjusted_p_value)
    assert set(found.metrics["r2"].letters.values()) == {"a"}
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["metrics"]["r2"]["pairs"][0]["p_value"] is None
    assert plain["not_finite"]


def test_equal_models_are_not_told_apart():
    """The same predictions twice: no difference, p = 1, one letter."""
    truth, guess = answers({"a": 0.7}, rows=50)
    found = compare(truth, guess | {"b": guess["a"]}, task="multiclass", n_resamples=50)
    for metric in found.metrics.values():
        (pair,) = metric.pairs
        assert (pair.difference, pair.adjusted_p_value, pair.distinguishable) == (0.0, 1.0, False)
        assert set(metric.letters.values()) == {"a"}


def test_mistakes_are_refused():
    """Each with what was found and what was expected; warnings are those of an evaluation."""
    truth = [0, 1, 1, 0]
    with pytest.raises(TypeError):
        compare(truth, [truth, truth], task="binary")  # pyright: ignore[reportArgumentType] # the mistake meant
    with pytest.raises(ValueError, match=r"predictions has \['a'\]; expected two models or more"):
        compare(truth, {"a": truth}, task="binary")
    two = {"a": truth, "b": truth}
    with pytest.raises(ValueError, match="baseline is 'c'; choose one of: a, b"):
        compare(truth, two, task="binary", baseline="c")
    with pytest.raises(ValueError, match=r"confidence is 95\.0; expected"):
        compare(truth, two, task="binary", confidence=95.0)
    with pytest.raises(ValueError, match=r"method must be one of .*'holm'"):
        compare(truth, two, task="binary", correction="none")
    with pytest.raises(ValueError, match="y_true has 4 entries and y_pred has 3"):
        compare(truth, two | {"b": truth[:3]}, task="binary")
    with pytest.raises(ValueError, match="no rows"), pytest.warns(UndefinedMetricWarning):
        compare([], {"a": [], "b": []}, task="regression")
    ignoring = ModelEvaluator("multiclass", metrics=["accuracy_score"], ignore_index=1)
    for groups in (None, ["u", "v"]):
        with pytest.raises(ValueError, match="all have the label"), pytest.warns():
            compare([1, 1], {"a": [0, 1], "b": [1, 1]}, task=ignoring, groups=groups)
