"""Weighted rows, nan, slices of groups and rankings by query, evaluated on their eight devices."""

import pathlib
import runpy

import pytest

run = runpy.run_path(str(pathlib.Path(__file__).with_name("test_sharded_compare.py")))["run"]

DONE = 'print("as on the host")'
# Results of both paths; a shard without rows that count, and padding, which hold anything.
BOTH = """
comparing = check

def like(found, expected, tolerance):
    assert found.keys() == expected.keys()
    for name, number in expected.items():
        np.testing.assert_allclose(found[name], number, rtol=tolerance, atol=tolerance)

def parts(one):
    "Of a result, or a slice, what is to be equal and what is to be close."
    exact = [getattr(one, "undefined", None), [(n, i.method) for n, i in one.intervals.items()]]
    return exact, [one.metrics, {n: ends(i) for n, i in one.intervals.items()}]

def check(evaluator, *columns, tolerance=1e-12, **options):
    "What rows give here and there; returns it."
    evaluator = ModelEvaluator(evaluator) if isinstance(evaluator, str) else evaluator
    options["n_resamples"] = 40
    expected = evaluator.evaluate(*columns, **options)
    there = lambda c: put(c) if isinstance(c, np.ndarray) and c.dtype.kind != "U" else c
    moved = {n: each(c, there) for n, c in options.items()}
    with guard():
        found = evaluator.evaluate(*[each(c, put) for c in columns], **moved)
    for name in ("sample_count", "invalid_count", "ignored_count", "task_type", "configuration"):
        assert getattr(found, name) == getattr(expected, name), name
    facts = [dict(result.metadata) for result in (found, expected)]
    close(*(of_one.pop("total_weight", 0.0) for of_one in facts))
    assert facts[0] == facts[1]
    pairs = [(found, expected), *zip(found.slices, expected.slices, strict=True)]
    for one, other in pairs:
        (exact, near), (same, numbers) = parts(one), parts(other)
        assert exact == same
        for mine, theirs in zip(near, numbers, strict=True):
            like(mine, theirs, tolerance)
    for one, other in pairs[1:]:
        assert (one.key, one.rows, one.tests) == (other.key, other.rows, other.tests)
        # Of groups they come from sums, which devices add up in another order.
        in_sums = 1e-12 if "groups" in options else 0
        like(one.p_values, other.p_values, max(tolerance, in_sums))
    for one, other in zip(found.per_class, expected.per_class, strict=True):
        assert (one.label, one.rows, one.predicted) == (other.label, other.rows, other.predicted)
        (exact, near), (same, numbers) = parts(one), parts(other)
        assert exact == same
        for mine, theirs in zip(near, numbers, strict=True):
            like(mine, theirs, tolerance)
    return found

weight[COUNT // 8 : COUNT // 4] = weight[-5:] = 0
mask = weight > 0
pred = guess["old"]

def junk(column, value):
    column = column.copy()
    column[~mask] = value
    return column

wild = [junk(side, np.nan) for side in (values, errors["one"])]
holey = [np.where(np.arange(COUNT) % 7 == at, np.nan, side) for at, side in enumerate(wild)]
day, users = random.integers(5, 8, COUNT), ids % 10
in_groups = {"groups": junk(users, -99), "confidence": 0.9}
days = {"day": ids % 3, "name": np.array(["a", "b"])[ids % 2], ("day", "name"): None}
"""

QUICK = """
put = on(AxisType.Explicit)
squares = ModelEvaluator("regression", metrics=["mean_squared_error"])
given = in_groups | {"weight": weight, "slices": {"day": day}}
found = check(squares, *holey, nan_policy="omit", **given)
assert found.slices[0].intervals and found.slices[0].p_values
assert found.invalid_count == sum(mask & (np.arange(COUNT) % 7 < 2))
for wrong, said in ((-weight, "weight has -"), (weight[:8], "weight has 8 entries")):
    try:
        with guard():
            squares.evaluate(*map(put, errors.values()), weight=put(wrong))
    except ValueError as error:
        assert said in str(error), error
    else:
        raise AssertionError(said)
"""

