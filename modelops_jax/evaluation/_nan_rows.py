"""Rows that hold nan in a column that is read, as `nan_policy` wants them."""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from modelops_jax._is_nan import is_nan

from ._builtin import is_by_class
from ._finish import configuration_of
from ._result import EvaluationResult


@dataclass(frozen=True)
class NanRows:
    """Which rows hold nan.

    Args:
        pred: boolean, in y_true or what is read as y_pred, shape (n,).
        score: boolean, in y_true or what is read as y_score, shape (n,).
    """

    pred: np.ndarray
    score: np.ndarray

    @classmethod
    def of(
        cls,
        columns: tuple[Any, Any, Any],
        metrics: Mapping[str, Any],
        scored: tuple[str, ...],
        rows: int,
    ) -> "NanRows":
        """Look for nan; a column of another length has none, and is refused where it is read.

        Args:
            columns: y_true, y_pred and y_score.
            metrics: the metrics by name, each of which reads y_true.
            scored: those of them that read scores, which without y_score are y_pred.
            rows: how many rows.
        """
        y_true, y_pred, y_score = columns
        scores = y_pred if y_score is None else y_score
        true, pred, score = (
            _nan_in(column, rows)
            for column in (
                y_true,
                y_pred if len(scored) < len(metrics) else None,
                scores if scored else None,
            )
        )
        return cls(true | pred, true | score)

    @property
    def kept(self) -> np.ndarray:
        """The rows without nan."""
        return np.flatnonzero(~(self.pred | self.score))

    def in_values_of(self, names: Mapping[str, Any], scored: tuple[str, ...]) -> dict[str, int]:
        """The metrics of which some row holds nan, and how many rows do."""
        counts = {n: int((self.score if n in scored else self.pred).sum()) for n in names}
        return {name: count for name, count in counts.items() if count}


def rows_of(column: Any, rows: np.ndarray) -> Any:
    """Some of the rows of a column of any kind, or of every column of a dict."""
    if column is None:
        return None
    if isinstance(column, Mapping):
        return {name: rows_of(values, rows) for name, values in column.items()}
    if hasattr(column, "__array__"):
        return np.asarray(column)[rows]
    values = list(column)
    return [values[row] for row in rows.tolist()]


def with_nan(
    result: EvaluationResult, counts: Mapping[str, int], order: Mapping[str, Any]
) -> tuple[EvaluationResult, dict[str, str]]:
    """A result of the other metrics, and nan for these; and the rules that say so."""
    rules = {
        name: f"{name}: {count} of its rows hold nan, so the value is nan (nan_policy='propagate')"
        for name, count in counts.items()
    }
    values = {
        name: result.metrics.get(name, math.nan)
        for name, metric in order.items()
        if not is_by_class(metric)
    }
    undefined = dict(result.undefined) | dict.fromkeys(counts, 1)
    told = dict(result.metadata.get("undefined", {})) | rules
    metadata = {**result.metadata, "undefined": told} if told else result.metadata
    found = replace(
        result,
        metrics=values,
        undefined=undefined,
        metadata=metadata,
        configuration=configuration_of(order),
    )
    return found, rules


def nan_there(*columns: Any) -> jax.Array | None:
    """Which rows, that lie on devices, hold nan in one of these columns; None: none can."""
    with jax.enable_x64(True):
        flags = [
            jnp.isnan(column).any(axis=tuple(range(1, column.ndim)))
            for column in columns
            if column is not None and jnp.issubdtype(column.dtype, jnp.floating)
        ]
        return functools.reduce(jnp.logical_or, flags) if flags else None


def _nan_in(column: Any, rows: int) -> np.ndarray:
    """Where a column holds nan; a row of several numbers does if one of them is."""
    none = np.zeros(rows, bool)
    if column is None:
        return none
    if isinstance(column, Mapping):
        parts = [_nan_in(values, rows) for values in column.values()]
        return np.logical_or.reduce([none, *parts])
    if not hasattr(column, "__array__"):
        found = np.fromiter(map(_is_nan, column), bool)
        return found if len(found) == rows else none
    array = np.asarray(column)
    if array.dtype == object:
        found = np.array([_is_nan(value) for value in array.tolist()], bool)
    elif jnp.issubdtype(array.dtype, jnp.floating) and array.ndim:
        found = np.asarray(np.isnan(array).any(axis=tuple(range(1, array.ndim))))
    else:
        return none
    return found if len(found) == rows else none


def _is_nan(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_is_nan, value))
    if hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jnp.floating):
        return bool(np.isnan(value).any())
    return is_nan(value)
