"""Intervals hold the truth as often as they say, on every path, over many simulated samples.

The samples of a test share their draws and one matrix product, so that hundreds of them cost
what a few do.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.metrics import compute, metric, proportion_interval
from modelops_jax.metrics._cell_draws import draw_tables, resample_cells
from modelops_jax.metrics._interval import Resampled
from modelops_jax.metrics._row_draws import Draws
from modelops_jax.metrics._statistic import check_rows

SAMPLES, ROWS, GROUP_OF = 800, 512, 4
IN_GROUPS = np.arange(ROWS, dtype=np.int32) // GROUP_OF


@functools.partial(jax.jit, static_argnums=0)
def _sums(statistic, sets, state, y_true, y_pred, weight):
    """Column sums of every sample under every set of weights, shape (sets * samples, columns)."""

    def columns(true, pred, weight):
        return statistic.row_columns(check_rows(true, pred, weight), state)

    sums = jnp.einsum("rn,snk->rsk", sets, jax.vmap(columns)(y_true, y_pred, weight))
    return statistic.of_column_sums(sums.reshape(-1, sums.shape[-1]), state)


def held(name, y_true, y_pred, truth, *, weight=None, groups=None, bca=False, **options):
    """The share of samples, shape (samples, rows), whose 95 % interval holds the truth."""
    found = metric(name, **options)
    weight = np.ones(y_true.shape, np.float32) if weight is None else weight
    states = compute({"it": found}, y_true[0], y_pred[0], weight=weight[0]).states
    units = ROWS if groups is None else int(groups[-1]) + 1
    draws = Draws(poisson=1000, parts=units if bca else 0)
    sets = draws.of_block(jax.random.key(1), np.zeros((), np.int32), groups, ROWS)
    sums = [
        _sums(s, sets.astype(jnp.float32), states[s], y_true, y_pred, weight)
        for s in found.statistics
    ]
    values = found.finalizer(np, *jax.device_get(sums)).value.reshape(draws.count, -1)
    low, high = Resampled(values[0], values[1:1001], values[1001:]).ends(0.95, bca)
    return np.mean((low <= truth) & (truth <= high))


def normal(seed, spread=1.0, shape=(SAMPLES, ROWS)):
    """Independent normal numbers in float32."""
    return np.random.default_rng(seed).normal(scale=spread, size=shape).astype(np.float32)


def in_groups(seed):
    """Normal numbers of variance 1 whose groups of rows share most of it."""
    shared = normal(seed, math.sqrt(0.8), (SAMPLES, ROWS // GROUP_OF))
    return np.repeat(shared, GROUP_OF, axis=1) + normal(seed + 1, math.sqrt(0.2))


def test_means():
    """Mean absolute errors of normal errors."""
    error = normal(2)
    found = held("mean_absolute_error", np.zeros_like(error), error, math.sqrt(2 / math.pi))
    assert 0.93 <= found <= 0.97


@pytest.mark.parametrize("bca", [False, True])
def test_regression_moments(bca):
    """R2 and Pearson's correlation, whose statistics are centred squares and products."""
    y_true, noise = normal(3), normal(4)
    of_r2 = held("r2_score", y_true, y_true + 0.5 * noise, 0.75, bca=bca)
    of_pearson = held("pearson_corrcoef", y_true, y_true + noise, math.sqrt(0.5), bca=bca)
    assert 0.93 <= of_r2 <= 0.97
    assert 0.93 <= of_pearson <= 0.97


def test_weighted_counts():
    """Accuracy of weighted rows; drawing cells of summed weights would hold it too seldom."""
    random = np.random.default_rng(5)
    right = (random.random((SAMPLES, ROWS)) < 0.7).astype(np.int32)
    weight = random.exponential(size=right.shape).astype(np.float32)
    ones = np.ones_like(right)
    assert 0.93 <= held("accuracy_score", ones, right, 0.7, weight=weight) <= 0.97


@pytest.mark.parametrize("bca", [False, True])
def test_groups_of_rows(bca):
    """Means of rows that depend on each other: their groups hold the truth, rows do not."""
    value = in_groups(6)
    zeros, truth = np.zeros_like(value), math.sqrt(2 / math.pi)
    by_groups = held("mean_absolute_error", zeros, value, truth, groups=IN_GROUPS, bca=bca)
    assert 0.93 <= by_groups <= 0.97
    assert held("mean_absolute_error", zeros, value, truth, bca=bca) < 0.9


def test_labels_of_one_row():
    """Multilabel rows, an entry a label: groups hold the accuracy, entries or cells do not."""
    right = (in_groups(8) < 0.5).astype(np.int32)
    ones = np.ones_like(right)
    truth = 0.5 * (1 + math.erf(0.5 / math.sqrt(2)))
    assert 0.93 <= held("accuracy_score", ones, right, truth, groups=IN_GROUPS) <= 0.97
    assert held("accuracy_score", ones, right, truth) < 0.9
    shares = proportion_interval(right.sum(axis=1), np.full(SAMPLES, ROWS))
    assert np.mean((shares.low <= truth) & (truth <= shares.high)) < 0.9


@pytest.mark.parametrize("bca", [False, True])
def test_cells(bca):
    """Macro-averaged F1 of unweighted rows, by drawing tables."""
    random = np.random.default_rng(10)
    shares = np.array([[0.35, 0.12], [0.18, 0.35]])
    found = metric("f1_score", average="macro", num_classes=2)
    truth = np.mean(2 * np.diag(shares) / (shares.sum(0) + shares.sum(1)))
    (state,) = compute({"it": found}, np.zeros(1, int), np.zeros(1, int)).states.values()
    covered, samples = 0, 500
    for seed in range(samples):
        cells = random.multinomial(300, shares.reshape(-1)).reshape(2, 2).astype(np.uint32)
        sample = type(state)(type(state.cells)(cells, np.zeros_like(cells)), state.invalid)
        drawn = resample_cells(found, sample, draw_tables(sample, 400, seed), jackknife=bca)
        low, high = drawn.ends(0.95, bca)
        covered += low <= truth <= high
    assert 0.93 <= covered / samples <= 0.97


def test_proportions_exactly():
    """The coverage of Wilson's and the exact interval, summed over all outcomes of 100 rows.

    Wilson's is near the level on average and never far below; the exact one never is below.
    """
    counts = np.arange(101)
    choices = np.array([float(math.comb(100, k)) for k in counts])
    truths = np.linspace(0.02, 0.98, 97)[:, None]
    chance = choices * truths**counts * (1 - truths) ** (100 - counts)
    coverage = {}
    for method in ("wilson", "exact"):
        found = proportion_interval(counts, np.full(101, 100), method=method)
        inside = (found.low <= truths) & (truths <= found.high)
        coverage[method] = (chance * inside).sum(axis=1)
    assert 0.945 <= coverage["wilson"].mean() <= 0.955
    assert coverage["wilson"].min() > 0.92
    assert coverage["exact"].min() >= 0.95
