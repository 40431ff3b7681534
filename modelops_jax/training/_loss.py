"""The loss as sums over its own unit - trained tokens, rows or pairs - never as a mean."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from modelops_jax.models import DecoderConfig, Params, sum_log_likelihood

from ._batches import Batch


class LossSums(NamedTuple):
    """Sums over the units of a batch: trained tokens, rows or pairs.

    A mean of such sums over batches, devices or accumulation steps is exact only if it is taken
    once, at the end, from the sums and their number of units. `worst` is the largest loss of a
    unit; `totals` are the objective's further sums, by name.
    """

    loss: Float[Array, ""]
    units: Int[Array, ""]
    worst: Float[Array, ""]
    totals: dict[str, Array]


# (trained weights, frozen weights, batch) -> the summed loss, and all sums. It is a static
# argument of compiled functions, so equal ones have to compare and hash as equal.
LossFunction = Callable[[Any, Any, Any], tuple[Array, LossSums]]


def add_sums(left: LossSums, right: LossSums) -> LossSums:
    """The sums over the units of both."""
    total = jax.tree.map(jnp.add, left, right)
    return total._replace(worst=jnp.maximum(left.worst, right.worst))


def sums_of(losses: Float[Array, " units"], used: Any, **totals: Array) -> tuple[Array, LossSums]:
    """What a loss returns: the sum to differentiate, and all sums.

    Args:
        losses: Loss of each unit.
        used: Which of them are no padding.
        totals: The objective's further sums.
    """
    losses = jnp.where(used, losses, 0.0)
    total = losses.sum()
    units = used.sum(dtype=jnp.int32)
    return total, jax.lax.stop_gradient(LossSums(total, units, losses.max(), totals))


@dataclasses.dataclass(frozen=True)
class NextTokenLoss:
    """Cross entropy (nats) of the trained tokens.

    Logits are formed only for trained tokens, in chunks, and once.
    """

    # What is reported, and whether higher is better.
    directions = {"token_accuracy": True}  # noqa: RUF012

    def __call__(
        self,
        params: Params,
        config: DecoderConfig,
        states: Float[Array, "targets width"],
        batch: Batch,
    ) -> tuple[Float[Array, ""], LossSums]:
        """The sum to differentiate, and all sums, from the states that predict the targets."""
        targets, used = jnp.asarray(batch.targets), jnp.asarray(batch.weight) == 1
        total, scores = sum_log_likelihood(params, config, states, targets, used)
        correct = (used & scores.is_top).sum(dtype=jnp.int32)
        return -total, sums_of(-scores.log_likelihood, used, correct=correct)[1]

    def report(self, sums: LossSums) -> dict[str, float]:
        """What a record says beside the loss, from fetched sums."""
        return {"token_accuracy": int(sums.totals["correct"]) / int(sums.units)}
