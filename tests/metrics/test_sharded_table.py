"""Rows sharded over eight simulated devices stay there, for every metric of the table."""

import os
import pathlib
import subprocess
import sys

import pytest

from modelops_jax.metrics import METRICS

# What every program below has: the cases by the rows they take, a mesh, and a guard.
START = """
import contextlib, functools, pathlib, re, runpy, sys
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import NamedSharding, PartitionSpec as P

from modelops_jax.metrics import METRICS, MetricStream, compute, compute_slices, row_layout
from modelops_jax.metrics._compute import statistics_of
from modelops_jax.metrics._sharded import counting_program

given = runpy.run_path(sys.argv[1])
# As it comes: of explicit axes. `test_sharded_rows` has those whose shardings JAX derives.
mesh = jax.make_mesh((8,), ("rows",))
placed = NamedSharding(mesh, P("rows"))
COUNT, GRADES = 8 * int(sys.argv[2]), given["GRADES"]

rows_stay = runpy.run_path(str(pathlib.Path(sys.argv[1]).parents[1] / "rows_stay.py"))
guard = functools.partial(rows_stay["guard"], COUNT // 8)

def put(*columns):
    with jax.enable_x64(True):
        return [None if c is None else jax.device_put(c, placed) for c in columns]

rows_stay["check_guard"](put(np.zeros(COUNT))[0], COUNT // 8)

def close(found, expected):
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)

# Of cases that compile nearly the same, with the slow tests.
SLOW = {"precision_at_k", "recall_at_k", "hit_rate_at_k", "dcg_score", "mean_reciprocal_rank",
        "mean_average_precision"}

def keeps(case):
    return any(statistic.keeps_rows for statistic in case.metric.statistics)

def sets(dtype=np.float32):
    "Cases that can share a pass, with rows for it."
    found = {}
    for case in given["CASES"]:
        inputs, config = METRICS[case.name].inputs, case.config
        orders = case.orders if inputs == "overlaps" else None
        many = inputs == "scores" and "num_classes" in config
        key = (inputs, orders, many, *map(config.get, ("num_labels", "num_outputs", "from_logits")))
        found.setdefault(key, []).append(case)
    for cases in found.values():
        true, pred = cases[0].rows(COUNT, dtype=dtype)
        weight = np.random.default_rng(6).random(COUNT).astype(dtype)
        weight[: COUNT // 8] = 0  # a device with nothing in it
        groups = None
        if METRICS[cases[0].name].inputs == "groups":
            weight = cases[0].weight(true, weight)
            true, groups = true % GRADES, true // GRADES
        yield cases, true, pred, weight, groups
"""

KEPT = """
quick = sys.argv[3] == "quick"
for cases, *columns in sets():
    metrics = {case.id: case.metric for case in cases if keeps(case)
               if not quick or case.name not in SLOW and not case.config}
    if not metrics:
        continue
    true, pred, weight, groups = columns
    mask = weight > 0
    t, p, w, g = on_devices = put(true, pred, mask, groups)
    expected = compute(metrics, true, pred, weight=mask, groups=groups)
    stream = MetricStream(metrics)
    with guard():
        reports = [compute(metrics, t, p, weight=w, groups=g)]
        if not quick:
            for half in (w, ~w):
                stream.update(t, p, weight=w & half, groups=g)
            reports.append(stream.report())
    for found in reports:
        assert found.rows == expected.rows and found.undefined == expected.undefined
        for name in metrics:
            np.testing.assert_allclose(
                found.values[name], expected.values[name], rtol=1e-12, atol=1e-12)
print("as on the host")
"""


TABLE = """
turn, dtype = int(sys.argv[3]), np.dtype(sys.argv[4])
tolerance = {"float32": 1e-6, "float64": 1e-12}[dtype.name]
for at, (cases, true, pred, weight, groups) in enumerate(sets(dtype)):
    metrics = {case.id: case.metric for case in cases}
    weight = weight if (at + turn) % 2 else weight > 0
    t, p, w, g = put(true, pred, weight, groups)
    expected = compute(metrics, true, pred, weight=weight, groups=groups)
    with guard():
        found = compute(metrics, t, p, weight=w, groups=g)
    assert found.rows == expected.rows and found.undefined == expected.undefined
    for name in metrics:
        np.testing.assert_allclose(
            found.values[name], expected.values[name], rtol=tolerance, atol=tolerance)
    # What the devices exchange are states, however many the rows.
    with jax.enable_x64(True):
        def largest(case):
            "Numbers that devices exchange at most; where these are many they tell nothing."
            leaves = jax.tree.leaves(case.metric.identity(weighted=weight.dtype != bool))
            return 8 * max((leaf.size for leaf in leaves), default=0)
        local = [case for case in cases if "exchange" not in METRICS[case.name].excused]
        local = [case for case in local if largest(case) < COUNT]
        if not local:
            continue
        statistics = statistics_of({case.id: case.metric for case in local})
        none = [s.identity(weighted=weight.dtype != bool) for s in statistics]
        most = 8 * max((leaf.size for leaf in jax.tree.leaves(none)), default=0)
        program = counting_program(statistics, row_layout(t), dtype)
        text = program.lower(t, p, w, None, g).compile().as_text()
    exchanges = [line for line in text.splitlines()
                 if re.search(r" (all-|collective-|reduce-scatter)[a-z-]*\\(", line)]
    assert exchanges
    for line in exchanges:
        assert " all-reduce" in line, line
        for shape in re.findall(r"[a-z]+[0-9]+\\[([0-9,]*)\\]", line.split(" all-reduce")[0]):
            size = np.prod([int(n) for n in shape.split(",") if n], initial=1)
            assert size <= most < COUNT, (line, most)
print("as on the host")
"""

