"""Weighted rows, rows that hold nan, and rankings by query, evaluated on their eight devices."""

import pathlib
import runpy

import pytest

run = runpy.run_path(str(pathlib.Path(__file__).with_name("test_sharded_compare.py")))["run"]

# Results of both paths; a shard without rows that count, and padding, which hold anything.
BOTH = """
comparing = check

def like(found, expected, tolerance):
    assert found.keys() == expected.keys()
    for name, number in expected.items():
        np.testing.assert_allclose(found[name], number, rtol=tolerance, atol=tolerance)

def parts(one):
    "Of a result, or a slice, what is to be equal and what is to be close."
    exact = [one.undefined, [(n, i.method) for n, i in one.intervals.items()]]
    return exact, [one.metrics, {n: ends(i) for n, i in one.intervals.items()}]

def check(evaluator, *columns, tolerance=1e-12, **options):
    "What rows give here and there; returns it."
    evaluator = ModelEvaluator(evaluator) if isinstance(evaluator, str) else evaluator
    options["n_resamples"] = 40
    expected = evaluator.evaluate(*columns, **options)
    there = lambda c: put(c) if isinstance(c, np.ndarray) and c.dtype.kind != "U" else c
    moved = {n: each(c, there) if n == "slices" else there(c) for n, c in options.items()}
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
        like(one.p_values, other.p_values, tolerance)
    for one, other in zip(found.per_class, expected.per_class, strict=True):
        assert (one.label, one.rows, one.predicted) == (other.label, other.rows, other.predicted)
        like(one.metrics, other.metrics, tolerance)
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
days = {"day": ids % 3, "name": np.array(["a", "b"])[ids % 2], ("day", "name"): None}
"""

QUICK = """
put = on(AxisType.Explicit)
squares = ModelEvaluator("regression", metrics=["mean_squared_error"])
found = check(squares, *holey, weight=weight, nan_policy="omit", confidence=0.9)
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
print("as on the host")
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
print("as on the host")
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
print("as on the host")
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
print("as on the host")
"""


def test_rows_stay_that_weigh_nothing_hold_nan_or_are_ranked():
    """Values, intervals, slices and counts are those of the host, and so are mistakes."""
    assert run(BOTH + RANKED + QUICK + QUICK_RANKED) == "as on the host"


@pytest.mark.model
@pytest.mark.parametrize(
    ("cases", "axes"),
    [(WEIGHTED, "Explicit"), (HOLES, "Auto"), (RANKED + RANKINGS, "Explicit")],
    ids=["weighted", "holes", "rankings"],
)
def test_weighted_evaluations_read_no_rows(cases: str, axes: str):
    """Labels, numbers, label sets, scores and rankings; groups, slices and labels to ignore."""
    assert run(BOTH + cases, axes) == "as on the host"
