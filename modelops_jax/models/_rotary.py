"""Rotary positions: which angle each pair of a head's numbers turns by.

Source: Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from modelops_jax._option_types import require_number


@dataclasses.dataclass(frozen=True)
class LinearScaling:
    """Every rotary frequency divided by `factor`.

    Source: Chen et al., "Extending Context Window of Large Language Models via Positional
    Interpolation", 2023.

    Args:
        factor: How many times longer the context becomes.

    Raises:
        TypeError: `factor` is no number.
        ValueError: `factor` is not positive.
    """

    factor: float

    def __post_init__(self):
        if require_number(self.factor, "LinearScaling.factor") <= 0:
            raise ValueError(f"LinearScaling.factor must be positive, found {self.factor!r}")

    def divisors(self, frequencies: Float[np.ndarray, " half"]) -> Float[np.ndarray, " half"]:
        """What to divide each frequency (radians a token) by."""
        return np.full_like(frequencies, self.factor)


@dataclasses.dataclass(frozen=True)
class Llama3Scaling:
    """Slow rotary frequencies divided by `factor`, fast ones kept, and a ramp between them.

    A frequency that turns `n` times in the original context is divided by
    1 / ((1 - s) / factor + s), with s = (n - low) / (high - low) clipped to [0, 1].

    Source: Grattafiori et al., "The Llama 3 Herd of Models", 2024, and Meta's published code.

    Args:
        factor: How many times longer the context becomes.
        low_freq_factor: At most this many turns: divided by `factor`.
        high_freq_factor: At least this many turns: kept.
        original_max_position: The context of pretraining, in tokens.

    Raises:
        TypeError: A value is no number.
        ValueError: A number is not positive, or `low_freq_factor` is not below
            `high_freq_factor`.
    """

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_position: int

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if require_number(value, f"Llama3Scaling.{field.name}") <= 0:
                raise ValueError(f"Llama3Scaling.{field.name} must be positive, found {value!r}")
        if self.low_freq_factor >= self.high_freq_factor:
            raise ValueError(
                f"Llama3Scaling.low_freq_factor={self.low_freq_factor} must be below "
                f"high_freq_factor={self.high_freq_factor}"
            )

    def divisors(self, frequencies: Float[np.ndarray, " half"]) -> Float[np.ndarray, " half"]:
        """What to divide each frequency (radians a token) by."""
        turns = self.original_max_position * frequencies / (2 * np.pi)
        kept = (turns - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor)
        kept = np.clip(kept, 0.0, 1.0)
        return 1.0 / ((1.0 - kept) / self.factor + kept)


RopeScaling = LinearScaling | Llama3Scaling
"""How rotary frequencies are changed for contexts longer than those of pretraining."""


def rope_frequencies(
    head_dim: int, theta: float, scaling: RopeScaling | None
) -> Float[np.ndarray, " half"]:
    """Radians a token, theta^(-2i/head_dim) for i < head_dim / 2, scaled; float64.

    Args:
        head_dim: Width of one head.
        theta: Base of the frequencies.
        scaling: How they are changed, or None.
    """
    frequencies = float(theta) ** -(np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)
    return frequencies / scaling.divisors(frequencies) if scaling else frequencies


def rotary(
    positions: Int[Array, " tokens"], frequencies: Float[np.ndarray, " half"]
) -> tuple[Float[Array, "tokens half"], Float[Array, "tokens half"]]:
    """Cosines and sines of position * frequency."""
    angles = positions[:, None].astype(jnp.float32) * jnp.asarray(frequencies, jnp.float32)[None]
    return jnp.cos(angles), jnp.sin(angles)


def rotate_halves(
    x: Float[Array, "tokens heads head_dim"],
    cos: Float[Array, "tokens half"],
    sin: Float[Array, "tokens half"],
) -> Float[Array, "tokens heads head_dim"]:
    """Rotate the pairs (x[i], x[i + head_dim/2]): Hugging Face's half-split layout."""
    first, second = jnp.split(x, 2, axis=-1)
    cos, sin = cos[:, None, :].astype(x.dtype), sin[:, None, :].astype(x.dtype)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
