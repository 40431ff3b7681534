"""What a step changes stays where it was put on the mesh."""

from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from modelops_jax.models import row_sharding

from ._batches import Batch

# Fields of a batch with an axis of rows.
ROWS = ("token_ids", "segment_ids", "positions", "dropout")
# The sharding of each leaf of a tree, as a static argument; None on a single device.
Placement = tuple[NamedSharding, ...] | None


def placement_of(tree: Any) -> Placement:
    """Where the leaves of a concrete tree lie, if they lie on a mesh."""
    leaves = jax.tree.leaves(tree)
    places = [leaf.sharding for leaf in leaves if isinstance(leaf.sharding, NamedSharding)]
    assert len(places) in (0, len(leaves)), "a tree lies on a mesh as a whole or not at all"
    return tuple(places) or None


def placed(tree: Any, placement: Placement) -> Any:
    """Inside a compiled function: the tree at that placement.

    The compiler would otherwise choose one, and a step whose result lies elsewhere than its
    argument is compiled again.
    """
    if placement is None:
        return tree
    leaves, structure = jax.tree.flatten(tree)
    pairs = zip(leaves, placement, strict=True)
    return structure.unflatten([jax.lax.with_sharding_constraint(*pair) for pair in pairs])


def put_on_mesh(tree: Any, mesh: Mesh) -> Any:
    """Leaves that lie on one device are copied to all of the mesh; the others stay."""
    whole = NamedSharding(mesh, PartitionSpec())

    def put(leaf: jax.Array) -> jax.Array:
        return leaf if isinstance(leaf.sharding, NamedSharding) else jax.device_put(leaf, whole)

    return jax.tree.map(put, tree)


def put_on_one_device(tree: Any) -> Any:
    """Leaves that lie on a mesh are gathered on the default device; the others stay."""
    device = jax.devices()[0]

    def put(leaf: jax.Array) -> jax.Array:
        return jax.device_put(leaf, device) if isinstance(leaf.sharding, NamedSharding) else leaf

    return jax.tree.map(put, tree)


def put_batch(batch: Batch, mesh: Mesh) -> Batch:
    """A batch whose rows are divided over the mesh; what points into all rows is everywhere."""
    places = {name: batch_sharding(name, mesh) for name in batch._fields}
    return Batch(**jax.device_put(batch._asdict(), places))


def batch_sharding(name: str, mesh: Mesh) -> NamedSharding:
    """Where a field of a batch lies."""
    return row_sharding(mesh) if name in ROWS else NamedSharding(mesh, PartitionSpec())


def put_batches(batches: list[Batch], mesh: Mesh | None) -> list[Batch]:
    """The batches where a step wants them."""
    return batches if mesh is None else [put_batch(batch, mesh) for batch in batches]