SLICES = """
metrics = {name: given["metric"](name) for name in (
    "mean_squared_error", "r2_score", "max_error", "median_absolute_error", "spearman_corrcoef")}
random = np.random.default_rng(0)
true, pred = random.normal(size=(2, COUNT)).astype(np.float32)
weight, ids = random.random(COUNT).astype(np.float32), random.integers(0, 3, COUNT)
weight[: COUNT // 8] = 0
t, p, w, i = put(true, pred, weight, ids.astype(np.int32))
expected = compute_slices(metrics, true, pred, {"a": ids}, weight=weight).slices["a"]
with guard():
    found = [compute_slices(metrics, t, p, {"a": a}, weight=w).slices["a"] for a in (ids, i)]
for parts in found:
    for part, other in zip(parts, expected, strict=True):
        assert part.rows == other.rows
        for name in metrics:
            close(part.values[name], other.values[name])

def refused(metrics, *columns, weight=None, groups=None):
    try:
        with guard():
            compute(metrics, *columns, weight=weight, groups=groups)
    except ValueError as error:
        return str(error)
    raise AssertionError("nothing was refused")

# Copies: what was put on the devices may lie in the same memory.
true, weight = true.copy(), weight.copy()
true[-7], weight[COUNT // 2] = np.nan, -1
nan, negative = put(true, weight)
for name in ("mean_squared_error", "median_absolute_error"):
    one = {name: metrics[name]}
    assert refused(one, nan, p, weight=w).endswith(f"the first at index {COUNT - 7:,}")
    assert refused(one, t, p, weight=negative).endswith(f"the first at index {COUNT // 2:,}")
ndcg = {"ndcg": given["metric"]("ndcg_score")}
message = refused(ndcg, put(abs(pred))[0], p, weight=w, groups=i)
assert "groups whose rows have different weights" in message
print("as on the host")
"""

INTERVALS = """
from modelops_jax.metrics import confidence_intervals, metric

random = np.random.default_rng(0)
columns = [*random.normal(size=(2, COUNT)).astype(np.float32), random.random(COUNT)]
labels, ids = random.integers(0, 3, (2, COUNT)).astype(np.int32), random.integers(0, 300, COUNT)
columns[2] = np.where(np.arange(COUNT) < COUNT // 8, 0, columns[2]).astype(np.float32)
true, pred, weight, own_labels, other_labels, own_ids = put(*columns, *labels, ids)
sums = {name: metric(name) for name in ("mean_squared_error", "r2_score")}
f1 = {"f1": metric("f1_score", average="macro", num_classes=3)}

def check(metrics, columns, placed, *, host=None, method="percentile", **options):
    given = {"method": method, "n_resamples": 100}
    expected = confidence_intervals(metrics, *columns, **(host or options), **given)
    with guard():
        found = confidence_intervals(metrics, *placed, **options, **given)
    for name in metrics:
        one, other = found[name], expected[name]
        assert one.method == other.method
        # The same draws for the same row, wherever it lies.
        close([one.low, one.high], [other.low, other.high])

numbers, codes = (columns[:2], (true, pred)), (labels, (own_labels, other_labels))
check(sums, *numbers, weight=weight, host={"weight": columns[2]})
check(sums, *numbers, weight=weight, host={"weight": columns[2]}, method="bca")
check(sums, *numbers, groups=ids)
check(sums, *numbers, groups=own_ids, host={"groups": ids}, method="bca")
check(f1, *codes)
check(f1, *codes, groups=own_ids, host={"groups": ids})
kept = {"median": metric("median_absolute_error")}
check(kept, *numbers, weight=weight, host={"weight": columns[2]}, method="bca")
check(kept, *numbers, groups=own_ids, host={"groups": ids})
print("as on the host")
"""

