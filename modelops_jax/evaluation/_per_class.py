"""Precision, recall and F1 of every class, however many classes there are."""

from collections.abc import Iterable

import numpy as np

import modelops_jax.metrics as numeric

# The largest table of (true class, predicted class) that is formed, in classes. Its cells are
# this number squared, and a bootstrap draws each of them a thousand times.
LARGEST_TABLE = 128


def values_by_class(
    names: Iterable[str],
    y_true: np.ndarray,
    y_pred: np.ndarray,
    classes: int,
    counts: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Give metrics of `modelops_jax.metrics` that have one value per class.

    Classes are taken in groups, everything outside a group being one further class of its table,
    so that the cost grows with the rows and the classes and not with the square of the classes.

    Args:
        names: `"precision_score"`, `"recall_score"`, `"f1_score"`.
        y_true: class indices, shape (n,); `classes` and above is a class without a value.
        y_pred: the same.
        classes: how many classes have a value.
        counts: how many rows each entry stands for; None: one.
        weight: of each row, where an entry is one; None: 1.

    Returns:
        By name the values of class 0, 1, ..., shape (classes,); 0.0 where there are no rows.
    """
    group = LARGEST_TABLE - 1
    metrics = {name: numeric.metric(name, average=None, num_classes=group + 1) for name in names}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in metrics}
    for start in range(0, classes, group):
        true, pred = (_within(codes, start, group) for codes in (y_true, y_pred))
        rows = (true < group) | (pred < group)
        if counts is None:
            own = None if weight is None else weight[rows]
            report = numeric.compute(metrics, true[rows], pred[rows], weight=own)
        else:
            report = numeric.compute_counts(metrics, true[rows], pred[rows], counts[rows])
        for name in metrics:
            parts[name].append(np.asarray(report.values[name])[:group])
    return {name: np.concatenate(values)[:classes] for name, values in parts.items()}


def _within(codes: np.ndarray, start: int, group: int) -> np.ndarray:
    """Count codes from `start` on; those outside the group are one more, `group`."""
    return np.where((codes >= start) & (codes < start + group), codes - start, group)
