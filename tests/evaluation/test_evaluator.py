"""`Evaluator`: the order of arguments, float64, errors that name their metric, refusals."""

import math
import pickle

import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics as sk

import modelops_jax.metrics as numeric
from modelops_jax.evaluation import (
    AccuracyMetric,
    AUCROCMetric,
    Evaluator,
    F1Metric,
    MAEMetric,
    MetricError,
    MetricTypeError,
    MetricValueError,
    MSEMetric,
    PrecisionMetric,
    R2Metric,
    RecallMetric,
    RMSEMetric,
    exact_match_metric,
    length_ratio_metric,
)


def test_documented_call():
    """The call of the documentation gives what the documentation says."""
    evaluator = Evaluator(metrics={"exact_match": exact_match_metric})
    scores = evaluator.evaluate(predictions=["4", "London"], references=["4", "Paris"])
    assert scores == {"exact_match": 0.5}
    assert type(scores["exact_match"]) is float


def test_default_metrics():
    """Without metrics both text metrics are computed."""
    scores = Evaluator().evaluate(["ab", "c"], ["ab", "cd"])
    assert scores == {"exact_match": 0.5, "length_ratio": 0.75}


def test_functions_get_predictions_first_and_objects_targets_first():
    """Functions are called as fn(predictions, references), objects as compute(y_true, y_pred)."""
    seen = []

    def function(predictions, references):
        seen.append((predictions, references))
        return 0

    class Object:
        name = "object"

        def compute(self, y_true, y_pred):
            seen.append((y_pred, y_true))
            return 1

    scores = Evaluator({"f": function, "o": Object()}).evaluate(["p"], ["r"])
    assert scores == {"f": 0.0, "o": 1.0}
    assert seen == [(["p"], ["r"])] * 2


def test_metric_objects_equal_sklearn():
    """Metric objects give in one evaluation what scikit-learn gives one by one."""
    random = np.random.default_rng(2)
    references, predictions = random.integers(0, 2, (2, 500))
    scores = Evaluator(
        {
            "recall": RecallMetric(),
            "precision": PrecisionMetric(),
            "f1 macro": F1Metric(average="macro"),
            "f1 weighted": F1Metric(average="weighted"),
            "accuracy": AccuracyMetric(),
            "auc_roc": AUCROCMetric(),
        }
    ).evaluate(predictions, references)
    expected = {
        "recall": sk.recall_score(references, predictions),
        "precision": sk.precision_score(references, predictions),
        "f1 macro": sk.f1_score(references, predictions, average="macro"),
        "f1 weighted": sk.f1_score(references, predictions, average="weighted"),
        "accuracy": sk.accuracy_score(references, predictions),
        "auc_roc": sk.roc_auc_score(references, predictions),
    }
    assert list(scores) == list(expected)
    np.testing.assert_allclose(list(scores.values()), list(expected.values()), rtol=1e-12)


@pytest.mark.parametrize("convert", [np.asarray, list, tuple])
def test_float64_is_computed_in_float64(convert):
    """Objects, this package's functions and a user's own JAX code keep float64 input's digits."""
    default = jnp.asarray(1.0).dtype
    random = np.random.default_rng(4)
    references = 1e6 + 1e-3 * random.normal(size=700)
    predictions = references + 1e-4 * random.normal(size=700)
    exact = math.fsum((references - predictions) ** 2) / 700

    def own(predictions, references):
        return jnp.mean(jnp.square(jnp.asarray(predictions) - jnp.asarray(references)))

    def turned(predictions, references):
        return numeric.r2_score(references, predictions)

    scores = Evaluator(
        {
            "own": own,
            "plain": numeric.mean_squared_error,
            "object": MSEMetric(),
            "rmse": RMSEMetric(),
            "mae": MAEMetric(),
            "r2": R2Metric(),
            "turned": turned,
        }
    ).evaluate(convert(predictions), convert(references))
    for name in ("own", "plain", "object"):
        assert scores[name] == pytest.approx(exact, rel=1e-12)
    assert scores["rmse"] == pytest.approx(math.sqrt(exact), rel=1e-12)
    assert scores["r2"] == pytest.approx(scores["turned"], rel=1e-12)
    assert jnp.asarray(1.0).dtype == default


def test_64_bits_are_not_cut():
    """Of unsigned integers, and of rows of Python's numbers."""

    def widest(predictions, references):
        return jnp.max(jnp.asarray(predictions))

    evaluator = Evaluator({"widest": widest})
    wide = np.array([2**40, 1], np.uint64)
    assert evaluator.evaluate(wide, wide) == {"widest": 2.0**40}
    assert evaluator.evaluate([[1e300, 0.1]], [[0.0, 0.0]]) == {"widest": 1e300}


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (ValueError("bad value"), MetricValueError),
        (TypeError("bad type"), MetricTypeError),
        (ZeroDivisionError("division by zero"), MetricError),
    ],
)
def test_a_metric_that_raises_is_named(raised, kind):
    """The error names the metric, keeps the cause, and is caught as what the metric raised."""

    def broken(predictions, references):
        raise raised

    with pytest.raises(kind, match=f"metric 'mine' failed: {type(raised).__name__}: bad|div") as e:
        Evaluator({"fine": exact_match_metric, "mine": broken}).evaluate(["a"], ["a"])
    assert e.value.metric == "mine"
    assert e.value.__cause__ is raised
    assert isinstance(e.value, MetricError)
    if kind is not MetricError:
        assert isinstance(e.value, type(raised))
    assert str(pickle.loads(pickle.dumps(e.value))) == str(e.value)


