"""Rows that are ranked by query: relevance, scores, and the query of each row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import modelops_jax.metrics as numeric

from ._computed import Confidence
from ._evidence import Pair
from ._labels import encode_labels
from ._numbers import as_values
from ._slicing import SliceOutcome, Slicing
from ._vectors import check_same_length


@dataclass(frozen=True)
class ByQuery:
    """Scores, and of each the id of its query: what `read_queries` reads second."""

    scores: Any
    queries: Any


@dataclass(frozen=True)
class QueryPair(Pair):
    """Relevance and score of every row, and the number of its query."""

    relevance: np.ndarray
    scores: np.ndarray
    queries: np.ndarray

    @property
    def y_true(self) -> np.ndarray:
        return self.relevance

    @property
    def y_pred(self) -> np.ndarray:
        return self.scores

    def report(self, bound: Mapping[str, numeric.Metric]) -> numeric.Report:
        return numeric.compute(
            bound, self.relevance, self.scores, weight=self.weight, groups=self.queries
        )

    def intervals(
        self, bound: Mapping[str, numeric.Metric], confidence: Confidence | None
    ) -> dict[str, numeric.Interval]:
        if confidence is None or not bound:
            return {}
        return numeric.confidence_intervals(
            bound,
            self.relevance,
            self.scores,
            weight=self.weight,
            groups=self.queries,
            **confidence.options,
        )

    def slices(
        self, metrics: Mapping[str, Any], slicings: list[Slicing], confidence: Confidence | None
    ) -> list[list[dict[str, SliceOutcome]]]:
        return self.slices_one_by_one(metrics, slicings, confidence)

    def facts(self) -> dict[str, Any]:
        """What a result says of the rows."""
        return {"queries": np.unique(self.queries).size}

    def rule(self) -> str:
        """What becomes of queries that have no value."""
        every = np.unique(self.queries).size
        without = every - np.unique(self.queries[self.relevance > 0]).size
        left = "are left out" if without < every else "there is no other, so the value is nan"
        return f"{without:,} of {every:,} queries have no relevant row and {left}"


def read_queries(y_true: Any, y_pred: Any) -> QueryPair:
    """Read relevance and a `ByQuery`.

    Raises:
        TypeError: relevance or scores that are no numbers, or ids that are no labels.
        ValueError: two lengths, relevance that is negative or not finite, scores that are not
            finite, or rows without the ids of their queries.
    """
    scores, queries = y_pred, []
    if isinstance(y_pred, ByQuery):
        scores, queries = y_pred.scores, y_pred.queries
    relevance, scores = as_values(y_true, "y_true"), as_values(scores, "y_pred")
    check_same_length(relevance, scores, ("y_true", "y_pred"))
    if queries is None or (len(scores) and not isinstance(y_pred, ByQuery)):
        raise ValueError(
            "groups is missing: metrics of rankings need the id of each row's query "
            "(ModelEvaluator.evaluate, compare and EvaluationStream.update take groups)"
        )
    codes = encode_labels({"groups": queries}).codes["groups"]
    check_same_length(relevance, codes, ("y_true", "groups"))
    if (relevance < 0).any():
        index = int(np.argmax(relevance < 0))
        raise ValueError(
            f"y_true has {relevance[index]} at index {index}; expected relevance of at least 0"
        )
    return QueryPair(relevance, scores, codes)
