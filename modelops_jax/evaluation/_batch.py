"""Rows as a caller passes them, less those that do not count."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._columns import check_columns, names_of_scored
from ._nan_rows import NanRows, rows_of
from ._sharded import gathered
from ._vectors import listed
from ._weights import of_positive_weight


@dataclass(frozen=True)
class Batch:
    """The columns of some rows.

    Args:
        rows: how many.
        y_true: what is right.
        y_pred: what was predicted.
        y_score: scores.
        groups: the id of each row.
        slices: columns to slice by.
        weight: positive, of each row; None: they have none.
        omitted: rows of a positive weight that were left out because they hold nan.
        nans: by metric that reads rows which hold nan, how many do.
    """

    rows: int
    y_true: Any
    y_pred: Any
    y_score: Any
    groups: Any
    slices: Any
    weight: np.ndarray | None
    omitted: int = 0
    nans: Mapping[str, int] | None = None

    @property
    def columns(self) -> dict[str, Any]:
        """What evaluations read, by argument."""
        names = ("y_true", "y_pred", "y_score", "groups", "weight")
        return {name: getattr(self, name) for name in names}


def read_batch(
    metrics: Mapping[str, Any],
    nan_policy: str,
    *,
    y_true: Any,
    y_pred: Any,
    y_score: Any,
    weight: Any,
    groups: Any,
    slices: Any,
) -> Batch:
    """Take the rows that count for these metrics.

    Raises:
        TypeError: a column that is none, or weights that are no numbers.
        ValueError: two lengths, a column that is missing or that no metric reads, weights that are
            negative or not finite, or slices of what nan propagates through.
    """
    y_true, y_pred, groups, weight = map(listed, (y_true, y_pred, groups, weight))
    rows = check_columns(metrics, y_true, y_pred, y_score)
    if weight is not None:
        y_true, y_pred = gathered(y_true), gathered(y_pred)
    given: dict[str, Any] = {"y_true": y_true, "y_pred": y_pred, "y_score": y_score}
    given |= {"groups": groups, "slices": slices}
    own, rows, *kept = of_positive_weight(weight, rows, **given)
    columns = dict(zip(given, kept, strict=True))
    if nan_policy == "raise":
        return Batch(rows=rows, weight=own, **columns)
    if nan_policy == "propagate" and slices:
        raise ValueError("nan_policy='propagate' has no slices; 'omit' has")
    scored = names_of_scored(metrics)
    read = columns["y_true"], columns["y_pred"], columns["y_score"]
    found = NanRows.of(read, metrics, scored, rows)
    if nan_policy == "propagate":
        nans = found.in_values_of(metrics, scored)
        return Batch(rows=rows, weight=own, nans=nans, **columns)
    present = found.kept
    if omitted := rows - len(present):
        own, rows = rows_of(own, present), len(present)
        columns = {name: rows_of(column, present) for name, column in columns.items()}
    return Batch(rows=rows, weight=own, omitted=omitted, **columns)
