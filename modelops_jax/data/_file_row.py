"""Rows that know where they were read."""

import copy
from collections.abc import Mapping
from typing import Any


class FileRow(dict[str, Any]):
    """A row that keeps the number of its line, from 1, in whatever dataset it is copied to."""

    __slots__ = ("line",)

    def __init__(self, row: Mapping[str, Any], line: int) -> None:
        super().__init__(row)
        self.line = line

    def __deepcopy__(self, memo: dict[int, Any]) -> "FileRow":
        return FileRow(copy.deepcopy(dict(self), memo), self.line)

    def __reduce__(self) -> tuple[Any, ...]:
        return FileRow, (dict(self), self.line)
