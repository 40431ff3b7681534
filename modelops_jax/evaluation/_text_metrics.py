"""Metrics of texts: exact match and length ratio."""

import operator
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import modelops_jax.metrics as numeric

from ._builtin import Computed, OnePassMetric, Pair, Reader
from ._errors import UndefinedMetricWarning
from ._texts import read_texts


@dataclass(frozen=True)
class MatchPair(Pair):
    """For each row whether prediction and reference are the same text."""

    matches: np.ndarray

    @classmethod
    def of(cls, predictions: Sequence[str], references: Sequence[str]) -> "MatchPair":
        """Compare texts of one number, without their surrounding white space."""
        stripped = map(str.strip, predictions), map(str.strip, references)
        return cls(np.fromiter(map(operator.eq, *stripped), np.bool_, len(references)))

    @property
    def y_true(self) -> np.ndarray:
        return np.ones_like(self.matches)

    @property
    def y_pred(self) -> np.ndarray:
        return self.matches


@dataclass(frozen=True)
class LengthPair(Pair):
    """The number of characters of every reference and prediction."""

    references: np.ndarray
    predictions: np.ndarray

    @classmethod
    def of(cls, predictions: Sequence[str], references: Sequence[str]) -> "LengthPair":
        """Measure texts of one number."""
        rows = len(references)
        return cls(
            np.fromiter(map(len, references), np.int32, rows),
            np.fromiter(map(len, predictions), np.int32, rows),
        )

    @property
    def y_true(self) -> np.ndarray:
        return self.references

    @property
    def y_pred(self) -> np.ndarray:
        return self.predictions


def _read_matches(y_true: Any, y_pred: Any) -> MatchPair:
    return MatchPair.of(*read_texts(y_pred, y_true, ("y_pred", "y_true")))


def _read_lengths(y_true: Any, y_pred: Any) -> LengthPair:
    return LengthPair.of(*read_texts(y_pred, y_true, ("y_pred", "y_true")))


class ExactMatch(OnePassMetric):
    """`exact_match_metric` with the arguments of the numeric metrics, (y_true, y_pred)."""

    value_of_no_rows = 0.0

    @property
    def name(self) -> str:
        return "exact_match"

    @property
    def reader(self) -> Reader:
        return _read_matches

    def bind(self, pair: MatchPair) -> numeric.Metric:
        # The rows that match are counted in two cells, whose resampling gives the interval.
        return numeric.metric("accuracy_score")


class LengthRatio(OnePassMetric):
    """`length_ratio_metric` with the arguments of the numeric metrics, (y_true, y_pred)."""

    value_of_no_rows = 0.0

    @property
    def name(self) -> str:
        return "length_ratio"

    @property
    def reader(self) -> Reader:
        return _read_lengths

    def bind(self, pair: LengthPair) -> numeric.Metric:
        return numeric.metric("length_ratio")


def exact_match_metric(predictions: Iterable[str], references: Iterable[str]) -> float:
    """Share of predictions that equal their reference, surrounding white space left aside.

    Args:
        predictions: generated texts: a list, tuple or NumPy array of strings.
        references: the right texts, of the same length.

    Returns:
        A float in [0, 1]; best 1.

    Raises:
        TypeError: one string instead of a list of them, or an entry that is no string, naming
            its index.
        ValueError: two lengths.

    Warns:
        UndefinedMetricWarning: there are no rows, and the value is 0.0.

    Example:
        >>> from modelops_jax.evaluation import exact_match_metric
        >>> exact_match_metric(["4", " Paris\\n", "5"], ["4", "Paris", "6"])
        0.6666666666666666
    """
    return _share(ExactMatch(), MatchPair.of(*read_texts(predictions, references)))


def length_ratio_metric(predictions: Iterable[str], references: Iterable[str]) -> float:
    """Mean over examples of len(prediction) / len(reference), in characters.

    An empty reference counts 1.0 if its prediction is empty too and 0.0 if not.

    Args:
        predictions: generated texts: a list, tuple or NumPy array of strings.
        references: the right texts, of the same length.

    Returns:
        A float in [0, inf); 1 means as long as the references.

    Raises:
        TypeError: one string instead of a list of them, or an entry that is no string, naming
            its index.
        ValueError: two lengths.

    Warns:
        UndefinedMetricWarning: there are no rows, and the value is 0.0.

    Example:
        >>> from modelops_jax.evaluation import length_ratio_metric
        >>> length_ratio_metric(["ab", "abcd", ""], ["abcd", "abcd", ""])
        0.8333333333333334
    """
    return _share(LengthRatio(), LengthPair.of(*read_texts(predictions, references)))


def _share(metric: OnePassMetric, pair: Pair) -> float:
    outcome = pair.compute({metric.name: metric}, None)[metric.name]
    assert isinstance(outcome, Computed)
    if outcome.rule is not None:
        # From here through the public function to its caller.
        warnings.warn(outcome.rule, UndefinedMetricWarning, stacklevel=3)
    return outcome.value
