"""Which evaluation was the best, and when to stop waiting for a better one."""

import math
from typing import Any


class Monitor:
    """The best of the evaluations so far, by the held-out loss.

    `patience` evaluations in a row without a better one are enough; None waits for ever.
    """

    def __init__(self, patience: int | None):
        self._patience = patience
        self.best: tuple[int, float] | None = None  # step and value
        self.evaluations_since_best = 0

    def see(self, step: int, value: float) -> bool:
        """Take an evaluation's value; returns whether the patience is at its end."""
        if math.isfinite(value) and (self.best is None or value < self.best[1]):
            self.best, self.evaluations_since_best = (step, value), 0
        else:
            self.evaluations_since_best += 1
        return self.evaluations_since_best == self._patience

    @property
    def best_step(self) -> int | None:
        """The step of the best evaluation."""
        return None if self.best is None else self.best[0]

    def facts(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"best": self.best, "evaluations_since_best": self.evaluations_since_best}

    def restore(self, facts: dict[str, Any]) -> None:
        """Go on from a checkpoint's facts."""
        self.best = facts["best"] and tuple(facts["best"])
        self.evaluations_since_best = facts["evaluations_since_best"]
