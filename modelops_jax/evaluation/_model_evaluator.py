"""`ModelEvaluator` and `create_evaluator`: the metrics that fit a task, in one call."""

import warnings
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from modelops_jax.metrics import NanPolicy, check_nan_policy

from ._builtin import BuiltIn
from ._by_name import metric_by_name, scored_in
from ._classification import AccuracyMetric, Average, F1Metric, PrecisionMetric, RecallMetric
from ._columns import names_of_scored
from ._errors import UndefinedMetricWarning
from ._finish import check_confidence, finish
from ._multilabel import LabelRatio, SubsetAccuracy
from ._nan_rows import with_nan
from ._queries import read_queries
from ._ranking import AUCROCMetric
from ._read_rows import read_rows
from ._regression import MAEMetric, MSEMetric, R2Metric, RMSEMetric
from ._result import EvaluationResult
from ._stream import EvaluationStream
from ._task_type import TaskType
from ._text_metrics import TextMetric
from ._weights import with_total


@runtime_checkable
class NamedMetric(Protocol):
    """What `ModelEvaluator.add_metric` takes."""

    @property
    def name(self) -> str:
        """The key of the value in a result."""
        ...

    def compute(self, y_true: Any, y_pred: Any) -> float:
        """Compute the value."""
        ...


def _of_labels(average: Average, ignored: Hashable | None) -> list[BuiltIn]:
    ratios = (PrecisionMetric, RecallMetric, F1Metric)
    return [
        AccuracyMetric(ignore_index=ignored),
        *(kind(average=average, ignore_index=ignored) for kind in ratios),
    ]


def _of_label_sets(ignored: Any) -> list[BuiltIn]:
    ratios = [
        LabelRatio(quantity, average, ignored)
        for average in ("micro", "macro")
        for quantity in ("precision", "recall", "f1")
    ]
    return [SubsetAccuracy(ignored), *ratios]


_LABEL_AVERAGES: Mapping[TaskType, Average] = {
    TaskType.CLASSIFICATION: "auto",
    TaskType.BINARY_CLASSIFICATION: "binary",
    TaskType.MULTICLASS_CLASSIFICATION: "macro",
}
_DEFAULTS: Mapping[TaskType, Callable[[], list[BuiltIn]]] = {
    TaskType.REGRESSION: lambda: [MSEMetric(), MAEMetric(), RMSEMetric(), R2Metric()],
    TaskType.RANKING: lambda: [AUCROCMetric()],
    TaskType.TEXT_GENERATION: lambda: [TextMetric("exact_match"), TextMetric("length_ratio")],
}


