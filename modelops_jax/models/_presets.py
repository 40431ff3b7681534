"""Small models that ship with the package: random weights, a vocabulary of bytes, no files."""

from typing import NamedTuple

import jax
import numpy as np
import tokenizers
from jax.sharding import Mesh
from tokenizers import decoders, models, pre_tokenizers

from ._config import DecoderConfig
from ._mesh import shard_weights
from ._params import Params, init_params
from ._tokenizer import Tokenizer

_PAD, _END_OF_TEXT, _TURN, _END_OF_TURN = "<|pad|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"
_CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


class Preset(NamedTuple):
    """An architecture and the seed of its weights."""

    config: DecoderConfig
    seed: int


PRESETS = {
    "tiny": Preset(
        DecoderConfig(
            vocab_size=260,
            hidden_size=128,
            intermediate_size=384,
            num_layers=4,
            num_heads=4,
            num_kv_heads=2,
            head_dim=32,
            max_position=2048,
            rope_theta=10000.0,
            rms_norm_eps=1e-5,
            tie_word_embeddings=True,
        ),
        seed=0,
    ),
}


def make_preset(
    name: str, dtype: np.dtype, mesh: Mesh | None = None
) -> tuple[DecoderConfig, Params, Tokenizer]:
    """Make a preset; the same name gives the same weights everywhere.

    Args:
        name: A key of `PRESETS`.
        dtype: Type of the parameters.
        mesh: Devices to divide the parameters over.

    Returns:
        Configuration, parameters and tokenizer.
    """
    config, seed = PRESETS[name]
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), init_params(config, seed))
    return config, shard_weights(params, mesh) if mesh else params, byte_tokenizer()


def byte_tokenizer() -> Tokenizer:
    """The tokenizer whose first 256 ids are the bytes of UTF-8, followed by four special tokens.

    Example:
        >>> tokenizer = byte_tokenizer()
        >>> tokenizer.encode("é<|im_end|>")
        [195, 169, 259]
        >>> tokenizer.decode([195])
        '\ufffd'
    """
    backend = tokenizers.Tokenizer(
        models.BPE(vocab={_byte_symbol(byte): byte for byte in range(256)}, merges=[])
    )
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(
        [
            tokenizers.AddedToken(token, special=True, normalized=False)
            for token in (_PAD, _END_OF_TEXT, _TURN, _END_OF_TURN)
        ]
    )
    pad, end_of_text, _, end_of_turn = range(256, 260)
    return Tokenizer(
        backend,
        bos_id=None,
        eos_id=end_of_turn,
        pad_id=pad,
        stop_ids=(end_of_turn, end_of_text),
        chat_template=_CHATML,
        other_tokens={"pad_token": _PAD},
    )


def _byte_symbol(byte: int) -> str:
    """The visible character by which byte-level BPE writes a byte (GPT-2's table)."""
    if 0x21 <= byte <= 0x7E or 0xA1 <= byte <= 0xAC or 0xAE <= byte:
        return chr(byte)
    hidden = [*range(0x21), *range(0x7F, 0xA1), 0xAD]
    return chr(0x100 + hidden.index(byte))
