"""AdamW with warm-up, cosine and clipping, built from optax."""

from typing import Any

import jax
import optax

from ._config import TrainingConfig


def learning_rate_schedule(config: TrainingConfig, total_steps: int) -> optax.Schedule:
    """Linear from 0 to the peak over the warm-up, then a cosine to the final share of it.

    The rate of step s (from 0) is that of s + 1 in the warm-up, so that no step is wasted at 0.

    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2016.
    """
    warmup = min(config.warmup_steps, total_steps)
    decay = optax.cosine_decay_schedule(
        config.learning_rate, max(total_steps - warmup, 1), config.final_rate_ratio
    )
    if not warmup:
        return decay
    rise = optax.linear_schedule(config.learning_rate / warmup, config.learning_rate, warmup - 1)
    return optax.join_schedules([rise, decay], [warmup])


def make_optimizer(config: TrainingConfig, total_steps: int) -> optax.GradientTransformation:
    """Clip by the global norm, then AdamW; weight decay spares norms, biases and other vectors.

    Args:
        config: Rates, decays and the norm.
        total_steps: Length of the schedule.

    Returns:
        An optax transformation whose state and updates have the parameters' tree.
    """

    def matrices(params: Any) -> Any:
        # Layers are stacked on axis 0, so that a vector of each has two axes and a matrix three;
        # the embedding and the head, not stacked, are matrices with two.
        def is_matrix(path: Any, leaf: Any) -> bool:
            name = jax.tree_util.keystr(path)
            return "norm" not in name and "bias" not in name and leaf.ndim >= 2

        return jax.tree.map_with_path(is_matrix, params)

    return optax.chain(
        optax.clip_by_global_norm(config.max_grad_norm),
        optax.adamw(
            learning_rate_schedule(config, total_steps),
            b1=config.adam_b1,
            b2=config.adam_b2,
            eps=config.adam_epsilon,
            weight_decay=config.weight_decay,
            mask=matrices,
        ),
    )
