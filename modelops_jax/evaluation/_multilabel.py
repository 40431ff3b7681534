"""Metrics of rows that have any number of labels each.

The labels of a row are not independent of each other, so that intervals resample rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np

import modelops_jax.metrics as numeric

from ._builtin import OnePassMetric, Pair, Reader
from ._indicators import as_indicators
from ._sharded import as_indicators_there, on_devices


@dataclass(frozen=True)
class IndicatorPair(Pair):
    """Two matrices of shape (rows, labels): which labels each row has, and is predicted to have."""

    true: np.ndarray | jax.Array
    pred: np.ndarray | jax.Array

    @property
    def y_true(self) -> np.ndarray | jax.Array:
        return self.true

    @property
    def y_pred(self) -> np.ndarray | jax.Array:
        return self.pred

    @property
    def num_labels(self) -> int:
        """How many labels a row may have."""
        return self.true.shape[1]


def read_indicators(y_true: Any, y_pred: Any) -> IndicatorPair:
    """Read two matrices of 0 and 1 of one shape."""
    there = on_devices(y_true, y_pred) and y_true.ndim == y_pred.ndim == 2
    read: Any = as_indicators_there if there else as_indicators
    true, pred = read(y_true, "y_true"), read(y_pred, "y_pred")
    if true.shape != pred.shape:
        raise ValueError(
            f"y_true has shape {true.shape} and y_pred has shape {pred.shape}; expected one shape"
        )
    if len(true) and not true.shape[1]:
        raise ValueError(f"y_true and y_pred have shape {true.shape}; expected at least one label")
    return IndicatorPair(true, pred)


class SubsetAccuracy(OnePassMetric):
    """The share of rows that are right in all their labels. In [0, 1]; best 1."""

    value_of_no_rows = 0.0

    @property
    def name(self) -> str:
        return "subset_accuracy"

    @property
    def reader(self) -> Reader:
        return read_indicators

    def bind(self, pair: IndicatorPair) -> numeric.Metric:
        return numeric.metric("accuracy_score", num_labels=pair.num_labels)


class LabelRatio(OnePassMetric):
    """Precision, recall or F1 over labels. In [0, 1]; best 1.

    Args:
        quantity: which of the three.
        average: `"micro"` (of all labels' counts together) or `"macro"` (mean over labels, all
            columns of the matrices; 0/0 counts as 0.0).
    """

    value_of_no_rows = 0.0

    def __init__(
        self,
        quantity: Literal["precision", "recall", "f1"],
        average: Literal["micro", "macro"],
    ) -> None:
        self.quantity = quantity
        self.average = average

    @property
    def name(self) -> str:
        return f"{self.quantity}_{self.average}"

    @property
    def reader(self) -> Reader:
        return read_indicators

    def bind(self, pair: IndicatorPair) -> numeric.Metric:
        return numeric.metric(
            f"{self.quantity}_score", average=self.average, num_labels=pair.num_labels
        )

    def facts(self, pair: IndicatorPair) -> Mapping[str, Any]:
        return {"labels": pair.num_labels}

    def __repr__(self) -> str:
        return f"LabelRatio({self.quantity!r}, {self.average!r})"

    def missing(self, pair: IndicatorPair) -> int:
        """The number of labels whose value is 0/0."""
        sides = {
            "precision": pair.pred,
            "recall": pair.true,
            "f1": pair.true | pair.pred,
        }
        return int((~sides[self.quantity].any(axis=0)).sum())

    def rule(self, pair: IndicatorPair) -> str:
        because = {
            "precision": "predicted for no row",
            "recall": "true of no row",
            "f1": "true of no row and predicted for none",
        }[self.quantity]
        return (
            f"{self.missing(pair)} of {pair.num_labels} labels are {because}, so 0/0 counts as 0.0"
        )
