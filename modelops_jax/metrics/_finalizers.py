"""From states to values. Written once, for NumPy float64 and for jax.numpy under tracing.

Leading axes of a state (resamples, slices) are carried through: a table's classes are its last
axes. The degenerate cases of every metric are decided here and, for tables of counts, in
`_count_finalizers.py`, and nowhere else.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ._average_precision import average_precision, average_precision_on_host
from ._covariance import JointMoments
from ._delong import area_estimate
from ._largest import Largest
from ._metric import Outcome, Proportion
from ._partial_area import partial_area, partial_area_on_host, reweighed_partial_area
from ._rank_scores import by_rank
from ._reweighed import (
    Reweighed,
    reweighed_area,
    reweighed_median,
    reweighed_precision,
    reweighed_rank_moments,
)
from ._rowwise import Moments, RowSum
from ._scores import Scores, pair_area, pair_area_on_host
from ._values import Values, median_error, rank_moments


def divide(xp: Any, above: Any, below: Any, otherwise: Any) -> Any:
    """`above / below`, and `otherwise` where `below` is 0; no warning, no nan gradient."""
    some = below > 0
    return xp.where(some, above / xp.where(some, below, xp.ones_like(below)), otherwise)


@dataclass(frozen=True)
class Mean:
    """A weighted mean; nan of no rows. With `root`, its square root."""

    root: bool = False

    def __call__(self, xp: Any, state: RowSum) -> Outcome:
        weight = state.weight.value()
        mean = divide(xp, state.total.value(), weight, float("nan"))
        if self.root:
            # The slope of the root at 0 is infinite; a perfect fit has slope 0 instead.
            flat = mean == 0
            mean = xp.where(flat, mean, xp.sqrt(xp.where(flat, xp.ones_like(mean), mean)))
        return Outcome(mean, (weight == 0).sum())


@dataclass(frozen=True)
class Share(Mean):
    """The mean of a number that is 0 or 1."""

    def proportion(self, state: RowSum) -> Proportion:
        """The rows of which it is 1."""
        return Proportion(state.total.value(), state.weight.value())


@dataclass(frozen=True)
class R2:
    """`1 - squares of the errors / centred squares of the targets`.

    The errors' squares are plain (R2) or centred too (explained variance). Fewer than two rows:
    nan. Targets all equal: 1 for errors of 0 and 0 for any other, or with `force_finite=False`
    the quotient's own nan and -inf.
    """

    force_finite: bool = True

    def __call__(self, xp: Any, errors: RowSum | Moments, targets: Moments) -> Outcome:
        squares = errors.squares if isinstance(errors, Moments) else errors.total
        residual, spread = squares.value(), targets.squares.value()
        few = targets.rows.value() < 2
        perfect, inexact = (1.0, 0.0) if self.force_finite else (float("nan"), -float("inf"))
        constant = xp.where(residual == 0, perfect, inexact)
        flat = spread == 0
        safe = xp.where(flat, xp.ones_like(spread), spread)
        value = xp.where(flat, constant, 1 - residual / safe)
        return Outcome(xp.where(few, float("nan"), value), (few | flat).sum())


@dataclass(frozen=True)
class LargestValue:
    """A maximum; nan of no rows."""

    no_bootstrap: ClassVar[str] = (
        "the largest of the rows has no valid bootstrap: no resample holds a larger one"
    )

    def __call__(self, xp: Any, state: Largest) -> Outcome:
        none = state.rows.value() == 0
        largest = xp.where(none, xp.zeros_like(state.largest), state.largest)
        return Outcome(xp.where(none, float("nan"), largest), none.sum())


@dataclass(frozen=True)
class Correlation:
    """Pearson's correlation; nan of a constant."""

    def __call__(self, xp: Any, state: JointMoments) -> Outcome:
        true, pred = state.true_squares.value(), state.pred_squares.value()
        return correlation(xp, true, pred, state.products.value())