# Scores by class, of labels far apart; entries to ignore; metrics of one's own.
OTHERS = """
from dataclasses import dataclass
from modelops_jax.evaluation import ComparisonStream
from modelops_jax.metrics import Mean, Metric, RowMean, register_metric

@dataclass(frozen=True)
class Above:
    limit: float

    def __call__(self, y_true, y_pred):
        return (jnp.abs(y_true - y_pred) > self.limit).astype(y_true.dtype)

class Own:
    name = "own"

    def compute(self, y_true, y_pred):
        self.given = y_true, y_pred
        with jax.enable_x64(True):
            return float(jnp.max(jnp.abs(jnp.asarray(y_true) - jnp.asarray(y_pred))))

register_metric("share_above", lambda limit=1.0: Metric("any", (RowMean(Above(limit)),), Mean()),
                inputs="values", higher_is_better=False, low=0, high=1,
                excused={"gradient": "a share of rows is constant between its jumps"})
names = np.array([2**40, 10, 100_000])
far, said_far = junk(names[labels], -2**50), {m: junk(names[own], 7) for m, own in guess.items()}

def by_class(of, order):
    table = 0.1 + random.random((COUNT, 3)) + (names[of][:, None] == names)
    table = junk(table / table.sum(axis=1, keepdims=True), np.nan)
    return {int(names[at]): table[:, at] for at in order}

by_label = {m: by_class(own, order)
            for (m, own), order in zip(guess.items(), ((0, 1, 2), (2, 0, 1), (1, 2, 0)))}
seen = random.random(sets.shape) > 0.2
some = np.where(seen, sets, -1).astype(np.int8)
some_said = {m: np.where(seen, own, 9) for m, own in said.items()}
own = Own()
numbers = ModelEvaluator("regression", metrics=["share_above", own])
"""

QUICK_OTHERS = """
put = on(AxisType.Explicit)
both = ModelEvaluator("multiclass", metrics=["accuracy_score", "top_k_accuracy_score"])
check(both, far, said_far["new"], y_score=by_label["new"], weight=mask)
partly = ModelEvaluator("multilabel", metrics=["accuracy_score"], ignore_index=-1)
check(partly, junk(some, 9), junk(some_said["one"], 99), weight=weight)
accuracy = ModelEvaluator("multiclass", metrics=["accuracy_score"], ignore_index=10)
whole, said_whole = names[labels], {m: names[side] for m, side in guess.items()}
comparing(put, accuracy, whole, said_whole, junk=3, exact=True)
# Batches of a stream are counted there, and give what all rows together do.
stream = ComparisonStream(list(guess), task=accuracy, n_resamples=40)
for half in (0, 1):
    at = slice(half * COUNT // 2, (half + 1) * COUNT // 2)
    with guard():
        stream.update(put(whole[at]), {m: put(side[at]) for m, side in said_whole.items()})
assert stream.result() == compare(whole, said_whole, task=accuracy, n_resamples=40)
check(numbers, values, errors["one"])
assert all(isinstance(side, jax.Array) for side in own.given)
expected = numbers.evaluate(wild[0][mask], wild[1][mask])
assert numbers.evaluate(*map(put, wild), weight=put(mask)).metrics == expected.metrics
assert own.given[0].shape == (mask.sum(),)
for more, said_of_it in (({"weight": weight}, "own: metrics of your own take no weight"),
                         ({"task": partly, "y": sets + 1}, "y_true has 2 in row"),
                         ({"task": partly, "p": sets + 2}, "y_pred has ")):
    columns = (some, some) if "task" in more else (values, values)
    columns = more.pop("y", columns[0]), more.pop("p", columns[1])
    try:
        with guard():
            more.pop("task", numbers).evaluate(*map(put, columns), **each(more, put))
    except ValueError as error:
        assert said_of_it in str(error), error
    else:
        raise AssertionError(said_of_it)
"""

