"""Intervals of slices hold the truth as often as they say, through the evaluator's own call.

Every slice is one simulated sample of the same distribution, so one evaluation is all of them.
Run by `make test-simulation`; that a slice has the interval of its rows alone is tested elsewhere.
"""

import math
from typing import Any

import numpy as np
import pytest

from modelops_jax.evaluation import ModelEvaluator

pytestmark = pytest.mark.simulation

ROWS = 200


def held(task: str, y_true: Any, y_pred: Any, metrics: Any = None, groups: Any = None, rows=ROWS):
    """By metric a function of the truth: the share of slices whose 95 % interval holds it."""
    slices: dict[Any, Any] = {"sample": np.arange(len(y_true)) // rows}
    evaluator = ModelEvaluator(task, metrics=metrics)
    result = evaluator.evaluate(y_true, y_pred, confidence=0.95, slices=slices, groups=groups)

    def share(name, truth):
        intervals = [one.intervals[name] for one in result.slices]
        return np.mean([interval.low <= truth <= interval.high for interval in intervals])

    return share


def test_slices_of_labels():
    """Wilson's interval of accuracy and drawn tables of F1, of 500 slices."""
    cells = np.array([[0.35, 0.12], [0.18, 0.35]])
    drawn = np.random.default_rng(0).choice(4, size=500 * ROWS, p=cells.ravel())
    names = np.array(["ham", "spam"])
    share = held("multiclass", names[drawn // 2], names[drawn % 2])
    f1 = np.mean(2 * np.diag(cells) / (cells.sum(axis=0) + cells.sum(axis=1)))
    assert 0.93 <= share("accuracy", 0.7) <= 0.97
    assert 0.93 <= share("f1", f1) <= 0.97


def test_slices_of_scores():
    """DeLong's interval of AUROC, of 500 slices."""
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 500 * ROWS)
    share = held("ranking", labels, random.normal(size=labels.size) + labels)
    assert 0.93 <= share("auc_roc", 0.5 * (1 + math.erf(0.5))) <= 0.97


@pytest.mark.parametrize("clustered", [False, True])
def test_slices_of_values(clustered):
    """Means of errors, of independent rows and of pairs of rows that share most of theirs."""
    random = np.random.default_rng(2)
    count = 500 * ROWS
    error, groups = random.normal(size=count), None
    if clustered:
        groups = np.arange(count) // 2
        shared = np.repeat(random.normal(size=count // 2), 2)
        error = math.sqrt(0.8) * shared + math.sqrt(0.2) * error
    share = held("regression", np.zeros(count), error, ["mean_absolute_error"], groups)
    assert 0.93 <= share("mean_absolute_error", math.sqrt(2 / math.pi)) <= 0.97


@pytest.mark.parametrize("outputs", [1, 3])
def test_slices_of_several_outputs(outputs):
    """R2 of rows whose outputs share most of their errors."""
    random = np.random.default_rng(4)
    rows = 512  # of fewer, the percentiles of so skewed a value are short of the level
    y_true = random.normal(size=(400 * rows, outputs))
    noise = math.sqrt(0.8) * random.normal(size=(400 * rows, 1))
    noise = noise + math.sqrt(0.2) * random.normal(size=y_true.shape)
    share = held("regression", y_true, y_true + 0.5 * noise, ["r2_score"], rows=rows)
    assert 0.93 <= share("r2_score", 0.75) <= 0.97


def test_slices_of_label_sets():
    """Recall and F1 of rows whose three labels depend on each other."""
    random = np.random.default_rng(3)
    latent = math.sqrt(0.8) * random.normal(size=(200 * ROWS, 1))
    latent = latent + math.sqrt(0.2) * random.normal(size=(200 * ROWS, 3))
    names = ["recall_score", "f1_score"]
    share = held("multilabel", np.ones(latent.shape, int), (latent < 0.5).astype(int), names)
    recall = 0.5 * (1 + math.erf(0.5 / math.sqrt(2)))
    assert 0.93 <= share("recall_score", recall) <= 0.97
    assert 0.93 <= share("f1_score", 2 * recall / (1 + recall)) <= 0.97


@pytest.mark.parametrize("size", [5, 20])
def test_slices_without_a_difference_are_seldom_called_different(size):
    """Student's test of skewed numbers: one slice among 400 rows, of 300 samples each."""
    random = np.random.default_rng(size)
    slices: dict[Any, Any] = {"small": np.arange(400 + size) < size}
    evaluator = ModelEvaluator("regression", metrics=["mean_squared_error", "mean_absolute_error"])
    found = []
    for _ in range(300):
        error = random.normal(size=400 + size)
        result = evaluator.evaluate(0 * error, error, confidence=0.95, slices=slices)
        # Holm's p-values of the two slices, which are one test, are twice its own.
        found.append([one / 2 for one in result.slices[0].p_values.values()])
    # 0.05, and three standard errors of 300 samples.
    share = np.mean(np.asarray(found) <= 0.05, axis=0)
    assert (share <= 0.088).all()
    assert (share >= 0.012).all()
