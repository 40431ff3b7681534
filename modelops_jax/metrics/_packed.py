"""The arrays of a program's result as one: each one that is fetched takes an accelerator a call."""

import functools
import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=("data",), meta_fields=("structure", "leaves")
)
@dataclass(frozen=True)
class Packed:
    """A tree of arrays, byte by byte; what it was is known when it is traced."""

    data: Any
    structure: Any
    leaves: tuple[tuple[tuple[int, ...], Any], ...]
    """Shape and type of each leaf."""

    @classmethod
    def of(cls, tree: Any) -> "Packed":
        """Of arrays that are being traced, at least one."""
        leaves, structure = jax.tree.flatten(tree)
        data = jnp.concatenate([_as_bytes(leaf) for leaf in leaves])
        return cls(data, structure, tuple((leaf.shape, np.dtype(leaf.dtype)) for leaf in leaves))

    def fetched(self) -> Any:
        """The tree in NumPy."""
        data, end, found = np.asarray(self.data), 0, []
        for shape, dtype in self.leaves:
            begin, end = end, end + math.prod(shape) * dtype.itemsize
            # A copy: views of one type must lie at its multiples.
            found.append(data[begin:end].copy().view(dtype).reshape(shape))
        return jax.tree.unflatten(self.structure, found)


def _as_bytes(leaf: jax.Array) -> jax.Array:
    if leaf.dtype == bool:
        return leaf.astype(jnp.uint8).reshape(-1)
    return lax.bitcast_convert_type(leaf, jnp.uint8).reshape(-1)
