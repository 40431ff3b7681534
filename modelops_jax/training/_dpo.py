"""Direct preference optimisation: the better answer over the worse one, against a reference.

Source: Rafailov et al., "Direct Preference Optimization: Your Language Model is Secretly a Reward
Model", 2023.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from modelops_jax.models import DecoderConfig, Params, score_targets

from ._batches import Batch
from ._loss import LossSums, sums_of
from ._toml import check_fields


@dataclasses.dataclass(frozen=True)
class DpoLoss:
    """-log sigmoid(r_chosen - r_rejected) of each pair, with r = beta * (log p - log p_reference).

    log p is of the whole answer: the sum over its tokens, the one that ends it included. A pair is
    a sequence of two rows, the chosen answer's first; the batch's `values` are the log-likelihoods
    of the targets under the reference, which is the base model.

    `TrainingConfig.learning_rate` is 2e-4 by default whatever is learned, which is much where all
    weights of a large model are trained on preferences: TRL's default for those is 1e-6.

    Args:
        beta: How dear it is to move away from the reference.

    Raises:
        ValueError: `beta` is no number, or not positive and finite.

    Example:
        >>> from modelops_jax.training import DpoLoss, TrainingConfig
        >>> TrainingConfig(dpo=DpoLoss(beta=0.2)).dpo
        DpoLoss(beta=0.2)
    """

    beta: float = 0.1

    # Named as in TRL.
    directions = {  # noqa: RUF012
        "rewards/chosen": True,
        "rewards/rejected": False,
        "rewards/margins": True,
        "rewards/accuracies": True,
    }

    def __post_init__(self):
        check_fields(self, "dpo.")
        if not 0 < self.beta < float("inf"):
            raise ValueError(f"dpo.beta must be positive and finite, found {self.beta}")

    def __call__(
        self,
        params: Params,
        config: DecoderConfig,
        states: Float[Array, "targets width"],
        batch: Batch,
    ) -> tuple[Float[Array, ""], LossSums]:
        """The sum to differentiate, and all sums, from the states that predict the answers."""
        scores = score_targets(params, config, states, jnp.asarray(batch.targets))
        used = jnp.asarray(batch.weight) == 1
        gains = jnp.where(used, scores.log_likelihood - jnp.asarray(batch.values), 0.0)
        pairs, tokens = batch.token_ids.shape
        pair = jnp.asarray(batch.at) // tokens
        is_rejected = jnp.asarray(batch.segment_ids).reshape(-1)[batch.at] != 1
        sums = jnp.zeros((pairs, 2), jnp.float32)
        rewards = self.beta * sums.at[pair, is_rejected.astype(jnp.int32)].add(gains)
        real = jnp.zeros((pairs,), jnp.int32).at[pair].add(used.astype(jnp.int32)) > 0
        chosen, rejected = rewards[:, 0], rewards[:, 1]
        margins = chosen - rejected
        losses = -jax.nn.log_sigmoid(margins)
        # Those of padding are 0.
        return sums_of(
            losses,
            real,
            chosen=chosen.sum(),
            rejected=rejected.sum(),
            correct=(margins > 0).sum(dtype=jnp.int32),
        )

    def report(self, sums: LossSums) -> dict[str, float]:
        """What a record says beside the loss, from fetched sums."""
        count = int(sums.units)
        chosen, rejected = (float(sums.totals[name]) / count for name in ("chosen", "rejected"))
        return {
            "rewards/chosen": chosen,
            "rewards/rejected": rejected,
            "rewards/margins": chosen - rejected,
            "rewards/accuracies": int(sums.totals["correct"]) / count,
        }