REST_OF_OTHERS = """
put = on(getattr(AxisType, sys.argv[2]))
scored = ModelEvaluator("multiclass", metrics=["accuracy_score", "brier_score_loss"])
scored.add_metric("roc_auc_score", positive_class=10)
partly = ModelEvaluator("multilabel", metrics=["accuracy_score", "f1_score"], ignore_index=-1)
ignoring = ModelEvaluator("multiclass", metrics=["log_loss"], ignore_index=10)
for more in ({"groups": junk(ids, -99)}, {"slices": {"even": ids % 2}},
             in_groups | {"slices": {"day": day}}):
    more |= {"weight": weight, "confidence": 0.9}
    check(scored, far, said_far["new"], y_score=by_label["new"], **more)
    check(partly, junk(some, 9), junk(some_said["one"], 99), **more)
check(ignoring, far, None, y_score=by_label["new"], weight=mask, confidence=0.9)
holes = {label: np.where(np.arange(COUNT) % 9 == 5, np.nan, column)
         for label, column in by_label["new"].items()}
for policy in ("omit", "propagate"):
    check(scored, far, said_far["new"], y_score=holes, weight=weight, nan_policy=policy)
scored = ModelEvaluator("multiclass", metrics=["accuracy_score", "log_loss"])
whole = {m: each(side, lambda c: np.nan_to_num(c, nan=1/3)) for m, side in by_label.items()}
comparing(put, scored, names[labels], {m: names[side] for m, side in guess.items()},
          scores=whole, junk=1/3)
for more in ({}, {"weight": weight + 0.5}):
    comparing(put, partly, some, some_said, junk=9, **more)
some_scores = np.where(seen, random.random(sets.shape), np.nan)
area = ModelEvaluator("multilabel", metrics=["roc_auc_score"], ignore_index=-1)
check(area, some, None, y_score=some_scores, confidence=0.9)
likely = ModelEvaluator("text_generation", metrics=["token_accuracy_score", "perplexity"])
check(likely, sets, said["one"], weight=weight, confidence=0.9, y_score={
    "log_likelihood": junk(-random.random(COUNT), np.nan), "tokens": 1 + ids})
check(numbers, values, errors["one"], confidence=0.9, groups=ids, weight=1.0 * (ids >= 0))
comparing(put, numbers, values, errors, padded=False)
# What is read on the host is read there by all readers.
both = ModelEvaluator("multilabel", metrics=["accuracy_score", "log_loss"])
sliced = {"confidence": 0.9, "slices": {"even": ids % 2}, "n_resamples": 40}
expected = both.evaluate(sets, said["one"], y_score=sets, **sliced)
assert both.evaluate(*map(put, (sets, said["one"])), y_score=put(sets), **sliced) == expected
"""

WEIGHTED = """
put = on(getattr(AxisType, sys.argv[2]))
table = random.random((COUNT, 3))
table = junk(table / table.sum(axis=1, keepdims=True), np.nan)
wide = [junk(side, 2**30) for side in (labels, pred)]
ignoring = ModelEvaluator("multiclass", ignore_index=2)
scored = ModelEvaluator("multiclass", metrics=["log_loss", "top_k_accuracy_score"])
partly = ModelEvaluator("multiclass", metrics=["log_loss"], ignore_index=2)
groups, drawn = junk(ids, -99), {"confidence": 0.9}
check("multiclass", *wide, weight=weight, slices=days)
check("regression", *wild, weight=weight, interval="bca", **drawn)
for own, options in ((weight, {}), (weight, drawn | {"groups": groups}), (weight, drawn | {
        "slices": {"even": ids % 2}}), (mask, drawn)):
    options = {"weight": own, **options}
    check("multiclass", *wide, **options)
    check(ignoring, labels, pred, **options)
    check("regression", *wild, **options)
    check("multilabel", junk(sets, 7), junk(said["one"], 7), **options)
    check(scored, *wide, y_score=table, **options)
    check(partly, labels, pred, y_score=table, **options)
    check("ranking", (wide[0] == 1).astype(np.int32), wild[1], **options)
ids_of_text = np.array([f"user {i}" for i in ids])
check(ignoring, labels, pred, groups=ids_of_text, **drawn)
check("regression", *[side.astype(np.float32) for side in wild], weight=weight, tolerance=1e-6,
      slices=days, **drawn)
"""

