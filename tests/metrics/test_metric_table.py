"""The table of metrics is complete and says the truth about direction."""

import inspect

import numpy as np
import pytest

import modelops_jax.metrics as room
from modelops_jax.metrics import LAWS, METRICS, compute, metric


def test_every_public_metric_function_is_in_the_table():
    """Every exported function with an `axis_name` is a metric, and no other is in the table."""
    functions = {
        name
        for name, value in vars(room).items()
        if inspect.isfunction(value) and "axis_name" in inspect.signature(value).parameters
    }
    assert functions == set(METRICS)
    assert all(METRICS[name].function is getattr(room, name) for name in functions)


def test_names_tell_the_direction():
    """`_score` and `_corrcoef` are better when higher, errors, losses and deviances when lower."""
    directions = {"score": True, "corrcoef": True, "error": False, "loss": False, "deviance": False}
    directions |= {"rank": True, "precision": True, "k": True}  # retrieval's own names
    directions |= {"rate": False, "perplexity": False, "byte": False}  # and those of language
    for name, info in METRICS.items():
        expected = directions.get(name.rsplit("_", 1)[-1])
        assert info.higher_is_better is expected, name


def test_an_excuse_names_a_law_and_a_reason():
    """A metric is excused from known laws only, and says why."""
    for info in METRICS.values():
        assert set(info.excused) <= set(LAWS)
        assert all(len(reason) > 20 for reason in info.excused.values())


def test_options_of_function_and_builder_agree():
    """`metric(name, ...)` takes the function's options and no others, with its defaults."""
    for name, info in METRICS.items():
        parameters = inspect.signature(info.function).parameters.values()
        options = {
            p.name: p.default
            for p in parameters
            if p.kind is p.KEYWORD_ONLY and p.name not in ("weight", "axis_name")
        }
        needed = {k: 3 for k, default in options.items() if default is inspect.Parameter.empty}
        assert metric(name, **options | needed) == metric(name, **needed)
        with pytest.raises(TypeError, match="unheard_of"):
            metric(name, **needed, unheard_of=1)


def test_metrics_are_hashable_and_compare_by_configuration():
    """Equal configurations are equal metrics with equal statistics; others are not."""
    one, same = (metric("f1_score", average="macro", num_classes=3) for _ in range(2))
    other = metric("f1_score", average="macro", num_classes=4)
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one.statistics == metric("confusion_matrix", num_classes=3).statistics
    undefined = (metric("f1_score", zero_division=nan) for nan in (float("nan"), np.float64("nan")))
    assert len(set(undefined)) == 1


def test_unknown_metrics_are_refused_with_the_known_ones():
    """A name that is not in the table raises and lists those that are."""
    with pytest.raises(ValueError, match=r"unknown metric 'f2'; known: accuracy_score, .*f1_score"):
        metric("f2")
    with pytest.raises(ValueError, match=r"unknown metric 'f1_scor'; did you mean 'f1_score'"):
        metric("f1_scor")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"average": "median"}, r"average must be one of .* or None, not 'median'"),
        ({"average": "macro", "num_classes": 200_000}, "a table of 40,000,000,000 cells"),
        ({"average": "macro"}, "average='macro' needs num_classes"),
        ({"average": None}, "average=None needs num_classes"),
        ({"zero_division": 0.5}, "zero_division must be 0, 1, nan or 'warn', not 0.5"),
        ({"absent": "drop"}, r"absent must be one of .*, not 'drop'"),
        ({"positive_class": 3, "num_classes": 3}, "positive_class must be in 0 to 2"),
        ({"average": "macro", "num_classes": 0}, "num_classes must be at least 1, not 0"),
    ],
)
def test_options_outside_their_choices_are_refused(config, message):
    """A wrong option raises a ValueError that says what was found and what is possible."""
    with pytest.raises(ValueError, match=message):
        metric("f1_score", **config)


def test_bins_that_fit_no_memory_are_refused():
    """A thousand million bins would take the machine, not the metric."""
    with pytest.raises(ValueError, match="bins is 1,000,000,000; expected at most 1,048,576"):
        metric("maximum_calibration_error", bins=10**9)


def test_options_are_named_by_the_public_function():
    """An option that there is not, or that is needed, names the metric and what it takes."""
    with pytest.raises(TypeError, match=r"f1_score has no option 'avg'; its options are: average"):
        metric("f1_score", avg=1)
    with pytest.raises(TypeError, match=r"length_ratio has no option 'avg'; it has none"):
        metric("length_ratio", avg=1)
    with pytest.raises(TypeError, match=r"fbeta_score needs the options: beta"):
        metric("fbeta_score")


def test_the_entries_are_in_the_order_of_the_alphabet():
    """A person finds a name without searching."""
    assert list(METRICS) == sorted(METRICS)


def test_an_export_that_is_not_in_the_table_is_found(monkeypatch):
    """The test of completeness would fail if a metric were left out."""
    monkeypatch.setattr(room, "METRICS", {k: v for k, v in METRICS.items() if k != "f1_score"})
    monkeypatch.setitem(globals(), "METRICS", room.METRICS)
    with pytest.raises(AssertionError):
        test_every_public_metric_function_is_in_the_table()


def test_a_metric_of_ones_own_gets_the_pass_for_free():
    """A metric built from the public parts is computed beside the table's."""
    mean = room.Metric("mean_gap", (room.RowMean(gap),), metric("mean_squared_error").finalizer)
    report = compute({"gap": mean, "mse": metric("mean_squared_error")}, [1.0, 2.0], [2.0, 5.0])
    assert report.values == {"gap": 2.0, "mse": 5.0}


def gap(y_true, y_pred):
    """How far the prediction is above the truth."""
    return y_pred - y_true
