"""The file of a stream: facts as JSON, and the arrays of its states."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelops_jax._state_file import write_state

from ._grouped_rows import GroupedRows
from ._running import Running

KIND = "EvaluationStream"


def write_stream(
    path: str | os.PathLike[str],
    facts: Mapping[str, Any],
    states: Sequence[Running],
    grouped: GroupedRows | None,
) -> None:
    """Write what a stream is, whole or not at all.

    Args:
        path: the file.
        facts: what JSON has of it.
        states: of each reader.
        grouped: the rows, if they are kept together.
    """
    sections, arrays = [], {}
    for place, state in enumerate(states):
        section, own = state.saved()
        sections.append(section)
        arrays |= {f"{place}/{name}": array for name, array in own.items()}
    found = {**facts, "sections": sections}
    if grouped is not None:
        found["grouped"], own = grouped.saved()
        arrays |= {f"grouped/{name}": array for name, array in own.items()}
    write_state(path, KIND, found, arrays)


def restore_states(
    states: Sequence[Running], facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> GroupedRows | None:
    """Put into the states what was written of them, and give the rows that are kept together."""
    for place, (state, section) in enumerate(zip(states, facts["sections"], strict=True)):
        state.restore(section, _below(f"{place}/", arrays))
    if "grouped" not in facts:
        return None
    return GroupedRows.restored(facts["grouped"], _below("grouped/", arrays))


def _below(start: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays whose names have this start, by what follows it."""
    return {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}
