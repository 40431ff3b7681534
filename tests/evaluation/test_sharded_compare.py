"""`compare` of rows that are sharded over eight simulated devices, of which none is fetched."""

import os
import pathlib
import subprocess
import sys

import pytest

# A guard, rows of which the last are padding, and a comparison of both paths.
START = """
import functools, runpy, sys, warnings
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P

from modelops_jax.evaluation import ModelEvaluator, compare
from modelops_jax.metrics import metric, paired_differences

warnings.simplefilter("ignore")
COUNT = 8 * 2048
REAL = COUNT - 5
rows_stay = runpy.run_path(sys.argv[1])
guard = functools.partial(rows_stay["guard"], COUNT // 8)

def on(kind):
    mesh = jax.make_mesh((8,), ("rows",), axis_types=(kind,))
    placed = NamedSharding(mesh, P("rows"))
    def put(column):
        with jax.enable_x64(True):
            return jax.device_put(column, placed)
    return put

put = on(AxisType.Auto)
rows_stay["check_guard"](put(np.zeros(COUNT)), COUNT // 8)

def each(columns, change):
    if isinstance(columns, dict):
        return {name: each(column, change) for name, column in columns.items()}
    return None if columns is None else change(columns)

def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)

def check(put, task, *columns, junk=0, exact=False, padded=True, **options):
    "The same of rows here and there; what fills the devices is `junk` of weight 0."
    given = {name: options.pop(name, None) for name in ("scores", "weight", "groups")}
    real = REAL if padded else COUNT
    def there(column):
        column = column.copy()
        column[real:] = junk if column.dtype.kind == "f" else np.nan_to_num(junk)
        return put(column)
    options["n_resamples"] = 100
    expected = compare(*(each(c, lambda c: c[:real]) for c in columns), task=task,
                       **{n: each(c, lambda c: c[:real]) for n, c in given.items()}, **options)
    weight = given.pop("weight")
    if padded:
        weight = np.ones(COUNT, bool) if weight is None else weight.copy()
        weight[real:] = 0
    texts = given["groups"] is not None and given["groups"].dtype.kind == "U"
    given = {n: c if texts and n == "groups" else each(c, there) for n, c in given.items()}
    on_devices = [each(column, there) for column in columns]
    with guard():
        found = compare(*on_devices, task=task, weight=None if weight is None else put(weight),
                        **given, **options)
    if exact:
        assert found == expected
        return
    assert found.sample_count == expected.sample_count == real
    assert found.metrics.keys() == expected.metrics.keys()
    for name, other in expected.metrics.items():
        one = found.metrics[name]
        assert list(one.values) == list(other.values) and one.letters == other.letters
        close(list(one.values.values()), list(other.values.values()))
        for model, interval in other.intervals.items():
            assert one.intervals[model].method == interval.method
            close(ends(one.intervals[model]), ends(interval))
        assert len(one.pairs) == len(other.pairs)
        for mine, theirs in zip(one.pairs, other.pairs, strict=True):
            assert (mine.first, mine.second, mine.test) == (
                theirs.first, theirs.second, theirs.test)
            assert mine.interval.method == theirs.interval.method
            numbers = [(p.difference, p.p_value, p.adjusted_p_value, *ends(p.interval))
                       for p in (mine, theirs)]
            close(*numbers)

def ends(interval):
    return interval.low, interval.high

random = np.random.default_rng(0)

def told(labels, rates):
    "By model labels that are right at least so often."
    return {model: np.where(random.random(labels.shape) < rate, labels,
                            random.integers(0, labels.max() + 1, labels.shape)).astype(np.int32)
            for model, rate in rates.items()}

labels = random.integers(0, 3, COUNT).astype(np.int32)
guess = told(labels, {"old": 0.6, "bad": 0.58, "new": 0.8})
weight, ids = 0.5 + random.random(COUNT), random.integers(0, 300, COUNT).astype(np.int32)
sets = random.integers(0, 2, (COUNT, 3)).astype(np.int32)
said = told(sets, {"one": 0.7, "two": 0.72})
values = random.normal(size=COUNT)
errors = {"one": values + random.normal(size=COUNT), "two": values + random.normal(size=COUNT)}
"""

