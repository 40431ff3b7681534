"""Evaluating predictions: metric functions and classes, evaluators, results.

This is the host's shell around `modelops_jax.metrics`: it takes labels and texts of any type,
refuses what has no meaning with an error that says where, and warns where a value has no
definition. Metric functions take `(predictions, references)`, metric objects `(y_true, y_pred)`.
"""

from modelops_jax.metrics import Interval as Interval

from ._classification import AccuracyMetric as AccuracyMetric
from ._classification import F1Metric as F1Metric
from ._classification import PrecisionMetric as PrecisionMetric
from ._classification import RecallMetric as RecallMetric
from ._compare import compare as compare
from ._comparison import Comparison as Comparison
from ._comparison import MetricComparison as MetricComparison
from ._comparison import PairComparison as PairComparison
from ._comparison_stream import ComparisonStream as ComparisonStream
from ._confusion_matrix import ConfusionMatrix as ConfusionMatrix
from ._diagnostics import Diagnostics as Diagnostics
from ._diagnostics import Reliability as Reliability
from ._diagnostics import ScoreCurves as ScoreCurves
from ._errors import MetricError as MetricError
from ._errors import MetricTypeError as MetricTypeError
from ._errors import MetricValueError as MetricValueError
from ._errors import NoIntervalWarning as NoIntervalWarning
from ._errors import UndefinedMetricWarning as UndefinedMetricWarning
from ._evaluator import Evaluator as Evaluator
from ._model_evaluator import ModelEvaluator as ModelEvaluator
from ._model_evaluator import create_evaluator as create_evaluator
from ._ngram_functions import bleu_metric as bleu_metric
from ._ngram_functions import chrf_metric as chrf_metric
from ._ngram_functions import rouge_1_metric as rouge_1_metric
from ._ngram_functions import rouge_2_metric as rouge_2_metric
from ._ngram_functions import rouge_l_metric as rouge_l_metric
from ._ranking import AUCROCMetric as AUCROCMetric
from ._regression import MAEMetric as MAEMetric
from ._regression import MSEMetric as MSEMetric
from ._regression import R2Metric as R2Metric
from ._regression import RMSEMetric as RMSEMetric
from ._result import ClassResult as ClassResult
from ._result import EvaluationResult as EvaluationResult
from ._result import SliceResult as SliceResult
from ._stream import EvaluationStream as EvaluationStream
from ._task_type import TaskType as TaskType
from ._text_functions import character_error_rate_metric as character_error_rate_metric
from ._text_functions import exact_match_metric as exact_match_metric
from ._text_functions import length_ratio_metric as length_ratio_metric
from ._text_functions import squad_exact_match_metric as squad_exact_match_metric
from ._text_functions import squad_f1_metric as squad_f1_metric
from ._text_functions import word_error_rate_metric as word_error_rate_metric
from ._text_metrics import TEXT_METRICS as TEXT_METRICS
from ._text_metrics import count_texts as count_texts
