"""One measured system: a number, its interval, and how many rows stand behind it."""

import math
from dataclasses import dataclass

from modelops_jax.evaluation import EvaluationResult
from modelops_jax.metrics import Interval


@dataclass(frozen=True, kw_only=True)
class Score:
    """One system's score on some rows.

    Args:
        name: the system, as a reader should see it.
        value: its score, a fraction from 0 to 1; 1 is best.
        rows: how many rows it was measured on, at least 1.
        interval: the interval of `value`, when there is one.
        note: one sentence a reader needs to judge the number fairly.

    Raises:
        ValueError: for a value or an interval outside [0, 1], or no rows.

    Example:
        >>> Score(name="fine-tuned", value=0.9425, rows=400).describe()
        '0.943 (400 rows)'
    """

    name: str
    value: float
    rows: int
    interval: Interval | None = None
    note: str = ""

    def __post_init__(self):
        bounds = self.bounds
        for number in (self.value, *(bounds or ())):
            if not (math.isfinite(number) and 0.0 <= number <= 1.0):
                raise ValueError(
                    f"score {self.name!r}: found {number!r}, expected fractions from 0 to 1"
                )
        if bounds is not None and bounds[0] > bounds[1]:
            raise ValueError(f"score {self.name!r}: the interval {bounds} is upside down")
        if self.rows < 1:
            raise ValueError(f"score {self.name!r}: found rows={self.rows}, expected at least 1")

    @classmethod
    def from_result(
        cls, name: str, result: EvaluationResult, metric: str, *, note: str = ""
    ) -> "Score":
        """Take one metric, with its interval if there is one, out of an evaluation.

        Args:
            name: the system, as a reader should see it.
            result: what `ModelEvaluator.evaluate` returned.
            metric: the metric's name in `result.metrics`.
            note: one sentence a reader needs to judge the number fairly.

        Raises:
            ValueError: for a metric that the evaluation does not hold.
        """
        if metric not in result.metrics:
            raise ValueError(
                f"metric {metric!r} is not in the evaluation, which holds {sorted(result.metrics)}"
            )
        return cls(
            name=name,
            value=result.metrics[metric],
            rows=result.sample_count,
            interval=result.intervals.get(metric),
            note=note,
        )

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The interval's two ends, when there is an interval."""
        return self.interval and (float(self.interval.low), float(self.interval.high))

    def describe(self) -> str:
        """The number, its interval and its rows in one phrase."""
        rows = f"{self.rows:,} row" + ("" if self.rows == 1 else "s")
        if self.interval is None or self.bounds is None:
            return f"{self.value:.3f} ({rows})"
        low, high = self.bounds
        level = f"{self.interval.level * 100:g} %"
        return f"{self.value:.3f} ({level} interval {low:.3f} to {high:.3f}, {rows})"

    def limit(self) -> float | None:
        """How far the true value may be from a score of exactly 0 or 1 whose interval is a point.

        Resampling rows that all say the same can only say it again, so a bootstrap interval has
        no width there. The limit is the exact one-sided one of the interval's level: beyond it,
        such rows would be less likely than 1 - level.

        Returns:
            The largest true value behind a 0, the smallest behind a 1; None for other scores.

        Source: Clopper and Pearson, Biometrika 26 (1934), 404-413.
        """
        if self.interval is None or self.interval.low != self.interval.high:
            return None
        reach = 1 - (1 - self.interval.level) ** (1 / self.rows)
        return {0.0: reach, 1.0: 1 - reach}.get(self.value)

    def overlaps(self, other: "Score") -> bool | None:
        """Whether the two intervals share a value; None when either has no interval."""
        if self.bounds is None or other.bounds is None:
            return None
        return self.bounds[0] <= other.bounds[1] and other.bounds[0] <= self.bounds[1]
