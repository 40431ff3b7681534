"""What a training step takes, from compiling it against shapes: nothing is allocated."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from modelops_jax.models import Params, weight_sharding

from ._batches import Batch
from ._config import TrainingConfig
from ._divide import divide
from ._placement import batch_sharding
from ._step import TrainState, start_state

# A search for the largest batch compiles no more programs than this.
MOST_COMPILATIONS = 8


def array_bytes(tree: Any) -> int:
    """Bytes of all arrays or shapes of a tree; of those on a mesh, each device's share."""

    def size(leaf: Any) -> int:
        divided = isinstance(leaf.sharding, NamedSharding)
        shape = leaf.sharding.shard_shape(leaf.shape) if divided else leaf.shape
        return math.prod(shape) * leaf.dtype.itemsize

    return sum(map(size, jax.tree.leaves(tree)))


def param_shapes(params: Params, mesh: Mesh | None) -> Params:
    """Shapes of the parameters, where a run would have them."""
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), params)
    return shapes if mesh is None else _on_mesh(shapes, mesh)


def state_shapes(
    params: Params,
    config: TrainingConfig,
    optimizer: optax.GradientTransformation,
    mesh: Mesh | None,
) -> tuple[TrainState, Any]:
    """Shapes of what a step changes and of the frozen arrays, from those of the parameters."""
    trainable, frozen = jax.eval_shape(lambda tree: divide(tree, config), params)
    if mesh is not None:
        trainable, frozen = _on_mesh(trainable, mesh), _on_mesh(frozen, mesh)
    state = jax.eval_shape(lambda tree: start_state(optimizer, tree), trainable)
    if mesh is not None:
        state = _state_on_mesh(state, trainable, mesh)
    return state, frozen


def batch_shapes(batch: Batch, mesh: Mesh | None) -> Any:
    """A batch of shapes, where the step would have its arrays."""

    def shape(name: str, leaf: Any) -> jax.ShapeDtypeStruct:
        place = batch_sharding(name, mesh) if mesh else None
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)

    return batch._make(shape(*field) for field in batch._asdict().items())


def program_bytes(lowered: Any) -> int:
    """Bytes that a program takes: argument + output + temporary - aliased, says its compiler."""
    found = lowered.compile().memory_analysis()
    total = found.argument_size_in_bytes + found.output_size_in_bytes + found.temp_size_in_bytes
    return total - found.alias_size_in_bytes


def device_memory() -> int | None:
    """Bytes that the default device can hold: an accelerator's own, or the machine's memory.

    Returns:
        The bytes, the limit of a container included; None where neither can be found out.
    """
    stats = jax.devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"]
    if jax.default_backend() != "cpu":
        return None
    try:
        limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (ValueError, OSError):
        return None
    container = Path("/sys/fs/cgroup/memory.max")
    if container.exists() and (text := container.read_text().strip()).isdigit():
        limits.append(int(text))
    return min(limits)


def largest_that_fits(
    bytes_of: Callable[[int], int], limit: int, *, known: tuple[int, int], most: int
) -> tuple[int, bool]:
    """The largest size whose bytes are within a limit, found with few measurements.

    Bytes grow about linearly, so the line through the two nearest sizes says where to look next.

    Args:
        bytes_of: Measures a size; it grows with the size.
        limit: Most bytes.
        known: A size, and its bytes.
        most: Largest size to consider.

    Returns:
        The size, 0 if not even 1 fits, and whether the next one is known not to fit (or is more
        than `most`); after 8 measurements the search ends without.

    Example:
        >>> largest_that_fits(lambda size: 50 + 7 * size, 500, known=(8, 106), most=1000)
        (64, True)
    """
    measured = dict([known])
    fits, too_large = 0, most + 1
    for _ in range(MOST_COMPILATIONS):
        size, used = list(measured.items())[-1]
        if used <= limit:
            fits = max(fits, size)
        else:
            too_large = min(too_large, size)
        if too_large - fits == 1:
            return fits, True
        if len(measured) == 1:
            guess = 2 * size if used <= limit else size // 2
        else:
            nearest = sorted(measured.items(), key=lambda pair: abs(limit - pair[1]))
            (one, its), (other, others) = nearest[:2]
            slope = (others - its) / (other - one)
            guess = int(one + (limit - its) / slope) if slope > 0 else (fits + too_large) // 2
        guess = min(max(guess, fits + 1), too_large - 1)
        measured[guess] = bytes_of(guess)
    return fits, False


def _on_mesh(tree: Any, mesh: Mesh) -> Any:
    def place(path: Any, leaf: Any) -> jax.ShapeDtypeStruct:
        sharding = weight_sharding(tuple(key.key for key in path), leaf.shape, mesh)
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    return jax.tree.map_with_path(place, tree)


def _state_on_mesh(state: TrainState, trainable: Any, mesh: Mesh) -> TrainState:
    """Moments lie where the arrays do that they are of; everything else is on every device."""
    whole = NamedSharding(mesh, PartitionSpec())
    places = {
        jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(trainable)
    }

    def place(path: Any, leaf: Any) -> jax.ShapeDtypeStruct:
        keys = tuple(key for key in path if isinstance(key, jax.tree_util.DictKey))
        like = places.get(jax.tree_util.keystr(keys))
        place = whole if like is None or like.shape != leaf.shape else like.sharding
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)

    return jax.tree.map_with_path(place, state)
