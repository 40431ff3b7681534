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
from ._peft_gpt2 import (
    FUSED,
    Modules,
    can_fuse,
    fuse_adapters,
    fuse_shapes,
    own_ranks,
    split_adapters,
)
from ._stacked import LAYERS, flat_tree, listing

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
# What PEFT keeps whole of a model for classification, whatever its family calls its head.
_HEADS = ["classifier", "score"]
_HEAD = f"{_PREFIX}score.weight"


def can_save_adapters(adapters: Adapters, config: DecoderConfig) -> bool:
    """Whether PEFT's folder can hold these adapters to this architecture.

    It cannot hold DoRA on some of a GPT-2's queries, keys and values: they are one map there.
    """
    return config.family != "gpt2" or can_fuse(_modules(adapters), adapters.config)


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
    if not can_save_adapters(adapters, config):
        raise ValueError(
            "queries, keys and values of a GPT-2 are one map for PEFT, and DoRA has to adapt all "
            "of them or none; save the merged model instead"
        )
    modules, own = _modules(adapters), dict[str, Any]()
    if config.family == "gpt2":
        modules, own = fuse_adapters(modules, adapters.config)
    tensors = {}
    for module, leaves in modules.items():
        for key, leaf in leaves.items():
            for layer, piece in enumerate(leaf):
                tensors[_tensor_name(config, layer, module, key)] = np.ascontiguousarray(piece)
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
        "target_modules": _targets(modules, config),
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
    } | own
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
    made_by, has_head, side_by_side = _read_settings(folder / SETTINGS, config)
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
    modules: Modules = {}
    missing = []
    for module, (layers, out, into) in _linear_maps(config).items():
        is_fused = module == FUSED and side_by_side
        rank = own_ranks(made_by)["rank_pattern"][FUSED] if is_fused else made_by.rank
        shapes: dict[str, tuple[int, ...]] = {"lora_A": (rank, into), "lora_B": (out, rank)}
        if made_by.dora:
            shapes[MAGNITUDE] = (out,)
        names = {
            key: [_tensor_name(config, layer, module, key) for layer in range(layers)]
            for key in shapes
        }
        if not any(name in found for stacked in names.values() for name in stacked):
            continue
        modules[module] = {
            key: np.zeros((layers, *shape), np.float32) for key, shape in shapes.items()
        }
        for key, shape in shapes.items():
            for slot, name in zip(modules[module][key], names[key], strict=True):
                tensor = found.pop(name, None)
                if tensor is None:
                    missing.append(name)
                else:
                    _check_shape(folder, name, tensor, shape, f"rank {rank} and the base model")
                    slot[...] = tensor
    head = found.pop(_HEAD, None) if has_head else None
    if has_head:
        shape = (len(config.labels), config.hidden_size)
        if head is None:
            missing.append(_HEAD)
        else:
            asking = f"the base model's labels ({', '.join(config.labels)})"
            _check_shape(folder, _HEAD, head, shape, asking)
    if missing or found or not modules:
        parts = [f"not understood: {listing(found)}"] if found else []
        parts += [f"missing: {listing(missing)}"] if missing else []
        raise CheckpointError(f"{folder}: tensors {'; '.join(parts) or 'there are none'}")
    if config.family == "gpt2":
        modules = split_adapters(modules, made_by, side_by_side=side_by_side, source=str(folder))
    weights: dict[str, Any] = {}
    for module, leaves in modules.items():
        block, _, name = module.partition(".")
        weights.setdefault(block, {})[name] = {k: jnp.asarray(leaf) for k, leaf in leaves.items()}
    used = {name for block in weights.values() for name in block}
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


def _read_settings(path: Path, config: DecoderConfig) -> tuple[LoraConfig, bool, bool]:
    """What the adapters were made as, whether a head was trained beside them, and `own_ranks`."""
    raw = read_json(path)
    made_by = _made_by(path, raw)
    saved = raw.get("modules_to_save") or []
    has_head = isinstance(saved, list) and "score" in saved and set(saved) <= set(_HEADS)
    only: dict[str, tuple[Any, ...]] = {
        "peft_type": ("LORA",),
        "bias": (None, "none"),
        "init_lora_weights": _STARTS,
    }
    only |= {field: (False, {}, [], None) for field in raw.keys() - _HARMLESS}
    if has_head:
        del only["modules_to_save"]
    ranks = own_ranks(made_by)
    side_by_side = config.family == "gpt2" and raw.get("rank_pattern") == ranks["rank_pattern"]
    if side_by_side:
        only |= {field: (value,) for field, value in ranks.items()}
    for field, allowed in only.items():
        if raw.get(field) not in allowed:
            raise CheckpointError(
                f"{path}: {field} is {raw.get(field)!r}; supported: {allowed[-1]!r}"
            )
    return made_by, has_head, side_by_side


def _made_by(path: Path, raw: dict[str, Any]) -> LoraConfig:
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
        return LoraConfig(
            rank=int(numbers["r"]),
            alpha=float(numbers["lora_alpha"]),
            dropout=float(numbers["lora_dropout"]),
            rank_stabilized=raw.get("use_rslora", False),
            dora=raw.get("use_dora", False),
        )
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _modules(adapters: Adapters) -> Modules:
    """The adapters' arrays by module and key."""
    return {
        f"{block}.{name}": {key: np.asarray(leaf) for key, leaf in leaves.items()}
        for block, by_name in adapters.weights.items()
        for name, leaves in by_name.items()
    }


def _targets(modules: Modules, config: DecoderConfig) -> list[str]:
    """Names that PEFT finds these modules by; two of a GPT-2 have the same last part."""
    return [name if config.family == "gpt2" else name.rpartition(".")[2] for name in modules]


def _linear_maps(config: DecoderConfig) -> dict[str, tuple[int, int, int]]:
    """Shape (layers, out, in) of each linear map that can have an adapter, by PEFT's module."""
    maps = {
        ".".join(path[len(LAYERS) : -1]): shape
        for path, shape in flat_tree(param_shapes(config)).items()
        if path[: len(LAYERS)] == LAYERS and path[-2] in LINEAR and path[-1] == "weight"
    }
    return fuse_shapes(maps) if config.family == "gpt2" else maps


def _tensor_name(config: DecoderConfig, layer: int, module: str, key: str) -> str:
    layers = "transformer.h" if config.family == "gpt2" else ".".join(LAYERS)
    # DoRA's vector is no module of its own, so its name has no ending.
    ending = "" if key == MAGNITUDE else ".weight"
    return f"{_PREFIX}{layers}.{layer}.{module}.{key}{ending}"
