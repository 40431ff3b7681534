"""Adapters as the folder that the PEFT library writes and reads."""

import os
import shutil
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors.numpy

from ._config import DecoderConfig
from ._errors import CheckpointError
from ._folder import new_folder
from ._hf import read_tensors
from ._json_file import read_json, write_json
from ._lora import LINEAR, MAGNITUDE, Adapters, LoraConfig
from ._params import param_shapes
from ._stacked import LAYERS, flat_tree, layer_name, listing

SETTINGS, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
# PEFT's wrapper, and its wrapped model.
_PREFIX = "base_model.model."
# What a file may say without changing what its tensors mean. Any other field that is set asks for
# something that is not supported, also one that only a later PEFT knows.
_HARMLESS = {
    *("auto_mapping", "base_model_name_or_path", "ensure_weight_tying", "exclude_modules"),
    *("fan_in_fan_out", "inference_mode", "layers_pattern", "megatron_config", "megatron_core"),
    *("peft_version", "qalora_group_size", "revision", "runtime_config", "target_modules"),
    *("task_type", "init_lora_weights", "eva_config", "corda_config", "loftq_config"),
    *("peft_type", "bias", "r", "lora_alpha", "lora_dropout", "use_rslora", "use_dora"),
}
# Other ways to begin change the base model's weights too.
_STARTS = (None, True, False, "gaussian", "eva", "orthogonal")
_REFUSED = "queries, keys and values of a GPT-2 are one map for PEFT; save the merged model instead"
# What PEFT keeps whole of a model for classification, whatever its family calls its head.
_HEADS = ["classifier", "score"]
_HEAD = f"{_PREFIX}score.weight"


def can_save_adapters(config: DecoderConfig) -> bool:
    """Whether PEFT's folder can hold the adapters of this architecture.

    It cannot those of GPT-2, whose queries, keys and values are one map there.
    """
    return config.family != "gpt2"


def save_adapters(
    path: str | os.PathLike[str],
    adapters: Adapters,
    config: DecoderConfig,
    *,
    base_model: str | None = None,
) -> None:
    """Write adapters as a folder that PEFT loads onto the same base model; whole or not at all.

    Args:
        path: The folder to make; it may exist only if it is empty.
        adapters: From `fit(...).adapters` or `load_adapters`.
        config: The base model's architecture.
        base_model: Name or path of the base model, for `AutoPeftModelForCausalLM`.

    Raises:
        FileExistsError: `path` exists and is not an empty folder.
        ValueError: `can_save_adapters` says no.

    Example:
        >>> from modelops_jax.models import LoraConfig, init_lora, load
        >>> from modelops_jax.models import load_adapters, save_adapters
        >>> model = load("tiny")
        >>> adapters = init_lora(model.params, LoraConfig(rank=2), seed=0)
        >>> save_adapters("adapter", adapters, model.config)
        >>> load_adapters("adapter", model.config).config.rank
        2
    """
    if not can_save_adapters(config):
        raise ValueError(_REFUSED)
    tensors = {}
    for where, leaf in flat_tree(adapters.weights).items():
        for layer, piece in enumerate(np.asarray(leaf)):
            tensors[_tensor_name(where, layer)] = piece
    if adapters.head is not None:
        tensors[_HEAD] = np.asarray(adapters.head["weight"])
    made_by = adapters.config
    alpha = int(made_by.alpha) if made_by.alpha == int(made_by.alpha) else made_by.alpha
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM" if adapters.head is None else "SEQ_CLS",
        "modules_to_save": None if adapters.head is None else _HEADS,
        "base_model_name_or_path": base_model,
        "r": made_by.rank,
        "lora_alpha": alpha,
        "lora_dropout": made_by.dropout,
        "use_rslora": made_by.rank_stabilized,
        "use_dora": made_by.dora,
        "target_modules": [name for block in adapters.weights.values() for name in block],
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
    }
    with new_folder(path) as folder:
        safetensors.numpy.save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
        write_json(folder / SETTINGS, settings)
        # The safetensors package makes its file for its owner alone.
        shutil.copymode(folder / SETTINGS, folder / WEIGHTS)


