"""Long blocks are summed lane by lane, numbers that need no mask as if all were valid."""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.metrics import bootstrap_intervals, compute, metric

# Rows that are read lane by lane, in several groups, with some left over.
LONG = 1 << 18
_SAMPLED = np.arange(LONG + 1) % (1 << 17) < 1 << 12
_FURTHEST_OFF = np.float32(1.9847564697265625)

_NAMES = ("mean_squared_error", "mean_absolute_error", "r2_score", "pearson_corrcoef")
_METRICS = {name: metric(name) for name in _NAMES}


def _exact(y_true: np.ndarray, y_pred: np.ndarray) -> dict[str, float]:
    """By the definitions, in float64 about the exact means, sums without rounding error."""
    true, pred = y_true.astype(np.float64), y_pred.astype(np.float64)
    true_gaps, pred_gaps = (x - math.fsum(x - x[0]) / x.size - x[0] for x in (true, pred))
    errors = math.fsum((true - pred) ** 2)
    true_squares, pred_squares = math.fsum(true_gaps**2), math.fsum(pred_gaps**2)
    return {
        "mean_squared_error": errors / true.size,
        "mean_absolute_error": math.fsum(np.abs(true - pred)) / true.size,
        "r2_score": 1 - errors / true_squares,
        "pearson_corrcoef": math.fsum(true_gaps * pred_gaps)
        / math.sqrt(true_squares * pred_squares),
    }


def _rows(dtype: type, layout: str) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    true = random.standard_normal(LONG + 1)
    if layout == "far head":  # what is looked at for a centre says nothing about the rest
        true[:: LONG // 256] += 1e3
    if layout == "far sample":  # the rows that a centre is first taken from
        true[_SAMPLED] += 1e3
    if layout == "offset":
        true = true + 100
    pred = true + 0.5 * random.standard_normal(true.size)
    return true.astype(dtype), pred.astype(dtype)


@pytest.mark.parametrize("layout", ["plain", "offset", "far head", "far sample"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-12)])
def test_a_long_block_gives_the_exact_value(layout: str, dtype: type, tolerance: float) -> None:
    true, pred = _rows(dtype, layout)
    values = compute(_METRICS, true, pred).values
    for name, expected in _exact(true, pred).items():
        assert float(values[name]) == pytest.approx(expected, rel=tolerance, abs=tolerance), name


@pytest.mark.parametrize("masked", [True, False])
def test_a_long_block_of_masked_or_weighted_rows_is_exact(masked: bool) -> None:
    true, pred = _rows(np.float32, "offset")
    weight = np.arange(true.size) % 3  # the first row is not in it
    true[weight == 0], pred[weight == 0] = np.nan, np.inf
    given = weight > 0 if masked else weight.astype(np.float32)
    values = compute(_METRICS, true, pred, weight=given).values
    copies = np.minimum(weight, 1) if masked else weight
    for name, expected in _exact(np.repeat(true, copies), np.repeat(pred, copies)).items():
        assert float(values[name]) == pytest.approx(expected, rel=1e-6, abs=1e-6), name


def test_a_million_equal_errors_do_not_add_up_their_roundings() -> None:
    # A float32 whose plain sums are far off: that of 256 of them by 3.8e-6 of itself.
    error = np.full(1 << 20, _FURTHEST_OFF, np.float32)
    value = compute({"mae": metric("mean_absolute_error")}, 0 * error, error).values["mae"]
    assert float(value) == pytest.approx(float(_FURTHEST_OFF), rel=1e-6)


def test_lanes_of_equal_rows_do_not_add_up_their_roundings() -> None:
    # Both columns are constant in the sampled rows and in all others. Added one after the other,
    # the 32 equal rows of a lane made R2 3.7e-6 and the squared error 1.4e-6 wrong.
    sampled = _SAMPLED[:LONG]
    true = np.where(sampled, np.float32(-1.2739394), np.float32(-0.658994))
    pred = np.where(sampled, np.float32(-0.2285776), np.float32(-0.6558216))
    values = compute(_METRICS, true, pred).values
    for name, expected in _exact(true, pred).items():
        assert float(values[name]) == pytest.approx(expected, rel=1e-6), name


