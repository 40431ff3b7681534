"""Metrics of predicted numbers: MSE, MAE, RMSE and R2; of several outputs a row their mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

import modelops_jax.metrics as numeric

from ._builtin import OnePassMetric, Reader
from ._evidence import Pair
from ._numbers import as_outputs, as_values, as_wide_as_squares, has_outputs
from ._sharded import on_devices
from ._vectors import check_same_length


@dataclass(frozen=True)
class ValuePair(Pair):
    """Measured and predicted values as float vectors, or matrices of several outputs a row."""

    measured: np.ndarray | jax.Array
    predicted: np.ndarray | jax.Array

    @property
    def y_true(self) -> np.ndarray | jax.Array:
        return self.measured

    @property
    def y_pred(self) -> np.ndarray | jax.Array:
        return self.predicted

    @property
    def outputs(self) -> int | None:
        """How many values a row has; None: one, and no axis for it."""
        return self.measured.shape[1] if self.measured.ndim == 2 else None

    def facts(self) -> dict[str, Any]:
        """What a result says of the rows."""
        return {} if self.outputs is None else {"outputs": self.outputs}


def read_values(y_true: Any, y_pred: Any) -> ValuePair:
    """Read finite real numbers of one shape: a vector, or a matrix of several outputs a row."""
    if on_devices(y_true, y_pred) and y_true.dtype != bool and y_pred.dtype != bool:
        return ValuePair(y_true, y_pred)
    if has_outputs(y_true) or has_outputs(y_pred):
        measured, predicted = as_outputs(y_true, "y_true"), as_outputs(y_pred, "y_pred")
        if measured.shape != predicted.shape or not measured.shape[1]:
            raise ValueError(
                f"y_true has shape {measured.shape} and y_pred has shape {predicted.shape}; "
                "expected one shape (rows, outputs)"
            )
        return ValuePair(*as_wide_as_squares(measured, predicted))
    measured, predicted = as_values(y_true, "y_true"), as_values(y_pred, "y_pred")
    check_same_length(measured, predicted, ("y_true", "y_pred"))
    return ValuePair(*as_wide_as_squares(measured, predicted))


class _MeanOfErrors(OnePassMetric):
    """A metric of the errors of single rows."""

    higher_is_better = False

    @property
    def reader(self) -> Reader:
        return read_values


class MSEMetric(_MeanOfErrors):
    """Mean squared error: the mean of `(y_true - y_pred) ** 2`.

    In [0, inf); best 0. No rows: nan with an `UndefinedMetricWarning`.

    Example:
        >>> from modelops_jax.evaluation import MSEMetric
        >>> MSEMetric().compute([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0])
        0.375
    """

    @property
    def name(self) -> str:
        """`"mse"`."""
        return "mse"

    def bind(self, pair: Any) -> numeric.Metric:
        return numeric.metric("mean_squared_error", num_outputs=pair.outputs)

    def facts(self, pair: Any) -> Mapping[str, Any]:
        return pair.facts()


class MAEMetric(_MeanOfErrors):
    """Mean absolute error: the mean of `|y_true - y_pred|`.

    In [0, inf), in the unit of the values; best 0. No rows: nan with an
    `UndefinedMetricWarning`.

    Example:
        >>> from modelops_jax.evaluation import MAEMetric
        >>> MAEMetric().compute([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0])
        0.5
    """

    @property
    def name(self) -> str:
        """`"mae"`."""
        return "mae"

    def bind(self, pair: Any) -> numeric.Metric:
        return numeric.metric("mean_absolute_error", num_outputs=pair.outputs)

    def facts(self, pair: Any) -> Mapping[str, Any]:
        return pair.facts()


class RMSEMetric(_MeanOfErrors):
    """Root of the mean squared error.

    In [0, inf), in the unit of the values; best 0. No rows: nan with an
    `UndefinedMetricWarning`.

    Example:
        >>> from modelops_jax.evaluation import RMSEMetric
        >>> RMSEMetric().compute([0.0, 0.0], [3.0, 3.0])
        3.0
    """

    @property
    def name(self) -> str:
        """`"rmse"`."""
        return "rmse"

    def bind(self, pair: Any) -> numeric.Metric:
        return numeric.metric("root_mean_squared_error", num_outputs=pair.outputs)

    def facts(self, pair: Any) -> Mapping[str, Any]:
        return pair.facts()


class R2Metric(OnePassMetric):
    """Coefficient of determination: `1 - sum((y - p) ** 2) / sum((y - mean(y)) ** 2)`.

    In (-inf, 1]; best 1, and 0 is as good as always predicting the mean. Undefined, with an
    `UndefinedMetricWarning`: nan for fewer than two rows; for targets that are all equal, 1.0 if
    every prediction is exact and 0.0 if not.

    Example:
        >>> from modelops_jax.evaluation import R2Metric
        >>> round(R2Metric().compute([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0]), 6)
        0.948608
    """

    @property
    def name(self) -> str:
        """`"r2"`."""
        return "r2"

    @property
    def reader(self) -> Reader:
        return read_values

    def bind(self, pair: Any) -> numeric.Metric:
        return numeric.metric("r2_score", num_outputs=pair.outputs)

    def facts(self, pair: Any) -> Mapping[str, Any]:
        return pair.facts()

    def rule(self, pair: Any) -> str:
        if pair.rows < 2:
            return "there is one row and two are needed, so the value is nan"
        return (
            f"all values of y_true{'' if pair.outputs is None else ', of one output,'} are equal, "
            "so the value is 1.0 for exact predictions and 0.0 for any other"
        )
