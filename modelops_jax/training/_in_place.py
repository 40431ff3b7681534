"""A step's end in the memory that weights and moments have, in two programs.

In one program the new weights and the new moments both read the old moments, and XLA copies what it
is to write over while something may still read it.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float


class ClippedRule(optax.GradientTransformation):
    """A rule whose state follows from gradients alone, after a clip by the global norm.

    For optax it is one transformation, whose state is the rule's.
    """

    rule: optax.GradientTransformation
    max_norm: float

    @classmethod
    def of(cls, rule: optax.GradientTransformation, max_norm: float) -> "ClippedRule":
        """The rule behind a clip at this norm."""
        clip = optax.clip_by_global_norm(max_norm)

        def update(updates: Any, state: Any, params: Any = None) -> Any:
            clipped, _ = clip.update(updates, optax.EmptyState(), params)
            return rule.update(clipped, state, params)

        clipped = cls(rule.init, update)
        clipped.rule, clipped.max_norm = rule, max_norm
        return clipped


@functools.partial(jax.jit, static_argnames="max_norm")
def clipped_scale(
    gradients: Any, loss: Float[Array, ""], count: Float[Array, ""], *, max_norm: float
) -> tuple[Float[Array, ""], Bool[Array, ""]]:
    """What to multiply summed gradients by, and whether they and the loss are finite.

    Args:
        gradients: Sums over `count` units.
        loss: The summed loss.
        count: What the mean is over.
        max_norm: Most that the norm of the mean gradients may be; a larger one is scaled to it.
    """
    norm = optax.tree.norm(gradients) / count
    usable = jnp.isfinite(loss) & jnp.isfinite(norm)
    return jnp.minimum(1.0, max_norm / norm) / count, usable


@functools.partial(jax.jit, static_argnames="rule", donate_argnames="weights")
def move_weights(
    weights: Any,
    state: Any,
    gradients: Any,
    scale: Float[Array, ""],
    usable: Bool[Array, ""],
    *,
    rule: optax.GradientTransformation,
) -> Any:
    """The weights after a step, in the memory of those before it."""
    updates, _ = rule.update(_scaled(gradients, scale), state, weights)
    return _chosen(usable, optax.apply_updates(weights, updates), weights)


@functools.partial(jax.jit, static_argnames="rule", donate_argnames="state")
def move_state(
    state: Any,
    gradients: Any,
    scale: Float[Array, ""],
    usable: Bool[Array, ""],
    *,
    rule: optax.GradientTransformation,
) -> Any:
    """The rule's state after a step, in the memory of the one before it."""
    # The updates, which would need the weights, are not computed.
    _, new = rule.update(_scaled(gradients, scale), state, gradients)
    return _chosen(usable, new, state)


def _scaled(gradients: Any, scale: Array) -> Any:
    # A product and no division: XLA writes what was divided into memory of its own.
    return jax.tree.map(lambda leaf: leaf * scale.astype(leaf.dtype), gradients)


def _chosen(usable: Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda ours, theirs: jnp.where(usable, ours, theirs), new, old)
