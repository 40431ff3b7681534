"""Dropout as a function of a token's own number, so that it is the same in whatever batch it lies.

Which inputs of a linear map are dropped is a hash of the token's number, the layer, the map and
the input. The host draws the numbers from the seed, the epoch and the row
(`modelops_jax.training`), so packing, accumulation, devices and a resumed run change nothing.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt32

# More than there are inputs in a layer that linear maps read.
_SITES = 16


class Noise(NamedTuple):
    """What decides the dropout of one layer: a number for each token, the layer, and the rate."""

    words: UInt32[Array, " flat"]
    layer: Int[Array, ""]
    rate: float


def drop(
    x: Float[Array, "flat width"], noise: Noise | None, site: int
) -> Float[Array, "flat width"]:
    """Set each number to 0 with the rate as its chance, and scale the others to the same mean.

    Args:
        x: One row a token.
        noise: None leaves all as they are.
        site: Which of the layer's inputs this is.
    """
    if noise is None:
        return x
    assert 0 <= site < _SITES, site
    place = _mix(noise.layer.astype(jnp.uint32) * jnp.uint32(_SITES) + jnp.uint32(site))
    column = _mix(place + jnp.arange(x.shape[1], dtype=jnp.uint32))
    bits = _mix(_mix(noise.words)[:, None] ^ column[None])
    keep = bits >= jnp.uint32(round(noise.rate * 2**32))
    return jnp.where(keep, x * jnp.asarray(1 / (1 - noise.rate), x.dtype), jnp.zeros((), x.dtype))


def _mix(bits: Array) -> Array:
    """A hash of 32 bits in which each bit of the input flips each of the output half of the time.

    Threefry's bits cost 15 times as much on a CPU: docs/decisions/0003-dropout-by-row.md.

    Source: Wellons, "Prospecting for Hash Functions", 2018 (lowbias32).
    """
    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x7FEB352D)
    bits = (bits ^ (bits >> 15)) * jnp.uint32(0x846CA68B)
    return bits ^ (bits >> 16)
