"""The rows of ranked groups: the rows of a group may come in any order and in any batch."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ._exact import ExactCount, count_true
from ._kept_rows import KeptRows
from ._row_functions import Domain
from ._statistic import Rows
from ._values import ValueRows, Values


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GroupedValues(Values):
    """Rows of numbers, and the group of each."""

    group: Any


@dataclass(frozen=True)
class GroupRows(KeptRows):
    """Every row's relevance, score, weight and group."""

    reads_groups: ClassVar[bool] = True

    def identity(self, *, weighted: bool = False, dtype: Any = jnp.float32) -> GroupedValues:
        none = ValueRows().identity(weighted=weighted, dtype=dtype)
        return _grouped(none, jnp.zeros((0,), jnp.int32), none.invalid)

    def complaints(self) -> dict[str, str]:
        return Domain(true="non-negative").complaints()

    def of_rows(self, rows: Rows) -> GroupedValues:
        if rows.group is None:
            raise ValueError("groups is missing: this metric needs the id of each row's group")
        values = ValueRows().of_rows(rows)
        xp = np if isinstance(values.true, np.ndarray) else jnp
        # What is not finite has been counted already, and is 0 here.
        negative = count_true(xp, values.true, values.true < 0, None, None)
        return _grouped(values, rows.group, values.invalid + negative)


def _grouped(values: Values, group: Any, invalid: ExactCount) -> GroupedValues:
    return GroupedValues(values.true, values.pred, values.weight, invalid, group)
