"""Intervals and tests of rows in groups, from the sums of each group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

import modelops_jax.metrics as numeric

from ._computed import Confidence, resampled_of
from ._slice_units import SliceUnits


@dataclass(frozen=True)
class GroupDraws:
    """Intervals of metrics of sums, and of rows that are kept.

    Args:
        sums: of each group.
        order: the numbers of the groups in order.
        rows: of each row that is kept the place of its group.
    """

    sums: numeric.GroupResampleStream
    order: np.ndarray
    rows: np.ndarray

    def intervals(
        self,
        bound: Mapping[str, numeric.Metric],
        report: numeric.Report,
        confidence: Confidence,
    ) -> dict[str, numeric.Interval]:
        """By metric its interval, of those that have one."""
        kept = {n: m for n, m in bound.items() if m.reweighs and m.no_interval is None}
        found = numeric.state_intervals(kept, report.states, groups=self.rows, **confidence.options)
        if summed := resampled_of(bound, weighted=True):
            found |= self.sums.intervals(order=self.order, metrics=summed, **confidence.options)
        return {name: found[name] for name in bound if name in found}


@dataclass(frozen=True)
class UnitDraws:
    """Intervals and tests of the slices of one slicing.

    Args:
        sums: of each unit.
        slices: the units of each slice.
    """

    sums: numeric.GroupResampleStream
    slices: Sequence[SliceUnits]

    def intervals(
        self, bound: Mapping[str, numeric.Metric], confidence: Confidence, rows: Sequence[int]
    ) -> list[dict[str, numeric.Interval]]:
        """Of each slice, which has so many rows, the intervals of the metrics that have one."""
        found = []
        for one, count in zip(self.slices, rows, strict=True):
            own: Mapping[str, numeric.Interval] = {}
            if count:
                own = self.sums.intervals(order=one.units, rows=count, **confidence.options)
            found.append({name: own[name] for name in bound if name in own})
        return found

    def tests(self, bound: Mapping[str, numeric.Metric]) -> dict[str, list[float]]:
        """By metric that is a mean or a share the p-value of each slice against the other rows."""
        number = np.repeat(np.arange(len(self.slices)), [len(one.units) for one in self.slices])
        units = np.concatenate([one.units for one in self.slices])
        groups = np.concatenate([one.groups for one in self.slices])
        ratios = {name: self.sums.ratios(name) for name in bound}
        return {
            name: numeric.grouped_slice_tests(number, groups, *(side[units] for side in sides))
            for name, sides in ratios.items()
            if sides is not None
        }
