"""Rows of a file that cannot be used: counted, and the first ones listed."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelops_jax.data import Problem

# Bad rows that are listed; all are counted.
LISTED = 20


class BadRows:
    """The bad rows of a file, of which only the first are kept.

    Args:
        file: the file.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.count = 0
        self.first: list[Problem] = []

    def add(self, problems: Iterable["Problem"]) -> None:
        """Count some more."""
        for problem in problems:
            self.count += 1
            if len(self.first) < LISTED:
                self.first.append(problem)

    def tell(self, good: int, *, allowed: bool) -> None:
        """List them on standard error.

        Raises:
            ValueError: there are some, and they are not allowed.
        """
        for problem in self.first:
            print(f"{self._file}, {problem}", file=sys.stderr)
        if self.count > len(self.first):
            print(f"... and {self.count - len(self.first):,} more", file=sys.stderr)
        if self.count and not allowed:
            raise ValueError(
                f"{self._file}: {self.count:,} bad row(s), {good:,} good; nothing was "
                "computed (--allow-bad-rows leaves them out)"
            )
