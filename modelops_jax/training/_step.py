"""The compiled parts of a training step.

Gradients are summed over the step's micro-batches and divided once, by the number of trained
tokens of the whole step, so that accumulation equals the full batch whatever the masks are.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from modelops_jax.models import Adapters, DecoderConfig, LoraConfig, Params

from ._batches import Batch
from ._freeze import join_trees
from ._loss import LossSums, add_sums, next_token_loss, zero_sums
from ._placement import Placement, placed, placement_of


class TrainState(NamedTuple):
    """What a step changes.

    `skipped` counts the steps whose loss or gradient was not finite: they changed nothing else.
    """

    trainable: Any
    optimizer: Any
    skipped: Int[Array, ""]


def start_state(optimizer: optax.GradientTransformation, trainable: Any) -> TrainState:
    """The state before the first step."""
    return TrainState(trainable, optimizer.init(trainable), jnp.zeros((), jnp.int32))


# (trained weights, frozen weights, batch) -> the summed loss, and all sums. It is a static
# argument of compiled functions, so equal ones have to compare and hash as equal.
LossFunction = Callable[[Any, Any, Any], tuple[Array, LossSums]]


@dataclasses.dataclass(frozen=True)
class Objective:
    """How trained and frozen weights make the loss.

    With `lora` the trained weights are adapters to the frozen ones; without one, both
    together are the parameters, and None is frozen in full fine-tuning.
    """

    config: DecoderConfig
    lora: LoraConfig | None
    dtype: Any
    remat: str

    def __call__(self, trainable: Any, frozen: Params | None, batch: Batch):
        """The summed loss of a batch, and all its sums."""
        if self.lora is None:
            params, adapters = join_trees(trainable, frozen or {}), None
        else:
            assert frozen is not None
            params, adapters = frozen, Adapters(trainable, self.lora)
        return next_token_loss(
            params, adapters, self.config, batch, dtype=self.dtype, remat=self.remat
        )


@functools.partial(jax.jit, static_argnames=("objective", "placement"), donate_argnames="gradients")
def _accumulate(
    trainable: Any,
    frozen: Params | None,
    batch: Batch,
    gradients: Any,
    sums: LossSums,
    *,
    objective: LossFunction,
    placement: Placement,
) -> tuple[Any, LossSums]:
    new, batch_sums = jax.grad(objective, has_aux=True)(trainable, frozen, batch)
    return placed(jax.tree.map(jnp.add, gradients, new), placement), add_sums(sums, batch_sums)


@functools.partial(jax.jit, static_argnames=("optimizer", "placement"), donate_argnames="state")
def _update(
    state: TrainState,
    gradients: Any,
    sums: LossSums,
    *,
    optimizer: optax.GradientTransformation,
    placement: Placement,
) -> TrainState:
    count = sums.tokens.astype(jnp.float32)
    gradients = jax.tree.map(lambda leaf: leaf / count.astype(leaf.dtype), gradients)
    updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.trainable)
    new = TrainState(optax.apply_updates(state.trainable, updates), optimizer_state, state.skipped)
    usable = jnp.isfinite(sums.loss) & jnp.isfinite(optax.tree.norm(gradients))
    old = state._replace(skipped=state.skipped + 1)
    chosen = jax.tree.map(lambda ours, theirs: jnp.where(usable, ours, theirs), new, old)
    return placed(chosen, placement)


@functools.partial(jax.jit, static_argnames="objective")
def _measure(
    trainable: Any, frozen: Params | None, batch: Batch, sums: LossSums, *, objective: LossFunction
) -> LossSums:
    return add_sums(sums, objective(trainable, frozen, batch)[1])


def gradient_sums(
    objective: LossFunction, trainable: Any, frozen: Params | None, batches: Iterable[Batch]
) -> tuple[Any, LossSums]:
    """Gradients of the summed loss over micro-batches, and the loss sums."""
    gradients = jax.tree.map(jnp.zeros_like, trainable)
    placement = placement_of(trainable)
    sums = zero_sums()
    for batch in batches:
        gradients, sums = _accumulate(
            trainable, frozen, batch, gradients, sums, objective=objective, placement=placement
        )
    return gradients, sums


def train_step(
    objective: LossFunction,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    frozen: Params | None,
    batches: Iterable[Batch],
) -> tuple[TrainState, LossSums]:
    """One optimizer step over micro-batches; `state` is consumed.

    A step whose loss or gradient is not finite changes nothing and is counted.

    Args:
        objective: The loss.
        optimizer: From `make_optimizer`.
        state: Trained weights and optimizer state.
        frozen: Weights the loss needs and the step leaves alone, or None.
        batches: Padded rows; shapes may differ.

    Returns:
        The new state, and the loss sums of the step before it, still on the device.
    """
    gradients, sums = gradient_sums(objective, state.trainable, frozen, batches)
    placement = placement_of(state)
    return _update(state, gradients, sums, optimizer=optimizer, placement=placement), sums


def evaluate_loss(
    objective: LossFunction, trainable: Any, frozen: Params | None, batches: Iterable[Batch]
) -> LossSums:
    """The loss sums over held-out batches, on the device."""
    sums = zero_sums()
    for batch in batches:
        sums = _measure(trainable, frozen, batch, sums, objective=objective)
    return sums
