"""`EvaluationResult`: what `ModelEvaluator.evaluate` returns."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from modelops_jax.metrics import Interval

from ._task_type import TaskType


@dataclass(frozen=True)
class EvaluationResult:
    """Metric values of one evaluation and what they rest on.

    Args:
        metrics: name of each metric -> its value (nan where it is undefined).
        task_type: the task that was evaluated.
        sample_count: number of rows.
        metadata: what was decided on the way: for labels `num_classes`, `classes` (up to 128),
            `averaging` ("binary" or "macro") and `positive_class` where there is one; for
            multilabel rows `labels`, their number; `undefined`, the metrics without a definition
            on these rows with the rule that gave their value.
        intervals: name -> confidence interval, for the metrics that have one; empty unless asked
            for.

    Example:
        >>> result = EvaluationResult({"mse": 0.25}, TaskType.REGRESSION, 4)
        >>> result.metrics["mse"]
        0.25
        >>> print(result)
        regression, 4 rows
          mse  0.2500
    """

    metrics: Mapping[str, float]
    task_type: TaskType
    sample_count: int
    metadata: Mapping[str, Any] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Give the result as plain dicts and lists of plain values, ready for JSON.

        nan stays nan, and labels of other types than JSON has stay what they are.
        """
        return {
            "metrics": dict(self.metrics),
            "task_type": self.task_type.value,
            "sample_count": self.sample_count,
            "metadata": dict(self.metadata),
            "intervals": {name: asdict(interval) for name, interval in self.intervals.items()},
        }

    def __str__(self) -> str:
        rows = "row" if self.sample_count == 1 else "rows"
        lines = [f"{self.task_type.value}, {self.sample_count} {rows}"]
        width = max(map(len, self.metrics), default=0)
        for name, value in self.metrics.items():
            line = f"  {name:<{width}}  {written(value)}"
            if (interval := self.intervals.get(name)) is not None:
                line += (
                    f"  [{written(float(interval.low))}, {written(float(interval.high))}] "
                    f"{interval.level * 100:.4g} % interval"
                )
            lines.append(line)
        return "\n".join(lines)


def written(value: float) -> str:
    """Four decimals where they say something, else four digits."""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.4g}"