GROUPED = """
put = on(getattr(AxisType, sys.argv[2]))
wide = [junk(side, 2**30) for side in (labels, pred)]
table = random.random((COUNT, 3))
table = junk(table / table.sum(axis=1, keepdims=True), np.nan)
# Groups that are divided, whole ones, and both crossed; a slice of ignored rows alone.
crossed = {"day": day, "name": np.array(["a", "b"])[users % 2], ("day", "name"): None}
given = in_groups | {"slices": {"day": day}}
ignoring = ModelEvaluator("multiclass", ignore_index=2)
check("multiclass", labels, pred, slices=crossed, groups=users, confidence=0.9)
found = check("multiclass", *wide, **in_groups, slices=crossed, weight=mask, tolerance=0)
assert found.slices[0].p_values["accuracy"] <= 1 and len(found.slices) == 11
found = check("multiclass", *wide, **in_groups, slices=crossed, weight=weight, interval="bca")
gone = np.where(day == 7, 2, labels).astype(np.int32)
check(ignoring, gone, pred, **given, weight=weight)
texts = np.array([f"user {i}" for i in users])
check(ignoring, gone, pred, slices={"day": day}, groups=texts, confidence=0.9)
check("regression", *wild, **given, weight=weight, interval="bca")
"""

GROUPED_REST = """
check("regression", *wild, **given, weight=mask)
check("multilabel", junk(sets, 7), junk(said["one"], 7), **given, weight=weight, interval="bca")
scored = ModelEvaluator("multiclass", metrics=["log_loss", "top_k_accuracy_score"], ignore_index=2)
check(scored, labels, pred, y_score=table, **given, weight=weight)
beside = ModelEvaluator("binary").add_metric("roc_auc_score")
check(beside, labels > 1, pred > 1, y_score=wild[1], **given, weight=mask)
kept = ModelEvaluator("regression", metrics=["median_absolute_error", "max_error"])
check(kept, *wild, **given, weight=weight, interval="bca")
both = ModelEvaluator("ranking").add_metric("ndcg_score")
check(both, labels > 1, wild[1], **given, weight=mask)
outputs = [np.stack([side, side[::-1] ** 2], axis=1) for side in (values, errors["one"])]
pair = ModelEvaluator("regression", metrics=["mean_squared_error", "r2_score"])
check(pair, *outputs, slices={"day": day}, groups=users, confidence=0.9)
tokens = random.integers(0, 4, (2, COUNT, 5)).astype(np.int32)
tokens = ModelEvaluator("text_generation", metrics=["token_accuracy_score"]), *tokens
check(*tokens, **given, weight=weight)
narrow = [side.astype(np.float32) for side in wild]
check("regression", *narrow, **given, weight=weight, tolerance=1e-6)
check("regression", *holey, **given, weight=weight, nan_policy="omit")
"""

HOLES = """
put = on(getattr(AxisType, sys.argv[2]))
table = random.random((COUNT, 3))
table /= table.sum(axis=1, keepdims=True)
table[5::9, 1] = np.nan
both = ModelEvaluator("multiclass").add_metric("log_loss")
for own in (None, weight):
    gone = mask if own is not None else np.ones(COUNT, bool)
    sides = holey if own is not None else [np.where(mask, side, 0) for side in holey]
    for more in ({}, {"confidence": 0.9, "groups": ids}, {"confidence": 0.9, "slices": days}):
        check("regression", *sides, weight=own, nan_policy="omit", **more)
        found = check(both, labels, pred, y_score=table, weight=own, nan_policy="omit", **more)
        assert found.invalid_count == np.sum(gone[5::9])
    check("regression", *sides, weight=own, nan_policy="propagate", confidence=0.9)
    found = check(both, labels, pred, y_score=table, weight=own, nan_policy="propagate")
    assert np.isnan(found.metrics["log_loss"]) and found.metrics["accuracy"] > 0.5
# Nothing is left of them.
for none in ({"weight": np.zeros(COUNT)}, {"nan_policy": "omit"}):
    check("regression", *(values * np.nan, values), confidence=0.9, groups=ids, **none)
"""

