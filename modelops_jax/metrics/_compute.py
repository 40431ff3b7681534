"""One pass for many metrics, from the host.

The union of the metrics' statistics is updated block by block by one jitted function and
fetched once. Rows are padded, with weight 0, to a few sizes, so that the number of compilations
is bounded whatever the number of rows.
"""

import contextlib
import functools
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ._groups import check_groups, check_ids
from ._host_columns import computed_now, numbers, precision_scope
from ._metric import Metric, invalid_rows, raise_invalid
from ._nan_policy import NanPolicy, check_nan_policy, without_nan
from ._sharded import Layout, only_rows, row_layout, shared_layout, states_of_shards
from ._statistic import (
    ARGUMENTS,
    Statistic,
    block_all,
    check_rows,
    check_shapes,
    columns_of,
    flattened,
    float_type,
    merge_all,
    shared_axes,
)
from ._types import Column, DType, Matrix, State, Vector

# Sizes that fewer rows than the last are padded to; more rows go through blocks of the last.
BUCKETS = (512, 2048, 8192, 32768, 131072, 262144)
# Many rows go through blocks of so many of the last size first, in fewer calls.
_BLOCKS_AT_ONCE = 4
# States that blocks take turns to update, all but one in threads of their own: what one thread
# calls XLA works on one after the other. One where the states are of more bytes than this together.
_TURNS, _SMALL = 4, 1 << 23


@dataclass(frozen=True)
class Report:
    """What one pass found."""

    values: dict[str, np.number | np.ndarray]
    """By metric: a float64, or a NumPy array where the metric has an entry per class."""

    undefined: dict[str, int]
    """By metric: how many entries that went into the value were undefined."""

    rows: int
    """Rows of positive weight."""

    states: Mapping[Statistic, State] = field(repr=False)
    """The concrete state of every statistic, in NumPy."""

    omitted: int = 0
    """Rows that hold nan and were left out, or made the values nan."""


def compute(
    metrics: Mapping[str, Metric],
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    groups: Vector | None = None,
    nan_policy: NanPolicy | str = "raise",
) -> Report:
    """Compute many metrics in one pass over the rows.

    float64 and integer input is computed in float64, whatever JAX's own setting; float32 and
    narrower in float32 with compensated sums. Counts are exact integers.

    Args:
        metrics: the metrics under the names their results will have.
        y_true: reference labels or values, shape (n,): a NumPy or JAX array, or a sequence; for
            metrics of several labels a row, shape (n, k).
        y_pred: predicted labels, values or scores, shape (n,); for metrics of a number per class,
            shape (n, k).
        weight: None, a boolean mask or non-negative numbers, shape (n,). A row of weight 0 is as
            good as absent, whatever it holds.
        groups: for metrics of ranked groups, the integer id of each row's group, shape (n,).
        nan_policy: what becomes of rows in which y_true or y_pred is nan. "raise" refuses them;
            "omit" leaves them out, as rows of weight 0 are; "propagate" makes every value nan if
            there is one. The report's `omitted` counts them. Infinite values are no nan.

    Arrays whose rows are sharded over a mesh are read where they lie: every device counts its own
    rows, and only states are exchanged (all arguments have to be divided alike). For metrics of
    kept rows (exact AUROC, medians, ranks) the devices exchange the rows among themselves, so that
    each holds those of all. Neither reads rows on the host.

    Returns:
        The values, and what was undefined about them. Nothing in it lives on a device, but the
        states that keep rows of arrays that are read where they lie.

    Raises:
        ValueError: shapes that do not fit, or metrics that need different shapes of y_pred;
            labels outside the classes, values or scores that are not finite, negative weights:
            with the argument, how many, and the index of the first; groups missing where a metric
            needs them, or given where none does.
        TypeError: labels or groups that are not integers, or input that is not numbers.

    Example:
        >>> from modelops_jax.metrics import compute, metric
        >>> report = compute(
        ...     {"accuracy": metric("accuracy_score", num_classes=3),
        ...      "f1": metric("f1_score", average="macro", num_classes=3)},
        ...     [0, 1, 2, 2], [0, 1, 2, 1],
        ... )
        >>> {name: round(float(value), 4) for name, value in report.values.items()}
        {'accuracy': 0.75, 'f1': 0.7778}
    """
    check_nan_policy(nan_policy)
    statistics, gone = statistics_of(metrics), 0
    if nan_policy != "raise":
        y_true, y_pred = numbers(y_true, "y_true"), numbers(y_pred, "y_pred")
        weights = None if weight is None else numbers(weight, "weight")
        check_shapes(*flattened(y_true, y_pred, axes := shared_axes(statistics)), weights, axes)
        weight, gone = without_nan(y_true, y_pred, weights)
    found = pass_over(statistics, y_true, y_pred, weight, groups=groups)
    report = replace(report_of(metrics, found), omitted=gone)
    if nan_policy == "propagate" and gone:
        nothing = {name: np.full(np.shape(v), np.nan)[()] for name, v in report.values.items()}
        return replace(report, values=nothing)
    return report


