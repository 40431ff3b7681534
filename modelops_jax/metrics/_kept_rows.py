"""Statistics whose state is the rows themselves: it grows with them, and merging concatenates."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from ._statistic import Statistic


class KeptRows(Statistic):
    """A statistic that keeps every row.

    Its states are dataclasses of columns, one of them `weight` (boolean for rows that count or
    not, a float for weighted rows), and of the count `invalid`.
    """

    keeps_rows: ClassVar[bool] = True

    def merge(self, left: Any, right: Any) -> Any:
        if (left.weight.dtype == jnp.bool_) != (right.weight.dtype == jnp.bool_):
            raise TypeError(
                "a weighted and an unweighted state cannot be merged: make the identity with "
                "weighted=True where the rows carry float weights"
            )

        def join(first: Any, second: Any) -> jax.Array:
            dtype = max(first.dtype, second.dtype, key=lambda dtype: dtype.itemsize)
            return jnp.concatenate([first.astype(dtype), second.astype(dtype)])

        joined = {name: join(getattr(left, name), getattr(right, name)) for name in _columns(left)}
        return dataclasses.replace(left, **joined, invalid=left.invalid + right.invalid)

    def fold(self, states: Any) -> Any:
        # Merging one by one would change shapes at each step.
        columns = {name: getattr(states, name) for name in _columns(states)}
        flat = {name: c.reshape(-1, *c.shape[2:]) for name, c in columns.items()}
        return dataclasses.replace(states, **flat, invalid=states.invalid.total())


def _columns(state: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(state) if field.name != "invalid"]
