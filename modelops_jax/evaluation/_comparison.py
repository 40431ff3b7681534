"""`Comparison`: what `compare` returns."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelops_jax.metrics import Interval

from ._result_json import to_plain
from ._result_view import printable, written
from ._task_type import TaskType


@dataclass(frozen=True)
class PairComparison:
    """Two models by one metric.

    Args:
        first: a model.
        second: another.
        difference: the value of the first minus that of the second.
        interval: of the difference, not adjusted for the number of pairs.
        p_value: of the test that there is no difference.
        adjusted_p_value: the same, adjusted for the number of pairs of the metric.
        test: which test: "McNemar (mid-p)", "DeLong" or "permutation".
        distinguishable: whether the adjusted p-value is at most 1 - the confidence level.
    """

    first: str
    second: str
    difference: float
    interval: Interval
    p_value: float
    adjusted_p_value: float
    test: str
    distinguishable: bool


@dataclass(frozen=True)
class MetricComparison:
    """The models by one metric.

    Args:
        metric: its name.
        higher_is_better: its direction; None where it has none, and nothing is best.
        values: model -> value, best first (largest first without a direction, undefined last).
        intervals: model -> interval of its value alone.
        pairs: the differences; empty for a metric that has no test (`compare` says which do).
        letters: model -> letters; models that share one are not distinguishable. Empty where not
            all pairs were tested.
        baseline: the model the others were compared with; None: all with all.
    """

    metric: str
    higher_is_better: bool | None
    values: Mapping[str, float]
    intervals: Mapping[str, Interval]
    pairs: tuple[PairComparison, ...]
    letters: Mapping[str, str]
    baseline: str | None

    def pair(self, first: str, second: str) -> PairComparison:
        """The comparison of these two, in the order in which it was made.

        Raises:
            KeyError: the two were not compared in this order.
        """
        for pair in self.pairs:
            if (pair.first, pair.second) == (first, second):
                return pair
        raise KeyError(f"{first!r} and {second!r} were not compared, in this order")

    @property
    def verdicts(self) -> dict[str, str]:
        """Model -> what its difference from the best, or from the baseline, amounts to."""
        if not self.pairs or self.higher_is_better is None:
            return {}
        name = "the best" if self.baseline is None else self.baseline
        found = {self._against: "best" if self.baseline is None else "baseline"}
        for other, (pair, lead) in self.leads().items():
            better = (lead > 0) == self.higher_is_better
            verdict = f"{'better' if better else 'worse'} than"
            found[other] = (
                f"{verdict if pair.distinguishable else 'not distinguishable from'} {name}"
            )
        return {model: found[model] for model in self.values}

    @property
    def _against(self) -> str:
        return next(iter(self.values)) if self.baseline is None else self.baseline

    def leads(self) -> dict[str, tuple[PairComparison, float]]:
        """By model its comparison with the best or the baseline, and how much larger it is."""
        found = {}
        for pair in self.pairs:
            if pair.first == self._against:
                found[pair.second] = pair, 0.0 - pair.difference
            elif pair.second == self._against:
                found[pair.first] = pair, pair.difference
        return found

    def lines(self) -> list[str]:
        """A line a model, best first."""
        direction = {True: "higher is better", False: "lower is better", None: "no direction"}
        found = [f"{printable(self.metric)} ({direction[self.higher_is_better]})"]
        width = max(len(printable(model)) for model in self.values)
        marks = max(map(len, self.letters.values()), default=0)
        verdicts, leads = self.verdicts, self.leads()
        for model, value in self.values.items():
            line = f"  {printable(model):<{width}}  {written(value)}"
            if (interval := self.intervals.get(model)) is not None:
                line += f"  [{written(float(interval.low))}, {written(float(interval.high))}]"
            if marks:
                line += f"  {self.letters[model]:<{marks}}"
            line += "  " + printable(verdicts.get(model, "" if self.pairs else "not compared"))
            if model in leads:
                pair, lead = leads[model]
                line += f" ({written(lead)}, p {written(pair.adjusted_p_value)})"
            found.append(line.rstrip())
        return found


@dataclass(frozen=True)
class Comparison:
    """Models compared on the same rows.

    Args:
        task_type: the task.
        sample_count: number of rows.
        models: the models, in the order given.
        baseline: the model the others were compared with; None: all with all.
        confidence: the level of the intervals; 1 - it is the significance level.
        correction: how p-values were adjusted for the number of pairs of a metric.
        metrics: name -> the models by this metric.
    """

    task_type: TaskType
    sample_count: int
    models: tuple[str, ...]
    baseline: str | None
    confidence: float
    correction: str
    metrics: Mapping[str, MetricComparison]

    def to_dict(self) -> dict[str, Any]:
        """Give the comparison as dicts and lists of what JSON has, strictly.

        nan is null, and `not_finite` lists where, as `EvaluationResult.to_dict` does.
        """
        found = to_plain(self)
        for name, comparison in self.metrics.items():
            found["metrics"][name]["verdicts"] = comparison.verdicts
        return found

    def __str__(self) -> str:
        against = "all pairs" if self.baseline is None else f"baseline {printable(self.baseline)}"
        lines = [
            f"{self.task_type.value}, {len(self.models)} models on {self.sample_count} rows, "
            f"{against}, {self.confidence * 100:.4g} % level, p-values adjusted: {self.correction}"
        ]
        for comparison in self.metrics.values():
            lines += comparison.lines()
        if any(comparison.letters for comparison in self.metrics.values()):
            lines.append("Models that share a letter are not distinguishable.")
        return "\n".join(lines)


def compact_letters(models: Sequence[str], apart: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Letters for models, best first, such that two share one unless they are apart.

    Columns of a table, of which each is a set of models that may share a letter: every pair that
    is apart splits the columns that hold both, and columns within others are dropped.

    Source: Piepho, "An algorithm for a letter-based representation of all-pairwise comparisons",
    Journal of Computational and Graphical Statistics 13, 2004.
    """
    columns = [frozenset(models)]
    for one, other in apart:
        split = [
            part
            for column in columns
            for part in (
                (column - {one}, column - {other}) if {one, other} <= column else (column,)
            )
        ]
        columns = [
            column
            for at, column in enumerate(split)
            if not any(column < wide for wide in split) and column not in split[:at]
        ]
    place = {model: at for at, model in enumerate(models)}
    columns.sort(key=lambda column: sorted(place[model] for model in column))
    return {
        model: "".join(_letter(at) for at, column in enumerate(columns) if model in column)
        for model in models
    }


def best_first(values: Mapping[str, float], higher_is_better: bool | None) -> dict[str, float]:
    """The models in the order of their values, undefined ones last."""
    sign = 1 if higher_is_better is False else -1

    def key(model: str) -> tuple[bool, float]:
        value = values[model]
        return math.isnan(value), 0.0 if math.isnan(value) else sign * value

    return {model: values[model] for model in sorted(values, key=key)}


def _letter(at: int) -> str:
    return chr(ord("a") + at) if at < 26 else f"({at + 1})"
