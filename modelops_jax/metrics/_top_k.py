"""Top-k accuracy: whether the label of a row is among the k classes of the highest scores."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from modelops_jax._option_types import require_count

from ._call import call
from ._class_rows import AmongTop, ClassRowMean, refuse_few_classes
from ._class_shares import ClassShare
from ._classification import MOST_OUTCOMES
from ._counts import CellStatistic, as_codes
from ._finalizers import Share
from ._ignored import as_ignored, as_integer
from ._label_finalizers import AverageOfLabels, require_average_of_labels
from ._metric import Metric
from ._statistic import float_type
from ._types import Matrix, Value, Vector


@dataclass(frozen=True)
class TopKHits(CellStatistic):
    """Rows by (is the label among the k highest scores, label)."""

    labels = ("y_true",)

    k: int
    num_classes: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (2, self.num_classes)

    @property
    def pred_axes(self) -> tuple[int, ...]:
        return (2,)

    @property
    def checks_labels(self) -> bool:
        return True

    def complaints(self) -> dict[str, str]:
        return {
            "y_true": "labels that are no column of y_pred",
            "y_pred": "rows with scores that are not finite",
            **super().complaints(),
        }

    def refuse(self, y_true: Any, y_pred: Any) -> None:
        super().refuse(y_true, y_pred)
        refuse_few_classes(y_pred)
        if y_pred.shape[1] != self.num_classes:
            raise ValueError(
                f"y_pred has {y_pred.shape[1]} columns; num_classes={self.num_classes} expects "
                "one per class"
            )
        AmongTop(self.k).refuse(y_pred)

    def cell(self, y_true: Any, y_pred: Any) -> Any:
        self.refuse(y_true, y_pred)
        codes, scores = as_codes(y_true, "y_true"), y_pred.astype(float_type(y_pred))
        bad_true = (codes < 0) | (codes >= self.num_classes)
        label = codes.astype(jnp.int32)
        hit = AmongTop(self.k)(label, scores) > 0
        index = jnp.where(hit, self.num_classes, 0) + label
        return index.astype(jnp.int32), bad_true, ~jnp.all(jnp.isfinite(scores), axis=1)


def top_k_accuracy_score_metric(
    *,
    k: int = 2,
    average: AverageOfLabels | str | None = "micro",
    num_classes: int | None = None,
    ignore_index: int | None = None,
) -> Metric:
    """The metric of `top_k_accuracy_score`."""
    name, k, ignored = "top_k_accuracy_score", require_count(k, "k"), as_ignored(ignore_index)
    require_average_of_labels(average)
    if num_classes is None:
        if average != "micro":
            raise ValueError(f"average={average!r} needs num_classes, the number of classes")
        statistic = ClassRowMean(
            AmongTop(k), probabilities=False, vectors=False, ignore_index=ignored
        )
        return Metric(name, (statistic,), Share())
    num_classes = as_integer(num_classes, "num_classes")
    if not 2 <= num_classes <= MOST_OUTCOMES:
        raise ValueError(f"num_classes must be in 2 to {MOST_OUTCOMES:,}, not {num_classes!r}")
    hits = TopKHits(k, num_classes, ignore_index=ignored)
    return Metric(name, (hits,), ClassShare("right", "hits", average))


def top_k_accuracy_score(
    y_true: Vector,
    y_pred: Matrix,
    *,
    weight: Vector | None = None,
    k: int = 2,
    average: AverageOfLabels | str | None = "micro",
    num_classes: int | None = None,
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Top-k accuracy: the weighted share of rows whose label is among the k highest scores.

    Not defined for rows of several labels: how many of a row's labels are among its k highest
    scores is what `precision_at_k` and `recall_at_k` say, each row being a group.

    Args:
        y_true: reference labels, shape (n,), integers in 0 to c - 1.
        y_pred: scores, shape (n, c), a column per class; any finite numbers.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        k: how many of the highest scores are looked at, in 1 to c - 1. Of equal scores the later
            class counts as the higher one.
        average: "micro" (the share of all rows), None (the share of each class's rows), "macro"
            (the mean of these over the classes that have rows) or "weighted" (by their rows, which
            is the micro-average).
        num_classes: the number of columns. Needed by every average but "micro".
        ignore_index: rows with this true label are as good as absent, whatever was predicted.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1], or without average one per class, shape (num_classes,); best 1. nan of
        no rows.

    Raises:
        ValueError: shapes that do not fit; k outside its range; an option that is none of its
            choices; concrete labels outside the classes or scores that are not finite (under
            tracing these give nan).
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import top_k_accuracy_score
        >>> scores = [[0.5, 0.2, 0.2], [0.3, 0.4, 0.2], [0.2, 0.4, 0.3], [0.7, 0.2, 0.1]]
        >>> float(top_k_accuracy_score([0, 1, 2, 2], scores, k=2))
        0.75
        >>> top_k_accuracy_score([0, 1, 2, 2], scores, k=2, average=None, num_classes=3)
        array([1. , 1. , 0.5])

    Source: the definition of `sklearn.metrics.top_k_accuracy_score`; by class that of
    `torchmetrics.classification.MulticlassAccuracy`.
    """
    metric = top_k_accuracy_score_metric(
        k=k, average=average, num_classes=num_classes, ignore_index=ignore_index
    )
    return call(metric, y_true, y_pred, weight, axis_name)
