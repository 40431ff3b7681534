"""SentencePiece's BPE from the pieces and scores of a GGUF file.

SentencePiece merges the two neighbours whose union has the highest score; a list of merges in the
order of the scores of their unions does the same. Characters without a piece become their bytes.
"""

from collections.abc import Sequence

import tokenizers
from tokenizers import decoders, models, normalizers

from ._errors import CheckpointError

SPACE = "▁"
# Token types of the format.
NORMAL, USER_DEFINED = 1, 4


def sentencepiece_bpe(
    tokens: Sequence[str],
    scores: Sequence[float],
    types: Sequence[int],
    *,
    unknown: str,
    add_prefix: bool,
    source: str,
) -> tokenizers.Tokenizer:
    """Rebuild the tokenizer.

    Args:
        tokens: Pieces, with `▁` for the space; bytes are written `<0x0A>`.
        scores: A higher one is merged first.
        types: Only normal pieces take part in merges.
        unknown: The piece for what has neither a piece nor bytes.
        add_prefix: Whether a text begins with a space that it does not have.
        source: The file, for messages.

    Raises:
        CheckpointError: The lists differ in length, or a piece of the user's own is written with
            the sign for a space, of which nobody knows whether a text's spaces are meant.
    """
    if not len(tokens) == len(scores) == len(types):
        raise CheckpointError(
            f"{source}: tokenizer.ggml has {len(tokens)} tokens, {len(scores)} scores and "
            f"{len(types)} types; expected one of each a token"
        )
    for token, type_ in zip(tokens, types, strict=True):
        if type_ == USER_DEFINED and SPACE in token:
            raise CheckpointError(
                f"{source}: the user-defined token {token!r} is written with {SPACE!r}; expected "
                "spaces, as llama.cpp's converter has written them since 2024"
            )
    rank = {
        token: -score
        for token, score, type_ in zip(tokens, scores, types, strict=True)
        if type_ == NORMAL
    }
    # Sorting is stable, so that ties keep the order of the vocabulary.
    merges = [
        (piece[:at], piece[at:])
        for piece in sorted(rank, key=rank.__getitem__)
        for at in range(1, len(piece))
        if piece[:at] in rank and piece[at:] in rank
    ]
    backend = tokenizers.Tokenizer(
        models.BPE(
            vocab={token: id_ for id_, token in enumerate(tokens)},
            merges=merges,
            unk_token=unknown,
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    signs = normalizers.Replace(" ", SPACE)
    backend.normalizer = (
        normalizers.Sequence([normalizers.Prepend(SPACE), signs]) if add_prefix else signs
    )
    parts = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence(
        [*parts, decoders.Strip(" ", 1, 0)] if add_prefix else parts
    )
    return backend
