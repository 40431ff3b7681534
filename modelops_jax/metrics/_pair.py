"""Compensated sums: a value carried as the unevaluated sum of two floats.

A running float32 sum of ones stops at 2**24; the pair carries the rounding error of every
addition beside it, so a sum over rows, batches or shards keeps about twice the digits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Chunk = tuple[jax.Array, ...]

# Rows reduced side by side: wide enough that a step of the loop costs more than its overhead,
# narrow enough that the accumulators stay in the cache. Few rows take few lanes.
_WIDE = 8192
_NARROW = 64


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


def sum_columns(columns: Callable[..., Chunk], rows: Chunk) -> tuple[Any, ...]:
    """Sum the columns computed from each row, reading the rows once.

    Args:
        columns: maps a chunk of every array in `rows` to arrays of the chunk's length. Row-wise:
            an output row depends on its own input row only, and a row of zeros gives finite
            values.
        rows: arrays of one common length.

    Returns:
        For each column its sum: a `Pair` for floats, an int32 scalar for integers.
    """
    count = rows[0].shape[0]
    lanes = _WIDE if count > 2 * _WIDE else _NARROW
    steps = count // lanes
    tail = count - steps * lanes
    sums = _start(
        columns(*(jnp.pad(row[steps * lanes :], (0, lanes - tail)) for row in rows)), tail
    )
    if steps:
        chunks = tuple(row[: steps * lanes].reshape(steps, lanes) for row in rows)
        sums = _accumulate(columns, sums, chunks)
    while lanes > _NARROW:
        chunks = jax.tree.map(lambda total: total.reshape(-1, _NARROW), sums)
        first, rest = (jax.tree.map(lambda c, s=s: c[s], chunks) for s in (0, slice(1, None)))
        sums = _accumulate(lambda *chunk: chunk, first, rest)
        lanes = _NARROW
    while lanes > 1:
        lanes //= 2
        sums = tuple(_halve(total, lanes) for total in sums)
    return jax.tree.map(lambda total: total[0], sums)


def _start(values: Chunk, filled: int) -> tuple[Any, ...]:
    """Accumulators that hold the first `filled` lanes of `values`.

    They are selected from `values`, not made of fresh zeros, so that inside `shard_map` they
    vary over the mesh just as the chunks that will be added to them do.
    """

    def start(value: jax.Array) -> Any:
        inside = jnp.arange(value.shape[0], dtype=jnp.int32) < filled
        value = jnp.where(inside, value, jnp.zeros_like(value))
        return Pair.of(value) if jnp.issubdtype(value.dtype, jnp.floating) else value

    return tuple(start(value) for value in values)


def _accumulate(columns: Callable[..., Any], sums: tuple[Any, ...], chunks: Any) -> tuple[Any, ...]:
    def step(sums: tuple[Any, ...], chunk: Chunk) -> tuple[tuple[Any, ...], None]:
        return tuple(a + b for a, b in zip(sums, columns(*chunk), strict=True)), None

    return lax.scan(step, sums, chunks)[0]


def _halve(total: Any, lanes: int) -> Any:
    left = jax.tree.map(lambda part: part[:lanes], total)
    right = jax.tree.map(lambda part: part[lanes:], total)
    return left + right
