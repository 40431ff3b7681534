"""Weighted sums of several numbers of each row, for metrics that are functions of such sums."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ._exact import ExactCount
from ._pair import Pair
from ._rowwise import RowStatistic


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Totals:
    """Sums over rows, on the last axis."""

    rows: ExactCount  # rows of positive weight
    weight: Pair
    totals: Pair  # shape (width,)
    invalid: ExactCount


@dataclass(frozen=True)
class RowTotals(RowStatistic):
    """The weighted sums of the `width` numbers that `row(y_true, y_pred)` gives, a tuple."""

    width: int = 2

    def identity(self, *, weighted: bool = False, dtype: Any = jnp.float32) -> Totals:
        return Totals(
            ExactCount.zeros(()),
            Pair.zeros((), dtype),
            Pair.zeros((self.width,), dtype),
            ExactCount.zeros((3,)),
        )

    def columns(self, values: Any, centre: Any) -> tuple[Any, ...]:
        return values

    def state(self, rows: Any, weight: Any, sums: Sequence[Pair], centre: Any, invalid: Any) -> Any:
        totals = jax.tree.map(lambda *parts: jnp.stack(parts, axis=-1), *sums)
        return Totals(rows, weight, totals, invalid)

    def merge(self, left: Totals, right: Totals) -> Totals:
        return Totals(
            left.rows + right.rows,
            left.weight + right.weight,
            left.totals + right.totals,
            left.invalid + right.invalid,
        )
