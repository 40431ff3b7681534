"""Which rows every step of a run trains on, known before its first step."""

import hashlib
import itertools
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from modelops_jax.models import Model

from ._batch_shapes import tokens_worth_a_shape
from ._batches import Batch, Batches, cut, epoch_batches
from ._config import TrainingConfig
from ._tokenized import TokenizedDataset, row_lengths

# Steps whose batches decide the shapes. A longer run has others like them, and time for padding.
SAMPLED_STEPS = 2048


class Plan:
    """Which rows every step of a run trains on, and in which shapes."""

    def __init__(self, train: TokenizedDataset, config: TrainingConfig, model: Model):
        self.train, self.config = train, config
        parameters = sum(leaf.size for leaf in jax.tree.leaves(model.params))
        self.batching: dict[str, Any] = {
            "pad_id": model.tokenizer.pad_id,
            "worth": tokens_worth_a_shape(parameters),
        }
        # Never more padded rows in a micro-batch than there are real ones, and devices.
        wanted = config.micro_batch_size or config.batch_size
        self.rows = min(wanted, config.batch_size, len(train.rows))
        self.shards = config.mesh.row_shards if config.mesh else 1
        self.epoch_steps = -(-len(train.rows) // config.batch_size)
        steps = config.epochs * self.epoch_steps
        self.total_steps = min(steps, config.max_steps or steps)
        self._lengths = row_lengths(train)
        self._order: tuple[int, list[Int[np.ndarray, " rows"]]] = (-1, [])
        seen = range(min(self.total_steps, SAMPLED_STEPS))
        groups = itertools.chain.from_iterable(map(self._groups, seen))
        others = self.total_steps > SAMPLED_STEPS
        drops = config.lora is not None and config.lora.dropout > 0
        self._batches = Batches(
            train,
            groups,
            size=self.padded(self.rows),
            others=others,
            dropout_seed=config.seed if drops else None,
            **self.batching,
        )

    def batches(self, step: int) -> list[Batch]:
        """The micro-batches of a step, counted from 0."""
        epoch = step // self.epoch_steps
        return [self._batches.make(group, epoch) for group in self._groups(step)]

    def padded(self, rows: int) -> int:
        """Rows of a batch that the devices divide evenly."""
        return -(-rows // self.shards) * self.shards

    @property
    def fingerprint(self) -> str:
        """Of the tokenised rows, so that a run is not continued on others."""
        digest = hashlib.sha256()
        for row in self.train.rows:
            digest.update(np.int64(len(row.token_ids)).tobytes())
            digest.update(row.token_ids.tobytes() + row.trained.tobytes())
        return digest.hexdigest()

    def tokens(self, step: int) -> int:
        """Number of real tokens that a step trains on."""
        return sum(int(self._lengths[group].sum()) for group in self._groups(step))

    def _groups(self, step: int) -> list[list[int]]:
        """Indices of the rows of each micro-batch of a step."""
        epoch, at = divmod(step, self.epoch_steps)
        if self._order[0] != epoch:
            order = epoch_batches(
                self.train, self.config.batch_size, seed=self.config.seed, epoch=epoch
            )
            self._order = (epoch, order)
        return cut(self._order[1][at].tolist(), self.rows)


def evaluation_batches(held_out: TokenizedDataset, plan: Plan) -> list[Batch]:
    """All held-out rows, those of like length together."""
    by_length = np.argsort(row_lengths(held_out), kind="stable").tolist()
    size = min(plan.config.batch_size, len(by_length))
    groups = cut(by_length, size)
    batches = Batches(held_out, groups, size=plan.padded(size), **plan.batching)
    return [batches.make(group) for group in groups]
