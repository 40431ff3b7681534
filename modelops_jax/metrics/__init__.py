"""Metrics as statistic, merge and finalizer: pure functions for `jit`, `vmap` and `shard_map`.

Names ending in `_score` are better when higher, in `_error` when lower. `docs/numerics.md` is
the law book: definitions, precision and degenerate cases.
"""

from ._bootstrap import Interval as Interval
from ._bootstrap import bootstrap_intervals as bootstrap_intervals
from ._bootstrap import count_intervals as count_intervals
from ._classification import accuracy_score as accuracy_score
from ._classification import confusion_matrix as confusion_matrix
from ._classification import f1_score as f1_score
from ._classification import precision_score as precision_score
from ._classification import recall_score as recall_score
from ._compute import Report as Report
from ._compute import compute as compute
from ._counts import ConfusionCounts as ConfusionCounts
from ._counts import MatchCounts as MatchCounts
from ._counts import OneVsRestCounts as OneVsRestCounts
from ._metric import Metric as Metric
from ._metric import Outcome as Outcome
from ._ranking import average_precision_score as average_precision_score
from ._ranking import roc_auc_score as roc_auc_score
from ._regression import length_ratio as length_ratio
from ._regression import mean_absolute_error as mean_absolute_error
from ._regression import mean_squared_error as mean_squared_error
from ._regression import r2_score as r2_score
from ._regression import root_mean_squared_error as root_mean_squared_error
from ._rowwise import RowMean as RowMean
from ._rowwise import RowVariance as RowVariance
from ._scores import ScoreRows as ScoreRows
from ._statistic import Statistic as Statistic
from ._table import LAWS as LAWS
from ._table import METRICS as METRICS
from ._table import MetricInfo as MetricInfo
from ._table import metric as metric
