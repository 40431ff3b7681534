"""A metric of one's own, registered with one call, is treated as those of the table are."""

import inspect
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.evaluation import TEXT_METRICS, EvaluationStream, ModelEvaluator, compare
from modelops_jax.metrics import (
    METRICS,
    Mean,
    Metric,
    Outcome,
    RowMean,
    bootstrap_intervals,
    check_laws,
    compute,
    metric,
    register_metric,
)

RNG = np.random.default_rng(4)
TRUE = RNG.normal(size=90)
PRED = TRUE + RNG.normal(size=90)


@dataclass(frozen=True)
class Above:
    """1 where the error is above a limit, else 0."""

    limit: float

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        return (jnp.abs(y_true - y_pred) > self.limit).astype(y_true.dtype)


def share_above_metric(limit: float = 1.0) -> Metric:
    """The share of errors above a limit."""
    return Metric("any name", (RowMean(Above(limit)),), Mean())


@pytest.fixture
def share_above():
    """The plain function of a metric that is in the table during one test."""
    function = register_metric(
        "share_above",
        share_above_metric,
        inputs="values",
        higher_is_better=False,
        low=0,
        high=1,
        excused={"gradient": "a share of rows is constant between its jumps"},
    )
    yield function
    del METRICS["share_above"]


def test_one_call_gives_everything(share_above):
    """The function, traced too; compute, weights, intervals; by name with its options."""
    errors = np.abs(TRUE - PRED)
    assert float(share_above(TRUE, PRED)) == np.mean(errors > 1)
    assert float(share_above(TRUE, PRED, limit=0.5)) == np.mean(errors > 0.5)
    assert share_above.__name__ == "share_above"
    assert METRICS["share_above"].options == {"limit": True}
    traced = jax.jit(lambda t, p: share_above(t, p, limit=0.5))(TRUE, PRED)
    assert float(traced) == pytest.approx(np.mean(errors > 0.5))
    weight = RNG.random(90)
    both = {"far": metric("share_above", limit=2.0), "mse": metric("mean_squared_error")}
    report = compute(both, TRUE, PRED, weight=weight)
    expected = np.average(errors > 2, weights=weight)
    assert report.values["far"] == pytest.approx(expected, rel=1e-12)
    found = bootstrap_intervals({"it": both["far"]}, TRUE, PRED, n_resamples=200)["it"]
    assert found.low < np.mean(errors > 2) < found.high
    with pytest.raises(TypeError, match="share_above has no option 'limits'; its options are: lim"):
        metric("share_above", limits=1.0)


def test_an_evaluator_takes_it_by_name(share_above):
    """Values, intervals, slices worst first, a stream from a file, and models compared."""
    evaluator = ModelEvaluator("regression", metrics=["share_above"])
    evaluator.add_metric("share_above", limit=0.5, name="share_above_half")
    half = np.abs(TRUE - PRED) > 0.5
    part = np.arange(90) % 2
    result = evaluator.evaluate(TRUE, PRED, confidence=0.9, slices={"part": part})
    assert result.metrics["share_above_half"] == pytest.approx(half.mean())
    assert result.intervals.keys() == {"share_above", "share_above_half"}
    first, second = result.slices
    assert first.metrics["share_above"] >= second.metrics["share_above"]
    assert first.metrics["share_above_half"] == pytest.approx(
        half[part == first.key["part"]].mean()
    )
    stream = evaluator.stream()
    stream.update(TRUE[:30], PRED[:30])
    stream.save("own.state")
    stream = EvaluationStream.load("own.state", evaluator)
    stream.update(TRUE[30:], PRED[30:])
    assert stream.result().metrics == pytest.approx(dict(result.metrics))
    found = compare(TRUE, {"bad": PRED, "good": TRUE + 0.1}, task=evaluator, n_resamples=200)
    assert found.metrics["share_above"].verdicts == {"bad": "worse than the best", "good": "best"}
    with pytest.raises(ValueError, match="share_above takes values and does not fit the task 'bin"):
        ModelEvaluator("binary").add_metric("share_above")


def test_the_laws_are_tried_on_given_rows(share_above):
    """A mean obeys them all."""
    tried = ("permutation", "repetition", "zero_weight", "merge", "padding", "jit", "vmap")
    assert check_laws("share_above", TRUE, PRED, limit=0.5) == tried


@dataclass(frozen=True)
class NumberOfRows:
    """How many rows there are, whatever they weigh."""

    def __call__(self, xp: Any, state: Any) -> Outcome:
        return Outcome(state.rows.value(), 0)


@dataclass(frozen=True)
class Forgetful(RowMean):
    """A mean that forgets one of two states."""

    def merge(self, left: Any, right: Any) -> Any:
        return left


@pytest.mark.parametrize(
    ("law", "wrong"),
    [
        ("repetition", Metric("it", (RowMean(Above(1.0)),), NumberOfRows())),
        ("merge", Metric("it", (Forgetful(Above(1.0)),), Mean())),
    ],
)
def test_a_broken_law_is_named(law, wrong):
    """With both values."""
    register_metric("wrong_metric", wrong, inputs="values", higher_is_better=None)
    try:
        with pytest.raises(AssertionError, match=f"wrong_metric breaks the law '{law}': .* is not"):
            check_laws("wrong_metric", TRUE, PRED)
    finally:
        del METRICS["wrong_metric"]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"name": "f1_score"}, ValueError, "named 'f1_score' is in METRICS already"),
        ({"name": "my score"}, ValueError, "'my score' is no identifier"),
        ({"inputs": "numbers"}, ValueError, "inputs must be one of .*, not 'numbers'"),
        (
            {"excused": {"order": "no"}},
            ValueError,
            "excused has 'order', which is none of",
        ),
        ({"low": 1, "high": 0}, ValueError, "from low=1.0 to high=0.0"),
        ({"low": float("nan")}, ValueError, "from low=nan to high=inf"),
        ({"name": 3}, TypeError, "name must be a string, not 3"),
        ({"higher_is_better": "no"}, TypeError, "higher_is_better must be .* None, not 'no'"),
        ({"higher_is_better": 0}, TypeError, "higher_is_better must be True, False or .*, not 0"),
        ({"low": "0"}, TypeError, "low must be a number, not '0'"),
        ({"high": True}, TypeError, "high must be a number, not True"),
        ({"excused": ["gradient"]}, TypeError, r"excused must be a mapping .*, not \['gradient'\]"),
        ({"excused": {"jit": None}}, TypeError, r"excused\['jit'\] must be a string, .* not None"),
        ({"build": lambda: 3}, TypeError, "build gave an int; expected a Metric"),
        ({"build": lambda *limits: share_above_metric()}, TypeError, r"build takes \*limits"),
    ],
)
def test_what_cannot_be_registered(changes, error, message):
    """And the table stays as it is."""
    given: dict[str, Any] = {
        "name": "fine", "build": share_above_metric, "inputs": "values", "higher_is_better": None,
    }  # fmt: skip
    before = dict(METRICS)
    with pytest.raises(error, match=message):
        # Unwrapped, because beartype would refuse some of these first.
        inspect.unwrap(register_metric)(**given | changes)
    assert before == METRICS


@pytest.mark.parametrize("name", sorted(TEXT_METRICS))
def test_a_name_of_a_metric_of_texts_is_taken(name):
    """Which the task of texts would take, and the metric of one's own never be computed there."""
    with pytest.raises(ValueError, match=f"'{name}' is "):
        register_metric(name, share_above_metric, inputs="tokens", higher_is_better=None)
