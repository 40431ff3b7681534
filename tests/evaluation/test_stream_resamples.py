"""Intervals of sums whose resamples are drawn as rows come in."""

import numpy as np
import pytest

from modelops_jax.evaluation import EvaluationStream, ModelEvaluator
from modelops_jax.metrics import ResampleStream, metric

RNG = np.random.default_rng(6)
ROWS = 6_000  # more than a block of 4,096
TRUE = RNG.normal(size=ROWS) + 1e6
PRED = TRUE + RNG.normal(size=ROWS)


@pytest.fixture(scope="module")
def whole():
    return ModelEvaluator("regression", metrics=["r2_score"]).evaluate(
        TRUE, PRED, confidence=0.9, seed=3
    )


@pytest.mark.parametrize("ends", [(1, 300, 4_700, ROWS), (ROWS,)])
def test_the_interval_is_that_of_all_rows_together(ends, whole, tmp_path):
    """Whatever the batches, of which the first has one row; far from zero, about its mean."""
    evaluator = ModelEvaluator("regression", metrics=["r2_score"])
    stream = evaluator.stream(resamples=1000, seed=3)
    assert stream.resamples_rows == ()
    start = 0
    for stop in ends:
        stream.save(tmp_path / "state")
        stream = EvaluationStream.load(tmp_path / "state", evaluator)
        stream.update(TRUE[start:stop], PRED[start:stop])
        start = stop
    result = stream.result(confidence=0.9, seed=3)
    found, expected = result.intervals["r2_score"], whole.intervals["r2_score"]
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert found.method == expected.method == "Poisson percentile"
    assert result.signature == whole.signature


@pytest.mark.parametrize("method", ["auto", "exact", "percentile"])
@pytest.mark.parametrize("resamples", [0, 50])
def test_a_share_of_rows_has_the_interval_that_evaluate_gives(method, resamples):
    """Top-k accuracy is a share of rows that are counted by class, so that no row is resampled."""
    rng = np.random.default_rng(7)
    labels, scores = rng.integers(0, 4, 60), rng.dirichlet(np.ones(4), 60)
    evaluator = ModelEvaluator("multiclass", metrics=["top_k_accuracy_score"])
    asked = {"confidence": 0.9, "interval": method, "n_resamples": 50}
    stream = evaluator.stream(resamples=resamples)
    for rows in (slice(0, 25), slice(25, 60)):
        stream.update(labels[rows], None, y_score=scores[rows])
    whole = evaluator.evaluate(labels, None, y_score=scores, **asked)
    assert stream.result(**asked).intervals == whole.intervals
    expected = {
        "auto": "Wilson",
        "exact": "Clopper-Pearson",
        "percentile": "multinomial percentile",
    }
    assert whole.intervals["top_k_accuracy_score"].method == expected[method]


def test_memory_is_that_of_a_block():
    """What waits for its block is less than a block, however many rows came."""
    stream = ResampleStream({"mae": metric("mean_absolute_error")}, n_resamples=2)
    for _ in range(5):
        stream.update(TRUE, PRED)
    assert stream._sums.waiting < 4_096
    assert stream._sums._true.base is None


def test_every_batch_is_checked():
    """As the first is: a refused one leaves the stream as it was, and (n, 1) is (n,)."""
    stream = ResampleStream({"mae": metric("mean_absolute_error")}, n_resamples=2)
    stream.update(TRUE[:4], PRED[:4])
    before = stream.intervals()["mae"]
    with pytest.raises(ValueError, match="y_pred: 1 values that are not finite, the first at inde"):
        stream.update([1.0, 2.0], [1.0, np.nan])
    assert stream.intervals()["mae"] == before
    other = ResampleStream({"mae": metric("mean_absolute_error")}, n_resamples=2)
    other.update(TRUE[:4, None], PRED[:4, None])
    assert other.intervals()["mae"] == before
    scores = ResampleStream({"loss": metric("log_loss")}, n_resamples=2)
    scores.update([0, 1], [[0.5, 0.5], [0.5, 0.5]])
    with pytest.raises(
        ValueError, match=r"y_pred has rows of shape \(\); the rows before have \(2,"
    ):
        scores.update([0, 1], [0.5, 0.5])


def test_what_would_be_drawn_alike_is_refused():
    evaluator = ModelEvaluator("regression", metrics=["mean_absolute_error"])
    stream, other = (evaluator.stream(resamples=2) for _ in range(2))
    with pytest.raises(ValueError, match="streams that draw resamples cannot be merged"):
        stream.merge(other)
    with pytest.raises(ValueError, match="the stream draws 2 resamples by the seed 0"):
        stream.result(confidence=0.9, seed=1)
    for method in ("bca", "wilson", "exact"):
        with pytest.raises(ValueError, match=f"interval is '{method}'; mean_absolute_error: resam"):
            stream.result(confidence=0.9, interval=method, n_resamples=2)
    with pytest.raises(ValueError, match="accuracy_score is no function of sums over rows"):
        ResampleStream({"accuracy": metric("accuracy_score")})
