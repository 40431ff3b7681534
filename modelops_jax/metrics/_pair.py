"""Compensated sums: a value carried as the unevaluated sum of two floats.

A running float32 sum of ones stops at 2**24; the pair carries the rounding error of every
addition beside it, so a sum over rows, batches or shards keeps about twice the digits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from modelops_jax._two_sum import two_sum

# Rows summed plainly: few enough for their rounding errors and for exact counts in float32.
_RUN = 2048
# The same where the columns lie beside each other, and each is summed one row after the other.
_SHORT_RUN = 256


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Pair:
    """A float value `high + low`, where `low` is the rounding error left out of `high`."""

    high: Any
    low: Any

    @classmethod
    def of(cls, value: Any) -> "Pair":
        """A plain float as a pair."""
        return cls(value, jnp.zeros_like(value))

    @classmethod
    def zeros(cls, shape: tuple[int, ...], dtype: Any) -> "Pair":
        """The identity of `+`."""
        return cls.of(jnp.zeros(shape, dtype))

    def __add__(self, other: Any) -> "Pair":
        """Add a pair or a plain float, keeping the rounding error."""
        high, low = (other.high, other.low) if isinstance(other, Pair) else (other, None)
        total, error = two_sum(self.high, high)
        return Pair(total, self.low + error if low is None else self.low + low + error)

    def __getitem__(self, index: Any) -> "Pair":
        """Some of the values."""
        return Pair(self.high[index], self.low[index])

    def reshape(self, shape: tuple[int, ...]) -> "Pair":
        """The values in another shape."""
        return Pair(self.high.reshape(shape), self.low.reshape(shape))

    def value(self) -> Any:
        """The value in one float: float64 for concrete NumPy parts, the parts' dtype otherwise."""
        if isinstance(self.high, np.ndarray | np.generic):
            high, low = np.float64(self.high), np.float64(self.low)
            finite = np.isfinite(high)
            if finite.all():
                return high + low
            # Past the largest float the error term is nan; the sum itself is infinite.
            with np.errstate(invalid="ignore"):
                return np.where(finite, high + low, high)
        return jnp.where(jnp.isfinite(self.high), self.high + self.low, self.high)


def sum_columns(columns: Sequence[jax.Array], run: int = _RUN) -> tuple[jax.Array, Pair]:
    """Sum columns over their rows, with an error that hardly grows with the number of rows.

    Short runs are summed plainly, which XLA vectorises and fuses with what computes the column;
    the sums of the runs are added up with their rounding errors.

    Args:
        columns: booleans or small integers to count, then floats of one type, each of shape (n,)
            with n < 2**31.
        run: rows that are summed plainly; the counts of so many must stay below 2**24.

    Returns:
        The counts, int32 of shape (integers,), and the sums, of shape (floats,).
    """
    floats = [column for column in columns if jnp.issubdtype(column.dtype, jnp.floating)]
    flags = columns[: len(columns) - len(floats)]
    none = jnp.zeros_like(columns[0], shape=(0,))
    # A run's count is exact in float32, whose sums XLA vectorises on a CPU; integers' it does not.
    counted = [_run_sums(flag.astype(jnp.float32), run) for flag in flags]
    counts = none.astype(jnp.int32)
    if flags:
        counts = jnp.sum(jnp.stack(counted).astype(jnp.int32), axis=1, dtype=jnp.int32)
    if not floats:
        return counts, Pair.of(none.astype(jnp.float32))
    return counts, _total(jnp.stack([_run_sums(column, run) for column in floats]))


def sum_rows(table: jax.Array) -> Pair:
    """Sum a table of floats over its rows, shape (n, k) to (k,), as `sum_columns` does."""
    runs = max(1, -(-table.shape[0] // _SHORT_RUN))
    table = jnp.pad(table, ((0, runs * _SHORT_RUN - table.shape[0]), (0, 0)))
    return _total(table.reshape(runs, _SHORT_RUN, table.shape[1]).sum(axis=1).T)


def _total(sums: jax.Array) -> Pair:
    """Add up sums of runs, shape (k, runs) to (k,), with their rounding errors."""
    width = 1 << (sums.shape[1] - 1).bit_length()
    total = Pair.of(jnp.pad(sums, ((0, 0), (0, width - sums.shape[1]))))
    while width > 1:
        width //= 2
        total = total[:, :width] + total[:, width:]
    return total[:, 0]


def _run_sums(column: jax.Array, length: int) -> jax.Array:
    """Sums of runs of so many rows, shape (runs,)."""
    runs, left = divmod(column.shape[0], length)
    # Sliced rather than padded: a padded operand keeps XLA from vectorising the sum.
    whole = column[: runs * length].reshape(runs, length).sum(axis=1)
    rest = column[runs * length :].sum()[None]
    return jnp.concatenate([whole, rest]) if left and runs else whole if runs else rest
