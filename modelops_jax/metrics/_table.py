"""The table of all metrics: what tests, the command line and the documentation read."""

from . import _agreement as agreement
from . import _calibration as calibration
from . import _class_ratios as class_ratios
from . import _class_scores as class_scores
from . import _classification as classification
from . import _correlation as correlation
from . import _deviance as deviance
from . import _group_gains as group_gains
from . import _group_retrieval as group_retrieval
from . import _hamming as hamming
from . import _label_confusion as label_confusion
from . import _losses as losses
from . import _ngram_scores as ngram_scores
from . import _overlap_scores as overlap_scores
from . import _overlaps as overlaps
from . import _pass_at_k as attempts
from . import _ranking as ranking
from . import _regression as regression
from . import _relative_errors as relative_errors
from . import _sketch as sketch
from . import _text_rates as text_rates
from . import _token_accuracy as tokens
from . import _top_k as top_k
from ._metric_info import MetricInfo

_FLAT = {"gradient": "a count of rows is constant between the points where it jumps"}
_INF = float("inf")
_COUNTED = {"gradient": "what is counted of texts are whole numbers"}
_RANKS = {"gradient": "only the order of the scores matters, which small steps leave as it is"}

_KEPT = {
    "exchange": "all rows matter for the place of one, so devices exchange the rows themselves",
}
_BINNED = {"gradient": "the bins of the confidences have edges, where the error jumps"}
_KEPT_RANKS = _RANKS | _KEPT
_GROUPS = _KEPT_RANKS | {
    "repetition": "a number as weight is that of the row's group, and copies of a row would tie",
}

METRICS: dict[str, MetricInfo] = {
    "accuracy_score": MetricInfo(
        classification.accuracy_score,
        classification.accuracy_score_metric,
        "labels", True, 0.0, 1.0, _FLAT,
    ),
    "adaptive_calibration_error": MetricInfo(
        calibration.adaptive_calibration_error,
        calibration.adaptive_calibration_error_metric,
        "probabilities", False, 0.0, 1.0, _BINNED | _KEPT,
    ),
    "average_precision_score": MetricInfo(
        ranking.average_precision_score,
        ranking.average_precision_score_metric,
        "scores", True, 0.0, 1.0, _KEPT_RANKS,
    ),
    "balanced_accuracy_score": MetricInfo(
        agreement.balanced_accuracy_score,
        agreement.balanced_accuracy_score_metric,
        "labels", True, -1.0, 1.0, _FLAT,
    ),
    "bits_per_byte": MetricInfo(
        text_rates.bits_per_byte,
        text_rates.bits_per_byte_metric,
        "log_likelihoods", False, 0.0, _INF,
    ),
    "bleu_score": MetricInfo(
        ngram_scores.bleu_score,
        ngram_scores.bleu_score_metric,
        "overlaps", True, 0.0, 100.0, _COUNTED,
    ),
    "brier_score_loss": MetricInfo(
        class_scores.brier_score_loss,
        class_scores.brier_score_loss_metric,
        "probabilities", False, 0.0, 2.0,
    ),
    "character_error_rate": MetricInfo(
        text_rates.character_error_rate,
        text_rates.character_error_rate_metric,
        "errors", False, 0.0, _INF,
    ),
    "chrf_score": MetricInfo(
        ngram_scores.chrf_score,
        ngram_scores.chrf_score_metric,
        "overlaps", True, 0.0, 100.0, _COUNTED,
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
        hamming.hamming_loss,
        hamming.hamming_loss_metric,
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
        "values", False, 0.0, _INF, _KEPT,
    ),
    "multilabel_confusion_matrix": MetricInfo(
        label_confusion.multilabel_confusion_matrix,
        label_confusion.multilabel_confusion_matrix_metric,
        "label_sets", None, 0.0, _INF, _FLAT,
    ),
    "ndcg_score": MetricInfo(
        group_gains.ndcg_score,
        group_gains.ndcg_score_metric,
        "groups", True, 0.0, 1.0, _GROUPS,
    ),
    "pass_at_k": MetricInfo(
        attempts.pass_at_k,
        attempts.pass_at_k_metric,
        "attempts", True, 0.0, 1.0, _COUNTED,
    ),
    "pearson_corrcoef": MetricInfo(
        correlation.pearson_corrcoef,
        correlation.pearson_corrcoef_metric,
        "values", True, -1.0, 1.0,
    ),
    "perplexity": MetricInfo(
        text_rates.perplexity,
        text_rates.perplexity_metric,
        "log_likelihoods", False, 1.0, _INF,
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
        "scores", True, 0.0, 1.0, _KEPT_RANKS,
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
    "rouge_1_score": MetricInfo(
        overlap_scores.rouge_1_score,
        overlap_scores.rouge_1_score_metric,
        "overlaps", True, 0.0, 1.0, _COUNTED,
    ),
    "rouge_2_score": MetricInfo(
        overlap_scores.rouge_2_score,
        overlap_scores.rouge_2_score_metric,
        "overlaps", True, 0.0, 1.0, _COUNTED,
    ),
    "rouge_l_score": MetricInfo(
        overlap_scores.rouge_l_score,
        overlap_scores.rouge_l_score_metric,
        "overlaps", True, 0.0, 1.0, _COUNTED,
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
        _KEPT_RANKS,
    ),
    "specificity_score": MetricInfo(
        class_ratios.specificity_score,
        class_ratios.specificity_score_metric,
        "labels", True, 0.0, 1.0, _FLAT,
    ),
    "squad_f1_score": MetricInfo(
        overlap_scores.squad_f1_score,
        overlap_scores.squad_f1_score_metric,
        "overlaps", True, 0.0, 1.0, _COUNTED,
    ),
    "symmetric_mean_absolute_percentage_error": MetricInfo(
        relative_errors.symmetric_mean_absolute_percentage_error,
        relative_errors.symmetric_mean_absolute_percentage_error_metric,
        "values", False, 0.0, 2.0,
    ),
    "token_accuracy_score": MetricInfo(
        tokens.token_accuracy_score,
        tokens.token_accuracy_score_metric,
        "tokens", True, 0.0, 1.0, _FLAT,
    ),
    "top_k_accuracy_score": MetricInfo(
        top_k.top_k_accuracy_score,
        top_k.top_k_accuracy_score_metric,
        "class_scores", True, 0.0, 1.0,
        {"gradient": "only the order of the scores matters, which small steps leave as it is"},
    ),
    "word_error_rate": MetricInfo(
        text_rates.word_error_rate,
        text_rates.word_error_rate_metric,
        "errors", False, 0.0, _INF,
    ),
    "zero_one_loss": MetricInfo(
        classification.zero_one_loss,
        classification.zero_one_loss_metric,
        "labels", False, 0.0, 1.0, _FLAT,
    ),
}  # fmt: skip
