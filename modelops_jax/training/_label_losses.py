"""Losses of models that read a text: of a class, and of a value."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from modelops_jax.metrics import compute_counts, metric
from modelops_jax.models import DecoderConfig, Params, label_logits

from ._batches import Batch
from ._loss import LossSums, sums_of


@dataclasses.dataclass(frozen=True)
class ClassificationLoss:
    """Cross entropy (nats) of the rows' classes, whose indices are the batch's `values`.

    The rows are counted by their class and the one found likeliest; metrics of the table follow
    from these counts, whatever batches they came in.
    """

    directions = {"accuracy": True, "macro_f1": True}  # noqa: RUF012

    def __call__(
        self,
        params: Params,
        config: DecoderConfig,
        states: Float[Array, "rows width"],
        batch: Batch,
    ) -> tuple[Float[Array, ""], LossSums]:
        """The sum to differentiate, and all sums, from the states of the rows' last tokens."""
        logits = label_logits(params, states)
        labels = jnp.asarray(batch.values).astype(jnp.int32)
        used = jnp.asarray(batch.weight) == 1
        chosen = jnp.take_along_axis(logits, labels[:, None], axis=-1)[:, 0]
        found = jnp.argmax(logits, axis=-1).astype(jnp.int32)
        counts = jnp.zeros((logits.shape[-1],) * 2, jnp.int32)
        counts = counts.at[labels, found].add(used.astype(jnp.int32))
        return sums_of(jax.nn.logsumexp(logits, axis=-1) - chosen, used, counts=counts)

    def report(self, sums: LossSums) -> dict[str, float]:
        """What a record says beside the loss, from fetched sums."""
        counts = np.asarray(sums.totals["counts"])
        classes = len(counts)
        true, found = (index.reshape(-1) for index in np.indices(counts.shape))
        wanted = {
            "accuracy": metric("accuracy_score", num_classes=classes),
            "macro_f1": metric("f1_score", average="macro", num_classes=classes),
        }
        values = compute_counts(wanted, true, found, counts.reshape(-1)).values
        return {name: float(value) for name, value in values.items()}


@dataclasses.dataclass(frozen=True)
class RegressionLoss:
    """Squared error of the rows' values, which are the batch's `values`."""

    directions = {"mean_squared_error": False, "mean_absolute_error": False}  # noqa: RUF012

    def __call__(
        self,
        params: Params,
        config: DecoderConfig,
        states: Float[Array, "rows width"],
        batch: Batch,
    ) -> tuple[Float[Array, ""], LossSums]:
        """The sum to differentiate, and all sums, from the states of the rows' last tokens."""
        used = jnp.asarray(batch.weight) == 1
        errors = jnp.where(used, label_logits(params, states)[:, 0] - jnp.asarray(batch.values), 0)
        return sums_of(jnp.square(errors), used, absolute=jnp.abs(errors).sum())

    def report(self, sums: LossSums) -> dict[str, float]:
        """What a record says beside the loss, from fetched sums."""
        count = int(sums.units)
        return {
            "mean_squared_error": float(sums.loss) / count,
            "mean_absolute_error": float(sums.totals["absolute"]) / count,
        }
