"""The file of a stream: facts as JSON, and the arrays of its states."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from modelops_jax._prefixed import below, prefixed
from modelops_jax._state_file import write_state

from ._divided import Divided
from ._grouped_rows import GroupedRows
from ._running import Running
from ._running_groups import RunningGroups
from ._running_slices import RunningSlices
from ._sliced_groups import SlicedGroups

KIND = "EvaluationStream"
# What the file calls the divisions of rows.
_KINDS: dict[type, str] = {
    RunningGroups: "groups",
    RunningSlices: "slices",
    SlicedGroups: "sliced groups",
}


@runtime_checkable
class Saved(Protocol):
    """A state that is JSON and arrays on disk."""

    def saved(self) -> tuple[Any, dict[str, np.ndarray]]:
        """The state as JSON and arrays."""
        ...

    def restore(self, facts: Any, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `saved` gave."""
        ...


def write_stream(
    path: str | os.PathLike[str],
    facts: Mapping[str, Any],
    states: Sequence[Running],
    grouped: GroupedRows | None,
    slices: Divided | None,
) -> None:
    """Write what a stream is, whole or not at all.

    Args:
        path: the file.
        facts: what JSON has of it.
        states: of each reader.
        grouped: the rows, if they are kept together.
        slices: the slices or groups seen so far, if there are some.
    """
    sections, arrays = sections_of(states)
    found = {**facts, "sections": sections}
    if grouped is not None:
        found["grouped"], own = grouped.saved()
        arrays |= prefixed("grouped/", own)
    if slices is not None:
        found[_KINDS[type(slices)]], own = slices.saved()
        arrays |= prefixed("slices/", own)
    write_state(path, KIND, found, arrays)


def restore_divided(
    facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> tuple[GroupedRows | None, Divided | None]:
    """The rows that are kept together, and the slices or groups, if there are some."""
    grouped: GroupedRows | None = None
    if "grouped" in facts:
        grouped = GroupedRows.restored(facts["grouped"], below("grouped/", arrays))
    if "groups" in facts:
        return grouped, RunningGroups.restored(facts["groups"])
    for kind in (RunningSlices, SlicedGroups):
        if (name := _KINDS[kind]) in facts:
            return grouped, kind.restored(facts[name], below("slices/", arrays))
    return grouped, None


def sections_of(states: Sequence[Saved]) -> tuple[list[Any], dict[str, np.ndarray]]:
    """What each state is as JSON, and the arrays of all."""
    sections, arrays = [], {}
    for place, state in enumerate(states):
        section, own = state.saved()
        sections.append(section)
        arrays |= prefixed(f"{place}/", own)
    return sections, arrays


def restore_states(
    states: Sequence[Saved], facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Put into the states what `sections_of` gave of them."""
    for place, (state, section) in enumerate(zip(states, facts["sections"], strict=True)):
        state.restore(section, below(f"{place}/", arrays))
