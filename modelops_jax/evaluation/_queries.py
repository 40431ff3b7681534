"""Rows that are ranked by query: relevance, scores, and the query of each row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

import modelops_jax.metrics as numeric

from ._computed import Confidence
from ._evidence import Pair
from ._front_rows import fill_absent, only_these
from ._labels import encode_labels
from ._numbers import as_values
from ._sharded import ids_in_order, on_devices, put_as
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

    relevance: np.ndarray | jax.Array
    scores: np.ndarray | jax.Array
    queries: np.ndarray | jax.Array

    @property
    def y_true(self) -> np.ndarray | jax.Array:
        return self.relevance

    @property
    def y_pred(self) -> np.ndarray | jax.Array:
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
        return {"queries": self._number_of()}

    def rule(self) -> str:
        """What becomes of queries that have no value."""
        every = self._number_of()
        without = every - self._number_of(self.relevance > 0)
        left = "are left out" if without < every else "there is no other, so the value is nan"
        return f"{without:,} of {every:,} queries have no relevant row and {left}"

    def _number_of(self, rows: Any = None) -> int:
        """How many queries there are; of some of the rows, boolean."""
        if isinstance(self.queries, np.ndarray):
            return np.unique(self.queries if rows is None else self.queries[rows]).size
        queries = self.queries
        if rows is not None:
            own = only_these(rows, self.weight)
            with jax.enable_x64(True):
                if not (own != 0).any():
                    return 0
            queries = fill_absent(own, queries)
        return ids_in_order(queries)[1]


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
    there = on_devices(y_true, scores) and y_true.ndim == scores.ndim == 1
    relevance, scores = (
        column if there else as_values(column, name)
        for column, name in ((y_true, "y_true"), (scores, "y_pred"))
    )
    check_same_length(relevance, scores, ("y_true", "y_pred"))
    if queries is None or (len(scores) and not isinstance(y_pred, ByQuery)):
        raise ValueError(
            "groups is missing: metrics of rankings need the id of each row's query "
            "(ModelEvaluator.evaluate, compare and EvaluationStream.update take groups)"
        )
    if there:
        # What is not finite, or negative, the metrics refuse.
        return QueryPair(relevance, scores, _codes_there(queries, y_true))
    codes = encode_labels({"groups": queries}).codes["groups"]
    check_same_length(relevance, codes, ("y_true", "groups"))
    if (relevance < 0).any():
        index = int(np.argmax(relevance < 0))
        raise ValueError(
            f"y_true has {relevance[index]} at index {index}; expected relevance of at least 0"
        )
    return QueryPair(relevance, scores, codes)


def _codes_there(queries: Any, beside: jax.Array) -> jax.Array:
    """The number of each row's query, beside other columns on devices."""
    if on_devices(queries):
        return ids_in_order(queries)[0]
    codes = encode_labels({"groups": queries}).codes["groups"]
    check_same_length(beside, codes, ("y_true", "groups"))
    return put_as(codes, numeric.row_layout(beside))
