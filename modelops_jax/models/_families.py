"""What the models of one line have in common beside their sizes."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Family:
    """How one line of models departs from Llama.

    Args:
        architecture: Name of the class in transformers.
        qkv_bias: Queries, keys and values are sums with a bias.
        head_norms: Each head's query and key is normalised before it is rotated.
        gemma: Norms multiply by 1 + weight, both blocks are normalised before and after,
            embeddings are multiplied by sqrt(hidden_size), and the gate is a GELU (tanh form)
            instead of a SiLU.
        options: The optional fields of `DecoderConfig` that its models may set.
    """

    architecture: str
    qkv_bias: bool = False
    head_norms: bool = False
    gemma: bool = False
    options: tuple[str, ...] = ()


_WINDOWS = ("sliding_window", "local_layers")
_SCALES = ("query_pre_attn_scalar", "final_logit_softcapping")
_CAP = "attn_logit_softcapping"

FAMILIES = {
    "llama": Family("LlamaForCausalLM"),
    "gemma3_text": Family(
        "Gemma3ForCausalLM",
        head_norms=True,
        gemma=True,
        options=(*_WINDOWS, *_SCALES, "local_rope_theta"),
    ),
    "mistral": Family("MistralForCausalLM", options=("sliding_window",)),
    "gemma2": Family("Gemma2ForCausalLM", gemma=True, options=(*_WINDOWS, *_SCALES, _CAP)),
    "qwen2": Family("Qwen2ForCausalLM", qkv_bias=True, options=_WINDOWS),
    "qwen3": Family("Qwen3ForCausalLM", head_norms=True, options=_WINDOWS),
}
"""Families by the `model_type` of their `config.json`."""
