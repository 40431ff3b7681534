"""What a run will take and do, before any weight is read."""

import contextlib
import dataclasses
import functools
import os
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from modelops_jax.data import Dataset
from modelops_jax.models import Description, Model, describe, make_mesh

from ._batches import Batch
from ._config import TrainingConfig
from ._examples import Examples, read_examples
from ._flops import epoch_flops
from ._memory import (
    array_bytes,
    batch_shapes,
    device_memory,
    largest_that_fits,
    param_shapes,
    program_bytes,
    state_shapes,
)
from ._monitor import monitor_of
from ._objective import Objective, activation_dtype, loss_of
from ._optimizer import make_optimizer
from ._placement import put_batch
from ._plan import Plan, groups_by_length
from ._reference import lower_reference
from ._step import gradient_memory, lower_gradients, lower_update, train_step
from ._tokenized import TokenizedDataset
from ._training_plan import TrainingPlan


def plan(
    model: str | os.PathLike[str] | Description | Model,
    train: Dataset | TokenizedDataset,
    *,
    config: TrainingConfig,
    memory: int | None = None,
    largest_batch: bool = True,
    time_steps: bool = False,
) -> TrainingPlan:
    """Say what `fit` will take and do, without reading a weight.

    Memory is what the compiler says of the step's two programs for the run's longest batch - bytes
    of arguments, outputs and temporaries, less those that share their place - and what waits
    beside them: the optimizer's state, frozen weights and, where all weights are trained, the base
    model's own. Where preferences are learned, the pass that reads the references counts too.

    FLOPs are those the mathematics need, multiplications and additions of real tokens, and not
    what is recomputed or padded. With W weights of the layers' linear maps (adapters included) of
    which T are trained, l layers of h heads of size c, width d and vocabulary v they are
    2 (2 W + T) for each token, 12 l h c for each pair of a token and one it sees, and 2 v d
    (2, or 3 if the output head is trained) for each trained token.

    Args:
        model: Its name or path, of which `describe` reads everything but the weights; or what
            `describe` or `load` returned.
        train: The rows that `fit` would get.
        config: How to train.
        memory: Bytes of a device; by default those of this machine's default device.
        largest_batch: Whether to look for the largest batch that fits, by compiling for up to 8
            more sizes.
        time_steps: Whether to measure the time of a step: two steps on zeros of the run's shapes,
            of which the second counts. They take the memory of a step.

    Returns:
        The plan.

    Raises:
        TypeError: The model or the configuration is something else.
        ValueError: As `fit` raises it for the rows, and for what `config` monitors.
        UnknownModelError: Nothing has the model's name.
        CheckpointError: The model's configuration or tokenizer cannot be read.

    Warns:
        NoEndOfTurnWarning: As `fit` warns.

    Example:
        >>> from modelops_jax.data import Dataset
        >>> from modelops_jax.models import LoraConfig
        >>> from modelops_jax.training import TrainingConfig, plan
        >>> rows = Dataset([{"prompt": "Say hi", "completion": "hi"}] * 20)
        >>> config = TrainingConfig(batch_size=4, epochs=2, lora=LoraConfig(rank=4))
        >>> found = plan("tiny", rows, config=config, largest_batch=False)
        >>> found.steps, found.epoch_tokens, found.trained_parameters
        (10, 560, 38912)
    """
    if isinstance(model, str | os.PathLike):
        model = describe(model)
    if not isinstance(model, Description | Model):
        raise TypeError(
            f"model: found {type(model).__name__}, expected a model's name or path, or what "
            "modelops_jax.models.describe or load returned"
        )
    if not isinstance(config, TrainingConfig):
        raise TypeError(f"config: found {type(config).__name__}, expected a TrainingConfig")
    monitor_of(config, {"loss": False} | loss_of(model, config).directions)
    examples = read_examples(model, train, config, name="training")
    rows, step = examples.rows, _Step(model, examples, config)
    limit = device_memory() if memory is None else memory
    accumulates = step.plan.accumulates
    of_step = step.bytes_of(step.plan.largest_batch(), accumulates=accumulates)
    largest, is_exact = None, False
    if largest_batch and limit is not None:
        size = step.plan.rows
        known = step.bytes_of_size(size) if accumulates else of_step
        largest, is_exact = largest_that_fits(
            step.bytes_of_size, limit, known=(size, known), most=len(step.plan.sequences)
        )
    used = max(of_step, step.bytes_of_references())
    counts = step.plan.token_counts()
    share = step.plan.total_steps / step.plan.epoch_steps
    flops = epoch_flops(
        model.config,
        config,
        step.params,
        step.state.trainable,
        lengths=rows.lengths,
        trained_tokens=rows.trained_tokens,
    )
    return TrainingPlan(
        model=model.name,
        rows=len(rows) // (1 if config.dpo is None else 2),
        steps=step.plan.total_steps,
        epoch_steps=step.plan.epoch_steps,
        epoch_tokens=rows.tokens,
        trained_share=rows.trained_tokens / rows.tokens,
        padding_share=counts.padding_share,
        parameters=_size(step.params),
        trained_parameters=_size(step.state.trainable),
        micro_batch=step.plan.rows,
        memory=used,
        memory_limit=limit,
        largest_batch=largest,
        largest_is_exact=is_exact,
        checkpoint=array_bytes(step.state),
        flops=round(share * flops),
        seconds=step.seconds() if time_steps else None,
    )


