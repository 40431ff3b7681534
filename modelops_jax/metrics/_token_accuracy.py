"""Token accuracy: sequences of token ids, shape (n, length)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from ._call import call
from ._counts import are_equal, as_codes
from ._ignored import is_ignored
from ._metric import Metric
from ._row_functions import both_values
from ._rowwise import Prepared, blocks_of_rows, prepared
from ._statistic import WEIGHT_COMPLAINT, Matrices, Rows, Statistic, float_type
from ._text_finalizers import Rate
from ._totals import RowTotals
from ._types import Matrix, State, Value, Vector


@dataclass(frozen=True)
class TokenTotals(Matrices, RowTotals):
    """How many tokens count, and how many of them are predicted right."""

    ignore_index: int | None = None

    labels = ("y_true", "y_pred")

    @classmethod
    def family(cls) -> type[Statistic]:
        return cls

    def complaints(self) -> dict[str, str]:
        return {"weight": WEIGHT_COMPLAINT}

    def prepare(self, rows: Rows) -> Prepared:
        true, pred = as_codes(rows.y_true, "y_true"), as_codes(rows.y_pred, "y_pred")
        counted = jnp.ones_like(true, dtype=bool)
        if self.ignore_index is not None:
            counted = ~is_ignored(true, self.ignore_index)
        right = counted & are_equal(true, pred)
        dtype = float_type(rows.weight)
        tokens, hits = (
            jnp.sum(flags, axis=1, dtype=jnp.int32).astype(dtype) for flags in (counted, right)
        )
        none = jnp.zeros_like(tokens, dtype=bool)
        return prepared(rows, tokens, hits, none, none)

    @classmethod
    def of_rows_together(cls, statistics: Sequence[Any], rows: Rows) -> list[State]:
        # What is counted depends on the statistic.
        return [blocks_of_rows([statistic], rows)[0] for statistic in statistics]


def token_accuracy_score_metric(*, ignore_index: int | None = None) -> Metric:
    """The metric of `token_accuracy_score`."""
    return Metric(
        "token_accuracy_score", (TokenTotals(both_values, ignore_index=ignore_index),), Rate()
    )


def token_accuracy_score(
    y_true: Matrix,
    y_pred: Matrix,
    *,
    weight: Vector | None = None,
    ignore_index: int | None = None,
    axis_name: str | None = None,
) -> Value:
    """Token accuracy: the share of tokens of all sequences that are predicted right.

    A ratio of sums, so a long sequence weighs more than a short one. A row is a sequence: its
    tokens depend on each other, and intervals resample whole rows. (Of tokens that are rows of
    their own, shape (n,), `accuracy_score` with `ignore_index` is the share.)

    Args:
        y_true: ids of the right tokens, shape (n, length).
        y_pred: ids of the predicted ones, of the same shape and in the same places: what a model
            predicts for the next token has been moved by one already.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        ignore_index: an id in y_true, -100 say, whose places do not count: prompts and padding.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1]; best 1. nan if no token counts.

    Raises:
        ValueError: shapes that differ or are not two axes, concrete weights that are negative or
            not finite.
        TypeError: ids that are not integers.

    Example:
        >>> from modelops_jax.metrics import token_accuracy_score
        >>> true = [[5, 7, 9, -100], [3, -100, -100, -100]]
        >>> pred = [[5, 7, 8, 1], [3, 4, 4, 4]]
        >>> float(token_accuracy_score(true, pred, ignore_index=-100))
        0.75

    Source: the definition of accuracy.
    """
    metric = token_accuracy_score_metric(ignore_index=ignore_index)
    return call(metric, y_true, y_pred, weight, axis_name)
