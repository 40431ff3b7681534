"""Which settings a run may change when it goes on from a checkpoint.

Most decide the weights, and a run that went on with others would be neither of two. Those that
decide what is told and kept may change at any time: a log that is too long, a disk that is too
small. So may those that divide a step for the memory there is, and the length of a run that would
have begun in the same way.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from modelops_jax.models import CheckpointError

from ._config import TrainingConfig, config_from_dict
from ._environment import as_json
from ._toml import ConfigError

_TOLD = {"log_every", "max_skipped_steps"}
_KEPT = {"checkpoint_every", "keep_checkpoints", "keep_checkpoints_every"}
# Without a choice by evaluations they are told, too.
_EVALUATED = {"eval_every", "monitor", "generate"}
# Weights depend on these by rounding alone.
_DIVISION = {"micro_batch_size", "remat", "mesh"}
# What counts is the number of steps, which `earlier_length` looks at.
_LENGTH = {"epochs", "max_steps"}


class Change(NamedTuple):
    """A setting's value in a checkpoint and in the run that goes on from it."""

    name: str
    before: Any
    here: Any

    def __str__(self) -> str:
        return f"training.{self.name} was {self.before!r} and is {self.here!r}"


def rounding_changes(path: Path, found: Mapping[str, Any], config: TrainingConfig) -> list[Change]:
    """The changes that make a run equal to an uninterrupted one but for rounding.

    Args:
        path: The checkpoint, for messages.
        found: Its configuration, as JSON.
        config: Of the run that goes on.

    Raises:
        CheckpointError: A setting differs that may not; the message has all of those.
    """
    try:
        # A setting that a later version added had its default.
        before = config_from_dict(found)
    except ConfigError as error:
        raise CheckpointError(
            f"{path} was made with another version's settings: {error}"
        ) from error
    allowed = _TOLD | _KEPT | _DIVISION | _LENGTH
    if not any(run.keep_best or run.early_stopping_patience for run in (before, config)):
        allowed |= _EVALUATED
    changes = _changes(as_json(before), as_json(config))
    refused = [change for change in changes if change.name.partition(".")[0] not in allowed]
    if refused:
        raise CheckpointError(
            f"{path} was made with another training configuration: {'; '.join(map(str, refused))}"
        )
    return [change for change in changes if change.name.partition(".")[0] in _DIVISION]


def earlier_length(
    found: Mapping[str, Any], config: TrainingConfig, *, epoch_steps: int, steps: int
) -> int:
    """Steps that the run of a checkpoint has.

    Args:
        found: The checkpoint's configuration, as JSON.
        config: Of the run that goes on.
        epoch_steps: Of either run.
        steps: Of the run that goes on.

    Raises:
        CheckpointError: That run has another number, and its first steps would not be these.
    """
    whole = found["epochs"] * epoch_steps
    before = min(whole, found["max_steps"] or whole)
    grows = before < steps and config.schedule == "constant" and config.warmup_steps <= before
    if before != steps and not grows:
        raise CheckpointError(
            f"the checkpoint is of a run of {before} steps; this one has {steps}: a run may become "
            'longer, not shorter, and only where training.schedule is "constant" and the warm-up '
            "fits into both"
        )
    return before


def _changes(before: Mapping[str, Any], here: Mapping[str, Any], prefix: str = "") -> list[Change]:
    changes = []
    for key, value in here.items():
        old, name = before[key], prefix + key
        if isinstance(old, dict) and isinstance(value, dict):
            changes += _changes(old, value, f"{name}.")
        elif old != value:
            changes.append(Change(name, old, value))
    return changes
