"""What a run will take and do, known before any weight is read."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class TrainingPlan:
    """What a run will take and do; `plan` makes one, and `str` shows it as a table.

    Args:
        model: Name of the base model.
        rows: Training rows that are used; a pair of answers is one.
        steps: Optimizer steps of the run.
        epoch_steps: Optimizer steps of an epoch.
        epoch_tokens: Real tokens of all rows.
        trained_share: Share of them that the loss is on, in (0, 1].
        padding_share: Share of the computed places that hold nothing, in [0, 1).
        parameters: Parameters of the base model.
        trained_parameters: Those that are trained: adapters, or parameters that are not frozen.
        micro_batch: Sequences of a forward and backward pass.
        memory: Most bytes on a device during a step. The process, its compiler and evaluations
            come on top.
        memory_limit: Bytes that there are on a device, or None if that is not known.
        largest_batch: Most sequences that one pass can take within the limit; None if it was not
            looked for. With `batch_size` set to it no pass is divided.
        largest_is_exact: Whether one more is known not to fit, or there are no more rows.
        checkpoint: Bytes of a checkpoint.
        flops: Floating-point operations of the run, by the formula of `plan`.
        seconds: Time that the steps will take, compilation aside; None if it was not asked for.
    """

    model: str
    rows: int
    steps: int
    epoch_steps: int
    epoch_tokens: int
    trained_share: float
    padding_share: float
    parameters: int
    trained_parameters: int
    micro_batch: int
    memory: int
    memory_limit: int | None
    largest_batch: int | None
    largest_is_exact: bool
    checkpoint: int
    flops: int
    seconds: float | None

    @property
    def fits(self) -> bool | None:
        """Whether the step is within the memory limit; None if there is none."""
        return None if self.memory_limit is None else self.memory <= self.memory_limit

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON has them, and whether it fits."""
        return dataclasses.asdict(self) | {"fits": self.fits}

    def __str__(self) -> str:
        """A table of what people ask first."""
        epochs = self.steps / self.epoch_steps
        memory = f"{_bytes(self.memory)} a device"
        if self.memory_limit is not None:
            verdict = "fits in" if self.fits else "DOES NOT FIT in"
            memory += f", {verdict} {_bytes(self.memory_limit)}"
        lines = {
            "model": f"{self.model}, {self.parameters:,} parameters, "
            f"{self.trained_parameters:,} trained "
            f"({self.trained_parameters / self.parameters:.2%})",
            "rows": f"{self.rows:,} ({self.epoch_tokens:,} tokens, "
            f"{self.trained_share:.1%} trained; {self.padding_share:.1%} padding)",
            "steps": f"{self.steps:,} ({self.epoch_steps:,} an epoch, {epochs:.2f} epochs)",
            "memory": f"{memory}; micro-batches of {self.micro_batch:,}",
        }
        if self.largest_batch is not None:
            at_least = "" if self.largest_is_exact else "at least "
            lines["largest batch"] = f"{at_least}{self.largest_batch:,} in one pass"
        lines |= {
            "checkpoint": _bytes(self.checkpoint),
            "computation": f"{self.flops:.3g} floating-point operations",
        }
        if self.seconds is not None:
            lines["time"] = f"{_time(self.seconds)}, compilation aside"
        width = max(map(len, lines)) + 2
        return "\n".join(f"{name:<{width}}{text}" for name, text in lines.items())


def _bytes(count: int | float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.2f} GB"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
