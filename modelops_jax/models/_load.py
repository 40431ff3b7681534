"""A model by its name or path, in memory."""

import os
from typing import Any

from jax.sharding import Mesh

from ._description import check_vocabulary, floating, resolve_or_warn
from ._gguf import read_gguf
from ._hf import read_folder
from ._lora import merge_lora
from ._mesh import MeshShape, make_mesh
from ._model import Model
from ._peft import load_adapters
from ._presets import make_preset


def load(
    name_or_path: str | os.PathLike[str],
    *,
    dtype: Any = None,
    mesh: Mesh | MeshShape | None = None,
    adapter: str | os.PathLike[str] | None = None,
) -> Model:
    """Load a model by name or path; see `resolve` for what a name may be.

    Args:
        name_or_path: A Hugging Face folder, a `.gguf` file, an alias, a preset such as "tiny", a
            packaged model such as "smollm2-135m-instruct", or a Hugging Face id.
        dtype: Floating type of parameters and activations; float32 by default, whatever the file
            stores.
        mesh: Devices to divide the weights over, from `make_mesh`, or its shape, such as
            `TrainingConfig.mesh`; the default device alone without it. Every tensor goes straight
            to its devices before the next one is read, so that neither the host nor one of them
            holds the model.
        adapter: Folder of a LoRA or DoRA adapter, as PEFT and `save_adapters` write it, to merge
            into the weights.

    Returns:
        The model.

    Raises:
        UnknownModelError: Nothing has this name; the message lists what was tried.
        CheckpointError: The files are damaged, incomplete or not supported.
        TypeError: `dtype` is not a floating type, or `mesh` is no mesh.
        ValueError: The mesh needs more devices than there are.

    Warns:
        SubstitutedModelWarning: A preset stands in for a hosted model.

    Example:
        >>> from modelops_jax.models import load
        >>> model = load("tiny")
        >>> model.config.num_layers
        4
    """
    kind = floating(dtype)
    resolved = resolve_or_warn(name_or_path)
    mesh = make_mesh(mesh) if isinstance(mesh, MeshShape) else mesh
    if mesh is not None and not isinstance(mesh, Mesh):
        raise TypeError(f"mesh must be a Mesh or a MeshShape, not {type(mesh).__name__}")
    if resolved.kind == "preset":
        parts = make_preset(resolved.location, kind, mesh)
    elif resolved.kind == "gguf":
        parts = read_gguf(resolved.location, kind, mesh)
    else:
        parts = read_folder(resolved.location, kind, mesh)
    config, params, tokenizer = parts
    check_vocabulary(config, tokenizer, resolved)
    if adapter is not None:
        params = merge_lora(params, load_adapters(adapter, config))
    return Model(config, params, tokenizer, resolved.name)
