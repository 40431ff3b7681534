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
    None where positions are learned; `mask` says what of the prefix and of their row the rows'
    tokens see, `prefix_mask` which tokens of the prefix see each other, `seen` which earlier slots
    the rows' tokens see.
    """

    rotation: tuple[Float[Array, "flat half"], Float[Array, "flat half"]] | None
    mask: Bool[Array, "batch tokens slots"]
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
    flat_positions: Int[Array, " flat"],
    prefix: int,
    past: Sequence[Seen],
) -> tuple[View, View]:
    """The views of layers that see everything and of layers that see a window.

    Args:
        config: The architecture.
        segment_ids: Tokens see earlier tokens of their own segment; 0 is padding.
        positions: Position of each token in its sequence.
        flat_positions: Of what layers work on: the prefix, and the tokens in the order they have.
        prefix: Number of tokens before every row, at positions 0, 1, ...
        past: Earlier tokens.

    Returns:
        The full and the local view. The same one twice if there is no window.
    """
    first = jnp.arange(prefix, dtype=positions.dtype)[None]

    def rotation(theta: float, scaling: RopeScaling | None) -> tuple[Array, Array]:
        return rotary(flat_positions, rope_frequencies(config.head_dim, theta, scaling))

    own = jnp.concatenate([jnp.broadcast_to(first, (len(positions), prefix)), positions], axis=1)
    sees_prefix = jnp.ones((*segment_ids.shape, prefix), bool)
    full = View(
        rotation(config.rope_theta, config.rope_scaling) if config.rope_theta else None,
        jnp.concatenate([sees_prefix, causal_mask(segment_ids)], axis=-1),
        causal_mask(jnp.ones((1, prefix), jnp.int32)),
        [earlier.visible[:, None, :] for earlier in past],
    )
    window = config.sliding_window
    if window is None:
        return full, full
    local_theta = config.local_rope_theta
    local = View(
        rotation(local_theta, None) if local_theta else full.rotation,
        full.mask & _near(positions, own, window),
        full.prefix_mask & _near(first, first, window),
        [
            visible & _near(positions, earlier.positions, window)
            for visible, earlier in zip(full.seen, past, strict=True)
        ],
    )
    return full, local


def choose_view(full: View, local: View, is_local: Bool[Array, ""]) -> View:
    """The view of a layer, inside the scan over layers."""

    def choose(near: Array, all_: Array) -> Array:
        return all_ if near is all_ else jnp.where(is_local, near, all_)

    return jax.tree.map(choose, local, full)
