"""Parts of GGUF files, written as llama.cpp's converter writes them."""

from collections.abc import Mapping
from typing import Any

import gguf
import numpy as np

from modelops_jax.models._presets import byte_tokenizer


def interleaved(rows: np.ndarray, head_dim: int) -> np.ndarray:
    """llama.cpp's order, row by row: the two rows that turn together become neighbours."""
    result = np.empty_like(rows)
    for head in range(len(rows) // head_dim):
        for index in range(head_dim // 2):
            first = head * head_dim + index
            result[head * head_dim + 2 * index] = rows[first]
            result[head * head_dim + 2 * index + 1] = rows[first + head_dim // 2]
    return result


def add_tokenizer(writer: gguf.GGUFWriter, changes: Mapping[str, Any]) -> None:
    ours = byte_tokenizer()
    tokens = sorted(ours.backend.get_vocab(), key=ours.backend.get_vocab().__getitem__)
    tokens[255] = tokens[ord("h")] + tokens[ord("i")]
    writer.add_tokenizer_model(changes.get("model", "gpt2"))
    writer.add_tokenizer_pre(changes.get("pre", "gpt-2"))
    writer.add_token_list(tokens)
    writer.add_token_types([1] * 256 + [3] * 3 + [4])
    writer.add_token_merges(changes.get("merges", ["h i"]))
    writer.add_bos_token_id(257)
    writer.add_eos_token_id(259)
    if "add_bos" in changes:
        writer.add_add_bos_token(changes["add_bos"])
    if "eot" in changes:
        writer.add_eot_token_id(changes["eot"])
    if "template" in changes:
        writer.add_chat_template(changes["template"])
