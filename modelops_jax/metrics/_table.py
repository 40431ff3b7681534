"""The table of all metrics: what tests, the command line and the documentation read."""

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from . import _agreement as agreement
from . import _calibration as calibration
from . import _class_ratios as class_ratios
from . import _class_scores as class_scores
from . import _classification as classification
from . import _correlation as correlation
from . import _deviance as deviance
from . import _group_gains as group_gains
from . import _group_retrieval as group_retrieval
from . import _losses as losses
from . import _overlaps as overlaps
from . import _ranking as ranking
from . import _regression as regression
from . import _relative_errors as relative_errors
from . import _sketch as sketch
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

    inputs: Literal[
        "labels", "scores", "class_scores", "probabilities", "values", "positive", "lengths",
        "groups",
    ]  # fmt: skip
    """What `y_pred` holds: labels, scores of 0/1 labels, scores of every class, probabilities of
    every class or of class 1 (logits where so configured), real numbers, positive ones, lengths,
    scores of rows that have a group."""

    higher_is_better: bool | None
    """The direction; None where the metric has none."""

    low: float
    high: float
    """The range, of every configuration."""

    excused: Mapping[str, str] = field(default_factory=dict)
    """Law -> why the metric need not obey it."""

    @property
    def options(self) -> dict[str, bool]:
        """The options of the metric, and whether each has a default."""
        parameters = inspect.signature(self.function).parameters.values()
        return {
            parameter.name: parameter.default is not inspect.Parameter.empty
            for parameter in parameters
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
            and parameter.name not in ("weight", "axis_name")
        }


_INF = float("inf")
_RANKS = {"gradient": "only the order of the scores matters, which small steps leave as it is"}

_BINNED = {"gradient": "the bins of the confidences have edges, where the error jumps"}
_GROUPS = _RANKS | {
    "repetition": "a number as weight is that of the row's group, and copies of a row would tie",
}