def load_adapters(path: str | os.PathLike[str], config: DecoderConfig) -> Adapters:
    """Read LoRA or DoRA adapters that PEFT or `save_adapters` wrote.

    Args:
        path: The folder, with `adapter_config.json` and `adapter_model.safetensors`.
        config: The base model's architecture.

    Returns:
        Float32 adapters, for `forward`, `merge_lora` or `save_adapters`; with the head, if the base
        model has labels and the folder a head for them.

    Raises:
        CheckpointError: A file is missing or damaged, the adapters are of another base model or
            of a kind that is not supported, or tensors are left over or missing.
    """
    folder = Path(path)
    if not can_save_adapters(config):
        raise CheckpointError(f"{folder}: {_REFUSED}")
    made_by, has_head = _read_settings(folder / SETTINGS)
    if has_head and not config.labels:
        raise CheckpointError(
            f"{folder} holds a head for labels, and the base model has none; read it with the "
            "architecture of `model.with_labels(...)`"
        )
    if not (folder / WEIGHTS).exists():
        pickled = folder / "adapter_model.bin"
        hint = f"; {pickled.name} is a pickle and is not read" if pickled.exists() else ""
        raise CheckpointError(f"{folder} has no {WEIGHTS}{hint}")
    found = dict(read_tensors(folder / WEIGHTS))
    weights: dict[str, Any] = {}
    missing, used = [], []
    for path_of, (layers, out, into) in _linear_maps(config).items():
        shapes: dict[str, tuple[int, ...]] = {
            "lora_A": (made_by.rank, into),
            "lora_B": (out, made_by.rank),
        }
        if made_by.dora:
            shapes[MAGNITUDE] = (out,)
        names = {
            key: [_tensor_name((*path_of, key), layer) for layer in range(layers)] for key in shapes
        }
        if not any(name in found for own in names.values() for name in own):
            continue
        used.append(path_of[-1])
        for key, shape in shapes.items():
            stacked = np.zeros((layers, *shape), np.float32)
            for slot, name in zip(stacked, names[key], strict=True):
                tensor = found.pop(name, None)
                if tensor is None:
                    missing.append(name)
                else:
                    _check_shape(
                        folder, name, tensor, shape, f"rank {made_by.rank} and the base model"
                    )
                    slot[...] = tensor
            block = weights.setdefault(path_of[0], {})
            block.setdefault(path_of[1], {})[key] = jnp.asarray(stacked)
    head = found.pop(_HEAD, None) if has_head else None
    if has_head:
        shape = (len(config.labels), config.hidden_size)
        if head is None:
            missing.append(_HEAD)
        else:
            asking = f"the base model's labels ({', '.join(config.labels)})"
            _check_shape(folder, _HEAD, head, shape, asking)
    if missing or found or not weights:
        parts = [f"not understood: {listing(found)}"] if found else []
        parts += [f"missing: {listing(missing)}"] if missing else []
        raise CheckpointError(f"{folder}: tensors {'; '.join(parts) or 'there are none'}")
    targets = tuple(name for name in LINEAR if name in used)
    score = None if head is None else {"weight": jnp.asarray(head, jnp.float32)}
    return Adapters(weights, LoraConfig(**{**vars(made_by), "targets": targets}), score)


def _check_shape(
    folder: Path, name: str, tensor: np.ndarray, shape: tuple[int, ...], asking: str
) -> None:
    if tensor.shape != shape:
        raise CheckpointError(
            f"{folder}: tensor {name!r} has shape {tensor.shape}; {asking} ask for {shape}"
        )


def _read_settings(path: Path) -> tuple[LoraConfig, bool]:
    """What the adapters were made as, and whether a head was trained beside them."""
    raw = read_json(path)
    saved = raw.get("modules_to_save") or []
    has_head = isinstance(saved, list) and "score" in saved and set(saved) <= set(_HEADS)
    only = {
        "peft_type": ("LORA",),
        "bias": (None, "none"),
        "init_lora_weights": _STARTS,
    }
    only |= {field: (False, {}, [], None) for field in raw.keys() - _HARMLESS}
    if has_head:
        del only["modules_to_save"]
    for field, allowed in only.items():
        if raw.get(field) not in allowed:
            raise CheckpointError(
                f"{path}: {field} is {raw.get(field)!r}; supported: {allowed[-1]!r}"
            )
    numbers = {"r": 8, "lora_alpha": 8, "lora_dropout": 0.0}
    for field in numbers:
        value = raw.get(field, numbers[field])
        kind = int if field == "r" else (int, float)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise CheckpointError(f"{path}: {field} is {value!r}; expected a number")
        numbers[field] = value
    for field in ("use_rslora", "use_dora"):
        if not isinstance(raw.get(field, False), bool):
            raise CheckpointError(f"{path}: {field} is {raw[field]!r}; expected true or false")
    try:
        made_by = LoraConfig(
            rank=int(numbers["r"]),
            alpha=float(numbers["lora_alpha"]),
            dropout=float(numbers["lora_dropout"]),
            rank_stabilized=raw.get("use_rslora", False),
            dora=raw.get("use_dora", False),
        )
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return made_by, has_head


def _linear_maps(config: DecoderConfig) -> dict[tuple[str, ...], tuple[int, int, int]]:
    """Shape (layers, out, in) of each linear map that can have an adapter, by block and name."""
    return {
        path[len(LAYERS) : -1]: shape
        for path, shape in flat_tree(param_shapes(config)).items()
        if path[: len(LAYERS)] == LAYERS and path[-2] in LINEAR and path[-1] == "weight"
    }


def _tensor_name(where: tuple[str, ...], layer: int) -> str:
    # DoRA's vector is no module of its own, so its name has no ending.
    ending = "" if where[-1] == MAGNITUDE else ".weight"
    return f"{_PREFIX}{layer_name((*LAYERS, *where), layer)}{ending}"
