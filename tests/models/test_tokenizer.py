"""Tokenizers: round trips, the rules that cut text, and the files of Hugging Face."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers, processors

from modelops_jax.models import ChatTemplateError, CheckpointError, Tokenizer
from modelops_jax.models._gguf_tokenizer import tokenizer_from_gguf
from modelops_jax.models._presets import byte_tokenizer

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def _rule(pre: str) -> Tokenizer:
    byte_symbols = byte_tokenizer().backend
    tokens = [byte_symbols.id_to_token(id_) for id_ in range(256)]
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [1] * 256,
        "tokenizer.ggml.merges": [],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 0,
    }
    return tokenizer_from_gguf(metadata, "test.gguf")


def _words(tokenizer: Tokenizer, text: str) -> list[str]:
    pre = tokenizer.backend.pre_tokenizer
    assert pre is not None
    return [word.replace("Ġ", "_").replace("Ċ", "/") for word, _ in pre.pre_tokenize_str(text)]


@given(TEXT)
def test_bytes_round_trip(text: str):
    """Decoding what was encoded gives the text back, and ids below 256 are its UTF-8 bytes."""
    assume("<|" not in text)  # such as <|im_end|>, which is a token of its own
    tokenizer = byte_tokenizer()
    ids = tokenizer.encode(text)
    assert ids == list(text.encode())
    assert tokenizer.decode(ids) == text


@given(st.lists(st.integers(0, 259)))
def test_any_ids_decode(ids: list[int]):
    """Ids that are no text, such as half a character, decode to replacement characters."""
    assert isinstance(byte_tokenizer().decode(ids, skip_special_tokens=False), str)


def test_special_tokens_are_one_id_each():
    """Written out in the text they count as themselves; decoding can leave them out."""
    tokenizer = byte_tokenizer()
    ids = tokenizer.encode("<|im_start|>a<|im_end|>")
    assert ids == [258, 97, 259]
    assert tokenizer.decode(ids) == "a"
    assert tokenizer.decode(ids, skip_special_tokens=False) == "<|im_start|>a<|im_end|>"
    assert tokenizer.vocab_size == 260


def test_what_is_no_text_is_refused():
    """A lone surrogate is named with its place, another type with its name."""
    with pytest.raises(ValueError, match=r"text\[2\] is the lone surrogate"):
        byte_tokenizer().encode("ab\ud800")


@given(TEXT)
def test_gpt_2_cuts_like_the_tokenizers_package(text: str):
    """Our rule for "gpt-2" is the package's own byte-level one."""
    own = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    pre = _rule("gpt-2").backend.pre_tokenizer
    assert pre is not None
    assert pre.pre_tokenize_str(text) == own.pre_tokenize_str(text)


@given(TEXT)
def test_smollm_cuts_digits_and_then_bytes(text: str):
    """Our rule for "smollm" is the pre-tokenizer that SmolLM2 publishes."""
    published = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    pre = _rule("smollm").backend.pre_tokenizer
    assert pre is not None
    assert pre.pre_tokenize_str(text) == published.pre_tokenize_str(text)


@pytest.mark.parametrize(
    ("pre", "words"),
    [
        ("llama-bpe", ["HE", "'S", "_paid", "_", "123", "45", "!\n", "__", "_now"]),
        ("qwen2", ["HE", "'S", "_paid", "_", "1", "2", "3", "4", "5", "!\n", "__", "_now"]),
        ("gpt-2", ["HE", "'", "S", "_paid", "_12345", "!", "/__", "_now"]),
    ],
)
def test_families_cut_differently(pre: str, words: list[str]):
    """Contractions, runs of digits, and line ends, as each family's published rule has them."""
    expected = [word.replace("\n", "/") for word in words]
    assert _words(_rule(pre), "HE'S paid 12345!\n   now") == expected


