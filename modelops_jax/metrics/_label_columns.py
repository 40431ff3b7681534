"""y_true of rows with any number of labels, shape (n, labels): 0 or 1, or an entry to ignore."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ._ignored import is_ignored
from ._statistic import Matrices, Rows, require_labels

LABEL_COMPLAINT = "rows with a label other than 0 and 1"


def require_label_columns(labels: Any, name: str, num_labels: int) -> None:
    """Refuse what are no labels, or not one for each column.

    Raises:
        TypeError: no integers or booleans.
        ValueError: another number of columns.
    """
    require_labels(labels, name)
    if labels.shape[1] != num_labels:
        raise ValueError(
            f"{name} has {labels.shape[1]} columns; num_labels={num_labels} expects one per label"
        )


def indicators(labels: Any, name: str, num_labels: int) -> tuple[Any, Any]:
    """Whether each label is set, and where an entry is neither 0 nor 1."""
    require_label_columns(labels, name, num_labels)
    if labels.dtype == bool:
        return labels, labels & ~labels
    return labels == 1, (labels != 0) & (labels != 1)


class LabelSets(Matrices):
    """For statistics whose y_pred holds labels too."""

    num_labels: int

    def refuse(self, y_true: Any, y_pred: Any) -> None:
        require_label_columns(y_true, "y_true", self.num_labels)
        require_label_columns(y_pred, "y_pred", self.num_labels)

    def complaints(self) -> dict[str, str]:
        own = {"y_true": LABEL_COMPLAINT, "y_pred": LABEL_COMPLAINT}
        return super().complaints() | own


class Entries(NamedTuple):
    """Every entry of y_true, and which of them count."""

    true: Any  # boolean, shape (n, labels)
    here: Any  # boolean: entries that are not ignored, of rows that count
    keep: Any  # boolean, shape (n,): rows that count
    bad_true: Any  # boolean, shape (n,): rows asked for that have an entry of neither 0 nor 1
    bad_pred: Any


class ScoredLabels(Matrices):
    """For statistics whose y_pred holds a number for every label.

    A row with one invalid entry that is not ignored is invalid as a whole.
    """

    num_labels: int
    ignore_index: int | None

    def refuse(self, y_true: Any, y_pred: Any) -> None:
        require_label_columns(y_true, "y_true", self.num_labels)

    def entries(self, rows: Rows, wrong: Any) -> Entries:
        """The entries of rows of which some numbers are wrong."""
        xp = np if isinstance(rows.y_true, np.ndarray) else jnp
        true, other = indicators(rows.y_true, "y_true", self.num_labels)
        seen = xp.ones_like(true, dtype=bool)
        if self.ignore_index is not None:
            seen = ~is_ignored(rows.y_true, self.ignore_index)
        asked = xp.ones_like(seen[:, 0]) if rows.keep is None else rows.keep
        bad_true = asked & (other & seen).any(axis=1)
        bad_pred = asked & (wrong & seen).any(axis=1)
        keep = asked & ~bad_true & ~bad_pred
        return Entries(true, seen & keep[:, None], keep, bad_true, bad_pred)
