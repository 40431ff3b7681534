"""Columns, weights and groups of rows that lie on devices and are evaluated there."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec

import modelops_jax.metrics as numeric
from modelops_jax._row_groups import group_codes

from ._front_rows import fill_absent, put_in_front
from ._sharded import first_of, on_devices, put_as
from ._weights import LARGEST, SMALLEST, check_numbers, read_weight, refuse_extreme, refuse_negative


@dataclass(frozen=True)
class RowsThere:
    """Rows of which at least one counts. What one of weight 0 holds is what another one holds.

    Args:
        layout: how they are divided.
        columns: by argument what is read, a column or a dict of columns.
        weight: a mask, or float64; None: each counts once.
        groups: the id of each row, on the host or divided likewise; None: rows are independent.
        rows: how many have a positive weight.
        total: what they weigh; None: each weighs 1.
        omitted: how many that had one were left out.
    """

    layout: Any
    columns: Mapping[str, Any]
    weight: jax.Array | None
    groups: Any
    rows: int
    total: float | None = None
    omitted: int = 0

    @property
    def y_true(self) -> jax.Array:
        """What is right."""
        return self.columns["y_true"]

    def given(self, name: str) -> Any:
        """A column as it came, or on the host the rows of it that count where others do not."""
        column = self.columns.get(name)
        if column is None or self.weight is None or self.rows == len(column):
            return column
        return np.asarray(column)[np.asarray(self.weight) > 0]

    @property
    def unlike(self) -> bool:
        """Whether rows weigh differently, or are in groups."""
        return self.groups is not None or self.total is not None


def rows_there(
    columns: Mapping[str, Any],
    weight: Any,
    groups: Any,
    *,
    gone: jax.Array | None = None,
    drawn: bool = True,
) -> RowsThere | None:
    """The rows where all columns lie on devices, else None.

    Args:
        columns: by argument, `y_true` among them, what is read, a column or a dict of columns;
            None: no such column.
        weight: of each row; None: each counts once.
        groups: the id of each row; None: rows are independent.
        gone: which rows to leave out whatever they weigh; None: none.
        drawn: whether what rows draw is to be that of the same rows on the host, where those that
            do not count are left out first.

    Raises:
        TypeError: weights that are no numbers, and groups that `compare` refuses.
        ValueError: columns, weights or groups of two lengths, or that lie on the devices in
            different ways; weights that are negative, not finite or extreme.
    """
    given, columns = columns, each_column(columns)
    if not on_devices(*columns.values()):
        return None
    ids_there = on_devices(groups)
    if ids_there and groups.dtype.kind not in "iub":
        return None  # nan is no id
    rows = columns["y_true"].shape[0]
    layout = _layout_of(columns, weight, groups if ids_there else None)
    own, facts = _weight_there(weight, gone, rows, layout)
    if 0 < facts.rows < rows:
        assert own is not None
        groups = groups_there(groups, own)
        if drawn:
            own, (columns, groups) = put_in_front(own, (columns, groups))
        else:
            columns, groups = fill_absent(own, (columns, groups))
    return RowsThere(layout, _as_given(given, columns), own, groups, *facts)


def each_column(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Every column by name, those of dicts as well; none that is None."""
    return {
        inner: part
        for name, column in columns.items()
        if column is not None
        for inner, part in (
            {f"{name}[{key!r}]": part for key, part in column.items()}
            if isinstance(column, Mapping)
            else {name: column}
        ).items()
    }


def _as_given(given: Mapping[str, Any], columns: Mapping[str, Any]) -> dict[str, Any]:
    """What `each_column` named, in dicts where it was in some."""
    return {
        name: {key: columns[f"{name}[{key!r}]"] for key in column}
        if isinstance(column, Mapping)
        else columns[name]
        for name, column in given.items()
        if column is not None
    }


