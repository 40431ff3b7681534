"""What compiling took, given back to the system before the program runs.

The C library keeps what is freed in small pieces, some 0.15 GB for the program of a step, and a
program's large buffers do not come from there: the peak of a run would be that of both.
"""

import contextlib
import ctypes
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax.monitoring

# Programs that took longer than this, in seconds, took memory that is worth the milliseconds.
LONG_COMPILATION = 1.0
_COMPILED = "/jax/core/compile/backend_compile_duration"


@functools.cache
def _release() -> Callable[[], Any] | None:
    """The C library's function that gives back what is free; None where it has none."""
    if sys.platform != "linux":
        return None
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl not
    return None if trim is None else functools.partial(trim, ctypes.c_size_t(0))


@contextlib.contextmanager
def freed_after_compiling() -> Iterator[None]:
    """Inside it, freed memory is given back between a long compilation and the first run."""

    def compiled(event: str, duration_secs: float, **_: Any) -> None:
        release = _release()
        if event == _COMPILED and duration_secs >= LONG_COMPILATION and release is not None:
            release()

    jax.monitoring.register_event_duration_secs_listener(compiled)
    try:
        yield
    finally:
        jax.monitoring.unregister_event_duration_listener(compiled)