RANKED = """
gain = random.integers(0, 3, COUNT).astype(np.int32) * (ids != 7)  # one query has nothing relevant
score = np.round(random.normal(size=COUNT), 1)
of_query = (0.5 + random.random(300))[ids]
texts = np.array([f"query {i}" for i in ids])
ranked = ModelEvaluator("ranking", metrics=["ndcg_score"])
models = {"one": score, "two": np.round(score + gain + random.normal(size=COUNT), 1)}
"""

QUICK_RANKED = """
put = on(AxisType.Explicit)
there = {"weight": of_query * mask, "groups": junk(ids, -9)}
found = check(ranked, junk(gain, -3), junk(score, np.nan), confidence=0.9, **there)
assert found.metadata["queries"] == 300 and found.undefined == {"ndcg_score": 1}
"""

RANKINGS = """
put = on(getattr(AxisType, sys.argv[2]))
ranked.add_metric("mean_reciprocal_rank")
thirds = {"third": ids % 3}
for own in (None, mask, of_query * mask):
    given = gain, score, ids
    if own is not None:
        given = junk(gain, -3), junk(score, np.nan), junk(ids, -9)
    for more in ({}, {"interval": "bca", "slices": thirds}):
        for groups in (given[2], texts):
            check(ranked, *given[:2], groups=groups, weight=own, confidence=0.9, **more)
holes = np.where(np.arange(COUNT) % 7 == 3, np.nan, score)
check(ranked, gain, holes, groups=ids, nan_policy="omit", confidence=0.9)
check(ranked, gain, holes, groups=ids, nan_policy="propagate", confidence=0.9)
check(ranked, gain * 0, score, groups=ids, confidence=0.9)
both = ModelEvaluator("ranking").add_metric("ndcg_score")
check(both, (gain > 0).astype(np.int32), score, groups=ids, confidence=0.9)
comparing(put, ranked, gain, models, groups=ids, junk=np.nan)
comparing(put, ranked, gain, models, groups=texts, weight=of_query, junk=np.nan)
comparing(put, ranked, gain, models, groups=ids, interval="bca", padded=False)
ignoring = ModelEvaluator("multiclass", ignore_index=2)
for more in ({"weight": weight + 0.5}, {"groups": ids},
             {"groups": texts, "weight": weight + 0.5, "interval": "bca"}):
    comparing(put, ignoring, labels, guess, junk=-7, **more)
for evaluator, columns, wrong, said in (
    (ranked, (gain - 1, score), {"groups": ids}, "y_true: "),
    (ranked, (gain, score), {"groups": ids, "weight": 1 + weight}, "different weights"),
    (ranked, (gain, score), {}, "groups is missing"),
):
    try:
        with guard():
            evaluator.evaluate(*map(put, columns), **{n: put(c) for n, c in wrong.items()})
    except ValueError as error:
        assert said in str(error), error
    else:
        raise AssertionError(said)
"""


def test_rows_stay_that_weigh_nothing_hold_nan_or_are_ranked():
    """Values, intervals, slices and counts are those of the host, and so are mistakes."""
    cases = RANKED + OTHERS + QUICK + QUICK_OTHERS + QUICK_RANKED
    assert run(BOTH + cases + DONE) == "as on the host"


@pytest.mark.model
@pytest.mark.parametrize(
    ("cases", "axes"),
    [
        (WEIGHTED, "Explicit"),
        (GROUPED, "Auto"),
        (GROUPED + GROUPED_REST, "Explicit"),
        (HOLES, "Auto"),
        (RANKED + RANKINGS, "Explicit"),
        (OTHERS + REST_OF_OTHERS, "Auto"),
    ],
    ids=["weighted", "slices", "all slices", "holes", "rankings", "others"],
)
def test_weighted_evaluations_read_no_rows(cases: str, axes: str):
    """Labels, numbers, label sets, scores and rankings; groups, slices and labels to ignore."""
    assert run(BOTH + cases + DONE, axes) == "as on the host"
