"""What is kept of the rows of several models, for each way of reading them.

Each kind has a state of no rows, the state of a batch, and a merge that cannot fail after `check`.
"""

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import modelops_jax.metrics as numeric

from ._builtin import OnePassMetric, Reader
from ._compared import Models, Question, by_difference
from ._comparison import MetricComparison, PairComparison
from ._evidence import Evidence

Compared = tuple[dict[str, MetricComparison], dict[str, str]]


class Joint(abc.ABC):
    """What is kept of the rows of all models for some metrics of one reader."""

    def __init__(
        self, read: Reader, members: Mapping[str, OnePassMetric], models: Sequence[str]
    ) -> None:
        self.read, self.members, self.models = read, dict(members), tuple(models)

    @property
    def resampled(self) -> tuple[str, ...]:
        """The metrics whose resamples are drawn as rows come in."""
        return ()

    @property
    def unmerged(self) -> tuple[str, ...]:
        """The metrics that sum or draw as rows come in, so that two streams are not merged."""
        return ()

    @abc.abstractmethod
    def of_rows(
        self, y_true: Any, seconds: Mapping[str, Any], weight: np.ndarray | None, groups: Any
    ) -> Any:
        """The state, of the class of this one, of one batch.

        Args:
            y_true: the first argument.
            seconds: by model the second one.
            weight: of each row, positive; None: rows of this stream have none.
            groups: the id of each row; None: rows of this stream have none.

        Raises:
            TypeError: entries of the wrong kind, or ids of another kind than those before.
            ValueError: rows that no definition covers.
        """

    @abc.abstractmethod
    def check(self, other: Any) -> None:
        """Refuse a state that cannot be merged into this one (TypeError or ValueError)."""

    @abc.abstractmethod
    def merge(self, other: Any) -> None:
        """Add the rows of the state of a batch, or of a stream where nothing is `unmerged`."""

    @abc.abstractmethod
    def saved(self) -> tuple[Any, dict[str, np.ndarray]]:
        """The state as JSON and arrays; TypeError for labels or ids that have no such form."""

    @abc.abstractmethod
    def restore(self, facts: Any, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `saved` gave, in a state of no rows."""

    @abc.abstractmethod
    def evidence(self, model: str) -> Evidence:
        """What an evaluation of one model would have."""

    @abc.abstractmethod
    def compare(self, question: Question) -> Compared:
        """The models by each metric that can be compared, and why the others cannot."""


class Tests:
    """The test of two models by a metric: McNemar's of accuracies, else swaps.

    Args:
        bound: the metrics.
        drawn: by metric and models the difference.
        only: by two models how many rows only the first has right; None: rows are not alike.
        models: all models.
    """

    def __init__(
        self,
        bound: Mapping[str, numeric.Metric],
        drawn: Mapping[str, Mapping[Models, numeric.Difference]],
        only: np.ndarray | None,
        models: Sequence[str],
    ) -> None:
        self._bound, self._drawn, self._only, self._models = bound, drawn, only, models

    def __call__(self, name: str, pair: Models) -> PairComparison:
        only = None
        if self._bound[name].name == "accuracy_score" and self._only is not None:
            one, other = (self._models.index(model) for model in pair)
            only = int(self._only[one, other]), int(self._only[other, one])
        return by_difference(pair, self._drawn[name][pair], only)
