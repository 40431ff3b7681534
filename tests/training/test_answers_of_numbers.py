"""Metrics of numbers, of answers of which some are none."""

import math

import pytest

from modelops_jax.data import Dataset
from modelops_jax.evaluation import UndefinedMetricWarning
from modelops_jax.metrics import METRICS
from modelops_jax.training import GenerationConfig, TrainingConfig, _answer_metrics, fit
from modelops_jax.training._generation import GenerationMetrics

NUMBERS = [n for n, info in METRICS.items() if info.inputs in ("values", "positive")]


def test_of_numbers_the_answers_that_are_some_are_measured_and_the_others_counted(measured):
    """scikit-learn and SciPy on the rows with a number, which float() reads."""
    import scipy.stats
    from sklearn import metrics as sk

    truth = ["1", " 2.5", "-3", "4", "1e1", "6"]
    said = ["1.5", "2,5", "-2 \n", "four", "8", "nan"]
    rows = [{"prompt": "x", "completion": text} for text in truth]
    true, pred = [1.0, -3.0, 10.0], [1.5, -2.0, 8.0]
    expected = {
        "mean_absolute_error": sk.mean_absolute_error(true, pred),
        "r2_score": sk.r2_score(true, pred),
        "max_error": sk.max_error(true, pred),
        "spearman_corrcoef": scipy.stats.spearmanr(true, pred)[0],
        "q=mean_pinball_loss:alpha=0.1": sk.mean_pinball_loss(true, pred, alpha=0.1),
    }
    found = measured(rows, said, metrics=tuple(expected))
    for text, value in expected.items():
        name = text.split("=")[0]
        assert found[f"eval_{name}"] == pytest.approx(value, rel=1e-6), name
        assert found[f"eval_{name}_left_out"] == 3
        if name != "max_error":  # of which no resample holds a larger one
            low, high = found[f"eval_{name}_interval"]
            assert low <= found[f"eval_{name}"] <= high


def test_an_answer_that_a_metric_is_not_defined_for_is_left_out_of_it_alone(measured):
    """0 is a count, no predicted mean of counts; a negative number is neither."""
    from sklearn import metrics as sk

    rows = [{"prompt": "x", "completion": text} for text in ("0", "3", "2", "5")]
    names = ("mean_poisson_deviance", "mean_squared_log_error", "mean_squared_error")
    found = measured(rows, ["1", "0", "-2", "4"], metrics=names)
    assert [found[f"eval_{name}_left_out"] for name in names] == [2, 1, 0]
    values = [
        sk.mean_poisson_deviance([0, 5], [1, 4]),
        sk.mean_squared_log_error([0, 3, 5], [1, 0, 4]),
        sk.mean_squared_error([0, 3, 2, 5], [1, 0, -2, 4]),
    ]
    assert [found[f"eval_{name}"] for name in names] == pytest.approx(values, rel=1e-6)


def test_without_any_number_the_value_is_undefined(measured):
    """nan in the record, with the count, and a warning."""
    rows = [{"prompt": "x", "completion": "1"}] * 2
    with pytest.warns(UndefinedMetricWarning, match="mean_absolute_error: there are no rows"):
        found = measured(rows, ["a", ""], metrics=("mean_absolute_error",))
    assert math.isnan(found["eval_mean_absolute_error"])
    assert found["eval_mean_absolute_error_left_out"] == 2


@pytest.mark.parametrize("name", NUMBERS)
def test_every_metric_of_numbers_is_accepted_and_measured(measured, monkeypatch, name):
    """Each has a value, a direction and a count of what it left out, whose direction is down."""
    monkeypatch.setattr(_answer_metrics, "CONFIDENCE", None)
    rows = [{"prompt": "x", "completion": text} for text in ("1", "2", "4")]
    found = measured(rows, ["2", "3", "1"], metrics=(name,))
    assert math.isfinite(found[f"eval_{name}"])
    assert found[f"eval_{name}_left_out"] == 0
    assert GenerationConfig((name,)).directions == {
        f"eval_{name}": METRICS[name].higher_is_better,
        f"eval_{name}_left_out": False,
    }


@pytest.mark.parametrize(
    ("completion", "metric", "message"),
    [
        ("2,5", "mean_absolute_error", r"for mean_absolute_error: found '2,5', expected a number"),
        ("-1", "mean_poisson_deviance", r"for mean_poisson_deviance: y_true: 1 values that are "),
    ],
)
def test_a_right_answer_has_to_be_a_number_where_metrics_need_one(
    model, completion, metric, message
):
    """Of the metric's domain; the message has the row."""
    rows = Dataset([{"prompt": "x", "completion": "1"}, {"prompt": "x", "completion": completion}])
    with pytest.raises(
        ValueError, match=rf"evaluation dataset, row 1: the right answer, {message}"
    ):
        GenerationMetrics(GenerationConfig((metric,)), model, rows, drop_overlong=False)


# The first evaluations find no number at all.
@pytest.mark.filterwarnings("ignore:mean_absolute_error. there are no rows")
def test_numbers_are_measured_while_training_and_decide_what_is_kept(model, tmp_path):
    """A run learns to say 7; the step that is kept leaves out the fewest, and errs least."""
    rows = Dataset([{"prompt": "a", "completion": "7"}, {"prompt": "b", "completion": "5"}])
    config = TrainingConfig(
        epochs=24,
        learning_rate=1e-2,
        schedule="constant",
        log_every=1000,
        eval_every=4,
        monitor="eval_mean_absolute_error",
        keep_best=True,
        remat="none",
        generate=GenerationConfig(("mean_absolute_error",), max_new_tokens=4),
    )
    lines = []
    result = fit(
        model, rows, config=config, eval=rows, folder=tmp_path, callback=lines.append,
        progress="off",
    )  # fmt: skip
    ranks = {
        r["step"]: (r["eval_mean_absolute_error_left_out"], r["eval_mean_absolute_error"])
        for r in result.history
        if "eval_loss" in r
    }
    assert ranks[4][0] > 0
    assert ranks[24] == (0, 0.0)
    assert result.step == min(ranks, key=ranks.__getitem__)
