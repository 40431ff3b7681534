"""GPT-2's own names in a Hugging Face folder, and its fused and transposed weights.

Its linear maps are stored (in, out), with queries, keys and values side by side in one of them.
Inside, GPT-2 has the names and the layout that every other family has. The dropout of its
configuration (`attn_pdrop`, `embd_pdrop`, `resid_pdrop`) is not read: it is none of the function
that the weights are, and training drops inputs of adapters alone.
"""

from collections.abc import Iterator

import numpy as np

from ._params import Params
from ._stacked import checkpoint_tensors

_PREFIX = "transformer."
_TOP_LEVEL = {"wte": "model.embed_tokens", "wpe": "model.embed_positions", "ln_f": "model.norm"}
LINEAR_MAPS = {
    "attn.c_attn": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attn.c_proj": ("self_attn.o_proj",),
    "mlp.c_fc": ("mlp.up_proj",),
    "mlp.c_proj": ("mlp.down_proj",),
}
"""The linear maps of a layer by GPT-2's names, and ours that each holds, one below the other."""
_IN_LAYER = {
    "ln_1": ("input_layernorm",),
    "ln_2": ("post_attention_layernorm",),
    **LINEAR_MAPS,
}
_FUSED_INTO = {own: (theirs, parts) for theirs, parts in _IN_LAYER.items() for own in parts}

FIELDS = {
    "hidden_size": "n_embd",
    "intermediate_size": "n_inner",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "max_position_embeddings": "n_positions",
    "rms_norm_eps": "layer_norm_epsilon",
}
"""What `config.json` calls the fields of the other families."""


def split_gpt2(name: str, tensor: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The tensors, by our names, that a stored one holds; an unknown name stays as it is.

    The first checkpoints left out the prefix that every tensor of the trunk has today.
    """
    stem, _, kind = name.removeprefix(_PREFIX).rpartition(".")
    block, _, rest = stem.partition(".")
    layer, _, part = rest.partition(".")
    if block == "h" and part in _IN_LAYER:
        parts = _IN_LAYER[part]
        rows = tensor.T if part in LINEAR_MAPS and kind == "weight" else tensor
        # Pieces of the wrong shape are reported by name when they are put in place.
        pieces = np.array_split(rows, len(parts)) if rows.ndim else [rows]
        for own, piece in zip(parts, pieces, strict=False):
            yield f"model.layers.{layer}.{own}.{kind}", piece
    else:
        yield (f"{_TOP_LEVEL[stem]}.{kind}" if stem in _TOP_LEVEL else name), tensor


def fuse_gpt2(params: Params) -> Iterator[tuple[str, np.ndarray]]:
    """Name and array of each tensor of a checkpoint, as transformers writes them."""
    top_level = {own: theirs for theirs, own in _TOP_LEVEL.items()}
    tensors = dict(checkpoint_tensors(params))
    for name, tensor in tensors.items():
        stem, _, kind = name.rpartition(".")
        if not stem.startswith("model.layers."):
            yield (f"{_PREFIX}{top_level[stem]}.{kind}" if stem in top_level else name), tensor
            continue
        layer, _, own = stem.removeprefix("model.layers.").partition(".")
        theirs, parts = _FUSED_INTO[own]
        if own != parts[0]:
            continue  # went with the first of its parts
        rows = np.concatenate([tensors[f"model.layers.{layer}.{part}.{kind}"] for part in parts])
        if theirs in LINEAR_MAPS and kind == "weight":
            rows = np.ascontiguousarray(rows.T)
        yield f"{_PREFIX}h.{layer}.{theirs}.{kind}", rows
