"""Where the axes of weights and rows lie on a mesh of devices.

One table says it for every weight. `data` and `fsdp` both divide the rows of a batch; `fsdp`
divides the weights as well, along the width of the model, and `tensor` along heads, the inner
width of the MLP and the vocabulary. What the compiler has to send between devices follows.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from modelops_jax._option_types import require_integer

AXES = ("data", "fsdp", "tensor")
ROWS = _DATA, _FSDP = ("data", "fsdp")

# Logical axis of a weight -> axis of the mesh that divides it.
RULES: Mapping[str, str | None] = {
    "layers": None,
    "width": "fsdp",
    "heads": "tensor",
    "inner": "tensor",
    "vocabulary": "tensor",
    "positions": None,
    "labels": None,
}
# Linear map -> logical axes of its weight (out, in).
_LINEAR = {
    "embed_tokens": ("vocabulary", "width"),
    "embed_positions": ("positions", "width"),
    "lm_head": ("vocabulary", "width"),
    "score": ("labels", "width"),
    "q_proj": ("heads", "width"),
    "k_proj": ("heads", "width"),
    "v_proj": ("heads", "width"),
    "o_proj": ("width", "heads"),
    "gate_proj": ("inner", "width"),
    "up_proj": ("inner", "width"),
    "down_proj": ("width", "inner"),
}


@dataclasses.dataclass(frozen=True)
class MeshShape:
    """How many devices lie along each axis of a mesh.

    Args:
        data: Devices that share the rows and hold the same weights.
        fsdp: Devices that share the rows and the weights.
        tensor: Devices that share the heads, the MLP and the vocabulary of every row.

    Raises:
        TypeError: A number is no integer.
        ValueError: An axis has no device.

    Example:
        >>> from modelops_jax.models import MeshShape
        >>> MeshShape(data=2, tensor=4).devices
        8
    """

    data: int = 1
    fsdp: int = 1
    tensor: int = 1

    def __post_init__(self):
        for name in AXES:
            count = require_integer(getattr(self, name), f"mesh.{name}")
            object.__setattr__(self, name, count)
            if count < 1:
                raise ValueError(f"mesh.{name} must be at least 1, found {count}")

    @property
    def devices(self) -> int:
        """Number of devices."""
        return self.data * self.fsdp * self.tensor

    @property
    def row_shards(self) -> int:
        """Number of parts that the rows of a batch are divided into."""
        return self.data * self.fsdp


def make_mesh(shape: MeshShape) -> Mesh:
    """The mesh of that shape over the first devices of the process.

    Raises:
        ValueError: There are fewer devices.

    Example:
        >>> from modelops_jax.models import MeshShape, make_mesh
        >>> dict(make_mesh(MeshShape()).shape)
        {'data': 1, 'fsdp': 1, 'tensor': 1}
    """
    devices = jax.devices()
    if len(devices) < shape.devices:
        raise ValueError(
            f"the mesh {dataclasses.asdict(shape)} needs {shape.devices} devices; "
            f"there are {len(devices)} ({devices[0].platform})"
        )
    grid = np.asarray(devices[: shape.devices]).reshape(dataclasses.astuple(shape))
    return Mesh(grid, AXES)


def shard_weights(tree: Any, mesh: Mesh) -> Any:
    """Parameters or adapters, each array divided over the mesh as the table says.

    An axis whose length the devices do not divide evenly stays whole.
    """

    def place(path: Any, leaf: Any) -> jax.Array:
        names = tuple(key.key for key in path)
        return jax.device_put(leaf, weight_sharding(names, np.shape(leaf), mesh))

    return jax.tree.map_with_path(place, tree)


def weight_sharding(names: tuple[str, ...], shape: tuple[int, ...], mesh: Mesh) -> NamedSharding:
    """Where the weight at a path of the parameter or adapter tree lies."""
    linear = next((name for name in names if name in _LINEAR), None)
    if linear is None or len(shape) < 2:
        logical: tuple[str | None, ...] = (None,) * len(shape)
    else:
        out, into = _LINEAR[linear]
        axes = {
            "weight": (out, into),
            "bias": (out,),
            "lora_A": (None, into),
            "lora_B": (out, None),
            "lora_magnitude_vector": (out,),
        }[names[-1]]
        logical = (*("layers",) * (len(shape) - len(axes)), *axes)
    divided = [
        axis if axis and length % mesh.shape[axis] == 0 else None
        for length, axis in zip(shape, (name and RULES[name] for name in logical), strict=True)
    ]
    return NamedSharding(mesh, PartitionSpec(*divided))


def shard_rows(array: Any, mesh: Mesh) -> jax.Array:
    """An array of rows, divided over the devices that share them.

    Raises:
        ValueError: The devices do not divide the rows evenly.
    """
    return jax.device_put(array, row_sharding(mesh))


def row_sharding(mesh: Mesh) -> NamedSharding:
    """Where an array of rows lies."""
    return NamedSharding(mesh, PartitionSpec(ROWS))


def keep_rows_divided(x: jax.Array) -> jax.Array:
    """Inside a compiled function: rows stay where they are, and weights come to them.

    Without this the compiler may as well leave the weights divided and send partial sums of all
    rows around. Outside of a mesh, or where the rows cannot be divided evenly, nothing is done.
    """
    return _divided(x, PartitionSpec(ROWS))


def look_up(table: jax.Array, rows: jax.Array) -> jax.Array:
    """Inside a compiled function: rows of a table of embeddings, divided as `keep_rows_divided`.

    On a mesh the width of the table stays divided: every device takes its part of the rows of all
    devices along `fsdp`, and they exchange parts of rows. Left alone the compiler copies whole rows
    to every device, and the gradient of the whole table too.
    """
    found = _divided(table[_divided(rows, PartitionSpec(_DATA))], PartitionSpec(_DATA, _FSDP))
    return keep_rows_divided(found)


def _divided(x: jax.Array, axes: PartitionSpec) -> jax.Array:
    """The array divided so; as it is outside of a mesh, or if it cannot be divided evenly."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.axis_names != AXES or set(mesh.axis_types) != {AxisType.Auto}:
        return x
    shares = [math.prod(mesh.shape[axis] for axis in ROWS)]
    shares += [mesh.shape[axis] for axis in axes[1:]]
    if any(length % share for length, share in zip(x.shape, shares, strict=False)):
        return x
    return jax.lax.with_sharding_constraint(x, axes)
