"""Student's test: whether the rows of a slice have the mean of the other rows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.scipy.special import betainc

from ._finalizers import Mean
from ._host_columns import computed_now
from ._metric import Metric, Outcome
from ._rowwise import Moments, Prepared, RowMean, RowVariance, blocks_of_rows
from ._statistic import Rows, Statistic
from ._types import State


@dataclass(frozen=True, kw_only=True)
class MomentsOf(RowVariance):
    """The moments of the numbers of which another statistic takes the mean."""

    of: RowMean

    @property
    def pred_axes(self) -> tuple[int, ...]:
        return self.of.pred_axes

    @property
    def true_axes(self) -> int:
        return self.of.true_axes

    @classmethod
    def family(cls) -> type[Statistic]:
        return cls

    def refuse(self, y_true: Any, y_pred: Any) -> None:
        self.of.refuse(y_true, y_pred)

    def complaints(self) -> dict[str, str]:
        return self.of.complaints()

    def prepare(self, rows: Rows) -> Prepared:
        return self.of.prepare(rows)

    @classmethod
    def of_rows_together(cls, statistics: Sequence[Any], rows: Rows) -> list[State]:
        return [blocks_of_rows([statistic], rows)[0] for statistic in statistics]


@dataclass(frozen=True)
class _MeanOf:
    """The mean itself."""

    def __call__(self, xp: Any, state: Moments) -> Outcome:
        return Outcome(state.mean.value(), (state.weight.value() == 0).sum())


def row_moments(metric: Metric) -> Metric | None:
    """A metric with the mean and the spread of the numbers that a metric is the mean of.

    Args:
        metric: any metric.

    Returns:
        A metric whose one state has `rows`, `mean` and `squares`, the sum of squares about the
        mean, of the number of each row; None unless `metric` is a mean over rows of one number
        each, or the root of one.

    Example:
        >>> from modelops_jax.metrics import compute, metric, row_moments
        >>> moments = row_moments(metric("mean_absolute_error"))
        >>> report = compute({"moments": moments}, [0.0, 0.0], [1.0, 3.0])
        >>> (state,) = report.states.values()
        >>> int(state.rows.value()), float(state.mean.value()), float(state.squares.value())
        (2, 2.0, 2.0)
    """
    if not isinstance(metric.finalizer, Mean) or len(metric.statistics) != 1:
        return None
    (mean,) = metric.statistics
    if not isinstance(mean, RowMean):
        return None
    return Metric(
        f"moments of {metric.name}", (MomentsOf(mean.row, mean.domain, of=mean),), _MeanOf()
    )


def student_tests(
    rows: Sequence[int], means: Sequence[float], squares: Sequence[float]
) -> list[float]:
    """Student's two-sided t test of every slice of independent rows against all other rows.

    The null hypothesis is that the slice's rows are like any others, as in Fisher's test of
    shares, so that all of them tell the variance: Welch's test, which takes that of a small slice
    from its few rows, rejects far too often where their numbers are skewed. No p-value is below
    one over the number of ways to choose the slice's rows, the least of a permutation test.

    Args:
        rows: of each slice how many there are.
        means: of each slice the mean of its numbers.
        squares: of each slice the sum of squares about that mean.

    Returns:
        The p-values, in [0, 1]; 1 of a slice that has no rows or all, of fewer than three rows
        altogether, and where all numbers are equal.

    Example:
        >>> from modelops_jax.metrics import student_tests
        >>> [round(p, 6) for p in student_tests([40, 30], [2.5, 3.0], [50.0, 20.0])]
        [0.045195, 0.045195]

    Source: Student, "The probable error of a mean", Biometrika 6, 1908; as an approximation of
    the permutation test, Pitman, "Significance tests which may be applied to samples from any
    populations", Supplement to the Journal of the Royal Statistical Society 4, 1937.
    """
    counts = np.asarray(rows, np.int64)
    some, total = counts > 0, int(counts.sum())
    if total < 3:
        return [1.0] * len(counts)
    of_slice = np.where(some, np.asarray(means, np.float64), 0.0)
    apart = np.where(some, of_slice - counts @ of_slice / total, 0.0)
    within = np.where(some, np.asarray(squares, np.float64), 0.0).sum()
    spread = within + counts @ apart**2
    tested = some & (counts < total)
    if not spread > 0:
        return [1.0] * len(counts)
    # Of the squares about the mean of all, the share between the slice and the rest is
    # t^2 / (t^2 + total - 2).
    others = np.where(tested, total - counts, 1)
    between = np.where(tested, counts * apart**2 * (total / others) / spread, 0.0)
    # Rounded up to few sizes, each of which is compiled once.
    size = 1 << max(0, len(counts) - 1).bit_length()
    left = np.ones(size)
    left[: len(counts)] = np.clip(1 - between, 0, 1)
    with computed_now(), jax.enable_x64(True):
        tails = np.asarray(betainc(np.float64((total - 2) / 2), np.float64(0.5), left))
    ways = [
        math.lgamma(total + 1) - math.lgamma(n + 1) - math.lgamma(total - n + 1) for n in counts
    ]
    return np.maximum(tails[: len(counts)], np.exp(-np.asarray(ways))).clip(0, 1).tolist()