LABELS = """
for kind in (AxisType.Auto, AxisType.Explicit):
    put = on(kind)
    # A label far from all others is none where its row does not count.
    check(put, "multiclass", labels, guess, junk=2**30, exact=True)
    check(put, "binary", labels > 1, {m: own > 1 for m, own in guess.items()},
          baseline="old", padded=False, interval="bca", exact=True)
    ignored = ModelEvaluator("multiclass", ignore_index=2)
    check(put, ignored, labels, guess, junk=-7, exact=True)
# More combinations than a table has cells are found by sorting.
many = 1000 * labels
check(put, "multiclass", many, {m: 1000 * own for m, own in guess.items()}, exact=True)
check(put, "regression", values, errors, junk=np.nan)
# Rows that areas need are exchanged between the devices, and areas alone are fetched.
area = ModelEvaluator("binary", metrics=["roc_auc_score"])
risks = {model: np.round(own - labels, 1) for model, own in errors.items()}
check(put, area, (labels > 1).astype(np.int32), None, scores=risks, junk=np.nan)
# A label of more than 32 bits is no other one.
far, near = 2**40 + labels.astype(np.int64), 2**40 + guess["old"].astype(np.int64)
evaluate = ModelEvaluator("multiclass").evaluate
with guard():
    found = evaluate(put(far), put(near))
assert found == evaluate(far, near)
f1, mask = {"f1": metric("f1_score", average="macro", num_classes=3)}, labels < 2
expected = paired_differences(f1, labels, guess, weight=mask, n_resamples=50)
with guard():
    there = {model: put(own) for model, own in guess.items()}
    found = paired_differences(f1, put(labels), there, weight=put(mask), n_resamples=50)
assert found == expected
"""

MISTAKES = """
# The first wrong weight is named by its place among all rows.
negative, tiny, none = weight.copy(), weight.copy(), np.zeros(COUNT)
negative[[700, 5000]], tiny[4999] = -1, 1e-200
there = put(labels), {model: put(own) for model, own in guess.items()}
for wrong, said_of_it in (
    ({"weight": negative}, "weight has -1.0 at index 700 (2 such entries in all)"),
    ({"weight": tiny}, "weight has 1e-200 at index 4999 (1 such entries in all)"),
    ({"weight": none}, "there are no rows to compare"),
    ({"weight": weight[:8]}, "weight has 8 entries"),
    ({"groups": ids[:8]}, "groups has 8 entries"),
):
    for place in (put, lambda column: column):
        try:
            with guard():
                compare(*there, task="multiclass", **{n: place(c) for n, c in wrong.items()})
        except ValueError as error:
            # Of columns of two lengths that lie here the shapes are told.
            words = (said_of_it, "shape") if "8 entries" in said_of_it else (said_of_it,)
            assert any(word in str(error) for word in words), error
        else:
            raise AssertionError(wrong)
other = jax.make_mesh((4, 2), ("a", "b"))
elsewhere = jax.device_put(guess["new"], NamedSharding(other, P("a")))
try:
    compare(there[0], there[1] | {"new": elsewhere}, task="multiclass")
except ValueError as error:
    assert "lie on devices in different ways" in str(error)
else:
    raise AssertionError("two layouts")
print("as on the host")
"""


REST = """
put = on(getattr(AxisType, sys.argv[2]))
for more in ({"weight": weight}, {"weight": weight, "interval": "bca"}, {"groups": ids},
             {"groups": np.array([f"user {i}" for i in ids]), "weight": weight}):
    check(put, "multiclass", labels, guess, junk=-7, **more)
    check(put, "multilabel", sets, said, junk=7, **more)
    check(put, "regression", values, errors, junk=np.nan, **more)
pairs = np.stack([values, -values], axis=1)
wide = {m: pairs + random.normal(size=pairs.shape) for m in errors}
evaluator = ModelEvaluator("regression").add_metric("max_error")
for more in ({}, {"weight": weight, "padded": False}):
    check(put, evaluator, values, errors, junk=np.nan, **more)
    check(put, "multilabel", sets, said, junk=7, **more)
    check(put, "regression", pairs, wide, junk=np.nan, **more)
scores = random.random((3, COUNT, 3))
scores /= scores.sum(axis=2, keepdims=True)
probabilities = dict(zip(guess, scores, strict=True))
evaluator = ModelEvaluator("multiclass").add_metric("log_loss")
evaluator.add_metric("top_k_accuracy_score", k=2)
for more in ({}, {"weight": weight}):
    check(put, evaluator, labels, guess, scores=probabilities, junk=1, **more)
# All devices have the rows that medians and ranks need, and values alone are fetched.
kept = ModelEvaluator("regression", metrics=["median_absolute_error", "spearman_corrcoef"])
check(put, kept, values, errors, junk=np.nan)
tokens = ModelEvaluator("text_generation", metrics=["token_accuracy_score"])
check(put, tokens, sets, said, junk=9)
print("as on the host")
"""


def run(program: str, *arguments: str) -> str:
    """What a program says that has eight devices."""
    rows_stay = str(pathlib.Path(__file__).parents[1] / "rows_stay.py")
    done = subprocess.run(
        [sys.executable, "-c", START + program, rows_stay, *arguments],
        env=os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def test_models_are_compared_where_their_rows_lie():
    """Labels to the last bit, of both kinds of axes, beside padding; numbers; and mistakes."""
    assert run(LABELS + MISTAKES) == "as on the host"


@pytest.mark.model
@pytest.mark.parametrize("axes", ["Auto", "Explicit"])
def test_weights_groups_and_scores_are_compared_where_they_lie(axes: str):
    """Values, intervals, differences and p-values are those of the host, to 1e-12."""
    assert run(REST, axes) == "as on the host"
