"""Bootstrap intervals: reproducible, equal to resampling rows, and covering what they say."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.metrics import (
    METRICS,
    bootstrap_intervals,
    compute,
    confidence_intervals,
    count_intervals,
    f1_score,
    metric,
)
from modelops_jax.metrics._cell_draws import draw_tables
from modelops_jax.metrics._draws import poisson

MACRO_F1 = {"f1": metric("f1_score", average="macro", num_classes=4)}


def labelled(count: int = 1000, classes: int = 4, seed: int = 0):
    """Predictions that are right about 7 times in 10."""
    random = np.random.default_rng(seed)
    y_true = random.integers(0, classes, count)
    y_pred = np.where(random.random(count) < 0.6, y_true, random.integers(0, classes, count))
    return y_true.astype(np.int32), y_pred.astype(np.int32)


def by_rows(function, columns, resamples: int = 1000, seed: int = 1) -> np.ndarray:
    """The bootstrap as it is defined: draw rows with replacement, compute, repeat."""
    index = np.random.default_rng(seed).integers(0, columns[0].size, (resamples, columns[0].size))
    return np.asarray(
        jax.jit(lambda i: jax.lax.map(lambda rows: function(*(c[rows] for c in columns)), i))(index)
    )


def test_cells_and_rows_give_the_same_interval():
    """Drawing cells is drawing rows: both ends agree within the noise of resampling."""
    y_true, y_pred = labelled()
    found = bootstrap_intervals(MACRO_F1, y_true, y_pred, n_resamples=4000)["f1"]
    values = by_rows(
        lambda t, p: f1_score(t, p, average="macro", num_classes=4),
        (jnp.asarray(y_true), jnp.asarray(y_pred)),
    )
    low, high = np.quantile(values, [0.025, 0.975])
    noise = 4 * np.std(values) / math.sqrt(1000) * 2
    assert abs(found.low - low) < noise
    assert abs(found.high - high) < noise
    assert found.method == "multinomial percentile"


def test_means_and_rows_give_the_same_interval():
    """The matrix product of Poisson weights agrees with drawing rows, for R2 and the root too."""
    random = np.random.default_rng(2)
    y_true = random.normal(size=500).astype(np.float32)
    y_pred = (y_true + random.normal(size=500)).astype(np.float32)
    names = ("mean_squared_error", "root_mean_squared_error", "r2_score")
    metrics = {name: metric(name) for name in names}
    found = bootstrap_intervals(metrics, y_true, y_pred, n_resamples=2000)
    columns = jnp.asarray(y_true), jnp.asarray(y_pred)
    for name in names:
        values = by_rows(METRICS[name].function, columns)
        ends = np.quantile(values, [0.025, 0.975])
        noise = 8 * np.std(values) / math.sqrt(1000)
        assert np.all(np.abs(ends - (found[name].low, found[name].high)) < noise), name
        assert found[name].method == "Poisson percentile"


def test_weighted_counts_are_resampled_by_row():
    """Weighted rows get intervals as wide as resampling them says, not as cells would."""
    y_true, y_pred = labelled(500)
    weight = np.random.default_rng(3).exponential(size=500)
    found = bootstrap_intervals(MACRO_F1, y_true, y_pred, weight=weight, n_resamples=2000)["f1"]
    values = by_rows(
        lambda t, p, w: f1_score(t, p, weight=w, average="macro", num_classes=4),
        (jnp.asarray(y_true), jnp.asarray(y_pred), jnp.asarray(weight, jnp.float32)),
    )
    width = np.subtract(*np.quantile(values, [0.975, 0.025]))
    assert found.high - found.low == pytest.approx(width, rel=0.12)
    assert found.method == "Poisson percentile"


@pytest.mark.parametrize("grouped", [False, True])
def test_classes_that_never_occur_change_no_resample(grouped):
    """Of 20 classes the rows are added to their cells, of 4 a product sums the cells."""
    random = np.random.default_rng(0)
    y_true, y_pred = random.integers(0, 4, (2, 700))
    y_pred = np.where(random.random(700) < 0.6, y_true, y_pred)
    weight = np.where(random.random(700) < 0.2, 0.0, random.random(700))
    groups = random.integers(0, 90, 700) if grouped else None
    few, many = (
        confidence_intervals(
            {"mcc": metric("matthews_corrcoef", num_classes=classes, ignore_index=3)},
            y_true, y_pred, weight=weight, groups=groups, method="bca", n_resamples=50,
        )["mcc"]
        for classes in (4, 20)
    )  # fmt: skip
    assert (many.low, many.high) == pytest.approx((few.low, few.high), rel=1e-12)


def test_the_same_seed_gives_the_same_interval():
    """Equal seeds are equal to the last bit, other seeds differ, company does not matter."""
    y_true, y_pred = labelled(500)
    metrics = MACRO_F1 | {"mse": metric("mean_squared_error")}
    first = bootstrap_intervals(metrics, y_true, y_pred, n_resamples=200, seed=5)
    assert first == bootstrap_intervals(metrics, y_true, y_pred, n_resamples=200, seed=5)
    assert first != bootstrap_intervals(metrics, y_true, y_pred, n_resamples=200, seed=6)
    with pytest.raises(ValueError, match=r"below 2\*\*32, not 4294967301"):  # would be 5
        bootstrap_intervals(metrics, y_true, y_pred, n_resamples=200, seed=2**32 + 5)
    alone = bootstrap_intervals(MACRO_F1, y_true, y_pred, n_resamples=200, seed=5)
    assert alone["f1"] == first["f1"]
    assert list(first) == ["f1", "mse"]


def test_intervals_need_the_counts_alone():
    """The interval from a report's states is that from the rows, at any number of rows."""
    y_true, y_pred = labelled(500)
    states = compute(MACRO_F1, y_true, y_pred).states
    assert count_intervals(MACRO_F1, states) == bootstrap_intervals(MACRO_F1, y_true, y_pred)


