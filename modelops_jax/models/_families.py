"""What the models of one line have in common beside their sizes."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Family:
    """How one line of models departs from Llama.

    Args:
        architecture: Name of the class in transformers.
        qkv_bias: Queries, keys and values are sums with a bias.
        head_norms: Each head's query and key is normalised before it is rotated.
        options: The optional fields of `DecoderConfig` that its models may set.
    """

    architecture: str
    qkv_bias: bool = False
    head_norms: bool = False
    options: tuple[str, ...] = ()


_WINDOWS = ("sliding_window", "local_layers")

FAMILIES = {
    "llama": Family("LlamaForCausalLM"),
    "mistral": Family("MistralForCausalLM", options=("sliding_window",)),
    "qwen2": Family("Qwen2ForCausalLM", qkv_bias=True, options=_WINDOWS),
    "qwen3": Family("Qwen3ForCausalLM", head_norms=True, options=_WINDOWS),
}
"""Families by the `model_type` of their `config.json`."""
