"""The share of a class's rows, or of a label's entries, that are right or wrong, and its means."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ._count_finalizers import without_diagonal
from ._counts import Counts
from ._finalizers import divide
from ._label_finalizers import mean_of_labels
from ._metric import Outcome, Proportion
from ._same_fields import SameFields


@dataclass(frozen=True, eq=False)
class ClassShare(SameFields):
    """The share of each class, of all rows together ("micro"), or a mean over classes.

    A class or label without rows is nan, and is left out of means. Of classes the mean weighted by
    true rows is the share of all rows; of labels it is not.
    """

    ratio: Literal["right", "wrong"]
    table: Literal["classes", "labels", "hits"]  # (true, predicted), labels, (missed or hit, true)
    average: str | None

    def __call__(self, xp: Any, counts: Counts) -> Outcome:
        above, rows, actual = self._parts(xp, counts)
        if self.average == "micro":
            above, rows = above.sum(-1), rows.sum(-1)
        share = divide(xp, above, rows, float("nan"))
        if self.average in (None, "micro"):
            return Outcome(share, (rows == 0).sum())
        # Classes that no row is of do not count: how many there are is often an upper bound.
        undefined = rows == 0 if self.table == "labels" else rows.sum(-1) == 0
        return Outcome(mean_of_labels(xp, share, actual, self.average), undefined.sum())

    def proportion(self, counts: Counts) -> Proportion | None:
        """The share of each class, whose rows are independent, or of all rows of one label each."""
        if self.average in ("macro", "weighted") or (self.table, self.average) == (
            "labels",
            "micro",
        ):
            return None
        above, rows, _ = self._parts(np, counts)
        if self.average == "micro":
            return Proportion(above.sum(), rows.sum())
        return Proportion(above, rows)

    def _parts(self, xp: Any, counts: Counts) -> tuple[Any, Any, Any]:
        """Of every class what the share is of, all its rows, and those that are truly of it."""
        table = counts.cells.value()
        if self.table == "labels":
            right, wrong = table[..., 0, :] + table[..., 3, :], table[..., 1, :] + table[..., 2, :]
            actual = table[..., 2, :] + table[..., 3, :]
        elif self.table == "hits":
            wrong, right = table[..., 0, :], table[..., 1, :]
            actual = right + wrong
        else:
            right = xp.diagonal(table, axis1=-2, axis2=-1)
            wrong = without_diagonal(xp, table).sum(-1)
            actual = right + wrong
        return (right if self.ratio == "right" else wrong), right + wrong, actual
