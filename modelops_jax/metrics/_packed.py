"""The arrays of a program's result as few: each one that is fetched takes an accelerator a call."""

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
    """A tree of arrays, end to end; what it was is known when it is traced.

    Those of four bytes an entry are one array, and those of any other type one each: a TPU has no
    bits of 64-bit types to read.
    """

    data: dict[str, Any]
    structure: Any
    leaves: tuple[tuple[str, tuple[int, ...], Any, int], ...]
    """Where each leaf is, its shape and type, and its first entry there."""

    @classmethod
    def of(cls, tree: Any) -> "Packed":
        """Of arrays that are being traced."""
        leaves, structure = jax.tree.flatten(tree)
        joined: dict[str, list[Any]] = {}
        facts = []
        for leaf in leaves:
            dtype = np.dtype(leaf.dtype)
            four = dtype.itemsize == 4
            flat = lax.bitcast_convert_type(leaf, jnp.uint32) if four else leaf
            beside = joined.setdefault(str(flat.dtype), [])
            facts.append((str(flat.dtype), leaf.shape, dtype, sum(map(len, beside))))
            beside.append(flat.reshape(-1))
        data = {kind: jnp.concatenate(columns) for kind, columns in joined.items()}
        return cls(data, structure, tuple(facts))

    def fetched(self) -> Any:
        """The tree in NumPy."""
        # Copies: what JAX hands out cannot be written to.
        data = {kind: np.array(column) for kind, column in jax.device_get(self.data).items()}
        found = [
            data[kind][first : first + math.prod(shape)].view(dtype).reshape(shape)
            for kind, shape, dtype, first in self.leaves
        ]
        return jax.tree.unflatten(self.structure, found)