def test_llama_3_begins_with_its_first_token_unless_told_otherwise():
    """That family's files leave add_bos_token out and mean true."""
    assert _rule("llama-bpe").encode("a", add_special_tokens=True) == [1, 97]
    assert _rule("qwen2").encode("a", add_special_tokens=True) == [97]


def _write(folder: Path, config: dict[str, Any] | None, generation: dict[str, Any] | None) -> Path:
    byte_tokenizer().save(folder)
    for name, content in (("tokenizer_config", config), ("generation_config", generation)):
        path = folder / f"{name}.json"
        path.unlink()
        if content is not None:
            path.write_text(json.dumps(content))
    return folder


def test_a_saved_tokenizer_is_read_again(tmp_path: Path):
    """Ids, stop tokens, template and what is put around a text survive."""
    tokenizer = byte_tokenizer()
    tokenizer.backend.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 257)]
    )
    tokenizer.backend.enable_truncation(3)
    tokenizer.backend.enable_padding(length=8)
    tokenizer.save(tmp_path)
    again = Tokenizer.from_folder(tmp_path)
    assert (again.bos_id, again.eos_id, again.pad_id) == (None, 259, 256)
    assert again.stop_ids == (259, 257)
    assert again.chat_template == tokenizer.chat_template
    # Truncation and padding that a file carries are none of the model's business.
    assert again.encode("hello", add_special_tokens=True) == [257, *b"hello"]


def test_special_tokens_come_from_the_files(tmp_path: Path):
    """Texts and the older objects name them; all ends of generation_config.json stop."""
    config = {"eos_token": {"content": "<|endoftext|>", "lstrip": False}, "bos_token": "<|pad|>"}
    tokenizer = Tokenizer.from_folder(_write(tmp_path, config, {"eos_token_id": [259, 257]}))
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (256, 257, 257)
    assert tokenizer.stop_ids == (257, 259)
    assert tokenizer.chat_template is None
    with pytest.raises(ChatTemplateError, match="no chat template"):
        tokenizer.render_chat([{"role": "user", "content": "a"}], add_generation_prompt=True)


def test_the_end_of_a_turn_stops_though_only_the_template_knows_it(tmp_path: Path):
    """A base model with the template of its chat model: both ends stop, and are written so."""
    template = byte_tokenizer().chat_template
    config = {"eos_token": "<|endoftext|>", "chat_template": template}
    tokenizer = Tokenizer.from_folder(_write(tmp_path, config, {"eos_token_id": 257}))
    assert (tokenizer.eos_id, tokenizer.stop_ids) == (257, (257, 259))
    tokenizer.save(tmp_path)
    assert json.loads((tmp_path / "generation_config.json").read_text())["eos_token_id"] == [
        257,
        259,
    ]
    for other in ("{{ messages[1].content }}\n", "{{ raise_exception('no') }}", "{% if %}"):
        (tmp_path / "chat_template.jinja").write_text(other)
        (tmp_path / "generation_config.json").unlink()
        assert Tokenizer.from_folder(tmp_path).stop_ids == (257,)
        (tmp_path / "generation_config.json").write_text('{"eos_token_id": 257}')


def test_ends_are_found_in_the_order_of_transformers(tmp_path: Path):
    """generation_config.json before config.json; without any end the folder is refused."""
    folder = _write(tmp_path, None, None)
    with pytest.raises(CheckpointError, match="no token ends a text"):
        Tokenizer.from_folder(folder)
    (folder / "config.json").write_text('{"eos_token_id": 257}')
    assert Tokenizer.from_folder(folder).stop_ids == (257,)
    (folder / "generation_config.json").write_text('{"eos_token_id": 259}')
    assert Tokenizer.from_folder(folder).stop_ids == (259,)


def test_chat_templates_come_from_either_place(tmp_path: Path):
    """A file of its own wins over the configuration; of several the default is taken."""
    named = [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]
    config = {"eos_token": "<|endoftext|>", "chat_template": named}
    folder = _write(tmp_path, config, None)
    assert Tokenizer.from_folder(folder).chat_template == "D"
    (folder / "chat_template.jinja").write_text("J")
    assert Tokenizer.from_folder(folder).chat_template == "J"


