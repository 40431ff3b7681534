"""`ComparisonStream`: what `compare` says of all rows, of rows that come in batches."""

import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest

from modelops_jax._row_groups import GrowingGroups
from modelops_jax.evaluation import (
    ComparisonStream,
    F1Metric,
    ModelEvaluator,
    UndefinedMetricWarning,
    compare,
)
from modelops_jax.evaluation._joint_counts import JointCounts, joined

ROWS = 300
RNG = np.random.default_rng(0)
DRAWN: Any = {"n_resamples": 60, "seed": 4}


def said(truth, wrong, rates=(0.6, 0.55, 0.4)):
    """What three models say: the truth at these rates, else what is wrong."""
    return {
        name: [t if RNG.random() < rate else w for t, w in zip(truth, wrong, strict=True)]
        for name, rate in zip("xyz", rates, strict=True)
    }


def words():
    return [" ".join(RNG.choice(list("abcdefg"), 4)) for _ in range(ROWS)]


LABELS = RNG.choice(["ant", "bee", "cow"], ROWS).tolist()
LABELS[250:] = ["late"] * 50  # in the last batches only
ANSWERS = said(LABELS, RNG.choice(["ant", "bee", "cow"], ROWS).tolist())
NUMBERS = 100 + 3 * RNG.normal(size=ROWS)
NOISE = dict(zip("xyz", RNG.normal(size=(3, ROWS)) * [[1], [2], [3]], strict=True))
VALUES = {name: NUMBERS + noise for name, noise in NOISE.items()}
BINARY = RNG.integers(0, 2, ROWS)
SCORES = {name: 1 / (1 + np.exp(-BINARY - noise)) for name, noise in NOISE.items()}
OVER_HALF = {name: (score > 0.5).astype(int) for name, score in SCORES.items()}
RIGHT = {"x": 0.9, "y": 0.8, "z": 0.7}
TEXTS = words()
WRITTEN = said(TEXTS, words())
SETS = RNG.integers(0, 2, (ROWS, 3))
WEIGHT = RNG.random(ROWS).round(2)
USERS = [f"user {number}" for number in RNG.integers(0, 90, ROWS)]
GUESSED = {n: np.where(RNG.random((ROWS, 3)) < r, SETS, 1 - SETS) for n, r in RIGHT.items()}


def cases():
    """Task, metrics, truth, what models say, their scores, the metrics that keep rows."""
    names = ["accuracy_score", "log_loss", "roc_auc_score", "average_precision_score"]
    errors = ["mean_absolute_error", "median_absolute_error", "max_error"]
    found = {
        "labels": ("classification", None, LABELS, ANSWERS, None, ()),
        "areas": ("ranking", None, BINARY, SCORES, None, ("auc_roc",)),
        "matches": ("text_generation", ["exact_match"], TEXTS, WRITTEN, None, ()),
        "sums": ("regression", None, NUMBERS, VALUES, None, ()),
        "medians": ("regression", errors, NUMBERS, VALUES, None, errors[1:2]),
        "scores": ("binary", names, BINARY, OVER_HALF, SCORES, names[2:]),
        "texts": ("text_generation", ["length_ratio", "bleu_score"], TEXTS, WRITTEN, None, ()),
        "sets": ("multilabel", None, SETS, GUESSED, None, ()),
    }
    cheap = ("labels", "areas", "matches")
    return [
        pytest.param(*case, id=name, marks=[] if name in cheap else [pytest.mark.model])
        for name, case in found.items()
    ]


def assert_alike(one, other):
    """To rounding, and to the letter."""
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_alike(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for first, second in zip(one, other, strict=True):
            assert_alike(first, second)
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-11, abs=1e-12)
    else:
        assert one == other