@pytest.mark.parametrize("threads", [0, 1])
def test_blocks_are_read_where_no_more_threads_start(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of a script, where threads of the script still run, Python starts no others."""
    wanted = {"mae": metric("mean_absolute_error")}
    error = np.arange((1 << 20) + (1 << 19), dtype=np.float32) % 7
    expected = compute(wanted, 0 * error, error).values["mae"]
    submit, started = ThreadPoolExecutor.submit, []

    def refuse(pool: ThreadPoolExecutor, *work: Any) -> Any:
        if len(started) == threads:
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")
        started.append(work)
        return submit(pool, *work)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", refuse)
    assert compute(wanted, 0 * error, error).values["mae"] == expected
    assert len(started) == threads
    assert float(expected) == pytest.approx(np.mean(error, dtype=np.float64), rel=1e-6)


@pytest.mark.parametrize("argument", ["y_true", "y_pred"])
@pytest.mark.parametrize("names", [_NAMES, ("r2_score",), ("mean_squared_error",)])
def test_values_that_are_not_finite_are_counted(argument: str, names: tuple[str, ...]) -> None:
    true, pred = _rows(np.float32, "plain")
    rows = {"y_true": true, "y_pred": pred}
    rows[argument][[7, LONG - 3]] = np.nan, np.inf
    with pytest.raises(ValueError, match=rf"{argument}: 2 values that are not finite"):
        compute({name: _METRICS[name] for name in names}, rows["y_true"], rows["y_pred"])


def test_a_sum_that_overflows_is_not_an_invalid_row() -> None:
    true, pred = _rows(np.float32, "plain")
    pred[5] = 1e30
    value = compute({"mse": metric("mean_squared_error")}, true, pred).values["mse"]
    assert value == np.inf


def test_inside_jit_and_vmap_the_short_and_the_long_way_agree() -> None:
    true, pred = _rows(np.float32, "plain")
    function = metric("r2_score")

    def value(y_true: jax.Array, y_pred: jax.Array, weight: jax.Array | None) -> jax.Array:
        state = function.identity()
        return function.finalize(function.update(state, y_true, y_pred, weight)).value

    long = jax.jit(jax.vmap(value, in_axes=(0, 0, None)))
    true[0], broken = true[0], pred.copy()
    broken[11] = np.nan
    plain, bad = long(jnp.stack([true, true]), jnp.stack([pred, broken]), None)
    masked = jax.jit(value)(true, pred, jnp.ones(true.shape, bool))
    assert float(plain) == pytest.approx(float(masked), rel=1e-6)
    assert math.isnan(float(bad))


def test_equal_values_have_no_squares_at_all() -> None:
    true = np.full(LONG, 0.1, np.float32)
    with_errors = compute({"r2": metric("r2_score")}, true, true + np.float32(1)).values["r2"]
    assert with_errors == 0.0  # not some huge number, as rounding errors for squares would give


def test_the_derivative_goes_through() -> None:
    _, pred = _rows(np.float32, "plain")
    # About a centre from the sample the squares would add up their roundings.
    true = np.where(_SAMPLED, np.float32(1.94057), np.float32(0))
    functions = metric("mean_squared_error"), metric("r2_score")

    def value(y_true: jax.Array, y_pred: jax.Array) -> Any:
        states = (f.update(f.identity(), y_true, y_pred) for f in functions)
        return sum(f.finalize(s).value for f, s in zip(functions, states, strict=True))

    of_true, of_pred = jax.jit(jax.grad(value, argnums=(0, 1)))(true, pred)
    error, apart = pred.astype(float) - true, true - np.mean(true, dtype=float)
    squares = np.sum(apart**2)
    direct = 2 * error / true.size - 2 * error / squares
    about = 2 * np.sum(error**2) * apart / squares**2
    np.testing.assert_allclose(of_pred, direct, rtol=4e-6, atol=1e-9)
    np.testing.assert_allclose(of_true, about - direct, rtol=4e-6, atol=1e-9)


def test_intervals_of_many_rows_use_the_same_states() -> None:
    true, pred = _rows(np.float32, "plain")
    interval = bootstrap_intervals(
        {"mse": metric("mean_squared_error")}, true, pred, n_resamples=20
    )
    assert interval["mse"].low < np.mean((true - pred) ** 2) < interval["mse"].high
