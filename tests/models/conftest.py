"""A stored model with the logits transformers computed for it, as folders and files to read."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import safetensors.numpy

from modelops_jax.models._presets import byte_tokenizer

from .families import CONFIGS, draw

ASSETS = Path(__file__).parent / "assets"


class Reference(NamedTuple):
    """What assets/make_llama_reference.py stored."""

    config: dict[str, Any]
    weights: dict[str, np.ndarray]
    token_ids: np.ndarray
    logits: np.ndarray


@pytest.fixture(scope="session")
def reference() -> Reference:
    """A random Llama with grouped heads and an untied head, and its logits."""
    with np.load(ASSETS / "llama_reference.npz") as stored:
        arrays = dict(stored)
    config = json.loads(str(arrays.pop("config")))
    token_ids, logits = arrays.pop("token_ids"), arrays.pop("logits")
    return Reference(config, arrays, token_ids, logits)


@pytest.fixture
def hf_folder(tmp_path: Path, reference: Reference) -> Callable[..., Path]:
    """Write the stored model, or a changed one, as a Hugging Face folder."""

    def write(
        weights: Mapping[str, np.ndarray] | None = None,
        *,
        name: str = "model",
        without: str | None = None,
        **changes: Any,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        config = {**reference.config, **changes}
        if without:
            del config[without]
        (folder / "config.json").write_text(json.dumps(config))
        tensors = dict(reference.weights if weights is None else weights)
        safetensors.numpy.save_file(tensors, folder / "model.safetensors")
        byte_tokenizer().save(folder)
        return folder

    return write


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Write a family's model as a Hugging Face folder, with other fields or without a tensor."""

    def write(
        family: str,
        *,
        name: str = "model",
        without: str | None = None,
        changes: dict[str, Any] | None = None,
    ) -> Path:
        path = tmp_path / name
        path.mkdir()
        fields = {**CONFIGS[family], **(changes or {})}
        (path / "config.json").write_text(json.dumps(fields))
        with np.load(ASSETS / "family_references.npz") as stored:
            shapes = json.loads(str(stored[f"{family}.shapes"]))
        tensors = {n: draw(n, shape, fields["model_type"]) for n, shape in shapes.items()}
        tensors.pop(without, None)
        safetensors.numpy.save_file(tensors, path / "model.safetensors")
        byte_tokenizer().save(path)
        return path

    return write
