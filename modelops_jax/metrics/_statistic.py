"""The form every metric takes: a statistic with an identity, an update and a merge.

Everything else follows from that one shape. Streaming is `update`, sharding is `merge`, masks,
padding and sample weights are the one `weight`, and a row of weight 0 is the identity.

Inside a jitted program a failure is data: a statistic counts the rows it could not use, per
argument, and the finalizer turns such a count into nan (traced) or an exception (concrete).
"""

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from . import _platform
from ._groups import check_groups
from ._types import AxisNames, Column, State

# The arguments whose invalid rows a state counts, in the order of its `invalid` field.
ARGUMENTS = ("y_true", "y_pred", "weight")
# Numbers of a block on a CPU, and, where there is no such cache, on an accelerator.
_SHORTEST_BLOCK, _LONGEST_BLOCK = 1 << 15, 1 << 17
_SHORTEST_THERE, _LONGEST_THERE = 1 << 24, 1 << 26
WEIGHT_COMPLAINT = "weights that are negative or not finite"


class Rows(NamedTuple):
    """One block of rows whose shapes and weight have been checked."""

    y_true: Any
    y_pred: Any
    keep: Any  # boolean: rows that count at all; None: every row
    weight: Any  # float, 0 where a row does not count; None: every kept row weighs one
    bad_weight: Any  # boolean: weights that are negative or not finite; None: no row
    segments: Any = None  # int32 of shape (n, keys), where statistics have an axis of segments
    group: Any = None  # integer: which rows belong together; None: nobody said


class Axes(NamedTuple):
    """How many axes y_true has, and y_pred may have."""

    true: int = 1
    pred: tuple[int, ...] = (1,)


_VECTORS = Axes()


