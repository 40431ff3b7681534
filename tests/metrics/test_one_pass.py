"""The one-pass host computation: shared statistics, bounded compilation, honest refusals."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics as oracle

from modelops_jax.metrics import (
    ConfusionCounts,
    Metric,
    accuracy_score,
    compute,
    compute_slices,
    confusion_matrix,
    f1_score,
    mean_squared_error,
    metric,
)
from modelops_jax.metrics._compute import BUCKETS

TRACES: list[Any] = []


class Traced(ConfusionCounts):
    """A confusion matrix that notes each time it is traced."""

    def of_rows(self, rows):
        TRACES.append(rows.y_true.shape)
        return super().of_rows(rows)


def noted(classes: int) -> Metric:
    """Accuracy over a statistic that notes its traces."""
    TRACES.clear()
    return Metric("noted", (Traced(classes),), metric("accuracy_score", num_classes=2).finalizer)


def test_metrics_of_one_statistic_share_it():
    """Twelve metrics of one confusion matrix compute it once, traced once."""
    statistic = Traced(5)
    metrics = {
        f"{name}-{average}": metric(name, average=average, num_classes=5)
        for name in ("precision_score", "recall_score", "f1_score")
        for average in ("micro", "macro", "weighted", None)
    }
    shared = {k: Metric(m.name, (statistic,), m.finalizer) for k, m in metrics.items()}
    TRACES.clear()
    y_true = np.arange(50) % 5
    report = compute(shared, y_true, np.roll(y_true, 1))
    assert len(TRACES) == 1
    assert list(report.states) == [statistic]
    assert list(report.values) == list(metrics)


def test_compilations_are_bounded():
    """Any sizes up to 1,000 need two traces; many blocks and their tail two more."""
    accuracy = {"it": noted(3)}
    for count in range(1, 1001, 37):
        compute(accuracy, np.zeros(count, np.int32), np.zeros(count, np.int32))
    assert len(TRACES) == 2
    for count in (BUCKETS[-1] * 2 + 5, BUCKETS[-1] * 3 + 50, BUCKETS[-1] + 500):
        rows = np.arange(count, dtype=np.int32) % 3
        assert compute(accuracy, rows, rows).values["it"] == 1.0
    assert {shape[0] for shape in TRACES[2:]} <= {1 << 15, 1 << 17, 512, 0}
    before = len(TRACES)
    compute(accuracy, rows[:-7], rows[:-7])
    assert len(TRACES) == before


def test_an_evaluation_fetches_once(monkeypatch: pytest.MonkeyPatch):
    """However many statistics, of rows in one block or in several: their states, together."""
    fetched, fetch = [], jax.device_get

    def noted_fetch(tree: Any) -> Any:
        if any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(tree)):
            fetched.append(tree)
        return fetch(tree)

    monkeypatch.setattr(jax, "device_get", noted_fetch)
    several = {name: metric(name) for name in ("accuracy_score", "f1_score", "hamming_loss")}
    for count in (300, BUCKETS[-1] * 2 + 12345):
        rows = np.arange(count) % 2, np.arange(count) % 3 % 2
        compute(several, *rows)  # the first time it also makes the states of no rows
        fetched.clear()
        compute(several, *rows)
        assert len(fetched) == 1


def test_twenty_sizes_up_to_a_thousand_compile_two_programs():
    """JAX's own count: helpers outside the one program are programs, too."""
    compiled: list[str] = []

    def note(event: str, *_: object, **facts: object) -> None:
        if event == "/jax/core/compile/backend_compile_duration" and listening:
            compiled.append(str(facts))

    listening = True
    jax.monitoring.register_event_duration_secs_listener(note)
    fresh = {"it": metric("fbeta_score", beta=1.25, average="macro", num_classes=11)}
    for count in np.linspace(1, 1000, 20).astype(int):
        compute(fresh, np.arange(count) % 11, np.arange(count) % 7)
    listening = False
    assert len(compiled) == 2, compiled


@pytest.mark.parametrize("count", [BUCKETS[-1] - 1, BUCKETS[-1], BUCKETS[-1] * 2 + 12345])
def test_blocks_and_tail_count_every_row(count):
    """Sizes around the block give NumPy's counts, and its sums of weights."""
    random = np.random.default_rng(0)
    y_true, y_pred = random.integers(0, 3, (2, count)).astype(np.int32)
    found = confusion_matrix(y_true, y_pred, num_classes=3)
    np.testing.assert_array_equal(found.reshape(-1), np.bincount(3 * y_true + y_pred))
    weight = random.integers(0, 1 << 20, count) / 1024  # whose sums are exact
    found = confusion_matrix(y_true, y_pred, num_classes=3, weight=weight)
    np.testing.assert_array_equal(found.reshape(-1), np.bincount(3 * y_true + y_pred, weight))


