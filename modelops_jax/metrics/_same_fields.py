"""Equality of what may hold nan."""

from typing import Any


class SameFields:
    """Equal to another of its class whose fields are equal, or nan in both.

    For dataclasses with `eq=False`. Their own equality compares fields one by one since Python
    3.13, where nan is not equal to itself: a metric with `zero_division=nan` would be another
    each time it is made, and compiled each time.
    """

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self._compared() == SameFields._compared(other)

    def __hash__(self) -> int:
        return hash(self._compared())

    def _compared(self: Any) -> tuple[Any, ...]:
        return tuple(None if value != value else value for value in vars(self).values())
