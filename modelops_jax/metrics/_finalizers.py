"""From states to values. Written once, for NumPy float64 and for jax.numpy under tracing.

Leading axes of a state (resamples, slices) are carried through: a table's classes are its last
axes. The degenerate cases of every metric are decided here and, for tables of counts, in
`_count_finalizers.py`, and nowhere else.
"""

from dataclasses import dataclass
from typing import Any

from ._metric import Outcome
from ._rowwise import Moments, RowSum
from ._scores import Scores, pair_area, pair_area_on_host


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
class R2:
    """`1 - residual squares / centred squares`.

    Fewer than two rows: nan. Targets all equal: 1 for a perfect fit and 0 for any other, or with
    `force_finite=False` the quotient's own nan and -inf.
    """

    force_finite: bool = True

    def __call__(self, xp: Any, errors: RowSum, targets: Moments) -> Outcome:
        residual, spread = errors.total.value(), targets.squares.value()
        few = targets.rows.value() < 2
        perfect, inexact = (1.0, 0.0) if self.force_finite else (float("nan"), -float("inf"))
        constant = xp.where(residual == 0, perfect, inexact)
        flat = spread == 0
        safe = xp.where(flat, xp.ones_like(spread), spread)
        value = xp.where(flat, constant, 1 - residual / safe)
        return Outcome(xp.where(few, float("nan"), value), (few | flat).sum())


@dataclass(frozen=True)
class PairArea:
    """The area under the ROC curve; nan unless both classes occur."""

    def __call__(self, xp: Any, scores: Scores) -> Outcome:
        on_host = xp.__name__ == "numpy"
        return Outcome(*(pair_area_on_host(scores) if on_host else pair_area(scores)))
