"""Columns of a JSONL file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ._jsonl import numbered_rows
from ._problem import Problem
from ._rows import Fault, describe


def jsonl_rows(
    path: Path, columns: Sequence[str]
) -> Iterator[tuple[int, Sequence[Any] | Problem, float]]:
    """Line, cells (or what is wrong) and share read of each row."""

    def faults_of(row: Any) -> list[Fault]:
        if not isinstance(row, dict):
            return [("not_an_object", f"found {describe(row)}, expected an object")]
        missing = [name for name in columns if name not in row]
        if missing:
            keys = ", ".join(map(repr, row)) or "none"
            return [("missing_column", f"no key {missing[0]!r}; the keys are {keys}"[:200])]
        return []

    size = path.stat().st_size
    with open(path, "rb") as file:
        for line, row, faults in numbered_rows(file, faults_of):
            share = min(1.0, file.tell() / size)
            if faults:
                yield line, Problem(*faults[0], line=line), share
            else:
                yield line, [row[name] for name in columns], share
