"""The content of an evaluation report, apart from how it looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from modelops_jax.evaluation import (
    Comparison,
    Diagnostics,
    EvaluationResult,
    MetricComparison,
    SliceResult,
)

from ._examples import Examples
from ._score import Score

# Classes and slices of one table; the rest is counted.
MOST_ROWS = 50
# Metrics that have a tile of their own.
_TILES = 4
# Labels that a picture shows.
_LABELS = 12


@dataclass(frozen=True)
class SliceTable:
    """The slices of one key, worst first.

    Args:
        key: the columns that were crossed.
        metrics: the metrics of the slices.
        slices: those that are shown.
        hidden: how many are not.
        tested: the tests for differences from the other rows, in words; none: empty.
    """

    key: str
    metrics: Sequence[str]
    slices: Sequence[SliceResult]
    hidden: int
    tested: str


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """Everything an evaluation report says, as plain data.

    Args:
        title: the page's heading.
        result: the evaluation, or of several models their comparison.
        summary: what was evaluated, in a sentence or two.
        diagnostics: what the pictures are drawn from, of a comparison for each model; None: there
            are none.
        bad_rows: the first rows that were left out, with where they are and why.
        bad_row_count: how many rows were left out.
        examples: rows to look at, and the rule that chose them.
        notes: how the numbers came about, a sentence each.
        facts: what a reader needs to judge or repeat the evaluation, by name.
        config: the settings, as text.

    Example:
        >>> from modelops_jax.evaluation import ModelEvaluator
        >>> result = ModelEvaluator("binary").evaluate([1, 0, 1, 0], [1, 0, 1, 1])
        >>> EvaluationReport(title="Four rows", result=result).tiles
        ['accuracy', 'precision', 'recall', 'f1']

    Raises:
        ValueError: diagnostics that are not of the models of the comparison, or of one model.
    """

    title: str
    result: EvaluationResult | Comparison
    summary: str = ""
    diagnostics: Diagnostics | Mapping[str, Diagnostics] | None = None
    bad_rows: Sequence[str] = ()
    bad_row_count: int = 0
    examples: Examples = field(default_factory=Examples)
    notes: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    config: str = ""

    def __post_init__(self) -> None:
        found, comparison = self.diagnostics, self.comparison
        if found is None:
            return
        by_model = isinstance(found, Mapping)
        if comparison is None and by_model:
            raise ValueError(
                f"diagnostics are of {list(found)} and the result is of one model; expected those "
                "of one"
            )
        if comparison is not None and not (by_model and found.keys() <= {*comparison.models}):
            given = list(found) if by_model else "one model"
            raise ValueError(
                f"diagnostics are of {given} and the comparison is of {list(comparison.models)}; "
                "expected a dict of model -> Diagnostics"
            )

    @property
    def by_model(self) -> dict[str, Diagnostics]:
        """What the pictures are drawn from by model, in order; of one model by an empty name."""
        if isinstance(self.diagnostics, Diagnostics):
            return {"": self.diagnostics}
        models = self.comparison.models if self.comparison else ()
        found = self.diagnostics or {}
        return {model: found[model] for model in models if model in found}

    @property
    def evaluation(self) -> EvaluationResult | None:
        """The result of one model."""
        return self.result if isinstance(self.result, EvaluationResult) else None

    @property
    def comparison(self) -> Comparison | None:
        """The comparison of several."""
        return self.result if isinstance(self.result, Comparison) else None

    @property
    def tiles(self) -> list[str]:
        """The metrics that have a tile of their own."""
        return list(self.evaluation.metrics)[:_TILES] if self.evaluation else []

    @property
    def slice_tables(self) -> list[SliceTable]:
        """A table for each key by which the rows were sliced."""
        slices = self.evaluation.slices if self.evaluation else ()
        found = []
        for key in dict.fromkeys(tuple(one.key) for one in slices):
            members = [one for one in slices if tuple(one.key) == key]
            shown = members[:MOST_ROWS]
            hidden = len(members) - len(shown)
            metrics, tested = list(members[0].metrics), _tests_of(members[0])
            found.append(SliceTable(" by ".join(key), metrics, shown, hidden, tested))
        return found


def _tests_of(one: SliceResult) -> str:
    """The tests of a slice against the rest, in words; none: empty."""
    known = {
        "Fisher": "Fisher's exact test of shares",
        "Student": "Student's t test of means",
        "Student of groups": "Student's t test of groups of rows",
    }
    return ", ".join(dict.fromkeys(known[test] for test in one.tests.values()))


def class_intervals(evaluation: EvaluationResult | None) -> str:
    """The level and the methods of the intervals of classes, in words; none: empty."""
    classes = evaluation.per_class if evaluation is not None else ()
    every = [interval for one in classes for interval in one.intervals.values()]
    if not every:
        return ""
    methods = ", ".join(dict.fromkeys(interval.method for interval in every))
    return f"{every[0].level * 100:g} % interval ({methods})"


def scores_of_labels(evaluation: EvaluationResult | None) -> list[Score]:
    """F1 of the labels of rows that have several, worst first; none of other evaluations."""
    if evaluation is None or "labels" not in evaluation.metadata:
        return []
    worst = sorted(evaluation.per_class, key=lambda one: one.metrics["f1"])
    return [
        Score(
            name=f"label {one.label}",
            value=one.metrics["f1"],
            rows=evaluation.sample_count,
            interval=one.intervals.get("f1"),
        )
        for one in worst[:_LABELS]
    ]


def scores_of(comparison: MetricComparison, rows: int) -> list[Score]:
    """The models as a picture from 0 to 1 shows them; none for a metric that does not fit it."""
    fits = all(0 <= value <= 1 for value in comparison.values.values())
    if not fits or not comparison.higher_is_better:
        return []
    return [
        Score(name=model, value=value, rows=rows, interval=comparison.intervals.get(model))
        for model, value in comparison.values.items()
    ]
