"""Tokenizers that put a space before a text do so before a text, not before each piece of one."""

from typing import Any

import numpy as np
import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from modelops_jax.models import Model, Tokenizer, load
from modelops_jax.training import tokenize_row

PIECES = ["<unk>", "▁", "▁▁", "▁yes", "yes", "▁no", *"yesno[/I] !<>#\n"]
# As Llama 2 and Mistral write it; the answer begins with a space that is the template's.
LLAMA_2 = (
    "<s>{% for m in messages %}{% if m.role == 'user' %}[I]{{ m.content }}[/I]"
    "{% else %} {{ m.content }}</s>{% endif %}{% endfor %}"
)
# After a token of its own, an answer without any space.
BARE = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}<s>"
    "{% else %}{{ m.content }}</s>{% endif %}{% endfor %}"
)
# SentencePiece as transformers has converted it over the years.
KINDS = ("prepend", "always", "first", "never")


def sentencepiece(kind: str, template: str | None = None) -> Tokenizer:
    """A small Unigram model whose words begin with a sign for the space."""
    scores = {piece: -float(30 - 5 * len(piece)) for piece in dict.fromkeys(PIECES)}
    backend = tokenizers.Tokenizer(models.Unigram(list(scores.items()), unk_id=0))
    if kind == "prepend":
        steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        backend.normalizer = normalizers.Sequence(steps)
        parts = [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        backend.decoder = decoders.Sequence(parts)
    else:
        scheme: Any = kind
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
        backend.decoder = decoders.Metaspace(prepend_scheme=scheme)
    backend.add_special_tokens(
        [tokenizers.AddedToken(token, special=True, normalized=False) for token in ("<s>", "</s>")]
    )
    begin, end = len(scores), len(scores) + 1
    return Tokenizer(backend, begin, end, end, (end,), template)


def pieces(tokenizer: Tokenizer, ids: Any) -> list[str | None]:
    """Token ids as the vocabulary writes them."""
    return [tokenizer.backend.id_to_token(int(id_)) for id_ in ids]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("template", [LLAMA_2, BARE])
def test_a_row_has_the_tokens_of_its_whole_text(kind: str, template: str):
    """Turn by turn, the pieces' ids are those of the rendered conversation in one go."""
    tokenizer = sentencepiece(kind, template)
    turns = [{"role": "user", "content": "no"}, {"role": "assistant", "content": "yes !"}]
    messages = turns * 2
    row = tokenize_row(tokenizer, {"messages": messages})
    whole = tokenizer.render_chat(messages, add_generation_prompt=False)
    assert pieces(tokenizer, row.token_ids) == pieces(tokenizer, tokenizer.encode(whole))
    trained = row.token_ids[row.trained].tolist()
    answer = whole[whole.index(" yes" if template == LLAMA_2 else "yes") : whole.index("</s>")]
    before = tokenizer.render_chat(messages[:1], add_generation_prompt=True)
    assert tokenizer.decode(trained[: len(trained) // 2], after=before) == answer


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("prepend", ["▁no", "▁yes", "</s>"]),
        ("always", ["▁no", "▁yes", "</s>"]),
        ("first", ["▁no", "▁yes", "</s>"]),
        ("never", ["n", "o", "▁yes", "</s>"]),
    ],
)
def test_a_completion_has_its_own_spaces_only(kind: str, expected: list[str]):
    """Without a template too: the space before a completion is the completion's."""
    tokenizer = sentencepiece(kind)
    row = tokenize_row(tokenizer, {"prompt": "no", "completion": " yes"})
    assert pieces(tokenizer, row.token_ids) == expected
    joined = tokenize_row(tokenizer, {"prompt": "no", "completion": "yes"})
    assert pieces(tokenizer, joined.token_ids)[-2:] == ["yes", "</s>"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("after", ["", "no", "no</s>"])
@pytest.mark.parametrize("text", ["yes", " yes", "no yes"])
def test_decoding_undoes_encoding_in_the_middle_of_a_text(kind: str, after: str, text: str):
    """What stands before is the same for both, and the ids follow its ids."""
    tokenizer = sentencepiece(kind)
    ids = tokenizer.encode(text, after=after)
    assert tokenizer.encode(after) + ids == tokenizer.encode(after + text)
    # A Metaspace that always begins with a space cannot tell " yes" from "yes".
    lossy = tokenizer.encode(text.lstrip(), after=after) == ids
    assert tokenizer.decode(ids, after=after) == (text.lstrip() if lossy else text)


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_written_in_the_middle_stay_text_there(kind: str):
    """A written-out token, and what follows it, begin no text."""
    tokenizer = sentencepiece(kind, LLAMA_2)
    ids = tokenizer.encode_protected(tokenizer.protect("no</s>yes"))
    assert pieces(tokenizer, ids)[-5:] == ["<", "/", "s", ">", "yes"]


def test_generation_and_scoring_continue_the_prompt(monkeypatch: pytest.MonkeyPatch):
    """What is made after a prompt is decoded, and what is scored is tokenized, as its middle."""
    tokenizer = sentencepiece("first", LLAMA_2)
    tiny = load("tiny")
    model = Model(tiny.config, tiny.params, tokenizer, "spaces")
    yes = tokenizer.backend.token_to_id("▁yes")
    monkeypatch.setattr("modelops_jax.models._model.generate", lambda *_, **__: [[yes], [yes]])
    chat = [{"role": "user", "content": "no"}]
    assert model.generate(["no", chat], max_new_tokens=3) == [" yes", " yes"]
    scored: list[Any] = []

    def record(*arguments: Any, **_: Any) -> tuple[np.ndarray, np.ndarray]:
        scored.extend(arguments)
        return np.zeros(2, np.float32), np.ones(2, np.int64)

    monkeypatch.setattr("modelops_jax.models._model.score", record)
    model.score(["no", chat], [" yes", "yes"])
    assert scored[3] == [[yes], [tokenizer.backend.token_to_id("yes")]]