class Pass(NamedTuple):
    """What one pass over rows counted."""

    states: dict[Statistic, State]
    rows: int
    """Rows of positive weight."""

    weighted: bool
    """Whether the rows had weights that are numbers."""


def statistics_of(metrics: Mapping[str, Metric]) -> tuple[Statistic, ...]:
    """The statistics of all metrics, each once."""
    return tuple(dict.fromkeys(s for metric in metrics.values() for s in metric.statistics))


def pass_over(
    statistics: tuple[Statistic, ...],
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    weight: Vector | None,
    segments: Column | None = None,
    groups: Vector | None = None,
) -> Pass:
    """The concrete states of all statistics over these rows, which may carry segments.

    Raises:
        ValueError: shapes that do not fit, or rows that a statistic cannot use.
        TypeError: input that is not numbers.
    """
    true, pred = numbers(y_true, "y_true"), numbers(y_pred, "y_pred")
    weights = None if weight is None else numbers(weight, "weight")
    axes = shared_axes(statistics)
    true, pred = flattened(true, pred, axes)
    check_shapes(true, pred, weights, axes)
    for statistic in statistics:
        statistic.refuse(true, pred)  # what is raised while tracing has notes of JAX's added to it
    if axes.true == 2:
        # As integers, so that the ratios of a row's labels are float64 as those of counts are.
        true, pred = (c.astype(np.uint8) if c.dtype == bool else c for c in (true, pred))
    if groups is not None:
        if not any(statistic.reads_groups for statistic in statistics):
            raise ValueError("groups is given, and none of the metrics is of groups of rows")
    ids: Any = None
    if groups is not None:
        if row_layout(groups) is None:
            ids = check_groups(groups, true.shape[0], np)
        else:
            ids = groups
            check_ids(groups, true.shape[0])
    states, rows = _states(statistics, true, pred, weights, segments, ids)
    for statistic, state in states.items():
        _raise_invalid(statistic, state, (true, pred, weights, segments, ids))
    return Pass(states, rows, weighted=weights is not None and weights.dtype != bool)


def report_of(metrics: Mapping[str, Metric], found: Pass) -> Report:
    """The values of metrics whose statistics these are."""
    outcomes = {
        name: metric.finalize([found.states[statistic] for statistic in metric.statistics])
        for name, metric in metrics.items()
    }
    return Report(
        values={name: outcome.value for name, outcome in outcomes.items()},
        undefined={name: outcome.undefined for name, outcome in outcomes.items()},
        rows=found.rows,
        states=found.states,
    )


