"""Rows sharded over eight simulated devices: the same values, and only states travel."""

import os
import subprocess
import sys

PROGRAM = """
import re
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P

from modelops_jax.evaluation import ModelEvaluator
from modelops_jax.metrics import MetricStream, compute, metric, paired_differences, row_layout
from modelops_jax.metrics._nan_policy import without_nan
from modelops_jax.metrics._sharded import counting_program

mesh = jax.make_mesh((4, 2), ("data", "more"), axis_types=(AxisType.Auto,) * 2)
placed = NamedSharding(mesh, P(("data", "more")))
random = np.random.default_rng(0)
rows, true_rows = 8 * 1000, 8 * 1000 - 3  # three of them are padding
labels = random.integers(0, 4, (2, rows)).astype(np.int32)
values = (1e3 + random.normal(size=(2, rows))).astype(np.float32)
scores = random.random((rows, 4)).astype(np.float32)
weight = random.random(rows).astype(np.float32)
weight[1000:2000] = 0  # a shard with nothing in it
weight[true_rows:] = 0
values[:, true_rows:] = np.nan
labels[:, true_rows:] = -7

# A row-sized array on its way to the host is an error.
array = type(jnp.zeros(1))
convert, value = array.__array__, array._value
def guarded(self, *args, **kwargs):
    assert self.size < rows, "rows were gathered on the host"
    return convert(self, *args, **kwargs)
def guarded_value(self):
    assert self.size < rows, "rows were gathered on the host"
    return value.fget(self)

array.__array__, array._value = guarded, property(guarded_value)
for gather in (np.asarray, jax.device_get):
    try:
        gather(jax.device_put(weight, placed))
    except AssertionError:
        pass
    else:
        raise RuntimeError("the guard does not see what it should")
array.__array__, array._value = convert, value

names = ("mean_squared_error", "r2_score", "pearson_corrcoef", "max_error")
sets = [
    ({"f1": metric("f1_score", average="macro", num_classes=4),
      "hits": metric("accuracy_score")}, labels, weight > 0),
    ({name: metric(name) for name in names}, values, weight),
    ({"top": metric("top_k_accuracy_score")}, (labels[0], scores), weight),
]
for metrics, (true, pred), given in sets:
    expected = compute(metrics, true, pred, weight=given)
    on_mesh = [jax.device_put(c, placed) for c in (true, pred, given)]
    array.__array__, array._value = guarded, property(guarded_value)
    found = compute(metrics, *on_mesh[:2], weight=on_mesh[2])
    halves = MetricStream(metrics)
    for _ in range(2):
        halves.update(*on_mesh[:2], weight=on_mesh[2])
    array.__array__, array._value = convert, value
    assert found.rows == expected.rows and halves.rows == 2 * expected.rows
    for name in metrics:
        tolerance = 0 if given.dtype == bool and name in ("f1", "hits") else 1e-6
        for other in (found, halves.report()):
            np.testing.assert_allclose(
                other.values[name], expected.values[name], rtol=tolerance, atol=tolerance)
    # What the devices exchange is no larger than the states.
    layout = row_layout(on_mesh[0])
    statistics = tuple(dict.fromkeys(s for m in metrics.values() for s in m.statistics))
    program = counting_program(statistics, layout, jnp.dtype(jnp.float32))
    text = program.lower(*on_mesh, None).compile().as_text()
    assert "all-reduce" in text
    exchanges = [line for line in text.splitlines()
                 if re.search(r" (all-|collective-|reduce-scatter)[a-z-]*\\(", line)]
    assert exchanges
    for line in exchanges:
        assert "all-reduce" in line, line
        for shape in re.findall(r"[a-z]+[0-9]+\\[([0-9,]*)\\]", line.split(" all-reduce")[0]):
            size = np.prod([int(n) for n in shape.split(",") if n], initial=1)
            assert size <= 512, line

# The stated exception: all pairs of rows matter.
area = {"auc": metric("roc_auc_score")}
binary = (labels[0] > 1, np.nan_to_num(values[1]))
on_mesh = [jax.device_put(c, placed) for c in binary]
assert compute(area, *on_mesh).values == compute(area, *binary).values
# Rows of two models are swapped where they lie, and draw what they would on the host.
models = {"a": binary[1], "b": scores[:, 0]}
there = {name: jax.device_put(column, placed) for name, column in models.items()}
expected = paired_differences(area, binary[0], models, n_resamples=40)["auc"]["a", "b"]
array.__array__, array._value = guarded, property(guarded_value)
found = paired_differences(area, on_mesh[0], there, n_resamples=40)["auc"]["a", "b"]
array.__array__, array._value = convert, value
assert found.p_value == expected.p_value and 0.1 < found.p_value < 1, (found, expected)
for one, other in ((found.value, expected.value),
                   (found.interval.low, expected.interval.low),
                   (found.interval.high, expected.interval.high)):
    np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)

# Rows that hold nan are read where they lie, and weights on the host keep their digits.
wide, weights = values.astype(np.float64), 1 + random.random(rows)
with jax.enable_x64(True):
    on_mesh = [jax.device_put(side, placed) for side in wide]
array.__array__, array._value = guarded, property(guarded_value)
found = compute({"mse": metric("mean_squared_error")}, *on_mesh, weight=weights, nan_policy="omit")
mask, gone = without_nan(*on_mesh, None)
array.__array__, array._value = convert, value
expected = np.average(np.square(wide[0] - wide[1])[:true_rows], weights=weights[:true_rows])
np.testing.assert_allclose(found.values["mse"], expected, rtol=1e-12)
assert found.omitted == gone == 3
assert (np.asarray(mask) == (np.arange(rows) < true_rows)).all()

whole = [side[:true_rows // 8 * 8] for side in labels]
numbers = [side[:true_rows // 8 * 8] for side in values]
for task, columns in (("classification", whole), ("binary", [side > 1 for side in whole]),
                      ("regression", numbers)):
    evaluator = ModelEvaluator(task)
    on_mesh = [jax.device_put(column, placed) for column in columns]
    stream = evaluator.stream()
    rows = len(columns[0])
    array.__array__, array._value = guarded, property(guarded_value)
    stream.update(*on_mesh)
    found = evaluator.evaluate(*on_mesh)
    array.__array__, array._value = convert, value
    expected = evaluator.evaluate(*columns)
    if task == "regression":
        for name, number in expected.metrics.items():
            assert abs(found.metrics[name] - number) <= 1e-6 * max(1, abs(number))
    else:
        assert found == expected
        assert stream.result(confidence=0.9) == evaluator.evaluate(*on_mesh, confidence=0.9)
        parity = {"even": np.arange(rows) % 2}
        assert evaluator.evaluate(*on_mesh, slices=parity) == evaluator.evaluate(
            *columns, slices=parity)

# A wide array of the host beside rows on the mesh, divided before without 64-bit types.
clean, host = labels.clip(0), random.random(labels.shape[1])
there = [jax.device_put(side, placed) for side in (*clean, host)][:2]
hits = {"hits": metric("accuracy_score")}
beside, alone = (compute(hits, *sides, weight=host).values["hits"] for sides in (there, clean))
assert abs(beside - alone) <= 1e-12

for spec in (P(None, "data"), P("data", "more")):
    wrong = jax.device_put(scores, NamedSharding(mesh, spec))
    try:
        compute({"top": metric("top_k_accuracy_score")}, labels[0], wrong)
    except ValueError as error:
        assert "expected rows, the first axis, to be divided" in str(error)
    else:
        raise AssertionError(spec)
one, other = (jax.device_put(labels[0], NamedSharding(mesh, P(axis))) for axis in ("data", "more"))
try:
    compute({"hits": metric("accuracy_score")}, one, other)
except ValueError as error:
    assert "lie on devices in different ways" in str(error)
else:
    raise AssertionError("two layouts")
print("as one device")
"""


def test_eight_devices_give_what_one_gives():
    """Counts, sums, weights, masks, streams and evaluators, with an empty shard and padding."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "as one device"
