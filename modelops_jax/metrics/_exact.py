"""Counts that stay exact past 2**24 and past 2**31 without 64-bit integers.

A count is `high * 2**16 + low` in two uint32. Because `low` stays below 2**16, up to 65,536
normalised counts can be added limb by limb (a `psum` over a mesh, say) before the carry has to
be taken, and the largest count is 2**48.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from modelops_jax._two_sum import two_sum

from ._pair import Pair
from ._types import AxisNames, Column, DType

_BITS = 16
_MASK = (1 << _BITS) - 1


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ExactCount:
    """Non-negative integers as two uint32 limbs of base 2**16."""

    low: Any
    high: Any

    @classmethod
    def of(cls, count: Any) -> "ExactCount":
        """Non-negative int32 counts of one block."""
        bits = count.astype(np.uint32)
        return cls(bits & np.uint32(_MASK), bits >> np.uint32(_BITS))

    @classmethod
    def of_integers(cls, counts: np.ndarray) -> "ExactCount":
        """Non-negative concrete integers below 2**48."""
        return cls((counts & _MASK).astype(np.uint32), (counts >> _BITS).astype(np.uint32))

    @classmethod
    def zeros(cls, shape: tuple[int, ...]) -> "ExactCount":
        """The identity of `+`."""
        return cls(jnp.zeros(shape, jnp.uint32), jnp.zeros(shape, jnp.uint32))

    def __add__(self, other: "ExactCount") -> "ExactCount":
        """Add, and carry."""
        return _carried(self.low + other.low, self.high + other.high)

    def total(self) -> "ExactCount":
        """Add along the first axis, of at most 65,536 entries."""
        return _carried(
            jnp.sum(self.low, axis=0, dtype=jnp.uint32),
            jnp.sum(self.high, axis=0, dtype=jnp.uint32),
        )

    def psum(self, axis_name: AxisNames) -> "ExactCount":
        """Add over a mesh axis of at most 65,536 devices."""
        return _carried(lax.psum(self.low, axis_name), lax.psum(self.high, axis_name))

    def pair(self, dtype: DType) -> Pair:
        """The counts as compensated floats."""
        high = self.high.astype(dtype) * dtype.type(_MASK + 1)
        return Pair(*two_sum(high, self.low.astype(dtype)))

    def integers(self) -> Any:
        """The counts as integers: int64 for concrete NumPy limbs, int32 under tracing."""
        if isinstance(self.low, np.ndarray | np.generic):
            low = np.int64(self.low)
            # Of a large table most carries are none, and looking is cheaper than adding.
            return low + (np.int64(self.high) << _BITS) if np.any(self.high) else low
        return ((self.high << np.uint32(_BITS)) | self.low).astype(jnp.int32)

    def is_zero(self) -> bool:
        """Whether all counts are 0, of concrete NumPy limbs."""
        return not (self.low.any() or self.high.any())

    def value(self) -> Any:
        """The counts as floats: float64 (exact) for NumPy limbs, float32 under tracing.

        Under tracing a program that has 64-bit types enabled gets float64 too.
        """
        if isinstance(self.low, np.ndarray | np.generic):
            if not np.any(self.high):
                return self.low.astype(np.float64)
            return self.integers().astype(np.float64)
        dtype = jnp.zeros(()).dtype
        return self.high.astype(dtype) * dtype.type(_MASK + 1) + self.low.astype(dtype)


def _carried(low: Column, high: Column) -> ExactCount:
    return ExactCount(low & np.uint32(_MASK), high + (low >> np.uint32(_BITS)))


def count_true(xp: Any, like: Any, *flags: Any) -> ExactCount:
    """How often each flag is set, as a vector; None counts 0. `like` is any of the block's rows."""
    none = xp.zeros_like(like[:0], dtype=bool)
    counts = [xp.sum(none if flag is None else flag, dtype=np.int32) for flag in flags]
    return ExactCount.of(xp.stack(counts))
