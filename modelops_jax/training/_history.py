"""The records of a run: what is in them, and who is told."""

import time
from collections.abc import Callable
from typing import Any

from ._progress import Reporter

Record = dict[str, Any]


class TrainingDiverged(ArithmeticError):
    """More steps than allowed had a loss or a gradient that is not finite."""


class History:
    """The records so far; each new one is shown and handed to the callback as it is made."""

    def __init__(self, callback: Callable[[Record], None] | None):
        self.records: list[Record] = []
        self._callback = callback
        self._report: Reporter | None = None
        self._begun, self._tokens = time.monotonic(), 0

    def begin(self, report: Reporter) -> None:
        """Show records from now on, and measure the speed from here."""
        self._report = report
        self._begun, self._tokens = time.monotonic(), 0

    def count(self, tokens: int) -> None:
        """These real tokens were trained on since the last record of a step."""
        self._tokens += tokens

    def log_step(
        self, step: int, *, epoch: int, losses: Record, learning_rate: float, skipped: int
    ) -> None:
        """Add a record of a step; `losses` is empty for one that was skipped."""
        now = time.monotonic()
        self._add(
            {"step": step, "epoch": epoch}
            | losses
            | {
                "learning_rate": learning_rate,
                "tokens_per_second": self._tokens / (now - self._begun),
                "skipped_steps": skipped,
                "seconds": now - self._begun,
            }
        )
        self._begun, self._tokens = now, 0

    def leave_out(self, begun: float) -> float:
        """The seconds since `begun`, which are an evaluation's and not training's."""
        seconds = time.monotonic() - begun
        self._begun += seconds
        return seconds

    def log_evaluation(self, step: int, values: Record, *, seconds: float) -> None:
        """Add a record of an evaluation that took so long."""
        self._add({"step": step} | values | {"seconds": seconds})

    def _add(self, record: Record) -> None:
        self.records.append(record)
        if self._report is not None:
            self._report(record)
        if self._callback is not None:
            self._callback(record)