def test_a_metric_that_raises_can_be_nan():
    """With on_error="nan" the others are computed, and a warning names the one that failed."""

    def broken(predictions, references):
        raise KeyError("gone")

    evaluator = Evaluator({"mine": broken, "exact_match": exact_match_metric}, on_error="nan")
    with pytest.warns(RuntimeWarning, match=r"metric 'mine' failed: KeyError: 'gone'.*nan"):
        scores = evaluator.evaluate(["a"], ["a"])
    assert math.isnan(scores["mine"])
    assert scores["exact_match"] == 1.0


def test_an_object_that_refuses_its_input_is_named():
    """A metric object's own complaint comes with its name, and only that metric fails."""
    evaluator = Evaluator({"f1": F1Metric(positive_class="eggs"), "accuracy": AccuracyMetric()})
    with pytest.raises(MetricValueError, match=r"metric 'f1' failed: .*'eggs' does not occur"):
        evaluator.evaluate(["ham"], ["spam"])
    evaluator = Evaluator(evaluator.metrics, on_error="nan")
    with pytest.warns(RuntimeWarning, match="metric 'f1' failed"):
        scores = evaluator.evaluate(["ham"], ["spam"])
    assert math.isnan(scores["f1"])
    assert scores["accuracy"] == 0.0


@pytest.mark.parametrize("returned", [0.5, 1, True, np.float32(0.5), np.array(2), jnp.array(0.5)])
def test_one_number_of_any_type_is_a_score(returned):
    """Python, NumPy and JAX scalars become Python floats."""
    found = Evaluator({"m": lambda p, r: returned}).evaluate([1], [1])["m"]
    assert type(found) is float
    assert found == float(returned)


@pytest.mark.parametrize("returned", [None, "0.5", [0.5], np.zeros(1), jnp.zeros(2), 1j])
def test_anything_else_is_no_score(returned):
    """A metric that does not return one number is an error that names it."""
    with pytest.raises(MetricTypeError, match=r"metric 'm' failed: .*expected one number"):
        Evaluator({"m": lambda p, r: returned}).evaluate([1], [1])


@pytest.mark.parametrize(
    ("predictions", "references", "error", "message"),
    [
        (["a", "b"], ["a"], ValueError, "predictions has 2 entries and references has 1"),
        ("ab", ["a", "b"], TypeError, "predictions is one str, 'ab'"),
        (["a"], b"a", TypeError, "references is one bytes"),
        ({"a": 1}, ["a"], TypeError, "predictions is a dict"),
        ({"a"}, ["a"], TypeError, "predictions is a set"),
        (iter("ab"), ["a"], ValueError, "predictions has 2 entries and references has 1"),
        (np.zeros(()), [1], TypeError, "predictions is a ndarray"),
    ],
)
def test_input_is_checked_before_any_metric(predictions, references, error, message):
    """Two lengths, or what is no list of rows, is a plain error even with on_error="nan"."""
    with pytest.raises(error, match=message) as caught:
        Evaluator({"m": len}, on_error="nan").evaluate(predictions, references)
    assert not isinstance(caught.value, MetricError)


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [
        ({}, ValueError, "metrics is empty"),
        ({"m": 3}, TypeError, "metric 'm' is a int; expected a function"),
        ({"m": F1Metric}, TypeError, "metric 'm' is the class F1Metric; expected an instance"),
    ],
)
def test_what_is_no_metric_is_refused_at_once(metrics, error, message):
    """A wrong metric is an error when the evaluator is made, not when it is used."""
    with pytest.raises(error, match=message):
        Evaluator(metrics)


def test_what_is_no_option_is_refused():
    """`metrics` is a dict, and on_error one of two."""
    with pytest.raises(TypeError):
        Evaluator([exact_match_metric])  # pyright: ignore[reportArgumentType] # the mistake meant
    with pytest.raises(ValueError, match="on_error is 'zero'; expected 'raise' or 'nan'"):
        Evaluator({"exact_match": exact_match_metric}, on_error="zero")


def test_no_rows_through_the_evaluator():
    """Empty input gives the text metrics' 0.0 with their warnings."""
    with pytest.warns(UserWarning, match="there are no rows") as caught:
        scores = Evaluator({"a": exact_match_metric, "b": length_ratio_metric}).evaluate([], [])
    assert scores == {"a": 0.0, "b": 0.0}
    assert len(caught) == 2
