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
from jax import lax

# Rows summed plainly: few enough for their rounding errors and for exact counts in float32.
_RUN = 2048
# Runs' sums added side by side.
_LANES = 32


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

    def value(self) -> Any:
        """The value in one float: float64 for concrete NumPy parts, the parts' dtype otherwise."""
        if isinstance(self.high, np.ndarray | np.generic):
            with np.errstate(invalid="ignore"):
                total = np.float64(self.high) + np.float64(self.low)
            # Past the largest float the error term is nan; the sum itself is infinite.
            return np.where(np.isfinite(self.high), total, np.float64(self.high))
        return jnp.where(jnp.isfinite(self.high), self.high + self.low, self.high)


def two_sum(left: Any, right: Any) -> tuple[Any, Any]:
    """The rounded sum of two floats and its exact rounding error (Knuth)."""
    total = left + right
    part = total - left
    return total, (left - (total - part)) + (right - part)


def sum_columns(columns: Sequence[jax.Array]) -> list[Any]:
    """Sum each column over its rows, with an error that does not grow with their number.

    Short runs are summed plainly, which XLA vectorises and fuses with what computes the column;
    the runs' sums are added up with their rounding errors.

    Args:
        columns: floats, or booleans to count, each of shape (n,) with n below 2**31.

    Returns:
        For each column its sum: a `Pair` for floats, an int32 scalar for booleans.
    """
    return [_count(column) if column.dtype == bool else _sum(column) for column in columns]


def _run_sums(column: jax.Array) -> jax.Array:
    """Sums of runs of rows, shape (runs,)."""
    runs = column.shape[0] // _RUN
    # Sliced rather than padded: a padded operand keeps XLA from vectorising the sum.
    rest = jnp.sum(column[runs * _RUN :])[None]
    if not runs:
        return rest
    return jnp.concatenate([jnp.sum(column[: runs * _RUN].reshape(runs, _RUN), axis=1), rest])


def _count(column: jax.Array) -> jax.Array:
    # A run's count is exact in float32, whose sums XLA vectorises on a CPU; integers' it does not.
    return jnp.sum(_run_sums(column.astype(jnp.float32)).astype(jnp.int32), dtype=jnp.int32)


def _sum(column: jax.Array) -> Pair:
    sums = _run_sums(column)
    steps = -(-sums.shape[0] // _LANES)
    sums = jnp.pad(sums, (0, steps * _LANES - sums.shape[0])).reshape(steps, _LANES)
    total = Pair.of(sums[0])
    if steps > 1:
        total, _ = lax.scan(lambda total, chunk: (total + chunk, None), total, sums[1:])
    lanes = _LANES
    while lanes > 1:
        lanes //= 2
        left, right = (
            jax.tree.map(lambda part, half=half: part[half], total)
            for half in (slice(lanes), slice(lanes, None))
        )
        total = left + right
    return Pair(total.high[0], total.low[0])
