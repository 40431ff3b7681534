"""The rows of an evaluation, read on the host or where they lie."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from ._batch import read_batch
from ._builtin import BuiltIn, Reader, by_reader
from ._columns import check_columns, names_of_scored
from ._evidence import Pair
from ._finish import Group, read_together, refuse_weighted_own
from ._label_pair import LabelReader
from ._label_sets import LabelSetReader
from ._labels import CodedLabels
from ._likelihoods import reads_scores
from ._nan_rows import nan_there
from ._queries import ByQuery, read_queries
from ._rows_there import RowsThere, each_column, groups_there, number_of, rows_there
from ._sharded import gathered, on_devices, sets_there
from ._slicing import Slicing, read_names, read_slices
from ._slicing_there import columns_there, in_units, slicings_there
from ._unit_labels import with_slices_there
from ._vectors import listed
from ._weights import unless_alike


@dataclass(frozen=True)
class ReadRows:
    """What was read of the rows that count.

    Args:
        rows: how many.
        sections: what the built-in metrics are computed from.
        columns: y_true and y_pred, for metrics of a caller's own.
        groups: the id of each row.
        slicings: the slices.
        total: what the rows weigh; None: each weighs 1.
        omitted: rows of a positive weight that were left out because they hold nan.
        nans: by metric that reads rows which hold nan, how many do.
    """

    rows: int
    sections: list[Group]
    columns: tuple[Any, Any]
    groups: Any
    slicings: list[Slicing]
    total: float | None
    omitted: int = 0
    nans: Mapping[str, int] = field(default_factory=dict)


def read_rows(
    metrics: Mapping[str, Any], nan_policy: str, *, drawn: bool, **given: Any
) -> ReadRows:
    """Read the rows that count: where they lie if all columns lie on devices, else on the host.

    Args:
        metrics: all metrics.
        nan_policy: what becomes of rows that hold nan.
        drawn: whether intervals are asked for.
        given: y_true, y_pred, y_score, weight, groups and slices.

    Raises:
        TypeError: a column that is none, or weights that are no numbers.
        ValueError: two lengths, a column that is missing or that no metric reads, weights that are
            negative or not finite, or slices of what nan propagates through.
    """
    given |= {name: listed(given[name]) for name in ("y_true", "y_pred", "groups", "weight")}
    given["slices"] = given["slices"] or {}
    there = _there(metrics, nan_policy, given, drawn=drawn)
    return _on_host(metrics, nan_policy, **given) if there is None else there


def _on_host(metrics: Mapping[str, Any], nan_policy: str, **given: Any) -> ReadRows:
    batch = read_batch(metrics, nan_policy, **given)
    rows, own, groups, nans = batch.rows, unless_alike(batch.weight), batch.groups, batch.nans or {}
    slicings = read_slices(batch.slices, rows)
    computed = {name: metric for name, metric in metrics.items() if name not in nans}
    # What one reader leaves on devices has no slices, which are those of all on the host.
    y_true, y_pred, y_score = map(gathered, (batch.y_true, batch.y_pred, batch.y_score))
    sections = read_together(computed, y_true, y_pred, y_score, groups, own)
    total = None if own is None else math.fsum(own)
    sides = batch.y_true, batch.y_pred
    return ReadRows(rows, sections, sides, groups, slicings, total, batch.omitted, nans)


def _there(
    metrics: Mapping[str, Any], nan_policy: str, given: Mapping[str, Any], *, drawn: bool
) -> ReadRows | None:
    """What is read where the rows lie; None where the host has to."""
    columns = {name: given[name] for name in ("y_true", "y_pred", "y_score")}
    y_true, y_pred, y_score = columns.values()
    groups, slices = given["groups"], given["slices"]
    if not on_devices(*each_column(columns).values()):
        return None
    built_in = {name: metric for name, metric in metrics.items() if isinstance(metric, BuiltIn)}
    if slices and nan_policy == "propagate":
        return None
    rows = check_columns(metrics, y_true, y_pred, y_score)
    if groups is not None and len(groups) != rows:
        raise ValueError(
            f"groups must have shape ({rows},), one entry a row; found ({len(groups)},)"
        )
    scored, nans, gone = names_of_scored(metrics), {}, None
    if nan_policy != "raise":
        said = y_pred if len(scored) < len(metrics) else None
        scores = (y_pred if y_score is None else y_score) if scored else None
        read = each_column({"": scores}).values()
        if nan_policy == "omit":
            gone = nan_there(y_true, said, *read)
        else:
            marked = nan_there(y_true, said), nan_there(y_true, *read)
            counts = [0 if one is None else number_of(one, given["weight"]) for one in marked]
            nans = {name: counts[name in scored] for name in metrics if counts[name in scored]}
    coded = columns_there(slices, y_true)
    every = columns | {f"slices[{name!r}]": labels.codes["ids"] for name, labels in coded.items()}
    found = rows_there(every, given["weight"], groups, gone=gone, drawn=drawn)
    if found is None:
        return None
    computed = {name: metric for name, metric in metrics.items() if name not in nans}
    refuse_weighted_own(computed, None if found.total is None else found.weight)
    if not found.rows:
        none = {name: _no_rows_of(column) for name, column in columns.items()}
        empty = {"weight": None, "groups": None if groups is None else [], "slices": {}}
        return replace(_on_host(metrics, "raise", **none, **empty), omitted=found.omitted)
    moved = {
        name: CodedLabels(labels.classes, {"ids": found.columns[f"slices[{name!r}]"]})
        for name, labels in coded.items()
    }
    slicings = slicings_there(read_names(slices), moved, found.weight)
    if drawn and slicings and groups is not None:
        found = replace(found, groups=groups_there(found.groups, found.y_true))
        if any(metric.reader is not read_queries for metric in built_in.values()):
            slicings = in_units(slicings, found.groups, found.weight)
    members = {name: metric for name, metric in built_in.items() if name in computed}
    sections = _sections_there(members, found, slicings)
    if sections is None:
        return None
    sides: Any = y_true, y_pred
    if computed.keys() - built_in.keys():
        sides = found.given("y_true"), found.given("y_pred")
    return ReadRows(
        found.rows, sections, sides, found.groups, slicings, found.total, found.omitted, nans
    )


def _sections_there(
    metrics: Mapping[str, BuiltIn], rows: RowsThere, slicings: list[Slicing]
) -> list[Group] | None:
    found = []
    for read, members in by_reader(metrics).items():
        scores = rows.columns.get("y_score") if reads_scores(read) else None
        second = rows.columns.get("y_pred") if scores is None else scores
        if read is read_queries:
            second = ByQuery(second, rows.groups)
        pair = _pair_there(read, rows.y_true, second, rows.weight, slicings)
        if pair is None:
            return None
        found.append(Group(members, partial(_same, pair)))
    return found


def _same(pair: Pair) -> Pair:
    return pair


def _no_rows_of(column: Any) -> Any:
    if isinstance(column, Mapping):
        return {key: _no_rows_of(part) for key, part in column.items()}
    return None if column is None else np.zeros((0, *column.shape[1:]), column.dtype)


def _pair_there(
    read: Reader, y_true: Any, second: Any, weight: Any, slicings: list[Slicing]
) -> Pair | None:
    if isinstance(read, LabelReader):
        labels = read.there(y_true, second, weight)
        return None if labels is None else with_slices_there(labels, slicings)
    if isinstance(read, LabelSetReader) and not sets_there(y_true, second, scored=read.scored):
        return None
    pair = read(y_true, second)
    if not on_devices(pair.y_true, pair.y_pred):
        return None
    return pair if weight is None else pair.weighted(weight)
