"""Many adapters on one model: learning rates, ranks and seeds through the same compiled programs.

A rank below the largest is adapters of the largest whose other rows of A and columns of B are
zero. They stay zero, because the gradient of each is a product with the other. The learning rate
and the scale are arguments of the compiled step, and the seed decides arrays alone.
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from modelops_jax.data import Dataset
from modelops_jax.models import Adapters, Model, init_lora

from ._batches import Batch
from ._config import TrainingConfig
from ._examples import read_examples
from ._history import Record
from ._loss import LossSums
from ._objective import Objective, activation_dtype
from ._optimizer import make_optimizer
from ._placement import put_on_one_device
from ._plan import Plan, batches_by_length
from ._step import evaluate_loss, start_state, train_step


class SweepMember(NamedTuple):
    """One setting of a sweep, what it came to, and its adapters.

    `record` has `learning_rate`, `rank` and `seed`, what the last step reports (`loss` and what
    the objective adds), `skipped_steps` (all whose loss or gradient was not finite) and, with
    held-out rows, the report with `eval_` before it.
    """

    record: Record
    adapters: Adapters


@dataclasses.dataclass(frozen=True)
class _Scaled:
    """An objective whose adapters are scaled by a number that is an argument, not a constant."""

    objective: Objective

    def __call__(self, trainable: Any, frozen: Any, batch: Batch) -> tuple[Array, LossSums]:
        def scale(path: Any, leaf: Array) -> Array:
            return leaf * frozen["scale"] if path[-1].key == "lora_A" else leaf

        scaled = jax.tree.map_with_path(scale, trainable)
        return self.objective(scaled, frozen["params"], batch)


def sweep(
    model: Model,
    train: Dataset,
    *,
    config: TrainingConfig,
    learning_rates: Sequence[float],
    ranks: Sequence[int],
    seeds: Sequence[int],
    eval: Dataset | None = None,
    callback: Callable[[Record], None] | None = None,
) -> list[SweepMember]:
    """Train adapters for every learning rate, rank and seed, one after the other.

    The model's weights are shared, and the step is compiled once for all members, so a member
    costs its steps alone. Its losses and adapters are those of `fit` with the same settings but
    for rounding. Nothing is written to a disk. Steps that are not finite are skipped and counted,
    however many they are: a member that diverges ends no others.

    Args:
        model: The base model, without labels.
        train: Rows, as for `fit`.
        config: All other settings; `config.lora` says what is adapted, and its `alpha` holds for
            every rank.
        learning_rates: Peaks of the schedule.
        ranks: Ranks of the adapters.
        seeds: Each decides the row order and the adapters' start.
        eval: Held-out rows, measured after the last step.
        callback: Called with each member's record.

    Returns:
        The members, in the order of the product of rates, ranks and seeds.

    Raises:
        ValueError: A list is empty, a setting is not one that a sweep has, or what `fit` refuses.

    Example:
        >>> from modelops_jax.data import Dataset
        >>> from modelops_jax.models import LoraConfig, load
        >>> from modelops_jax.training import TrainingConfig, sweep
        >>> rows = Dataset([{"prompt": "Hi", "completion": "Hello"}] * 4)
        >>> config = TrainingConfig(max_steps=1, lora=LoraConfig())
        >>> members = sweep(
        ...     load("tiny"), rows, config=config, learning_rates=[1e-3], ranks=[1, 2], seeds=[0]
        ... )
        >>> [(member.record["rank"], member.adapters.config.rank) for member in members]
        [(1, 1), (2, 2)]
    """
    if config.lora is None:
        raise ValueError("a sweep trains adapters: config.lora is None")
    without = {
        "packing": config.packing,
        "dpo": config.dpo is not None,
        "ema_decay": config.ema_decay is not None,
        "mesh": config.mesh is not None,
        "generate": config.generate is not None,
        "keep_best": config.keep_best,
        "early_stopping_patience": config.early_stopping_patience is not None,
        "target_worst_loss": config.target_worst_loss is not None,
        "optimizer": config.optimizer == "schedule_free_adamw",
    }
    for name, is_set in without.items():
        if is_set:
            raise ValueError(f"a sweep has no training.{name} {getattr(config, name)!r}")
    if config.optimizer == "adafactor" and len(set(ranks)) > 1:
        raise ValueError(
            "a sweep of several ranks has no training.optimizer 'adafactor': it scales updates by "
            "the mean squares of whole adapters, of which the smaller ranks' are part zeros"
        )
    if model.config.labels:
        raise ValueError("a sweep is of language models; this one has labels")
    settings = [
        dataclasses.replace(
            config, learning_rate=rate, seed=seed, lora=dataclasses.replace(config.lora, rank=rank)
        )
        for rate, rank, seed in itertools.product(learning_rates, ranks, seeds)
    ]
    if not settings:
        raise ValueError("learning_rates, ranks and seeds need at least one entry each")
    model = dataclasses.replace(model, params=put_on_one_device(model.params))
    largest = dataclasses.replace(config.lora, rank=max(ranks))
    rows = read_examples(model, train, config, name="training").rows
    held_out = None
    if eval is not None:
        held_out = read_examples(model, eval, config, name="evaluation").rows
    dtype = activation_dtype(config)
    objective = Objective(model.config, largest, dtype, config.remat)
    runner = _Runner(model, rows, held_out, config, objective)
    members = []
    for setting in settings:
        members.append(runner.run(setting))
        if callback is not None:
            callback(members[-1].record)
    return members


class _Runner:
    """What the members share."""

    def __init__(
        self, model: Model, rows: Any, held_out: Any, config: TrainingConfig, objective: Objective
    ):
        self.model, self.rows, self.objective = model, rows, objective
        self.plan = Plan(rows, config, model, one_shape=True)
        self.scaled = _Scaled(objective)
        # The schedule's shape; its height is in the state.
        unit = dataclasses.replace(config, learning_rate=1.0)
        self.optimizer = optax.chain(make_optimizer(unit, self.plan.total_steps), scale_by_state())
        self.held_out = []
        if held_out is not None:
            self.held_out = [batch for batch, _ in batches_by_length(held_out, self.plan)]

    def run(self, config: TrainingConfig) -> SweepMember:
        """Train one member from its start to its end."""
        lora, largest = config.lora, self.objective.lora
        assert lora is not None
        assert largest is not None
        plan = Plan(self.rows, config, self.model, one_shape=True)
        scale = jnp.float32(lora.scale / largest.scale)
        frozen = {"params": self.model.params, "scale": scale}
        start = init_lora(self.model.params, lora, config.seed)
        state = start_state(self.optimizer, change_rank(start.weights, largest.rank))
        whole = (*state.optimizer[:-1], jnp.float32(config.learning_rate))
        state, sums = state._replace(optimizer=whole), None
        for step in range(plan.total_steps):
            state, sums = train_step(self.scaled, self.optimizer, state, frozen, plan.batches(step))
        record: Record = {
            "learning_rate": config.learning_rate,
            "rank": lora.rank,
            "seed": config.seed,
        }
        record |= self.objective.report(jax.device_get(sums))
        record["skipped_steps"] = int(state.skipped)
        if self.held_out:
            found = evaluate_loss(self.scaled, state.trainable, frozen, self.held_out)
            report = self.objective.report(jax.device_get(found))
            record |= {f"eval_{name}": value for name, value in report.items()}
        return SweepMember(record, Adapters(change_rank(state.trainable, lora.rank), lora))


def scale_by_state() -> optax.GradientTransformation:
    """Multiply updates by a number in the state, 1 at first."""
    return optax.GradientTransformation(
        lambda params: jnp.ones((), jnp.float32),
        lambda updates, state, params=None: (
            jax.tree.map(lambda leaf: leaf * state.astype(leaf.dtype), updates),
            state,
        ),
    )


def change_rank(weights: Any, rank: int) -> Any:
    """Adapters with rows of A and columns of B cut off, or zeros appended."""

    def change(path: Any, leaf: Float[Array, "..."]) -> Array:
        axis = {"lora_A": 1, "lora_B": 2}.get(path[-1].key)
        if axis is None:
            return leaf
        kept = jax.lax.slice_in_dim(leaf, 0, min(rank, leaf.shape[axis]), axis=axis)
        more = [(0, 0)] * leaf.ndim
        more[axis] = (0, rank - kept.shape[axis])
        return jnp.pad(kept, more)

    return jax.tree.map_with_path(change, weights)


def sweep_table(members: Sequence[SweepMember]) -> str:
    """The records as lines of text, best held-out loss (or else loss) first.

    Example:
        >>> from modelops_jax.models import Adapters, LoraConfig
        >>> record = {"learning_rate": 1e-3, "rank": 4, "seed": 0, "loss": 1.5}
        >>> print(sweep_table([SweepMember(record, Adapters({}, LoraConfig()))]))
        learning_rate  rank  seed    loss
                0.001     4     0  1.5000
    """
    names = list(members[0].record)
    by = "eval_loss" if "eval_loss" in names else "loss"
    ordered = sorted(members, key=lambda member: np.nan_to_num(member.record[by], nan=np.inf))
    lines = [
        [
            f"{value:.4f}" if isinstance(value, float) and name != "learning_rate" else f"{value:g}"
            for name, value in member.record.items()
        ]
        for member in ordered
    ]
    widths = [max(len(name), *(len(line[at]) for line in lines)) for at, name in enumerate(names)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in (names, *lines)
    )
