"""Metrics of rows that have any number of labels each.

A row that has a label it should have is a hit of that label; the entries of the matrices that
are 1 on either side are all that the metrics depend on.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

import modelops_jax.metrics as numeric

from ._builtin import BuiltIn, Computed, Confidence, OnePassMetric, Pair, Reader
from ._indicators import as_indicators
from ._per_class import values_by_class
from ._slicing import SliceOutcome, Slicing


@dataclass(frozen=True)
class IndicatorPair(Pair):
    """Two matrices of shape (rows, labels): which labels each row has, and is predicted to have.

    As one number a row, whether the row is right in all its labels.
    """

    true: np.ndarray
    pred: np.ndarray

    @cached_property
    def right(self) -> np.ndarray:
        """Whether each row's labels are all as predicted."""
        return np.asarray((self.true == self.pred).all(axis=1))

    @property
    def y_true(self) -> np.ndarray:
        return np.ones_like(self.right)

    @property
    def y_pred(self) -> np.ndarray:
        return self.right

    def compute(
        self, metrics: Mapping[str, Any], confidence: Confidence | None
    ) -> dict[str, Computed | Exception]:
        ratios = {name: m for name, m in metrics.items() if isinstance(m, LabelRatio)}
        rest = {name: m for name, m in metrics.items() if name not in ratios}
        if not len(self.true) or not ratios:
            return super().compute(metrics, confidence)
        outcomes = super().compute(rest, confidence) if rest else {}
        names = sorted({metric.numeric_name for metric in ratios.values()})
        row, label = np.nonzero(self.true | self.pred)
        true, pred = self.true[row, label], self.pred[row, label]
        together = numeric.compute({name: numeric.metric(name) for name in names}, true, pred)
        labels = self.true.shape[1]
        by_label = values_by_class(
            names, np.where(true, label, labels), np.where(pred, label, labels), labels
        )
        for name, metric in ratios.items():
            if metric.average == "micro":
                undefined = together.undefined[metric.numeric_name]
                value = float(together.values[metric.numeric_name])
            else:
                undefined = metric.missing(self)
                value = math.fsum(by_label[metric.numeric_name]) / labels
            rule = f"{name}: {metric.rule(self)}" if undefined else None
            outcomes[name] = Computed(value, rule, facts=metric.facts(self), undefined=undefined)
        return outcomes

    def slices(
        self, metrics: Mapping[str, Any], slicings: list[Slicing], confidence: Confidence | None
    ) -> list[list[dict[str, SliceOutcome]]]:
        return self.slices_one_by_one(metrics, slicings, confidence)


def read_indicators(y_true: Any, y_pred: Any) -> IndicatorPair:
    """Read two matrices of 0 and 1 of one shape."""
    true, pred = as_indicators(y_true, "y_true"), as_indicators(y_pred, "y_pred")
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
        return numeric.metric("accuracy_score")


class LabelRatio(BuiltIn):
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
    def numeric_name(self) -> str:
        """The name of the quantity in `modelops_jax.metrics`."""
        return f"{self.quantity}_score"

    @property
    def reader(self) -> Reader:
        return read_indicators

    def facts(self, pair: IndicatorPair) -> Mapping[str, Any]:
        return {"labels": pair.true.shape[1]}

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
            f"{self.missing(pair)} of {pair.true.shape[1]} labels are {because}, so 0/0 counts "
            "as 0.0"
        )
