"""From counts of several labels a row to values: of each label, of all together, or means."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from ._count_finalizers import ClassCorrelation, Kappa, MeanRecall
from ._counts import Counts
from ._finalizers import divide
from ._label_rows import label_table
from ._metric import Outcome
from ._pair import Pair

AverageOfLabels = Literal["micro", "macro", "weighted"]


def require_average_of_labels(average: str | None) -> None:
    """Refuse another average (ValueError)."""
    if average is not None and average not in get_args(AverageOfLabels):
        raise ValueError(
            f"average must be one of {get_args(AverageOfLabels)} or None, not {average!r}"
        )


def refuse_average(name: str, average: str | None) -> None:
    """Refuse an average of labels for rows of one label each (ValueError)."""
    if average != "macro":
        raise ValueError(
            f"average={average!r} is for rows of several labels and needs num_labels; of one "
            f"label a row {name} is one number of all classes"
        )


@dataclass(frozen=True)
class OfLabels:
    """A value of a table of two classes, for every label's table, for their sum, or the mean.

    Means leave out the labels of which the value is nan, which count as undefined.
    """

    inner: MeanRecall | ClassCorrelation | Kappa
    average: str | None

    def __call__(self, xp: Any, counts: Counts) -> Outcome:
        tables = counts.cells.value()
        if self.average == "micro":
            value, undefined = self.inner(xp, _as_counts(xp, tables.sum(-1, keepdims=True), counts))
            return Outcome(value[..., 0], undefined)
        values, undefined = self.inner(xp, _as_counts(xp, tables, counts))
        if self.average is None:
            return Outcome(values, undefined)
        _, _, actual = label_table(tables)
        return Outcome(mean_of_labels(xp, values, actual, self.average), undefined)


@dataclass(frozen=True)
class LabelTables:
    """The counts as they are, a table of two classes for every label."""

    def __call__(self, xp: Any, counts: Counts) -> Outcome:
        cells = counts.cells
        return Outcome(_tables(cells.value() if isinstance(cells, Pair) else cells.integers()), 0)


def mean_of_labels(xp: Any, values: Any, actual: Any, average: str) -> Any:
    """The mean of the labels whose value is not nan: alike, or by their true rows."""
    member = ~xp.isnan(values)
    weight = equal = member.astype(values.dtype)
    if average == "weighted":
        weight = xp.where(member, actual.astype(values.dtype), xp.zeros_like(values))
        # No label of the mean is true of any row: they count alike.
        weight = xp.where(weight.sum(-1, keepdims=True) > 0, weight, equal)
    counted = weight > 0  # infinity times no weight is nan
    total = (weight * xp.where(counted, values, xp.zeros_like(values))).sum(-1)
    return divide(xp, total, weight.sum(-1), float("nan"))


def _as_counts(xp: Any, tables: Any, counts: Counts) -> Counts:
    tables = _tables(tables)
    return Counts(Pair(tables, xp.zeros_like(tables)), counts.invalid)


def _tables(cells: Any) -> Any:
    """Of counts shaped (..., 4, labels) in the order 00 01 10 11: (..., labels, 2, 2)."""
    cells = cells.swapaxes(-1, -2)
    return cells.reshape(*cells.shape[:-1], 2, 2)