METRICS: Mapping[str, MetricInfo] = {
    "accuracy_score": MetricInfo(
        classification.accuracy_score,
        classification.accuracy_score_metric,
        "labels", True, 0.0, 1.0, _FLAT,
    ),
    "adaptive_calibration_error": MetricInfo(
        calibration.adaptive_calibration_error,
        calibration.adaptive_calibration_error_metric,
        "probabilities", False, 0.0, 1.0, _BINNED,
    ),
    "average_precision_score": MetricInfo(
        ranking.average_precision_score,
        ranking.average_precision_score_metric,
        "scores", True, 0.0, 1.0, _RANKS,
    ),
    "balanced_accuracy_score": MetricInfo(
        agreement.balanced_accuracy_score,
        agreement.balanced_accuracy_score_metric,
        "labels", True, -1.0, 1.0, _FLAT,
    ),
    "brier_score_loss": MetricInfo(
        class_scores.brier_score_loss,
        class_scores.brier_score_loss_metric,
        "probabilities", False, 0.0, 2.0,
    ),
    "cohen_kappa_score": MetricInfo(
        agreement.cohen_kappa_score,
        agreement.cohen_kappa_score_metric,
        "labels", True, -1.0, 1.0, _FLAT,
    ),
    "concordance_corrcoef": MetricInfo(
        correlation.concordance_corrcoef,
        correlation.concordance_corrcoef_metric,
        "values", True, -1.0, 1.0,
    ),
    "confusion_matrix": MetricInfo(
        classification.confusion_matrix,
        classification.confusion_matrix_metric,
        "labels", None, 0.0, _INF, _FLAT,
    ),
    "dcg_score": MetricInfo(
        group_gains.dcg_score,
        group_gains.dcg_score_metric,
        "groups", True, 0.0, _INF, _GROUPS,
    ),
    "expected_calibration_error": MetricInfo(
        calibration.expected_calibration_error,
        calibration.expected_calibration_error_metric,
        "probabilities", False, 0.0, 1.0, _BINNED,
    ),
    "explained_variance_score": MetricInfo(
        correlation.explained_variance_score,
        correlation.explained_variance_score_metric,
        "values", True, -_INF, 1.0,
    ),
    "f1_score": MetricInfo(
        overlaps.f1_score, overlaps.f1_score_metric, "labels", True, 0.0, 1.0, _FLAT
    ),
    "fbeta_score": MetricInfo(
        overlaps.fbeta_score, overlaps.fbeta_score_metric, "labels", True, 0.0, 1.0, _FLAT
    ),
    "hamming_loss": MetricInfo(
        classification.hamming_loss,
        classification.hamming_loss_metric,
        "labels", False, 0.0, 1.0, _FLAT,
    ),
    "hit_rate_at_k": MetricInfo(
        group_retrieval.hit_rate_at_k,
        group_retrieval.hit_rate_at_k_metric,
        "groups", True, 0.0, 1.0, _GROUPS,
    ),
    "huber_loss": MetricInfo(
        losses.huber_loss,
        losses.huber_loss_metric,
        "values", False, 0.0, _INF,
    ),
    "jaccard_score": MetricInfo(
        overlaps.jaccard_score, overlaps.jaccard_score_metric, "labels", True, 0.0, 1.0, _FLAT
    ),
    "length_ratio": MetricInfo(
        regression.length_ratio, regression.length_ratio_metric, "lengths", None, 0.0, _INF
    ),
    "log_cosh_error": MetricInfo(
        losses.log_cosh_error,
        losses.log_cosh_error_metric,
        "values", False, 0.0, _INF,
    ),
    "log_loss": MetricInfo(
        class_scores.log_loss, class_scores.log_loss_metric, "probabilities", False, 0.0, _INF
    ),
    "matthews_corrcoef": MetricInfo(
        agreement.matthews_corrcoef,
        agreement.matthews_corrcoef_metric,
        "labels", True, -1.0, 1.0, _FLAT,
    ),
    "max_error": MetricInfo(
        losses.max_error,
        losses.max_error_metric,
        "values", False, 0.0, _INF,
    ),
    "maximum_calibration_error": MetricInfo(
        calibration.maximum_calibration_error,
        calibration.maximum_calibration_error_metric,
        "probabilities", False, 0.0, 1.0, _BINNED,
    ),
    "mean_absolute_error": MetricInfo(
        regression.mean_absolute_error,
        regression.mean_absolute_error_metric,
        "values", False, 0.0, _INF,
    ),
    "mean_absolute_percentage_error": MetricInfo(
        relative_errors.mean_absolute_percentage_error,
        relative_errors.mean_absolute_percentage_error_metric,
        "values", False, 0.0, _INF,
    ),
    "mean_average_precision": MetricInfo(
        group_retrieval.mean_average_precision,
        group_retrieval.mean_average_precision_metric,
        "groups", True, 0.0, 1.0, _GROUPS,
    ),
    "mean_gamma_deviance": MetricInfo(
        deviance.mean_gamma_deviance,
        deviance.mean_gamma_deviance_metric,
        "positive", False, 0.0, _INF,
    ),
    "mean_pinball_loss": MetricInfo(
        losses.mean_pinball_loss,
        losses.mean_pinball_loss_metric,
        "values", False, 0.0, _INF,
    ),
    "mean_poisson_deviance": MetricInfo(
        deviance.mean_poisson_deviance,
        deviance.mean_poisson_deviance_metric,
        "positive", False, 0.0, _INF,
    ),
    "mean_reciprocal_rank": MetricInfo(
        group_retrieval.mean_reciprocal_rank,
        group_retrieval.mean_reciprocal_rank_metric,
        "groups", True, 0.0, 1.0, _GROUPS,
    ),
    "mean_squared_error": MetricInfo(
        regression.mean_squared_error,
        regression.mean_squared_error_metric,
        "values", False, 0.0, _INF,
    ),
    "mean_squared_log_error": MetricInfo(
        relative_errors.mean_squared_log_error,
        relative_errors.mean_squared_log_error_metric,
        "positive", False, 0.0, _INF,
    ),
    "mean_tweedie_deviance": MetricInfo(
        deviance.mean_tweedie_deviance,
        deviance.mean_tweedie_deviance_metric,
        "positive", False, 0.0, _INF,
    ),
    "median_absolute_error": MetricInfo(
        losses.median_absolute_error,
        losses.median_absolute_error_metric,
        "values", False, 0.0, _INF,
    ),
    "ndcg_score": MetricInfo(
        group_gains.ndcg_score,
        group_gains.ndcg_score_metric,
        "groups", True, 0.0, 1.0, _GROUPS,
    ),
    "pearson_corrcoef": MetricInfo(
        correlation.pearson_corrcoef,
        correlation.pearson_corrcoef_metric,
        "values", True, -1.0, 1.0,
    ),
    "precision_at_k": MetricInfo(
        group_retrieval.precision_at_k,
        group_retrieval.precision_at_k_metric,
        "groups", True, 0.0, 1.0, _GROUPS,
    ),
    "precision_score": MetricInfo(
        class_ratios.precision_score,
        class_ratios.precision_score_metric,
        "labels", True, 0.0, 1.0, _FLAT,
    ),
    "r2_score": MetricInfo(
        regression.r2_score, regression.r2_score_metric, "values", True, -_INF, 1.0
    ),
    "recall_at_k": MetricInfo(
        group_retrieval.recall_at_k,
        group_retrieval.recall_at_k_metric,
        "groups", True, 0.0, 1.0, _GROUPS,
    ),
    "recall_score": MetricInfo(
        class_ratios.recall_score,
        class_ratios.recall_score_metric,
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
    "root_mean_squared_log_error": MetricInfo(
        relative_errors.root_mean_squared_log_error,
        relative_errors.root_mean_squared_log_error_metric,
        "positive", False, 0.0, _INF,
    ),
    "sketched_roc_auc_bound": MetricInfo(
        sketch.sketched_roc_auc_bound,
        sketch.sketched_roc_auc_bound_metric,
        "scores", None, 0.0, 0.5, _RANKS,
    ),
    "sketched_roc_auc_score": MetricInfo(
        sketch.sketched_roc_auc_score,
        sketch.sketched_roc_auc_score_metric,
        "scores", True, 0.0, 1.0, _RANKS,
    ),
    "spearman_corrcoef": MetricInfo(
        correlation.spearman_corrcoef,
        correlation.spearman_corrcoef_metric,
        "values", True, -1.0, 1.0,
        {"gradient": "only the order of the values matters, which small steps leave as it is"},
    ),
    "specificity_score": MetricInfo(
        class_ratios.specificity_score,
        class_ratios.specificity_score_metric,
        "labels", True, 0.0, 1.0, _FLAT,
    ),
    "symmetric_mean_absolute_percentage_error": MetricInfo(
        relative_errors.symmetric_mean_absolute_percentage_error,
        relative_errors.symmetric_mean_absolute_percentage_error_metric,
        "values", False, 0.0, 2.0,
    ),
    "top_k_accuracy_score": MetricInfo(
        class_scores.top_k_accuracy_score,
        class_scores.top_k_accuracy_score_metric,
        "class_scores", True, 0.0, 1.0,
        {"gradient": "only the order of the scores matters, which small steps leave as it is"},
    ),
    "zero_one_loss": MetricInfo(
        classification.zero_one_loss,
        classification.zero_one_loss_metric,
        "labels", False, 0.0, 1.0, _FLAT,
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
        TypeError: an option the metric does not have, or one it needs left out.

    Example:
        >>> from modelops_jax.metrics import metric
        >>> metric("f1_score", average="macro", num_classes=3).statistics
        (ConfusionCounts(ignore_index=None, num_classes=3),)
    """
    if name not in METRICS:
        near = difflib.get_close_matches(name, METRICS, cutoff=0.75)
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"unknown metric {name!r}{meant}; known: {', '.join(sorted(METRICS))}")
    needed = METRICS[name].options
    for option in config:
        if option not in needed:
            has = f"its options are: {', '.join(needed)}" if needed else "it has none"
            raise TypeError(f"{name} has no option {option!r}; {has}")
    missing = [option for option, has_default in needed.items() if not has_default]
    if not config.keys() >= set(missing):
        raise TypeError(f"{name} needs the options: {', '.join(missing)}")
    return METRICS[name].build(**config)
