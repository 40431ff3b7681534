"""What is known of a model before its weights are read."""

import dataclasses
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._config import DecoderConfig
from ._errors import CheckpointError, SubstitutedModelWarning
from ._gguf import open_gguf
from ._gguf_tokenizer import tokenizer_from_gguf
from ._hf_config import read_config
from ._params import param_shapes
from ._presets import PRESETS, byte_tokenizer
from ._resolve import Resolved, resolve
from ._tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True, eq=False)
class Description:
    """A model without its weights; `describe` makes one.

    Args:
        config: The architecture.
        params: The parameter tree with a `jax.ShapeDtypeStruct` for each array.
        tokenizer: Text to token ids and back.
        name: The name or path it was found by, after aliases.
    """

    config: DecoderConfig
    params: dict[str, Any] = dataclasses.field(repr=False)
    tokenizer: Tokenizer
    name: str

    def with_labels(self, labels: Sequence[str]) -> "Description":
        """That of the model that `Model.with_labels` makes of this one.

        Example:
            >>> from modelops_jax.models import describe
            >>> describe("tiny").with_labels(["ham", "spam"]).params["score"]["weight"]
            ShapeDtypeStruct(shape=(2, 128), dtype=float32)
        """
        config = dataclasses.replace(self.config, labels=tuple(labels))
        params = _shapes(config, self.params["model"]["embed_tokens"]["weight"].dtype)
        return dataclasses.replace(self, config=config, params=params)


def describe(name_or_path: str | os.PathLike[str], *, dtype: Any = None) -> Description:
    """Read a model's configuration and tokenizer, and of its weights nothing.

    Takes what `load` takes, in the time that the tokenizer takes, however large the model is.

    Args:
        name_or_path: See `load`.
        dtype: Floating type that the parameters would have; float32 by default.

    Returns:
        Configuration, shapes of the parameters, and tokenizer.

    Raises:
        UnknownModelError: Nothing has this name; the message lists what was tried.
        CheckpointError: The configuration or the tokenizer is damaged, missing or not supported.
            Whether the weights are there and whole is not looked at.
        TypeError: `dtype` is not a floating type.

    Warns:
        SubstitutedModelWarning: A preset stands in for a hosted model.

    Example:
        >>> from modelops_jax.models import describe
        >>> describe("tiny").params["model"]["embed_tokens"]["weight"]
        ShapeDtypeStruct(shape=(260, 128), dtype=float32)
    """
    kind = floating(dtype)
    resolved = resolve_or_warn(name_or_path)
    if resolved.kind == "preset":
        config, tokenizer = PRESETS[resolved.location].config, byte_tokenizer()
    elif resolved.kind == "gguf":
        opened = open_gguf(resolved.location)
        config = opened.config
        tokenizer = tokenizer_from_gguf(opened.metadata, resolved.location)
    else:
        folder = Path(resolved.location)
        config, tokenizer = read_config(folder), Tokenizer.from_folder(folder)
    check_vocabulary(config, tokenizer, resolved)
    return Description(config, _shapes(config, kind), tokenizer, resolved.name)


def _shapes(config: DecoderConfig, kind: np.dtype) -> dict[str, Any]:
    return jax.tree.map(
        lambda shape: jax.ShapeDtypeStruct(shape, kind),
        param_shapes(config),
        is_leaf=lambda node: isinstance(node, tuple),
    )


def floating(dtype: Any) -> np.dtype:
    """The type of the parameters: float32 unless it is given."""
    kind = jnp.dtype(jnp.float32 if dtype is None else dtype)
    if not jnp.issubdtype(kind, jnp.floating):
        raise TypeError(f"dtype must be a floating type, found {kind}")
    return kind


def resolve_or_warn(name_or_path: str | os.PathLike[str]) -> Resolved:
    """Where a name leads; the caller's caller is warned if that is another model."""
    resolved = resolve(name_or_path)
    if resolved.warning:
        warnings.warn(resolved.warning, SubstitutedModelWarning, stacklevel=3)
    return resolved


def check_vocabulary(config: DecoderConfig, tokenizer: Tokenizer, resolved: Resolved) -> None:
    """Refuse a tokenizer with more ids than embeddings: the device would clamp them silently."""
    if tokenizer.vocab_size > config.vocab_size:
        raise CheckpointError(
            f"{Path(resolved.location)}: the tokenizer has {tokenizer.vocab_size} ids, the "
            f"embeddings only {config.vocab_size}"
        )