def _states(
    statistics: tuple[Statistic, ...],
    y_true: Column,
    y_pred: Column,
    weight: Column | None,
    segments: Column | None,
    groups: Column | None,
) -> tuple[dict[Statistic, State], int]:
    """The states, and the rows of positive weight."""
    kept = [statistic for statistic in statistics if statistic.keeps_rows]
    streamed = tuple(statistic for statistic in statistics if not statistic.keeps_rows)
    states: dict[Statistic, State] = {}
    columns = (y_true, y_pred, weight, segments)
    layout = _layout_of((*columns, groups))
    if layout is not None:
        with precision_scope(y_true, y_pred, weight, groups):
            dtype = _sum_type(y_true, y_pred, weight)
            found, count = states_of_shards(statistics, (*columns, groups), layout, dtype)
            return dict(zip(statistics, found, strict=True)), count
    count = y_true.shape[0] if weight is None else int(np.count_nonzero(np.asarray(weight)))
    if streamed:
        with computed_now(), precision_scope(y_true, y_pred, weight):
            states.update(zip(streamed, _stream(streamed, *columns), strict=True))
    if kept:
        on_host = (None if c is None else np.asarray(c) for c in columns[:3])
        rows = check_rows(*on_host, axes=shared_axes(statistics), xp=np, groups=groups)
        states.update((statistic, statistic.of_rows(rows)) for statistic in kept)
    return {statistic: states[statistic] for statistic in statistics}, count


def _layout_of(columns: tuple[Column | None, ...]) -> Layout | None:
    names = ("y_true", "y_pred", "weight", "segments", "groups")
    return shared_layout(dict(zip(names, columns, strict=True)))


def _sum_type(y_true: Column, y_pred: Column, weight: Column | None) -> DType:
    """The float type of weighted sums; a mask has none."""
    return float_type(y_true, y_pred, None if weight is None or weight.dtype == bool else weight)


def _raise_invalid(
    statistic: Statistic, state: State, columns: tuple[Column, Column, Any, Any, Any]
) -> None:
    """Refuse a state that counted rows it could not use, saying which is the first of them.

    Found by halving: the state knows how many there are, and only the statistic what they are.
    """
    counted = invalid_rows(state)
    if counted.is_zero():
        return
    first: dict[str, int] = {}
    invalid, layout = counted.integers(), _layout_of(columns)
    given: list[Any] = list(columns)
    if layout is None:
        given = [None if c is None else np.asarray(c) for c in given]
    true, pred, weight, *rest = given
    for place, argument in enumerate(ARGUMENTS):
        if not invalid[place]:
            continue
        start, stop = 0, true.shape[0]
        while stop - start > 1:
            middle = (start + stop) // 2
            part: list[Any]
            if layout is None:
                part = [None if c is None else c[start:middle] for c in given]
            else:
                only = only_rows(weight, start, middle, true.shape[0], layout)
                part = [true, pred, only, *rest]
            half, _ = _states((statistic,), *part)
            (found,) = half.values()
            if invalid_rows(found).integers()[place]:
                stop = middle
            else:
                start = middle
        first[argument] = start
    raise_invalid(statistic, state, first)


