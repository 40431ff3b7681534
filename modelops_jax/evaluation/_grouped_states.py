"""What is kept of rows in groups, for each way of reading them.

Of the methods `slicings`, `numbers` and `orders` have one entry, that of the groups.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import modelops_jax.metrics as numeric
from modelops_jax._prefixed import below, prefixed

from ._computed import resampled_of
from ._evidence import Evidence, Pair
from ._group_draws import GroupDraws, UnitDraws
from ._grouped_labels import GroupedLabels
from ._running import KeptRows, KeptScores, LabelCounts, Running
from ._slicing import Slicing
from ._streamed import StreamedSums
from ._streamed_evidence import StreamedEvidence


def in_groups(state: Running) -> Running | None:
    """The state of no rows for the same metrics of rows in groups; None: all rows are needed."""
    if isinstance(state, LabelCounts):
        return GroupedLabels(state.read)
    if isinstance(state, KeptScores):
        return GroupedScores(state.read)
    if isinstance(state, StreamedSums):
        return GroupedSums(state.read, state.members)
    # Rankings need the rows of each query; metrics of a caller's own have no intervals.
    return KeptRows() if isinstance(state, KeptRows) and state.read is None else None


def in_slices(states: Sequence[Running] | None) -> Sequence[Running] | None:
    """These states of rows in groups, if rows with slices can have them; None: all are needed."""
    sliced = states is not None and all(
        isinstance(state, GroupedLabels)
        or (isinstance(state, GroupedSums) and StreamedSums.slices_rows(state))
        for state in states
    )
    return states if sliced else None


class KeptNumbers:
    """The number of the group of each row that is kept."""

    def __init__(self, parts: Sequence[np.ndarray] = ()) -> None:
        self._parts = list(parts)

    def add(self, other: "KeptNumbers", numbers: np.ndarray) -> None:
        """Add those of more rows, of which these are the numbers here."""
        self._parts += [numbers.astype(np.int32)[part] for part in other._parts]

    def all(self) -> np.ndarray:
        """Of every row, int32."""
        self._parts = [np.concatenate([np.zeros(0, np.int32), *self._parts])]
        return self._parts[0]

    def places(self, order: np.ndarray) -> np.ndarray:
        """Of every row the place of its group, of which these are the numbers in order."""
        place = np.empty(len(order), np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        return place[self.all()]


class GroupedScores(KeptScores):
    """Every row's label, score and group."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._numbers = KeptNumbers()

    def of_rows(
        self,
        y_true: Any,
        y_pred: Any,
        slicings: Sequence[Slicing] = (),
        weight: np.ndarray | None = None,
    ) -> Any:
        state = super().of_rows(y_true, y_pred, weight=weight)
        state._numbers = KeptNumbers([slicings[0].ids])
        return state

    def merge(self, other: Any, numbers: Sequence[np.ndarray] = ()) -> None:
        super().merge(other)
        self._numbers.add(other._numbers, numbers[0])

    def evidence(self, orders: Sequence[np.ndarray] = ()) -> Evidence:
        pair = super().evidence()
        assert isinstance(pair, Pair)
        return replace(pair, groups=self._numbers.places(orders[0]))

    def saved(self) -> tuple[Any, dict[str, np.ndarray]]:
        facts, arrays = super().saved()
        return facts, arrays | {"groups": self._numbers.all()}

    def restore(self, facts: Any, arrays: Mapping[str, np.ndarray]) -> None:
        super().restore(facts, arrays)
        self._numbers = KeptNumbers([arrays["groups"]])