def number_of(rows: jax.Array, weight: Any) -> int:
    """How many of the rows that are marked, on devices, have a positive weight.

    Raises:
        TypeError: weights that are no numbers.
        ValueError: weights that `rows_there` refuses.
    """
    layout = _layout_of({"y_true": rows}, weight, None)
    return _weight_there(weight, rows, rows.shape[0], layout)[1].omitted


def groups_there(groups: Any, beside: jax.Array) -> jax.Array | None:
    """The groups of rows on devices as a column there, by their place in order if they are not.

    Raises:
        TypeError: what `group_codes` refuses.
        ValueError: what `group_codes` refuses.
    """
    if groups is None or on_devices(groups):
        return groups
    codes = group_codes(groups, beside.shape[0]).astype(np.int32)
    return put_as(codes, numeric.row_layout(beside))


def _layout_of(columns: Mapping[str, Any], weight: Any, groups: Any) -> Any:
    """How all columns, and the weights and groups that are on devices, lie there."""
    given = dict(columns)
    given |= {"weight": weight} if on_devices(weight) else {}
    given |= {} if groups is None else {"groups": groups}
    rows = columns["y_true"].shape[0]
    for name, column in given.items():
        if column.shape[0] != rows:
            raise ValueError(
                f"{name} has {column.shape[0]} entries and y_true has {rows}; expected one length"
            )
    layouts = {name: numeric.row_layout(column) for name, column in given.items()}
    layout: Any = layouts["y_true"]
    if any(other != layout for other in layouts.values()):
        raise ValueError(
            f"the rows lie on devices in different ways: {layouts}; put them there alike with "
            "jax.device_put"
        )
    return layout


class _Facts(NamedTuple):
    """Of all rows together."""

    rows: int
    total: float | None
    omitted: int


def _weight_there(
    weight: Any, gone: jax.Array | None, rows: int, layout: Any
) -> tuple[jax.Array | None, _Facts]:
    """Weights as None, a mask or float64 on the devices, and what is to be known of them."""
    if weight is None and gone is None:
        return None, _Facts(rows, None, 0)
    if weight is not None and not on_devices(weight):
        weight = put_as(read_weight(weight, rows), layout)
    if weight is not None:
        check_numbers(weight, rows)
    with jax.enable_x64(True):
        values, mask, facts = _weighing_program(layout)(weight, gone)
        bad, extreme, positive, omitted, total, alike = jax.device_get(facts)
    for (several, place, value), refuse in ((bad, refuse_negative), (extreme, refuse_extreme)):
        if several:
            refuse(float(value), int(place), int(several))
    if alike:
        return (None if positive == rows else mask), _Facts(int(positive), None, int(omitted))
    return values, _Facts(int(positive), float(total), int(omitted))


@lru_cache(maxsize=16)
def _weighing_program(layout: Any) -> Any:
    """Weights as float64 and as a mask, and what is to be known of all of them."""

    def weigh(own: Any, gone: Any) -> Any:
        given = jnp.ones_like(gone) if own is None else own
        values, axes = given.astype(jnp.float64), layout.axes
        bad = ~(jnp.isfinite(values) & (values >= 0))
        extreme = (values > 0) & ((values < SMALLEST) | (values > LARGEST))
        wrong = [(_number(rows, axes), *first_of(rows, values, axes)) for rows in (bad, extreme)]
        omitted = jnp.zeros_like(bad) if gone is None else gone & (values > 0)
        values = jnp.where(omitted, jnp.zeros_like(values), values)
        mask = values > 0
        alike = _number(mask & (values != 1), axes) == 0
        total = lax.psum(jnp.sum(values), axes)
        return values, mask, (*wrong, _number(mask, axes), _number(omitted, axes), total, alike)

    divided, same = PartitionSpec(layout.axes), PartitionSpec()
    return jax.jit(
        jax.shard_map(weigh, mesh=layout.mesh, in_specs=divided, out_specs=(divided, divided, same))
    )


def _number(rows: Any, axes: Any) -> Any:
    return lax.psum(jnp.sum(rows, dtype=jnp.int64), axes)
