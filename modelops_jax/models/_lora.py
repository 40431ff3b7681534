"""Low-rank adapters (LoRA): y = W x + (alpha / rank) B (A x), with W frozen.

DoRA also gives each row of the adapted weight a length of its own.

Sources: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021; Liu et al., "DoRA:
Weight-Decomposed Low-Rank Adaptation", 2024.
"""

import dataclasses
import fnmatch
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from modelops_jax._option_types import (
    require_flag,
    require_integer,
    require_names,
    require_number,
)

from ._dropout import Noise, drop
from ._product import exact_einsum, multiply

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")
LINEAR = ATTENTION + MLP
MAGNITUDE = "lora_magnitude_vector"
# What a policy of what to keep for the backward pass calls the results of products with weights.
LINEAR_NAME = "linear"
_TYPES = {
    "rank": require_integer,
    "alpha": require_number,
    "targets": require_names,
    "rank_stabilized": require_flag,
    "dora": require_flag,
    "dropout": require_number,
}


@dataclasses.dataclass(frozen=True)
class LoraConfig:
    """What to adapt, and how strongly.

    Args:
        rank: Inner width of the adapters.
        alpha: Numerator of the scale alpha / rank.
        targets: Patterns (`*`, `?`, `[...]`) over the names of the linear maps.
        rank_stabilized: Scale by alpha / sqrt(rank) instead, so that a rate that suits one rank
            suits another (Kalajdzievski, "A Rank Stabilization Scaling Factor for Fine-Tuning
            with LoRA", 2023).
        dora: Train the length of each row of the adapted weights as well.
        dropout: Chance of each input of the adapters to be left out in a step of training.

    Raises:
        TypeError: A value is of another type.
        ValueError: `rank` or `alpha` is not positive and finite, `dropout` is not in [0, 1), or a
            pattern matches no linear map.

    Example:
        >>> from modelops_jax.models import LoraConfig
        >>> LoraConfig(targets=("q_*", "v_*")).names
        ('q_proj', 'v_proj')
    """

    rank: int = 16
    alpha: float = 32.0
    targets: tuple[str, ...] = ("*_proj",)
    rank_stabilized: bool = False
    dora: bool = False
    dropout: float = 0.0

    def __post_init__(self):
        for name, require in _TYPES.items():
            value = require(getattr(self, name), f"lora.{name}")
            object.__setattr__(self, name, value)
        if self.rank < 1:
            raise ValueError(f"lora.rank must be at least 1, found {self.rank}")
        if not 0 < self.alpha < float("inf"):
            raise ValueError(f"lora.alpha must be positive and finite, found {self.alpha}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"lora.dropout must be in [0, 1), found {self.dropout}")
        for pattern in self.targets:
            if not fnmatch.filter(LINEAR, pattern):
                raise ValueError(f"lora.targets: {pattern!r} matches none of {', '.join(LINEAR)}")
        if not self.targets:
            raise ValueError("lora.targets is empty: name at least one linear map to adapt")

    @property
    def scale(self) -> float:
        """What B A x is multiplied by."""
        return self.alpha / (self.rank**0.5 if self.rank_stabilized else self.rank)

    @property
    def names(self) -> tuple[str, ...]:
        """The linear maps that the patterns match."""
        return tuple(
            name
            for name in LINEAR
            if any(fnmatch.fnmatch(name, pattern) for pattern in self.targets)
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Adapters:
    """Adapter weights by block and name, stacked over layers, and what they were made as.

    `weights["self_attn"]["q_proj"]` holds `lora_A` of shape (L, rank, in), `lora_B` of shape
    (L, out, rank) and, for DoRA, `lora_magnitude_vector` of shape (L, out). `head` is what was
    trained beside them of a model with labels, whole: `weight` of shape (labels, width).
    """

    weights: dict[str, Any]
    config: LoraConfig = dataclasses.field(metadata={"static": True})
    head: dict[str, Any] | None = None

    @property
    def scale(self) -> float:
        """What B A x is multiplied by."""
        return self.config.scale


def init_lora(params: Mapping[str, Any], config: LoraConfig, seed: int) -> Adapters:
    """Adapters that change nothing yet: A uniform in +-1/sqrt(in), B zero, each row's own length.

    Args:
        params: The base model's parameter tree; with DoRA turned off, its tree of shapes will do.
        config: Rank, scale and targets.
        seed: The same seed gives the same adapters.

    Returns:
        Float32 adapters for every targeted linear map that the model has.

    Raises:
        ValueError: The model has none of the targets.
    """
    layers = params["model"]["layers"]
    random = np.random.Generator(np.random.Philox(seed))
    weights: dict[str, Any] = {}
    for block, names in (("self_attn", ATTENTION), ("mlp", MLP)):
        for name in names:
            if name not in config.names or name not in layers[block]:
                continue
            count, out, width = layers[block][name]["weight"].shape
            bound = width**-0.5
            start = random.uniform(-bound, bound, (count, config.rank, width))
            adapter = {
                "lora_A": jnp.asarray(start.astype(np.float32)),
                "lora_B": jnp.zeros((count, out, config.rank), jnp.float32),
            }
            if config.dora:
                weight = layers[block][name]["weight"]
                adapter[MAGNITUDE] = _row_norms(weight, adapter, config.scale)
            weights.setdefault(block, {})[name] = adapter
    if not weights:
        raise ValueError(
            f"lora.targets {', '.join(config.targets)} match no linear map of this model, which "
            f"has {', '.join(name for block in ('self_attn', 'mlp') for name in layers[block])}"
        )
    return Adapters(weights, config)


def project(
    x: Float[Array, "tokens in"],
    linears: Mapping[str, Any],
    names: tuple[str, ...],
    low_rank: Mapping[str, Any],
    scale: float,
    noise: Noise | None = None,
    *,
    appends: bool = False,
) -> list[Float[Array, "tokens _"]]:
    """The named linear maps of one input, W x + b, with their adapters.

    LoRA adds scale * B (A x) to W x; DoRA then multiplies by magnitude / ||W + scale * B A||, norms
    by row, which are constants to the gradient. Dropout is of the input of A alone and the same
    for all maps of one input. The A matrices of one input run as a single product: alone they are
    too narrow to be fast.

    Args:
        x: Input of all the maps.
        linears: `weight` (out, in), and `bias` where there is one, by name.
        names: The maps to compute.
        low_rank: One layer's adapters by name; maps may be missing.
        scale: What B A x is multiplied by.
        noise: Decides the dropout; None for none.
        appends: See `multiply`.
    """
    outputs = {
        name: multiply(x, linears[name]["weight"].astype(x.dtype), appends=appends)
        for name in names
    }
    adapted = [name for name in names if name in low_rank]
    if adapted:
        down = jnp.concatenate([low_rank[name]["lora_A"] for name in adapted]).astype(x.dtype)
        inner = exact_einsum("nd,rd->nr", drop(x, noise, LINEAR.index(names[0])), down)
        inner = checkpoint_name(inner, LINEAR_NAME) * scale
        for name, piece in zip(adapted, jnp.split(inner, len(adapted), axis=-1), strict=True):
            adapter = low_rank[name]
            up = exact_einsum("nr,or->no", piece, adapter["lora_B"].astype(x.dtype))
            outputs[name] = outputs[name] + up
    outputs = {name: checkpoint_name(y, LINEAR_NAME) for name, y in outputs.items()}
    for name in adapted:
        if MAGNITUDE in (adapter := low_rank[name]):
            norm = jax.lax.stop_gradient(_row_norms(linears[name]["weight"], adapter, scale))
            outputs[name] *= (adapter[MAGNITUDE] / norm).astype(x.dtype)[None]
    for name in names:
        if "bias" in linears[name]:
            outputs[name] = outputs[name] + linears[name]["bias"].astype(x.dtype)[None]
    return list(outputs.values())


def _row_norms(
    weight: Float[Array, "*layers out in"], adapter: Mapping[str, Any], scale: float
) -> Float[Array, "*layers out"]:
    """||W + scale * B A|| of each row, in float32, without forming a second matrix of W's size."""
    precise = partial(
        jnp.einsum, precision=jax.lax.Precision.HIGHEST, preferred_element_type=jnp.float32
    )
    weight = weight.astype(jnp.float32)
    down, up = adapter["lora_A"], adapter["lora_B"] * scale
    # ||w + u||^2 = ||w||^2 + 2 w.u + ||u||^2, and u = b A.
    mixed = 2 * precise("...od,...rd->...or", weight, down)
    mixed = mixed + precise("...or,...rs->...os", up, precise("...rd,...sd->...rs", down, down))
    squares = jnp.square(weight).sum(axis=-1) + (mixed * up).sum(axis=-1)
    return jnp.sqrt(jnp.maximum(squares, jnp.finfo(jnp.float32).tiny))


def merge_lora(params: Mapping[str, Any], adapters: Adapters) -> dict[str, Any]:
    """The base parameters with every adapter folded into its weight, and the head in its place.

    That is W + scale * B A, and for DoRA each of its rows at the length of its magnitude.

    Args:
        params: The base model's parameter tree; left as it is.
        adapters: Adapters made for that tree.

    Returns:
        A parameter tree of the same layout and dtypes; leaves without an adapter are shared.

    Raises:
        ValueError: The adapters have a head, and the parameters none.
    """
    if adapters.head is not None:
        if "score" not in params:
            raise ValueError(
                "the adapters have a head for labels, the parameters none; "
                "model.with_labels(...) makes a place for it"
            )
        kind = params["score"]["weight"].dtype
        params = {**params, "score": {"weight": adapters.head["weight"].astype(kind)}}
    layers = dict(params["model"]["layers"])
    for block, by_name in adapters.weights.items():
        layers[block] = dict(layers[block])
        for name, adapter in by_name.items():
            merged = _merged(layers[block][name]["weight"], adapter, scale=adapters.scale)
            layers[block][name] = {**layers[block][name], "weight": merged}
    return {**params, "model": {**params["model"], "layers": layers}}


# One program, which has no arrays between the weight and the merged one.
@partial(jax.jit, static_argnames="scale")
def _merged(
    weight: Float[Array, "layers out in"], adapter: Mapping[str, Any], scale: float
) -> Float[Array, "layers out in"]:
    low = (adapter["lora_B"], adapter["lora_A"])
    update = jnp.einsum("lor,lrd->lod", *low, precision=jax.lax.Precision.HIGHEST)
    merged = weight.astype(jnp.float32) + scale * update
    if MAGNITUDE in adapter:
        norm = _row_norms(weight, adapter, scale)
        merged = merged * (adapter[MAGNITUDE] / norm)[:, :, None]
    return merged.astype(weight.dtype)