@dataclass(frozen=True)
class Statistic(abc.ABC):
    """A sufficient statistic: static configuration here, numbers in the states it makes.

    Two metrics share the statistic of one pass when their statistics are equal, which compares
    configuration and never data.
    """

    # A statistic whose state is the rows themselves is made from all of them at once.
    keeps_rows: ClassVar[bool] = False
    # A statistic of groups of rows needs the group of each.
    reads_groups: ClassVar[bool] = False
    # The arguments that hold integer or boolean labels.
    labels: ClassVar[tuple[str, ...]] = ()

    @property
    def pred_axes(self) -> tuple[int, ...]:
        """How many axes y_pred may have: 1 for shape (n,), 2 for (n, k), a column per class."""
        return (1,)

    @property
    def true_axes(self) -> int:
        """How many axes y_true has: 1 for shape (n,), 2 for the shape (n, k) of y_pred."""
        return 1

    def refuse(self, y_true: Any, y_pred: Any) -> None:
        """Refuse columns for what is known of them before they are traced.

        Raises:
            TypeError: labels of another type, naming the argument.
            ValueError: numbers of columns that do not fit.
        """
        for name, column in (("y_true", y_true), ("y_pred", y_pred)):
            if name in self.labels:
                require_labels(column, name)

    def reads_long(self, rows: "Rows") -> bool:
        """Whether these rows are read fastest in one go, however many they are."""
        return False

    @abc.abstractmethod
    def identity(self, *, weighted: bool = False, dtype: Any = jnp.float32) -> Any:
        """The state of no rows.

        Args:
            weighted: whether the rows to come carry float weights. A boolean weight is a mask
                and needs no weighted state.
            dtype: the float type of the state's sums.
        """

    @abc.abstractmethod
    def of_rows(self, rows: Rows) -> Any:
        """The state of one block of checked rows."""

    @abc.abstractmethod
    def merge(self, left: Any, right: Any) -> Any:
        """The state of the rows of both, whichever order they came in."""

    @abc.abstractmethod
    def complaints(self) -> dict[str, str]:
        """What makes a row invalid, by argument, for the message of the exception."""

    def block(self, y_true: Any, y_pred: Any, weight: Any = None, groups: Any = None) -> Any:
        """The state of one block.

        Args:
            y_true: reference values, shape (n,) or what `true_axes` says.
            y_pred: predicted values, shape (n,) or what `pred_axes` says.
            weight: None, a boolean mask or non-negative numbers, shape (n,).
            groups: for statistics of groups, the integer id of each row's group, shape (n,).

        Returns:
            A pytree.

        Raises:
            ValueError: shapes that do not fit (while tracing, too).
        """
        rows = check_rows(y_true, y_pred, weight, shared_axes((self,)), groups=groups)
        return block_all((self,), rows)[0]

    def update(
        self, state: Any, y_true: Any, y_pred: Any, weight: Any = None, groups: Any = None
    ) -> Any:
        """The state after one more block."""
        return self.merge(state, self.block(y_true, y_pred, weight, groups))

    def collect(self, state: Any, axis_name: AxisNames) -> Any:
        """Merge the states that the devices of a mesh axis hold, on every one of them."""

        size, here = lax.axis_size(axis_name), lax.axis_index(axis_name)

        def gather(leaf: jax.Array) -> jax.Array:
            # Each device adds its state to its own row of zeros. Unlike an `all_gather` the sum
            # is known to be the same everywhere, so that `out_specs=P()` is accepted.
            number = leaf.astype(jnp.uint8) if leaf.dtype == bool else leaf
            table = jnp.zeros((size, *leaf.shape), number.dtype).at[here].set(number)
            return lax.psum(table, axis_name).astype(leaf.dtype)

        return self.fold(jax.tree.map(gather, state))

    def fold(self, states: Any) -> Any:
        """Merge states stacked along a leading axis, in order."""
        first = jax.tree.map(lambda leaf: leaf[0], states)
        rest = jax.tree.map(lambda leaf: leaf[1:], states)
        return lax.scan(lambda left, right: (self.merge(left, right), None), first, rest)[0]

    @classmethod
    def family(cls) -> type["Statistic"]:
        """The class whose `of_rows_together` reads the rows for this one."""
        return cls

    @classmethod
    def of_rows_together(cls, statistics: Sequence[Any], rows: Rows) -> list[Any]:
        """The states of several statistics of this family over one block.

        A class whose statistics can share one reading of the rows overrides this.
        """
        return [statistic.of_rows(rows) for statistic in statistics]


class Matrices(Statistic):
    """For statistics that read y_true and y_pred of shape (n, k); stands before what they sum."""

    @property
    def pred_axes(self) -> tuple[int, ...]:
        return (2,)

    @property
    def true_axes(self) -> int:
        return 2


class SummedStatistic(Statistic):
    """A statistic whose state is a function of sums over rows, and can therefore be resampled."""

    @abc.abstractmethod
    def row_columns(self, rows: Rows, state: Any) -> Any:
        """What each row adds to the sums, weight included, shape (n, k).

        `state` is the state of all rows, to centre by.
        """

    @abc.abstractmethod
    def of_column_sums(self, sums: Any, state: Any) -> Any:
        """The states whose sums are these, shape (resamples, k)."""

    def without_noise(self, state: Any, sums: Any, eps: float) -> Any:
        """States that `of_column_sums` gave, with 0 for a spread that is rounding alone."""
        return state

    def moved(self, sums: np.ndarray, before: Any, after: Any) -> np.ndarray:
        """Sums of `row_columns` centred by one state, shape (..., k), as those by another one."""
        return sums


def update_all(
    statistics: Sequence[Statistic],
    states: Sequence[Any],
    y_true: Any,
    y_pred: Any,
    weight: Any = None,
    groups: Any = None,
) -> tuple[Any, ...]:
    """Update several statistics over one block, reading the rows as few times as possible."""
    rows = check_rows(y_true, y_pred, weight, shared_axes(statistics), groups=groups)
    blocks = block_all(statistics, rows)
    return tuple(merge_all(statistics, states, blocks))


