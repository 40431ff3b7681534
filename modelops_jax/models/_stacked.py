"""Checkpoint tensors by their own names, to and from the parameter tree with stacked layers.

A checkpoint names each layer's tensor (`model.layers.3.mlp.up_proj.weight`); the tree holds all
layers of it in one array (`model/layers/mlp/up_proj/weight`, layers on axis 0).
"""

import functools
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int

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


class _Slot(NamedTuple):
    """Where a tensor belongs: the array's path, the layer in it if it is stacked, the shape."""

    path: tuple[str, ...]
    layer: int | None
    shape: tuple[int, ...]


class StackedWeights:
    """Puts a checkpoint's tensors into the arrays of the tree, each where it will stay.

    A tensor leaves the host before the next one is read, for its place on the devices. One CPU
    takes arrays over from the host instead, so there they are filled on the host.

    Args:
        config: Says which tensors there must be, and their shapes.
        dtype: Type of the parameters.
        source: The file or folder, for messages.
        mesh: Devices to divide the parameters over; the default device alone if None.
    """

    def __init__(
        self, config: DecoderConfig, dtype: np.dtype, source: str, mesh: Mesh | None = None
    ):
        self._dtype, self._source, self._mesh = dtype, source, mesh
        alone = mesh is None or mesh.size == 1
        self._on_host = alone and jax.default_backend() == "cpu"
        self._shapes = flat_tree(param_shapes(config))
        self._arrays: dict[tuple[str, ...], Any] = {}
        self._slots: dict[str, _Slot] = {}
        self._leftover: list[str] = []
        self._filled: set[str] = set()
        for path, shape in self._shapes.items():
            if path[: len(LAYERS)] == LAYERS:
                for layer in range(shape[0]):
                    self._slots[layer_name(path, layer)] = _Slot(path, layer, shape[1:])
            else:
                self._slots[".".join(path)] = _Slot(path, None, shape)

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
        if self._on_host:
            if slot.path not in self._arrays:
                self._arrays[slot.path] = _aligned(self._shapes[slot.path], self._dtype)
            self._arrays[slot.path][... if slot.layer is None else slot.layer] = tensor
        else:
            self._arrays[slot.path] = jax.block_until_ready(self._sent(slot, tensor))
        self._filled.add(name)

    def finish(self) -> Params:
        """The parameter tree, on the devices; the collector is empty afterwards.

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
        params: Params = {}
        for path in self._shapes:
            node = params
            for key in path[:-1]:
                node = node.setdefault(key, {})
            array = self._arrays.pop(path)
            node[path[-1]] = jax.device_put(array, self._place(path)) if self._on_host else array
        return params

    def _place(self, path: tuple[str, ...]) -> NamedSharding | None:
        return self._mesh and weight_sharding(path, self._shapes[path], self._mesh)

    def _moved(self, slot: _Slot, tensor: np.ndarray) -> jax.Array:
        """The tensor in its final type, divided as the array that it belongs to."""
        place = self._place(slot.path)
        if place is not None and slot.layer is not None:
            place = NamedSharding(place.mesh, PartitionSpec(*place.spec[1:]))
        # A copy, because what was read may be a view of a file.
        return jax.device_put(tensor.astype(self._dtype, copy=False), place, may_alias=False)

    def _sent(self, slot: _Slot, tensor: np.ndarray) -> jax.Array:
        """The array on the devices, with this tensor in it."""
        moved, place = self._moved(slot, tensor), self._place(slot.path)
        if slot.layer is None:
            return moved
        array = self._arrays.pop(slot.path, None)
        if array is None:
            array = jnp.zeros(self._shapes[slot.path], self._dtype, device=place)
        return _with_layer(array, slot.layer, moved, place=place)


@functools.partial(jax.jit, static_argnames="place", donate_argnames="array")
def _with_layer(
    array: jax.Array, layer: Int[Array, ""], tensor: jax.Array, *, place: NamedSharding | None
) -> jax.Array:
    """The stacked array with one of its layers, in the memory that it had before."""
    new = jax.lax.dynamic_update_index_in_dim(array, tensor, layer, 0)
    return new if place is None else jax.lax.with_sharding_constraint(new, place)


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An uninitialised array that JAX takes over on a CPU instead of copying it."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + XLA_ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % XLA_ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)
