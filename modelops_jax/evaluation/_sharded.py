"""Arguments whose rows lie on several devices, and stay there."""

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


def count_labels(y_true: jax.Array, y_pred: jax.Array) -> tuple[CodedLabels, np.ndarray] | None:
    """Count the pairs of labels that occur, where the rows lie.

    Returns:
        The pairs as coded labels and the rows of each, or None for labels that are no integers
        or too far apart for a table.
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
    return CodedLabels(classes, places), table[true, pred]
