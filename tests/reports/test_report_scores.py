"""Scores, and what the report says about them."""

import dataclasses
import io
import math

import pytest
from rich.console import Console

from modelops_jax.evaluation import EvaluationResult, TaskType
from modelops_jax.metrics import Interval
from modelops_jax.reports import FineTuningReport, Score, environment_facts, print_summary


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, math.inf])
def test_a_score_is_a_fraction(value: float):
    """A number outside [0, 1] would be drawn off the picture."""
    with pytest.raises(ValueError, match=r"score 'mine': found .*, expected fractions from 0 to 1"):
        Score(name="mine", value=value, rows=1)
    with pytest.raises(ValueError, match="expected fractions"):
        Score(name="mine", value=0.5, rows=1, interval=Interval(0.0, value, 0.95, "any", 9, 0))


def test_a_score_has_rows_behind_it():
    """A number without rows is no measurement."""
    with pytest.raises(ValueError, match="rows=0, expected at least 1"):
        Score(name="mine", value=0.5, rows=0)


def test_score_from_an_evaluation():
    """The score takes the metric, its interval and the number of rows; a typo names the choices."""
    interval = Interval(0.4, 0.6, 0.95, "any", 9, 0)
    result = EvaluationResult(
        {"exact_match": 0.5, "length_ratio": 1.0},
        TaskType.TEXT_GENERATION,
        20,
        intervals={"exact_match": interval},
    )
    score = Score.from_result("mine", result, "exact_match")
    assert score == Score(name="mine", value=0.5, rows=20, interval=interval)
    assert Score.from_result("mine", result, "length_ratio").interval is None
    with pytest.raises(ValueError, match=r"'exact' is not .*\['exact_match', 'length_ratio'\]"):
        Score.from_result("mine", result, "exact")


@pytest.mark.parametrize(
    ("value", "bounds", "expected"),
    [
        (0.25, (0.2, 0.3), "0.250 below the fine-tuned model; the intervals do not overlap"),
        (0.75, (0.6, 0.8), "0.250 above the fine-tuned model; the intervals overlap"),
        (0.75, None, "0.250 above the fine-tuned model."),
        (0.5, (0.4, 0.6), "level with the fine-tuned model."),
    ],
)
def test_findings_say_who_wins(value: float, bounds: tuple[float, float] | None, expected: str):
    """A baseline that wins is named as plainly as one that loses."""
    interval = bounds and Interval(*bounds, 0.95, "any", 9, 0)
    report = FineTuningReport(
        title="Any",
        before=Score(name="before", value=0.0, rows=9),
        after=Score(
            name="after", value=0.5, rows=9, interval=Interval(0.4, 0.6, 0.95, "any", 9, 0)
        ),
        baselines=[Score(name="rival", value=value, rows=9, interval=interval or None)],
    )
    assert expected in report.findings()[-1]


@pytest.mark.parametrize(("value", "rows"), [(0.0, 100), (1.0, 7), (0.0, 1)])
def test_a_point_interval_is_explained(report: FineTuningReport, value: float, rows: int):
    """At the limit, rows that all say the same have the probability that the level leaves."""
    point = Score(
        name="sure", value=value, rows=rows, interval=Interval(value, value, 0.95, "any", 9, 0)
    )
    limit = point.limit()
    assert limit is not None
    assert (1 - limit if value == 0 else limit) ** rows == pytest.approx(0.05)
    finding = dataclasses.replace(report, baselines=[point]).findings()[-1]
    assert f"all {rows} rows agree" in finding
    assert f"{'below' if value == 0 else 'above'} {limit:.3f}" in finding
    assert report.after.limit() is None


def test_difference_is_of_the_printed_numbers(report: FineTuningReport):
    """Who subtracts the numbers on the page finds the difference on the page."""
    odd = dataclasses.replace(report.after, value=0.9349)
    rival = Score(name="rival", value=0.9625, rows=400)
    (_, finding) = dataclasses.replace(report, after=odd, baselines=[rival]).findings()
    assert f"{float(f'{0.9625:.3f}') - float(f'{0.9349:.3f}'):.3f} above" in finding


def test_terminal_table_has_every_number(report: FineTuningReport):
    """The terminal shows the same scores, intervals, rows and findings, in plain characters."""
    report = dataclasses.replace(
        report, baselines=[*report.baselines, Score(name="[bold]\x1b[31m", value=0.25, rows=7)]
    )
    stream = io.StringIO()
    print_summary(report, console=Console(file=stream, width=100))
    shown = stream.getvalue()
    for score in report.scores[:4]:
        assert score.interval is not None
        line = next(line for line in shown.splitlines() if score.name in line)
        assert f"{score.value:.3f}" in line
        assert f"{score.interval.low:.3f} to {score.interval.high:.3f}" in line
        assert str(score.rows) in line
    assert "95 % interval" in shown
    assert r"[bold]\x1b[31m" in shown
    assert "\x1b" not in shown
    for finding in report.findings()[:3]:
        assert " ".join(finding.split()) in " ".join(shown.split())


def test_intervals_of_two_levels_are_not_called_by_one(report: FineTuningReport):
    """A heading never gives one level to intervals of another."""
    other = Score(name="other", value=0.5, rows=9, interval=Interval(0.4, 0.6, 0.9, "any", 9, 0))
    assert report.interval_title == "95 % interval"
    assert dataclasses.replace(report, baselines=[other]).interval_title == "interval"


def test_environment_facts_are_words():
    """Facts go on the page as they are."""
    facts = environment_facts()
    assert all(facts.values())
    assert {"modelops_jax", "jax", "jaxlib", "Python", "Device"} <= facts.keys()
