"""What `describe` says before the weights are read is what `load` finds."""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from modelops_jax.models import (
    CheckpointError,
    Description,
    SubstitutedModelWarning,
    UnknownModelError,
    describe,
    load,
)


def assert_describes(description: Description, model) -> None:
    """The same architecture, tokenizer and name, and the shapes of the weights."""
    assert description.config == model.config
    assert description.name == model.name
    assert description.tokenizer.encode("é<|im_end|>") == model.tokenizer.encode("é<|im_end|>")
    assert description.tokenizer.chat_template == model.tokenizer.chat_template
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), model.params)
    assert description.params == shapes


def test_presets_and_folders_are_described_as_they_load(hf_folder: Callable[..., Path]):
    """Without its weights a folder is described all the same."""
    assert_describes(describe("tiny"), load("tiny"))
    folder = hf_folder()
    model = load(folder, dtype=jnp.bfloat16)
    (folder / "model.safetensors").unlink()
    assert_describes(describe(folder, dtype=jnp.bfloat16), model)


def test_what_cannot_be_loaded_is_not_described(hf_folder: Callable[..., Path], reference):
    """The same errors and the same warning as loading."""
    with pytest.raises(UnknownModelError, match="unknown model 'tinyy'; did you mean 'tiny'"):
        describe("tinyy")
    with pytest.raises(TypeError, match="dtype must be a floating type, found int32"):
        describe("tiny", dtype=jnp.int32)
    with pytest.raises(CheckpointError, match="260 ids, the embeddings only 200"):
        describe(hf_folder(vocab_size=200))
    with pytest.warns(SubstitutedModelWarning, match="hosted model"):
        describe("gpt-4o")
