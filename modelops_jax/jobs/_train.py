"""What a job's thread does: from the inputs in its folder to a trained model."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

from modelops_jax.models import load
from modelops_jax.training import (
    FitResult,
    TrainingConfig,
    config_from_dict,
    fingerprint,
    fit,
)

from ._folder import JobFolder


def train(
    folder: JobFolder,
    on_record: Callable[[dict[str, Any]], None],
    stop: Callable[[], bool],
    *,
    progress: Literal["auto", "off"],
) -> FitResult:
    """Fine-tune as a job's folder says, and write down there what was decided.

    An earlier attempt's decisions and its newest checkpoint are taken up.

    Args:
        folder: holds the request and the rows; nothing else is read, so it reproduces the run.
        on_record: called with every logged record.
        stop: polled at every step.
        progress: of `modelops_jax.training.fit`.
    """
    request = folder.read_request()
    fields = folder.read_config() or request.config
    config = None if fields is None else config_from_dict(fields)
    model = load(request.resolved_model, mesh=config.mesh if config else None)
    config = config or TrainingConfig.default_for(model)
    if request.labels is not None and tuple(request.labels) != model.config.labels:
        model = model.with_labels(request.labels, seed=config.seed)
    decided = dataclasses.asdict(config), fingerprint()
    folder.write_config(*decided)
    result = fit(
        model,
        folder.read_train(),
        config=config,
        eval=folder.read_eval(),
        folder=folder.checkpoints_path,
        resume=folder.newest_checkpoint() is not None,
        callback=on_record,
        stop=stop,
        progress=progress,
    )
    folder.write_config(*decided, inputs=result.inputs)
    return result
