"""The configuration of a decoder: everything its mathematics depends on but the weights."""

import dataclasses
import types
import typing

from modelops_jax._option_types import (
    require_flag,
    require_integer,
    require_names,
    require_number,
)

from ._families import FAMILIES, Family
from ._rotary import RopeScaling

_OPTIONS = {option for family in FAMILIES.values() for option in family.options}
_TYPES = {int: require_integer, float: require_number, bool: require_flag}


@dataclasses.dataclass(frozen=True)
class DecoderConfig:
    """Sizes and constants of a decoder, named as in Hugging Face's `config.json`.

    Args:
        vocab_size: Number of token ids.
        hidden_size: Width of the residual stream.
        intermediate_size: Width inside the gated feed-forward block.
        num_layers: Number of decoder layers.
        num_heads: Query heads.
        num_kv_heads: Key/value heads; divides `num_heads`.
        head_dim: Width of one head; even.
        max_position: Longest sequence, in tokens.
        rope_theta: Base of the rotary frequencies; None where positions are learned.
        rms_norm_eps: Added to the mean square, or the variance, before its root.
        tie_word_embeddings: Whether the output head is the embedding matrix.
        family: Which line of models it belongs to: "llama", "mistral", "qwen2", "qwen3",
            "gemma2", "gemma3_text" or "gpt2".
        rope_scaling: How the rotary frequencies are changed for long contexts, or None.
        sliding_window: How many tokens a token sees in a local layer, itself included.
        local_layers: For each layer, whether it sees the window only; none means all layers if
            there is a window.
        local_rope_theta: Base of the rotary frequencies of local layers, which are not scaled; by
            default they have those of the others.
        query_pre_attn_scalar: Attention scores are divided by its root; by default `head_dim`.
        attn_logit_softcapping: Attention scores s become c * tanh(s / c).
        final_logit_softcapping: Logits s become c * tanh(s / c).
        labels: Classes of a model that reads a text instead of going on with it, or the one name
            of the value it predicts; none for a language model.

    Raises:
        TypeError: A value is of another type.
        ValueError: A size is not positive, heads do not divide, `head_dim` is odd, the family is
            not known or has no such option, a label occurs twice or is empty, rotary fields are
            missing or given to learned positions, or layers and window contradict each other.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    max_position: int
    rope_theta: float | None
    rms_norm_eps: float
    tie_word_embeddings: bool
    family: str = "llama"
    rope_scaling: RopeScaling | None = None
    sliding_window: int | None = None
    local_layers: tuple[bool, ...] = ()
    local_rope_theta: float | None = None
    query_pre_attn_scalar: int | None = None
    attn_logit_softcapping: float | None = None
    final_logit_softcapping: float | None = None
    labels: tuple[str, ...] = ()

    def __post_init__(self):
        if self.family not in FAMILIES:
            raise ValueError(
                f"DecoderConfig.family is {self.family!r}; expected one of {', '.join(FAMILIES)}"
            )
        # Lists could not be compiled for.
        object.__setattr__(self, "labels", require_names(self.labels, "DecoderConfig.labels"))
        object.__setattr__(self, "local_layers", tuple(self.local_layers))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            is_union = isinstance(field.type, types.UnionType)
            kind, *others = typing.get_args(field.type) if is_union else (field.type,)
            if kind in _TYPES and not (value is None and type(None) in others):
                _TYPES[kind](value, f"DecoderConfig.{field.name}")
            if isinstance(value, int | float) and not isinstance(value, bool) and value <= 0:
                raise ValueError(f"DecoderConfig.{field.name} must be positive, found {value!r}")
            if field.name in _OPTIONS and value and field.name not in self.traits.options:
                raise ValueError(
                    f"DecoderConfig.{field.name}={value!r} is not an option of {self.family!r}"
                )
        if len(set(self.labels)) < len(self.labels):
            raise ValueError(f"DecoderConfig.labels has a label twice: {self.labels}")
        if not all(label.strip() for label in self.labels):
            raise ValueError(f"DecoderConfig.labels has a label without a name: {self.labels}")
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"DecoderConfig.num_kv_heads={self.num_kv_heads} must divide "
                f"num_heads={self.num_heads}"
            )
        rotated = not self.traits.learned_positions
        if rotated and self.head_dim % 2:
            raise ValueError(f"DecoderConfig.head_dim must be even, found {self.head_dim}")
        if rotated != (self.rope_theta is not None) or (self.rope_scaling and not rotated):
            raise ValueError(
                f"DecoderConfig.rope_theta={self.rope_theta} and rope_scaling={self.rope_scaling}: "
                f"{self.family!r} {'rotates by a base' if rotated else 'has learned positions'}"
            )
        if self.local_layers and (
            len(self.local_layers) != self.num_layers or self.sliding_window is None
        ):
            raise ValueError(
                f"DecoderConfig.local_layers={self.local_layers} needs sliding_window and one "
                f"value for each of num_layers={self.num_layers}"
            )
        if self.local_rope_theta is not None and self.sliding_window is None:
            raise ValueError(
                f"DecoderConfig.local_rope_theta={self.local_rope_theta} needs sliding_window"
            )

    def __repr__(self) -> str:
        shown = (
            f"{field.name}={getattr(self, field.name)!r}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        )
        return f"DecoderConfig({', '.join(shown)})"

    @property
    def traits(self) -> Family:
        """What the family has in common."""
        return FAMILIES[self.family]

    @property
    def attention_scale(self) -> float:
        """What the products of queries and keys are multiplied by."""
        return (self.query_pre_attn_scalar or self.head_dim) ** -0.5
