"""Which rows every step of a run trains on, known before its first step."""

import itertools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Float32, Int

from modelops_jax.models import Description, Model

from ._batch_shapes import tokens_worth_a_shape
from ._batches import Batch, Batches, TokenCounts, cut, epoch_batches, shared_prefix
from ._config import TrainingConfig
from ._sequences import Sequences, pack_rows
from ._tokenized import TokenizedDataset

# Steps whose batches decide the shapes. A longer run has others like them, and time for padding.
SAMPLED_STEPS = 2048
# More padded tokens than any run has: no second shape is worth so many.
NEVER_WORTH_IT = 1 << 62


class Plan:
    """Which rows every step of a run trains on, and in which shapes.

    Args:
        train: Tokenised rows; of pairs with `config.dpo`.
        config: Of the run.
        model: For its size, its context and its padding.
        values: A number for each target, where the objective has them.
        one_shape: Give all batches one shape, which runs with another seed have too.
    """

    def __init__(
        self,
        train: TokenizedDataset,
        config: TrainingConfig,
        model: Model | Description,
        *,
        values: Float32[np.ndarray, " targets"] | None = None,
        one_shape: bool = False,
    ):
        self.train, self.config = train, config
        parameters = sum(leaf.size for leaf in jax.tree.leaves(model.params))
        self.batching: dict[str, Any] = {
            "pad_id": model.tokenizer.pad_id,
            "worth": tokens_worth_a_shape(parameters),
            # Devices divide rows, and could not divide tokens of rows of any length.
            "compact": config.mesh is None,
        }
        drops = config.lora is not None and config.lora.dropout > 0
        # What all rows begin with is computed once, and would be dropped alike in all of them.
        self.context = model.config.max_position
        self.sequences = sequences_of(train, config, self.context, whole=drops)
        self._lengths, self._real = (
            self.sequences.sums(lengths)
            for lengths in (train.lengths - self.sequences.prefix, train.lengths)
        )
        # Never more padded sequences in a micro-batch than there are real ones, and devices.
        wanted = config.micro_batch_size or config.batch_size
        self.rows = min(wanted, config.batch_size, len(self.sequences))
        self.shards = config.mesh.row_shards if config.mesh else 1
        self.epoch_steps = -(-len(self.sequences) // config.batch_size)
        steps = config.epochs * self.epoch_steps
        self.total_steps = min(steps, config.max_steps or steps)
        self._order: tuple[int, list[Int[np.ndarray, " batch"]]] = (-1, [])
        batching: dict[str, Any] = {"worth": NEVER_WORTH_IT} if one_shape else {}
        self._batches = Batches(
            train,
            self._seen_groups(),
            size=self.padded(self.rows),
            others=one_shape or self.total_steps > SAMPLED_STEPS,
            sequences=self.sequences,
            dropout_seed=config.seed if drops else None,
            values=values,
            **self.batching | batching,
        )

    @property
    def accumulates(self) -> bool:
        """Whether a whole step has several micro-batches."""
        return self.rows < min(self.config.batch_size, len(self.sequences))

    def batches(self, step: int) -> list[Batch]:
        """The micro-batches of a step, counted from 0."""
        epoch = step // self.epoch_steps
        return [self._batches.make(group, epoch) for group in self._groups(step)]

    def padded(self, rows: int) -> int:
        """Rows of a batch that the devices divide evenly."""
        return -(-rows // self.shards) * self.shards

    def tokens(self, step: int) -> int:
        """Number of real tokens that a step trains on."""
        return sum(int(self._real[group].sum()) for group in self._groups(step))

    def token_counts(self) -> TokenCounts:
        """What the batches of the run hold; of its first 2,048 steps if it has more."""
        return self._batches.count(self._seen_groups())

    def used_sequences(self) -> Int[np.ndarray, " sequences"]:
        """Those that the steps of the run train on: all of them, if it has a whole epoch."""
        if self.total_steps >= self.epoch_steps:
            return np.arange(len(self.sequences))
        groups = itertools.chain.from_iterable(map(self._groups, range(self.total_steps)))
        return np.unique(np.concatenate([np.asarray(group) for group in groups]))

    def largest_batch(self) -> Batch:
        """The largest batch of the run; of its first 2,048 steps if it has more."""
        return self._batches.largest(self._seen_groups())

    @property
    def sampled_share(self) -> float:
        """Share of the run's steps that `token_counts` and `largest_batch` look at."""
        return min(self.total_steps, SAMPLED_STEPS) / self.total_steps

    def _seen_groups(self) -> Iterator[list[int]]:
        seen = range(min(self.total_steps, SAMPLED_STEPS))
        return itertools.chain.from_iterable(map(self._groups, seen))

    def _groups(self, step: int) -> list[list[int]]:
        """Indices of the sequences of each micro-batch of a step."""
        epoch, at = divmod(step, self.epoch_steps)
        if self._order[0] != epoch:
            order = epoch_batches(
                self._lengths, self.config.batch_size, seed=self.config.seed, epoch=epoch
            )
            self._order = (epoch, order)
        return cut(self._order[1][at].tolist(), self.rows)


def sequences_of(
    dataset: TokenizedDataset, config: TrainingConfig, context: int, *, whole: bool = False
) -> Sequences:
    """Each row as a sequence of its own, or pairs, or several packed, as the configuration asks.

    Args:
        dataset: Tokenised rows.
        config: Of the run.
        context: The model's longest sequence, in tokens.
        whole: Leave no shared beginning out.
    """
    alone = config.batch_size == 1 and not config.packing
    prefix = 0 if whole or alone else shared_prefix(dataset)
    if config.dpo is not None:
        return Sequences.of_pairs(len(dataset), prefix)
    if not config.packing:
        return Sequences.of_single_rows(len(dataset), prefix)
    length = config.sequence_length(context)
    return pack_rows(dataset.lengths, length, prefix=prefix, seed=config.seed)


def batches_by_length(
    rows: TokenizedDataset,
    plan: Plan,
    *,
    values: Float32[np.ndarray, " targets"] | None = None,
    only: Int[np.ndarray, " sequences"] | None = None,
) -> list[tuple[Batch, list[int]]]:
    """Rows in batches with others of like length, nothing dropped, and which rows are in each.

    Args:
        rows: Tokenised rows, held-out ones or those of the plan.
        plan: Of the run.
        values: A number for each target, where the objective has them.
        only: Sequences to read; all by default.
    """
    batches, groups = groups_by_length(rows, plan, values=values, only=only)
    sequences = batches.sequences
    members = [[row for index in group for row in sequences[index]] for group in groups]
    return list(zip(map(batches.make, groups), members, strict=True))


def groups_by_length(
    rows: TokenizedDataset,
    plan: Plan,
    *,
    values: Float32[np.ndarray, " targets"] | None = None,
    only: Int[np.ndarray, " sequences"] | None = None,
) -> tuple[Batches, list[list[int]]]:
    """What makes the batches of `batches_by_length`, and the sequences of each."""
    sequences = sequences_of(rows, plan.config, plan.context)
    chosen = np.arange(len(sequences)) if only is None else only
    by_length = chosen[np.argsort(sequences.sums(rows.lengths)[chosen], kind="stable")].tolist()
    size = min(plan.config.batch_size, len(by_length))
    groups, size = cut(by_length, size), plan.padded(size)
    batches = Batches(rows, groups, size=size, sequences=sequences, values=values, **plan.batching)
    return batches, groups
