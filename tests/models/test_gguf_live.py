"""The first token and the chat template of a GGUF file, beside transformers' own reading of it."""

from pathlib import Path

import gguf
import numpy as np
import pytest

from modelops_jax.models._gguf_tokenizer import tokenizer_from_gguf

from .gguf_writing import add_tokenizer

pytestmark = [
    pytest.mark.model,
    # transformers warns about its own internals.
    pytest.mark.filterwarnings("default"),
]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{{ eos_token }}"
    "{% endfor %}"
)
SAYS = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("architecture", "rule", "add_bos"),
    [
        # Qwen 2's files name a first token that they do not add, or say nothing of it.
        ("qwen2", "qwen2", False),
        ("qwen2", "qwen2", None),
        ("qwen2", "qwen2", True),
        ("llama", "llama-bpe", False),
        ("llama", "llama-bpe", True),
    ],
)
def test_a_first_token_is_added_and_named_as_transformers_does(
    tmp_path: Path, architecture: str, rule: str, add_bos: bool | None
):
    """Ids of a text, and a conversation by a template that writes the token, in text and ids."""
    import transformers

    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, architecture)
    add = {} if add_bos is None else {"add_bos": add_bos}
    add_tokenizer(writer, {"template": TEMPLATE, "pre": rule, **add})
    writer.add_block_count(1)
    writer.add_embedding_length(8)
    writer.add_head_count(2)
    writer.add_tensor("token_embd.weight", np.zeros((260, 8), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    fields = gguf.GGUFReader(path).fields
    ours = tokenizer_from_gguf({name: field.contents() for name, field in fields.items()}, "file")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path, gguf_file=path.name)

    ids = ours.encode("a hi", add_special_tokens=True)
    assert ids == theirs("a hi")["input_ids"]
    assert (ids[0] == 257) == bool(add_bos)
    text = ours.render_chat(SAYS, add_generation_prompt=False)
    assert text == theirs.apply_chat_template(SAYS, tokenize=False)
    assert text.startswith("<|endoftext|>")
    # The template wrote the token already: it is there once.
    chat = ours.encode_chat(SAYS, add_generation_prompt=False)
    assert chat == theirs.apply_chat_template(SAYS)["input_ids"]
    assert chat.count(257) == 1
