"""The compiled parts of a training step.

Gradients are summed over the step's micro-batches and divided once, by the number of units
(trained tokens, rows or pairs) of the whole step, so that accumulation equals the full batch
whatever the masks are.
"""

import functools
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeGuard

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from modelops_jax.models import Params

from ._batches import Batch
from ._in_place import ClippedRule, Pull, clipped_scale, move_state, move_weights
from ._loss import LossFunction, LossSums, add_sums
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


class GradientMemory:
    """Memory that the gradients of every step of a run are written to; see `gradient_memory`."""

    def __init__(self) -> None:
        self._held: Any = None

    def take(self, like: Any) -> Any:
        """Arrays of the same shapes, whose values mean nothing."""
        held, self._held = self._held, None
        return jax.tree.map(jnp.zeros_like, like) if held is None else held

    def give(self, gradients: Any) -> None:
        """Arrays that nobody will read again."""
        self._held = gradients


def gradient_memory() -> GradientMemory | None:
    """For the steps of a run, where it is of use.

    A CPU takes longer to get fresh memory from the system than to write to it. An accelerator hands
    freed memory out again at no cost, to evaluations too.
    """
    return GradientMemory() if jax.default_backend() == "cpu" else None


# Gradients that are not added to are donated for their memory alone.
@functools.partial(
    jax.jit,
    static_argnames=("objective", "placement"),
    donate_argnames="gradients",
    keep_unused=True,
)
def _accumulate(
    trainable: Any,
    frozen: Params | None,
    batch: Batch,
    gradients: Any,
    sums: LossSums | None,
    *,
    objective: LossFunction,
    placement: Placement,
) -> tuple[Any, LossSums]:
    new, batch_sums = jax.grad(objective, has_aux=True)(trainable, frozen, batch)
    if sums is None:
        return placed(new, placement), batch_sums
    return placed(jax.tree.map(jnp.add, gradients, new), placement), add_sums(sums, batch_sums)


@functools.partial(jax.jit, donate_argnums=0, keep_unused=True)
def _cleared(tree: Any) -> Any:
    return jax.tree.map(jnp.zeros_like, tree)


def _update(
    state: TrainState,
    gradients: Any,
    sums: LossSums,
    *,
    optimizer: optax.GradientTransformation,
    placement: Placement,
) -> TrainState:
    if not _moves_in_place(optimizer, placement):
        return _update_at_once(state, gradients, sums, optimizer=optimizer, placement=placement)
    rule, max_norm = optimizer.rule, optimizer.max_norm
    pull = Pull(gradients, *clipped_scale(gradients, sums.loss, sums.units, max_norm=max_norm))
    weights = move_weights(state.trainable, state.optimizer, pull, rule=rule)
    moments = move_state(state.optimizer, pull, rule=rule)
    return TrainState(weights, moments, state.skipped + ~pull.usable)


def _moves_in_place(
    optimizer: optax.GradientTransformation, placement: Placement
) -> TypeGuard[ClippedRule]:
    # Elsewhere the compiler makes one pass of it.
    alone = placement is None and jax.default_backend() == "cpu"
    return alone and isinstance(optimizer, ClippedRule)


@functools.partial(jax.jit, static_argnames=("optimizer", "placement"), donate_argnames="state")
def _update_at_once(
    state: TrainState,
    gradients: Any,
    sums: LossSums,
    *,
    optimizer: optax.GradientTransformation,
    placement: Placement,
) -> TrainState:
    count = sums.units.astype(jnp.float32)
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


@functools.partial(jax.jit, static_argnames="objective")
def _loss_sums(trainable: Any, frozen: Params | None, batch: Batch, *, objective: LossFunction):
    return objective(trainable, frozen, batch)[1]


def zero_sums(
    objective: LossFunction, trainable: Any, frozen: Params | None, batch: Batch
) -> LossSums:
    """The sums over no unit; which ones an objective has is traced, once for each shape."""
    shapes = _loss_sums.eval_shape(trainable, frozen, batch, objective=objective)
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)


def gradient_sums(
    objective: LossFunction,
    trainable: Any,
    frozen: Params | None,
    batches: Iterable[Batch],
    memory: GradientMemory | None = None,
) -> tuple[Any, LossSums]:
    """Gradients of the summed loss over at least one micro-batch, and the loss sums."""
    placement = placement_of(trainable)
    first, *others = batches
    gradients, sums = memory.take(trainable) if memory else None, None
    if others:  # one program for all of them; a batch alone needs no sums
        zeros = gradients is None
        gradients = jax.tree.map(jnp.zeros_like, trainable) if zeros else _cleared(gradients)
        sums = zero_sums(objective, trainable, frozen, first)
    for batch in (first, *others):
        gradients, sums = _accumulate(
            trainable, frozen, batch, gradients, sums, objective=objective, placement=placement
        )
    assert sums is not None
    return gradients, sums


def train_step(
    objective: LossFunction,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    frozen: Params | None,
    batches: Iterable[Batch],
    memory: GradientMemory | None = None,
) -> tuple[TrainState, LossSums]:
    """One optimizer step over micro-batches; `state` is consumed.

    A step whose loss or gradient is not finite changes nothing and is counted.

    Args:
        objective: The loss.
        optimizer: From `make_optimizer`.
        state: Trained weights and optimizer state.
        frozen: Weights the loss needs and the step leaves alone, or None.
        batches: Padded rows; shapes may differ.
        memory: Of the run, for the gradients of all its steps; by default each step's is new.

    Returns:
        The new state, and the loss sums of the step before it, still on the device.
    """
    gradients, sums = gradient_sums(objective, state.trainable, frozen, batches, memory)
    state = _update(state, gradients, sums, optimizer=optimizer, placement=placement_of(state))
    if memory is not None:
        memory.give(gradients)
    return state, sums


def lower_gradients(
    objective: LossFunction,
    trainable: Any,
    frozen: Params | None,
    batch: Batch,
    *,
    accumulates: bool,
) -> Any:
    """The program of a micro-batch's gradients, lowered for these arrays or shapes.

    `accumulates` says that the step has several micro-batches.
    """
    gradients, sums = None, None
    if accumulates:
        gradients = trainable
        sums = _loss_sums.eval_shape(trainable, frozen, batch, objective=objective)
    placement = placement_of(trainable)
    return _accumulate.lower(
        trainable, frozen, batch, gradients, sums, objective=objective, placement=placement
    )


def lower_update(
    objective: LossFunction,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    frozen: Params | None,
    batch: Batch,
) -> Any:
    """The largest program of a step's end, lowered for these arrays or shapes."""
    sums = _loss_sums.eval_shape(state.trainable, frozen, batch, objective=objective)
    placement = placement_of(state)
    if _moves_in_place(optimizer, placement):
        weights, max_norm = state.trainable, optimizer.max_norm
        scale = clipped_scale.eval_shape(weights, sums.loss, sums.units, max_norm=max_norm)
        pull = Pull(weights, *scale)
        return move_weights.lower(weights, state.optimizer, pull, rule=optimizer.rule)
    return _update_at_once.lower(
        state, state.trainable, sums, optimizer=optimizer, placement=placement
    )


def evaluate_loss(
    objective: LossFunction, trainable: Any, frozen: Params | None, batches: Iterable[Batch]
) -> LossSums:
    """The loss sums over at least one held-out batch, on the device."""
    first, *others = batches
    sums = zero_sums(objective, trainable, frozen, first)
    for batch in (first, *others):
        sums = _measure(trainable, frozen, batch, sums, objective=objective)
    return sums
