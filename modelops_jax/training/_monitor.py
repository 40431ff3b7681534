"""Which evaluation was the best, and when to stop waiting for a better one."""

import math
from collections.abc import Mapping
from typing import Any

from ._answer_metrics import LEFT_OUT
from ._config import TrainingConfig


class Monitor:
    """The best of the evaluations so far, by one of their values.

    A value of answers that leaves some out, as those that are no numbers, is of the others alone:
    one that leaves out fewer is better, whatever it is.

    Args:
        key: The value; evaluations without it are not looked at.
        patience: So many evaluations in a row without a better one are enough; None waits for
            ever.
        directions: For each value there will be whether higher is better; None where neither is.

    Raises:
        ValueError: There will be no such value, or it has no direction.
    """

    def __init__(self, key: str, patience: int | None, directions: Mapping[str, bool | None]):
        direction = directions.get(key)
        if direction is None:
            found = "has no direction" if key in directions else "is no value of an evaluation"
            known = ", ".join(name for name, way in directions.items() if way is not None)
            raise ValueError(f"training.monitor {key!r} {found}; there are {known}")
        self._key, self._patience = key, patience
        self._sign = 1 if direction else -1
        self.best: tuple[int, float] | None = None  # step and value
        self._left_out = 0  # of the best
        self.evaluations_since_best = 0

    def see(self, step: int, values: Mapping[str, Any]) -> bool:
        """Take an evaluation's values; returns whether the patience is at its end."""
        if self._key not in values:
            return False
        value, left_out = values[self._key], values.get(self._key + LEFT_OUT, 0)
        if math.isfinite(value) and (
            self.best is None
            or (-left_out, self._sign * value) > (-self._left_out, self._sign * self.best[1])
        ):
            self.best, self._left_out, self.evaluations_since_best = (step, value), left_out, 0
        else:
            self.evaluations_since_best += 1
        return self._patience is not None and self.evaluations_since_best >= self._patience

    @property
    def best_step(self) -> int | None:
        """The step of the best evaluation."""
        return None if self.best is None else self.best[0]

    def forget(self) -> None:
        """Take the next evaluation for the best so far, whatever it is."""
        self.best, self._left_out, self.evaluations_since_best = None, 0, 0

    def facts(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "best": self.best,
            "best_left_out": self._left_out,
            "evaluations_since_best": self.evaluations_since_best,
        }

    def restore(self, facts: dict[str, Any]) -> None:
        """Go on from a checkpoint's facts."""
        self.best = facts["best"] and tuple(facts["best"])
        self._left_out = facts.get("best_left_out", 0)  # older checkpoints do not have it
        self.evaluations_since_best = facts["evaluations_since_best"]


def monitor_of(config: TrainingConfig, of_loss: Mapping[str, bool | None]) -> Monitor:
    """The monitor that a configuration asks for.

    Args:
        config: Its `monitor` is a value of the loss or one of `generate.metrics`.
        of_loss: What an evaluation of the loss reports, and whether higher is better.

    Raises:
        ValueError: There will be no value to monitor, it has no direction, or two have one name.
    """
    directions = {f"eval_{name}": way for name, way in of_loss.items()}
    of_answers = config.generate.directions if config.generate else {}
    if both := sorted(directions.keys() & of_answers.keys()):
        raise ValueError(
            f"generate.metrics: {', '.join(both)} is a value of every evaluation already; give "
            "the metric another name: NAME=METRIC"
        )
    return Monitor(config.monitor, config.early_stopping_patience, directions | of_answers)
