"""SentencePiece's BPE of a GGUF file against its definition, step by step."""

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelops_jax.models import CheckpointError, Tokenizer
from modelops_jax.models._gguf_tokenizer import tokenizer_from_gguf

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def metadata(**changes: Any) -> dict[str, Any]:
    """A vocabulary over a, b and the space: all strings of two and three, and some of four."""
    letters = ["▁", "a", "b"]
    twos = [x + y for x in letters for y in letters]
    pieces = twos + [x + y for x in twos for y in letters] + ["abab", "▁aab", "baba", "▁▁▁▁"]
    ranks = np.random.default_rng(0).permutation(len(pieces)).tolist()
    tokens = ["<unk>", "<s>", "</s>", *BYTES, *letters, *pieces, "  b", "<tag>"]
    types = [UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256, *[NORMAL] * (3 + len(pieces))]
    scores = [0.0] * 259 + [-100.0] * 3 + [-float(rank) for rank in ranks] + [-1000.0] * 2
    fields = {
        "model": "llama",
        "tokens": tokens,
        "token_type": [*types, USER_DEFINED, USER_DEFINED],
        "scores": scores,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "unknown_token_id": 0,
        **changes,
    }
    return {f"tokenizer.ggml.{key}": value for key, value in fields.items() if value is not None}


def build(**changes: Any) -> Tokenizer:
    """The tokenizer of such a file."""
    return tokenizer_from_gguf(metadata(**changes), "test.gguf")


def by_definition(text: str, *, prefix: bool) -> list[str]:
    """Merge the two neighbours of highest score, the leftmost of equals, until none are left."""
    fields = metadata()
    kinds = dict(
        zip(fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"], strict=True)
    )
    score = dict(zip(fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.scores"], strict=True))
    pieces = list((" " * prefix + text).replace(" ", "▁"))
    while True:
        unions = [left + right for left, right in itertools.pairwise(pieces)]
        known = [(score[u], -at) for at, u in enumerate(unions) if kinds.get(u) == NORMAL]
        if not known:
            break
        at = -max(known)[1]
        pieces[at : at + 2] = [unions[at]]
    bytes_ = [[piece] if kinds.get(piece) == NORMAL else bytes_of(piece) for piece in pieces]
    return [piece for group in bytes_ for piece in group]


def bytes_of(character: str) -> list[str]:
    """The pieces of a character without one."""
    return [BYTES[byte] for byte in character.encode()]


@pytest.mark.parametrize("prefix", [True, False])
def test_ids_are_those_of_the_definition(prefix: bool):
    """Any text, with and without the space before it; unknown characters are bytes."""
    tokenizer = build(add_space_prefix=prefix)

    @given(st.text(st.sampled_from("ab é\n"), max_size=12))
    def check(text: str) -> None:
        if "  b" in text:
            return  # a token of its own, below
        ids = tokenizer.encode(text)
        found = [tokenizer.backend.id_to_token(id_) for id_ in ids]
        assert found == (by_definition(text, prefix=prefix) if text else [])
        assert tokenizer.decode(ids) == text

    check()


def test_special_and_user_defined_tokens_are_whole():
    """Control tokens are left out when decoding, the user's own are text."""
    tokenizer = build(add_space_prefix=False)
    ids = tokenizer.encode("a<tag>b</s>a  b")
    names = [tokenizer.backend.id_to_token(id_) for id_ in ids]
    assert names == ["a", "<tag>", "b", "</s>", "a", "  b"]
    assert tokenizer.decode(ids) == "a<tag>ba  b"
    assert tokenizer.eos_id not in tokenizer.encode("a</s>", plain=True)


def test_a_first_token_is_added_unless_the_file_says_no():
    """SentencePiece models begin with one."""
    assert build().encode("a", add_special_tokens=True)[0] == 1
    assert build(add_bos_token=False).encode("a", add_special_tokens=True)[0] != 1


def test_templates_may_name_the_tokens_that_the_file_names():
    """As for a folder; one that is not named is nothing, but for SentencePiece's unknown one."""
    names = ("bos", "eos", "unk", "pad", "sep", "cls", "mask")
    template = "|".join(f"{{{{ {name}_token }}}}" for name in names)
    says = [{"role": "user", "content": "a"}]

    def written(**ids: int | None) -> str:
        tokenizer = build(add_space_prefix=False, **ids)
        tokenizer = dataclasses.replace(tokenizer, chat_template=template)
        return tokenizer.render_chat(says, add_generation_prompt=False)

    assert written() == written(unknown_token_id=None) == "<s>|</s>|<unk>||||"
    others = ("unknown", "padding", "seperator", "cls", "mask")  # one is spelled so in the format
    ids = {f"{name}_token_id": 260 + at for at, name in enumerate(others)}
    assert written(**ids) == "<s>|</s>|a|b|▁▁|▁a|▁b"
    with pytest.raises(CheckpointError, match=r"ggml\.mask_token_id is 9999; there are 30\d"):
        written(mask_token_id=9999)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": None}, r"no 'tokenizer\.ggml\.scores'"),
        ({"scores": [0.0]}, r"tokens, 1 scores and"),
        ({"add_eos_token": True}, r"tokenizer\.ggml\.add_eos_token is set"),
        ({"remove_extra_whitespaces": True}, r"remove_extra_whitespaces is set"),
        ({"model": "t5"}, r"tokenizer\.ggml\.model is 't5'; read are 'gpt2'"),
    ],
)
def test_what_cannot_be_rebuilt_is_refused(changes: dict[str, Any], message: str):
    """The message names the key."""
    with pytest.raises(CheckpointError, match=message):
        build(**changes)


def test_a_user_defined_token_with_the_sign_for_a_space_is_refused():
    """Old files leave open whether it stands for spaces."""
    fields = metadata()
    tokens = ["▁▁b" if token == "  b" else token for token in fields["tokenizer.ggml.tokens"]]
    with pytest.raises(CheckpointError, match="user-defined token '▁▁b'"):
        build(tokens=tokens)
