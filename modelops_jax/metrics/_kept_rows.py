"""Statistics whose state is the rows themselves: it grows with them, and merging concatenates."""

import contextlib
import dataclasses
import functools
import operator
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ._sharded import joined_rows
from ._statistic import Statistic
from ._types import DType


class KeptRows(Statistic):
    """A statistic that keeps every row.

    Its states are dataclasses of columns, one of them `weight` (boolean for rows that count or
    not, a float for weighted rows), and of the count `invalid`.
    """

    keeps_rows: ClassVar[bool] = True

    def merge(self, left: Any, right: Any) -> Any:
        return self.join([left, right])

    def join(self, states: Sequence[Any]) -> Any:
        """The state of the rows of all, at least one: in NumPy where all of them are."""
        leaves = jax.tree.leaves(list(states))
        xp = np if all(isinstance(leaf, np.ndarray) for leaf in leaves) else jnp
        if len({state.weight.dtype == jnp.bool_ for state in states}) > 1:
            raise TypeError(
                "a weighted and an unweighted state cannot be merged: make the identity with "
                "weighted=True where the rows carry float weights"
            )

        def joined(name: str) -> Any:
            columns = [getattr(state, name) for state in states]
            dtype = _widest([column.dtype for column in columns])
            columns = [column.astype(dtype) for column in columns]
            on_devices = joined_rows(columns)
            return xp.concatenate(columns) if on_devices is None else on_devices

        invalid = functools.reduce(operator.add, (state.invalid for state in states))
        # Columns of 64 bits on devices would be cut to 32.
        with contextlib.nullcontext() if xp is np else jax.enable_x64(True):
            columns = {name: joined(name) for name in _columns(states[0])}
        return dataclasses.replace(states[0], **columns, invalid=invalid)

    def fold(self, states: Any) -> Any:
        # Merging one by one would change shapes at each step.
        columns = {name: getattr(states, name) for name in _columns(states)}
        flat = {name: c.reshape(-1, *c.shape[2:]) for name, c in columns.items()}
        return dataclasses.replace(states, **flat, invalid=states.invalid.total())


def _widest(dtypes: Sequence[DType]) -> DType:
    """A type that holds the values of all: of two kinds of 16-bit floats neither does."""
    if len(set(dtypes)) == 1:
        return dtypes[0]
    return max([jnp.dtype(jnp.float32), *dtypes], key=lambda dtype: dtype.itemsize)


def _columns(state: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(state) if field.name != "invalid"]
