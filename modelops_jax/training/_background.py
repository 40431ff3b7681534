"""One piece of work at a time beside the training loop."""

import threading
from collections.abc import Callable


class Background:
    """Does work in a thread; an error in it is raised by the next call of any method."""

    def __init__(self):
        self._thread: threading.Thread | None = None
        # Ctrl-C while a thread is joined makes Python before 3.13 take it for ended.
        self._done = threading.Event()
        self._error: BaseException | None = None

    def start(self, work: Callable[[], None]) -> None:
        """Wait for the earlier work, then begin this one."""
        self.wait()
        self._done.clear()
        thread = threading.Thread(target=self._do, args=(work,), name="checkpoint")
        try:
            thread.start()
        except RuntimeError:
            # Once a script has reached its end, Python 3.12 starts no thread, and jobs train on.
            work()
        else:
            self._thread = thread

    def check(self) -> None:
        """Raise what finished work ran into; does not wait."""
        if self._thread is not None and not self._thread.is_alive():
            self.wait()

    def wait(self) -> None:
        """Wait for the work, and raise what it ran into."""
        if self._thread is not None:
            self._done.wait()
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _do(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # raised again where the loop looks
            self._error = error
        finally:
            self._done.set()
