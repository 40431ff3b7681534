"""Metrics of rows that have any number of labels each.

The labels of a row are not independent of each other, so that intervals resample rows.
"""

from collections.abc import Mapping
from typing import Any, Literal

import modelops_jax.metrics as numeric

from ._builtin import OnePassMetric, Reader
from ._class_scores import IGNORED
from ._label_sets import LabelSetReader


class _OfLabelSets(OnePassMetric):
    """A metric of the labels that rows have and are predicted to have."""

    value_of_no_rows = 0.0

    def __init__(self, ignore_index: int | None = None) -> None:
        self.ignore_index = ignore_index

    @property
    def reader(self) -> Reader:
        return LabelSetReader(ignore_index=self.ignore_index)

    @property
    def _ignoring(self) -> dict[str, int]:
        return {} if self.ignore_index is None else {"ignore_index": IGNORED}


class SubsetAccuracy(_OfLabelSets):
    """The share of rows that are right in all their labels. In [0, 1]; best 1."""

    @property
    def name(self) -> str:
        return "subset_accuracy"

    def bind(self, pair: Any) -> numeric.Metric:
        return numeric.metric("accuracy_score", num_labels=pair.num_labels, **self._ignoring)

    def rule(self, pair: Any) -> str:
        return "no row has a label that is not ignored, so the value is 0.0"

    def __repr__(self) -> str:
        ignored = "" if self.ignore_index is None else f"ignore_index={self.ignore_index!r}"
        return f"SubsetAccuracy({ignored})"


class LabelRatio(_OfLabelSets):
    """Precision, recall or F1 over labels. In [0, 1]; best 1.

    Args:
        quantity: which of the three.
        average: `"micro"` (of all labels' counts together) or `"macro"` (mean over labels, all
            columns of the matrices; 0/0 counts as 0.0).
        ignore_index: entries of y_true with this value are left out; None: none is.
    """

    def __init__(
        self,
        quantity: Literal["precision", "recall", "f1"],
        average: Literal["micro", "macro"],
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(ignore_index)
        self.quantity = quantity
        self.average = average

    @property
    def name(self) -> str:
        return f"{self.quantity}_{self.average}"

    def bind(self, pair: Any) -> numeric.Metric:
        return numeric.metric(
            f"{self.quantity}_score",
            average=self.average,
            num_labels=pair.num_labels,
            **self._ignoring,
        )

    def facts(self, pair: Any) -> Mapping[str, Any]:
        return {"labels": pair.num_labels}

    def __repr__(self) -> str:
        ignored = "" if self.ignore_index is None else f", ignore_index={self.ignore_index!r}"
        return f"LabelRatio({self.quantity!r}, {self.average!r}{ignored})"

    def rule(self, pair: Any) -> str:
        because = {
            "precision": "predicted for no row",
            "recall": "true of no row",
            "f1": "true of no row and predicted for none",
        }[self.quantity]
        return f"{self._missing(pair)} labels are {because}, so 0/0 counts as 0.0"

    def _missing(self, pair: Any) -> str:
        """How many of how many labels have a value of 0/0."""
        _, alarms, misses, hits = pair.cells
        rows = {
            "precision": alarms + hits,
            "recall": misses + hits,
            "f1": alarms + misses + hits,
        }[self.quantity]
        return f"{(rows == 0).sum()} of {pair.num_labels}"