def _stream(
    statistics: tuple[Statistic, ...],
    y_true: Column,
    y_pred: Column,
    weight: Column | None,
    segments: Column | None,
) -> tuple[State, ...]:
    columns = (y_true, y_pred, weight, segments)
    weighted = weight is not None and weight.dtype != bool
    dtype = _sum_type(y_true, y_pred, weight)
    count = y_true.shape[0]
    buckets = _buckets(columns_of(y_pred))
    blocks, first, start = [], [], 0
    for size in (_BLOCKS_AT_ONCE * buckets[-1], buckets[-1]):
        starts = range(start, count - size + 1, size)
        whole = [[None if c is None else c[at : at + size] for c in columns] for at in starts]
        first += whole[:1]
        blocks += whole[1:]
        start += size * len(whole)
    # Few rows need no identity to be made and merged with, which would compile a second program.
    nothing = identities(statistics, weighted, dtype) if first else None
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(nothing))
    turns = _TURNS if blocks and size * _TURNS <= _SMALL else 1

    def updated(state: tuple[State, ...] | None, blocks: list[Any]) -> tuple[State, ...] | None:
        for block in blocks:
            state = _update(statistics, dtype, state, *block, None)
        return state

    device = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue] # set at run time

    def elsewhere(turn: int) -> tuple[State, ...] | None:
        # A thread inherits neither.
        with precision_scope(*columns[:3]), jax.default_device(device):
            return updated(nothing, blocks[turn :: turns - 1])

    # What compiles is done here, and by nobody at the same time.
    state = updated(nothing, first if turns > 1 else [*first, *blocks])
    left = count - start
    if left or not count:
        bucket = next(bucket for bucket in buckets if bucket >= left)
        block = [None if c is None else padded(c[start:], bucket) for c in columns]
        state = _update(statistics, dtype, state, *block, np.asarray(left, np.int32))
    if turns > 1:
        state = _merged(statistics, [state, *_in_threads(elsewhere, turns - 1)])
    return jax.device_get(state)


def _in_threads(work: Callable[[int], Any], count: int) -> list[Any]:
    """What `work` makes of 0, 1, ..., each in a thread of its own where one can be had."""
    taken = []
    with ThreadPoolExecutor(count) as pool:
        # At the end of a script Python starts no threads, while those of the script still run.
        with contextlib.suppress(RuntimeError):
            for turn in range(count):
                taken.append(pool.submit(work, turn))
        left = [work(turn) for turn in range(len(taken), count)]
        return [future.result() for future in taken] + left


@functools.partial(jax.jit, static_argnums=0)
def _merged(statistics: tuple[Statistic, ...], turns: list[tuple[State, ...]]) -> tuple[State, ...]:
    return tuple(
        functools.reduce(statistic.merge, states)
        for statistic, states in zip(statistics, zip(*turns, strict=True), strict=True)
    )


def _buckets(width: int) -> tuple[int, ...]:
    """The sizes for rows of so many numbers: blocks of about as many numbers, not as many rows."""
    return tuple(size for size in BUCKETS if size == BUCKETS[0] or size * width <= BUCKETS[-1])


@functools.lru_cache(maxsize=256)
def identities(
    statistics: tuple[Statistic, ...], weighted: bool, dtype: DType
) -> tuple[State, ...]:
    """The concrete states of no rows."""

    def make() -> tuple[State, ...]:
        return tuple(s.identity(weighted=weighted, dtype=dtype) for s in statistics)

    return jax.device_get(jax.jit(make)())  # one program, not one for each zero


def padded(column: Column, size: int) -> np.ndarray:
    """So many rows: those of the column, then zeros."""
    column = np.asarray(column)
    longer = np.zeros((size, *column.shape[1:]), column.dtype)
    longer[: column.shape[0]] = column
    return longer


@functools.partial(jax.jit, static_argnums=(0, 1))
def _update(
    statistics: tuple[Statistic, ...],
    dtype: DType,
    states: tuple[State, ...] | None,
    y_true: Column,
    y_pred: Column,
    weight: Column | None,
    segments: Column | None,
    filled: Column | None,
) -> tuple[State, ...]:
    """Update every statistic over one block, of which the first `filled` rows count.

    Without states, the states of the block alone.
    """
    if weight is not None and weight.dtype != bool:
        weight = weight.astype(dtype)
    if filled is not None:
        inside = jnp.arange(y_true.shape[0], dtype=jnp.int32) < filled
        weight = inside if weight is None else jnp.where(inside, weight, jnp.zeros_like(weight))
    rows = check_rows(y_true, y_pred, weight, shared_axes(statistics))
    blocks = block_all(statistics, rows._replace(segments=segments))
    return blocks if states is None else tuple(merge_all(statistics, states, blocks))
