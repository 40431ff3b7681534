"""Sums of rows under sets of weights, as the rows come in."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ._compute import padded
from ._draws import GROUP, Draws, add_block, block_rows
from ._exact import ExactCount
from ._host_columns import computed_now, numbers, precision_scope
from ._pair import Pair
from ._row_draws import RowSums
from ._statistic import Statistic, SummedStatistic, columns_of, flattened, shared_axes
from ._stream import arrays_of, as_states
from ._types import Matrix, State, Vector


class RunningSums:
    """`draw_rows` of rows that come in batches, of one model or of several on the same rows.

    What a row weighs in a set follows from its number and the seed, so that each set is a running
    sum. Rows that do not fill a block wait for it.
    """

    def __init__(self, statistics: Sequence[SummedStatistic], draws: Draws, seed: int) -> None:
        self.statistics, self._draws, self._seed = tuple(statistics), draws, seed
        self._centres: tuple[State, ...] | None = None
        self._sums: tuple[Pair, ...] | None = None
        self._rows, self._present = 0, 0
        # Whether the first rows had numbers as weights.
        self._weighted = False
        # Shape (models, rows, ...).
        self._true, self._pred = np.zeros((0, 0)), np.zeros((0, 0))
        # Of the rows that wait; None: each weighs 1.
        self._weight: np.ndarray | None = None

    @property
    def begun(self) -> bool:
        """Whether there are rows."""
        return self._centres is not None

    @property
    def waiting(self) -> int:
        """Rows that do not fill a block yet."""
        return self._true.shape[1]

    def read(
        self, y_true: Vector | Matrix, y_pred: Vector | Matrix
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows of one model as they are summed.

        Raises:
            ValueError: rows of another shape than those before.
        """
        before = (self._true.shape[2:], self._pred.shape[2:]) if self.begun else None
        return rows_like(before, self.statistics, y_true, y_pred)

    def add(
        self,
        trues: Sequence[np.ndarray],
        preds: Sequence[np.ndarray],
        states: Mapping[Statistic, State],
        weight: Vector | None = None,
    ) -> None:
        """Add at least one row.

        Args:
            trues: for each model what `read` gave.
            preds: the same.
            states: those of the first model's rows; read of the first rows only.
            weight: None, a boolean mask or non-negative numbers, of each row; None: 1.
        """
        true, pred = np.stack(trues), np.stack(preds)
        rows, weights = true.shape[1], None
        if weight is not None or self._weight is not None:
            own = np.ones(rows) if weight is None else np.asarray(weight, np.float64)
            before = np.ones(self.waiting) if self._weight is None else self._weight
            weights = np.concatenate([before, own])
        self._present += rows if weight is None else int(np.count_nonzero(np.asarray(weight)))
        if self._centres is None:
            # Sums are taken about the means of the first rows, which are near those of all.
            self._centres = tuple(states[statistic] for statistic in self.statistics)
            self._weighted = weight is not None and np.asarray(weight).dtype != bool
            self._true, self._pred = true[:, :0], pred[:, :0]
        true = np.concatenate([self._true, true], axis=1)
        pred = np.concatenate([self._pred, pred], axis=1)
        longest = self._longest(pred)
        whole = true.shape[1] // longest * longest
        for start in range(0, whole, longest):
            block = slice(start, start + longest)
            own = None if weights is None else weights[block]
            self._sums = self._added(true[:, block], pred[:, block], own, longest)
            self._rows += longest
        self._true, self._pred = true[:, whole:].copy(), pred[:, whole:].copy()
        self._weight = None if weights is None else weights[whole:].copy()

    def sums(self) -> RowSums | None:
        """The sums of all rows so far; None of no rows."""
        if self._centres is None:
            return None
        sums, rest = self._sums, self.waiting
        if rest:
            size = GROUP if rest <= GROUP else self._longest(self._pred)
            sums = self._added(self._true, self._pred, self._weight, size)
        totals = [np.asarray(pair.value(), np.float64) for pair in jax.device_get(sums)]
        # The rows of the first batch are in the centres; a resample is of all rows.
        states = [of_rows(centre, self._present) for centre in self._centres]
        return RowSums(
            self._draws,
            dict(zip(self.statistics, states, strict=True)),
            dict(zip(self.statistics, totals, strict=True)),
        )

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The state as JSON and named arrays."""
        facts = {"rows": self._rows, "present": self._present, "weighted": self._weighted}
        if self._centres is None:
            return facts, {}
        parts = {
            "centres": arrays_of(self._centres),
            "sums": {} if self._sums is None else arrays_of(jax.device_get(self._sums)),
        }
        arrays = {f"{part}/{name}": a for part, own in parts.items() for name, a in own.items()}
        arrays |= {"true": self._true, "pred": self._pred}
        return facts, arrays if self._weight is None else arrays | {"weight": self._weight}

    def set_arrays(self, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take over the state of sums of the same statistics and draws, as `to_arrays` gave it."""
        self._rows, self._present = facts["rows"], facts["present"]
        self._weighted = facts["weighted"]
        if "true" not in arrays:
            return
        parts = {
            part: {n.removeprefix(part): a for n, a in arrays.items() if n.startswith(part)}
            for part in ("centres/", "sums/")
        }
        states = as_states(self.statistics, self._weighted, parts["centres/"])
        self._centres = tuple(states.values())
        if sums := parts["sums/"]:
            places = range(len(self.statistics))
            self._sums = tuple(Pair(sums[f"{at}.high"], sums[f"{at}.low"]) for at in places)
        self._true, self._pred = arrays["true"], arrays["pred"]
        self._weight = arrays.get("weight")

    def _longest(self, pred: np.ndarray) -> int:
        return block_rows(self.statistics, len(pred), columns_of(pred[0]), scattered=True)

    def _added(
        self, true: np.ndarray, pred: np.ndarray, weight: np.ndarray | None, size: int
    ) -> tuple[Pair, ...]:
        """The sums with those of the next rows, at most `size`."""
        assert self._centres is not None
        with computed_now(), precision_scope(true, pred, weight):
            return add_block(
                self.statistics, np.dtype(np.float64), self._draws, self._centres, self._sums,
                jax.random.key(self._seed),
                np.asarray(self._rows // GROUP, np.int32),
                None,
                np.asarray(true.shape[1], np.int32),
                np.stack([padded(rows, size) for rows in true]),
                np.stack([padded(rows, size) for rows in pred]),
                None if weight is None else padded(weight, size),
            )  # fmt: skip


def as_rows(
    statistics: Sequence[SummedStatistic], y_true: Vector | Matrix, y_pred: Vector | Matrix
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of one model as these statistics sum them."""
    true, pred = (
        widened(np.asarray(numbers(column, name)))
        for column, name in ((y_true, "y_true"), (y_pred, "y_pred"))
    )
    return flattened(true, pred, shared_axes(statistics))


def rows_like(
    before: tuple[tuple[int, ...], tuple[int, ...]] | None,
    statistics: Sequence[SummedStatistic],
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows as `as_rows` gives them, refused unless both are of the shapes before (ValueError)."""
    true, pred = as_rows(statistics, y_true, y_pred)
    refuse_other_rows(before, true, pred)
    return true, pred


def refuse_other_rows(
    before: tuple[tuple[int, ...], tuple[int, ...]] | None, true: Any, pred: Any
) -> None:
    """Refuse rows of other shapes than those before (ValueError)."""
    for name, now, shape in zip(("y_true", "y_pred"), (true, pred), before or (), strict=False):
        if len(now) and now.shape[1:] != shape:
            raise ValueError(
                f"{name} has rows of shape {now.shape[1:]}; the rows before have {shape}"
            )


def widened(column: Any) -> Any:
    """Floats as float64, in which they are summed whatever they were; booleans as integers."""
    of_kind = {"f": np.float64, "b": np.int8}
    return column.astype(of_kind.get(column.dtype.kind, column.dtype), copy=False)


def of_rows(state: State, rows: int) -> State:
    """The state with so many rows, where it counts them."""
    if not hasattr(state, "rows"):
        return state
    shape = np.shape(state.rows.low)
    return dataclasses.replace(state, rows=ExactCount.of_integers(np.full(shape, rows)))
