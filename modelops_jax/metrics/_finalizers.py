"""From states to values. Written once, for NumPy float64 and for jax.numpy under tracing.

Leading axes of a state (resamples, slices) are carried through: a table's classes are its last
axes. The degenerate cases of every metric are decided here and nowhere else.
"""

from dataclasses import dataclass
from typing import Any, Literal

from ._average_precision import average_precision, average_precision_on_host
from ._counts import Counts
from ._metric import Outcome
from ._pair import Pair
from ._rowwise import Moments, RowSum
from ._scores import Scores, pair_area, pair_area_on_host

Average = Literal["binary", "micro", "macro", "weighted"]
Absent = Literal["skip", "count"]
Quantity = Literal["precision", "recall", "f1"]


def divide(xp: Any, above: Any, below: Any, otherwise: Any) -> Any:
    """`above / below`, and `otherwise` where `below` is 0; no warning, no nan gradient."""
    some = below > 0
    return xp.where(some, above / xp.where(some, below, xp.ones_like(below)), otherwise)


@dataclass(frozen=True)
class MatchShare:
    """Share of matching rows, from a table of (different, equal)."""

    zero_division: float = 0.0

    def __call__(self, xp: Any, counts: Counts) -> Outcome:
        table = counts.cells.value()
        total = table.sum(-1)
        return Outcome(divide(xp, table[..., 1], total, self.zero_division), (total == 0).sum())


@dataclass(frozen=True)
class DiagonalShare:
    """Share of rows on the diagonal of a confusion table; 0 of no rows."""

    def __call__(self, xp: Any, counts: Counts) -> Outcome:
        hit, predicted, _ = _by_class(xp, counts)
        total = predicted.sum(-1)
        return Outcome(divide(xp, hit.sum(-1), total, 0.0), (total == 0).sum())


@dataclass(frozen=True)
class ClassRatio:
    """Precision, recall or F1.

    F1 is 2 TP / (2 TP + FP + FN), which is defined wherever either of the others is.
    """

    quantity: Quantity
    average: str | None
    positive_class: int
    zero_division: float
    absent: str

    def __call__(self, xp: Any, counts: Counts) -> Outcome:
        hit, predicted, actual = _by_class(xp, counts)
        if self.average == "binary":
            hit, predicted, actual = (v[..., self.positive_class] for v in (hit, predicted, actual))
        elif self.average == "micro":
            hit, predicted, actual = (v.sum(-1) for v in (hit, predicted, actual))
        above, below = {
            "precision": (hit, predicted),
            "recall": (hit, actual),
            "f1": (2 * hit, predicted + actual),
        }[self.quantity]
        ratio = divide(xp, above, below, self.zero_division)
        if self.average not in ("macro", "weighted"):
            return Outcome(ratio, (below == 0).sum())
        member = predicted + actual > 0 if self.absent == "skip" else xp.ones_like(below) > 0
        undefined = (member & (below == 0)).sum()
        return Outcome(self._mean(xp, ratio, member & ~xp.isnan(ratio), actual), undefined)

    def _mean(self, xp: Any, ratio: Any, member: Any, support: Any) -> Any:
        equal = member.astype(support.dtype)
        weight = equal
        if self.average == "weighted":
            weight = xp.where(member, support, xp.zeros_like(support))
            # No class of the mean occurs among the true labels: they count alike.
            weight = xp.where(weight.sum(-1, keepdims=True) > 0, weight, equal)
        values = xp.where(member, ratio, xp.zeros_like(ratio))
        return divide(xp, (weight * values).sum(-1), weight.sum(-1), self.zero_division)


@dataclass(frozen=True)
class Table:
    """The counts as they are: integers, or sums of weights."""

    def __call__(self, xp: Any, counts: Counts) -> Outcome:
        cells = counts.cells
        return Outcome(cells.value() if isinstance(cells, Pair) else cells.integers(), 0)


def _by_class(xp: Any, counts: Counts) -> tuple[Any, Any, Any]:
    """Hits, predicted rows and true rows of every class of a confusion table."""
    table = counts.cells.value()
    return xp.diagonal(table, axis1=-2, axis2=-1), table.sum(-2), table.sum(-1)


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


@dataclass(frozen=True)
class AveragePrecision:
    """The mean precision at the positive rows' scores; nan without positive rows."""

    def __call__(self, xp: Any, scores: Scores) -> Outcome:
        on_host = xp.__name__ == "numpy"
        return Outcome(*(average_precision_on_host if on_host else average_precision)(scores))
