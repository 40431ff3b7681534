"""Which arrays of a model a run trains, and the model that both make again."""

from typing import Any

from modelops_jax.models import Adapters, Params, init_lora, merge_lora

from ._config import TrainingConfig
from ._freeze import join_trees, split_frozen


def divide(params: Params, config: TrainingConfig) -> tuple[Any, Any]:
    """The trained arrays and the frozen ones.

    With `config.lora` the trained ones are new adapters to all parameters; without, they are the
    parameters that `config.freeze` does not name.
    """
    if config.lora is None:
        return split_frozen(params, config.freeze)
    return init_lora(params, config.lora, config.seed).weights, params


def unite(trainable: Any, frozen: Any, config: TrainingConfig) -> Params:
    """The parameters that what `divide` gave is of, adapters merged into them."""
    if config.lora is None:
        return join_trees(trainable, frozen)
    return merge_lora(frozen, Adapters(trainable, config.lora))
