"""A tokenizer for the middle of a text.

SentencePiece models mark the beginning of a word by a space before it, and put one before the
beginning of a text too, which has none. A completion is no beginning: tokenized with that space,
its first token would be one that the model never sees after a prompt.
"""

import json
from typing import Any

import tokenizers


def continuing(backend: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """The tokenizer that neither adds a space before a text nor takes one away when it decodes.

    Returns:
        The same object if it does neither.

    Example:
        >>> from tokenizers import Tokenizer, models, pre_tokenizers
        >>> words = Tokenizer(models.WordLevel({"▁a": 0, "a": 1}, unk_token="a"))
        >>> words.pre_tokenizer = pre_tokenizers.Metaspace()
        >>> words.encode("a").ids, continuing(words).encode("a").ids
        ([0], [1])
    """
    spec = json.loads(backend.to_str())
    changed = spec | {part: _without(spec[part]) for part in _PARTS}
    return backend if changed == spec else tokenizers.Tokenizer.from_str(json.dumps(changed))


_PARTS = ("normalizer", "pre_tokenizer", "decoder")
_LISTS = ("normalizers", "pretokenizers", "decoders")


def _without(part: dict[str, Any] | None) -> dict[str, Any] | None:
    """A part of `tokenizer.json` that leaves the beginning of a text alone."""
    if part is None or part["type"] == "Prepend":
        return None
    if part["type"] == "Metaspace":
        return {**part, "prepend_scheme": "never"}
    if part["type"] == "ByteLevel":
        return {**part, "add_prefix_space": False}
    if part["type"] == "Strip" and "start" in part:
        return {**part, "start": 0}
    for name in _LISTS:
        if name in part:
            kept = [inner for inner in map(_without, part[name]) if inner is not None]
            return {**part, name: kept}
    return part
