"""The table of all metrics: what tests, the command line and the documentation read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from . import _classification as classification
from . import _ranking as ranking
from . import _regression as regression
from ._metric import Metric

# What every metric promises; the law tests hold each metric of the table to each of these.
LAWS = (
    "permutation",  # the order of the rows does not matter
    "repetition",  # an integer weight is that many copies of the row
    "zero_weight",  # a row of weight 0 is absent, whatever it holds
    "merge",  # states of parts, merged, are the state of the whole
    "padding",  # rows added with weight 0 change nothing
    "jit",  # traced and concrete agree
    "vmap",  # a batch gives what a loop gives
    "sharded",  # shards, merged over a mesh axis, give what one device gives
    "traces",  # one trace per size of bucket and dtypes
    "gradient",  # the derivative is that of finite differences
)

_FLAT = {"gradient": "a count of rows is constant between the points where it jumps"}


@dataclass(frozen=True)
class MetricInfo:
    """One metric: its functions, its direction and range, and the laws it is excused from."""

    function: Callable[..., Any]
    """The plain function `(y_true, y_pred, *, weight=None, ...)`."""

    build: Callable[..., Metric]
    """Binds a configuration."""

    inputs: Literal["labels", "scores", "values", "lengths"]
    """What `y_pred` holds: labels, scores of 0/1 labels, real numbers, or lengths."""

    higher_is_better: bool | None
    """The direction; None where the metric has none."""

    low: float
    high: float
    excused: Mapping[str, str] = field(default_factory=dict)
    """Law -> why the metric need not obey it."""


_INF = float("inf")
_RANKS = {"gradient": "only the order of the scores matters, which small steps leave as it is"}

METRICS: Mapping[str, MetricInfo] = {
    "accuracy_score": MetricInfo(
        classification.accuracy_score,
        classification.accuracy_score_metric,
        "labels", True, 0.0, 1.0, _FLAT,
    ),
    "average_precision_score": MetricInfo(
        ranking.average_precision_score,
        ranking.average_precision_score_metric,
        "scores", True, 0.0, 1.0, _RANKS,
    ),
    "confusion_matrix": MetricInfo(
        classification.confusion_matrix,
        classification.confusion_matrix_metric,
        "labels", None, 0.0, _INF, _FLAT,
    ),
    "f1_score": MetricInfo(
        classification.f1_score, classification.f1_score_metric, "labels", True, 0.0, 1.0, _FLAT
    ),
    "length_ratio": MetricInfo(
        regression.length_ratio, regression.length_ratio_metric, "lengths", None, 0.0, _INF
    ),
    "mean_absolute_error": MetricInfo(
        regression.mean_absolute_error,
        regression.mean_absolute_error_metric,
        "values", False, 0.0, _INF,
    ),
    "mean_squared_error": MetricInfo(
        regression.mean_squared_error,
        regression.mean_squared_error_metric,
        "values", False, 0.0, _INF,
    ),
    "precision_score": MetricInfo(
        classification.precision_score,
        classification.precision_score_metric,
        "labels", True, 0.0, 1.0, _FLAT,
    ),
    "r2_score": MetricInfo(
        regression.r2_score, regression.r2_score_metric, "values", True, -_INF, 1.0
    ),
    "recall_score": MetricInfo(
        classification.recall_score,
        classification.recall_score_metric,
        "labels", True, 0.0, 1.0, _FLAT,
    ),
    "roc_auc_score": MetricInfo(
        ranking.roc_auc_score,
        ranking.roc_auc_score_metric,
        "scores", True, 0.0, 1.0, _RANKS,
    ),
    "root_mean_squared_error": MetricInfo(
        regression.root_mean_squared_error,
        regression.root_mean_squared_error_metric,
        "values", False, 0.0, _INF,
    ),
}  # fmt: skip


def metric(name: str, **config: Any) -> Metric:
    """The metric of that name with its configuration bound.

    Args:
        name: a name of `METRICS`.
        config: the keyword options of the function of that name, other than `weight` and
            `axis_name`.

    Returns:
        A hashable description that `compute`, streaming and intervals take.

    Raises:
        ValueError: an unknown name, or an option that is none of its choices.
        TypeError: an option the metric does not have.

    Example:
        >>> from modelops_jax.metrics import metric
        >>> metric("f1_score", average="macro", num_classes=3).statistics
        (ConfusionCounts(num_classes=3),)
    """
    if name not in METRICS:
        raise ValueError(f"unknown metric {name!r}; known: {', '.join(sorted(METRICS))}")
    return METRICS[name].build(**config)
