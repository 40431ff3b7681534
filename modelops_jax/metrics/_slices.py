"""Metrics of slices: of the rows of each language, of each length, of both crossed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from ._compute import Pass, Report, pass_over, report_of, statistics_of
from ._counts import CellStatistic
from ._host_columns import numbers, precision_scope
from ._metric import Metric
from ._segments import segmented, state_of_all, state_of_segment
from ._sharded import row_layout, rows_by_id, rows_of_id, shared_layout
from ._statistic import Statistic
from ._types import Matrix, State, Vector

# Cells of the tables of all slices together; where there would be more, rows are sorted instead.
_MOST_CELLS = 1 << 25


@dataclass(frozen=True)
class SlicedReport:
    """What one pass found of all rows and of every slice."""

    whole: Report

    slices: Mapping[str, tuple[Report, ...]]
    """By slicing a report for slice 0, 1, ...; their `rows` add up to the whole's."""


def compute_slices(
    metrics: Mapping[str, Metric],
    y_true: Vector,
    y_pred: Vector | Matrix,
    slices: Mapping[str, Vector],
    *,
    weight: Vector | None = None,
) -> SlicedReport:
    """Compute many metrics of all rows and of every slice in one pass.

    Counts and sums of all slices come from the same reading of the rows. Metrics of kept rows
    (exact AUROC, medians, ranks) and maxima are computed on the rows sorted by slice. Of rows
    sharded over a mesh, which stay where they are, those take a pass for each slice.

    Args:
        metrics: the metrics under the names their results will have.
        y_true: reference labels or values, shape (n,).
        y_pred: predicted labels, values or scores, shape (n,) or (n, k) (see `compute`).
        slices: any number of slicings, each with a number for every row, shape (n,): the rows of
            number i are its slice i. 0 to the largest number are slices, with or without rows.
        weight: None, a boolean mask or non-negative numbers, shape (n,).

    Returns:
        The report of all rows, and one for each slice, as `compute` gives it of its rows.

    Raises:
        ValueError: numbers of slices that are negative or not one for each row, and what
            `compute` refuses.
        TypeError: numbers of slices that are not integers.

    Example:
        >>> from modelops_jax.metrics import compute_slices, metric
        >>> accuracy = {"accuracy": metric("accuracy_score")}
        >>> found = compute_slices(accuracy, [0, 1, 1], [0, 1, 0], {"lang": [0, 0, 1]})
        >>> [float(report.values["accuracy"]) for report in found.slices["lang"]]
        [1.0, 0.0]
    """
    ids = {name: _checked(name, column, np.shape(y_true)[:1]) for name, column in slices.items()}
    numbers_of = {name: int(column.max(initial=-1)) + 1 for name, column in ids.items()}
    weights = None if weight is None else numbers(weight, "weight")
    layout = shared_layout({"y_true": y_true, "y_pred": y_pred, "weight": weights} | ids)
    statistics = statistics_of(metrics)
    forms: dict[tuple[str, Statistic], Statistic] = {}
    for key, (name, count) in enumerate(numbers_of.items()):
        for statistic in statistics:
            # Rounded up to few sizes, each of which is compiled once.
            form = _segmented(statistic, 1 << max(0, count - 1).bit_length(), key)
            if form is not None:
                forms[name, statistic] = form
    xp = np if all(isinstance(column, np.ndarray) for column in ids.values()) else jnp
    columns = xp.stack([*ids.values()], axis=1) if ids else None
    # Tables of counts are not counted twice: the whole is the sum of its parts.
    counted = weights is None or weights.dtype == bool
    summed = {
        s: next(form for (_, inner), form in forms.items() if inner == s)
        for s in {inner for _, inner in forms}
        if counted and isinstance(s, CellStatistic)
    }
    every = [s for s in statistics if s not in summed]
    every = tuple(dict.fromkeys([*every, *forms.values()]))
    found = pass_over(every, y_true, y_pred, weight, columns)
    states = {s: state_of_all(found.states[form]) for s, form in summed.items()} | found.states
    whole = Pass({s: states[s] for s in statistics}, found.rows, found.weighted)
    parts = {}
    for name, column in ids.items():
        own = {s: found.states[forms[name, s]] for s in statistics if (name, s) in forms}
        rest = tuple(s for s in statistics if s not in own)
        if layout is None:
            counting = column if weights is None else column[np.asarray(weights) != 0]
            rows = np.bincount(counting, minlength=numbers_of[name])
            sorted_rows = _split(column, numbers_of[name]) if rest else []
        else:
            rows = rows_by_id(column, weights, numbers_of[name], layout)
            sorted_rows = []
        reports = []
        for segment in range(numbers_of[name]):
            states = {s: state_of_segment(state, segment) for s, state in own.items()}
            if rest and layout is not None:
                only = rows_of_id(column, segment, weights, layout)
                states |= pass_over(rest, y_true, y_pred, only).states
            elif rest:
                states |= _of_rows(rest, sorted_rows[segment], y_true, y_pred, weight)
            of_segment = Pass(
                {s: states[s] for s in statistics}, int(rows[segment]), found.weighted
            )
            reports.append(report_of(metrics, of_segment))
        parts[name] = tuple(reports)
    return SlicedReport(report_of(metrics, whole), parts)


