"""Reading a GGUF file: configuration, dequantised weights and tokenizer.

llama.cpp rotates neighbouring pairs (x[2i], x[2i+1]) of a Llama and therefore stores the rows of
each query and key head interleaved; we rotate (x[i], x[i + head_dim/2]) and put the rows back in
order. Read without that step the weights still give fluent, worse text, and nothing else tells.
The other families are stored as we rotate them. Gemma's norms are stored as what they multiply by.
"""

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import gguf
import numpy as np
from jax.sharding import Mesh

from ._config import DecoderConfig
from ._errors import CheckpointError
from ._gguf_config import ROPE_DIVISORS, config_from_gguf, dequantized
from ._gguf_tokenizer import tokenizer_from_gguf
from ._params import Params
from ._stacked import StackedWeights
from ._tokenizer import Tokenizer

_TOP_LEVEL = {
    "token_embd": "model.embed_tokens",
    "position_embd": "model.embed_positions",
    "output_norm": "model.norm",
    "output": "lm_head",
}
_IN_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
# Gemma has norms on both sides of both blocks, and names the one after attention as the others
# name the one before the feed-forward block.
_GEMMA = {
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
_FUSED = ("attn_q", "attn_k", "attn_v")


class OpenedGguf(NamedTuple):
    """The header of a GGUF file, and its tensors where they lie."""

    metadata: dict[str, Any]
    tensors: dict[str, gguf.ReaderTensor]
    config: DecoderConfig


def read_gguf(
    path: str | os.PathLike[str], dtype: np.dtype, mesh: Mesh | None = None
) -> tuple[DecoderConfig, Params, Tokenizer]:
    """Read a model of a known family from a GGUF file.

    Args:
        path: The file; any quantisation that the `gguf` package can undo.
        dtype: Type of the parameters.
        mesh: Devices to divide the parameters over.

    Returns:
        Configuration, parameters and tokenizer.

    Raises:
        CheckpointError: The file is damaged, of another architecture, scales its rotary
            frequencies in a way not supported, or has keys or tensors left over or missing.
    """
    metadata, tensors, config = open_gguf(path)
    weights = StackedWeights(config, dtype, str(path), mesh)
    for name, tensor in tensors.items():
        if name == ROPE_DIVISORS and config.rope_scaling is not None:
            continue  # became config.rope_scaling
        for own, array in _pieces(name, dequantized(tensor, str(path)), config):
            weights.put(own, array)
    return config, weights.finish(), tokenizer_from_gguf(metadata, str(path))


def open_gguf(path: str | os.PathLike[str]) -> OpenedGguf:
    """Read a GGUF file's header; its tensors are mapped, not read.

    Raises:
        CheckpointError: See `read_gguf`; the tensors are not looked at.
    """
    try:
        reader = gguf.GGUFReader(path)
        metadata = {key: field.contents() for key, field in reader.fields.items()}
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise CheckpointError(f"{path} is not a whole GGUF file: {error}") from error
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    return OpenedGguf(metadata, tensors, config_from_gguf(metadata, tensors, str(path)))


def _pieces(
    name: str, array: np.ndarray, config: DecoderConfig
) -> Iterator[tuple[str, np.ndarray]]:
    """The tensors, by our names, that a stored one holds; an unknown name stays as it is."""
    stem, _, kind = name.rpartition(".")
    block, _, rest = stem.partition(".")
    layer, _, part = rest.partition(".")
    if config.traits.gemma and stem.endswith("_norm"):
        array = array - 1.0
    in_layer = _IN_LAYER | _GEMMA if config.traits.gemma else _IN_LAYER
    if block != "blk":
        yield (f"{_TOP_LEVEL[stem]}.{kind}" if stem in _TOP_LEVEL else name), array
    elif part == "attn_qkv":
        # Queries, keys and values of GPT-2, whose heads are all of one size.
        for own, piece in zip(_FUSED, np.array_split(array, len(_FUSED)), strict=True):
            yield f"model.layers.{layer}.{_IN_LAYER[own]}.{kind}", piece
    elif part in in_layer:
        if config.family == "llama" and part in ("attn_q", "attn_k"):
            array = _half_split(array, config.head_dim)
        yield f"model.layers.{layer}.{in_layer[part]}.{kind}", array
    else:
        yield name, array


def _half_split(rows: np.ndarray, head_dim: int) -> np.ndarray:
    """Rows of each head from (0, h, 1, h+1, ...), with h = head_dim / 2, to (0, 1, ..., h, ...)."""
    if rows.shape[0] % head_dim:
        return rows  # the wrong shape is reported with the tensor's name when it is put in place
    heads = rows.reshape(-1, head_dim // 2, 2, *rows.shape[1:])
    return heads.swapaxes(1, 2).reshape(rows.shape)
