"""A guard for programs of tests that have several devices: no rows go to the host."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from modelops_jax.metrics._packed import Packed

_ARRAY: Any = type(jnp.zeros(1))
_CONVERT, _VALUE, _UNPACK = _ARRAY.__array__, _ARRAY._value, Packed.fetched
# Of an array on one CPU these take the memory, and ask for nothing that could be guarded.
_MAKERS = {"array": np.array, "asarray": np.asarray}


@contextlib.contextmanager
def guard(rows: int) -> Iterator[None]:
    """Make an error of an array of so many rows, or more, on its way to the host."""
    packed = []

    def check(shape: tuple[int, ...]) -> None:
        assert max(shape[:1], default=0) < rows, f"{shape} gathered on the host"

    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not any(self is data for data in packed):
            check(self.shape)
        return _CONVERT(self, *args, **kwargs)

    def guarded_value(self: Any) -> Any:
        if not any(self is data for data in packed):
            check(self.shape)
        return _VALUE.fget(self)

    def guarded_unpack(self: Any) -> Any:
        # Arrays end to end, each of which is looked at.
        for _, shape, _, _ in self.leaves:
            check(shape)
        packed.extend(self.data.values())
        return _UNPACK(self)

    def guarded_maker(make: Any) -> Any:
        def guarded(given: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(given, _ARRAY) and not any(given is data for data in packed):
                check(given.shape)
            return make(given, *args, **kwargs)

        return guarded

    _ARRAY.__array__, _ARRAY._value = guarded, property(guarded_value)
    Packed.fetched = guarded_unpack
    for name, make in _MAKERS.items():
        setattr(np, name, guarded_maker(make))
    try:
        yield
    finally:
        _ARRAY.__array__, _ARRAY._value, Packed.fetched = _CONVERT, _VALUE, _UNPACK
        for name, make in _MAKERS.items():
            setattr(np, name, make)


def check_guard(column: Any, rows: int) -> None:
    """Raise RuntimeError if a column of so many rows can be fetched unseen."""
    for gather in (np.asarray, jax.device_get, lambda array: array.tolist()):
        try:
            with guard(rows):
                gather(column)
        except AssertionError:
            continue
        raise RuntimeError("the guard does not see what it should")
