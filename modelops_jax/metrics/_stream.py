"""Many metrics over rows that come in batches, in several processes, or on several days."""

import contextlib
import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from modelops_jax._state_file import described, read_state, refuse_other, write_state

from ._compute import Pass, Report, identities, pass_over, report_of, statistics_of
from ._exact import ExactCount
from ._host_columns import computed_now
from ._kept_rows import KeptRows
from ._metric import Metric
from ._statistic import Statistic
from ._types import DType, Matrix, State, Vector


class MetricStream:
    """The metrics of all rows seen so far.

    A stream holds one state per statistic, of a size that does not depend on the rows; only the
    metrics that `keeps_rows` names need the rows themselves. Its `report` is `compute`'s of all
    rows together: exactly for counts, to 1e-12 for sums of float64.

    Args:
        metrics: the metrics under the names their results will have.

    Raises:
        ValueError: metrics that need different shapes of y_pred.

    Example:
        >>> from modelops_jax.metrics import MetricStream, metric
        >>> stream = MetricStream({"accuracy": metric("accuracy_score", num_classes=3)})
        >>> for y_true, y_pred in [([0, 1], [0, 1]), ([2, 2], [2, 1])]:
        ...     stream.update(y_true, y_pred)
        >>> float(stream.report().values["accuracy"]), stream.rows
        (0.75, 4)
    """

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        self._metrics = dict(metrics)
        self._statistics = statistics_of(self._metrics)
        self._weighted: bool | None = None  # not known before the first rows
        self._rows = 0
        self._states: dict[Statistic, State] = {}
        self._parts: dict[KeptRows, list[State]] = {}

    @property
    def metrics(self) -> dict[str, Metric]:
        """The metrics by name."""
        return dict(self._metrics)

    @property
    def rows(self) -> int:
        """Rows of positive weight so far."""
        return self._rows

    @property
    def weighted(self) -> bool | None:
        """Whether the rows have numbers as weights; None before the first rows."""
        return self._weighted

    @property
    def keeps_rows(self) -> tuple[str, ...]:
        """The metrics for which every row is kept, so that memory grows with them."""
        return tuple(
            name
            for name, metric in self._metrics.items()
            if any(statistic.keeps_rows for statistic in metric.statistics)
        )

    def update(
        self,
        y_true: Vector | Matrix,
        y_pred: Vector | Matrix,
        *,
        weight: Vector | None = None,
        groups: Vector | None = None,
    ) -> None:
        """Add a batch of rows.

        Args:
            y_true: reference labels or values, shape (n,).
            y_pred: predicted labels, values or scores, shape (n,), or (n, k) (see `compute`).
            weight: None, a boolean mask or non-negative numbers, shape (n,).
            groups: for metrics of ranked groups, the integer id of each row's group, shape (n,).
                The rows of a group may come in several batches.

        Raises:
            ValueError: what `compute` refuses, or numbers as weights in some batches only. The
                stream is then as it was before the call.
            TypeError: input that is not numbers.
        """
        found = pass_over(self._statistics, y_true, y_pred, weight, groups=groups)
        if np.shape(y_true)[0]:
            self._add(found.states, found.rows, found.weighted, "this batch")

    def merge(self, other: "MetricStream") -> None:
        """Add the rows of another stream of the same metrics, which stays as it is.

        Raises:
            ValueError: other metrics, or weights that are numbers in one of the two only.
        """
        if other._metrics != self._metrics:
            raise ValueError(
                f"the other stream is of {other._metrics}; expected the metrics {self._metrics}"
            )
        if other._weighted is not None:
            self._add(other._collected(), other._rows, other._weighted, "the other stream")

    def weighed(self) -> "MetricStream":
        """These rows with the number 1 as the weight of each that has none; itself if all have one.

        Weighted rows can be added to it. What was a mask is 0 and 1.
        """
        if self._weighted is not False:
            return self
        stream = MetricStream(self._metrics)
        stream._weighted, stream._rows = True, self._rows
        stream._states = {s: weighed(state) for s, state in self._states.items()}
        stream._parts = {s: [weighed(part) for part in parts] for s, parts in self._parts.items()}
        return stream

    def report(self) -> Report:
        """The values of all rows so far, as `compute` reports them."""
        return report_of(self._metrics, Pass(self._collected(), self._rows, bool(self._weighted)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a file, whole or not at all.

        The file is a safetensors file whose metadata hold what the state is of, and a checksum.

        Raises:
            OSError: the file cannot be written.
        """
        write_state(path, type(self).__name__, *self.to_arrays())

    @classmethod
    def load(cls, path: str | os.PathLike[str], metrics: Mapping[str, Metric]) -> "MetricStream":
        """Read a stream that `save` wrote.

        Args:
            path: the file.
            metrics: the metrics that the stream was made with.

        Raises:
            OSError: the file cannot be read.
            ValueError: no such state, a damaged one, or one of other metrics.
        """
        stream = cls(metrics)
        facts, arrays = read_state(path, cls.__name__)
        refuse_other(path, facts["metrics"], described(stream.metrics))
        stream.set_arrays(facts, arrays)
        return stream

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The state as JSON and named arrays, for a format of one's own."""
        arrays = arrays_of(list(self._collected().values()))
        facts = {
            "metrics": described(self._metrics),
            "rows": self._rows,
            "weighted": self._weighted,
        }
        return facts, arrays

    def set_arrays(self, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take over the state of a stream of the same metrics, as `to_arrays` gave it."""
        self._rows, self._weighted = facts["rows"], facts["weighted"]
        if self._weighted is not None:
            self._set(as_states(self._statistics, self._weighted, arrays))

    def _add(
        self, states: Mapping[Statistic, State], rows: int, weighted: bool, whose: str
    ) -> None:
        if self._weighted is None:
            self._set(states)
        elif weighted != self._weighted:
            having = {True: "numbers as weights", False: "none, or a mask"}
            raise ValueError(
                f"weight: {whose} has {having[weighted]}, the rows before had "
                f"{having[self._weighted]}; give a weight of 1 to rows without one"
            )
        else:
            summed = tuple(s for s in self._statistics if not isinstance(s, KeptRows))
            both = ([held[s] for s in summed] for held in (self._states, states))
            self._states.update(zip(summed, merged(summed, *both), strict=True))
            for statistic, parts in self._parts.items():
                parts.append(states[statistic])
        self._weighted, self._rows = weighted, self._rows + rows

    def _set(self, states: Mapping[Statistic, State]) -> None:
        self._states = {s: state for s, state in states.items() if not isinstance(s, KeptRows)}
        self._parts = {s: [state] for s, state in states.items() if isinstance(s, KeptRows)}

    def _collected(self) -> dict[Statistic, State]:
        """The state of every statistic, kept rows in one piece."""
        if self._weighted is None:
            return _of_no_rows(self._statistics, weighted=False)
        for statistic, parts in self._parts.items():
            parts[:] = [statistic.join(parts)]
        whole = {statistic: parts[0] for statistic, parts in self._parts.items()}
        return {
            s: whole[s] if isinstance(s, KeptRows) else self._states[s] for s in self._statistics
        }


def weighed(state: State) -> State:
    """The concrete state of rows without weights as that of rows whose weight is the number 1."""
    cells, weight = getattr(state, "cells", None), getattr(state, "weight", None)
    if isinstance(cells, ExactCount):
        return dataclasses.replace(state, cells=cells.pair(np.dtype(np.float64)))
    if isinstance(weight, np.ndarray) and weight.dtype == bool:
        return dataclasses.replace(state, weight=np.asarray(weight, np.float64))
    return state


def merged(
    statistics: tuple[Statistic, ...], left: list[State], right: list[State]
) -> tuple[State, ...]:
    """The concrete states of the rows of both, in the wider of their float types."""
    wide = any(leaf.dtype == np.float64 for leaf in jax.tree.leaves((left, right)))
    dtype = np.dtype(np.float64 if wide else np.float32)
    scope = jax.enable_x64(True) if wide else contextlib.nullcontext()
    with computed_now(), scope:
        return jax.device_get(_merge(statistics, *(_in_type(dtype, s) for s in (left, right))))


def _in_type(dtype: DType, states: list[State]) -> list[State]:
    def cast(leaf: np.ndarray) -> np.ndarray:
        return leaf.astype(dtype) if leaf.dtype == np.float32 else leaf

    return jax.tree.map(cast, states)


@functools.partial(jax.jit, static_argnums=0)
def _merge(
    statistics: tuple[Statistic, ...], left: list[State], right: list[State]
) -> tuple[State, ...]:
    return tuple(s.merge(one, two) for s, one, two in zip(statistics, left, right, strict=True))


def arrays_of(states: Sequence[State]) -> dict[str, np.ndarray]:
    """The leaves of states by their places and names."""
    return {
        f"{position}{jax.tree_util.keystr(key)}": np.asarray(leaf)
        for position, state in enumerate(states)
        for key, leaf in jax.tree.leaves_with_path(state)
    }


def as_states(
    statistics: tuple[Statistic, ...], weighted: bool, arrays: Mapping[str, np.ndarray]
) -> dict[Statistic, State]:
    """The states whose leaves are these arrays, as `arrays_of` names them."""
    states = {}
    none = _of_no_rows(statistics, weighted=weighted)
    for position, (statistic, state) in enumerate(none.items()):
        keyed, tree = jax.tree.flatten_with_path(state)
        leaves = [arrays[f"{position}{jax.tree_util.keystr(key)}"] for key, _ in keyed]
        states[statistic] = jax.tree.unflatten(tree, leaves)
    return states


def _of_no_rows(statistics: tuple[Statistic, ...], *, weighted: bool) -> dict[Statistic, State]:
    with computed_now():
        none = identities(statistics, weighted, jnp.dtype(jnp.float32))
    return dict(zip(statistics, none, strict=True))
