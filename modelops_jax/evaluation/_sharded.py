"""Arguments whose rows lie on several devices, and stay there."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import modelops_jax.metrics as numeric

from ._labels import CodedLabels

# The widest range of labels that is counted on the devices: cells are its square.
_WIDEST = 4096


def on_devices(*columns: Any) -> bool:
    """Whether all are JAX arrays whose rows are divided over several devices."""
    return all(numeric.row_layout(column) is not None for column in columns)


def gathered(column: Any) -> Any:
    """The column on the host if its rows lie on several devices, else as it is."""
    return np.asarray(column) if on_devices(column) else column


def count_labels(y_true: jax.Array, y_pred: jax.Array) -> "CountedLabels | None":
    """Count the pairs of labels that occur, where the rows lie.

    Returns:
        None for labels that are no integers or too far apart for a table.
    """
    sides = (y_true, y_pred)
    if any(side.dtype == jnp.uint32 or side.dtype.kind not in "biu" for side in sides):
        return None
    low = min(int(jnp.min(side)) for side in sides)
    width = max(int(jnp.max(side)) for side in sides) - low + 1
    if width > _WIDEST:
        return None
    size = max(2, 1 << (width - 1).bit_length())
    wide = jnp.int64 if any(side.dtype.itemsize == 8 for side in sides) else jnp.int32
    codes = [(side.astype(wide) - low).astype(jnp.int32) for side in sides]
    metrics = {"table": numeric.metric("confusion_matrix", num_classes=size)}
    table = np.asarray(numeric.compute(metrics, *codes).values["table"])
    true, pred = np.nonzero(table)
    present = np.union1d(true, pred)
    kind = bool if all(side.dtype == bool for side in sides) else int
    classes = tuple(kind(low + position) for position in present.tolist())
    places = {
        "y_true": np.searchsorted(present, true).astype(np.int32),
        "y_pred": np.searchsorted(present, pred).astype(np.int32),
    }
    place = np.zeros(size, np.int32)
    place[present] = np.arange(len(present))
    rows = (jnp.asarray(place)[codes[0]], jnp.asarray(place)[codes[1]])
    return CountedLabels(CodedLabels(classes, places), table[true, pred], rows)


def labels_there(y_true: Any, scores: Any) -> CodedLabels | None:
    """The labels of rows that lie on several devices, coded there; None of rows elsewhere."""
    if not on_devices(y_true, scores) or not jnp.issubdtype(scores.dtype, jnp.floating):
        return None
    counted = count_labels(y_true, y_true) if y_true.ndim == 1 else None
    if counted is None:
        return None
    rows: Any = counted.rows[0]
    return CodedLabels(counted.labels.classes, {"y_true": rows})


@dataclass(frozen=True)
class CountedLabels:
    """Labels of rows on several devices.

    Args:
        labels: the pairs that occur.
        counts: how many rows each has, int64.
        rows: both sides of all rows as positions among the classes, on the devices.
        ignored: the position of the true label whose rows count nowhere; None: there is none.
    """

    labels: CodedLabels
    counts: np.ndarray
    rows: tuple[jax.Array, jax.Array]
    ignored: int | None = None


def sets_there(y_true: Any, y_other: Any, *, scored: bool) -> bool:
    """Whether label sets and others of one shape, or their scores, lie on several devices."""
    if not on_devices(y_true, y_other) or y_true.ndim != 2 or y_true.shape != y_other.shape:
        return False
    return not scored or jnp.issubdtype(y_other.dtype, jnp.floating)


def as_indicators_there(matrix: jax.Array, name: str) -> jax.Array:
    """0, 1, False and True as booleans, where the rows lie.

    Raises:
        TypeError: entries that are no numbers.
        ValueError: an entry other than 0 and 1.
    """
    if matrix.dtype == bool:
        return matrix
    if matrix.dtype.kind not in "iuf":
        raise TypeError(f"{name} has dtype {matrix.dtype}; expected 0 and 1, or bools")
    with jax.enable_x64(True):
        ones = matrix == 1
        wrong = ~(ones | (matrix == 0))
        if bool(jnp.any(wrong)):
            row = int(jnp.argmax(jnp.any(wrong, axis=1)))
            label = int(jnp.argmax(wrong[row]))
            raise ValueError(
                f"{name} has {matrix[row, label]} in row {row}, label {label}; expected 0 or 1"
            )
    return ones
