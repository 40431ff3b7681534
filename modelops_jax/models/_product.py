"""Products as exact as their type, and in the order that is fast where they run."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# More rows than these cost a CPU as much to write out in columns as it saves.
_MOST_ROWS = 32


def exact_einsum(
    spec: str, left: Float[Array, "..."], right: Float[Array, "..."], kind: Any = None
) -> Float[Array, "..."]:
    """An einsum of operands of one type, whose result is of type `kind`, by default theirs.

    Products of float32 are products of float32: by default accelerators round the operands to 10
    bits (GPU) or 7 (TPU). Where `jax_default_matmul_precision` is set, it has its way.
    """
    chosen = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue] # set at run time
    rounded = left.dtype == jnp.float32 and chosen is None and jax.default_backend() != "cpu"
    precision = jax.lax.Precision.HIGHEST if rounded else None
    return jnp.einsum(spec, left, right, precision=precision, preferred_element_type=kind)


def multiply(
    x: Float[Array, "rows in"], weight: Float[Array, "out in"], *, appends: bool = False
) -> Float[Array, "rows out"]:
    """W x of every row.

    For every product XLA's CPU backend packs what stands on its right, which takes longer than the
    product where that is a weight for a few rows. A single row needs no packing.

    Args:
        x: The rows.
        weight: W.
        appends: Whether the rows are one more token of each sequence: few, and nothing is
            differentiated. Elsewhere all numbers of rows are multiplied alike.
    """
    few = appends and 2 <= len(x) <= _MOST_ROWS
    if not few or jax.default_backend() != "cpu":
        return exact_einsum("nd,od->no", x, weight)
    # Without the barriers the compiler would turn it around again.
    columns = jax.lax.optimization_barrier(x.T)
    return jax.lax.optimization_barrier(jnp.einsum("od,dn->on", weight, columns)).T
