"""Ids of tokens, a row for each sequence."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from ._evidence import Pair
from ._sharded import on_devices
from ._vectors import check_concrete


@dataclass(frozen=True)
class TokenPair(Pair):
    """Right and predicted ids, shape (n, length)."""

    right: np.ndarray | jax.Array
    predicted: np.ndarray | jax.Array

    @property
    def y_true(self) -> np.ndarray | jax.Array:
        return self.right

    @property
    def y_pred(self) -> np.ndarray | jax.Array:
        return self.predicted


def read_tokens(y_true: Any, y_pred: Any) -> TokenPair:
    """Read two matrices of integers of one shape.

    Raises:
        TypeError: ids that are no integers.
        ValueError: shapes that differ, or not two axes.
    """
    right, predicted = _ids(y_true, "y_true"), _ids(y_pred, "y_pred")
    if right.shape != predicted.shape:
        raise ValueError(
            f"y_true has shape {right.shape} and y_pred {predicted.shape}; expected one shape"
        )
    return TokenPair(right, predicted)


def _ids(values: Any, name: str) -> Any:
    check_concrete(values, name)
    ids = values if on_devices(values) else np.asarray(values)
    if ids.size == 0 and ids.ndim == 1:
        return ids.astype(np.int64).reshape(0, 0)
    if ids.ndim != 2:
        raise ValueError(f"{name} has shape {ids.shape}; expected (rows, length), an id a place")
    if ids.dtype.kind not in "iu":
        raise TypeError(f"{name} holds {ids.dtype}; expected integers, the ids of tokens")
    return ids
