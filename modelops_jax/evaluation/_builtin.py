"""What the built-in metrics share: rows are read once, and counted in one pass for all of them.

A built-in metric says how it reads its two arguments (its reader) and which metric of
`modelops_jax.metrics` it is on what was read. Metrics of one reader are computed together.
"""

import abc
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import modelops_jax.metrics as numeric

from ._computed import Computed, Confidence
from ._errors import UndefinedMetricWarning
from ._evidence import Evidence, Pair

# Reads (y_true, y_pred); hashable, and equal for metrics that can share what was read.
Reader = Callable[[Any, Any], Pair]


class BuiltIn(abc.ABC):
    """A metric of this package; its subclasses are what users construct."""

    value_of_no_rows: ClassVar[float] = math.nan
    higher_is_better: bool | None = True

    @property
    def by_class(self) -> bool:
        """Whether it has a value for each class, and none of all rows."""
        return False

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The key of the value in a result."""

    @property
    @abc.abstractmethod
    def reader(self) -> Reader:
        """How the arguments are read."""

    def of_no_rows(self) -> float:
        """Give the value of no rows."""
        return self.value_of_no_rows

    def rule(self, pair: Any) -> str:
        """Say which rule gives the value on rows, at least one, on which it is undefined."""
        raise AssertionError(f"{self.name} is defined on all rows")

    def facts(self, pair: Any) -> Mapping[str, Any]:
        """Give what the metric decided from the rows."""
        return {}

    def compute(self, y_true: Any, y_pred: Any) -> float:
        """Compute the metric.

        Args:
            y_true: what is right, one entry per row.
            y_pred: what was predicted, of the same length.

        Returns:
            The value, a Python float. float64 and integer input is computed in float64.

        Raises:
            TypeError: entries of the wrong kind, naming the argument and the index.
            ValueError: two lengths, more than one axis, or entries that no definition covers.

        Warns:
            UndefinedMetricWarning: the metric has no definition on these rows; the message says
                which rule gave the value.
        """
        (outcome,) = compute_together({self.name: self}, y_true, y_pred).values()
        if isinstance(outcome, Exception):
            raise outcome
        if outcome.by_class is not None:
            raise ValueError(
                f"{self.name} has a value for each class; `ModelEvaluator.evaluate` gives them"
            )
        if outcome.rule is not None:
            warnings.warn(outcome.rule, UndefinedMetricWarning, stacklevel=2)
        return outcome.value

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class OnePassMetric(BuiltIn):
    """A built-in metric that is one metric of `modelops_jax.metrics` on the rows of its pair."""

    @abc.abstractmethod
    def bind(self, pair: Any) -> numeric.Metric:
        """Give the numeric metric that this is on these rows.

        Raises:
            ValueError: the metric's configuration does not fit the rows.
        """

    def marked(self, pair: Any) -> numeric.Metric:
        """Of a metric by class what `bind` gives, with nan for the classes that are undefined."""
        raise AssertionError(f"{self.name} has one value")


def compute_together(
    metrics: Mapping[str, BuiltIn],
    y_true: Any,
    y_pred: Any,
    confidence: Confidence | None = None,
) -> dict[str, Computed | Exception]:
    """Compute built-in metrics, reading the arguments once per reader.

    Returns:
        For each metric its value, or the mistake of the caller that kept it from one.
    """
    outcomes: dict[str, Computed | Exception] = {}
    for read, members in by_reader(metrics).items():
        found = compute_members(lambda read=read: read(y_true, y_pred), members, confidence)
        outcomes.update(found)
    return {name: outcomes[name] for name in metrics}


def is_by_class(metric: Any) -> bool:
    """Whether a metric, built in or a caller's own, has a value for each class."""
    return isinstance(metric, BuiltIn) and metric.by_class


def by_reader(metrics: Mapping[str, BuiltIn]) -> dict[Reader, dict[str, BuiltIn]]:
    """The metrics that can share what was read."""
    readers: dict[Reader, dict[str, BuiltIn]] = {}
    for name, metric in metrics.items():
        readers.setdefault(metric.reader, {})[name] = metric
    return readers


def compute_members(
    evidence: Callable[[], Evidence],
    members: Mapping[str, BuiltIn],
    confidence: Confidence | None,
) -> dict[str, Computed | Exception]:
    """Compute the metrics of one reader from what it reads, or give its complaint for each."""
    try:
        return evidence().compute(members, confidence)
    except (TypeError, ValueError) as error:
        return dict.fromkeys(members, error)