class ModelEvaluator:
    """Evaluate a model's predictions with the metrics of its task.

    | task | y_true | y_pred | metrics |
    |---|---|---|---|
    | CLASSIFICATION | labels | labels | accuracy, precision, recall, f1 |
    | BINARY_CLASSIFICATION | 0/1 (or -1/1), 1 is positive | the same | the same four |
    | MULTICLASS_CLASSIFICATION | labels | labels | the same four, macro-averaged |
    | MULTILABEL_CLASSIFICATION | 0/1 matrix (rows, labels) | the same | subset_accuracy; \
precision, recall and f1, each `_micro` and `_macro`; each label in `per_class` |
    | REGRESSION | numbers | numbers | mse, mae, rmse, r2 |
    | RANKING | relevance, 0 or 1 | scores | auc_roc of all rows together; by name, of \
relevance from 0 up, ndcg_score, mean_reciprocal_rank and others, by query (`groups`) |
    | TEXT_GENERATION | references | predictions | exact_match, length_ratio; by name \
bleu_score, chrf_score, rouge_l_score, squad_f1_score, word_error_rate and others |

    CLASSIFICATION decides by the labels of the whole evaluation: if all are 0, 1 or bools it is
    binary with positive class 1, else precision, recall and F1 are means over the classes that
    occur in either list; `metadata["averaging"]` says which. All built-in metrics of one kind of
    input are computed in one pass. Metrics of the table that take scores or probabilities can be
    added to the tasks of labels; they read `y_score`, of several labels a row a score for each.

    Args:
        task_type: the task, or its name ("binary", "multiclass", "regression", ...).
        metrics: the metrics instead of those of the table above, as `add_metric` takes them: names
            and objects. None: those of the table.
        ignore_index: of tasks of one label a row: rows with this true label are left out of every
            built-in metric, whatever was predicted and whatever their scores; None: no row is. Of
            several labels a row, an integer: the entries of y_true that have it are left out.

    Raises:
        ValueError: an unknown task (the message names the choices), an `ignore_index` for a task
            without labels, or what `add_metric` refuses.

    Example:
        >>> from modelops_jax.evaluation import ModelEvaluator, TaskType
        >>> evaluator = ModelEvaluator(TaskType.CLASSIFICATION)
        >>> print(evaluator.evaluate(["ham", "spam", "spam"], ["ham", "ham", "spam"]))
        classification, 3 rows
          accuracy   0.6667
          precision  0.7500
          recall     0.7500
          f1         0.6667
    """

    def __init__(
        self,
        task_type: TaskType | str,
        *,
        metrics: Iterable[NamedMetric | str] | None = None,
        ignore_index: Hashable | None = None,
    ) -> None:
        self.task_type = TaskType(task_type)
        if isinstance(ignore_index, np.generic):
            ignore_index = ignore_index.item()
        of_sets = self.task_type is TaskType.MULTILABEL_CLASSIFICATION
        if ignore_index is not None and not (of_sets or self.task_type in _LABEL_AVERAGES):
            raise ValueError(
                f"ignore_index={ignore_index!r} is for tasks of labels, not for "
                f"{self.task_type.value!r}"
            )
        if of_sets and not (ignore_index is None or isinstance(ignore_index, int)):
            raise TypeError(
                f"ignore_index is {ignore_index!r}; several labels a row are 0 and 1, beside which "
                "an integer is expected"
            )
        if isinstance(metrics, str):
            raise TypeError(f"metrics is the string {metrics!r}; expected a list of metrics")
        self._ignore_index = ignore_index
        self._metrics: dict[str, Any] = {}
        for metric in self._defaults() if metrics is None else metrics:
            self.add_metric(metric)

    def _defaults(self) -> list[BuiltIn]:
        if self.task_type in _LABEL_AVERAGES:
            return _of_labels(_LABEL_AVERAGES[self.task_type], self._ignore_index)
        if self.task_type is TaskType.MULTILABEL_CLASSIFICATION:
            return _of_label_sets(self._ignore_index)
        return _DEFAULTS[self.task_type]()

    @property
    def metrics(self) -> tuple[NamedMetric, ...]:
        """The metrics of an evaluation, in order."""
        return tuple(self._metrics.values())

    @property
    def reads_scores(self) -> tuple[str, ...]:
        """The metrics that read `y_score` in place of `y_pred`."""
        return names_of_scored(self._metrics)

    @property
    def by_query(self) -> tuple[str, ...]:
        """The metrics that rank the rows of each query, of which `groups` has the ids."""
        return tuple(
            name
            for name, metric in self._metrics.items()
            if isinstance(metric, BuiltIn) and metric.reader is read_queries
        )

    @property
    def one_reference(self) -> tuple[str, ...]:
        """The metrics of texts that take one reference a row; others take a list of them too."""
        texts = {name: m for name, m in self._metrics.items() if isinstance(m, TextMetric)}
        return tuple(name for name, metric in texts.items() if metric.one_reference)

    def takes_scores(self, metric: str) -> bool:
        """Whether the metric of that name of `METRICS` reads `y_score` in this task."""
        return scored_in(metric, self.task_type)

    def add_metric(
        self, metric: NamedMetric | str, *, name: str | None = None, **options: Any
    ) -> "ModelEvaluator":
        """Add a metric to those of the task.

        Args:
            metric: a name of `modelops_jax.metrics.METRICS`, whose metric is computed in the same
                pass as the others (`register_metric` adds your own). Or an object with a `name`
                and `compute(y_true, y_pred)`, which gets both as given and returns one number.
            name: the key of the value in a result, for a metric by name; None: that name.
            options: of a metric by name those of its function, such as `beta`. Labels are encoded
                and counted, and the average is the task's (of multilabel rows: macro) unless given:
                None gives a value for each class in `per_class`, with intervals, without slices. A
                metric of scores takes `positive_class`, the label that has the high scores, else
                1; one of texts what the function takes that counts them, such as `tokenize`.

        Returns:
            This evaluator.

        Raises:
            TypeError: neither a name nor such an object, a class instead of an instance, or
                options that the metric does not have.
            ValueError: an unknown name (the message lists near ones), a metric that does not fit
                the task, or a metric of that name that is there already.

        Example:
            >>> from modelops_jax.evaluation import AUCROCMetric, ModelEvaluator
            >>> evaluator = ModelEvaluator("binary").add_metric(AUCROCMetric())
            >>> [metric.name for metric in evaluator.metrics]
            ['accuracy', 'precision', 'recall', 'f1', 'auc_roc']
            >>> evaluator = ModelEvaluator("multiclass", metrics=["matthews_corrcoef"])
            >>> evaluator = evaluator.add_metric("fbeta_score", beta=2, name="f2")
            >>> evaluator.evaluate(["a", "b", "c", "c"], ["a", "b", "c", "b"]).metrics["f2"]
            0.7962962962962964
        """
        if isinstance(metric, str):
            metric = metric_by_name(metric, self.task_type, self._ignore_index, name, options)
        elif options or name is not None:
            raise TypeError(
                f"a name or options ({', '.join(options) or name}) are for a metric by name, not "
                f"for a {type(metric).__name__}"
            )
        if isinstance(metric, type):
            raise TypeError(f"the metric is the class {metric.__name__}; expected an instance")
        if not isinstance(metric, NamedMetric) or not isinstance(metric.name, str):
            raise TypeError(
                f"the metric is a {type(metric).__name__}; expected a name, or an object with a "
                "name, a string, and compute(y_true, y_pred)"
            )
        if metric.name in self._metrics:
            raise ValueError(
                f"a metric named {metric.name!r} is there already; "
                f"the names are: {', '.join(self._metrics)}"
            )
        self._metrics[metric.name] = metric
        return self

    def evaluate(
        self,
        y_true: Iterable[Any],
        y_pred: Iterable[Any] | None,
        *,
        y_score: Any = None,
        weight: Iterable[Any] | None = None,
        confidence: float | int | None = None,
        interval: str = "auto",
        n_resamples: int = 1000,
        groups: Iterable[Any] | None = None,
        seed: int = 0,
        slices: Mapping[str | tuple[str, ...], Any] | None = None,
        nan_policy: NanPolicy | str = "raise",
    ) -> EvaluationResult:
        """Compute all metrics.

        Args:
            y_true: what is right, one entry per row (see the table of the class): a list, tuple,
                array or iterator.
            y_pred: what was predicted, of the same length. Where both are JAX arrays whose rows
                are sharded over a mesh, integer labels (up to 4,096 apart, or else up to 4,096
                kinds of them, which are fetched), numbers, label sets, tokens, scores and rankings
                are counted on their devices, with weights, rows that hold nan, slices and
                intervals; rows of weight 0, as padding, may hold anything there. Of slices of rows
                in `groups` the sums of each group in each slice are fetched. More kinds of labels,
                and ids of groups there that are no integers, gather the rows on the host. Metrics
                of your own get the arrays as given; where some rows do not count, those that do,
                on the host. None if no metric reads it.
            y_score: for metrics of scores or probabilities beside labels: of the positive class,
                shape (n,); of labels 0 to k - 1, and of several labels a row, an array of shape
                (n, k); of other labels a dict of class -> scores of shape (n,). For the perplexity
                and the bits per byte of texts a dict with `log_likelihood` (nats), and `tokens` or
                `bytes`, of each row.
            weight: of each row, numbers of at least 0, or bools that say which rows count; of
                rankings by query that of the query. A weight is that many rows for a value, and
                none for an interval: weighted rows are resampled as they are, and slices of them
                tested in `groups` only. Metrics of your own take no numbers. None: 1.
            confidence: the level of the intervals to compute, in (0, 1), 0.95 say; None: none.
                Shares of rows (accuracy, precision, recall and F1 of a class, exact match) have
                Wilson's interval, AUROC DeLong's, the rest a percentile bootstrap; so has each
                class or label in `per_class`. Max error, means over more than 128 classes and added
                metrics of your own have none.
            interval: the method of the intervals: "auto" as above; "percentile" or "bca" for a
                bootstrap of all but AUROC (in groups of AUROC, too); "wilson" or "exact" where all
                metrics are shares of rows.
            n_resamples: how many resamples of a bootstrap.
            groups: for the intervals, an id for every row: rows of one id (of one user, one
                document) may depend on each other, and are resampled together, and slices are
                tested by them. Metrics of rankings by query (NDCG, MRR, ...) need it, as the query
                of each row, in any order. None: all rows are independent.
            seed: of the bootstrap; the same seed gives the same intervals.
            slices: columns to compute the metrics by, as well: name -> labels of any kind, one
                for each row. A tuple of such names -> None crosses them: its slices are the
                combinations that occur. What CLASSIFICATION means is decided by all rows; a mean
                over classes is over those that occur in the slice. Metrics of your own have no
                slices.
            nan_policy: what becomes of rows that hold nan in a column that is read. "raise"
                refuses them. "omit" leaves them out of everything and counts them in the result's
                `invalid_count`. "propagate" makes the metrics nan that read such a row (without
                slices). Infinite numbers, and None as a label, are refused in any case.

        Returns:
            Values, intervals, the number of rows and what was decided on the way.

        Raises:
            TypeError: entries of the wrong kind, naming the argument and the index.
            ValueError: two lengths, more axes than the task has, entries that no definition
                covers, or a confidence outside (0, 1).
            MetricError: an added metric of your own raised; the error names it.

        Warns:
            UndefinedMetricWarning: a metric has no definition on these rows; the message, which
                `metadata["undefined"]` keeps, says which rule gave the value.
            NoIntervalWarning: intervals were asked for and a metric has none; the message says
                why, and `metadata["without_interval"]` keeps it.
        """
        check_nan_policy(nan_policy)
        wanted = check_confidence(confidence, seed, groups, interval, n_resamples)
        read = read_rows(
            self._metrics, nan_policy, drawn=confidence is not None, y_true=y_true, y_pred=y_pred,
            y_score=y_score, weight=weight, groups=groups, slices=slices,
        )  # fmt: skip
        wanted = None if wanted is None else replace(wanted, groups=read.groups)
        metrics = {name: m for name, m in self._metrics.items() if name not in read.nans}
        result = finish(
            self.task_type, metrics, read.sections, read.columns, read.rows, wanted, read.slicings
        )
        if read.omitted:
            result = replace(result, invalid_count=read.omitted)
        result = with_total(result, read.total)
        if read.nans:
            result, rules = with_nan(result, read.nans, self._metrics)
            for rule in rules.values():
                warnings.warn(rule, UndefinedMetricWarning, stacklevel=2)
        return result

    def stream(
        self, *, resamples: int = 0, seed: int = 0, nan_policy: NanPolicy | str = "raise"
    ) -> EvaluationStream:
        """Begin an evaluation of rows that come in batches.

        Args:
            resamples: how many resamples of sums (errors, scores of texts; of rows with weights all
                that is counted) to draw as rows come in, such as 1000, so that `result` has their
                intervals: those of `evaluate`. 0: none.
            seed: of these.
            nan_policy: what becomes of rows that hold nan, as for `evaluate`.

        Returns:
            An `EvaluationStream` of the present metrics, without rows.

        Example:
            >>> from modelops_jax.evaluation import ModelEvaluator
            >>> stream = ModelEvaluator("regression").stream()
            >>> stream.update([1.0, 2.0], [1.0, 2.0])
            >>> stream.update([4.0], [7.0])
            >>> stream.result().metrics["mse"]
            3.0
        """
        return EvaluationStream(self, resamples=resamples, seed=seed, nan_policy=nan_policy)

    def __repr__(self) -> str:
        return f"ModelEvaluator({self.task_type}, metrics={list(self._metrics)})"


def create_evaluator(task: TaskType | str) -> ModelEvaluator:
    """Make an evaluator with the default metrics of a task.

    Args:
        task: a `TaskType` or its name: classification, binary, multiclass, multilabel,
            regression, ranking or text_generation.

    Returns:
        A `ModelEvaluator`, to which metrics can be added.

    Raises:
        ValueError: an unknown task; the message names the choices.

    Example:
        >>> from modelops_jax.evaluation import TaskType, create_evaluator
        >>> create_evaluator(TaskType.REGRESSION).evaluate([1.0, 2.0], [1.0, 4.0]).metrics["mse"]
        2.0
        >>> create_evaluator("binary").evaluate([1, 0, 1], [1, 0, 0]).metrics["recall"]
        0.5
    """
    return ModelEvaluator(task)
