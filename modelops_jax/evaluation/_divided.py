"""What rows that come in batches have besides: groups, weights and slices."""

from collections.abc import Sequence
from typing import NamedTuple

from ._batch import Batch
from ._grouped_states import in_slices
from ._running import Running
from ._running_groups import RunningGroups
from ._running_slices import RunningSlices
from ._sliced_groups import SlicedGroups
from ._slicing import Slicing, read_slices

Divided = RunningSlices | RunningGroups | SlicedGroups


def slices_of(divided: Divided) -> RunningSlices:
    """The slices of rows, of no column where they have none."""
    if isinstance(divided, SlicedGroups):
        return divided.slices
    return RunningSlices() if isinstance(divided, RunningGroups) else divided


def groups_of(divided: Divided) -> RunningGroups | None:
    """The groups of rows whose states are by group; None of others."""
    if isinstance(divided, SlicedGroups):
        return divided.groups
    return divided if isinstance(divided, RunningGroups) else None


class Given(NamedTuple):
    """What some rows have."""

    grouped: bool
    weighted: bool
    slices: Divided

    def check(self, other: "Given", what: str) -> None:
        """Refuse rows that have groups, weights or slices where these have others, or none.

        Raises:
            ValueError: saying which have which.
            TypeError: slices or groups of another kind.
        """
        for name, now, before in (
            ("groups", other.grouped, self.grouped),
            ("weights", other.weighted, self.weighted),
        ):
            if now != before:
                given, then = ("", "no ") if now else ("no ", "")
                raise ValueError(f"{what} have {given}{name}; the rows before have {then}{name}")
        slices_of(self.slices).check(slices_of(other.slices))
        mine, theirs = groups_of(self.slices), groups_of(other.slices)
        if mine is not None and theirs is not None:
            mine.check(theirs)


class Division(NamedTuple):
    """How the rows of a batch are divided."""

    plain: RunningSlices
    """The slices alone, as kept rows are read again by them."""
    divided: Divided
    slicings: list[Slicing]
    """By what states read the rows."""
    in_states: bool
    """Whether states can read them; else the rows are kept."""


def divide(batch: Batch, of_groups: Sequence[Running] | None, *, kept: bool) -> Division:
    """Divide the rows of a batch.

    Args:
        batch: the rows.
        of_groups: the states of rows in groups; None: all such rows are needed at once.
        kept: whether all rows are kept together so far.

    Raises:
        TypeError: labels of slices that are none, ids without an order or of two kinds.
        ValueError: a column of another length, or nan among the ids.
    """
    slicings = read_slices(batch.slices or {}, batch.rows)
    plain = RunningSlices(slicings)
    if batch.groups is None:
        return Division(plain, plain, slicings, not kept or not slicings)
    states = in_slices(of_groups) if slicings else of_groups
    if kept or states is None:
        return Division(plain, plain, slicings, in_states=False)
    if slicings:
        found = SlicedGroups.of_batch(batch.groups, slicings, batch.rows)
    else:
        found = RunningGroups.of_batch(batch.groups, batch.rows)
    return Division(plain, *found, in_states=True)
