"""The confusion matrix of every label of rows that have several."""

from ._call import call
from ._classification import label_counts
from ._label_finalizers import LabelTables
from ._metric import Metric
from ._types import Matrix, Value, Vector


def multilabel_confusion_matrix_metric(
    *, num_labels: int, ignore_index: int | None = None
) -> Metric:
    """The metric of `multilabel_confusion_matrix`."""
    counts = label_counts(num_labels, None, ignore_index)
    return Metric("multilabel_confusion_matrix", (counts,), LabelTables())


def multilabel_confusion_matrix(
    y_true: Matrix,
    y_pred: Matrix,
    *,
    num_labels: int,
    weight: Vector | None = None,
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """The confusion matrix of every label: [[TN, FP], [FN, TP]], the true side being the row.

    Args:
        y_true: which labels each row has, shape (n, num_labels), 0 or 1 (booleans).
        y_pred: which it is predicted to have, of the same shape.
        num_labels: the number of labels.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        ignore_index: entries of y_true with this value are left out, whatever was predicted.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        Shape (num_labels, 2, 2): exact integers (int64; int32 under tracing), or sums of weights
        where the weights are numbers. All 0 of no rows.

    Raises:
        ValueError: shapes that differ or are not (n, num_labels); concrete entries other than 0
            and 1 (under tracing these make every entry -1, or nan if weighted).
        TypeError: entries that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import multilabel_confusion_matrix
        >>> multilabel_confusion_matrix([[1, 0], [0, 1]], [[1, 0], [1, 1]], num_labels=2)
        array([[[0, 1],
                [0, 1]],
        <BLANKLINE>
               [[1, 0],
                [0, 1]]])

    Source: the definition of `sklearn.metrics.multilabel_confusion_matrix`.
    """
    metric = multilabel_confusion_matrix_metric(num_labels=num_labels, ignore_index=ignore_index)
    return call(metric, y_true, y_pred, weight, axis_name)
