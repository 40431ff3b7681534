"""The tokenizer inside a GGUF file, rebuilt from its lists: byte-level BPE or SentencePiece's.

A GGUF file names its pre-tokenizer (the rule that cuts text into words before merging) instead of
holding it. A wrong rule gives wrong ids without any other sign, so only known names are read.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from ._errors import CheckpointError
from ._gguf_spm import sentencepiece_bpe
from ._tokenizer import Tokenizer

# Token types of the format.
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4

_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
_LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN_2 = _LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")


class _Rule(NamedTuple):
    """How one family of models cuts text."""

    patterns: tuple[str, ...]
    normalize: bool = False
    ignore_merges: bool = False
    add_bos: bool = False


_RULES = {
    # What a converter writes when it did not recognise the model.
    "default": _Rule((r"[\p{P}\$\+<=>\^~\|]+", _WORDS, r"\p{N}+", r"[0-9][0-9][0-9]")),
    "gpt-2": _Rule((_WORDS,)),
    "smollm": _Rule((r"\p{N}", _WORDS)),
    "llama-bpe": _Rule((_LLAMA_3,), ignore_merges=True, add_bos=True),
    "qwen2": _Rule((_QWEN_2,), normalize=True),
}
# What follows `tokenizer.ggml.` in the metadata's keys.
_STOP_KEYS = ("eos_token_id", "eot_token_id", "eom_token_id")
# What only a chat template asks for; one of the keys is spelled so in the format.
_OTHER_KEYS = {
    "unknown_token_id": "unk_token",
    "padding_token_id": "pad_token",
    "seperator_token_id": "sep_token",
    "cls_token_id": "cls_token",
    "mask_token_id": "mask_token",
}


def tokenizer_from_gguf(metadata: Mapping[str, Any], source: str) -> Tokenizer:
    """Build the tokenizer that a GGUF file describes.

    Args:
        metadata: The file's key/value pairs.
        source: The file, for messages.

    Raises:
        CheckpointError: A key is missing, or the kind of tokenizer is not supported.
    """

    def need(key: str) -> Any:
        name = f"tokenizer.ggml.{key}"
        if name not in metadata:
            raise CheckpointError(f"{source}: the metadata has no {name!r}")
        return metadata[name]

    kind, pre = need("model"), metadata.get("tokenizer.ggml.pre", "default")
    for key in ("add_eos_token", "remove_extra_whitespaces", "precompiled_charsmap"):
        if metadata.get(f"tokenizer.ggml.{key}"):
            raise CheckpointError(f"{source}: tokenizer.ggml.{key} is set, which is not supported")
    tokens, types = need("tokens"), need("token_type")
    if kind == "gpt2":
        rule = _RULES.get(pre)
        if rule is None:
            raise CheckpointError(
                f"{source}: tokenizer.ggml.pre is {pre!r}; supported are "
                f"{', '.join(sorted(_RULES))}"
            )
        try:
            backend = _byte_level_bpe(tokens, need("merges"), rule)
        except CheckpointError:
            raise
        except Exception as error:  # the package raises bare Exception for a merge it cannot place
            raise CheckpointError(
                f"{source}: the tokenizer's merges are damaged: {error}"
            ) from error
        adds_bos = rule.add_bos
        others = {}
    elif kind == "llama":
        others = {"unk_token": tokens[0]}
        backend = sentencepiece_bpe(
            tokens,
            need("scores"),
            types,
            unknown=tokens[metadata.get("tokenizer.ggml.unknown_token_id", 0)],
            add_prefix=metadata.get("tokenizer.ggml.add_space_prefix", True),
            source=source,
        )
        adds_bos = True
    else:
        raise CheckpointError(
            f"{source}: tokenizer.ggml.model is {kind!r}; read are 'gpt2' (byte-level BPE) and "
            "'llama' (SentencePiece's BPE)"
        )
    for special, wanted in ((True, CONTROL), (False, USER_DEFINED)):
        added = [
            tokenizers.AddedToken(token, special=special, normalized=False)
            for token, type_ in zip(tokens, types, strict=True)
            if type_ == wanted
        ]
        (backend.add_special_tokens if special else backend.add_tokens)(added)
    eos_id = need("eos_token_id")
    bos_id = metadata.get("tokenizer.ggml.bos_token_id")
    if metadata.get("tokenizer.ggml.add_bos_token", adds_bos):
        if bos_id is None:
            raise CheckpointError(f"{source}: the metadata has no 'tokenizer.ggml.bos_token_id'")
        bos = tokens[bos_id]
        backend.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, bos_id)]
        )
    for key, name in _OTHER_KEYS.items():
        id_ = metadata.get(f"tokenizer.ggml.{key}")
        if id_ is not None:
            if not 0 <= id_ < len(tokens):
                raise CheckpointError(
                    f"{source}: tokenizer.ggml.{key} is {id_}; there are {len(tokens)} tokens"
                )
            others[name] = tokens[id_]
    stops = (metadata.get(f"tokenizer.ggml.{key}") for key in _STOP_KEYS)
    tokenizer = Tokenizer(
        backend,
        bos_id=bos_id,
        eos_id=eos_id,
        pad_id=metadata.get("tokenizer.ggml.padding_token_id", eos_id),
        stop_ids=tuple(dict.fromkeys(id_ for id_ in stops if id_ is not None)),
        chat_template=metadata.get("tokenizer.chat_template"),
        other_tokens=others,
    )
    return tokenizer.with_turn_end()


def _byte_level_bpe(tokens: list[str], merges: list[str], rule: _Rule) -> tokenizers.Tokenizer:
    vocab = {token: id_ for id_, token in enumerate(tokens)}
    pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in merges)]
    backend = tokenizers.Tokenizer(
        models.BPE(vocab=vocab, merges=pairs, ignore_merges=rule.ignore_merges)
    )
    if rule.normalize:
        backend.normalizer = normalizers.NFC()
    splits = [
        pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated") for pattern in rule.patterns
    ]
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([*splits, bytes_])
    backend.decoder = decoders.ByteLevel()
    return backend
