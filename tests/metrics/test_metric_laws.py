"""Laws that every metric of the table obeys, and its range, under JAX's strict flags.

Users have the standard ones: a law of its own says that these give the same programs.
"""

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.metrics import LAWS, METRICS, compute

pytestmark = pytest.mark.usefixtures("strict_flags")

COUNT = 97
# Of rows in groups: relevance and group are one label, as in conftest.py.
GRADES = 4


def holds(law: str, *, traced: bool = False, one_a_kind: bool = False) -> Callable[[Any], Any]:
    """Mark a test as the one of a law, so that excused metrics are left out.

    `traced`: it compiles, and cases that compile much the same are for the slow tests.
    `one_a_kind`: so are all cases but the first of a kind of statistics and finalizer.
    """

    def mark(test: Any) -> Any:
        test.law, test.traced, test.one_a_kind = law, traced, one_a_kind
        return test

    return mark


def close(found: Any, expected: Any, tolerance: float = 1e-12) -> None:
    """Equal relative to max(1, |value|)."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    error = np.abs(found - expected) / np.maximum(1, np.abs(expected))
    assert np.all(error <= tolerance), (found, expected)


def narrow(column: np.ndarray) -> np.ndarray:
    """Floats as a user's jitted function has them: 32 bits."""
    return column.astype(np.float32) if column.dtype.kind == "f" else column


@holds("permutation")
def test_the_order_of_the_rows_does_not_matter(case):
    """A permutation of the rows gives the same value."""
    y_true, y_pred = case.rows(COUNT)
    order = np.random.default_rng(1).permutation(COUNT)
    close(case(y_true[order], y_pred[order]), case(y_true, y_pred))


@holds("repetition")
def test_an_integer_weight_is_that_many_copies(case):
    """Weight k counts the row k times; weight 0 counts it not at all."""
    y_true, y_pred = case.rows(COUNT)
    weight = np.random.default_rng(2).integers(0, 4, COUNT)
    repeated = case(*(np.repeat(column, weight, axis=0) for column in (y_true, y_pred)))
    close(case(y_true, y_pred, weight.astype(np.float64)), repeated)


@holds("zero_weight")
def test_a_row_of_weight_zero_is_absent_whatever_it_holds(case):
    """nan, infinity and unknown labels do no harm in rows that a mask or a 0 leaves out."""
    spoiled, keep, expected = spoiled_rows(case)
    close(case(*spoiled, keep), expected)
    close(case(*spoiled, keep.astype(np.float64)), expected)


@holds("zero_weight", traced=True)
def test_a_traced_row_of_weight_zero_is_absent_whatever_it_holds(case):
    """Inside a user's jit, too."""
    spoiled, keep, expected = spoiled_rows(case)
    traced = jax.jit(lambda *rows: case(*rows))
    close(traced(*map(narrow, spoiled), keep), expected, 1e-6)


def spoiled_rows(case: Any) -> tuple[Any, np.ndarray, Any]:
    """Rows of which a mask leaves out what nobody can read, the mask, and the value of the rest."""
    y_true, y_pred = case.rows(COUNT)
    keep = np.random.default_rng(3).random(COUNT) < 0.7
    spoiled = (np.array(y_true), np.array(y_pred))
    for column in spoiled:
        column[~keep] = np.nan if column.dtype.kind == "f" else -7
    return spoiled, keep, case(y_true[keep], y_pred[keep])


@holds("merge")
def test_merged_parts_are_the_whole(case):
    """States of parts, one of them without rows, merge to the state of all in any order."""
    metric, size = case.metric, 32
    y_true, y_pred = case.rows(3 * size)
    weight = np.random.default_rng(4).random(3 * size)
    weight[size : 2 * size] = 0
    update = jax.jit(case.update)
    empty = metric.identity(weighted=True)
    first, none, last = (
        tuple(jnp.asarray(narrow(c[start : start + size])) for c in (y_true, y_pred, weight))
        for start in (0, size, 2 * size)
    )
    parts = [update(empty, *rows) for rows in (first, none, last)]
    merged = metric.merge(metric.merge(parts[0], parts[1]), parts[2])
    other_way = metric.merge(parts[2], metric.merge(parts[1], parts[0]))
    streamed = metric.merge(update(empty, *last), update(empty, *first))
    for states in (merged, other_way, streamed):
        close(metric.finalize(states).value, case(y_true, y_pred, weight), 1e-6)


@holds("padding")
def test_rows_added_with_weight_zero_change_nothing(case):
    """Padding leaves the value as it is, to the last bit."""
    y_true, y_pred = case.rows(COUNT)
    padded = [np.concatenate([c, np.zeros_like(c[:31])]) for c in (y_true, y_pred)]
    mask = np.arange(COUNT + 31) < COUNT
    np.testing.assert_array_equal(case(*padded, mask), case(y_true, y_pred))


@holds("jit", traced=True)
def test_traced_and_concrete_agree(case):
    """Inside a user's jit the value is that of the host path, in the user's precision.

    Of masked rows, by the program of the law above; merged parts and shards take weights too.
    """
    given = (*case.rows(COUNT), np.random.default_rng(5).random(COUNT) < 0.7)
    found, expected = jax.jit(lambda *rows: case(*rows))(*map(narrow, given)), case(*given)
    assert (found.dtype.kind, found.dtype.itemsize) == (expected.dtype.kind, 4)
    close(found, expected, 1e-6)


def test_the_standard_flags_give_the_same_program(case):
    """Nothing of a program depends on what the strict flags forbid, or on the flags themselves."""
    given = (*map(narrow, case.rows(COUNT)), np.linspace(0, 1, COUNT, dtype=np.float32))

    def program() -> str:
        return jax.jit(lambda *rows: case(*rows)).lower(*given).as_text()

    strict = program()
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        assert program() == strict