class _Step:
    """A step of a run as shapes."""

    def __init__(self, model: Description | Model, examples: Examples, config: TrainingConfig):
        self.model, self.rows, self.config = model, examples.rows, config
        self.values = examples.values
        if config.dpo is not None:
            self.values = np.zeros(self.rows.trained_tokens, np.float32)
        self.plan = Plan(self.rows, config, model, values=self.values)
        self.mesh = make_mesh(config.mesh) if config.mesh else None
        self.params = param_shapes(model.params, self.mesh)
        dtype, loss = activation_dtype(config), loss_of(model, config)
        self.objective = Objective(model.config, config.lora, dtype, config.remat, loss)
        self.optimizer = make_optimizer(config, self.plan.total_steps)
        self.state, self.frozen = state_shapes(self.params, config, self.optimizer, self.mesh)
        self._update: int | None = None

    def bytes_of_size(self, size: int) -> int:
        """Bytes of a step that takes so many sequences in one pass."""
        config = dataclasses.replace(self.config, batch_size=size, micro_batch_size=None)
        plan = Plan(self.rows, config, self.model, values=self.values)
        return self.bytes_of(plan.largest_batch(), accumulates=False)

    def bytes_of(self, batch: Batch, *, accumulates: bool) -> int:
        """Most bytes on a device during a step: of its two programs and what waits beside them."""
        shapes, state = batch_shapes(batch, self.mesh), self.state
        with self.on_mesh():
            lowered = lower_gradients(
                self.objective, state.trainable, self.frozen, shapes, accumulates=accumulates
            )
            gradients = program_bytes(lowered)
            if self._update is None:  # the same for every batch
                lowered = lower_update(self.objective, self.optimizer, state, self.frozen, shapes)
                self._update = program_bytes(lowered)
        used = max(
            gradients + array_bytes(state.optimizer), self._update + array_bytes(self.frozen)
        )
        # Where weights are trained themselves, it is a copy of them: the caller's model stays.
        kept = 0 if self.config.lora else array_bytes(self.params) - array_bytes(self.frozen)
        return used + kept

    def bytes_of_references(self) -> int:
        """Most bytes while the references of preferences are read; 0 where a step takes more."""
        # Of as many pairs at once, which the gradients take more for.
        if self.config.dpo is None or not self.plan.accumulates:
            return 0
        only = self.plan.used_sequences()
        batches, groups = groups_by_length(self.rows, self.plan, only=only)
        with self.on_mesh():
            shapes = batch_shapes(batches.largest(groups), self.mesh)
            lowered = lower_reference(
                self.params, shapes, config=self.model.config, dtype=self.objective.dtype
            )
        return program_bytes(lowered) + array_bytes(self.state.trainable)

    def on_mesh(self) -> contextlib.AbstractContextManager[Any]:
        """Where the step is compiled and runs."""
        return jax.set_mesh(self.mesh) if self.mesh else contextlib.nullcontext()

    def seconds(self) -> float:
        """Time of the run's steps, from one on zeros with batches of the largest shape."""
        batch = self.plan.largest_batch()
        state, frozen = jax.tree.map(_zeros, (self.state, self.frozen))
        batches = [put_batch(batch, self.mesh) if self.mesh else batch]
        with self.on_mesh():
            memory = gradient_memory()
            step = functools.partial(train_step, self.objective, self.optimizer)
            state, _ = step(state, frozen, batches, memory)
            jax.block_until_ready(state)  # compiled now
            begun = time.perf_counter()
            state, _ = step(state, frozen, batches, memory)
            jax.block_until_ready(state)
        one = time.perf_counter() - begun
        places = self.plan.token_counts().computed / self.plan.sampled_share
        return one * places / batch.places


def _size(tree: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def _zeros(leaf: Any) -> jax.Array:
    return jnp.zeros(leaf.shape, leaf.dtype, device=leaf.sharding)