def test_templates_may_name_every_special_token(tmp_path: Path):
    """Of either file, as transformers takes them; saved, and part of the fingerprint."""
    template = "{{ unk_token }}{{ sep_token }}{{ cls_token }}{{ mask_token }}{{ bos_token }}"
    config = {
        "eos_token": "<|endoftext|>",
        "unk_token": {"content": "<|pad|>"},
        "sep_token": "<|im_start|>",
        "chat_template": template,
    }
    folder = _write(tmp_path, config, None)
    (folder / "special_tokens_map.json").write_text(
        '{"sep_token": "<|im_end|>", "mask_token": "<|endoftext|>", "bos_token": "<|pad|>"}'
    )
    says = [{"role": "user", "content": "a"}]
    tokenizer = Tokenizer.from_folder(folder)
    text = tokenizer.render_chat(says, add_generation_prompt=False)
    assert text == "<|pad|><|im_end|><|endoftext|><|pad|>"
    assert tokenizer.encode_chat(says, add_generation_prompt=False) == [256, 259, 257, 256]
    tokenizer.save(folder)
    (folder / "special_tokens_map.json").unlink()
    again = Tokenizer.from_folder(folder)
    assert again.render_chat(says, add_generation_prompt=False) == text
    assert again.fingerprint == tokenizer.fingerprint
    # A token that pads because none is named is not the template's.
    padded = dataclasses.replace(tokenizer, chat_template="{{ pad_token }}")
    assert padded.render_chat(says, add_generation_prompt=False) == ""
    config["pad_token"] = "<|im_end|>"
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    padded = dataclasses.replace(Tokenizer.from_folder(folder), chat_template="{{ pad_token }}")
    assert padded.render_chat(says, add_generation_prompt=False) == "<|im_end|>"
    del config["pad_token"]
    other = dataclasses.replace(tokenizer, other_tokens={})
    assert other.fingerprint != tokenizer.fingerprint
    # Newer files have all of them in one, and what is beside it is not read.
    config["added_tokens_decoder"] = {}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "special_tokens_map.json").write_text('{"sep_token": "<|im_end|>"}')
    text = Tokenizer.from_folder(folder).render_chat(says, add_generation_prompt=False)
    assert text == "<|pad|><|im_start|>"


def test_sampling_defaults_of_the_base_are_written_again(tmp_path: Path):
    """For transformers; the ids beside them are the tokenizer's."""
    kept = {"do_sample": True, "temperature": 0.6, "top_p": 0.9}
    found = {**kept, "eos_token_id": 257, "bos_token_id": 5, "_from_model_config": True}
    template = byte_tokenizer().chat_template
    config = {"eos_token": "<|endoftext|>", "chat_template": template}
    folder = _write(tmp_path, config, found)
    Tokenizer.from_folder(folder).save(folder)
    written = json.loads((folder / "generation_config.json").read_text())
    assert written == {**kept, "eos_token_id": [257, 259], "pad_token_id": 257}


def test_broken_tokenizer_files_are_named(tmp_path: Path):
    """The message has the file and, if it is about one, the field."""
    folder = _write(tmp_path, {"eos_token": "<|nope|>"}, None)
    with pytest.raises(CheckpointError, match=r"tokenizer_config\.json: eos_token '<\|nope\|>'"):
        Tokenizer.from_folder(folder)
    (folder / "tokenizer_config.json").unlink()
    (folder / "generation_config.json").write_text('{"eos_token_id": "259"}')
    with pytest.raises(CheckpointError, match=r"generation_config\.json: eos_token_id is '259'"):
        Tokenizer.from_folder(folder)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json cannot be read"):
        Tokenizer.from_folder(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"has no tokenizer\.json"):
        Tokenizer.from_folder(folder)
