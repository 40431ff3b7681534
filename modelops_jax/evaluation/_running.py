"""What is kept of the rows seen so far, for each way of reading them.

As with the statistics of `modelops_jax.metrics` there is an identity, a state of a batch, and a
merge; classes are any labels, and those that first appear late extend the counts.
"""

import abc
import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

import modelops_jax.metrics as numeric
from modelops_jax._prefixed import below, prefixed

from ._builtin import BuiltIn, Reader
from ._computed import Confidence
from ._drawn_labels import DrawnLabels
from ._evidence import Evidence
from ._growing import GrowingClasses
from ._kept_weights import KeptWeights
from ._label_pair import LabelPair
from ._labels import CodedLabels, encode_labels
from ._numbers import as_values
from ._pair_counts import PairCounts
from ._ranking import ScoreReader
from ._slicing import Slicing
from ._vectors import check_same_length, count_rows
from ._weights import unless_alike


class Running(abc.ABC):
    """What is kept of the rows for the metrics of one reader."""

    keeps_rows: ClassVar[bool] = False

    @property
    def reads_scores(self) -> bool:
        """Whether its second argument is `y_score`."""
        return False

    def kept_for(self, members: Mapping[str, BuiltIn]) -> tuple[str, ...]:
        """Those of its metrics for which every row is kept."""
        return tuple(members) if self.keeps_rows else ()

    def resamples_rows(self, interval: str = "percentile") -> tuple[str, ...]:
        """Those of its metrics whose interval resamples rows that are not kept, by what came.

        Args:
            interval: the method asked for, of which some resample no shares of unweighted rows.
        """
        return ()

    def resample(self, n_resamples: int, seed: int) -> None:  # noqa: B027 # most states need not
        """Draw the resamples of those of its metrics whose interval needs rows as rows come."""

    def slices_rows(self) -> bool:
        """Whether it can have slices, as far as its rows tell: of counts, or as it keeps rows."""
        return True

    @abc.abstractmethod
    def of_rows(
        self,
        y_true: Any,
        y_pred: Any,
        slicings: Sequence[Slicing] = (),
        weight: np.ndarray | None = None,
    ) -> Any:
        """The state, of the class of this one, of one batch.

        Args:
            y_true: the first argument.
            y_pred: the second one.
            slicings: the slices of the rows; those that keep rows need none, and those that turn
                out not to slice such rows (`slices_rows` of the state) have none.
            weight: of each row, positive; None: rows of this stream have none.

        Raises:
            TypeError: entries of the wrong kind.
            ValueError: rows that no definition covers.
        """

    def check(self, other: Any) -> None:  # noqa: B027 # most states can always be merged
        """Refuse a state that cannot be merged into this one (TypeError or ValueError)."""

    @abc.abstractmethod
    def merge(self, other: Any, numbers: Sequence[np.ndarray] = ()) -> None:
        """Add the rows of another state, which stays as it is.

        Args:
            other: the other state.
            numbers: for each slicing the number here of each of the other's slices.
        """

    @abc.abstractmethod
    def evidence(self, orders: Sequence[np.ndarray] = ()) -> Evidence:
        """What metrics are computed from.

        Args:
            orders: for each slicing the numbers of its slices in their order.
        """

    @abc.abstractmethod
    def saved(self) -> tuple[Any, dict[str, np.ndarray]]:
        """The state as JSON and arrays; TypeError for rows that have no such form."""

    @abc.abstractmethod
    def restore(self, facts: Any, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `saved` gave."""


class LabelCounts(Running):
    """Rows by (true label, predicted label), of the pairs that occur, and their weight."""

    def __init__(self, read: Reader, members: Mapping[str, BuiltIn] | None = None) -> None:
        self.read, self.members = read, members or {}
        self._classes = GrowingClasses()
        self._counts = PairCounts.of_none()
        self._ignored = 0
        self._sliced: list[PairCounts] = []
        self._drawn: DrawnLabels | None = None
        # Of a batch, to be drawn: the rows, and for each slicing the slice of each.
        self._batch: LabelPair | None = None
        self._slice_ids: list[np.ndarray] = []

    def resamples_rows(self, interval: str = "percentile") -> tuple[str, ...]:
        return () if self._counts.weights is None else tuple(self.members)

    def resample(self, n_resamples: int, seed: int) -> None:
        self._drawn = DrawnLabels(self.members, n_resamples, seed)

    def of_rows(
        self,
        y_true: Any,
        y_pred: Any,
        slicings: Sequence[Slicing] = (),
        weight: np.ndarray | None = None,
    ) -> Any:
        pair = self.read(y_true, y_pred)
        assert isinstance(pair, LabelPair)
        if (own := unless_alike(weight)) is not None:
            pair = pair.weighted(own)
        state = LabelCounts(self.read, self.members)
        state._classes = GrowingClasses(pair.labels.classes)
        state._ignored = pair.ignored
        # Rows that weigh 1 are drawn, too, in case that the next ones do not.
        state._batch = None if self._drawn is None or weight is None else pair
        columns = pair.y_true, pair.y_pred, pair.weight
        state._counts = PairCounts.of_rows(*columns)
        if pair.counts is not None:
            state._counts = replace(state._counts, counts=pair.counts)
        for slicing in slicings:
            assert pair.counts is None
            ids = slicing.ids if pair.kept is None else slicing.ids[pair.kept]
            state._sliced.append(PairCounts.of_rows(*columns, ids))
            state._slice_ids.append(ids)
        return state

    def check(self, other: "LabelCounts") -> None:
        self._classes.check(tuple(other._classes))

    def merge(self, other: "LabelCounts", numbers: Sequence[np.ndarray] = ()) -> None:
        positions = self._classes.add(tuple(other._classes))
        self._counts += other._counts.renumbered(positions)
        self._ignored += other._ignored
        if self._drawn is not None and other._batch is not None:
            batch = other._batch
            true, pred = positions[batch.y_true], positions[batch.y_pred]
            weight = np.ones(len(true)) if batch.weight is None else batch.weight
            both = zip(numbers, other._slice_ids, strict=True)
            slices = [number[ids] for number, ids in both]
            self._drawn.update(self._classes, true, pred, weight, slices)
        mine = self._sliced or [PairCounts.of_none(sliced=True) for _ in numbers]
        self._sliced = [
            one + more.renumbered(positions, number)
            for one, more, number in zip(mine, other._sliced, numbers, strict=True)
        ]

    def evidence(self, orders: Sequence[np.ndarray] = ()) -> LabelPair:
        classes, position = self._classes.sorted()

        def pair_of(part: PairCounts, drawn: numeric.CountResampleStream | None) -> LabelPair:
            codes = {"y_true": position[part.true], "y_pred": position[part.pred]}
            labels, told = CodedLabels(classes, codes), None
            if drawn is not None and part.weights is not None:
                told = functools.partial(_drawn_at, drawn, position)
            return LabelPair(labels, counts=part.counts, weight=part.weight, drawn=told)

        parts = []
        for place, (one, order) in enumerate(zip(self._sliced, orders, strict=True)):
            of_slices = self._drawn.slices[place] if self._drawn and self._drawn.slices else []
            each = dict(enumerate(of_slices))
            several = zip(one.by_slice(order), order.tolist(), strict=True)
            parts.append([pair_of(part, each.get(number)) for part, number in several])
        whole = pair_of(self._counts, None if self._drawn is None else self._drawn.whole)
        return replace(whole, left_out=self._ignored, parts=parts)

    def saved(self) -> tuple[Any, dict[str, np.ndarray]]:
        facts = {"labels": self._classes.to_json(), "ignored": self._ignored}
        facts["slices"] = len(self._sliced)
        arrays = self._counts.to_arrays()
        for place, sliced in enumerate(self._sliced):
            arrays |= prefixed(f"slices/{place}/", sliced.to_arrays())
        if self._drawn is not None:
            facts["drawn"], drawn = self._drawn.saved()
            arrays |= prefixed("drawn/", drawn)
        return facts, arrays

    def restore(self, facts: Any, arrays: Mapping[str, np.ndarray]) -> None:
        self._classes, self._ignored = GrowingClasses(facts["labels"]), facts["ignored"]
        self._counts = PairCounts.of_arrays(arrays)
        self._sliced = [
            PairCounts.of_arrays(below(f"slices/{place}/", arrays))
            for place in range(facts["slices"])
        ]
        if self._drawn is not None:
            self._drawn.restore(facts["drawn"], below("drawn/", arrays))


def _drawn_at(
    drawn: numeric.CountResampleStream,
    position: np.ndarray,
    metrics: Mapping[str, numeric.Metric],
    confidence: Confidence,
) -> dict[str, numeric.Interval]:
    return drawn.intervals(metrics, confidence.level, position)


class KeptScores(Running):
    """Every row's label and score: the area under the ROC curve depends on all pairs of rows."""

    keeps_rows: ClassVar[bool] = True

    def __init__(self, read: ScoreReader) -> None:
        self.read = read
        self._classes = GrowingClasses()
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []
        self._weights = KeptWeights()

    def of_rows(
        self,
        y_true: Any,
        y_pred: Any,
        slicings: Sequence[Slicing] = (),
        weight: np.ndarray | None = None,
    ) -> Any:
        labels, scores = encode_labels({"y_true": y_true}), as_values(y_pred, "y_pred")
        check_same_length(labels.codes["y_true"], scores, ("y_true", "y_pred"))
        state = type(self)(self.read)
        state._classes = GrowingClasses(labels.classes)
        state._parts = [(labels.codes["y_true"], scores)]
        state._weights = KeptWeights([weight])
        state.read.check_number(labels.classes)
        return state

    def check(self, other: "KeptScores") -> None:
        self._classes.check(tuple(other._classes))
        self.read.check_number(tuple(dict.fromkeys([*self._classes, *other._classes])))

    def merge(self, other: "KeptScores", numbers: Sequence[np.ndarray] = ()) -> None:
        positions = self._classes.add(tuple(other._classes)).astype(np.int32)
        self._parts += [(positions[codes], scores) for codes, scores in other._parts]
        self._weights += other._weights

    def evidence(self, orders: Sequence[np.ndarray] = ()) -> Evidence:
        codes, scores = self._columns()
        classes, position = self._classes.sorted()
        pair = self.read.pair(CodedLabels(classes, {"y_true": position[codes]}), scores)
        return self._weights.of(pair)

    def saved(self) -> tuple[Any, dict[str, np.ndarray]]:
        codes, scores = self._columns()
        return self._classes.to_json(), {"codes": codes, "scores": scores} | self._weights.saved()

    def restore(self, facts: Any, arrays: Mapping[str, np.ndarray]) -> None:
        self._classes = GrowingClasses(facts)
        self._parts = [(arrays["codes"], arrays["scores"])]
        self._weights = KeptWeights.restored(arrays)

    def _columns(self) -> tuple[np.ndarray, np.ndarray]:
        if not self._parts:
            return np.zeros(0, np.int32), np.zeros(0, np.float64)
        codes, scores = zip(*self._parts, strict=True)
        self._parts = [(np.concatenate(codes), np.concatenate(scores))]
        return self._parts[0]


class KeptRows(Running):
    """Both arguments of every batch as they came, for metrics that need all rows at once."""

    keeps_rows: ClassVar[bool] = True

    def __init__(self, read: Reader | None = None) -> None:
        self.read = read
        self._parts: list[tuple[Any, Any]] = []
        self._weights = KeptWeights()

    def of_rows(
        self,
        y_true: Any,
        y_pred: Any,
        slicings: Sequence[Slicing] = (),
        weight: np.ndarray | None = None,
    ) -> Any:
        count_rows(y_true, y_pred, ("y_true", "y_pred"))
        if self.read is not None:
            self.read(y_true, y_pred)
        state = KeptRows(self.read)
        state._parts = [(own_copy(y_true), own_copy(y_pred))]
        state._weights = KeptWeights([weight])
        return state

    def merge(self, other: "KeptRows", numbers: Sequence[np.ndarray] = ()) -> None:
        self._parts += other._parts
        self._weights += other._weights

    def evidence(self, orders: Sequence[np.ndarray] = ()) -> Evidence:
        assert self.read is not None
        return self._weights.of(self.read(*self.columns()))

    def columns(self) -> tuple[Any, Any]:
        """Both arguments of all rows: arrays where every batch had arrays, else lists."""
        if not self._parts:
            return [], []
        true, pred = zip(*self._parts, strict=True)
        self._parts = [(joined(true), joined(pred))]
        return self._parts[0]

    def saved(self) -> tuple[Any, dict[str, np.ndarray]]:
        facts: dict[str, Any] = {}
        arrays = self._weights.saved()
        for name, column in zip(("y_true", "y_pred"), self.columns(), strict=True):
            if isinstance(column, np.ndarray) and column.dtype.kind in "biuf":
                arrays[name] = column
            else:
                facts[name] = json_rows(list(column), name)
        return facts, arrays

    def restore(self, facts: Any, arrays: Mapping[str, np.ndarray]) -> None:
        true, pred = (
            arrays[name] if name in arrays else facts[name] for name in ("y_true", "y_pred")
        )
        self._parts = [(true, pred)]
        self._weights = KeptWeights.restored(arrays)


def own_copy(column: Any) -> Any:
    """A copy that the caller cannot change."""
    return np.array(column) if hasattr(column, "__array__") else list(column)


def joined(columns: tuple[Any, ...]) -> Any:
    """The rows of several batches: an array where every batch had one, else a list."""
    if len(columns) == 1:
        return columns[0]
    if all(isinstance(column, np.ndarray) for column in columns):
        return np.concatenate(columns)
    return [entry for column in columns for entry in column]


def json_rows(rows: list[Any], name: str) -> list[Any]:
    """The rows as JSON has them.

    Raises:
        TypeError: entries other than numbers, bools and strings.
    """
    rows = [row.item() if isinstance(row, np.generic) else row for row in rows]
    for index, row in enumerate(rows):
        if type(row) not in (int, float, bool, str):
            raise TypeError(
                f"{name} has {row!r} ({type(row).__name__}) at index {index}, which cannot be "
                "saved; expected numbers, bools, strings or arrays"
            )
    return rows
