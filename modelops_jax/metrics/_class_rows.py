"""Weighted means of a number computed from a row's label and its scores of the classes.

y_pred holds a column per class, shape (n, k); of two classes it may hold the number of class 1
alone, shape (n,).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ._counts import as_codes
from ._ignored import without_ignored
from ._rowwise import Prepared, RowMean, blocks_of_rows, prepared
from ._statistic import Rows, Statistic, float_type
from ._types import State


@dataclass(frozen=True)
class ClassRowMean(RowMean):
    """The weighted mean of `row(label, class_scores)`; labels are int32 in 0 to k - 1.

    With `probabilities`, a row whose entries are not in [0, 1] or do not sum to 1 is invalid: by
    more than the square root of the precision in which they were given, as in scikit-learn.
    """

    labels = ("y_true",)

    probabilities: bool = True
    vectors: bool = True
    """Whether y_pred may be of shape (n,), too."""
    ignore_index: int | None = None
    """Rows with this true label are as good as absent."""

    @property
    def pred_axes(self) -> tuple[int, ...]:
        return (1, 2) if self.vectors else (2,)

    @classmethod
    def family(cls) -> type[Statistic]:
        return cls

    def complaints(self) -> dict[str, str]:
        wrong = "rows that are no probabilities (in 0 to 1, with a sum of 1)"
        return super().complaints() | {
            "y_true": "labels that are no column of y_pred (of one column: 0 or 1)",
            "y_pred": wrong if self.probabilities else "rows with scores that are not finite",
        }

    def refuse(self, y_true: Any, y_pred: Any) -> None:
        super().refuse(y_true, y_pred)
        refuse_few_classes(y_pred)
        if isinstance(self.row, AmongTop):
            self.row.refuse(y_pred)

    def prepare(self, rows: Rows) -> Prepared:
        rows = without_ignored(rows, self.ignore_index)
        labels, scores = as_codes(rows.y_true, "y_true"), rows.y_pred
        refuse_few_classes(scores)
        classes = 2 if scores.ndim == 1 else scores.shape[1]
        pred = scores.astype(float_type(rows.y_true, scores, rows.weight))
        fits = jnp.isfinite(pred)
        if self.probabilities:
            fits = fits & (pred >= 0) & (pred <= 1)
        if pred.ndim == 2:
            fits = jnp.all(fits, axis=1)
        if pred.ndim == 2 and self.probabilities:
            given = scores.dtype if jnp.issubdtype(scores.dtype, jnp.floating) else pred.dtype
            tolerance = float(jnp.finfo(given).eps) ** 0.5
            fits = fits & (jnp.abs(jnp.sum(pred, axis=1) - 1) <= tolerance)
        outside = (labels < 0) | (labels >= classes)
        return prepared(rows, labels.astype(jnp.int32), pred, outside, ~fits)

    @classmethod
    def of_rows_together(cls, statistics: Sequence[Any], rows: Rows) -> list[State]:
        # What is invalid depends on the statistic; what they have in common XLA finds itself.
        return [blocks_of_rows([statistic], rows)[0] for statistic in statistics]


def refuse_few_classes(scores: Any) -> None:
    """Refuse a table of fewer than two classes."""
    if scores.ndim == 2 and scores.shape[1] < 2:
        raise ValueError(
            f"y_pred must have a column per class, 2 or more; it has {scores.shape[1]}"
        )


def negative_log_probability(label: Any, probability: Any) -> Any:
    """`-log p` of the label's class; inf of a probability of 0."""
    if probability.ndim == 1:
        own = jnp.where(label == 1, probability, 1 - probability)
    else:
        own = _of_label(label, probability)
    return -jnp.log(own)


def cross_entropy(label: Any, logits: Any) -> Any:
    """`-log softmax(logits)` of the label's class; of one column, `-log sigmoid(+-logit)`."""
    if logits.ndim == 1:
        return jax.nn.softplus(jnp.where(label == 1, -logits, logits))
    top = lax.stop_gradient(jnp.max(logits, axis=1, keepdims=True))
    below = logits - top
    return jnp.log(jnp.sum(jnp.exp(below), axis=1)) - _of_label(label, below)


def squared_distance(label: Any, probability: Any) -> Any:
    """`sum over classes of (p - [is the label])^2`, halved of two classes."""
    if probability.ndim == 1:
        return jnp.square(probability - (label == 1).astype(probability.dtype))
    own = _is_label(label, probability).astype(probability.dtype)
    squares = jnp.sum(jnp.square(probability - own), axis=1)
    return squares / 2 if probability.shape[1] == 2 else squares


def squared_distance_of_logits(label: Any, logits: Any) -> Any:
    """`squared_distance` of the softmax of each row; of one column, of its sigmoid."""
    if logits.ndim == 1:
        return squared_distance(label, jax.nn.sigmoid(logits))
    return squared_distance(label, jax.nn.softmax(logits, axis=1))


@dataclass(frozen=True)
class AmongTop:
    """1 where the label's class is among the k highest scores, else 0.

    Of equal scores the later class is the higher one, as in scikit-learn.
    """

    k: int

    def refuse(self, scores: Any) -> None:
        """Refuse a k that makes every row right."""
        if self.k >= scores.shape[1]:
            raise ValueError(
                f"k must be less than the number of classes, or every row is right: k is "
                f"{self.k}, y_pred has {scores.shape[1]} columns"
            )

    def __call__(self, label: Any, scores: Any) -> Any:
        self.refuse(scores)
        own = jnp.broadcast_to(_of_label(label, scores)[:, None], scores.shape)
        later = lax.broadcasted_iota(jnp.int32, scores.shape, 1) > label[:, None]
        above = (scores > own) | ((scores == own) & later)
        return (jnp.sum(above.astype(scores.dtype), axis=1) < self.k).astype(scores.dtype)


def _is_label(label: Any, scores: Any) -> Any:
    return lax.broadcasted_iota(jnp.int32, scores.shape, 1) == label[:, None]


def _of_label(label: Any, scores: Any) -> Any:
    """The score of each row's label: a sum with zeros, which XLA vectorises, and not a gather."""
    return jnp.sum(jnp.where(_is_label(label, scores), scores, jnp.zeros_like(scores)), axis=1)
