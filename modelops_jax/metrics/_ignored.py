"""Rows with a true label that stands for no class: they are as good as absent."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from ._statistic import Rows, require_labels


def as_integer(value: int, name: str) -> int:
    """A static option as a Python integer.

    Raises:
        TypeError: something else, naming the option.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(
            f"{name} must be an integer, not {value!r}: encode other labels first (the classes of "
            "modelops_jax.evaluation take any)"
        )
    return int(value)


def as_ignored(ignore_index: int | None) -> int | None:
    """The option `ignore_index`.

    Raises:
        TypeError: no integer.
    """
    return None if ignore_index is None else as_integer(ignore_index, "ignore_index")


def is_ignored(labels: Any, ignore_index: int) -> Any:
    """Where the label is the one to ignore."""
    require_labels(labels, "y_true")
    return is_label(labels, ignore_index)


def is_label(labels: Any, label: int) -> Any:
    """Where it is this label; one that the type cannot hold is no row's."""
    labels = labels.astype(np.int32) if labels.dtype == bool else labels
    limits = jnp.iinfo(labels.dtype)
    held = limits.min <= label <= limits.max
    # Out of range, any label does for a comparison whose outcome is masked.
    return (labels == (label if held else 0)) & held


def without_ignored(rows: Rows, ignore_index: int | None) -> Rows:
    """The rows, those of the label to ignore with weight 0."""
    if ignore_index is None:
        return rows
    keep = ~is_ignored(rows.y_true, ignore_index)
    keep = keep if rows.keep is None else rows.keep & keep
    weight = None if rows.weight is None else rows.weight * keep.astype(rows.weight.dtype)
    return rows._replace(keep=keep, weight=weight)