@pytest.mark.parametrize(("task", "metrics", "truth", "models", "scores", "kept"), cases())
def test_it_is_the_comparison_of_all_rows(task, metrics, truth, models, scores, kept):
    """Ragged batches, an empty one, and a class that first appears late; warnings, too."""

    def made():
        return ModelEvaluator(task, metrics=metrics)

    stream, start = ComparisonStream(models, task=made(), **DRAWN), 0
    assert stream.keeps_rows == tuple(kept)
    for stop in (1, 1, 120, 299, ROWS):
        part = slice(start, stop)
        stream.update(
            truth[part],
            {name: column[part] for name, column in models.items()},
            scores=scores and {name: column[part] for name, column in scores.items()},
        )
        start = stop
    assert stream.rows == ROWS
    both = []
    for make in (
        lambda: compare(truth, models, scores=scores, task=made(), baseline="y", **DRAWN),
        lambda: stream.result(baseline="y"),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = make()
        both.append((found, [str(one.message) for one in caught]))
    (whole, told), (found, told_too) = both
    assert told == told_too
    assert_alike(whole.to_dict(), found.to_dict())
    if task in ("classification", "ranking"):
        assert whole == found


def given_rows():
    """Weights and groups of rows, the method of the intervals, and of which cases in each run."""
    ones, slow = np.ones(ROWS), [pytest.mark.model]
    given = {
        "weights": (WEIGHT, None, "auto"),
        "groups": (None, USERS, "bca"),
        "weighted groups": (WEIGHT, USERS, "auto"),
        "ones": (ones, None, "auto"),
        "groups of ones": (ones, USERS, "percentile"),
    }
    for case in cases():
        for name, rows in given.items():
            quick = (case.id, name) == ("labels", "ones") or (case.id == "areas" and rows[1])
            marks = [] if quick else slow
            yield pytest.param(*case.values[:5], *rows, id=f"{case.id}, {name}", marks=marks)


@pytest.mark.parametrize(
    ("task", "metrics", "truth", "models", "scores", "weight", "groups", "interval"),
    list(given_rows()),
)
def test_weights_and_groups_are_those_of_all_rows(
    task, metrics, truth, models, scores, weight, groups, interval
):
    """Groups that come in several batches, rows of weight 0, weights that all are 1."""
    task, start = ModelEvaluator(task, metrics=metrics), 0
    stream = ComparisonStream(models, task=task, **DRAWN)
    for stop in (1, 1, 120, 299, ROWS):
        part = slice(start, stop)
        stream.update(
            truth[part],
            {name: column[part] for name, column in models.items()},
            scores=scores and {name: column[part] for name, column in scores.items()},
            weight=None if weight is None else weight[part],
            groups=None if groups is None else groups[part],
        )
        start = stop
    asked = {"baseline": "y", "interval": interval}
    own = {"weight": weight, "groups": groups}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = compare(truth, models, scores=scores, task=task, **own, **asked, **DRAWN)
        found = stream.result(**asked)
    assert_alike(whole.to_dict(), found.to_dict())
    assert whole.sample_count == stream.rows


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_merged_sums_of_groups_are_those_of_all_rows(weight):
    """To rounding, of rows of one group in both, and about another mean in each."""
    errors = ["mean_absolute_error", "median_absolute_error", "r2_score"]
    task, parts = ModelEvaluator("regression", metrics=errors), []
    own = None if weight is None else np.where(np.arange(ROWS) < 150, 1.0, weight)
    order = np.argsort(NUMBERS, kind="stable")
    for rows in (order[:0], order[:120], order[120:]):
        parts.append(ComparisonStream(VALUES, task=task, **DRAWN))
        said = {name: column[rows] for name, column in VALUES.items()}
        users = [USERS[row] for row in rows]
        parts[-1].update(
            NUMBERS[rows], said, weight=own if own is None else own[rows], groups=users
        )
    stream, *others = parts
    for other in others:
        stream.merge(other)
    asked = {"interval": "bca", "weight": own, "groups": USERS, **DRAWN}
    whole = compare(NUMBERS, VALUES, task=task, **asked)
    assert_alike(stream.result(interval="bca").to_dict(), whole.to_dict())
    two = ComparisonStream(VALUES, task=task, **DRAWN)
    pair = np.ones((1, 2))
    two.update(pair, dict.fromkeys(VALUES, pair), groups=["user 1"])
    with pytest.raises(ValueError, match="these rows have"):
        stream.merge(two)


@pytest.mark.parametrize("given", ["labels", "groups", "areas"])
def test_merged_streams_are_the_comparison_of_all_rows(given):
    """Rows of one group in both, a class and groups that one alone has; nothing is drawn twice."""
    labelled = given == "labels"
    truth, models = (LABELS, ANSWERS) if labelled else (BINARY, SCORES)
    groups = USERS if given == "groups" else None
    task = ModelEvaluator("classification" if labelled else "ranking")
    parts = []
    for part in (slice(0, 200), slice(200, ROWS), slice(0, 0)):
        parts.append(ComparisonStream(models, task=task, **DRAWN))
        of_part = {name: column[part] for name, column in models.items()}
        parts[-1].update(truth[part], of_part, groups=groups and groups[part])
    stream, *others = parts
    for other in others:
        stream.merge(other)
    whole = compare(truth, models, task=task, groups=groups, **DRAWN)
    assert (stream.result(), stream.rows) == (whole, ROWS)
    with pytest.raises(ValueError, match=r"the other stream is of the models \['x'"):
        stream.merge(ComparisonStream("xyw", task=task, **DRAWN))
    with pytest.raises(ValueError, match="the other stream is of the resamples"):
        stream.merge(ComparisonStream("xyz", task=task, seed=5, n_resamples=60))
    with pytest.raises(ValueError, match="the other stream is of the metrics"):
        stream.merge(ComparisonStream("xyz", task="regression", **DRAWN))


def test_what_is_drawn_is_not_merged():
    """Sums by the number of their row, and weighted labels; in groups these are merged."""
    one, other = (ComparisonStream("xy", task="regression", **DRAWN) for _ in range(2))
    other.update([1.0, 2.0], {"x": [1.0, 2.5], "y": [1.5, 2.0]})
    with pytest.raises(ValueError, match="mse, mae, rmse, r2: summed or drawn as rows come in"):
        one.merge(other)
    said = {"x": [1, 0], "y": [0, 0]}
    weighted, grouped, plain = (ComparisonStream("xy", task="binary") for _ in range(3))
    weighted.update([1, 0], said, weight=[0.5, 1.0])
    with pytest.raises(ValueError, match="accuracy, precision, recall, f1: summed or drawn as"):
        plain.merge(weighted)
    grouped.update([1, 0], said, weight=[0.5, 1.0], groups=["a", "b"])
    plain.update([1, 0], said)
    with pytest.raises(ValueError, match="these rows have weights; the rows before have no weight"):
        plain.merge(grouped)
    assert plain.rows == 2
    numbered = ComparisonStream("xy", task="binary")
    numbered.update([1, 0], said, weight=[0.5, 1.0], groups=[3, 4])
    with pytest.raises(TypeError, match="groups are of two kinds: the rows before have int, this"):
        numbered.merge(grouped)


def test_weights_and_groups_come_with_every_batch_or_with_none():
    """Ids of one kind; what is refused changes nothing, and rows of weight 0 are none."""
    said = {"x": [1, 0], "y": [0, 0]}
    plain, grouped = (ComparisonStream("xy", task="classification", **DRAWN) for _ in range(2))
    plain.update([1, 0], said)
    with pytest.raises(ValueError, match="these rows have weights; the rows before have no weight"):
        plain.update([1, 0], said, weight=[1.0, 0.5])
    with pytest.raises(ValueError, match="these rows have groups; the rows before have no groups"):
        plain.update([1, 0], said, groups=["a", "b"])
    assert plain.rows == 2
    with pytest.raises(ValueError, match=r"groups must have shape \(2,\), one entry a row; found"):
        grouped.update([1, 0], said, groups=["a"])
    grouped.update([1, 0], said, weight=[0.0, 0.5], groups=["a", "b"])
    with pytest.raises(TypeError, match="groups are of two kinds: the rows before have str, this"):
        grouped.update([1, 0], said, weight=[1.0, 0.5], groups=[1, 2])
    with pytest.raises(ValueError, match="these rows have no groups; the rows before have groups"):
        grouped.update([1, 0], said, weight=[1.0, 0.5])
    grouped.update([1, 0], said, weight=[0.0, 0.0], groups=["c", "d"])
    assert grouped.rows == 1
    own = ModelEvaluator("multiclass", metrics=["accuracy_score", Longest()])
    with pytest.raises(ValueError, match="longest: metrics of your own take no weight other than"):
        ComparisonStream("xy", task=own).update([1, 0], said, weight=[1.0, 0.5])


class Longest:
    name = "longest"

    def compute(self, y_true, y_pred):
        return max(map(len, y_pred))


def test_distinct_rows_are_kept_once():
    """As a dict counts and weighs them; parts in any order, and without weights beside others."""
    rng = np.random.default_rng(2)
    counts: Counter[Any] = Counter()
    weights: dict[Any, float] = {}
    parts = []
    for several in (1, 50, 400):
        rows = rng.integers(0, 5, (several, 3))
        weight = rng.random(several) if several != 50 else None
        part = JointCounts.of_rows(rows, weight)
        parts.append(part.renumbered(np.array([4, 3, 2, 1, 0]), *2 * [np.arange(5)]))
        own_weight = np.ones(several) if weight is None else weight
        for row, own in zip(rows.tolist(), own_weight, strict=True):
            key = (4 - row[0], *row[1:])
            counts[key] += 1
            weights[key] = weights.get(key, 0.0) + float(own)
    found = joined(parts)
    assert found.weight is not None
    keys = list(map(tuple, found.rows.tolist()))
    assert keys == sorted(counts)
    assert found.counts.tolist() == [counts[key] for key in keys]
    np.testing.assert_allclose(found.weight, [weights[key] for key in keys], rtol=1e-14)
    assert joined([parts[1], parts[1]]).weights is None


def test_groups_are_numbered_as_they_come_and_ordered_by_id():
    groups = GrowingGroups()
    for ids in (["pear", "fig"], ["apple", "fig", "fig"]):
        distinct, codes = groups.read(ids, len(ids))
        numbers = groups.add(distinct)
        assert numbers[codes].tolist() == {2: [1, 0], 3: [2, 0, 0]}[len(ids)]
    assert (groups.in_order().tolist(), groups.places().tolist()) == ([2, 0, 1], [1, 2, 0])


def test_a_refused_batch_changes_nothing():
    """Of one model alone, of other models, of labels of another kind, of scores of a class more."""
    stream = ComparisonStream("xyz", task="classification", **DRAWN)
    stream.update(LABELS, ANSWERS)
    before = stream.result()
    with pytest.raises(ValueError, match="y_true has 2 entries and y_pred has 1"):
        stream.update(["ant", "new"], {"x": ["ant", "ant"], "y": ["ant", "ant"], "z": ["ant"]})
    with pytest.raises(TypeError, match="the rows before have str, this batch has int"):
        stream.update([1], {"x": [1], "y": [1], "z": [1]})
    with pytest.raises(ValueError, match=r"found the models \['x', 'y'\]; the stream is of"):
        stream.update(["ant"], {"x": ["ant"], "y": ["ant"]})
    assert stream.result() == before
    assert before.metrics["accuracy"].pairs[0].test == "McNemar (mid-p)"


def test_classes_are_those_of_all_models():
    """As `compare` has it: one model says a third label, in one row of a later batch."""
    truth, third = [0, 1] * 20, [0, 1] * 19 + [0, 2]
    stream = ComparisonStream(["two", "three"], task="classification", **DRAWN)
    for part in (slice(0, 30), slice(30, 40)):
        stream.update(truth[part], {"two": truth[part], "three": third[part]})
    with pytest.warns(UndefinedMetricWarning, match="three: recall: .*2"):
        recall = stream.result().metrics["recall"].values
    assert recall["two"] == 1.0
    assert recall["three"] == pytest.approx((1 + 19 / 20 + 0) / 3)


def test_metrics_of_your_own_get_all_rows():
    task = ModelEvaluator("multiclass", metrics=["accuracy_score", Longest()])
    stream = ComparisonStream("xy", task=task, **DRAWN)
    for label in ("ant", "parrot"):
        stream.update([label], {"x": [label], "y": ["bee"]})
    assert stream.keeps_rows == ("longest",)
    with pytest.warns(match="longest is not compared: a metric of your own"):
        assert stream.result().metrics["longest"].values == {"x": 6, "y": 3}


def test_scores_of_classes_have_one_order():
    """As `compare` reads them: each model's columns by name."""
    no, yes = 1 - SCORES["x"], SCORES["x"]
    scores = {"x": {0: no, 1: yes}, "y": {1: yes, 0: no}}
    task = ModelEvaluator("binary", metrics=["roc_auc_score"])
    stream = ComparisonStream("xy", task=task, **DRAWN)
    stream.update(BINARY, None, scores=scores)
    found = stream.result()
    assert found == compare(BINARY, None, scores=scores, task=task, **DRAWN)
    assert found.metrics["roc_auc_score"].pairs[0].difference == 0
    with pytest.raises(ValueError, match=r"the columns \[0, 1\] of one model and ndarray of"):
        stream.update(BINARY, None, scores=scores | {"y": yes})


def test_what_needs_all_rows_is_refused():
    stream = ComparisonStream("xy", task="regression", **DRAWN)
    assert stream.resamples_rows == ("mse", "mae", "rmse", "r2")
    with pytest.raises(ValueError, match="interval is 'bca'; mse, mae, rmse, r2: resampled as row"):
        stream.result(interval="bca")
    with pytest.raises(ValueError, match="there are no rows to compare models on"):
        stream.result()
    with pytest.raises(ValueError, match="baseline is 'w'; choose one of: x, y"):
        stream.result(baseline="w")
    with pytest.raises(ValueError, match="expected two models or more"):
        ComparisonStream(["x"], task="regression")
    with pytest.raises(ValueError, match="ndcg_score: needs the query of each row"):
        ComparisonStream("xy", task=ModelEvaluator("ranking", metrics=["ndcg_score"]))
    ignoring = ModelEvaluator("multiclass", metrics=["accuracy_score"], ignore_index=1)
    stream = ComparisonStream("xy", task=ignoring)
    stream.update([1, 1], {"x": [0, 1], "y": [1, 1]})
    with pytest.raises(ValueError, match="all have the label"), pytest.warns():
        stream.result()
    stream.update([0], {"x": [0], "y": [1]})
    assert stream.result().metrics["accuracy_score"].values == {"x": 1.0, "y": 0.0}


@pytest.mark.model
def test_weighted_labels_of_many_classes_are_told_apart():
    """More classes than a table has, which come late: right or not, and the positive class."""
    rng, rows = np.random.default_rng(3), 900
    truth = np.concatenate([rng.integers(0, 9, 300), rng.integers(0, 150, 600)])
    models = {n: np.where(rng.random(rows) < 0.8, truth, rng.integers(0, 150, rows)) for n in "xy"}
    weight = rng.random(rows)
    metrics = [F1Metric(positive_class=3), "accuracy_score"]
    task = ModelEvaluator("multiclass", metrics=metrics)
    stream = ComparisonStream(models, task=task, **DRAWN)
    for part in (slice(0, 300), slice(300, rows)):
        stream.update(truth[part], {n: p[part] for n, p in models.items()}, weight=weight[part])
    whole = compare(truth, models, task=task, weight=weight, **DRAWN)
    assert_alike(whole.to_dict(), stream.result().to_dict())
