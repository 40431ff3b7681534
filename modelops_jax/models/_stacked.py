"""Checkpoint tensors by their own names, to and from the parameter tree with stacked layers.

A checkpoint names each layer's tensor (`model.layers.3.mlp.up_proj.weight`); the tree holds all
layers of it in one array (`model/layers/mlp/up_proj/weight`, layers on axis 0).
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from ._config import DecoderConfig
from ._errors import CheckpointError
from ._mesh import weight_sharding
from ._params import Params, param_shapes

LAYERS = ("model", "layers")
# Names in an error message before the rest is only counted.
LISTED_NAMES = 8
# XLA's CPU buffers begin at multiples of this.
XLA_ALIGNMENT = 64


def flat_tree(tree: dict[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """The leaves of a nested dictionary by their path."""
    leaves: dict[tuple[str, ...], Any] = {}
    for key, node in tree.items():
        at = (*path, key)
        leaves |= flat_tree(node, at) if isinstance(node, dict) else {at: node}
    return leaves


def layer_name(path: tuple[str, ...], layer: int) -> str:
    """The checkpoint's name of one layer of a stacked array."""
    return ".".join((*LAYERS, str(layer), *path[len(LAYERS) :]))


def checkpoint_tensors(params: Params) -> Iterator[tuple[str, np.ndarray]]:
    """Name and array of each tensor of a checkpoint; layers are views, not copies."""
    for path, leaf in flat_tree(params).items():
        array = np.ascontiguousarray(leaf)
        if path[: len(LAYERS)] == LAYERS:
            for layer, piece in enumerate(array):
                yield layer_name(path, layer), piece
        else:
            yield ".".join(path), array


def listing(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    ordered = sorted(names)
    more = len(ordered) - LISTED_NAMES
    return ", ".join(ordered[:LISTED_NAMES]) + (f" and {more} more" if more > 0 else "")


class StackedWeights:
    """Collects a checkpoint's tensors into arrays allocated once, in their final type.

    Args:
        config: Says which tensors there must be, and their shapes.
        dtype: Type of the parameters.
        source: The file or folder, for messages.
    """

    def __init__(self, config: DecoderConfig, dtype: np.dtype, source: str):
        self._source = source
        self._arrays: dict[tuple[str, ...], np.ndarray] = {}
        self._slots: dict[str, np.ndarray] = {}
        self._leftover: list[str] = []
        self._filled: set[str] = set()
        for path, shape in flat_tree(param_shapes(config)).items():
            array = self._arrays[path] = _aligned(shape, dtype)
            if path[: len(LAYERS)] == LAYERS:
                self._slots |= {layer_name(path, layer): slot for layer, slot in enumerate(array)}
            else:
                self._slots[".".join(path)] = array

    def put(self, name: str, tensor: np.ndarray) -> None:
        """Copy one tensor into its place; a name without a place is reported by `finish`.

        Raises:
            CheckpointError: The shape is not the configuration's, or the name came before.
        """
        slot = self._slots.get(name)
        if slot is None:
            self._leftover.append(name)
            return
        if tensor.shape != slot.shape:
            raise CheckpointError(
                f"{self._source}: tensor {name!r} has shape {tensor.shape}; "
                f"the configuration asks for {slot.shape}"
            )
        if name in self._filled:
            raise CheckpointError(f"{self._source}: tensor {name!r} is stored twice")
        slot[...] = tensor
        self._filled.add(name)

    def get(self, name: str) -> np.ndarray:
        """The place of a tensor."""
        return self._slots[name]

    def finish(self, mesh: Mesh | None = None) -> Params:
        """The parameter tree, on the mesh or the default device; the collector is empty afterwards.

        Raises:
            CheckpointError: Tensors are left over or missing; the message lists both.
        """
        missing = self._slots.keys() - self._filled
        if missing or self._leftover:
            parts = []
            if self._leftover:
                parts.append(f"not understood: {listing(self._leftover)}")
            if missing:
                parts.append(f"missing: {listing(missing)}")
            raise CheckpointError(f"{self._source}: tensors " + "; ".join(parts))
        self._slots.clear()
        params: Params = {}
        for path in list(self._arrays):
            node = params
            for key in path[:-1]:
                node = node.setdefault(key, {})
            array = self._arrays.pop(path)
            place = mesh and weight_sharding(path, array.shape, mesh)
            # On an accelerator, one array leaves the host before the next one is moved.
            node[path[-1]] = jax.block_until_ready(jax.device_put(array, place))
            del array
        return params


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An uninitialised array that JAX takes over on a CPU instead of copying it."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + XLA_ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % XLA_ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)
