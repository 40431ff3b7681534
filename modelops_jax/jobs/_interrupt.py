"""Ctrl-C: the first one stops this process's jobs at their next step.

The handler is chained in front of the one that was there, so `KeyboardInterrupt` still reaches the
script. It is set from the main thread only, since Python allows no other, and taken away again
when nothing trains any more.
"""

import signal
import threading
from collections.abc import Callable
from types import FrameType

Handler = Callable[[int, FrameType | None], object]


class _Chain:
    """One handler in front of another."""

    def __init__(self, stop: Callable[[], bool], following: Handler):
        self.stop = stop
        self.following = following

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        newly_stopped = self.stop()
        # After the script's last line Python itself waits for the training thread. An exception
        # there would only be printed, and the interpreter would be torn down under the thread.
        if newly_stopped and not threading.main_thread().is_alive():
            return
        self.following(signum, frame)


def watch(stop: Callable[[], bool]) -> None:
    """Call `stop` on Ctrl-C from now on, before whatever Ctrl-C did until now.

    Does nothing outside the main thread, when Ctrl-C is ignored or kills the process outright
    (then the next look at the job finds its process gone), and when already watching.

    Args:
        stop: asks the jobs to stop and returns whether any had not been asked before. It runs
            inside a signal handler, so it must not take a lock.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    following = signal.getsignal(signal.SIGINT)
    if callable(following) and not isinstance(following, _Chain):
        signal.signal(signal.SIGINT, _Chain(stop, following))


def unwatch() -> None:
    """Give Ctrl-C back, if called in the main thread and nobody has taken it since."""
    if threading.current_thread() is not threading.main_thread():
        return
    current = signal.getsignal(signal.SIGINT)
    if isinstance(current, _Chain):
        signal.signal(signal.SIGINT, current.following)
