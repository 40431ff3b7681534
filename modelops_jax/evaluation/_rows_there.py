"""Columns, weights and groups of rows that lie on devices and are compared there."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

import modelops_jax.metrics as numeric
from modelops_jax._row_groups import group_codes

from ._sharded import first_of, on_devices
from ._weights import LARGEST, SMALLEST, check_numbers, read_weight, refuse_extreme, refuse_negative


@dataclass(frozen=True)
class RowsThere:
    """Rows that several models predicted. What a row of weight 0 holds is what another one holds.

    Args:
        layout: how they are divided.
        y_true: what is right.
        said: by model what it predicted; None if no metric reads it.
        scored: by model the scores; None if no metric reads them.
        weight: a mask, or float64; None: each counts once.
        groups: the id of each row, on the host or divided likewise; None: rows are independent.
        rows: how many have a positive weight.
    """

    layout: Any
    y_true: jax.Array
    said: Mapping[str, Any]
    scored: Mapping[str, Any]
    weight: jax.Array | None
    groups: Any
    rows: int

    @property
    def unlike(self) -> bool:
        """Whether rows weigh differently, or are in groups."""
        return self.groups is not None or (self.weight is not None and self.weight.dtype != bool)

    def second(self, model: str, *, scores: bool) -> Any:
        """What a metric reads second."""
        scored = self.scored[model]
        return scored if scores and scored is not None else self.said[model]


def rows_there(
    y_true: Any, said: Mapping[str, Any], scored: Mapping[str, Any], weight: Any, groups: Any
) -> RowsThere | None:
    """The rows where all columns lie on devices, else None.

    Raises:
        TypeError: weights that are no numbers, and groups that `compare` refuses.
        ValueError: columns, weights or groups of two lengths, or that lie on the devices in
            different ways; weights that are negative, not finite or extreme.
    """
    columns = {"y_true": y_true}
    columns |= {f"predictions[{model!r}]": c for model, c in said.items() if c is not None}
    columns |= {f"scores[{model!r}]": c for model, c in scored.items() if c is not None}
    if not on_devices(*columns.values()):
        return None
    ids_there = on_devices(groups)
    if ids_there and groups.dtype.kind not in "iub":
        return None  # nan is no id
    columns |= {"weight": weight} if on_devices(weight) else {}
    columns |= {"groups": groups} if ids_there else {}
    rows = y_true.shape[0]
    for name, column in columns.items():
        if column.shape[0] != rows:
            raise ValueError(
                f"{name} has {column.shape[0]} entries and y_true has {rows}; expected one length"
            )
    layouts = {name: numeric.row_layout(column) for name, column in columns.items()}
    layout: Any = layouts["y_true"]
    if any(other != layout for other in layouts.values()):
        raise ValueError(
            f"the rows lie on devices in different ways: {layouts}; put them there alike with "
            "jax.device_put"
        )
    own, present = _weight_there(weight, rows, layout)
    if present == rows:
        return RowsThere(layout, y_true, said, scored, own, groups, rows)
    assert own is not None
    if groups is not None and not ids_there:
        groups = _put(group_codes(groups, rows).astype(np.int32), layout)
    filled = y_true, tuple(said.values()), tuple(scored.values()), groups
    if present:
        with jax.enable_x64(True):
            filled = _filling_program(layout)(own, filled)
    y_true, told, scores, groups = filled
    said, scored = dict(zip(said, told, strict=True)), dict(zip(scored, scores, strict=True))
    return RowsThere(layout, y_true, said, scored, own, groups, present)


def _weight_there(weight: Any, rows: int, layout: Any) -> tuple[jax.Array | None, int]:
    """Weights as None, a mask or float64 on the devices, and how many are positive."""
    if weight is None:
        return None, rows
    if not on_devices(weight):
        weight = _put(read_weight(weight, rows), layout)
    check_numbers(weight, rows)
    with jax.enable_x64(True):
        values, mask, facts = _weighing_program(layout)(weight)
        bad, extreme, positive, alike = jax.device_get(facts)
    for (several, place, value), refuse in ((bad, refuse_negative), (extreme, refuse_extreme)):
        if several:
            refuse(float(value), int(place), int(several))
    if alike:
        return (None if positive == rows else mask), int(positive)
    return values, int(positive)


def _put(column: np.ndarray, layout: Any) -> jax.Array:
    with jax.enable_x64(True):
        return jax.device_put(column, NamedSharding(layout.mesh, PartitionSpec(layout.axes)))


@lru_cache(maxsize=16)
def _weighing_program(layout: Any) -> Any:
    """Weights as float64 and as a mask, and what is to be known of all of them."""

    def weigh(own: Any) -> Any:
        values, axes = own.astype(jnp.float64), layout.axes
        bad = ~(jnp.isfinite(values) & (values >= 0))
        extreme = (values > 0) & ((values < SMALLEST) | (values > LARGEST))
        wrong = [
            (lax.psum(jnp.sum(rows, dtype=jnp.int64), axes), *first_of(rows, values, axes))
            for rows in (bad, extreme)
        ]
        mask = values > 0
        positive = lax.psum(jnp.sum(mask, dtype=jnp.int64), axes)
        unlike = lax.psum(jnp.sum(mask & (values != 1), dtype=jnp.int64), axes)
        return values, mask, (*wrong, positive, unlike == 0)

    divided, same = PartitionSpec(layout.axes), PartitionSpec()
    return jax.jit(
        jax.shard_map(weigh, mesh=layout.mesh, in_specs=divided, out_specs=(divided, divided, same))
    )


@lru_cache(maxsize=16)
def _filling_program(layout: Any) -> Any:
    """Columns in which the rows of weight 0 hold what the first of the others does."""

    def fill(weight: Any, columns: Any) -> Any:
        there = weight > 0

        def filled(column: Any) -> Any:
            several = there.reshape(-1, *[1] * (column.ndim - 1))
            row = first_of(there, column, layout.axes)[1]
            return jnp.where(several, column, row)

        return jax.tree.map(filled, columns)

    divided = PartitionSpec(layout.axes)
    return jax.jit(jax.shard_map(fill, mesh=layout.mesh, in_specs=divided, out_specs=divided))
