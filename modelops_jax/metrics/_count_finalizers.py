"""From tables of counts to values, as in `_finalizers.py`.

Sums here have no negative terms until the last step: counts stay exact, and sums of weights do
not cancel.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from ._counts import Counts
from ._finalizers import divide
from ._label_rows import label_rejections, label_table
from ._metric import Outcome, Proportion
from ._pair import Pair
from ._ratio import Quantity, ratio_parts
from ._rowwise import RowSum
from ._same_fields import SameFields

Average = Literal["binary", "micro", "macro", "weighted", "samples"]
Absent = Literal["skip", "count"]
Distance = Literal["linear", "quadratic"]
# What the cells count: rows by (true, predicted) class, or by outcome and class.
Counted = Literal["pairs", "outcomes"]
_NO_BOOTSTRAP = (
    "of so many classes it counts the outcomes of each, and not the pairs that a bootstrap draws"
)


@dataclass(frozen=True, eq=False)
class MatchShare(SameFields):
    """A ratio of the rows whose labels are equal and the rows whose labels differ.

    "equal": equal / all; "different": different / all; "jaccard": equal / (equal + 2 different),
    because a row that differs is in the union of its true and of its predicted class.
    """

    ratio: Literal["equal", "different", "jaccard"]
    table: Literal["matches", "classes"]  # (different, equal), or what is counted
    empty: float

    def __call__(self, xp: Any, counts: Counts) -> Outcome:
        table = counts.cells.value()
        if self.table == "classes":
            equal = xp.diagonal(table, axis1=-2, axis2=-1).sum(-1)
            different = without_diagonal(xp, table).sum((-2, -1))
        else:
            different, equal = table[..., 0], table[..., 1]
        above = different if self.ratio == "different" else equal
        below = equal + (2 if self.ratio == "jaccard" else 1) * different
        return Outcome(divide(xp, above, below, self.empty), (below == 0).sum())

    def proportion(self, counts: Counts) -> Proportion | None:
        """The share of rows that are equal, or of rows that are different."""
        table = counts.cells.value()
        rows = table.sum()
        equal = np.diagonal(table).sum() if self.table == "classes" else table[1]
        if self.ratio == "different":
            return Proportion(rows - equal, rows)
        return Proportion(equal, rows, jaccard_of_share if self.ratio == "jaccard" else None)


@dataclass(frozen=True, eq=False)
class ClassRatio(SameFields):
    """A ratio of the counts of one class or label, or its mean over them."""

    quantity: Quantity
    beta: float
    average: str | None
    positive_class: int
    zero_division: float
    absent: str
    labels: bool = False  # the table is one of labels, of which a row may have several

    def __call__(self, xp: Any, counts: Counts) -> Outcome:
        table = counts.cells.value()
        hit, predicted, actual = label_table(table) if self.labels else _by_class(xp, table)
        above, below = self._parts(xp, table, hit, predicted, actual)
        member = predicted + actual > 0 if self.absent == "skip" else xp.ones_like(below) > 0
        if self.average == "binary":
            above, below = above[..., self.positive_class], below[..., self.positive_class]
        elif self.average == "micro":
            above, below = (xp.where(member, v, xp.zeros_like(v)).sum(-1) for v in (above, below))
        ratio = divide(xp, above, below, self.zero_division)
        if self.average not in ("macro", "weighted"):
            return Outcome(ratio, (below == 0).sum())
        undefined = (member & (below == 0)).sum()
        return Outcome(self._mean(xp, ratio, member & ~xp.isnan(ratio), actual), undefined)

    def _parts(self, xp: Any, table: Any, hit: Any, predicted: Any, actual: Any) -> tuple[Any, Any]:
        """What to divide, for every class or label."""

        def rejections() -> tuple[Any, Any]:
            return label_rejections(table) if self.labels else _rejected(xp, table, actual)

        return ratio_parts(self.quantity, self.beta, hit, predicted, actual, rejections)

    def proportion(self, counts: Counts) -> Proportion | None:
        """The ratio of one class, or of all classes' counts together, as a share of rows.

        Given how many rows are predicted (true, neither, in the union of both), how many of them
        are hits is binomial, whatever the classes' shares. F1 rises with Jaccard's share, and a
        micro-average with the share of rows that match.
        """
        table = counts.cells.value()
        if self.labels and self.average is not None:
            return None
        hit, predicted, actual = label_table(table) if self.labels else _by_class(np, table)
        f1 = self.quantity == "f1" or (self.quantity == "fbeta" and self.beta == 1)
        if self.average in ("macro", "weighted"):
            return None
        if self.average == "micro":
            if self.quantity == "specificity":
                return None
            as_value = jaccard_of_share if self.quantity == "jaccard" else None
            return Proportion(hit.sum(), table.sum(), as_value)
        if f1:
            hits, rows, as_value = hit, predicted + actual - hit, f1_of_jaccard
        elif self.quantity == "fbeta":
            return None
        else:
            hits, rows = self._parts(np, table, hit, predicted, actual)
            as_value = None
        if self.average == "binary":
            hits, rows = hits[self.positive_class], rows[self.positive_class]
        return Proportion(hits, rows, as_value)

    def _mean(self, xp: Any, ratio: Any, member: Any, support: Any) -> Any:
        equal = member.astype(support.dtype)
        weight = equal
        if self.average == "weighted":
            weight = xp.where(member, support, xp.zeros_like(support))
            # No class of the mean occurs among the true labels: they count alike.
            weight = xp.where(weight.sum(-1, keepdims=True) > 0, weight, equal)
        values = xp.where(member, ratio, xp.zeros_like(ratio))
        return divide(xp, (weight * values).sum(-1), weight.sum(-1), self.zero_division)


def jaccard_of_share(share: Any) -> Any:
    """Micro-averaged Jaccard from the share of rows that match: a row that differs counts twice."""
    return share / (2 - share)


def f1_of_jaccard(share: Any) -> Any:
    """F1 of a class from its Jaccard index."""
    return 2 * share / (1 + share)


@dataclass(frozen=True, eq=False)
class SampleMean(SameFields):
    """The mean over rows of a ratio of the labels of each, from the mean of those that have one.

    Rows whose ratio is 0/0 count as `zero_division`; nan leaves them out.
    """

    zero_division: float

    def __call__(self, xp: Any, ratios: RowSum, defined: RowSum) -> Outcome:
        total, some, weight = ratios.total.value(), defined.total.value(), ratios.weight.value()
        without = weight - some
        without = xp.where(without > 0, without, xp.zeros_like(without))
        if math.isnan(self.zero_division):
            below, above = some, total
        else:
            below, above = weight, total + self.zero_division * without
        undefined = xp.where(weight == 0, xp.ones_like(weight), xp.ceil(without)).sum()
        return Outcome(divide(xp, above, below, self.zero_division), undefined)


@dataclass(frozen=True)
class Table:
    """The counts as they are: integers, or sums of weights."""

    def __call__(self, xp: Any, counts: Counts) -> Outcome:
        cells = counts.cells
        return Outcome(cells.value() if isinstance(cells, Pair) else cells.integers(), 0)


@dataclass(frozen=True)
class MeanRecall:
    """The mean recall of the classes with true rows; nan of no rows.

    Adjusted, chance is 0: `(mean - 1/c) / (1 - 1/c)` of c classes, nan of one.
    """

    adjusted: bool
    counted: Counted = "pairs"
    no_bootstrap: ClassVar[str] = _NO_BOOTSTRAP

    def __call__(self, xp: Any, counts: Counts) -> Outcome:
        hit, missed, wrong = _outcomes(xp, counts.cells.value(), self.counted)
        actual = hit + missed
        occurs = actual > 0
        total = divide(xp, hit, actual, 0.0).sum(-1)
        classes = occurs.astype(actual.dtype).sum(-1)
        above, below = (total - 1, classes - 1) if self.adjusted else (total, classes)
        unseen = (~occurs & (hit + wrong > 0)).sum()
        return Outcome(divide(xp, above, below, float("nan")), unseen + (below <= 0).sum())


@dataclass(frozen=True)
class ClassCorrelation:
    """Matthews' correlation of classes: 0 where either list has one class, nan of no rows.

    The covariances are sums over classes: of predictions `P (n - P)`, of truths `T (n - T)`, of
    both `TP TN - FP FN`. Each equals the textbook's `n^2 - sum P^2` and so on, whose differences
    of large squares lose the digits of a rare class.
    """

    counted: Counted = "pairs"
    no_bootstrap: ClassVar[str] = _NO_BOOTSTRAP

    def __call__(self, xp: Any, counts: Counts) -> Outcome:
        part = _shares(xp, counts, self.counted)
        rejected = _not_below_0(xp, part.not_actual - part.wrong)
        both = (part.hit * rejected - part.wrong * part.missed).sum(-1)
        of_true = (part.actual * part.not_actual).sum(-1)
        of_pred = (part.predicted * part.not_predicted).sum(-1)
        flat = (of_true == 0) | (of_pred == 0)
        of_true, of_pred = (xp.where(flat, xp.ones_like(v), v) for v in (of_true, of_pred))
        value = xp.clip(both / of_true * xp.sqrt(of_true / of_pred), -1, 1)
        value = xp.where(flat, xp.zeros_like(value), value)
        return Outcome(xp.where(part.rows == 0, float("nan"), value), flat.sum())


@dataclass(frozen=True)
class Kappa:
    """`1 - mean distance / mean distance of independent labels`; nan where the latter is 0.

    Without a distance of class numbers it is 1 of any two classes, and needs no pairs.
    """

    distance: str | None
    counted: Counted = "pairs"
    no_bootstrap: ClassVar[str] = _NO_BOOTSTRAP

    def __call__(self, xp: Any, counts: Counts) -> Outcome:
        part = _shares(xp, counts, self.counted)
        if self.distance is None:
            observed = part.missed.sum(-1)
            expected = (part.actual * part.not_predicted).sum(-1)
        else:
            table = counts.cells.value()
            place = np.arange(table.shape[-1])
            steps = np.abs(place[:, None] - place)
            far = xp.asarray((steps if self.distance == "linear" else steps**2).astype(table.dtype))
            observed = divide(xp, (far * table).sum((-2, -1)), part.rows, 0.0)
            by_pair = part.actual[..., :, None] * part.predicted[..., None, :]
            expected = (far * by_pair).sum((-2, -1))
        apart = divide(xp, observed, expected, float("nan"))
        # At most 2 (the triangle inequality, averaged), but for rounding.
        return Outcome(1 - xp.minimum(apart, 2 * xp.ones_like(apart)), (expected == 0).sum())


def _by_class(xp: Any, table: Any) -> tuple[Any, Any, Any]:
    """Hits, predicted rows and true rows of every class of a confusion table."""
    return xp.diagonal(table, axis1=-2, axis2=-1), table.sum(-2), table.sum(-1)


def without_diagonal(xp: Any, table: Any) -> Any:
    """The table with nothing on its diagonal."""
    own = xp.broadcast_to(np.eye(table.shape[-1], dtype=bool), table.shape)
    return xp.where(own, xp.zeros_like(table), table)


def _others(xp: Any, rows: Any) -> Any:
    """For every class the rows of all others, summed and not subtracted from the total."""
    none = xp.zeros_like(rows[..., :1])
    before = xp.concatenate([none, xp.cumsum(rows[..., :-1], -1)], -1)
    after = xp.concatenate([none, xp.cumsum(rows[..., :0:-1], -1)], -1)
    return before + after[..., ::-1]


def _rejected(xp: Any, table: Any, actual: Any) -> tuple[Any, Any]:
    """For every class the rows that are rightly not predicted as it, and all that are not of it."""
    negatives = _others(xp, actual)
    return _not_below_0(xp, negatives - without_diagonal(xp, table).sum(-2)), negatives


def _not_below_0(xp: Any, rows: Any) -> Any:
    return xp.where(rows > 0, rows, xp.zeros_like(rows))


def _outcomes(xp: Any, table: Any, counted: Counted) -> tuple[Any, Any, Any]:
    """The rows of every class that are hit, those missed, and those of others taken for it."""
    if counted == "outcomes":
        return table[..., 0, :], table[..., 1, :], table[..., 2, :]
    others = without_diagonal(xp, table)
    return xp.diagonal(table, axis1=-2, axis2=-1), others.sum(-1), others.sum(-2)


class _Shares(NamedTuple):
    """The outcomes of every class as shares of all rows, so that their products stay in range."""

    hit: Any
    missed: Any
    wrong: Any
    actual: Any
    predicted: Any
    not_actual: Any
    not_predicted: Any
    rows: Any  # how many there are, or their weight


def _shares(xp: Any, counts: Counts, counted: Counted) -> _Shares:
    hit, missed, wrong = _outcomes(xp, counts.cells.value(), counted)
    actual, predicted = hit + missed, hit + wrong
    rows = actual.sum(-1)
    below = xp.broadcast_to(rows[..., None], hit.shape)
    # Counts are added up before they are divided, where that is exact.
    parts = hit, missed, wrong, actual, predicted, _others(xp, actual), _others(xp, predicted)
    return _Shares(*(divide(xp, part, below, 0.0) for part in parts), rows=rows)
