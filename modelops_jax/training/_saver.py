"""The checkpoints of one run: which are written, which stay, and what they say."""

import contextlib
import dataclasses
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from modelops_jax.models import CheckpointError, Model

from ._background import Background
from ._checkpoint import (
    Checkpoint,
    checkpoint_path,
    latest_checkpoint,
    load_checkpoint,
    remove_set_aside,
    save_checkpoint,
    set_aside_checkpoints,
)
from ._config import TrainingConfig
from ._model_hash import model_hash
from ._step import TrainState


class Saver:
    """Writes and finds the checkpoints of a run in a folder; without a folder there are none.

    A state is copied to the host and written in the background, one at a time. A checkpoint that
    cannot be written ends the run at its next step; the ones before it stay.

    Args:
        folder: Where they are kept.
        config: Decides which stay, and is written into each.
        rows: Fingerprint of the training rows, written into each.
        model: The base model, whose hash is written into each.
    """

    def __init__(self, folder: Path | None, config: TrainingConfig, rows: str, model: Model):
        self._folder, self._config, self._rows = folder, config, rows
        self._model_hash = model_hash(model) if folder else ""
        self._saved_step = -1
        self._background = Background()
        self.newest: Path | None = None

    def resume(self, like: TrainState) -> Checkpoint | None:
        """The newest checkpoint of the same run, if there is one.

        Raises:
            CheckpointError: It is damaged, or of another configuration, other rows or another
                base model.

        Warns:
            UserWarning: It does not say of which base model it is.
        """
        path = latest_checkpoint(self._folder) if self._folder else None
        if path is None:
            return None
        loaded = load_checkpoint(path, like)
        if loaded.facts["config"] != _as_json(self._config):
            raise CheckpointError(f"{path} was made with another training configuration")
        if loaded.facts["rows"] != self._rows:
            raise CheckpointError(f"{path} was made with other training rows")
        found = loaded.facts.get("base_model")
        if found is None:
            warnings.warn(
                f"{path} does not say which base model it was made on, as versions before the hash "
                "was kept did not; it is taken to be this one",
                stacklevel=4,
            )
        elif found != self._model_hash:
            raise CheckpointError(
                f"{path} was made on another base model: the hash of its weights and architecture "
                f"is {found}, that of this one is {self._model_hash}"
            )
        self.newest, self._saved_step = path, loaded.step
        return loaded

    def set_aside(self) -> None:
        """Begin anew: an earlier run's checkpoints go once this one has written its first."""
        if self._folder:
            set_aside_checkpoints(self._folder)

    def save(
        self, step: int, state: TrainState, facts: dict[str, Any], *, best: int | None
    ) -> None:
        """Begin to write the checkpoint of a step, unless it is there already.

        Raises:
            OSError: An earlier one could not be written.
        """
        folder = self._folder
        # A stop right after a save or a resume has nothing new to keep.
        if folder is None or step == self._saved_step:
            return
        facts = facts | {
            "config": _as_json(self._config),
            "rows": self._rows,
            "base_model": self._model_hash,
            "environment": {
                "jax": jax.__version__,
                "devices": [device.device_kind for device in jax.devices()],
                "cpu_count": os.cpu_count(),
            },
        }
        self._background.wait()  # two copies of a state would be too many
        # On a CPU these are views; JAX gives no buffer away that has one.
        copy = jax.device_get(state)
        keep_steps = [best] if self._config.keep_best and best is not None else []

        def write() -> None:
            self.newest = save_checkpoint(
                folder,
                step,
                copy,
                facts,
                keep=self._config.keep_checkpoints,
                keep_every=self._config.keep_checkpoints_every,
                keep_steps=keep_steps,
            )
            remove_set_aside(folder)

        self._background.start(write)
        self._saved_step = step

    def check(self) -> None:
        """Raise the OSError of a checkpoint that could not be written, if there is one by now."""
        self._background.check()

    @contextlib.contextmanager
    def committed(self) -> Iterator[None]:
        """At the end of the block every checkpoint that was begun is there.

        Raises:
            OSError: The last one could not be written; a note, if the block raises itself.
        """
        try:
            yield
        except BaseException as error:
            try:
                self._background.wait()
            except Exception as lost:
                error.add_note(f"Besides: {lost}")
            raise
        self._background.wait()

    def load(self, step: int, like: TrainState) -> Checkpoint:
        """Read a step's checkpoint again."""
        assert self._folder is not None
        self._background.wait()
        return load_checkpoint(checkpoint_path(self._folder, step), like)


def _as_json(config: TrainingConfig) -> dict[str, Any]:
    """The configuration as JSON gives it back, so that both can be compared."""
    return json.loads(json.dumps(dataclasses.asdict(config)))
