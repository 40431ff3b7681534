"""Labels that are counted where they lie, and drawn there."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np

import modelops_jax.metrics as numeric
from modelops_jax._distinct_shards import distinct_rows_of_shards

from ._front_rows import Front, only_these, put_in_front
from ._label_codes import LabelCodes, label_codes
from ._labels import CodedLabels
from ._rows_there import groups_there
from ._sharded import entries_at, placed_among, table_of


@dataclass(frozen=True)
class CountedLabels:
    """Labels of rows on several devices.

    Args:
        labels: the pairs that occur.
        counts: how many rows each has, int64.
        weights: what these weigh, float64; None: 1 each.
        sides: both sides as they came.
        coded: how labels are numbers there.
        present: of the classes in order the code.
        weight: of each row, float64, or a mask; None: each counts once.
        ignored: the position of the true label whose rows count nowhere; None: there is none.
    """

    labels: CodedLabels
    counts: np.ndarray
    weights: np.ndarray | None
    sides: tuple[jax.Array, jax.Array]
    coded: LabelCodes
    present: np.ndarray
    weight: jax.Array | None
    ignored: int | None = None

    @cached_property
    def rows(self) -> tuple[jax.Array, jax.Array]:
        """Both sides of all rows as positions among the classes, on the devices.

        Made when they are asked for: only slices and groups do, and they are two columns more.
        """
        true, pred = (placed_among(c, self.present) for c in self.coded.of(*self.sides))
        return true, pred

    @property
    def mask(self) -> jax.Array | None:
        """Which rows have a positive weight; None: all."""
        if self.weight is None:
            return None
        with jax.enable_x64(True):
            return self.weight.astype(bool)

    def only(self, rows: jax.Array) -> "CountedLabels":
        """The rows of these that count, among all that were counted."""
        return replace(self, weight=only_these(rows, self.weight))

    def drawn(self, labels: CodedLabels, groups: Any) -> Front:
        """The rows that count and are not ignored, before all others.

        Args:
            labels: the classes of those.
            groups: of each row, or None.

        Returns:
            The weight of each row, or None; and as positions among those classes both sides, and
            the groups.
        """
        true, pred = self.rows
        weight = self.weight
        if self.ignored is not None:
            weight = only_these(true != self.ignored, weight)
            places = [labels.index.get(label, 0) for label in self.labels.classes]
            true, pred = (entries_at(np.array(places, np.int32), side) for side in (true, pred))
        if weight is None:
            return Front(None, (true, pred, groups))
        return put_in_front(weight, (true, pred, groups_there(groups, weight)))


def count_labels(
    y_true: jax.Array, y_pred: jax.Array, weight: jax.Array | None
) -> CountedLabels | None:
    """Count the pairs of labels that occur, where the rows lie.

    Args:
        y_true: labels, shape (n,).
        y_pred: labels, divided likewise.
        weight: None, a mask or float64, divided likewise.

    Returns:
        None for labels that are no integers or of too many kinds for a table.
    """
    coded = label_codes(y_true, y_pred)
    if coded is None:
        return None
    codes = coded.of(y_true, y_pred)
    weights = None
    if weight is None:
        table = table_of(codes[0], codes[1], coded.size)
        true, pred = np.nonzero(table)
        counts = table[true, pred]
    else:
        layout: Any = numeric.row_layout(y_true)
        found = distinct_rows_of_shards(codes, [coded.size] * 2, weight, *layout)
        (true, pred), counts, weights = found.rows.T, found.counts, found.weights
    present = np.union1d(true, pred)
    places = {
        "y_true": np.searchsorted(present, true).astype(np.int32),
        "y_pred": np.searchsorted(present, pred).astype(np.int32),
    }
    labels = CodedLabels(coded.classes(present), places)
    return CountedLabels(labels, counts, weights, (y_true, y_pred), coded, present, weight)
