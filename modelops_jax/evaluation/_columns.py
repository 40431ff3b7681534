"""Which columns metrics read, and whether these are given."""

from collections.abc import Mapping
from typing import Any

from ._builtin import BuiltIn
from ._class_scores import ClassScoreReader
from ._label_sets import LabelSetReader
from ._likelihoods import reads_scores
from ._vectors import count_rows


def names_of_scored(metrics: Mapping[str, Any]) -> tuple[str, ...]:
    """The metrics that read `y_score`."""
    return tuple(
        name
        for name, metric in metrics.items()
        if isinstance(metric, BuiltIn) and reads_scores(metric.reader)
    )


def check_columns(metrics: Mapping[str, Any], y_true: Any, y_pred: Any, y_score: Any) -> int:
    """The number of rows of what these metrics read.

    Raises:
        TypeError: a column that is no list, tuple or array.
        ValueError: two lengths, or a column that is missing, or that no metric reads.
    """
    scored = names_of_scored(metrics)
    others = [name for name in metrics if name not in scored]
    needed = [
        name
        for name in scored
        if y_pred is None or isinstance(metrics[name].reader, ClassScoreReader | LabelSetReader)
    ]
    for column, given, readers in (("y_pred", y_pred, others), ("y_score", y_score, needed)):
        if given is None and readers:
            raise ValueError(f"{', '.join(readers)}: needs {column}, which is None")
    if y_score is not None and not scored:
        raise ValueError("y_score is given, and none of the metrics reads it")
    return count_rows(y_true, y_true if y_pred is None else y_pred, ("y_true", "y_pred"))
