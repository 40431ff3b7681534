"""The metadata of a GGUF file, to `DecoderConfig`.

Its keys are named after llama.cpp's architecture. A key that nothing here reads is an error: it
may change the computation. What llama.cpp's code knows of an architecture and its files leave out
(the windows of Gemma's layers, the scale of its largest sizes) is known here too.
"""

from collections.abc import Mapping
from typing import Any

import gguf
import numpy as np

from ._config import DecoderConfig
from ._errors import CheckpointError
from ._families import FAMILIES
from ._rotary import LinearScaling, Llama3Scaling, RopeScaling, rope_frequencies

ARCHITECTURES = {
    "llama": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma2": "gemma2",
    "gemma3": "gemma3_text",
    "gpt2": "gpt2",
}
"""llama.cpp's names of the families. Its "llama" is Mistral without a window too."""

ROPE_DIVISORS = "rope_freqs.weight"
# They say nothing that the tensors' shapes or the tokenizer's lists do not.
_INFORMATION = ("vocab_size", "attention.causal")
# Number of layers of the sizes whose scores are divided by the root of width / heads.
_LARGEST = {"gemma2": 46, "gemma3_text": 62}
_PERIOD = {"gemma2": 2, "gemma3_text": 6}


class _Keys:
    """The keys of the architecture; `finish` refuses those that were not asked for."""

    def __init__(self, metadata: Mapping[str, Any], architecture: str, source: str):
        prefix = f"{architecture}."
        self.prefix, self.source = prefix, source
        self.values = {
            key.removeprefix(prefix): value
            for key, value in metadata.items()
            if key.startswith(prefix)
        }
        self.read: set[str] = set(_INFORMATION)

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return self.values.get(key, default)

    def need(self, key: str) -> Any:
        if key not in self.values:
            raise CheckpointError(f"{self.source}: the metadata has no '{self.prefix}{key}'")
        return self.get(key)

    def only(self, key: str, *allowed: Any) -> None:
        found = self.get(key)
        if found is not None and found not in allowed:
            raise CheckpointError(
                f"{self.source}: {self.prefix}{key} is {found!r}; supported: {allowed[-1]!r} or "
                "absent"
            )

    def finish(self) -> None:
        left = sorted(self.values.keys() - self.read)
        if left:
            named = ", ".join(f"{self.prefix}{key} is {self.values[key]!r}" for key in left)
            raise CheckpointError(f"{self.source}: keys not understood: {named}")


def config_from_gguf(
    metadata: Mapping[str, Any], tensors: Mapping[str, gguf.ReaderTensor], source: str
) -> DecoderConfig:
    """The configuration that a GGUF file describes.

    Args:
        metadata: The file's key/value pairs.
        tensors: Its tensors; their names and shapes say what the metadata leaves out.
        source: The file, for messages.

    Raises:
        CheckpointError: A key is missing, not understood, or asks for something not supported.
    """
    architecture = metadata.get("general.architecture")
    if architecture not in ARCHITECTURES:
        raise CheckpointError(
            f"{source}: general.architecture is {architecture!r}; supported: "
            f"{', '.join(ARCHITECTURES)}"
        )
    if "token_embd.weight" not in tensors:
        raise CheckpointError(f"{source}: tensors missing: token_embd.weight")
    family = ARCHITECTURES[architecture]
    traits = FAMILIES[family]
    keys = _Keys(metadata, architecture, source)
    width, heads = keys.need("embedding_length"), keys.need("attention.head_count")
    num_layers = keys.need("block_count")
    head_dim = keys.get("attention.key_length", width // heads)
    keys.only("attention.value_length", head_dim)
    keys.only("rope.dimension_count", head_dim)
    keys.only("expert_count", 0)
    norm = "layer_norm_epsilon" if traits.layer_norms else "layer_norm_rms_epsilon"
    theta = None if traits.learned_positions else float(keys.get("rope.freq_base", 10000.0))
    options = _windows(keys, family, num_layers) if "local_layers" in traits.options else {}
    if traits.gemma:
        is_largest = num_layers == _LARGEST[family]
        options["query_pre_attn_scalar"] = width // heads if is_largest else None
        caps = {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}
        for key in caps.keys() & set(traits.options):
            options[key] = keys.get(key, caps[key] if family == "gemma2" else None)
    config = {
        # A tensor's shape is stored innermost first: (width, vocabulary).
        "vocab_size": int(tensors["token_embd.weight"].shape[1]),
        "hidden_size": width,
        "intermediate_size": keys.need("feed_forward_length"),
        "num_layers": num_layers,
        "num_heads": heads,
        "num_kv_heads": keys.get("attention.head_count_kv", heads),
        "head_dim": head_dim,
        "max_position": keys.need("context_length"),
        "rope_theta": theta,
        "rms_norm_eps": float(keys.need(f"attention.{norm}")),
        "tie_word_embeddings": "output.weight" not in tensors,
        "family": family,
        "rope_scaling": theta and _rope_scaling(keys, tensors, head_dim, theta),
        **options,
    }
    keys.finish()
    try:
        return DecoderConfig(**config)
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{source}: {error}") from error


def _windows(keys: _Keys, family: str, num_layers: int) -> dict[str, Any]:
    """The window, the layers that see it only, and the base of their rotary frequencies."""
    size = keys.get("attention.sliding_window", 4096 if family == "gemma2" else None)
    if not size or family not in _PERIOD:
        # llama.cpp has no windows for Qwen; a file that asks for one means something else.
        keys.only("attention.sliding_window", 0)
        return {}
    pattern = keys.get("attention.sliding_window_pattern", _PERIOD[family])
    if isinstance(pattern, int):
        local = tuple((layer + 1) % pattern != 0 for layer in range(num_layers))
    else:
        local = tuple(map(bool, pattern))
    theta = None
    if "local_rope_theta" in FAMILIES[family].options:
        theta = float(keys.get("rope.freq_base_swa", 10000.0))
    return {"sliding_window": size, "local_layers": local, "local_rope_theta": theta}


def _rope_scaling(
    keys: _Keys, tensors: Mapping[str, gguf.ReaderTensor], head_dim: int, theta: float
) -> RopeScaling | None:
    keys.only("rope.scaling.type", "none", "linear")
    factor = keys.get("rope.scale_linear", 1.0)
    named = keys.get("rope.scaling.factor", factor)
    if keys.get("rope.scaling.type") == "linear":
        factor = named
    if ROPE_DIVISORS not in tensors:
        return None if factor == 1.0 else LinearScaling(float(factor))
    stored = dequantized(tensors[ROPE_DIVISORS], keys.source)
    # The file has the divisors alone. All Llama 3 models differ in their factor only, which is
    # the divisor of the slowest frequency.
    scaling = Llama3Scaling(float(stored.max(initial=1.0)), 1.0, 4.0, 8192)
    expected = scaling.divisors(rope_frequencies(head_dim, theta, None))
    if factor != 1.0 or stored.shape != expected.shape or not np.allclose(stored, expected, 1e-4):
        raise CheckpointError(
            f"{keys.source}: tensor {ROPE_DIVISORS!r} does not scale the rotary frequencies as "
            "Llama 3 does, which is the only way supported"
        )
    return scaling


def dequantized(tensor: gguf.ReaderTensor, source: str) -> np.ndarray:
    """A tensor's numbers as float32."""
    try:
        return gguf.dequantize(tensor.data, tensor.tensor_type)
    except NotImplementedError as error:
        raise CheckpointError(
            f"{source}: tensor {tensor.name!r} is quantised as {tensor.tensor_type.name}, "
            "which the gguf package cannot undo"
        ) from error
