"""Metrics of slices whose rows come in batches."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from ._compute import Pass, Report, pass_over, report_of, statistics_of
from ._counts import CellStatistic
from ._metric import Metric
from ._segments import segmented, state_of_segment
from ._slices import ids_below
from ._statistic import Statistic
from ._stream import arrays_of, as_states, merged, weighed
from ._types import Matrix, State, Vector

# Cells of a table of which every slice has its own.
_MOST_CELLS = 1 << 12


class SliceStream:
    """The metrics of every slice of all rows seen so far, at a cost that is that of one pass.

    It holds a state for every slice, of a size that does not depend on the rows.

    Args:
        metrics: the metrics under the names their results will have, all of them `sliceable`.

    Raises:
        ValueError: a metric that is not `sliceable`.

    Example:
        >>> from modelops_jax.metrics import SliceStream, metric
        >>> stream = SliceStream({"mae": metric("mean_absolute_error")})
        >>> stream.update([1.0, 2.0, 3.0], [1.0, 2.0, 5.0], [0, 1, 1], 2)
        >>> stream.update([1.0], [4.0], [0], 1)
        >>> [float(report.values["mae"]) for report in stream.reports()]
        [1.5, 1.0]
    """

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        for name, metric in metrics.items():
            if not self.sliceable(metric):
                raise ValueError(f"{name}: {metric.name} has no small state for every slice")
        self._metrics = dict(metrics)
        self._statistics = statistics_of(self._metrics)
        self._states: list[State] = []
        self._rows = np.zeros(0, np.int64)
        self._weighted: bool | None = None  # not known before the first rows

    @property
    def weighted(self) -> bool | None:
        """Whether the rows have numbers as weights; None before the first rows."""
        return self._weighted

    @staticmethod
    def sliceable(metric: Metric) -> bool:
        """Whether a state of every slice is small: not of kept rows, maxima or large tables."""
        return all(
            segmented(s, 1, 0) is not None
            and not (isinstance(s, CellStatistic) and s.size > _MOST_CELLS)
            for s in metric.statistics
        )

    def update(
        self,
        y_true: Vector | Matrix,
        y_pred: Vector | Matrix,
        slices: Vector,
        count: int,
        *,
        weight: Vector | None = None,
    ) -> None:
        """Add a batch of rows.

        Args:
            y_true: reference labels or values, shape (n,) (see `compute`).
            y_pred: predicted labels, values or scores, shape (n,) or (n, k).
            slices: the number of each row's slice, shape (n,).
            count: how many slices there are in the batch: numbers are below it.
            weight: None, a boolean mask or non-negative numbers, shape (n,).

        Raises:
            ValueError: numbers of slices that are not one for each row or outside 0 to count - 1,
                numbers as weights in some batches only (`weighed`), and what `compute` refuses; the
                stream is then as it was before the call.
            TypeError: numbers of slices that are not integers.
        """
        ids = ids_below(count, slices, np.shape(y_true)[:1])
        forms = self._segmented(count)
        found = pass_over(forms, y_true, y_pred, weight, ids[:, None])
        self._check(found.weighted)
        states = [found.states[form] for form in forms]
        present = ids if weight is None else ids[np.asarray(weight) != 0]
        self._add(states, np.bincount(present, minlength=count), np.arange(count))
        self._weighted = found.weighted

    def merge(self, other: "SliceStream", numbers: np.ndarray) -> None:
        """Add another stream of the same metrics, which stays as it is.

        Args:
            other: the other stream.
            numbers: for each of its slices the number of that slice here.

        Raises:
            ValueError: weights that are numbers in one of the two only (`weighed`).
        """
        if other._weighted is not None:
            self._check(other._weighted)
            self._add(other._states, other._rows, numbers)
            self._weighted = other._weighted

    def weighed(self) -> "SliceStream":
        """These rows with the number 1 as the weight of each that has none; itself if all have one.

        Weighted rows can be added to it.
        """
        if self._weighted is not False:
            return self
        stream = SliceStream(self._metrics)
        stream._states = [weighed(state) for state in self._states]
        stream._rows, stream._weighted = self._rows, True
        return stream

    def reports(self) -> tuple[Report, ...]:
        """Of each slice what `compute` reports of its rows."""
        found = []
        for segment, rows in enumerate(self._rows.tolist()):
            states = {
                statistic: state_of_segment(state, segment)
                for statistic, state in zip(self._statistics, self._states, strict=True)
            }
            found.append(report_of(self._metrics, Pass(states, rows, bool(self._weighted))))
        return tuple(found)

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The state as JSON and named arrays, for a format of one's own."""
        arrays = arrays_of(self._states)
        return {"weighted": self._weighted}, arrays | {"rows": self._rows}

    def set_arrays(self, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take over the state of a stream of the same metrics, as `to_arrays` gave it."""
        self._weighted, self._rows = facts["weighted"], arrays["rows"]
        if self._weighted is not None:
            forms = self._segmented(len(self._rows))
            self._states = list(as_states(forms, self._weighted, arrays).values())

    def _check(self, weighted: bool) -> None:
        if self._weighted is not None and weighted != self._weighted:
            having = {True: "numbers as weights", False: "none, or a mask"}
            raise ValueError(
                f"weight: these rows have {having[weighted]}, the rows before had "
                f"{having[self._weighted]}; `weighed` gives rows without one a weight of 1"
            )

    def _segmented(self, count: int) -> tuple[Statistic, ...]:
        size = _capacity(count)
        forms = [segmented(statistic, size, 0) for statistic in self._statistics]
        return tuple(form for form in forms if form is not None)

    def _add(self, states: list[State], rows: np.ndarray, numbers: np.ndarray) -> None:
        count = max(len(self._rows), int(numbers.max(initial=-1)) + 1)
        size = _capacity(count)
        new = [_placed(state, numbers, size) for state in states]
        if self._states:
            before = np.arange(len(self._rows))
            mine = [_placed(state, before, size) for state in self._states]
            new = list(merged(self._segmented(count), mine, new))
        self._states = new
        total = np.zeros(count, np.int64)
        total[: len(self._rows)] = self._rows
        np.add.at(total, numbers, rows[: len(numbers)])
        self._rows = total


def _capacity(count: int) -> int:
    """So many slices rounded up to few sizes, each of which is compiled once: 16, 64, 256, ..."""
    return 16 << 2 * -(-((max(1, count) - 1) >> 4).bit_length() // 2)


def _placed(state: State, numbers: np.ndarray, size: int) -> State:
    """The state with its segments at these numbers, among so many of which the rest is empty."""

    def moved(leaf: Any) -> np.ndarray:
        leaf = np.asarray(leaf)
        table = np.zeros((size, *leaf.shape[1:]), leaf.dtype)
        table[numbers] = leaf[: len(numbers)]
        return table

    fields = {f.name: getattr(state, f.name) for f in dataclasses.fields(state)}
    invalid = fields.pop("invalid")
    return type(state)(**jax.tree.map(moved, fields), invalid=invalid)
