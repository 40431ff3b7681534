"""GPT-2's adapters as PEFT has them, with one for queries, keys and values together.

That map is one for PEFT, y = W x + s B (A x) with W of three times the width; here it is three,
each with its own A. An adapter of PEFT's is three of ours that have the same A, and B's rows
divided. Three of ours with their own A are one of PEFT's of three times the rank: A above each
other, and B in blocks, with zeros beside them. Both are exact.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ._errors import CheckpointError
from ._hf_gpt2 import LINEAR_MAPS
from ._lora import MAGNITUDE, LoraConfig

# Module of a layer -> key -> array stacked over layers.
Modules = dict[str, dict[str, np.ndarray]]

FUSED = "attn.c_attn"
_PARTS = LINEAR_MAPS[FUSED]


def can_fuse(names: Any, made_by: LoraConfig) -> bool:
    """Whether PEFT can hold adapters of these of our modules.

    DoRA gives a length to every row of a map, and those of queries, say, that are not adapted are
    in the base model, not in the adapters.
    """
    adapted = [part for part in _PARTS if part in names]
    return not made_by.dora or len(adapted) in (0, len(_PARTS))


def fuse_adapters(modules: Modules, made_by: LoraConfig) -> tuple[Modules, dict[str, Any]]:
    """Our adapters by PEFT's modules, and what `adapter_config.json` has to say of them beside."""
    fused = {
        theirs: modules[own]
        for theirs, (own, *others) in LINEAR_MAPS.items()
        if not others and own in modules
    }
    settings: dict[str, Any] = {"fan_in_fan_out": True}
    adapted = [part for part in _PARTS if part in modules]
    if not adapted:
        return fused, settings
    ups = [_array_or_zeros(modules, part, adapted[0], "lora_B") for part in _PARTS]
    downs = [_array_or_zeros(modules, part, adapted[0], "lora_A") for part in _PARTS]
    if all(np.array_equal(down, downs[0]) for down in downs):
        whole = {"lora_A": downs[0], "lora_B": np.concatenate(ups, axis=1)}
    else:
        rank = made_by.rank
        blocks = [np.pad(up, ((0, 0), (0, 0), _around(at, rank))) for at, up in enumerate(ups)]
        whole = {"lora_A": np.concatenate(downs, axis=1), "lora_B": np.concatenate(blocks, axis=1)}
        settings |= own_ranks(made_by)
    if made_by.dora:
        lengths = [modules[part][MAGNITUDE] for part in _PARTS]
        whole[MAGNITUDE] = np.concatenate(lengths, axis=1)
    return {FUSED: whole, **fused}, settings


def fuse_shapes(shapes: Mapping[str, tuple[int, int, int]]) -> dict[str, tuple[int, int, int]]:
    """Shape (layers, out, in) of each of PEFT's modules, from those of ours."""
    fused = {}
    for theirs, parts in LINEAR_MAPS.items():
        layers, _, into = shapes[parts[0]]
        fused[theirs] = (layers, sum(shapes[part][1] for part in parts), into)
    return fused


def own_ranks(made_by: LoraConfig) -> dict[str, dict[str, Any]]:
    """The settings by which the fused map has three times the rank, and the scale of the others."""
    count = len(_PARTS)
    times = count**0.5 if made_by.rank_stabilized else count
    return {
        "rank_pattern": {FUSED: count * made_by.rank},
        "alpha_pattern": {FUSED: times * made_by.alpha},
    }


def split_adapters(
    modules: Modules, made_by: LoraConfig, *, side_by_side: bool, source: str
) -> Modules:
    """PEFT's adapters by our modules.

    Args:
        modules: As `fuse_adapters` gives them, or as PEFT trained them.
        made_by: Rank, scale and kind.
        side_by_side: Whether the settings have `own_ranks`.
        source: The folder, for messages.

    Raises:
        CheckpointError: What should be zero beside the blocks is not.
    """
    split = {LINEAR_MAPS[name][0]: tensors for name, tensors in modules.items() if name != FUSED}
    if FUSED not in modules:
        return split
    whole, count = modules[FUSED], len(_PARTS)
    pieces = {key: np.split(whole[key], count, axis=1) for key in whole if key != "lora_A"}
    downs = np.split(whole["lora_A"], count, axis=1) if side_by_side else [whole["lora_A"]] * count
    for at, part in enumerate(_PARTS):
        own = {"lora_A": downs[at], **{key: piece[at] for key, piece in pieces.items()}}
        if side_by_side:
            first = at * made_by.rank
            up = own["lora_B"][..., first : first + made_by.rank]
            if np.count_nonzero(own["lora_B"]) > np.count_nonzero(up):
                raise CheckpointError(
                    f"{source}: the adapters of queries, keys and values in {FUSED} mix, as they "
                    "do when PEFT trains them on; only the merged model can be read"
                )
            own["lora_B"] = up
            if MAGNITUDE not in own and not any(leaf.any() for leaf in own.values()):
                continue  # was not adapted: a beginning has A
        split[part] = own
    return split


def _array_or_zeros(modules: Modules, part: str, like: str, key: str) -> np.ndarray:
    """A part's array; queries, keys and values are of one shape."""
    return modules[part][key] if part in modules else np.zeros_like(modules[like][key])


def _around(at: int, rank: int) -> tuple[int, int]:
    """Columns before and after a part's block."""
    return at * rank, (len(_PARTS) - 1 - at) * rank
