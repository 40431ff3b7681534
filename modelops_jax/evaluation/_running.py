"""What is kept of the rows seen so far, for each way of reading them.

As with the statistics of `modelops_jax.metrics` there is an identity, a state of a batch, and a
merge; classes are any labels, and those that first appear late extend the counts.
"""

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ._builtin import BuiltIn, Evidence, Reader
from ._growing import GrowingClasses
from ._label_pair import LabelPair
from ._labels import CodedLabels, encode_labels
from ._numbers import as_values
from ._ranking import ScorePair, ScoreReader
from ._slicing import Slicing
from ._vectors import check_same_length, count_rows

# Rows are counted in a table, rather than sorted, where it has at most so many cells a row.
_CELLS_PER_ROW = 4
# A pair of class numbers is one integer: the true one from this bit on.
_TRUE_BIT = np.int64(32)
_PREDICTED = np.int64((1 << 32) - 1)


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

    def resamples_rows(self) -> tuple[str, ...]:
        """Those of its metrics whose interval needs rows that are not kept."""
        return ()

    def resample(self, n_resamples: int, seed: int) -> None:  # noqa: B027 # most states need not
        """Draw the resamples of those of its metrics whose interval needs rows as rows come."""

    def slices_rows(self) -> bool:
        """Whether it can have slices, as far as its rows tell: of counts, or as it keeps rows."""
        return True

    @abc.abstractmethod
    def of_rows(self, y_true: Any, y_pred: Any, slicings: Sequence[Slicing] = ()) -> Any:
        """The state, of the class of this one, of one batch.

        Args:
            y_true: the first argument.
            y_pred: the second one.
            slicings: the slices of the rows; those that keep rows need none, and those that turn
                out not to slice such rows (`slices_rows` of the state) have none.

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
    """Rows by (true label, predicted label), of the pairs that occur."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._classes = GrowingClasses()
        self._pairs = np.zeros(0, np.int64)  # sorted
        self._counts = np.zeros(0, np.int64)
        self._ignored = 0
        self._sliced: list[_SlicedCounts] = []

    def of_rows(self, y_true: Any, y_pred: Any, slicings: Sequence[Slicing] = ()) -> Any:
        pair = self._read(y_true, y_pred)
        assert isinstance(pair, LabelPair)
        state = LabelCounts(self._read)
        state._classes = GrowingClasses(pair.labels.classes)
        state._ignored = pair.ignored
        if pair.counts is None:
            classes = len(pair.labels.classes)
            state._pairs, state._counts = _counted(pair.y_true, pair.y_pred, classes)
        else:
            true = pair.y_true.astype(np.int64)
            state._pairs, state._counts = (true << _TRUE_BIT) | pair.y_pred, pair.counts
        for slicing in slicings:
            assert pair.counts is None
            ids = slicing.ids if pair.kept is None else slicing.ids[pair.kept]
            pairs = (pair.y_true.astype(np.int64) << _TRUE_BIT) | pair.y_pred
            state._sliced.append(_SlicedCounts.of(ids.astype(np.int64), pairs))
        return state

    def check(self, other: "LabelCounts") -> None:
        self._classes.check(tuple(other._classes))

    def merge(self, other: "LabelCounts", numbers: Sequence[np.ndarray] = ()) -> None:
        positions = self._classes.add(tuple(other._classes))

        def renumbered(pairs: np.ndarray) -> np.ndarray:
            true, pred = positions[pairs >> _TRUE_BIT], positions[pairs & _PREDICTED]
            return (true << _TRUE_BIT) | pred

        both = np.concatenate([self._pairs, renumbered(other._pairs)])
        self._pairs, place = np.unique(both, return_inverse=True)
        counts = np.zeros(len(self._pairs), np.int64)
        np.add.at(counts, place, np.concatenate([self._counts, other._counts]))
        self._counts = counts
        self._ignored += other._ignored
        new = [
            _SlicedCounts.of(number[part.ids], renumbered(part.pairs), part.counts)
            for part, number in zip(other._sliced, numbers, strict=True)
        ]
        mine = self._sliced or [_SlicedCounts.of(*np.zeros((2, 0), np.int64)) for _ in new]
        self._sliced = [one + more for one, more in zip(mine, new, strict=True)]

    def evidence(self, orders: Sequence[np.ndarray] = ()) -> LabelPair:
        classes, position = self._classes.sorted()

        def pair_of(pairs: np.ndarray, counts: np.ndarray) -> LabelPair:
            codes = {
                "y_true": position[pairs >> _TRUE_BIT],
                "y_pred": position[pairs & _PREDICTED],
            }
            return LabelPair(CodedLabels(classes, codes), counts=counts)

        parts = []
        for one, order in zip(self._sliced, orders, strict=True):
            ends = (np.searchsorted(one.ids, order, side) for side in ("left", "right"))
            chosen = [slice(*both) for both in zip(*ends, strict=True)]
            parts.append([pair_of(one.pairs[rows], one.counts[rows]) for rows in chosen])
        whole = pair_of(self._pairs, self._counts)
        return replace(whole, left_out=self._ignored, parts=parts)

    def saved(self) -> tuple[Any, dict[str, np.ndarray]]:
        facts = {"labels": self._classes.to_json(), "ignored": self._ignored}
        return facts, {"pairs": self._pairs, "counts": self._counts}

    def restore(self, facts: Any, arrays: Mapping[str, np.ndarray]) -> None:
        self._classes, self._ignored = GrowingClasses(facts["labels"]), facts["ignored"]
        self._pairs, self._counts = arrays["pairs"], arrays["counts"]


