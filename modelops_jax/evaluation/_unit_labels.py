"""Labels of rows in groups that are counted: by group, and by the units of slices."""

import functools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import modelops_jax.metrics as numeric
from modelops_jax._distinct_shards import distinct_rows_of_shards

from ._computed import Confidence
from ._joint_counts import JointCounts
from ._label_pair import LabelPair
from ._labels import CodedLabels
from ._slice_units import SliceUnits
from ._slicing import Slicing


def pair_of_groups(classes: tuple[Hashable, ...], counted: JointCounts) -> LabelPair:
    """The pair of rows of (place of the group, true class, predicted class)."""
    pairs = counted.by(1, 2)

    def drawn(
        metrics: Mapping[str, numeric.Metric], confidence: Confidence
    ) -> dict[str, numeric.Interval]:
        group, true, pred = counted.rows.T
        return numeric.confidence_intervals(
            metrics, true, pred, weight=_weight_of(counted), groups=group, **confidence.options
        )

    return LabelPair(
        CodedLabels(classes, {"y_true": pairs.rows[:, 0], "y_pred": pairs.rows[:, 1]}),
        counts=pairs.counts,
        weight=pairs.weight,
        drawn=drawn,
    )


def with_slices(
    whole: LabelPair, slicings: Sequence[tuple[JointCounts, Sequence[SliceUnits]]]
) -> LabelPair:
    """The pair with the slices of its rows.

    Args:
        whole: the pair of all rows.
        slicings: for each the rows of (unit, true class, predicted class), by the classes of the
            whole, and the units of each slice.
    """
    if not slicings:
        return whole
    parts, tests = [], []
    for counted, slices in slicings:
        by_slice = _by_slice(counted, slices)
        parts.append([pair_of_groups(whole.labels.classes, part) for part in by_slice])
        tests.append(functools.partial(_tests_of, by_slice, slices))
    return replace(whole, parts=parts, tests=tests)


def with_slices_there(whole: LabelPair, slicings: Sequence[Slicing]) -> LabelPair:
    """The pair of rows that lie on devices with the slices of those in groups, counted there."""
    there, found = whole.there, []
    assert there is not None
    places = np.array([whole.labels.index.get(label, -1) for label in there.labels.classes])
    for slicing in slicings:
        if slicing.units is None:
            return whole
        layout: Any = numeric.row_layout(slicing.units.ids)
        several = sum(len(one.units) for one in slicing.units.slices)
        # Rounded up to few sizes, each of which is compiled once.
        widths = 1 << several.bit_length(), len(places), len(places)
        columns = [slicing.units.ids, *there.rows]
        distinct = distinct_rows_of_shards(columns, widths, there.weight, *layout)
        rows, counts, weights = distinct.rows, distinct.counts, distinct.weights
        if weights is not None:
            weights = np.stack([weights, np.zeros(len(weights))])
        # A class that only ignored rows have is none.
        unit, true, pred = rows.T
        labelled = np.stack([unit, places[true], places[pred]], axis=1).astype(np.int32)
        kept = true != (-1 if there.ignored is None else there.ignored)
        found.append((JointCounts(labelled, counts, weights).take(kept), slicing.units.slices))
    return with_slices(whole, found)


def _weight_of(counted: JointCounts) -> np.ndarray:
    """Rows of one group and the same labels are one row, of their weight."""
    weight = counted.weight
    return counted.counts.astype(np.float64) if weight is None else weight


def _by_slice(counted: JointCounts, slices: Sequence[SliceUnits]) -> list[JointCounts]:
    """Of rows by unit those of each slice, with the place of the unit in it."""
    which, place = np.zeros((2, sum(len(one.units) for one in slices)), np.int64)
    for number, one in enumerate(slices):
        which[one.units], place[one.units] = number, np.arange(len(one.units))
    slice_of_row = which[counted.rows[:, 0]]
    order = np.argsort(slice_of_row, kind="stable")
    ends = np.searchsorted(slice_of_row[order], np.arange(1, len(slices)))
    units, *labels = counted.rows.T
    rows = np.stack([place[units], *labels], axis=1).astype(np.int32)
    placed = replace(counted, rows=rows)
    return [placed.take(rows) for rows in np.split(order, ends)]


def _tests_of(
    by_slice: Sequence[JointCounts],
    slices: Sequence[SliceUnits],
    bound: Mapping[str, numeric.Metric],
) -> dict[str, list[float]]:
    """By metric that is a mean or a share the p-value of each slice against the other rows."""
    number = np.repeat(np.arange(len(by_slice)), [len(part.counts) for part in by_slice])
    group = np.concatenate(
        [one.groups[part.rows[:, 0]] for part, one in zip(by_slice, slices, strict=True)]
    )
    _, true, pred = np.concatenate([part.rows for part in by_slice]).T
    weight = np.concatenate([_weight_of(part) for part in by_slice])
    found = {}
    for name, metric in bound.items():
        ratio = numeric.row_ratios(metric, true, pred)
        if ratio is not None:
            p_values = numeric.grouped_slice_tests(number, group, *(weight * r for r in ratio))
            # The last slices may have no row of this pair, and then have no test of their own.
            found[name] = p_values + [1.0] * (len(slices) - len(p_values))
    return found
