"""Metrics as statistic, merge and finalizer: pure functions for `jit`, `vmap` and `shard_map`.

Names ending in `_score` or `_corrcoef` are better when higher, in `_error`, `_loss` or
`_deviance` when lower. `docs/numerics.md` is the law book: definitions, precision and degenerate
cases.
"""

from ._adjusted import adjust_p_values as adjust_p_values
from ._agreement import balanced_accuracy_score as balanced_accuracy_score
from ._agreement import cohen_kappa_score as cohen_kappa_score
from ._agreement import matthews_corrcoef as matthews_corrcoef
from ._bootstrap import bootstrap_intervals as bootstrap_intervals
from ._bootstrap import count_intervals as count_intervals
from ._class_areas import ClassScoreRows as ClassScoreRows
from ._class_ratios import precision_score as precision_score
from ._class_ratios import recall_score as recall_score
from ._class_ratios import specificity_score as specificity_score
from ._class_rows import ClassRowMean as ClassRowMean
from ._class_scores import brier_score_loss as brier_score_loss
from ._class_scores import log_loss as log_loss
from ._class_scores import top_k_accuracy_score as top_k_accuracy_score
from ._classification import accuracy_score as accuracy_score
from ._classification import confusion_matrix as confusion_matrix
from ._classification import hamming_loss as hamming_loss
from ._classification import zero_one_loss as zero_one_loss
from ._compute import Report as Report
from ._compute import compute as compute
from ._confidence import confidence_intervals as confidence_intervals
from ._confidence import state_intervals as state_intervals
from ._correlation import concordance_corrcoef as concordance_corrcoef
from ._correlation import explained_variance_score as explained_variance_score
from ._correlation import pearson_corrcoef as pearson_corrcoef
from ._correlation import spearman_corrcoef as spearman_corrcoef
from ._counted import compute_counts as compute_counts
from ._counts import ConfusionCounts as ConfusionCounts
from ._counts import MatchCounts as MatchCounts
from ._counts import OneVsRestCounts as OneVsRestCounts
from ._covariance import RowCovariance as RowCovariance
from ._curves import PrecisionRecallCurve as PrecisionRecallCurve
from ._curves import RocCurve as RocCurve
from ._curves import precision_recall_curve as precision_recall_curve
from ._curves import roc_curve as roc_curve
from ._delong import AreaComparison as AreaComparison
from ._delong import AreaEstimate as AreaEstimate
from ._delong import delong_test as delong_test
from ._delong import roc_auc_interval as roc_auc_interval
from ._deviance import mean_gamma_deviance as mean_gamma_deviance
from ._deviance import mean_poisson_deviance as mean_poisson_deviance
from ._deviance import mean_tweedie_deviance as mean_tweedie_deviance
from ._group_gains import dcg_score as dcg_score
from ._group_gains import ndcg_score as ndcg_score
from ._group_retrieval import hit_rate_at_k as hit_rate_at_k
from ._group_retrieval import mean_average_precision as mean_average_precision
from ._group_retrieval import mean_reciprocal_rank as mean_reciprocal_rank
from ._group_retrieval import precision_at_k as precision_at_k
from ._group_retrieval import recall_at_k as recall_at_k
from ._group_rows import GroupRows as GroupRows
from ._interval import Interval as Interval
from ._largest import RowMax as RowMax
from ._losses import huber_loss as huber_loss
from ._losses import log_cosh_error as log_cosh_error
from ._losses import max_error as max_error
from ._losses import mean_pinball_loss as mean_pinball_loss
from ._losses import median_absolute_error as median_absolute_error
from ._mcnemar import McNemarTest as McNemarTest
from ._mcnemar import mcnemar_test as mcnemar_test
from ._metric import Metric as Metric
from ._metric import Outcome as Outcome
from ._overlaps import f1_score as f1_score
from ._overlaps import fbeta_score as fbeta_score
from ._overlaps import jaccard_score as jaccard_score
from ._paired import Difference as Difference
from ._paired import paired_differences as paired_differences
from ._proportion import proportion_interval as proportion_interval
from ._ranking import average_precision_score as average_precision_score
from ._ranking import roc_auc_score as roc_auc_score
from ._regression import length_ratio as length_ratio
from ._regression import mean_absolute_error as mean_absolute_error
from ._regression import mean_squared_error as mean_squared_error
from ._regression import r2_score as r2_score
from ._regression import root_mean_squared_error as root_mean_squared_error
from ._relative_errors import mean_absolute_percentage_error as mean_absolute_percentage_error
from ._relative_errors import mean_squared_log_error as mean_squared_log_error
from ._relative_errors import root_mean_squared_log_error as root_mean_squared_log_error
from ._relative_errors import (
    symmetric_mean_absolute_percentage_error as symmetric_mean_absolute_percentage_error,
)
from ._row_functions import Domain as Domain
from ._rowwise import RowMean as RowMean
from ._rowwise import RowVariance as RowVariance
from ._scores import ScoreRows as ScoreRows
from ._sharded import row_layout as row_layout
from ._sketch import ScoreHistogram as ScoreHistogram
from ._sketch import sketched_roc_auc_bound as sketched_roc_auc_bound
from ._sketch import sketched_roc_auc_score as sketched_roc_auc_score
from ._slices import SlicedReport as SlicedReport
from ._slices import compute_slices as compute_slices
from ._statistic import Statistic as Statistic
from ._stream import MetricStream as MetricStream
from ._sweep import ThresholdCounts as ThresholdCounts
from ._sweep import ThresholdSweep as ThresholdSweep
from ._sweep import threshold_sweep as threshold_sweep
from ._sweep import threshold_tables_metric as threshold_tables_metric
from ._table import LAWS as LAWS
from ._table import METRICS as METRICS
from ._table import MetricInfo as MetricInfo
from ._table import metric as metric
from ._values import ValueRows as ValueRows