@dataclass(frozen=True)
class _SlicedCounts:
    """How many rows each pair of classes has in each slice, in the order of the slices."""

    ids: np.ndarray
    pairs: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(
        cls, ids: np.ndarray, pairs: np.ndarray, counts: np.ndarray | None = None
    ) -> "_SlicedCounts":
        """Of entries that may be of one slice and one pair; None: each is one row."""
        distinct, place = np.unique(pairs, return_inverse=True)
        several = max(1, len(distinct))
        cells, where = np.unique(ids * several + place, return_inverse=True)
        totals = np.zeros(len(cells), np.int64)
        np.add.at(totals, where, 1 if counts is None else counts)
        return cls(cells // several, distinct[cells % several], totals)

    def __add__(self, other: "_SlicedCounts") -> "_SlicedCounts":
        both = (
            np.concatenate(columns)
            for columns in (
                (self.ids, other.ids), (self.pairs, other.pairs), (self.counts, other.counts)
            )
        )  # fmt: skip
        return _SlicedCounts.of(*both)


def _counted(true: np.ndarray, pred: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of class numbers that occur, sorted, and how often each does."""
    if classes * classes <= max(1 << 16, _CELLS_PER_ROW * len(true)):
        cells = np.bincount(true.astype(np.int64) * classes + pred, minlength=classes * classes)
        filled = np.flatnonzero(cells)
        return (filled // classes << _TRUE_BIT) | filled % classes, cells[filled]
    return np.unique((true.astype(np.int64) << _TRUE_BIT) | pred, return_counts=True)


class KeptScores(Running):
    """Every row's label and score: the area under the ROC curve depends on all pairs of rows."""

    keeps_rows: ClassVar[bool] = True

    def __init__(self, read: ScoreReader) -> None:
        self._read = read
        self._classes = GrowingClasses()
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []

    def of_rows(self, y_true: Any, y_pred: Any, slicings: Sequence[Slicing] = ()) -> Any:
        labels, scores = encode_labels({"y_true": y_true}), as_values(y_pred, "y_pred")
        check_same_length(labels.codes["y_true"], scores, ("y_true", "y_pred"))
        state = KeptScores(self._read)
        state._classes = GrowingClasses(labels.classes)
        state._parts = [(labels.codes["y_true"], scores)]
        state._read.check_number(labels.classes)
        return state

    def check(self, other: "KeptScores") -> None:
        self._classes.check(tuple(other._classes))
        self._read.check_number(tuple(dict.fromkeys([*self._classes, *other._classes])))

    def merge(self, other: "KeptScores", numbers: Sequence[np.ndarray] = ()) -> None:
        positions = self._classes.add(tuple(other._classes)).astype(np.int32)
        self._parts += [(positions[codes], scores) for codes, scores in other._parts]

    def evidence(self, orders: Sequence[np.ndarray] = ()) -> ScorePair:
        codes, scores = self._columns()
        classes, position = self._classes.sorted()
        return self._read.pair(CodedLabels(classes, {"y_true": position[codes]}), scores)

    def saved(self) -> tuple[Any, dict[str, np.ndarray]]:
        codes, scores = self._columns()
        return self._classes.to_json(), {"codes": codes, "scores": scores}

    def restore(self, facts: Any, arrays: Mapping[str, np.ndarray]) -> None:
        self._classes = GrowingClasses(facts)
        self._parts = [(arrays["codes"], arrays["scores"])]

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
        self._read = read
        self._parts: list[tuple[Any, Any]] = []

    def of_rows(self, y_true: Any, y_pred: Any, slicings: Sequence[Slicing] = ()) -> Any:
        count_rows(y_true, y_pred, ("y_true", "y_pred"))
        if self._read is not None:
            self._read(y_true, y_pred)
        state = KeptRows(self._read)
        state._parts = [(own_copy(y_true), own_copy(y_pred))]
        return state

    def merge(self, other: "KeptRows", numbers: Sequence[np.ndarray] = ()) -> None:
        self._parts += other._parts

    def evidence(self, orders: Sequence[np.ndarray] = ()) -> Evidence:
        assert self._read is not None
        return self._read(*self.columns())

    def columns(self) -> tuple[Any, Any]:
        """Both arguments of all rows: arrays where every batch had arrays, else lists."""
        if not self._parts:
            return [], []
        true, pred = zip(*self._parts, strict=True)
        self._parts = [(joined(true), joined(pred))]
        return self._parts[0]

    def saved(self) -> tuple[Any, dict[str, np.ndarray]]:
        facts: dict[str, Any] = {}
        arrays: dict[str, np.ndarray] = {}
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