def _checked(name: str, column: Any, shape: tuple[int, ...]) -> Any:
    ids = column if row_layout(column) is not None else np.asarray(column)
    with precision_scope(ids):
        return as_ids(f"slices[{name!r}]", ids, column, shape)


def ids_below(count: int, slices: Vector, shape: tuple[int, ...]) -> np.ndarray:
    """The numbers of the slices of rows of this shape, int32, all less than `count`.

    Raises:
        TypeError: no integers.
        ValueError: not one for each row, or one that is negative or not less.
    """
    ids = as_ids("slices", np.asarray(slices), slices, shape)
    if ids.max(initial=-1) >= count:
        raise ValueError(f"slices has the number {ids.max()}; expected less than count={count}")
    return ids


def as_ids(name: str, ids: Any, column: Any, shape: tuple[int, ...]) -> Any:
    """The numbers of slices in an argument of this name, int32.

    Raises:
        TypeError: no integers.
        ValueError: not one for each row, or negative ones.
    """
    if ids.size == 0 and not hasattr(column, "dtype"):
        ids = ids.astype(np.int32)
    if ids.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers, not {ids.dtype}")
    if ids.shape != shape:
        raise ValueError(
            f"{name} has shape {ids.shape} and y_true {shape}; expected one number a row"
        )
    if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < np.iinfo(np.int32).max:
        raise ValueError(f"{name} has numbers from {ids.min()} to {ids.max()}; expected 0 and up")
    return ids.astype(np.int32)


def _segmented(statistic: Statistic, segments: int, key: int) -> Statistic | None:
    cells = statistic.size if isinstance(statistic, CellStatistic) else 1
    return segmented(statistic, segments, key) if segments * cells <= _MOST_CELLS else None


def _split(ids: np.ndarray, count: int) -> list[np.ndarray]:
    """The places of the rows of every slice."""
    order = np.argsort(ids, kind="stable")
    ends = np.cumsum(np.bincount(ids, minlength=count))
    return np.split(order, ends[:-1])


def _of_rows(
    statistics: tuple[Statistic, ...],
    rows: np.ndarray,
    y_true: Vector,
    y_pred: Vector | Matrix,
    weight: Vector | None,
) -> dict[Statistic, State]:
    true, pred = (
        np.asarray(numbers(column, name))[rows]
        for name, column in (("y_true", y_true), ("y_pred", y_pred))
    )
    weights = None if weight is None else np.asarray(numbers(weight, "weight"))[rows]
    return pass_over(statistics, true, pred, weights).states
