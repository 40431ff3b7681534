"""Reading a GGUF file: configuration, dequantised weights and tokenizer of a Llama model.

llama.cpp rotates neighbouring pairs (x[2i], x[2i+1]) and therefore stores the rows of each query
and key head interleaved; we rotate (x[i], x[i + head_dim/2]) and put the rows back in order. Read
without that step the weights still give fluent, worse text, and nothing else tells.
"""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import gguf
import numpy as np
from jax.sharding import Mesh

from ._config import DecoderConfig
from ._errors import CheckpointError
from ._gguf_tokenizer import tokenizer_from_gguf
from ._params import Params
from ._rotary import LinearScaling, Llama3Scaling, RopeScaling, rope_frequencies
from ._stacked import StackedWeights
from ._tokenizer import Tokenizer

ROPE_DIVISORS = "rope_freqs.weight"
_TOP_LEVEL = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
_IN_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


class OpenedGguf(NamedTuple):
    """The header of a GGUF file, and its tensors where they lie."""

    metadata: dict[str, Any]
    tensors: dict[str, gguf.ReaderTensor]
    config: DecoderConfig


def read_gguf(
    path: str | os.PathLike[str], dtype: np.dtype, mesh: Mesh | None = None
) -> tuple[DecoderConfig, Params, Tokenizer]:
    """Read a Llama model from a GGUF file.

    Args:
        path: The file; any quantisation that the `gguf` package can undo.
        dtype: Type of the parameters.
        mesh: Devices to divide the parameters over.

    Returns:
        Configuration, parameters and tokenizer.

    Raises:
        CheckpointError: The file is damaged, of another architecture, scales its rotary
            frequencies in a way not supported, or has tensors left over or missing.
    """
    metadata, tensors, config = open_gguf(path)
    weights = StackedWeights(config, dtype, str(path))
    for name, tensor in tensors.items():
        if name == ROPE_DIVISORS:
            continue  # became config.rope_scaling
        array = _dequantized(tensor, str(path))
        if name.endswith(("attn_q.weight", "attn_k.weight")):
            array = _half_split(array, config.head_dim)
        weights.put(_checkpoint_name(name), array)
    return config, weights.finish(mesh), tokenizer_from_gguf(metadata, str(path))


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
    return OpenedGguf(metadata, tensors, _config(metadata, tensors, str(path)))


def _dequantized(tensor: gguf.ReaderTensor, source: str) -> np.ndarray:
    try:
        return gguf.dequantize(tensor.data, tensor.tensor_type)
    except NotImplementedError as error:
        raise CheckpointError(
            f"{source}: tensor {tensor.name!r} is quantised as {tensor.tensor_type.name}, "
            "which the gguf package cannot undo"
        ) from error


def _config(
    metadata: Mapping[str, Any], tensors: Mapping[str, gguf.ReaderTensor], source: str
) -> DecoderConfig:
    architecture = metadata.get("general.architecture")
    if architecture != "llama":
        raise CheckpointError(
            f"{source}: general.architecture is {architecture!r}; only 'llama' is supported"
        )

    def need(key: str) -> Any:
        name = f"llama.{key}"
        if name not in metadata:
            raise CheckpointError(f"{source}: the metadata has no {name!r}")
        return metadata[name]

    if "token_embd.weight" not in tensors:
        raise CheckpointError(f"{source}: tensors missing: token_embd.weight")
    width, heads = need("embedding_length"), need("attention.head_count")
    head_dim = metadata.get("llama.attention.key_length", width // heads)
    for key, allowed in (
        ("attention.value_length", (None, head_dim)),
        ("rope.dimension_count", (None, head_dim)),
        ("rope.scaling.type", (None, "none", "linear")),
        ("expert_count", (None, 0)),
    ):
        found = metadata.get(f"llama.{key}")
        if found not in allowed:
            raise CheckpointError(
                f"{source}: llama.{key} is {found!r}; supported: {allowed[-1]!r} or absent"
            )
    theta = float(metadata.get("llama.rope.freq_base", 10000.0))
    return DecoderConfig(
        # A tensor's shape is stored innermost first: (width, vocabulary).
        vocab_size=int(tensors["token_embd.weight"].shape[1]),
        hidden_size=width,
        intermediate_size=need("feed_forward_length"),
        num_layers=need("block_count"),
        num_heads=heads,
        num_kv_heads=metadata.get("llama.attention.head_count_kv", heads),
        head_dim=head_dim,
        max_position=need("context_length"),
        rope_theta=theta,
        rms_norm_eps=float(need("attention.layer_norm_rms_epsilon")),
        tie_word_embeddings="output.weight" not in tensors,
        rope_scaling=_rope_scaling(metadata, tensors, head_dim, theta, source),
    )


def _rope_scaling(
    metadata: Mapping[str, Any],
    tensors: Mapping[str, gguf.ReaderTensor],
    head_dim: int,
    theta: float,
    source: str,
) -> RopeScaling | None:
    factor = metadata.get("llama.rope.scale_linear", 1.0)
    if metadata.get("llama.rope.scaling.type") == "linear":
        factor = metadata.get("llama.rope.scaling.factor", factor)
    if ROPE_DIVISORS not in tensors:
        return None if factor == 1.0 else LinearScaling(float(factor))
    stored = _dequantized(tensors[ROPE_DIVISORS], source)
    # The file has the divisors alone. All Llama 3 models differ in their factor only, which is
    # the divisor of the slowest frequency.
    scaling = Llama3Scaling(float(stored.max(initial=1.0)), 1.0, 4.0, 8192)
    expected = scaling.divisors(rope_frequencies(head_dim, theta, None))
    if factor != 1.0 or stored.shape != expected.shape or not np.allclose(stored, expected, 1e-4):
        raise CheckpointError(
            f"{source}: tensor {ROPE_DIVISORS!r} does not scale the rotary frequencies as Llama 3 "
            "does, which is the only way supported"
        )
    return scaling


def _checkpoint_name(name: str) -> str:
    """Hugging Face's name of a GGUF tensor; an unknown name stays as it is."""
    stem, _, suffix = name.rpartition(".")
    block, _, rest = stem.partition(".")
    layer, _, part = rest.partition(".")
    if block == "blk" and part in _IN_LAYER:
        return f"model.layers.{layer}.{_IN_LAYER[part]}.{suffix}"
    return f"{_TOP_LEVEL[stem]}.{suffix}" if stem in _TOP_LEVEL else name


def _half_split(rows: np.ndarray, head_dim: int) -> np.ndarray:
    """Rows of each head from (0, h, 1, h+1, ...), with h = head_dim / 2, to (0, 1, ..., h, ...)."""
    if rows.shape[0] % head_dim:
        return rows  # the wrong shape is reported with the tensor's name when it is put in place
    heads = rows.reshape(-1, head_dim // 2, 2, *rows.shape[1:])
    return heads.swapaxes(1, 2).reshape(rows.shape)
