"""Metrics of texts: exact match and length ratio."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

import modelops_jax.metrics as numeric

from ._builtin import Computed, Evidence, OnePassMetric, Pair, Reader
from ._errors import UndefinedMetricWarning
from ._texts import Texts, read_texts


@dataclass(frozen=True)
class MatchPair(Pair):
    """For each row whether prediction and reference are the same text."""

    matches: np.ndarray

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

    @property
    def y_true(self) -> np.ndarray:
        return self.references

    @property
    def y_pred(self) -> np.ndarray:
        return self.predictions


def _matches(texts: Texts) -> MatchPair:
    return MatchPair(texts.matches())


def _lengths(texts: Texts) -> LengthPair:
    predictions, references = texts.lengths()
    return LengthPair(references, predictions)


def _read_matches(y_true: Any, y_pred: Any) -> MatchPair:
    return _matches(read_texts(y_pred, y_true, ("y_pred", "y_true")))


def _read_lengths(y_true: Any, y_pred: Any) -> LengthPair:
    return _lengths(read_texts(y_pred, y_true, ("y_pred", "y_true")))


class ExactMatch(OnePassMetric):
    """`exact_match_metric` with the arguments of the numeric metrics, (y_true, y_pred)."""

    value_of_no_rows = 0.0

    @property
    def name(self) -> str:
        return "exact_match"

    @property
    def reader(self) -> Reader:
        return _read_matches

    def bind(self, pair: Evidence) -> numeric.Metric:
        # The rows that match are counted in two cells, whose resampling gives the interval.
        return numeric.metric("accuracy_score")


class LengthRatio(OnePassMetric):
    """`length_ratio_metric` with the arguments of the numeric metrics, (y_true, y_pred)."""

    value_of_no_rows = 0.0
    higher_is_better = None

    @property
    def name(self) -> str:
        return "length_ratio"

    @property
    def reader(self) -> Reader:
        return _read_lengths

    def bind(self, pair: Evidence) -> numeric.Metric:
        return numeric.metric("length_ratio")


def exact_match_metric(predictions: Iterable[Any], references: Iterable[Any]) -> float:
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
    texts = read_texts(predictions, references, ("predictions", "references"))
    return _compute(ExactMatch(), _matches(texts))


def length_ratio_metric(predictions: Iterable[Any], references: Iterable[Any]) -> float:
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
    texts = read_texts(predictions, references, ("predictions", "references"))
    return _compute(LengthRatio(), _lengths(texts))


def _compute(metric: OnePassMetric, pair: Pair) -> float:
    outcome = pair.compute({metric.name: metric}, None)[metric.name]
    assert isinstance(outcome, Computed)
    if outcome.rule is not None:
        # From here through the public function to its caller.
        warnings.warn(outcome.rule, UndefinedMetricWarning, stacklevel=3)
    return outcome.value
