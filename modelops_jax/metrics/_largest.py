"""The largest of a number computed from each row."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ._exact import ExactCount, count_true
from ._row_functions import Domain, RowFunction
from ._rowwise import Prepared, prepared_values
from ._statistic import Rows, Statistic


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Largest:
    """What a maximum needs."""

    rows: ExactCount  # rows of positive weight
    largest: Any  # -inf of no rows
    invalid: ExactCount


@dataclass(frozen=True)
class RowMax(Statistic):
    """The largest `row(y_true, y_pred)` of the rows of positive weight."""

    row: RowFunction

    def identity(self, *, weighted: bool = False, dtype: Any = jnp.float32) -> Largest:
        return Largest(ExactCount.zeros(()), jnp.full((), -jnp.inf, dtype), ExactCount.zeros((3,)))

    def complaints(self) -> dict[str, str]:
        return Domain().complaints()

    def prepare(self, rows: Rows) -> Prepared:
        """The rows as `row` takes them."""
        return prepared_values(rows, Domain())

    def of_rows(self, rows: Rows) -> Largest:
        part = self.prepare(rows)
        values = part.values(self.row)
        keep = jnp.broadcast_to(part.keep.reshape(-1, *[1] * (values.ndim - 1)), values.shape)
        values = jnp.where(keep, values, jnp.full_like(values, -jnp.inf))
        counts = count_true(jnp, part.keep, part.keep, *part.bad)
        return Largest(
            jax.tree.map(lambda limb: limb[0], counts),
            jnp.max(values, axis=0, initial=-jnp.inf),
            jax.tree.map(lambda limb: limb[1:], counts),
        )

    def merge(self, left: Largest, right: Largest) -> Largest:
        return Largest(
            left.rows + right.rows,
            jnp.maximum(left.largest, right.largest),
            left.invalid + right.invalid,
        )
