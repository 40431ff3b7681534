"""The product of rows with a weight, in the order that is fast where it runs."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# More rows than these cost a CPU as much to write out in columns as it saves.
_MOST_ROWS = 32


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
        return jnp.einsum("nd,od->no", x, weight)
    # Without the barriers the compiler would turn it around again.
    columns = jax.lax.optimization_barrier(x.T)
    return jax.lax.optimization_barrier(jnp.einsum("od,dn->on", weight, columns)).T
