"""From weights and a batch to the loss: one forward pass, whatever the loss is of."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from modelops_jax.models import (
    Adapters,
    DecoderConfig,
    Description,
    LoraConfig,
    Model,
    Params,
    forward,
)

from ._batches import Batch
from ._config import TrainingConfig
from ._divide import join
from ._dpo import DpoLoss
from ._label_losses import ClassificationLoss, RegressionLoss
from ._loss import LossSums, NextTokenLoss
from ._remat import choose_remat

Loss = NextTokenLoss | ClassificationLoss | RegressionLoss | DpoLoss
NEXT_TOKEN = NextTokenLoss()
# Layers that a CPU runs faster one by one; more take longer to compile than they save.
MOST_UNROLLED = 8


def loss_of(model: Model | Description, config: TrainingConfig) -> Loss:
    """What the model and the configuration ask for.

    Raises:
        ValueError: They ask for two things at once, or for something the loss cannot use.
    """
    labels = model.config.labels
    if not labels:
        return config.dpo or NEXT_TOKEN
    others = {"dpo": config.dpo, "generate": config.generate}
    for name, value in others.items():
        if value is not None:
            raise ValueError(
                f"training.{name} needs a language model; this one reads texts (labels: "
                f"{', '.join(labels)})"
            )
    if config.train_on != "assistant":
        raise ValueError(
            f"training.train_on is {config.train_on!r}; a model with labels is trained on them"
        )
    return RegressionLoss() if len(labels) == 1 else ClassificationLoss()


def _unrolls(config: DecoderConfig, remat: str) -> bool:
    # Unrolled, XLA would find what is computed again and keep it after all.
    return remat == "none" and config.num_layers <= MOST_UNROLLED and jax.default_backend() == "cpu"


def target_states(
    params: Params,
    adapters: Adapters | None,
    config: DecoderConfig,
    batch: Batch,
    *,
    dtype: Any,
    remat: Any,
) -> Float[Array, "targets width"]:
    """The states at `batch.at`, which say something about the targets."""
    remat = choose_remat(remat, config, batch.places, dtype)
    hidden, _ = forward(
        params,
        config,
        jnp.asarray(batch.token_ids),
        segment_ids=jnp.asarray(batch.segment_ids),
        positions=jnp.asarray(batch.positions),
        prefix_ids=jnp.asarray(batch.prefix_ids),
        adapters=adapters,
        dropout=jnp.asarray(batch.dropout) if batch.dropout.size else None,
        dtype=dtype,
        remat=remat,
        unroll=_unrolls(config, remat),
        computed=jnp.asarray(batch.computed) if batch.computed.size else None,
    )
    return hidden.reshape(-1, hidden.shape[-1])[batch.at]


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
        remat: See `TrainingConfig`.
        loss: From the states at `batch.at` to the sum to differentiate, and all sums.
    """

    config: DecoderConfig
    lora: LoraConfig | None
    dtype: Any
    remat: Any
    loss: Loss = NEXT_TOKEN

    def __call__(
        self, trainable: Any, frozen: Params | None, batch: Batch
    ) -> tuple[Float[Array, ""], LossSums]:
        """The summed loss of a batch, and all its sums."""
        params, adapters = join(trainable, frozen, self.lora)
        states = target_states(
            params, adapters, self.config, batch, dtype=self.dtype, remat=self.remat
        )
        return self.loss(params, self.config, states, batch)

    @property
    def directions(self) -> dict[str, bool]:
        """What is reported, and whether higher is better."""
        return {"loss": False} | self.loss.directions

    def report(self, sums: LossSums) -> dict[str, float]:
        """What a record says of fetched sums: the mean loss, and what else the loss reports."""
        return {"loss": float(sums.loss) / int(sums.units)} | self.loss.report(sums)
