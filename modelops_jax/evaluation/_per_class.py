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

    Of rows without weights they are counted at once. Of weighted ones, whose sums are compensated,
    classes are taken in groups, everything outside a group being one further class of its table, so
    that the cost does not grow with the square of the classes, but with the rows in every group.

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
    if weight is None:
        return {name: _exact(name, y_true, y_pred, classes, counts) for name in names}
    group = LARGEST_TABLE - 1
    metrics = {name: numeric.metric(name, average=None, num_classes=group + 1) for name in names}
    if not metrics:
        return {}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in metrics}
    for start in range(0, classes, group):
        true, pred = (_within(codes, start, group) for codes in (y_true, y_pred))
        rows = (true < group) | (pred < group)
        report = numeric.compute(metrics, true[rows], pred[rows], weight=weight[rows])
        for name in metrics:
            parts[name].append(np.asarray(report.values[name])[:group])
    return {name: np.concatenate(values)[:classes] for name, values in parts.items()}


def _exact(
    name: str, y_true: np.ndarray, y_pred: np.ndarray, classes: int, counts: np.ndarray | None
) -> np.ndarray:
    """The values from counts of rows, which are integers, rounded once."""

    def rows_of(codes: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        chosen = chosen & (codes < classes)
        return np.bincount(codes[chosen], None if counts is None else counts[chosen], classes)

    every = np.ones(len(y_true), bool)
    hits, true, pred = (
        rows_of(y_true, y_true == y_pred),
        rows_of(y_true, every),
        rows_of(y_pred, every),
    )
    above, below = {
        "precision_score": (hits, pred),
        "recall_score": (hits, true),
        "f1_score": (2 * hits, true + pred),
    }[name]
    return above / np.where(below > 0, below, 1)


def _within(codes: np.ndarray, start: int, group: int) -> np.ndarray:
    """Count codes from `start` on; those outside the group are one more, `group`."""
    return np.where((codes >= start) & (codes < start + group), codes - start, group)
