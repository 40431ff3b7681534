"""Which arrays of a model a run trains, and the model that both make again."""

from typing import Any

import jax
import jax.numpy as jnp

from modelops_jax.models import Adapters, Params, init_lora, merge_lora

from ._config import TrainingConfig
from ._freeze import join_trees, split_frozen


def divide(params: Params, config: TrainingConfig) -> tuple[Any, Any]:
    """The trained arrays and the frozen ones.

    With `config.lora` the trained ones are new adapters to all parameters; without, they are the
    parameters that `config.freeze` does not name. They are float32 whatever the model is stored as:
    in bfloat16 most updates would be too small to change a weight.
    """
    if config.lora is None:
        trainable, frozen = split_frozen(params, config.freeze)
        return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), trainable), frozen
    return init_lora(params, config.lora, config.seed).weights, params


def unite(trainable: Any, frozen: Any, config: TrainingConfig) -> Params:
    """The parameters that what `divide` gave is of, adapters merged into them."""
    if config.lora is None:
        return join_trees(trainable, frozen)
    return merge_lora(frozen, Adapters(trainable, config.lora))
