"""What the models of one line have in common beside their sizes."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Family:
    """How one line of models departs from Llama.

    Args:
        architecture: Name of the class in transformers.
        biases: The linear maps whose outputs are sums with a bias.
        head_norms: Each head's query and key is normalised before it is rotated.
        gemma: Norms multiply by 1 + weight, both blocks are normalised before and after, and
            embeddings are multiplied by sqrt(hidden_size).
        gelu: The feed-forward block's activation is a GELU (tanh form) instead of a SiLU.
        gated: The activation is multiplied by a second projection of the block's input.
        layer_norms: Norms subtract the mean first and add a bias last.
        learned_positions: A table of positions is added to the embeddings; nothing is rotated.
        options: The optional fields of `DecoderConfig` that its models may set.
    """

    architecture: str
    biases: tuple[str, ...] = ()
    head_norms: bool = False
    gemma: bool = False
    gelu: bool = False
    gated: bool = True
    layer_norms: bool = False
    learned_positions: bool = False
    options: tuple[str, ...] = ()

    @property
    def classifier(self) -> str:
        """Name of the class in transformers of a model with labels."""
        stem = self.architecture.removesuffix("ForCausalLM").removesuffix("LMHeadModel")
        # Gemma 3 without a suffix reads images too.
        return f"{'Gemma3Text' if stem == 'Gemma3' else stem}ForSequenceClassification"


_QKV = ("q_proj", "k_proj", "v_proj")
_WINDOWS = ("sliding_window", "local_layers")
_SCALES = ("query_pre_attn_scalar", "final_logit_softcapping")
_CAP = "attn_logit_softcapping"

FAMILIES = {
    "llama": Family("LlamaForCausalLM"),
    "gemma3_text": Family(
        "Gemma3ForCausalLM",
        head_norms=True,
        gemma=True,
        gelu=True,
        options=(*_WINDOWS, *_SCALES, "local_rope_theta"),
    ),
    "mistral": Family("MistralForCausalLM", options=("sliding_window",)),
    "gemma2": Family(
        "Gemma2ForCausalLM", gemma=True, gelu=True, options=(*_WINDOWS, *_SCALES, _CAP)
    ),
    "qwen2": Family("Qwen2ForCausalLM", biases=_QKV, options=_WINDOWS),
    "qwen3": Family("Qwen3ForCausalLM", head_norms=True, options=_WINDOWS),
    "gpt2": Family(
        "GPT2LMHeadModel",
        biases=(*_QKV, "o_proj", "up_proj", "down_proj"),
        gelu=True,
        gated=False,
        layer_norms=True,
        learned_positions=True,
    ),
}
"""Families by the `model_type` of their `config.json`."""
