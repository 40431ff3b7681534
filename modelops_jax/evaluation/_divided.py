"""What rows that come in batches have besides: groups, weights and slices."""

from typing import Any, NamedTuple

from ._running_groups import RunningGroups
from ._running_slices import RunningSlices

Divided = RunningSlices | RunningGroups


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
        slices: Any = self.slices
        slices.check(other.slices)