EVALUATORS = """
import warnings
from modelops_jax.evaluation import ModelEvaluator

warnings.simplefilter("ignore")
random = np.random.default_rng(0)
labels = random.integers(0, 3, (2, COUNT)).astype(np.int32)
sets = random.integers(0, 2, (2, COUNT, 4)).astype(np.int32)
values = random.normal(size=(2, COUNT)).astype(np.float32)
table = random.random((COUNT, 3)).astype(np.float32)
table /= table.sum(axis=1, keepdims=True)
positive = labels[0] == 1
ids = random.integers(0, 200, COUNT)
slices = {"even": np.arange(COUNT) % 2}

def like(found, expected):
    assert found.keys() == expected.keys()
    for name, number in expected.items():
        close(found[name], number)

def ends(intervals):
    return {name: (i.low, i.high) for name, i in intervals.items()}

def check(evaluator, *columns, draws=True, **options):
    "A list in `columns` or `options` is put on the devices."
    host = [np.asarray(c) for c in columns]
    placed = put(*host)
    of_host = {k: v for k, v in options.items()}
    if "y_score" in options:
        options["y_score"] = put(options["y_score"])[0]
    with guard():
        found = evaluator.evaluate(*placed, **options)
    expected = evaluator.evaluate(*host, **of_host)
    assert found.sample_count == expected.sample_count
    assert found.undefined == expected.undefined and found.per_class == expected.per_class
    like(found.metrics, expected.metrics)
    assert ends(found.intervals).keys() == ends(expected.intervals).keys()
    if draws:
        like(ends(found.intervals), ends(expected.intervals))
    assert len(found.slices) == len(expected.slices)
    for one, other in zip(found.slices, expected.slices, strict=True):
        assert (one.key, one.rows, one.undefined) == (other.key, other.rows, other.undefined)
        like(one.metrics, other.metrics)
        assert one.intervals.keys() == other.intervals.keys()
    return found

every = {"confidence": 0.9, "slices": slices}
for ignored in (None, 2):
    check(ModelEvaluator("multiclass", ignore_index=ignored), *labels, **every)
check(ModelEvaluator("multiclass"), *labels, confidence=0.9, groups=ids)
check(ModelEvaluator("multilabel"), *sets, **every)
check(ModelEvaluator("regression"), *values, **every)
check(ModelEvaluator("regression"), *values, confidence=0.9, groups=ids)
scored = ModelEvaluator("multiclass", metrics=["log_loss", "top_k_accuracy_score"])
check(scored, *labels, y_score=table, **every)
scored = ModelEvaluator("multiclass", metrics=["log_loss"], ignore_index=2)
check(scored, *labels, y_score=table)
scored = ModelEvaluator("binary").add_metric("brier_score_loss")
check(scored, positive, labels[1] == 1, y_score=table[:, 1], **every)
check(ModelEvaluator("ranking"), positive.astype(np.int32), values[0], confidence=0.9)
tokens = ModelEvaluator("text_generation", metrics=["token_accuracy_score"])
check(tokens, *sets)
try:
    with guard():
        ModelEvaluator("multilabel").evaluate(*put(sets[0] * 2, sets[1]))
except ValueError as error:
    first = np.argwhere(sets[0] == 1)[0]
    assert f"y_true has 2 in row {first[0]}, label {first[1]}" in str(error)
else:
    raise AssertionError("2 is no indicator")
print("as on the host")
"""


def run(program: str, *arguments: str) -> str:
    """What a program says that has eight devices."""
    conftest = str(pathlib.Path(__file__).with_name("conftest.py"))
    done = subprocess.run(
        [sys.executable, "-c", START + program, conftest, *arguments],
        env=os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


@pytest.mark.parametrize("cases", ["quick", pytest.param("all", marks=pytest.mark.model)])
def test_rows_that_are_kept_stay_on_their_devices(cases: str):
    """Ranks, medians and rankings by query: the rows of all are exchanged, and none fetched.

    metrax's Spearman raised TypeError where two devices were reduced.
    """
    assert run(KEPT, "128", cases) == "as on the host"


# A turn compiles for a minute of the processor; the other gives a mask to who had weights.
@pytest.mark.model
@pytest.mark.parametrize(("turn", "dtype"), [(0, "float32"), (1, "float32"), (0, "float64")])
def test_no_metric_fetches_rows_and_devices_exchange_states(turn: int, dtype: str):
    """Of the whole table; metrics whose devices exchange rows have an excuse that says why."""
    assert run(TABLE, "4096", str(turn), dtype) == "as on the host"


@pytest.mark.model
def test_slices_and_refusals_read_no_rows():
    """Kept rows and maxima of slices, and the index of the first invalid row."""
    assert run(SLICES, "256") == "as on the host"


@pytest.mark.model
def test_intervals_of_sums_read_no_rows():
    """Every resample of rows and of groups, which may lie on several devices, is the host's."""
    assert run(INTERVALS, "2048") == "as on the host"


@pytest.mark.model
def test_evaluators_read_no_rows():
    """Labels, label sets, numbers, scores and tokens, with intervals and slices."""
    assert run(EVALUATORS, "1024") == "as on the host"


def test_an_excuse_from_exchanging_states_alone_is_that_of_kept_rows(cases):
    """Who keeps rows is excused, and nobody else."""
    for case in cases:
        keeps = any(statistic.keeps_rows for statistic in case.metric.statistics)
        assert keeps == ("exchange" in METRICS[case.name].excused), case.id