def correlation(xp: Any, true: Any, pred: Any, products: Any) -> Outcome:
    """Products over the root of both squares; nan where either is 0.

    As slope times ratio of the scales: the product of the squares may overflow, and a perfect
    fit is exactly 1.
    """
    flat = ~((true > 0) & (pred > 0))
    true, pred = (xp.where(flat, xp.ones_like(v), v) for v in (true, pred))
    value = xp.clip(products / true * xp.sqrt(true / pred), -1.0, 1.0)
    return Outcome(xp.where(flat, float("nan"), value), flat.sum())


@dataclass(frozen=True)
class Concordance:
    """Lin's concordance; nan of a constant."""

    def __call__(self, xp: Any, state: JointMoments) -> Outcome:
        true, pred = state.true_squares.value(), state.pred_squares.value()
        flat = ~((true > 0) & (pred > 0))
        one, other = state.true_mean, state.pred_mean
        between = (one.high - other.high) + (one.low - other.low)
        whole = true + pred + state.weight.value() * xp.square(between)
        value = 2 * state.products.value() / xp.where(flat, xp.ones_like(whole), whole)
        return Outcome(xp.where(flat, float("nan"), value), flat.sum())


@dataclass(frozen=True)
class PairArea:
    """The area under the ROC curve; nan unless both classes occur."""

    orders: ClassVar[bool] = True

    def __call__(self, xp: Any, scores: Scores) -> Outcome:
        on_host = xp.__name__ == "numpy"
        return Outcome(*(pair_area_on_host(scores) if on_host else pair_area(scores)))

    def interval(self, scores: Scores, level: float) -> tuple[float, float, str]:
        """DeLong's interval, from concrete scores."""
        found = area_estimate(scores, level)
        return found.low, found.high, found.method

    def reweighed(self, scores: Scores) -> Reweighed:
        """The area as a function of how often each row counts."""
        return reweighed_area(scores)

    def exchangeable(self, scores: Scores) -> Scores:
        """The rows with ranks for scores."""
        return by_rank(scores)


@dataclass(frozen=True)
class PartialArea:
    """The standardised area up to a false positive rate; nan unless both classes occur."""

    orders: ClassVar[bool] = True

    max_fpr: float

    def __call__(self, xp: Any, scores: Scores) -> Outcome:
        on_host = xp.__name__ == "numpy"
        return Outcome(*(partial_area_on_host if on_host else partial_area)(scores, self.max_fpr))

    def reweighed(self, scores: Scores) -> Reweighed:
        """The area as a function of how often each row counts."""
        return reweighed_partial_area(scores, self.max_fpr)

    def exchangeable(self, scores: Scores) -> Scores:
        """The rows with ranks for scores."""
        return by_rank(scores)


@dataclass(frozen=True)
class MedianError:
    """The weighted median of absolute errors; nan of no rows."""

    def __call__(self, xp: Any, state: Values) -> Outcome:
        return Outcome(*median_error(xp, state))

    def reweighed(self, state: Values) -> Reweighed:
        """The median as a function of how often each row counts."""
        return reweighed_median(state)


@dataclass(frozen=True)
class RankCorrelation:
    """The correlation of mid-ranks; nan of a constant."""

    def __call__(self, xp: Any, state: Values) -> Outcome:
        return correlation(xp, *rank_moments(xp, state))

    def reweighed(self, state: Values) -> Reweighed:
        """The correlation as a function of how often each row counts."""
        moments = reweighed_rank_moments(state)
        return lambda counts: correlation(np, *moments(counts)).value

    def exchangeable(self, state: Values) -> Values:
        """The rows with ranks for predictions."""
        return by_rank(state, "pred")


@dataclass(frozen=True)
class AveragePrecision:
    """The mean precision at the positive rows' scores; nan without positive rows."""

    orders: ClassVar[bool] = True

    def __call__(self, xp: Any, scores: Scores) -> Outcome:
        on_host = xp.__name__ == "numpy"
        return Outcome(*(average_precision_on_host if on_host else average_precision)(scores))

    def reweighed(self, scores: Scores) -> Reweighed:
        """The precision as a function of how often each row counts."""
        return reweighed_precision(scores)

    def exchangeable(self, scores: Scores) -> Scores:
        """The rows with ranks for scores."""
        return by_rank(scores)
