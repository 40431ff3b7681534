"""Ctrl-C and a polite kill end a run after its step; a second one ends it at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether SIGINT or SIGTERM has come; both are restored at the end.

    The second one does what it did before. Outside the main thread nothing is watched.
    """
    came = threading.Event()
    before = {}

    def remember(number: int, frame: object) -> None:
        came.set()
        signal.signal(number, before[number])

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, remember)
    try:
        yield came.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
