"""Bootstrap, jackknife and swaps of kept rows that lie on several devices.

The devices exchange the rows, and each measures the metric on some of the sets of counts: those
that the host would draw for the same rows. Only the values leave the devices.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec

from modelops_jax._distinct_shards import group_codes_of_shards
from modelops_jax._row_groups import group_codes

from ._draws import AT_ONCE, CALLS, GROUP, PARTS, draw_units
from ._kept_rows import KeptRows
from ._metric import Metric
from ._sharded import (
    Layout,
    few_sizes,
    placed_together,
    row_layout,
    whole_rows,
)
from ._types import State, Vector


class _Sets(NamedTuple):
    """Sets of counts, as a program is compiled for them."""

    kind: str
    """"poisson", "swaps" or "left out"."""

    several: int
    units: int


class ShardDraws:
    """The draws of `KeptDraws`, made by the devices that the rows lie on."""

    def __init__(self, rows: int, groups: Vector | None, seed: int, layout: Layout) -> None:
        self._seed, self._layout = seed, layout
        self._codes, self._units = None, rows
        if groups is None:
            return
        # On one device zeros follow the rows.
        entries = len(groups) if layout.mesh.size > 1 else few_sizes(len(groups))
        if entries != rows:
            raise ValueError(f"groups has {len(groups)} entries; expected one for each row")
        if isinstance(groups, jax.Array) and row_layout(groups) is not None:
            codes, self._units = group_codes_of_shards(groups, *layout)
        else:
            codes = group_codes(groups, len(groups)).astype(np.int32)
            self._units = int(codes.max(initial=-1)) + 1
        with jax.enable_x64(True):
            (self._codes,), _ = placed_together([codes], layout)

    def resampled(
        self, models: Mapping[Any, tuple[Metric, Sequence[State]]], several: int
    ) -> dict[Any, np.ndarray]:
        """As that of `KeptDraws`."""
        return self._each(models, _Sets("poisson", several, self._units))

    def jackknifed(
        self, models: Mapping[Any, tuple[Metric, Sequence[State]]]
    ) -> dict[Any, np.ndarray]:
        """As that of `KeptDraws`."""
        parts = max(1, min(self._units, PARTS))
        return self._each(models, _Sets("left out", parts, self._units))

    def swapped(
        self, pairs: Mapping[Any, tuple[Metric, Sequence[State], Sequence[State]]], several: int
    ) -> dict[Any, np.ndarray]:
        """As that of `KeptDraws`."""
        return self._each(pairs, _Sets("swaps", several, self._units))

    def _each(self, given: Mapping[Any, tuple[Any, ...]], sets: _Sets) -> dict[Any, np.ndarray]:
        return {name: self._values(metric, own, sets) for name, (metric, *own) in given.items()}

    def _values(self, metric: Metric, models: Sequence[Sequence[State]], sets: _Sets) -> np.ndarray:
        with jax.enable_x64(True):
            key = jax.random.fold_in(jax.random.key(self._seed), 1 + (sets.kind == "swaps"))
            given = tuple(map(tuple, models))
            divided = tuple(row_layout(leaf) is not None for leaf in jax.tree.leaves(given))
            program = _measuring_program(metric, sets, divided, self._layout)
            return np.asarray(jax.device_get(program(key, self._codes, *given)), np.float64)


@functools.lru_cache(maxsize=64)
def _measuring_program(
    metric: Metric, sets: _Sets, divided: tuple[bool, ...], layout: Layout
) -> Any:
    """The program of `ShardDraws`, whose devices take turns with the sets drawn from one key."""

    def measure(key: Any, codes: Any, models: Any) -> Any:
        here, devices = lax.axis_index(layout.axes), lax.axis_size(layout.axes)
        turns = -(-sets.several // (AT_ONCE * devices))
        value = functools.partial(_value, metric, models[0])
        if len(models) > 1:
            value = _swapped(metric, *models)
        codes = None if codes is None else lax.all_gather(codes, layout.axes, tiled=True)

        def of_turn(turn: Any) -> Any:
            counts = _counts(sets, key, turn * devices + here)
            return lax.map(value, counts if codes is None else counts[:, codes])

        own = lax.map(of_turn, jnp.arange(turns, dtype=jnp.int32))
        every = jnp.swapaxes(lax.all_gather(own, layout.axes), 0, 1)
        return every.reshape(-1, *every.shape[3:])[: sets.several]

    def program(key: Any, codes: Any, *models: Any) -> Any:
        leaves, tree = jax.tree.flatten(models)
        same, rows = PartitionSpec(), PartitionSpec(layout.axes)

        def of_leaves(key: Any, codes: Any, *leaves: Any) -> Any:
            every = whole_rows(leaves, divided, layout, metric.finalizer)
            return measure(key, codes, jax.tree.unflatten(tree, every))

        # That all devices have the same values in the end is true, and nothing JAX could see.
        mapped = jax.shard_map(
            of_leaves,
            mesh=layout.mesh,
            in_specs=(same, rows, *(rows if own else same for own in divided)),
            out_specs=same,
            check_vma=False,
        )
        return mapped(key, codes, *leaves)

    return jax.jit(program)


def _counts(sets: _Sets, key: Any, batch: Any) -> Any:
    """What every unit draws in the sets of a batch, uint8 of shape (sets, units)."""
    if sets.kind == "left out":
        which = batch * AT_ONCE + jnp.arange(AT_ONCE, dtype=jnp.int32)
        part = jnp.arange(sets.units, dtype=jnp.int32) % sets.several
        return (part[None, :] != which[:, None]).astype(jnp.uint8)
    size = next((size for size in CALLS if size >= sets.units), CALLS[-1])
    starts = jnp.arange(0, max(1, sets.units), size, dtype=jnp.int32) // GROUP
    of_sets = jax.random.fold_in(key, batch)
    drawn = lax.map(lambda first: draw_units(sets.kind, of_sets, first, size), starts)
    return jnp.swapaxes(drawn, 0, 1).reshape(AT_ONCE, -1)[:, : sets.units]


def _value(metric: Metric, states: Sequence[State], counts: Any) -> Any:
    drawn = [
        dataclasses.replace(state, weight=state.weight.astype(jnp.float64) * counts)
        for state in states
    ]
    return metric.finalizer(jnp, *drawn).value.astype(jnp.float64)


def _swapped(metric: Metric, states: Sequence[State], others: Sequence[State]) -> Any:
    """As `swapped_difference`."""
    both = []
    for statistic, one, other in zip(metric.statistics, states, others, strict=True):
        assert isinstance(statistic, KeptRows)
        both.append(statistic.join([metric.exchangeable(one), metric.exchangeable(other)]))

    def difference(swap: Any) -> Any:
        stay = 1 - swap
        sides = (jnp.concatenate([stay, swap]), jnp.concatenate([swap, stay]))
        first, second = (_value(metric, both, side) for side in sides)
        return first - second

    return difference
