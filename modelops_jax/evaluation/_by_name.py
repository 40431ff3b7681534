"""Metrics of the table of `modelops_jax.metrics`, by name, as metrics of a task."""

import math
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar

import modelops_jax.metrics as numeric

from ._builtin import OnePassMetric, Reader
from ._class_scores import IGNORED, ClassScoreReader
from ._label_pair import LabelPair, LabelReader
from ._label_sets import LabelSetReader
from ._likelihoods import UNITS, LikelihoodReader
from ._per_class import LARGEST_TABLE
from ._queries import QueryPair, read_queries
from ._ranking import ScoreReader
from ._regression import ValuePair, read_values
from ._task_type import TaskType
from ._text_metrics import TEXT_METRICS, TextMetric
from ._tokens import read_tokens

# What a metric of labels may read in place of predicted labels: `y_score`.
_SCORES = ("scores", "probabilities", "class_scores")
# What y_pred, or y_score, may be for a metric of the task.
_INPUTS: Mapping[TaskType, tuple[str, ...]] = {
    TaskType.CLASSIFICATION: ("labels", *_SCORES),
    TaskType.BINARY_CLASSIFICATION: ("labels", *_SCORES),
    TaskType.MULTICLASS_CLASSIFICATION: ("labels", *_SCORES),
    TaskType.MULTILABEL_CLASSIFICATION: ("labels", "label_sets", "scores", "probabilities"),
    TaskType.REGRESSION: ("values", "positive"),
    TaskType.RANKING: ("scores", "probabilities", "groups"),
    # Beside texts, what was measured or counted of them already.
    TaskType.TEXT_GENERATION: ("log_likelihoods", "attempts", "tokens"),
}
# The tasks in which metrics read `y_score`.
_SCORED_TASKS = (
    TaskType.CLASSIFICATION,
    TaskType.BINARY_CLASSIFICATION,
    TaskType.MULTICLASS_CLASSIFICATION,
    TaskType.MULTILABEL_CLASSIFICATION,
    TaskType.TEXT_GENERATION,
)
_AVERAGES = {
    TaskType.BINARY_CLASSIFICATION: "binary",
    TaskType.MULTICLASS_CLASSIFICATION: "macro",
    TaskType.MULTILABEL_CLASSIFICATION: "macro",
}
# Options that the rows decide.
_DECIDED = ("num_classes", "num_labels", "num_outputs", "absent", "ignore_index")
# Metrics of the table of all classes, which have an average of labels and none of classes.
_AGREEMENTS = ("balanced_accuracy_score", "cohen_kappa_score", "matthews_corrcoef")
# The average is that of all rows unless it is given, whatever the task.
_OVERALL = ("hamming_loss",)
_TABLES = ("confusion_matrix", "multilabel_confusion_matrix")
_SHARES = ("accuracy_score", "precision_score", "recall_score", "f1_score")
_MOST_CLASSES = 4096


def metric_by_name(
    metric: str,
    task_type: TaskType,
    ignored: Hashable | None,
    name: str | None,
    options: Mapping[str, Any],
) -> OnePassMetric:
    """The metric of that name on the rows of a task: see `TextMetric` and `TableMetric`."""
    if task_type is TaskType.TEXT_GENERATION and metric in TEXT_METRICS:
        return TextMetric(metric, name=name, **options)
    return TableMetric(metric, task_type, ignored=ignored, name=name, **options)


