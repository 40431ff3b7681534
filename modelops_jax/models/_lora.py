"""Low-rank adapters (LoRA): y = W x + (alpha / rank) B (A x), with W frozen.

Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021.
"""

import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")


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

    Raises:
        ValueError: `rank` or `alpha` is not positive, or a pattern matches no linear map.

    Example:
        >>> from modelops_jax.models import LoraConfig
        >>> LoraConfig(targets=("q_*", "v_*")).names
        ('q_proj', 'v_proj')
    """

    rank: int = 16
    alpha: float = 32.0
    targets: tuple[str, ...] = ("*_proj",)
    rank_stabilized: bool = False

    def __post_init__(self):
        if self.rank < 1:
            raise ValueError(f"lora.rank must be at least 1, found {self.rank}")
        if self.alpha <= 0:
            raise ValueError(f"lora.alpha must be positive, found {self.alpha}")
        for pattern in self.targets:
            if not fnmatch.filter(ATTENTION + MLP, pattern):
                raise ValueError(
                    f"lora.targets: {pattern!r} matches none of {', '.join(ATTENTION + MLP)}"
                )
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
            for name in ATTENTION + MLP
            if any(fnmatch.fnmatch(name, pattern) for pattern in self.targets)
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Adapters:
    """Adapter weights by block and name, stacked over layers, and their common scale.

    `weights["self_attn"]["q_proj"]` holds `lora_A` of shape (L, rank, in) and `lora_B` of shape
    (L, out, rank).
    """

    weights: dict[str, Any]
    scale: float = dataclasses.field(metadata={"static": True})


def init_lora(params: Mapping[str, Any], config: LoraConfig, seed: int) -> Adapters:
    """Adapters that change nothing yet: A uniform in +-1/sqrt(in), B zero.

    Args:
        params: The base model's parameter tree, or its tree of shapes.
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
            weights.setdefault(block, {})[name] = {
                "lora_A": jnp.asarray(start.astype(np.float32)),
                "lora_B": jnp.zeros((count, out, config.rank), jnp.float32),
            }
    if not weights:
        raise ValueError(
            f"lora.targets {', '.join(config.targets)} match no linear map of this model, which "
            f"has {', '.join(name for block in ('self_attn', 'mlp') for name in layers[block])}"
        )
    return Adapters(weights, config.scale)


def add_low_rank(
    x: Float[Array, "tokens in"],
    outputs: Sequence[Float[Array, "tokens _"]],
    names: tuple[str, ...],
    adapters: Mapping[str, Any],
    scale: float,
) -> list[Float[Array, "tokens _"]]:
    """Add scale * B (A x) to each named output that has an adapter in this layer's slice.

    The A matrices of one input run as a single product: alone they are too narrow to be fast.
    """
    adapted = [name for name in names if name in adapters]
    if not adapted:
        return list(outputs)
    down = jnp.concatenate([adapters[name]["lora_A"] for name in adapted]).astype(x.dtype)
    inner = jnp.einsum("nd,rd->nr", x, down) * scale
    pieces = dict(zip(adapted, jnp.split(inner, len(adapted), axis=-1), strict=True))
    return [
        output + jnp.einsum("nr,or->no", pieces[name], adapters[name]["lora_B"].astype(x.dtype))
        if name in pieces
        else output
        for name, output in zip(names, outputs, strict=True)
    ]


def merge_lora(params: Mapping[str, Any], adapters: Adapters) -> dict[str, Any]:
    """The base parameters with every adapter folded into its weight: W + scale * B A.

    Args:
        params: The base model's parameter tree; left as it is.
        adapters: Adapters made for that tree.

    Returns:
        A parameter tree of the same layout and dtypes; leaves without an adapter are shared.
    """
    layers = dict(params["model"]["layers"])
    for block, by_name in adapters.weights.items():
        layers[block] = dict(layers[block])
        for name, pair in by_name.items():
            weight = layers[block][name]["weight"]
            update = jnp.einsum(
                "lor,lrd->lod", pair["lora_B"], pair["lora_A"], precision=jax.lax.Precision.HIGHEST
            )
            merged = weight.astype(jnp.float32) + adapters.scale * update
            layers[block][name] = {**layers[block][name], "weight": merged.astype(weight.dtype)}
    return {**params, "model": {**params["model"], "layers": layers}}
