"""Rows that have any number of labels each, read once for all metrics of them."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._class_intervals import ClassRatio, class_ratios
from ._class_scores import IGNORED
from ._computed import Confidence
from ._evidence import Pair
from ._indicators import as_indicators
from ._numbers import as_matrix, as_numbers, refuse_not_finite
from ._per_class import LARGEST_TABLE
from ._result import ClassResult
from ._sharded import as_indicators_there, sets_there


@dataclass(frozen=True)
class LabelSetPair(Pair):
    """Two matrices of shape (rows, labels).

    Args:
        true: which labels each row has: bool, or int8 with -1 for what is ignored.
        other: which it is predicted to have, or the score of each.
        scored: whether `other` holds scores.
    """

    true: np.ndarray | jax.Array
    other: np.ndarray | jax.Array
    scored: bool = False

    @property
    def y_true(self) -> np.ndarray | jax.Array:
        return self.true

    @property
    def y_pred(self) -> np.ndarray | jax.Array:
        return self.other

    @property
    def num_labels(self) -> int:
        """How many labels a row may have."""
        return self.true.shape[1]

    def of_labels(self, labels: int | None) -> "LabelSetPair":
        """A pair of no rows, of so many labels; None: of some number of them."""
        none = np.zeros((0, labels or 1), bool)
        return dataclasses.replace(self, true=none, other=none.astype(self.other.dtype))

    @property
    def per_class(self) -> tuple[ClassResult, ...]:
        if self.scored:
            return ()
        weight = self.weight
        with jax.enable_x64(True):
            if weight is None or weight.dtype == bool:
                return of_each_label(self.cells)
            outcomes = self._outcomes()
            if isinstance(weight, jax.Array):
                # A product of explicit axes would want to be told where it is to lie.
                weighed = [(weight[:, None] * outcome).sum(axis=0) for outcome in outcomes]
            else:
                weighed = [weight @ outcome for outcome in outcomes]
            return of_each_label(self.cells, weighed)

    @property
    def num_listed(self) -> int:
        return 0 if self.scored or self.num_labels > LARGEST_TABLE else self.num_labels

    def class_ratios(
        self, metrics: Mapping[str, Any], confidence: Confidence
    ) -> Mapping[str, ClassRatio]:
        ignored = IGNORED if self.true.dtype == np.int8 else None
        return class_ratios(num_labels=self.num_labels, ignore_index=ignored)

    @cached_property
    def cells(self) -> np.ndarray:
        """Rows of each label by (is it true, is it predicted): 00 01 10 11, shape (4, labels)."""
        return np.stack([np.asarray(outcome.sum(axis=0)) for outcome in self._outcomes()])

    def _outcomes(self) -> list[Any]:
        true, seen = self.true == 1, self.true != IGNORED
        if isinstance(self.weight, jax.Array):
            seen = seen & (self.weight != 0)[:, None]
        outcomes = (~true & ~self.other, ~true & self.other, true & ~self.other, true & self.other)
        return [outcome & seen for outcome in outcomes]


@dataclass(frozen=True)
class LabelSetReader:
    """Reads two matrices of one shape, of 0 and 1; the second of scores if `scored`.

    Args:
        scored: whether the second is `y_score`.
        ignore_index: entries of y_true with this value are left out, and those of the second
            beside them; None: none is.
    """

    scored: bool = False
    ignore_index: int | None = None

    def __call__(self, y_true: Any, y_other: Any) -> LabelSetPair:
        """Read both.

        Raises:
            TypeError: no lists or arrays, or entries that are no numbers.
            ValueError: no two axes, two shapes, another entry than 0 and 1, or a score that is
                not finite.
        """
        name = "y_score" if self.scored else "y_pred"
        if sets_there(y_true, y_other, scored=self.scored):
            true, ignored = as_indicators_there(y_true, "y_true", self.ignore_index)
            seen, other = None if ignored is None else ~ignored, y_other
            if not self.scored:  # what scores are not finite the metrics refuse
                other, _ = as_indicators_there(y_other, name, seen=seen)
            if ignored is not None:
                true = jnp.where(ignored, jnp.int8(IGNORED), true.astype(jnp.int8))
            return LabelSetPair(true, other, self.scored)
        true, ignored = as_indicators(y_true, "y_true", self.ignore_index)
        seen = None if ignored is None else ~ignored
        if self.scored:
            other = as_matrix(y_other, name, "labels", as_numbers)
        else:
            other, _ = as_indicators(y_other, name, seen=seen)
        if true.shape != other.shape:
            raise ValueError(
                f"y_true has shape {true.shape} and {name} has shape {other.shape}; expected one "
                "shape"
            )
        if len(true) and not true.shape[1]:
            raise ValueError(
                f"y_true and {name} have shape {true.shape}; expected at least one label"
            )
        if self.scored:
            asked = True if seen is None else seen.reshape(-1)
            refuse_not_finite(other.reshape(-1), f"{name} (flattened)", asked)
        if ignored is not None:
            true = np.where(ignored, np.int8(IGNORED), true.astype(np.int8))
        return LabelSetPair(true, other, self.scored)


def of_each_label(counts: Any, weighed: Any = None) -> tuple[ClassResult, ...]:
    """What there is to say about each label; nothing of more labels than are listed.

    Args:
        counts: rows of each label by (is it true, is it predicted), in the order 00 01 10 11.
        weighed: the weight of these rows; None: each counts once.
    """
    _, alarms, misses, hits = (np.asarray(outcome, np.float64) for outcome in counts)
    if not 0 < len(hits) <= LARGEST_TABLE:
        return ()
    rows, predicted = misses + hits, alarms + hits
    _, alarms, misses, hits = (
        np.asarray(c, np.float64) for c in (counts if weighed is None else weighed)
    )
    ratios = {
        name: above / np.where(below > 0, below, 1)
        for name, above, below in (
            ("precision", hits, alarms + hits),
            ("recall", hits, misses + hits),
            ("f1", 2 * hits, misses + alarms + 2 * hits),
        )
    }
    return tuple(
        ClassResult(
            label,
            int(rows[label]),
            int(predicted[label]),
            {name: float(values[label]) for name, values in ratios.items()},
        )
        for label in range(len(hits))
    )
