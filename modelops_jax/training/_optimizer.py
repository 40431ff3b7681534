"""Optimizers and schedules by name, built from optax."""

from typing import Any

import jax
import optax
from optax import contrib

from ._averaging import average_weights
from ._config import TrainingConfig
from ._in_place import ClippedRule

# Muon's updates scaled to the root mean square that AdamW's have, so that rates carry over: Liu
# et al., "Muon is Scalable for LLM Training", 2025.
MUON_RMS = 0.2
# Rules whose state does not depend on the weights.
OF_GRADIENTS_ALONE = ("adamw", "lion")


def learning_rate_schedule(config: TrainingConfig, total_steps: int) -> optax.Schedule:
    """Linear from 0 to the peak over the warm-up, then by `config.schedule` to the final share.

    The rate of step s (from 0) is that of s + 1 in the warm-up, so that no step is wasted at 0.

    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2016,
    for the cosine.
    """
    warmup = min(config.warmup_steps, total_steps)
    peak, length = config.learning_rate, max(total_steps - warmup, 1)
    after = {
        "cosine": lambda: optax.cosine_decay_schedule(peak, length, config.final_rate_ratio),
        "linear": lambda: optax.linear_schedule(peak, peak * config.final_rate_ratio, length),
        "constant": lambda: optax.constant_schedule(peak),
    }[config.schedule]()
    if not warmup:
        return after
    rise = optax.linear_schedule(peak / warmup, peak, warmup - 1)
    return optax.join_schedules([rise, after], [warmup])


def make_optimizer(config: TrainingConfig, total_steps: int) -> optax.GradientTransformation:
    """Clip by the global norm, then `config.optimizer`; weight decay spares norms and vectors.

    With `config.ema_decay` the state also has the moving average of the weights; `final_weights`
    finds what is to be evaluated.

    Args:
        config: Rule, rates, decays and the norm.
        total_steps: Length of the schedule.

    Returns:
        An optax transformation whose state and updates have the parameters' tree.
    """
    rate = learning_rate_schedule(config, total_steps)
    decay = config.weight_decay
    rule = {
        "adamw": lambda: optax.adamw(
            rate,
            b1=config.adam_b1,
            b2=config.adam_b2,
            eps=config.adam_epsilon,
            weight_decay=decay,
            mask=_matrices,
        ),
        "adafactor": lambda: optax.adafactor(rate),
        "lion": lambda: optax.lion(rate, weight_decay=decay, mask=_matrices),
        "muon": lambda: optax.chain(
            contrib.muon(
                -1.0,  # the rate comes after the decay, which muon's own would not mask
                adam_b1=config.adam_b1,
                adam_b2=config.adam_b2,
                muon_weight_dimension_numbers=_muon_axes,
                consistent_rms=MUON_RMS,
            ),
            optax.add_decayed_weights(decay, _matrices),
            optax.scale_by_learning_rate(rate),
        ),
        "sgd": lambda: optax.chain(
            optax.add_decayed_weights(decay, _matrices), optax.sgd(rate, momentum=0.9)
        ),
        "schedule_free_adamw": lambda: contrib.schedule_free(
            optax.chain(
                optax.scale_by_rms(
                    config.adam_b2, config.adam_epsilon, eps_in_sqrt=False, bias_correction=True
                ),
                optax.add_decayed_weights(decay, _matrices),
                optax.scale_by_learning_rate(rate),
            ),
            rate,
            b1=config.adam_b1,
        ),
    }[config.optimizer]()
    if config.ema_decay is not None:
        rule = optax.chain(rule, average_weights(config.ema_decay))
    elif config.optimizer in OF_GRADIENTS_ALONE:
        return ClippedRule.of(rule, config.max_grad_norm)
    return optax.chain(optax.clip_by_global_norm(config.max_grad_norm), rule)


def _matrices(params: Any) -> Any:
    # Layers are stacked on axis 0, so that a vector of each has two axes and a matrix three;
    # the embedding and the head, not stacked, are matrices with two.
    def is_matrix(path: Any, leaf: Any) -> bool:
        name = jax.tree_util.keystr(path)
        vector = any(word in name for word in ("norm", "bias", "magnitude"))
        return not vector and leaf.ndim >= 2

    return jax.tree.map_with_path(is_matrix, params)


def _muon_axes(params: Any) -> Any:
    """Matrices inside the layers; embeddings, the head and vectors are left to AdamW."""
    matrix = contrib.MuonDimensionNumbers(reduction_axis=2, output_axis=1)
    return jax.tree.map(lambda leaf: matrix if leaf.ndim == 3 else None, params)
