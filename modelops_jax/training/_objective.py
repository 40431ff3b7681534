"""From weights and a batch to the loss: one forward pass, whatever the loss is of."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from modelops_jax.models import Adapters, DecoderConfig, LoraConfig, Params, forward

from ._batches import Batch
from ._config import TrainingConfig
from ._freeze import join_trees
from ._loss import LossSums, NextTokenLoss

NEXT_TOKEN = NextTokenLoss()


def activation_dtype(config: TrainingConfig) -> Any:
    """Type of activations and matrix products: `config.compute_dtype`, and what "auto" means here.

    A CPU without units for bfloat16 multiplies it no faster than float32.
    """
    if config.compute_dtype == "auto":
        return jnp.dtype(jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16)
    return jnp.dtype(config.compute_dtype)


@dataclasses.dataclass(frozen=True)
class Objective:
    """How trained and frozen weights make the loss.

    With `lora` the trained weights are adapters to the frozen ones; without one, both
    together are the parameters, and None is frozen in full fine-tuning.

    Args:
        config: The architecture.
        lora: What the adapters were made by, or None.
        dtype: Type of the activations.
        remat: See `modelops_jax.models.forward`.
        loss: From the states at `batch.at` to the sum to differentiate, and all sums.
    """

    config: DecoderConfig
    lora: LoraConfig | None
    dtype: Any
    remat: str
    loss: NextTokenLoss = NEXT_TOKEN

    def __call__(
        self, trainable: Any, frozen: Params | None, batch: Batch
    ) -> tuple[Float[Array, ""], LossSums]:
        """The summed loss of a batch, and all its sums."""
        if self.lora is None:
            params, adapters = join_trees(trainable, frozen or {}), None
        else:
            assert frozen is not None
            params, adapters = frozen, Adapters(trainable, self.lora)
        hidden, _ = forward(
            params,
            self.config,
            jnp.asarray(batch.token_ids),
            segment_ids=jnp.asarray(batch.segment_ids),
            positions=jnp.asarray(batch.positions),
            prefix_ids=jnp.asarray(batch.prefix_ids),
            adapters=adapters,
            dropout=jnp.asarray(batch.dropout) if batch.dropout.size else None,
            dtype=self.dtype,
            remat=self.remat,
        )
        states = hidden.reshape(-1, hidden.shape[-1])[batch.at]
        return self.loss(params, self.config, states, batch)

    def report(self, sums: LossSums) -> dict[str, float]:
        """What a record says of fetched sums: the mean loss, and what else the loss reports."""
        return {"loss": float(sums.loss) / int(sums.count)} | self.loss.report(sums)