def block_all(statistics: Sequence[Statistic], rows: Rows) -> tuple[State, ...]:
    """The states of several statistics over any number of checked rows.

    Many rows are read in blocks that stay in the cache: on a CPU, XLA writes the intermediate
    columns of a longer array to memory. An accelerator waits longer for the next block than it
    takes to read one.
    """
    kept = [statistic for statistic in statistics if statistic.keeps_rows]
    long = [s for s in statistics if s not in kept and s.reads_long(rows)]
    short = [s for s in statistics if s not in kept and s not in long]
    states: dict[Statistic, State] = {s: s.of_rows(rows) for s in kept}
    if long:
        states.update(zip(long, _one_block(long, rows), strict=True))
    states.update(zip(short, blocks_in_cache(short, rows), strict=True))
    return tuple(states[statistic] for statistic in statistics)


def blocks_in_cache(statistics: Sequence[Statistic], rows: Rows) -> Sequence[State]:
    """The states of statistics over any number of rows, read in blocks."""
    count = rows.y_true.shape[0]
    size = _block_size(count, columns_of(rows.y_pred))
    whole = count // size * size
    if not statistics or whole <= size:
        return _one_block(statistics, rows)

    def step(states: Sequence[State], block: Rows) -> tuple[Sequence[State], None]:
        return merge_all(statistics, states, _one_block(statistics, block)), None

    blocks = jax.tree.map(lambda column: column[:whole].reshape(-1, size, *column.shape[1:]), rows)
    rest = jax.tree.map(lambda column: column[whole:], rows)
    return lax.scan(step, _one_block(statistics, rest), blocks)[0]


