"""What the tokens of a call see: everything before them, or a window of it."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ._config import DecoderConfig
from ._rotary import RopeScaling, rope_frequencies, rotary


class Seen(NamedTuple):
    """Earlier tokens that rows may see: where they stand, and which slots of each row count."""

    positions: Int[Array, "rows slots"]
    visible: Bool[Array, "rows slots"]


class View(NamedTuple):
    """Rotations and masks of one kind of layer.

    `rotation` holds the cosines and sines of all tokens of the call, the prefix's first, or is
    None where positions are learned; `mask` and `prefix_mask` say
    which tokens of the rows and of the prefix see each other, `seen` which earlier slots the
    rows' tokens see.
    """

    rotation: tuple[Float[Array, "flat half"], Float[Array, "flat half"]] | None
    mask: Bool[Array, "batch tokens tokens"]
    prefix_mask: Bool[Array, "1 prefix prefix"]
    seen: list[Bool[Array, "_ _ _"]]


def causal_mask(
    segment_ids: Int[Array, "batch tokens"],
) -> Bool[Array, "batch tokens tokens"]:
    """Whether token t may see token s: s <= t, in the same segment, and segment 0 is padding."""
    tokens = segment_ids.shape[1]
    index = jnp.arange(tokens, dtype=jnp.int32)
    earlier = (index[:, None] >= index[None, :])[None]
    same = segment_ids[:, :, None] == segment_ids[:, None, :]
    return earlier & same & (segment_ids != 0)[:, None, :]


def _near(
    queries: Int[Array, "#rows tokens"], keys: Int[Array, "#rows slots"], window: int
) -> Bool[Array, "rows tokens slots"]:
    """Whether a key is one of the last `window` tokens, the query's own included."""
    return queries[:, :, None] - keys[:, None, :] < window


def make_views(
    config: DecoderConfig,
    segment_ids: Int[Array, "batch tokens"],
    positions: Int[Array, "batch tokens"],
    prefix: int,
    past: Sequence[Seen],
) -> tuple[View, View]:
    """The views of layers that see everything and of layers that see a window.

    Args:
        config: The architecture.
        segment_ids: Tokens see earlier tokens of their own segment; 0 is padding.
        positions: Position of each token in its sequence.
        prefix: Number of tokens before every row, at positions 0, 1, ...
        past: Earlier tokens.

    Returns:
        The full and the local view. The same one twice if there is no window.
    """
    first = jnp.arange(prefix, dtype=positions.dtype)[None]

    def rotation(theta: float, scaling: RopeScaling | None) -> tuple[Array, Array]:
        flat = jnp.concatenate([first[0], positions.reshape(-1)])
        return rotary(flat, rope_frequencies(config.head_dim, theta, scaling))

    sources = [*past, Seen(first, jnp.ones((1, prefix), bool))] if prefix else past
    full = View(
        rotation(config.rope_theta, config.rope_scaling) if config.rope_theta else None,
        causal_mask(segment_ids),
        causal_mask(jnp.ones((1, prefix), jnp.int32)),
        [source.visible[:, None, :] for source in sources],
    )
    window = config.sliding_window
    if window is None:
        return full, full
    local_theta = config.local_rope_theta
    local = View(
        rotation(local_theta, None) if local_theta else full.rotation,
        full.mask & _near(positions, positions, window),
        full.prefix_mask & _near(first, first, window),
        [
            visible & _near(positions, source.positions, window)
            for visible, source in zip(full.seen, sources, strict=True)
        ],
    )
    return full, local


def choose_view(full: View, local: View, is_local: Bool[Array, ""]) -> View:
    """The view of a layer, inside the scan over layers."""

    def choose(near: Array, all_: Array) -> Array:
        return all_ if near is all_ else jnp.where(is_local, near, all_)

    return jax.tree.map(choose, local, full)
