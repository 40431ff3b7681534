"""A step's end in the memory that weights and moments have, in two programs.

In one program the new weights and the new moments both read the old moments, and XLA copies what it
is to write over while something may still read it.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int


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


class Pull(NamedTuple):
    """Summed gradients, what to multiply them by, and whether they and the loss are finite."""

    gradients: Any
    scale: Float[Array, ""]
    usable: Bool[Array, ""]

    def scaled(self) -> Any:
        """The clipped means."""
        # A product and no division: XLA writes what was divided into memory of its own.
        return jax.tree.map(lambda leaf: leaf * self.scale.astype(leaf.dtype), self.gradients)

    def chosen(self, new: Any, old: Any) -> Any:
        """The new tree, or the old one where the step is not usable."""
        return jax.tree.map(lambda ours, theirs: jnp.where(self.usable, ours, theirs), new, old)


@functools.partial(jax.jit, static_argnames="max_norm")
def clipped_scale(
    gradients: Any, loss: Float[Array, ""], units: Int[Array, ""], *, max_norm: float
) -> tuple[Float[Array, ""], Bool[Array, ""]]:
    """`Pull.scale` and `Pull.usable`.

    Args:
        gradients: Sums over the units.
        loss: The summed loss.
        units: What the mean is over.
        max_norm: Most that the norm of the mean gradients may be; a larger one is scaled to it.
    """
    count = units.astype(jnp.float32)
    norm = optax.tree.norm(gradients) / count
    usable = jnp.isfinite(loss) & jnp.isfinite(norm)
    return jnp.minimum(1.0, max_norm / norm) / count, usable


@functools.partial(jax.jit, static_argnames="rule", donate_argnames="weights")
def move_weights(
    weights: Any, state: Any, pull: Pull, *, rule: optax.GradientTransformation
) -> Any:
    """The weights after a step, in the memory of those before it."""
    updates, _ = rule.update(pull.scaled(), state, weights)
    return pull.chosen(optax.apply_updates(weights, updates), weights)


@functools.partial(jax.jit, static_argnames="rule", donate_argnames="state")
def move_state(state: Any, pull: Pull, *, rule: optax.GradientTransformation) -> Any:
    """The rule's state after a step, in the memory of the one before it."""
    # The updates, which would need the weights, are not computed.
    _, new = rule.update(pull.scaled(), state, pull.gradients)
    return pull.chosen(new, state)