class TableMetric(OnePassMetric):
    """A metric of `modelops_jax.metrics.METRICS` on the rows of a task.

    Labels of any type are encoded, their number of classes is found, and the average is that of
    the task unless it is given. `ModelEvaluator.add_metric` makes one from a name.

    Raises:
        ValueError: an unknown name, a metric that does not fit the task or gives more than one
            number other than one for each class, or an option that is none of its choices.
        TypeError: an option that the metric does not have, or that the rows decide.
    """

    class_by_class: ClassVar[bool] = False

    def __init__(
        self,
        metric: str,
        task_type: TaskType,
        *,
        ignored: Hashable | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        self._metric, self._task_type, self._options = metric, task_type, options
        self._ignore_index = ignored
        if metric in numeric.METRICS:
            self.higher_is_better = numeric.METRICS[metric].higher_is_better
        self._name = metric if name is None else name
        if metric in numeric.METRICS:
            _check_fits(metric, task_type)
            _check_options(metric, options)
            known = numeric.METRICS[metric].options
            if self.reads_scores and self.by_class:
                raise ValueError(
                    f"{metric}: average=None gives a value for each class, which a result has of "
                    "predicted labels and not of scores; pass an average, or call "
                    f"modelops_jax.metrics.{metric} with it"
                )
            if self.reads_scores and ignored is not None and "ignore_index" not in known:
                raise ValueError(f"{metric} reads y_score, and has no option ignore_index")
        # A mistake in the options shows here, before there are rows.
        each = options.get("multioutput")
        outputs = 2 if each is None or isinstance(each, str) else len(each)
        rows = {"num_classes": 2, "num_labels": 2}
        if not (self._of_labels or self._of_sets or self.reads_scores):
            rows = {"num_outputs": outputs}
        rows.pop("num_classes" if self._of_sets else "num_labels", None)
        rows = {option: value for option, value in rows.items() if option in self._takes}
        given = self._given(options)
        numeric.metric(metric, **self._with_average("macro") | given | rows)

    @property
    def name(self) -> str:
        """The key of the value in a result."""
        return self._name

    @property
    def positive_class(self) -> Any:
        """The label that a metric of one class is of."""
        return self._options.get("positive_class", 1)

    @property
    def by_class(self) -> bool:
        return self._options.get("average", "") is None

    @property
    def reads_scores(self) -> bool:
        """Whether it reads `y_score` in place of `y_pred`."""
        return scored_in(self._metric, self._task_type)

    @property
    def reader(self) -> Reader:
        if self.reads_scores and self._task_type is TaskType.TEXT_GENERATION:
            return LikelihoodReader(UNITS.get(self._metric, "tokens"))
        if self._of_sets:
            ignored = self._ignore_index
            assert ignored is None or isinstance(ignored, int)
            return LabelSetReader(self.reads_scores, ignored)
        if self.reads_scores:
            return ClassScoreReader(self._options.get("positive_class"), self._ignore_index)
        if self._of_labels:
            return LabelReader(self._ignore_index)
        if numeric.METRICS[self._metric].inputs == "tokens":
            return read_tokens
        if numeric.METRICS[self._metric].inputs == "groups":
            return read_queries
        return ScoreReader(None) if self._task_type is TaskType.RANKING else read_values

    def of_no_rows(self) -> float:
        return 0.0 if self._metric in _SHARES else math.nan

    def averages(self, pair: LabelPair) -> bool:
        """Whether it needs a table of all classes on these rows."""
        needed = (
            self.by_class or self._metric in _AGREEMENTS or not self._takes.get("num_classes", True)
        )
        alone = (None, "binary", "micro") if self._metric in _OVERALL else (None, "binary")
        return needed or self._average(pair) not in alone

    def bind(self, pair: Any) -> numeric.Metric:
        return self._bound(pair, {})

    def marked(self, pair: Any) -> numeric.Metric:
        return self._bound(
            pair, {"zero_division": math.nan} if "zero_division" in self._takes else {}
        )

    def _bound(self, pair: Any, of_undefined: dict[str, Any]) -> numeric.Metric:
        if self._of_sets:
            self._check_listed(pair.num_labels)
            options = self._with_average("macro") | self._options | of_undefined
            if self._ignore_index is not None:
                options["ignore_index"] = IGNORED
            return numeric.metric(self._metric, **options | {"num_labels": pair.num_labels})
        if self.reads_scores and not isinstance(pair, ValuePair):
            given = self._given(self._options)
            if pair.num_classes is not None and "num_classes" in self._takes:
                given["num_classes"] = pair.num_classes
            if self._ignore_index is not None:
                given["ignore_index"] = IGNORED
            return numeric.metric(self._metric, **given)
        if isinstance(pair, ValuePair) or "num_outputs" in self._takes:  # or a stream of such rows
            of_row = {} if pair.outputs is None else {"num_outputs": pair.outputs}
            options = dict(self._options)
            if not pair.rows and pair.outputs is None:  # how many outputs the rows will tell
                options.pop("multioutput", None)
            return numeric.metric(self._metric, **options, **of_row)
        if not isinstance(pair, LabelPair):
            return numeric.metric(self._metric, **self._options)
        self._check_listed(len(pair.labels.classes))
        options = self._options | of_undefined
        if (average := self._average(pair)) is not None:
            options["average"] = average
        if "num_classes" in self._takes:
            options["num_classes"] = self._num_classes(pair, options)
        if average == "binary":
            position = pair.labels.position(options.get("positive_class", 1))
            if position is None:  # a class that no row has
                position = -1
                options["num_classes"] = None
            options["positive_class"] = position
        return numeric.metric(self._metric, **options)

    def rule(self, pair: Any) -> str:
        if isinstance(pair, QueryPair):
            return pair.rule()
        return (
            "it is 0/0 on these rows, for a class or altogether; the value is by the rule that "
            f"modelops_jax.metrics.{self._metric} documents"
        )

    def facts(self, pair: Any) -> Mapping[str, Any]:
        if isinstance(pair, LabelPair):
            return pair.facts()
        if isinstance(pair, ValuePair | QueryPair) or "num_outputs" in self._takes:
            return pair.facts()
        return {"labels": pair.num_labels} if self._of_sets else {}

    def __repr__(self) -> str:
        options = "".join(f", {option}={value!r}" for option, value in self._options.items())
        ignored = "" if self._ignore_index is None else f", ignore_index={self._ignore_index!r}"
        return f"metric({self._metric!r}{options}{ignored})"

    @property
    def _takes(self) -> dict[str, bool]:
        return numeric.METRICS[self._metric].options if self._metric in numeric.METRICS else {}

    @property
    def _of_sets(self) -> bool:
        return self._task_type is TaskType.MULTILABEL_CLASSIFICATION

    @property
    def _of_labels(self) -> bool:
        return "labels" in _INPUTS[self._task_type] and not self.reads_scores

    def _given(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options less the one that the reader of scores takes."""
        own = () if self._of_sets else ("positive_class",)
        return {option: value for option, value in options.items() if option not in own}

    def _with_average(self, average: str) -> dict[str, Any]:
        averaged = "average" in self._takes and self._metric not in _OVERALL
        return {"average": average} if self._of_labels and averaged else {}

    def _check_listed(self, classes: int) -> None:
        """Refuse to have a value for each of more classes than a result lists (ValueError)."""
        if self.by_class and classes > LARGEST_TABLE:
            raise ValueError(
                f"{self._name} is to have a value for each of {classes:,} classes, and a result "
                f"lists at most {LARGEST_TABLE}; pass an average"
            )

    def _average(self, pair: LabelPair) -> str | None:
        """The average, if the metric has one, settled by the task or the labels."""
        if "average" not in self._takes or self._metric in _AGREEMENTS:
            return None
        if self._metric in _OVERALL:
            return self._options.get("average", "micro")
        decided = "binary" if pair.labels.is_binary else "macro"
        return self._options.get("average", _AVERAGES.get(self._task_type, decided))

    def _num_classes(self, pair: LabelPair, options: dict[str, Any]) -> int | None:
        if pair.num_classes is not None or not self.averages(pair):
            return pair.num_classes
        classes = len(pair.labels.classes)
        if classes > _MOST_CLASSES and self._counts_pairs(options):
            raise ValueError(
                f"the labels have {classes:,} classes; {self._name} needs a table of all pairs of "
                f"classes, which is made for at most {_MOST_CLASSES:,}"
            )
        return max(2, 1 << (classes - 1).bit_length())

    def _counts_pairs(self, options: dict[str, Any]) -> bool:
        """Whether it needs a table of all pairs of classes, of however many."""
        many = numeric.metric(self._metric, **options | {"num_classes": 2 * _MOST_CLASSES})
        return any(isinstance(s, numeric.ConfusionCounts) for s in many.statistics)


def scored_in(metric: str, task_type: TaskType) -> bool:
    """Whether a metric of the table reads scores beside the labels, or texts, of the task."""
    known = numeric.METRICS.get(metric)
    takes = (*_SCORES, "log_likelihoods") if task_type in _SCORED_TASKS else ()
    return known is not None and known.inputs in takes


def _check_fits(metric: str, task_type: TaskType) -> None:
    fitting = [
        name
        for name, info in numeric.METRICS.items()
        if info.inputs in _INPUTS[task_type]
        and name not in _TABLES
        and (task_type is not TaskType.MULTILABEL_CLASSIFICATION or "num_labels" in info.options)
    ]
    if metric in _TABLES:
        where = {
            "confusion_matrix": "modelops_jax.evaluation.ConfusionMatrix",
            "multilabel_confusion_matrix": "modelops_jax.metrics.multilabel_confusion_matrix",
        }[metric]
        raise ValueError(f"{metric} gives more than one number; {where} is for it")
    if task_type is TaskType.TEXT_GENERATION:
        fitting = sorted({*fitting, *TEXT_METRICS})
    if task_type is TaskType.MULTILABEL_CLASSIFICATION and metric == "top_k_accuracy_score":
        raise ValueError(
            "top_k_accuracy_score is not defined for several labels a row and does not fit the "
            "task 'multilabel'; precision_at_k and recall_at_k of the task 'ranking' rank the "
            "labels of each row, its query"
        )
    if metric not in fitting:
        raise ValueError(
            f"{metric} takes {numeric.METRICS[metric].inputs.replace('_', ' ')} and does not fit "
            f"the task {task_type.value!r}; those that do: {', '.join(fitting) or 'none'}"
        )


def _check_options(metric: str, options: Mapping[str, Any]) -> None:
    for option in options:
        info = numeric.METRICS[metric]
        if option == "absent" and info.inputs == "scores":
            continue  # what an undefined area does to a mean is the caller's to say
        if option in _DECIDED and option in info.options and info.inputs != "tokens":
            raise TypeError(f"{metric}: the rows decide {option}; it is no option here")
    multioutput = options.get("multioutput")
    if isinstance(multioutput, str) and multioutput == "raw_values":
        raise ValueError(
            f"{metric}: multioutput='raw_values' gives more than one number; pass an average"
        )