class GroupedSums(StreamedSums):
    """The states of numeric metrics, the sums of each group, and the groups of kept rows.

    Of rows with slices also the sums of each unit, for each slicing: see `SlicedGroups`, as for
    what its methods take as `slicings`, `numbers` and `orders`.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._by_group: numeric.GroupResampleStream | None = None
        self._by_unit: list[numeric.GroupResampleStream] = []
        self._numbers = KeptNumbers()
        # Of a batch, for each slicing: the unit of each row.
        self._units: list[np.ndarray] = []

    def resamples_rows(self, interval: str = "percentile") -> tuple[str, ...]:
        return ()

    def resample(self, n_resamples: int, seed: int) -> None:
        """Nothing is drawn before the last rows."""

    def slices_rows(self) -> bool:
        return not self._units or super().slices_rows()

    def of_rows(
        self,
        y_true: Any,
        y_pred: Any,
        slicings: Sequence[Slicing] = (),
        weight: np.ndarray | None = None,
    ) -> "GroupedSums":
        grouping, *rest = slicings
        number = len(rest) // 2
        state = super().of_rows(y_true, y_pred, rest[:number], weight)
        assert isinstance(state, GroupedSums)
        state._numbers = KeptNumbers([grouping.ids])
        state._units = [units.ids for units in rest[number:]]
        return state

    def merge(self, other: Any, numbers: Sequence[np.ndarray] = ()) -> None:
        of_groups, *rest = numbers
        number = len(rest) // 2
        super().merge(other, rest[:number])
        if self._stream is None:
            return
        added = KeptNumbers()
        added.add(other._numbers, of_groups)
        if self._by_group is None:
            self._by_group = self._of_no_groups(self._stream)
            self._by_unit = [self._of_no_groups(self._stream) for _ in rest[number:]]
        if other._batch is not None:
            rows, weight = other.batch, other.batch.weight
            self._by_group.update(rows.y_true, rows.y_pred, added.all(), weight=weight)
            for mine, ids, place in zip(self._by_unit, other._units, rest[number:], strict=True):
                mine.update(rows.y_true, rows.y_pred, place[ids], weight=weight)
        elif other._by_group is not None:
            self._by_group.merge(other._by_group, of_groups)
            for mine, theirs, place in zip(
                self._by_unit, other._by_unit, rest[number:], strict=True
            ):
                mine.merge(theirs, place)
        if self._stream.keeps_rows:
            self._numbers.add(added, np.arange(int(added.all().max(initial=-1)) + 1))

    def evidence(self, orders: Sequence[Any] = ()) -> Evidence:
        number = len(orders) // 2
        found = super().evidence(orders[1 : 1 + number])
        if isinstance(found, StreamedEvidence) and self._by_group is not None:
            order = orders[0]
            rows = self._numbers.places(order)
            found.by_group = GroupDraws(self._by_group, order, rows).intervals
            units = zip(self._by_unit, orders[1 + number :], strict=True)
            found.by_unit = [UnitDraws(*one) for one in units]
        return found

    def saved(self) -> tuple[Any, dict[str, np.ndarray]]:
        facts, arrays = super().saved()
        if self._by_group is None:
            return facts, arrays
        facts["by_group"], own = self._by_group.to_arrays()
        arrays |= prefixed("groups/", own) | {"numbers": self._numbers.all()}
        facts["by_unit"] = []
        for place, units in enumerate(self._by_unit):
            told, own = units.to_arrays()
            facts["by_unit"].append(told)
            arrays |= prefixed(f"units/{place}/", own)
        return facts, arrays

    def restore(self, facts: Any, arrays: Mapping[str, np.ndarray]) -> None:
        super().restore(facts, arrays)
        if self._stream is not None:
            self._by_group = self._of_no_groups(self._stream)
            self._by_group.set_arrays(facts["by_group"], below("groups/", arrays))
            self._numbers = KeptNumbers([arrays["numbers"]])
            for place, told in enumerate(facts.get("by_unit", ())):
                self._by_unit.append(self._of_no_groups(self._stream))
                self._by_unit[-1].set_arrays(told, below(f"units/{place}/", arrays))

    def _of_no_groups(self, stream: numeric.MetricStream) -> numeric.GroupResampleStream:
        return numeric.GroupResampleStream(resampled_of(stream.metrics, weighted=True))
