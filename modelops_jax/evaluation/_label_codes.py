"""Integer labels that lie on devices as numbers from 0 on, which a table or a sort takes."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

import modelops_jax.metrics as numeric
from modelops_jax._distinct_shards import distinct_of_shards

from ._labels import CodedLabels
from ._sharded import (
    WIDEST,
    codes_from,
    on_devices,
    placed_among,
    span_of,
    table_of,
)


@dataclass(frozen=True)
class LabelCodes:
    """Integers, in their order, as numbers from 0 to size - 1.

    Args:
        size: a power of two above all codes.
        low: the label of code 0, if a code is how much more a label is.
        distinct: the labels in order, int64, if a code is the place among them.
        kind: the type of a label.
    """

    size: int
    low: int
    distinct: np.ndarray | None
    kind: type

    def of(self, *sides: jax.Array) -> list[jax.Array]:
        """The code of each label, int32."""
        if self.distinct is None:
            return codes_from(self.low, *sides)
        # Few sizes, each of which compiles; no label is found behind its first place.
        table = np.pad(self.distinct, (0, self.size - len(self.distinct)), "edge")
        layout = numeric.row_layout(sides[0])
        with jax.enable_x64(True):
            return list(_finding_program(layout)(table, sides))

    def classes(self, present: np.ndarray) -> tuple[bool | int, ...]:
        """The labels of some codes."""
        if self.distinct is None:
            return tuple(self.kind(self.low + code) for code in present.tolist())
        return tuple(self.distinct[present].tolist())


def label_codes(*sides: jax.Array) -> LabelCodes | None:
    """The codes of labels, shape (n,), that lie alike on devices.

    Labels at most `WIDEST` apart are coded by their difference from the least; of others the
    devices find the distinct ones, which are fetched.

    Returns:
        None for labels that are no integers, or unsigned ones of 64 bits, or of too many kinds.
    """
    if any(side.dtype.kind not in "biu" or side.dtype == jnp.uint64 for side in sides):
        return None
    span = span_of(*sides)
    if span is not None:
        low, size = span
        kind = bool if all(side.dtype == bool for side in sides) else int
        return LabelCodes(size, low, None, kind)
    layout: Any = numeric.row_layout(sides[0])
    distinct = distinct_of_shards(sides, WIDEST, *layout)
    if distinct is None:
        return None
    return LabelCodes(max(2, 1 << (len(distinct) - 1).bit_length()), 0, distinct, int)


def labels_there(y_true: Any, *scores: Any) -> CodedLabels | None:
    """The labels of rows that lie on devices with their scores, coded there; None elsewhere."""
    if not on_devices(y_true, *scores) or y_true.ndim != 1:
        return None
    if not all(jnp.issubdtype(column.dtype, jnp.floating) for column in scores):
        return None
    coded = label_codes(y_true)
    if coded is None:
        return None
    (codes,) = coded.of(y_true)
    # A cell for each label: by the high and by the low half of the bits of its code.
    half = coded.size.bit_length() // 2
    cells = table_of(codes >> half, codes & ((1 << half) - 1), 1 << half)
    present = np.flatnonzero(cells)
    rows: Any = placed_among(codes, present)
    return CodedLabels(coded.classes(present), {"y_true": rows})


@lru_cache(maxsize=16)
def _finding_program(layout: Any) -> Any:
    def find(table: Any, sides: Any) -> Any:
        return [jnp.searchsorted(table, side.astype(jnp.int64)).astype(jnp.int32) for side in sides]

    divided = PartitionSpec(layout.axes)
    return jax.jit(
        jax.shard_map(
            find,
            mesh=layout.mesh,
            in_specs=(PartitionSpec(), divided),
            out_specs=divided,
            check_vma=False,
        )
    )