def _block_size(count: int, width: int) -> int:
    """Rows a block: a divisor of the count if there is one, which saves copying the rows."""
    here = _platform.platform() == "cpu"
    sizes = (_SHORTEST_BLOCK, _LONGEST_BLOCK) if here else (_SHORTEST_THERE, _LONGEST_THERE)
    shortest, longest = (max(1, size // width) for size in sizes)
    fewest, most = -(-count // longest), count // shortest
    return next((count // k for k in range(fewest, most) if count % k == 0), shortest)


def _one_block(statistics: Sequence[Statistic], rows: Rows) -> list[State]:
    groups: dict[type[Statistic], list[Statistic]] = {}
    for statistic in statistics:
        groups.setdefault(statistic.family(), []).append(statistic)
    states: dict[Statistic, State] = {}
    for family, members in groups.items():
        states.update(zip(members, family.of_rows_together(members, rows), strict=True))
    return [states[statistic] for statistic in statistics]


def merge_all(
    statistics: Sequence[Statistic], left: Sequence[State], right: Sequence[State]
) -> list[State]:
    """Merge the states of several statistics."""
    return [s.merge(one, two) for s, one, two in zip(statistics, left, right, strict=True)]


def shared_axes(statistics: Sequence[Statistic]) -> Axes:
    """How many axes the arguments may have if all these statistics are to read them.

    Raises:
        ValueError: statistics of which some need shape (n,) and others (n, k).
    """
    shared = tuple(axes for axes in (1, 2) if all(axes in s.pred_axes for s in statistics))
    of_true = {statistic.true_axes for statistic in statistics} or {1}
    if not shared or len(of_true) > 1:
        name = "y_true" if shared else "y_pred"
        raise ValueError(
            f"metrics that take {name} of shape (n,) and metrics that take shape (n, k) cannot "
            "share one pass"
        )
    return Axes(of_true.pop(), shared)


def columns_of(y_pred: Any) -> int:
    """How many numbers a row of y_pred holds."""
    return max(1, math.prod(y_pred.shape[1:]))


def check_rows(
    y_true: Any,
    y_pred: Any,
    weight: Any,
    axes: Axes = _VECTORS,
    xp: Any = jnp,
    groups: Any = None,
) -> Rows:
    """Refuse shapes that do not fit, and split a weight into a mask and numbers.

    Args:
        y_true: reference values, of as many axes as `axes` says.
        y_pred: predicted values, of as many axes as `axes` allows.
        weight: None, a boolean mask or numbers, shape (n,).
        axes: the numbers of axes that the arguments may have.
        xp: the namespace of the result's arrays, `jax.numpy` or `numpy`.
        groups: None, or integers, shape (n,).

    Raises:
        ValueError: an argument of another number of axes, or lengths that differ.
        TypeError: a weight that is neither boolean nor real, or groups that are no integers.
    """
    y_true, y_pred = flattened(xp.asarray(y_true), xp.asarray(y_pred), axes)
    check_shapes(y_true, y_pred, weight, axes)
    group = None if groups is None else check_groups(groups, y_true.shape[0], xp)
    if weight is None:
        return Rows(y_true, y_pred, None, None, None, group=group)
    weight = xp.asarray(weight)
    if weight.dtype == bool:
        return Rows(y_true, y_pred, weight, None, None, group=group)
    if not (
        jnp.issubdtype(weight.dtype, jnp.floating) or jnp.issubdtype(weight.dtype, jnp.integer)
    ):
        raise TypeError(f"weight must hold booleans or real numbers, not {weight.dtype}")
    weight = weight.astype(float_type(weight))
    bad = ~(xp.isfinite(weight) & (weight >= 0))
    keep = ~bad & (weight > 0)
    weight = xp.where(keep, weight, xp.zeros_like(weight))
    return Rows(y_true, y_pred, keep, weight, bad, group=group)


def flattened(y_true: Any, y_pred: Any, axes: Axes) -> tuple[Any, Any]:
    """Columns of shape (n, 1), where both are and (n,) is taken, as (n,); others as they are."""
    columns = np.shape(y_true)[1:] == np.shape(y_pred)[1:] == (1,)
    if columns and axes.true == 1 and 1 in axes.pred:
        return y_true.reshape(-1), y_pred.reshape(-1)
    return y_true, y_pred


def check_shapes(y_true: Any, y_pred: Any, weight: Any = None, axes: Axes = _VECTORS) -> None:
    """Refuse other axes and lengths that differ: nothing is ever broadcast.

    Raises:
        ValueError: naming the arguments and their shapes.
    """
    shapes = {"y_true": np.shape(y_true), "y_pred": np.shape(y_pred)}
    if weight is not None:
        shapes["weight"] = np.shape(weight)
    found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
    allowed = {"y_true": (axes.true,), "y_pred": axes.pred, "weight": (1,)}
    if not all(len(shape) in allowed[name] for name, shape in shapes.items()):
        expected = "arrays of one axis, shape (n,)"
        if axes.true == 2:
            expected = "y_true and y_pred of shape (n, k), and a weight of shape (n,)"
        elif axes.pred != (1,):
            of_pred = " or ".join({1: "(n,)", 2: "(n, k)"}[number] for number in axes.pred)
            expected = f"y_pred of shape {of_pred} and all else of shape (n,)"
        raise ValueError(f"expected {expected}; found {found}")
    if axes.true == 2 and shapes["y_true"] != shapes["y_pred"]:
        raise ValueError(f"expected y_true and y_pred of one shape; found {found}")
    if len({shape[0] for shape in shapes.values()}) != 1:
        raise ValueError(f"expected arrays of one length; found {found}")


def require_labels(labels: Any, name: str) -> None:
    """Refuse anything but integers and booleans.

    Raises:
        TypeError: naming the argument and its type.
    """
    if labels.dtype != bool and not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"{name} must hold integer or boolean labels, not {labels.dtype}")


def float_type(*values: Column | None) -> Any:
    """The float type to compute in: the widest input, at least float32; float32 for integers.

    With 64-bit types enabled integers are computed in float64.
    """
    default = jnp.result_type(float)
    types = [
        value.dtype if jnp.issubdtype(value.dtype, jnp.floating) else default
        for value in values
        if value is not None
    ]
    return max([jnp.dtype(jnp.float32), *types], key=lambda dtype: dtype.itemsize)
