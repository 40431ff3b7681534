"""Many rows on one accelerator are counted there; here the CPU stands for it."""

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.evaluation import ModelEvaluator
from modelops_jax.metrics import (
    METRICS,
    MetricStream,
    _compute,
    _platform,
    _sharded,
    bootstrap_intervals,
    compute,
    delong_test,
    mcnemar_test,
    metric,
    precision_recall_curve,
    roc_curve,
)
from modelops_jax.metrics._packed import Packed

ROWS = 1100
GRADES = 4


# What makes an error of rows on their way to the host.
guard = runpy.run_path(str(Path(__file__).parents[1] / "rows_stay.py"))["guard"]


@pytest.fixture
def accelerator(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """JAX's arrays lie on a GPU, and reading their rows is an error."""
    monkeypatch.setattr(_platform, "is_accelerator", lambda device: True)
    monkeypatch.setattr(_platform, "platform", lambda: "gpu")
    monkeypatch.setattr(_sharded, "FEW_NUMBERS", 600)
    with guard(ROWS):
        yield


def put(*columns: np.ndarray | None) -> list[Any]:
    """On the device, as wide as they are."""
    with jax.enable_x64(True):
        return [None if column is None else jnp.asarray(column) for column in columns]


def check(metrics: dict[str, Any], *columns: Any, groups: Any = None, weight: Any = None) -> None:
    """The same of rows on the device as of rows on the host."""
    expected = compute(metrics, *columns, weight=weight, groups=groups)
    *there, weight, groups = put(*columns, weight, groups)
    found = compute(metrics, *there, weight=weight, groups=groups)
    assert found.rows == expected.rows
    assert found.undefined == expected.undefined
    for name in metrics:
        np.testing.assert_allclose(
            found.values[name], expected.values[name], rtol=1e-12, atol=1e-12, err_msg=name
        )


@pytest.mark.usefixtures("accelerator")
@pytest.mark.parametrize("kind", [None, np.bool_, np.float64])
def test_labels_are_counted_there(kind: Any):
    """Tables, of which a GPU has many copies, and weights, that it adds up in float64."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 5, (2, ROWS)).astype(np.int32)
    weight = None if kind is None else (random.random(ROWS) * 2).astype(kind)
    check({"f1": metric("f1_score", average="macro", num_classes=5)}, *labels, weight=weight)


@pytest.mark.usefixtures("accelerator")
def test_ranks_are_made_there():
    """Rows that are padded to few sizes and never fetched."""
    random = np.random.default_rng(0)
    true, score = random.integers(0, 2, ROWS).astype(np.int32), random.normal(size=ROWS)
    check({"area": metric("roc_auc_score")}, true, score.astype(np.float32))
    score[17] = np.nan
    with pytest.raises(ValueError, match=r"y_pred: 1 scores .* the first at index 17"):
        compute({"area": metric("roc_auc_score")}, *put(true, score))


@pytest.mark.usefixtures("accelerator")
def test_streams_keep_all_digits():
    """Of scores of 64 bits in two batches, which are one array there."""
    random = np.random.default_rng(0)
    true = random.integers(0, 2, ROWS).astype(np.int32)
    score = 1e6 + 1e-6 * (random.normal(size=ROWS) + true)  # equal in 32 bits
    stream, half = MetricStream({"area": metric("roc_auc_score")}), ROWS - 120
    for part in (slice(0, half), slice(half, ROWS)):
        stream.update(*put(true[part], score[part]))
    expected = compute({"area": metric("roc_auc_score")}, true, score).values["area"]
    assert float(stream.report().values["area"]) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.usefixtures("accelerator")
def test_the_facade_leaves_rows_there(monkeypatch: pytest.MonkeyPatch):
    """Labels and numbers, of more rows than are read by the host."""
    labels = np.random.default_rng(0).integers(3, 6, (2, ROWS)).astype(np.int32)
    expected = ModelEvaluator("multiclass").evaluate(*labels)
    found = ModelEvaluator("multiclass").evaluate(*put(*labels))
    assert found.metrics == pytest.approx(expected.metrics, rel=1e-12)
    assert found.per_class == expected.per_class


@pytest.mark.usefixtures("accelerator")
def test_tests_of_two_models_are_made_there():
    """McNemar's counts and DeLong's placements, of rows that are padded to few sizes."""
    random = np.random.default_rng(0)
    true, *labels = random.integers(0, 2, (3, ROWS)).astype(np.int32)
    scores = random.normal(size=(2, ROWS))
    assert mcnemar_test(*put(true, *labels)) == mcnemar_test(true, *labels)
    expected = delong_test(true, *scores)
    for columns in (put(true, *scores), (true, put(scores[0])[0], scores[1])):
        found = delong_test(*columns)
        assert vars(found) == pytest.approx(vars(expected), rel=1e-10)


@pytest.mark.model
@pytest.mark.usefixtures("accelerator")
def test_curves_are_made_there():
    """Rows of padding are no points."""
    random = np.random.default_rng(0)
    true, score = random.integers(0, 2, ROWS), np.round(random.normal(size=ROWS), 1)
    for curve in (roc_curve, precision_recall_curve):
        for one, other in zip(curve(*put(true, score)), curve(true, score), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.model
@pytest.mark.usefixtures("accelerator")
def test_kept_rows_are_resampled_there():
    """In groups whose ids are on the host or not; rows of padding are in none."""
    random = np.random.default_rng(0)
    true, score = random.integers(0, 2, ROWS), np.round(random.normal(size=ROWS), 1)
    groups = random.integers(0, 60, ROWS)
    metrics = {"precision": metric("average_precision_score")}
    expected = bootstrap_intervals(metrics, true, score, groups=groups, n_resamples=20)["precision"]
    for ids in (groups, put(groups)[0]):
        found = bootstrap_intervals(metrics, *put(true, score), groups=ids, n_resamples=20)
        ends = found["precision"].low, found["precision"].high
        assert ends == pytest.approx((expected.low, expected.high), rel=1e-11)


@pytest.mark.usefixtures("accelerator")
def test_rows_there_are_constants_of_a_program():
    """Counted and ranked at once, not traced; and the next call is not of that trace."""
    random = np.random.default_rng(0)
    true, score = random.integers(0, 2, 900).astype(np.int32), random.normal(size=900)
    metrics = {"area": metric("roc_auc_score"), "sketch": metric("sketched_roc_auc_score")}
    expected = compute(metrics, true, score.astype(np.float32)).values
    on_device = put(true, score.astype(np.float32))

    @jax.jit
    def plus(number: Any) -> Any:
        return {name: number + value for name, value in compute(metrics, *on_device).values.items()}

    for found in (plus(0.0), compute(metrics, *on_device).values):
        assert {n: float(v) for n, v in found.items()} == pytest.approx(expected, rel=1e-6)


def test_few_sizes_hold_all_numbers_of_rows():
    """Four sizes from a power of two to the next, so that a program serves many lengths."""
    sizes = {_sharded.few_sizes(rows) for rows in range(1 << 12, 1 << 13)}
    assert sizes == {4096, 5120, 6144, 7168, 8192}
    assert all(_sharded.few_sizes(rows) >= rows for rows in range(1, 3000))


@pytest.mark.usefixtures("accelerator")
def test_few_numbers_beside_many_are_where_they_should_be(monkeypatch: pytest.MonkeyPatch):
    """Weights of a row beside scores of many classes; on another device they are refused."""
    random = np.random.default_rng(0)
    true, scores = random.integers(0, 3, 500).astype(np.int32), random.random((500, 3))
    on_device = put(true, scores)
    top = {"top 2": metric("top_k_accuracy_score", k=2)}
    monkeypatch.setattr(_compute, "_stream", None)
    assert float(compute(top, *on_device).values["top 2"]) == pytest.approx(
        np.mean(np.argsort(scores)[:, 1:] == true[:, None]) * 2
    )


def test_arrays_are_fetched_as_few_and_are_what_they_were():
    """Of every width, scalars and nothing at all."""
    with jax.enable_x64(True):
        tree = {
            "flags": np.array([True, False, True]),
            "wide": np.array([[0.1, np.nan], [-0.0, np.inf]]),
            "scalar": np.float32(1 / 3),
            "count": np.array([1, 2**32 - 1], np.uint32),
            "none": (np.zeros((0, 4), np.int64), np.array([-7], np.int64)),
        }
        found = jax.jit(Packed.of)(tree).fetched()
    assert jax.tree.structure(found) == jax.tree.structure(tree)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(tree), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.model  # compiles for a minute
@pytest.mark.usefixtures("accelerator")
def test_every_task_and_its_intervals_are_those_of_the_host():
    """Labels, scores, values, rankings and several labels a row; in groups, by slice, weighted."""
    random = np.random.default_rng(0)
    labels, values = (
        random.integers(0, 4, (2, ROWS)).astype(np.int32),
        random.normal(size=(2, ROWS)),
    )
    binary, sets = labels // 2, random.integers(0, 2, (2, ROWS, 3)).astype(np.int32)
    weight, groups = random.random(ROWS), random.integers(0, 60, ROWS)
    slices = {"key": random.choice(["a", "b"], ROWS)}
    area = ["f1_score", "roc_auc_score"]
    for evaluator, columns, options in [
        (ModelEvaluator("multiclass"), labels, {"groups": groups}),
        (ModelEvaluator("multiclass"), labels, {"weight": weight}),
        (ModelEvaluator("multiclass"), labels, {"slices": slices}),
        (ModelEvaluator("regression"), values, {"weight": weight, "groups": groups}),
        (ModelEvaluator("ranking"), (binary[0], values[0]), {}),
        (ModelEvaluator("multilabel"), sets, {}),
        (ModelEvaluator("binary", metrics=area), binary, {"y_score": values[0]}),
    ]:
        expected = evaluator.evaluate(*columns, confidence=0.9, **options)
        if "y_score" in options:
            options = {"y_score": put(options["y_score"])[0]}
        found = evaluator.evaluate(*put(*columns), confidence=0.9, **options)
        assert found.metrics == pytest.approx(expected.metrics, rel=1e-9)
        assert found.intervals.keys() == expected.intervals.keys()
        for name, interval in expected.intervals.items():
            ends = found.intervals[name].low, found.intervals[name].high
            assert ends == pytest.approx((interval.low, interval.high), rel=1e-9), name
        for part, other in zip(found.slices, expected.slices, strict=True):
            assert part.metrics == pytest.approx(other.metrics, rel=1e-9)


@pytest.mark.model  # compiles for minutes
@pytest.mark.usefixtures("accelerator")
def test_every_metric_is_what_it_is_on_the_host(case: Any):
    """Of the whole table, with a mask and with weights."""
    true, pred = case.rows(ROWS)
    weight = np.random.default_rng(6).random(ROWS)
    weight[:50] = 0
    groups = None
    if METRICS[case.name].inputs == "groups":
        weight = case.weight(true, weight)
        true, groups = true % GRADES, true // GRADES
    for own in (weight, weight > 0):
        check({case.id: case.metric}, true, pred, weight=own, groups=groups)