def test_per_class_metrics_get_an_interval_per_class():
    """Ends are arrays where the value is one."""
    y_true, y_pred = labelled(500)
    per_class = {"f1": metric("f1_score", average=None, num_classes=4)}
    found = bootstrap_intervals(per_class, y_true, y_pred)["f1"]
    value = compute(per_class, y_true, y_pred).values["f1"]
    assert np.shape(found.low) == np.shape(found.high) == (4,)
    assert np.all((found.low < value) & (value < found.high))


def test_certain_values_have_intervals_of_no_width():
    """All rows right: [1, 1]. No rows: 0 by convention for counts, nan for means."""
    accuracy, mse = {"a": metric("accuracy_score")}, {"m": metric("mean_squared_error")}
    found = bootstrap_intervals(accuracy, [1, 1, 0], [1, 1, 0])["a"]
    assert (found.low, found.high) == (1.0, 1.0)
    found = bootstrap_intervals(accuracy, np.zeros(0, int), np.zeros(0, int))["a"]
    assert (found.low, found.high) == (0.0, 0.0)
    found = bootstrap_intervals(mse, np.zeros(0), np.zeros(0))["m"]
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_masked_rows_are_no_part_of_the_resamples():
    """A boolean mask still draws cells, from the rows it keeps."""
    y_true, y_pred = labelled(900)
    keep = np.arange(900) < 400
    masked = bootstrap_intervals(MACRO_F1, y_true, y_pred, weight=keep)
    assert masked == bootstrap_intervals(MACRO_F1, y_true[:400], y_pred[:400])


def test_float64_offsets_do_not_spoil_an_interval():
    """R2 at an offset of 1e6 and a scale of 1e-3 has the interval of the same data without."""
    random = np.random.default_rng(6)
    y_true = np.round(random.normal(size=400), 6)
    y_pred = np.round(y_true + random.normal(size=400), 6)
    r2 = {"r2": metric("r2_score")}
    plain = bootstrap_intervals(r2, y_true, y_pred)["r2"]
    moved = bootstrap_intervals(r2, 1e6 + 1e-3 * y_true, 1e6 + 1e-3 * y_pred)["r2"]
    assert moved.low == pytest.approx(plain.low, abs=1e-5)
    assert moved.high == pytest.approx(plain.high, abs=1e-5)


def test_resampling_weights_are_poisson():
    """Mean 1 and variance 1, and the chances of 0 to 4 are the distribution's."""
    draws = np.asarray(poisson(jax.random.key(0), 2000)).reshape(-1)
    assert draws.mean() == pytest.approx(1, abs=0.004)
    assert draws.var() == pytest.approx(1, abs=0.008)
    for k in range(5):
        assert np.mean(draws == k) == pytest.approx(math.exp(-1) / math.factorial(k), abs=0.002)


def test_drawn_tables_have_the_rows_of_the_table():
    """Every resample has as many rows as the sample, and empty cells stay empty."""
    y_true, y_pred = labelled(100, classes=2)
    f1 = metric("f1_score", num_classes=3)
    (state,) = compute({"f1": f1}, y_true, y_pred).states.values()
    (tables,) = draw_tables(state, 50, 0)
    cells = tables.cells.value()
    assert cells.shape == (50, 3, 3)
    assert (cells.sum((1, 2)) == 100).all()
    assert not cells[:, 2].any()


def test_what_has_no_bootstrap_is_refused_by_name():
    """A maximum has none, weighted cells are not drawn, and options have their bounds."""
    y_true, y_pred = labelled(50, classes=2)
    assert metric("max_error").resampling is None
    with pytest.raises(ValueError, match="worst: max_error has no interval: the largest"):
        bootstrap_intervals({"worst": metric("max_error")}, y_true, y_pred)
    weighted = compute(MACRO_F1, y_true, y_pred, weight=np.ones(50)).states
    with pytest.raises(ValueError, match="f1: drawing cells needs a table of unweighted counts"):
        count_intervals(MACRO_F1, weighted)
    with pytest.raises(ValueError, match=r"level must be between 0 and 1, not 95\.0"):
        bootstrap_intervals(MACRO_F1, y_true, y_pred, level=95.0)
    with pytest.raises(ValueError, match="n_resamples must be at least 2, not 1"):
        bootstrap_intervals(MACRO_F1, y_true, y_pred, n_resamples=1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_resamples_of_one_row_have_no_spread(dtype, weighted):
    """Of four rows one in 64 resamples is one row alone, whose targets are all equal."""
    random = np.random.default_rng(0)
    true, pred = random.normal(size=(2, 4)).astype(dtype)
    weight = random.random(4) if weighted else None
    metrics = {name: metric(name) for name in ("r2_score", "explained_variance_score")}
    found = bootstrap_intervals(metrics, true, pred, weight=weight, level=0.98, n_resamples=500)
    for interval in found.values():
        assert float(interval.high) <= 1
        assert float(interval.low) > -1e6
