"""Which arrays of a model a run trains, and the model that both make again."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from modelops_jax.models import Adapters, LoraConfig, Params, init_lora, merge_lora

from ._config import TrainingConfig
from ._freeze import join_trees, split_frozen

# The head of a model with labels, which is trained in full beside adapters.
_HEAD = "score"


def divide(params: Params, config: TrainingConfig) -> tuple[Any, Any]:
    """The trained arrays and the frozen ones.

    With `config.lora` the trained ones are new adapters to all parameters, and the head for labels;
    without, they are float32 copies of the parameters that `config.freeze` does not name.
    """
    # Copies, because a step writes its result over its input. In bfloat16 most updates would be
    # too small to change a weight.
    copy = functools.partial(jax.tree.map, lambda leaf: jnp.copy(leaf).astype(jnp.float32))
    if config.lora is None:
        trained, frozen = split_frozen(params, config.freeze)
        return copy(trained), frozen
    adapters = init_lora(params, config.lora, config.seed).weights
    if _HEAD not in params:
        return adapters, params
    return {**adapters, _HEAD: copy(params[_HEAD])}, {"model": params["model"]}


def join(trainable: Any, frozen: Any, lora: LoraConfig | None) -> tuple[Params, Adapters | None]:
    """The parameters that what `divide` gave is of, and the adapters to them."""
    if lora is None:
        return join_trees(trainable, frozen or {}), None
    low_rank = dict(trainable)
    head = low_rank.pop(_HEAD, None)
    params = frozen if head is None else {**frozen, _HEAD: head}
    return params, Adapters(low_rank, lora, head)


def unite(trainable: Any, frozen: Any, config: TrainingConfig) -> Params:
    """The parameters that what `divide` gave is of, adapters merged into them."""
    params, adapters = join(trainable, frozen, config.lora)
    return params if adapters is None else merge_lora(params, adapters)
