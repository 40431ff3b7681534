"""`EvaluationResult`: what `ModelEvaluator.evaluate` returns."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelops_jax._version import __version__
from modelops_jax.metrics import Interval

from ._result_json import from_plain, to_plain
from ._result_view import html_page, printable, text_table
from ._task_type import TaskType

# What a signature says of what was decided on the way.
_DECIDED = ("averaging", "groups", "total_weight")


@dataclass(frozen=True)
class ClassResult:
    """What an evaluation says about one class.

    Args:
        label: the class.
        rows: rows whose true label it is.
        predicted: rows that are predicted as it.
        metrics: precision, recall and f1 of the class, of which 0/0 is 0.0, and what metrics with
            `average=None` are of it.
        intervals: name -> confidence interval of the value, where intervals were asked for and
            there is one. Of more than 16 classes of weighted or grouped rows, or by a bootstrap,
            precision, recall and f1 have one if a metric that averages over classes is computed.

    Example:
        >>> from modelops_jax.evaluation import ModelEvaluator
        >>> evaluator = ModelEvaluator("multiclass").add_metric("jaccard_score", average=None)
        >>> result = evaluator.evaluate(["a", "b", "c", "c"], ["a", "b", "c", "b"])
        >>> {one.label: one.metrics["jaccard_score"] for one in result.per_class}
        {'a': 1.0, 'b': 0.5, 'c': 0.5}
    """

    label: Hashable
    rows: int
    predicted: int
    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class SliceResult:
    """What an evaluation says about the rows of one slice.

    Args:
        key: column -> value of the slice; several columns where slices were crossed.
        rows: number of rows.
        metrics: name -> value on these rows (nan where it is undefined).
        intervals: name -> confidence interval on these rows, where there is one.
        undefined: name -> how many entries of the value have no definition on these rows.
        p_values: name -> of the test that these rows have the value of the other rows, adjusted
            (Holm) for the number of slices of the key; of metrics that are shares of rows or means
            of a number of each (or the root of one), where intervals were asked for.
        tests: name -> the test: "Fisher" (exact, of shares), "Student" (t, of means), or
            "Student of groups" (t, of either, of rows in `groups`).
    """

    key: Mapping[str, Hashable]
    rows: int
    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    undefined: Mapping[str, int] = field(default_factory=dict)
    p_values: Mapping[str, float] = field(default_factory=dict)
    tests: Mapping[str, str] = field(default_factory=dict)

    def differs(self, metric: str) -> bool:
        """Whether the slice differs from the other rows: its p-value is at most 1 - the level."""
        interval = self.intervals.get(metric)
        return interval is not None and self.p_values.get(metric, 1.0) <= 1 - interval.level

    @property
    def name(self) -> str:
        """The slice as text, `"lang=de, length=long"`."""
        return ", ".join(f"{column}={value}" for column, value in self.key.items())


@dataclass(frozen=True)
class EvaluationResult:
    """Metric values of one evaluation and what they rest on.

    Args:
        metrics: name of each metric -> its value (nan where it is undefined).
        task_type: the task that was evaluated.
        sample_count: number of rows.
        metadata: what was decided on the way: for labels `num_classes`, `classes` (up to 128),
            `averaging` ("binary" or "macro") and `positive_class` where there is one; for
            multilabel rows `labels`, their number; `groups`, how many there were to resample;
            `total_weight`, of weighted rows;
            `undefined`, the metrics without a definition on these rows with the rule that gave
            their value; `without_interval`, those of which none was found, and why.
        intervals: name -> confidence interval, for the metrics that have one; empty unless asked
            for.
        undefined: name -> how many entries of the value have no definition on these rows (of a
            mean over classes: classes); without the metrics that have none.
        configuration: name of each metric -> the metric with the options it was given, as Python
            writes it; of metrics of your own the class.
        ignored_count: rows that an `ignore_index` left out; `sample_count` has them.
        invalid_count: rows that could not be read and are in no value. An evaluator refuses
            such rows; who leaves them out before says so here.
        per_class: for tasks of labels, each class in order, or each of several labels a row by its
            column; up to 128. (A stream counts the latter if one of its metrics does.)
        slices: each slice that was asked for; of one key column the worst first, by the first
            metric that has a direction.
        version: the version of the package that made the result.

    Example:
        >>> result = EvaluationResult({"mse": 0.25}, TaskType.REGRESSION, 4)
        >>> result.metrics["mse"]
        0.25
        >>> print(result)
        regression, 4 rows
          mse  0.2500
        >>> EvaluationResult.from_dict(result.to_dict()) == result
        True
    """

    metrics: Mapping[str, float]
    task_type: TaskType
    sample_count: int
    metadata: Mapping[str, Any] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    undefined: Mapping[str, int] = field(default_factory=dict)
    configuration: Mapping[str, str] = field(default_factory=dict)
    ignored_count: int = 0
    invalid_count: int = 0
    per_class: tuple[ClassResult, ...] = ()
    slices: tuple[SliceResult, ...] = ()
    version: str = __version__

    @property
    def signature(self) -> str:
        """All that is needed to get these numbers again, in one line.

        `n` rows, and how many of them were `ignored`, or were `invalid` and are not among them;
        the metrics with the options they were given, others being the defaults of the version; the
        `averaging` that labels decided; for intervals their level, method, resamples and seed, and
        how many `groups` were resampled; the version.
        """
        parts: dict[str, Any] = {"task": self.task_type.value, "n": self.sample_count}
        parts |= {"ignored": self.ignored_count} if self.ignored_count else {}
        parts |= {"invalid": self.invalid_count} if self.invalid_count else {}
        if self.configuration:
            configured = (f"{printable(name)}={one}" for name, one in self.configuration.items())
            parts["metrics"] = ";".join(configured)
        parts |= {name: self.metadata[name] for name in _DECIDED if name in self.metadata}
        of_classes = (one.intervals for one in self.per_class)
        every = [one for named in (self.intervals, *of_classes) for one in named.values()]
        if every:
            methods = dict.fromkeys(interval.method for interval in every)
            parts |= {
                "level": f"{every[0].level:g}",
                "method": "+".join(methods).replace(" ", "-"),
            }
            drawn = next((interval for interval in every if interval.n_resamples), None)
            if drawn is not None:
                parts |= {"resamples": drawn.n_resamples, "seed": drawn.seed}
        parts["version"] = self.version
        return "|".join(f"{name}:{value}" for name, value in parts.items())

    def to_dict(self) -> dict[str, Any]:
        """Give the result as dicts and lists of what JSON has, strictly.

        nan and infinities are null, and `not_finite` lists where, as
        `{"at": ["metrics", "mse"], "value": "nan"}`. Labels that are no integers, bools or
        strings are written as `repr` gives them.
        """
        return to_plain(self) | {"signature": self.signature}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "EvaluationResult":
        """Make the result again from `to_dict`, or from its JSON.

        Raises:
            ValueError: no dict, or one of another format or without some of it.
        """
        return from_plain(cls, ClassResult, SliceResult, data)

    def __str__(self) -> str:
        return text_table(self)

    def _repr_html_(self) -> str:
        """A table for notebooks, without scripts or outside resources."""
        return html_page(self)