def test_float64_stays_inside_and_no_setting_is_changed():
    """Results and states are NumPy; JAX's own precision setting is as it was."""
    report = compute({"mse": metric("mean_squared_error")}, np.ones(3), np.zeros(3))
    leaves = jax.tree.leaves((report.values, dict(report.states)))
    assert not any(isinstance(leaf, jax.Array) for leaf in leaves)
    assert report.states[metric("mean_squared_error").statistics[0]].total.high.dtype == np.float64
    assert jnp.zeros(()).dtype == jnp.float32
    assert jnp.asarray(np.float64(1)).dtype == jnp.float32


def test_constants_inside_a_jitted_function_are_computed_now():
    """A metric of concrete arrays inside the user's jit is exact and not traced."""
    y_true, y_pred = np.array([1e6, 1e6 + 1e-3]), np.array([1e6, 1e6])

    @jax.jit
    def scaled(x: jax.Array) -> jax.Array:
        value = mean_squared_error(y_true, y_pred)
        assert isinstance(value, np.float64)
        return x * float(value)

    assert scaled(jnp.float32(2)) == pytest.approx(float(np.float32(1e-6)), rel=1e-5)


@pytest.mark.parametrize(
    "given", [list, tuple, np.array, jnp.array, lambda v: np.array(v)[::-1][::-1]]
)
def test_every_kind_of_sequence_is_read(given):
    """Lists, tuples, NumPy views and JAX arrays give the same value."""
    assert accuracy_score(given([1, 0, 1, 1]), given([1, 1, 1, 0])) == 0.5


@pytest.mark.parametrize("kind", [np.int8, np.uint16, np.int64, np.float16, np.float32])
def test_weights_of_every_type_count_alike(kind):
    """Integers and narrow floats are weights as float64 is."""
    weight = np.array([0, 1, 2, 3])
    expected = oracle.accuracy_score([1, 0, 1, 1], [1, 1, 1, 0], sample_weight=weight)
    assert accuracy_score([1, 0, 1, 1], [1, 1, 1, 0], weight=weight.astype(kind)) == expected


def test_rows_counts_those_of_positive_weight():
    """The report says how many rows the values rest on."""
    found = {"a": metric("accuracy_score")}
    assert compute(found, [1, 0, 1], [1, 1, 1]).rows == 3
    assert compute(found, [1, 0, 1], [1, 1, 1], weight=[0.5, 0.0, 2.0]).rows == 2
    assert compute(found, [1, 0, 1], [1, 1, 1], weight=[True, False, False]).rows == 1


