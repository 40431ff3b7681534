"""Which arrays of a model a run trains, and the model that both make again."""

from typing import Any

import jax
import jax.numpy as jnp

from modelops_jax.models import Adapters, Params, init_lora, merge_lora

from ._config import TrainingConfig
from ._freeze import join_trees, split_frozen


def divide(params: Params, config: TrainingConfig) -> tuple[Any, Any]:
    """The trained arrays and the frozen ones.

    With `config.lora` the trained ones are new adapters to all parameters; without, they are
    float32 copies of the parameters that `config.freeze` does not name.
    """
    if config.lora is None:
        trained, frozen = split_frozen(params, config.freeze)
        # Copies, because a step writes its result over its input. In bfloat16 most updates would
        # be too small to change a weight.
        return jax.tree.map(lambda leaf: jnp.copy(leaf).astype(jnp.float32), trained), frozen
    return init_lora(params, config.lora, config.seed).weights, params


def unite(trainable: Any, frozen: Any, config: TrainingConfig) -> Params:
    """The parameters that what `divide` gave is of, adapters merged into them."""
    if config.lora is None:
        return join_trees(trainable, frozen)
    return merge_lora(frozen, Adapters(trainable, config.lora))