@holds("vmap", traced=True, one_a_kind=True)
def test_a_batch_gives_what_a_loop_gives(case):
    """vmap over a leading axis is the loop over it."""
    batches = [case.rows(COUNT, seed) for seed in range(3)]
    y_true, y_pred = (narrow(np.stack(column)) for column in zip(*batches, strict=True))
    found = jax.jit(jax.vmap(lambda *rows: case(*rows)))(y_true, y_pred)
    close(found, [case(*batch) for batch in batches], 1e-6)


@holds("traces")
def test_one_trace_for_every_size_of_a_bucket(case):
    """Sizes that share a bucket share a program; of kept rows there is none."""
    y_true, y_pred = case.rows(512)
    of_groups = METRICS[case.name].inputs == "groups"

    def measure(count: int) -> None:
        true, pred = y_true[:count], y_pred[:count]
        groups = true // GRADES if of_groups else None
        compute({"it": case.metric}, true % GRADES if of_groups else true, pred, groups=groups)

    if not any(statistic.keeps_rows for statistic in case.metric.statistics):
        measure(1)  # NumPy ranks concrete scores, and never traces
    with jax.no_tracing():
        for count in range(0, 513, 64):
            measure(count)


@holds("gradient", traced=True)
def test_the_derivative_is_that_of_finite_differences(case):
    """The gradient by y_pred agrees with central differences, masked nan rows and all."""
    y_true, y_pred = case.rows(9, dtype=np.float64)
    if y_pred.ndim == 1:
        y_pred = y_pred + 0.37  # away from the kink of the absolute error
    weight = np.linspace(0.5, 2, 9)
    weight[4], y_true[4] = 0, np.nan if y_true.dtype.kind == "f" else -7
    with jax.enable_x64(True):
        slopes = np.asarray(jax.jit(jax.grad(lambda p: case(y_true, p, weight)))(y_pred))
    step = 1e-5
    found, expected = [], []
    for direction in np.eye(y_pred.size).reshape(-1, *y_pred.shape):
        if y_pred.ndim == 2:  # rows of probabilities keep their sum
            direction = direction - direction.mean(axis=1, keepdims=True)
        up, down = (y_pred + sign * step * direction for sign in (1, -1))
        rise = case(y_true, up, weight) - case(y_true, down, weight)
        found.append(np.sum(slopes * direction))
        expected.append(rise / (2 * step))
    close(found, expected, 1e-8)


def test_values_stay_in_the_range(case):
    """The stated range holds for good, bad and random predictions."""
    info = METRICS[case.name]
    for seed in range(3):
        y_true, y_pred = case.rows(60, seed)
        for pred in (y_pred, case.perfect(y_true, y_pred), y_pred[::-1]):
            value = case(y_true, pred)
            assert np.all((value >= info.low) & (value <= info.high))


def test_the_best_value_is_reached_by_perfect_predictions(case):
    """Predicting the truth gives the upper end for scores and the lower end for errors."""
    info = METRICS[case.name]
    y_true, y_pred = case.rows(60)
    if info.higher_is_better is not None:
        best = case(y_true, case.perfect(y_true, y_pred))
        if case.name in ("dcg_score", "precision_at_k", "recall_at_k"):
            # The highest depends on how many rows are relevant; no other order has more.
            orders = np.random.default_rng(0).permuted(np.tile(y_pred, (20, 1)), axis=1)
            assert max(case(y_true, order) for order in orders) < best
            return
        np.testing.assert_array_equal(best, info.high if info.higher_is_better else info.low)


SHARDED = """
import json, runpy, sys
import jax, numpy as np
from jax.sharding import AxisType, PartitionSpec as P

given = runpy.run_path(sys.argv[1])
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
mesh = jax.make_mesh((8,), ("rows",), axis_types=(AxisType.Auto,))
rows, weights = given["rows_of_shards"](int(sys.argv[2]), np.float32)

def values(rows, weights):
    return [
        case(*columns, weight, axis_name="rows")
        for case, columns, weight in zip(given["CASES"], rows, weights, strict=True)
    ]

whole = jax.shard_map(values, mesh=mesh, in_specs=P("rows"), out_specs=P())
print(json.dumps([np.asarray(value).tolist() for value in jax.jit(whole)(rows, weights)]))
"""


# A turn compiles for 20 s of the processor; the second gives a mask to who had weights.
@pytest.mark.parametrize("turn", [0, pytest.param(1, marks=pytest.mark.model)])
def test_shards_give_what_one_device_gives(turn: int, cases, sharded_rows):
    """Eight devices, one of them without rows, merged over the mesh axis, equal one device."""
    conftest = pathlib.Path(__file__).with_name("conftest.py")
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-c", SHARDED, str(conftest), str(turn)],
        env=os.environ | {"XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows, weights = sharded_rows
    found = json.loads(done.stdout)
    for case, columns, weight, value in zip(cases, rows, weights, found, strict=True):
        # On the host in float64, whatever the shards computed in; other laws compiled that.
        close(value, case(*columns, weight), 1e-6)


def test_every_law_of_the_table_has_its_test():
    """LAWS names exactly the laws that this file tests."""
    tested = {getattr(value, "law", None) for value in globals().values()} - {None}
    assert tested | {"sharded", "exchange"} == set(LAWS)  # these have files, or turns, of their own


def test_every_metric_of_the_table_has_a_case(cases):
    """No metric escapes the laws by having no configuration to run them on."""
    assert {case.name for case in cases} == set(METRICS)
