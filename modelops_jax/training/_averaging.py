"""Averages of the weights over the steps, which are evaluated and returned in their place."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int
from optax import contrib

from ._step import TrainState


class AverageState(NamedTuple):
    """The number of steps in the average, and the average, in float32."""

    steps: Int[Array, ""]
    average: Any


def average_weights(decay: float) -> optax.GradientTransformation:
    """Keep the exponential moving average of the weights after each step; updates stay as they are.

    The weights after step s of t count in proportion to decay^(t - s), and those before the first
    step not at all. It goes last in a chain: what it is given has to be the whole update.

    Args:
        decay: In (0, 1); the average reaches back some 1 / (1 - decay) steps.

    Source: Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992, for
    averaging; Kingma and Ba, "Adam", 2014, for the correction of the start.
    """

    def init(params: Any) -> AverageState:
        # Copies: a step writes over its weights.
        average = jax.tree.map(lambda leaf: jnp.copy(leaf).astype(jnp.float32), params)
        return AverageState(jnp.zeros((), jnp.int32), average)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, AverageState]:
        steps = state.steps + 1
        share = (1 - decay) / -jnp.expm1(steps.astype(jnp.float32) * jnp.log(decay))
        average = jax.tree.map(
            lambda mean, leaf: mean + share * (leaf.astype(jnp.float32) - mean),
            state.average,
            optax.apply_updates(params, updates),
        )
        return updates, AverageState(steps, average)

    return optax.GradientTransformation(init, update)


def final_weights(state: TrainState) -> Any:
    """The weights to evaluate and to return.

    These are the moving average if the optimizer keeps one, the averaged sequence of a
    schedule-free optimizer, and otherwise the trained weights themselves.

    Args:
        state: Of a run whose optimizer `make_optimizer` made.
    """
    kinds = (AverageState, contrib.ScheduleFreeState)
    parts = jax.tree.leaves(state.optimizer, is_leaf=lambda node: isinstance(node, kinds))
    for part in parts:
        if isinstance(part, AverageState):
            like = state.trainable
            return jax.tree.map(lambda mean, leaf: mean.astype(leaf.dtype), part.average, like)
        if isinstance(part, contrib.ScheduleFreeState):
            return contrib.schedule_free_eval_params(part, state.trainable)
    return state.trainable