def test_lengths_that_differ_are_refused_with_both():
    """Nothing is broadcast: the message has the arguments and their shapes."""
    with pytest.raises(ValueError, match=r"one length; found y_true \(3,\), y_pred \(2,\)"):
        accuracy_score([1, 0, 1], [1, 0])
    with pytest.raises(ValueError, match=r"y_pred \(2,\), weight \(3,\)"):
        accuracy_score([1, 0], [1, 0], weight=[1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match=r"found y_true \(3,\), y_pred \(1,\)"):
        jax.jit(accuracy_score)(jnp.zeros(3, int), jnp.zeros(1, int))


def test_a_column_is_not_a_vector():
    """(4,) against (4, 1) is an error, eager and traced, never an accuracy of 2; two fit."""
    row, column = jnp.ones(4, int), jnp.ones((4, 1), int)
    for function in (accuracy_score, jax.jit(accuracy_score)):
        with pytest.raises(ValueError, match=r"one axis, shape \(n,\); found .*\(4, 1\)"):
            function(row, column)
        assert float(function(column, column)) == 1


def test_a_mask_is_not_left_behind():
    """NumPy's mask would be dropped with the type, and what it hides be counted."""
    masked = np.ma.array([1.0, 100.0], mask=[False, True])
    for columns in ((masked, [1.0, 2.0]), ([1.0, 2.0], masked)):
        with pytest.raises(ValueError, match=r"y_\w+ is a masked array; pass only its valid"):
            mean_squared_error(*columns)


def test_strings_are_refused_with_what_to_do():
    """Labels that are not numbers belong one floor up."""
    with pytest.raises(TypeError, match="y_true must hold numbers or booleans, not <U3: encode"):
        accuracy_score(["cat", "dog"], ["cat", "cat"])


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_weights_that_are_negative_or_not_finite_are_refused(bad):
    """On every path: few cells, many cells, rows, scores; nan under tracing."""
    rows, weight = np.array([0, 1, 1]), np.array([1.0, bad, 1.0])
    for name, options in (
        ("accuracy_score", {}),
        ("accuracy_score", {"num_classes": 4}),
        ("mean_squared_error", {}),
        ("roc_auc_score", {}),
    ):
        with pytest.raises(ValueError, match="weight: 1 weights that are negative or not finite"):
            compute({"it": metric(name, **options)}, rows, rows, weight=weight)
    traced = jax.jit(lambda t, p, w: f1_score(t, p, weight=w))
    assert np.isnan(traced(rows, rows, weight.astype(np.float32)))


def test_weighted_counts_add_up_to_twelve_digits():
    """Weights of many magnitudes, few cells and many: compensated, not just added."""
    random = np.random.default_rng(1)
    weight = 10.0 ** random.uniform(-6, 6, 50_000)
    for classes in (2, 30):
        rows = random.integers(0, classes, (2, 50_000)).astype(np.int32)
        found = confusion_matrix(*rows, num_classes=classes, weight=weight)
        expected = np.zeros((classes, classes), np.longdouble)
        np.add.at(expected, tuple(rows), weight.astype(np.longdouble))
        np.testing.assert_allclose(found, expected.astype(float), rtol=1e-13)
        narrow = weight.astype(np.float32)
        traced = jax.jit(lambda t, p, w, c=classes: confusion_matrix(t, p, num_classes=c, weight=w))
        expected = np.zeros((classes, classes))
        np.add.at(expected, tuple(rows), narrow)
        np.testing.assert_allclose(traced(*rows, narrow), expected, rtol=1e-6)


def test_sharded_arrays_are_accepted_as_they_are(tmp_path):
    """An array that JAX has placed itself needs no conversion by the caller."""
    mesh = jax.make_mesh((1,), ("rows",), axis_types=(jax.sharding.AxisType.Auto,))
    placed = jax.NamedSharding(mesh, jax.P("rows"))
    rows = jax.device_put(jnp.arange(8) % 2, placed)
    assert accuracy_score(rows, rows) == 1.0


def test_a_large_array_inside_jit_is_read_in_blocks():
    """Sizes with and without a divisor give exact counts and gradients of the whole."""
    for count in (200_003, 262_144):
        rows = np.arange(count) % 2
        found = jax.jit(lambda t, p: confusion_matrix(t, p, num_classes=2))(
            rows, np.ones_like(rows)
        )
        np.testing.assert_array_equal(found, [[0, (count + 1) // 2], [0, count // 2]])
    y_true = jnp.linspace(0, 1, 200_003)
    slope = jax.jit(jax.grad(mean_squared_error, argnums=1))(y_true, y_true + 1)
    np.testing.assert_allclose(slope, 2 / 200_003, rtol=1e-6)


_FLOATS, _WHOLE, _TABLE = np.array([0.5, 1.0]), np.array([0, 1]), np.eye(2)
_REFUSED: list[tuple[str, dict[str, Any], np.ndarray, np.ndarray, str]] = [
    ("accuracy_score", {}, _FLOATS, _WHOLE, "y_true must hold integer or boolean labels"),
    ("precision_score", {}, _WHOLE, _FLOATS, "y_pred must hold integer or boolean labels"),
    ("confusion_matrix", {"num_classes": 2}, _WHOLE, _FLOATS, "y_pred must hold integer or"),
    ("f1_score", {"num_labels": 2, "average": "macro"}, _TABLE, _TABLE, "y_true must hold integer"),
    ("f1_score", {"num_labels": 2, "average": "samples"}, _TABLE, _TABLE, "y_true must hold"),
    (
        "accuracy_score",
        {"num_labels": 3},
        _TABLE > 0,
        _TABLE > 0,
        "2 columns; num_labels=3 expects",
    ),
    ("log_loss", {}, _FLOATS, _FLOATS, "y_true must hold integer or boolean labels"),
    ("brier_score_loss", {}, _WHOLE, _TABLE[:, :1], "y_pred must have a column per class"),
    ("top_k_accuracy_score", {"k": 2}, _WHOLE, _TABLE, "k must be less than the number of classes"),
    ("expected_calibration_error", {}, _FLOATS, _FLOATS, "y_true must hold integer or boolean"),
    ("sketched_roc_auc_score", {}, _FLOATS, _FLOATS, "y_true must hold integer or boolean"),
    ("token_accuracy_score", {}, _TABLE, _TABLE, "y_true must hold integer or boolean labels"),
    ("bleu_score", {}, _WHOLE, _TABLE, "y_pred has 2 columns; expected 5"),
]


@pytest.mark.parametrize(("name", "config", "y_true", "y_pred", "message"), _REFUSED)
def test_columns_are_refused_before_they_are_traced(name, config, y_true, y_pred, message):
    """What is raised while tracing gets a note about frames that JAX has removed."""
    with pytest.raises((TypeError, ValueError), match=message) as found:
        compute({"it": metric(name, **config)}, y_true, y_pred)
    assert not getattr(found.value, "__notes__", [])
    slices = {"all": np.zeros(len(y_true), int)}
    with pytest.raises((TypeError, ValueError), match=message) as found:
        compute_slices({"it": metric(name, **config)}, y_true, y_pred, slices)
    assert not getattr(found.value, "__notes__", [])
