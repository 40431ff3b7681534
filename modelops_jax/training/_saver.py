"""The checkpoints of one run: which are written, which stay, and what they say."""

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import jax

from modelops_jax.models import CheckpointError, Model

from ._background import Background
from ._checkpoint import (
    Checkpoint,
    DamagedCheckpointError,
    checkpoint_path,
    checkpoints,
    load_checkpoint,
    read_record,
    remove_set_aside,
    save_checkpoint,
    set_aside,
    set_aside_checkpoints,
)
from ._config import TrainingConfig
from ._config_changes import rounding_changes
from ._environment import as_json, differences, fingerprint
from ._model_hash import model_hash
from ._rendered import RENDERED
from ._step import TrainState


class Saver:
    """Writes and finds the checkpoints of a run in a folder; without a folder there are none.

    A state is copied to the host and written in the background, one at a time. A checkpoint that
    cannot be written ends the run at its next step; the ones before it stay.

    Args:
        folder: Where they are kept.
        config: Decides which stay, and is written into each.
        rows: Fingerprint of the training rows, written into each.
        held_out: Fingerprint of the held-out rows, or None, written into each.
        model: The base model, whose hash is written into each.
        rendered: When the rows were rendered, if that matters, written into each.

    Raises:
        OSError: The folder cannot be made or written to, which is found out before a step is made.
    """

    def __init__(
        self,
        folder: Path | None,
        config: TrainingConfig,
        rows: str,
        held_out: str | None,
        model: Model,
        rendered: datetime | None = None,
    ):
        self._folder, self._config = folder, config
        self._rendered = {} if rendered is None else {RENDERED: rendered.isoformat()}
        self.inputs = {"rows": rows, "held_out": held_out, "base_model": None}
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(f"{folder} cannot be written to, and checkpoints go there")
            self.inputs["base_model"] = model_hash(model)
        self._environment = fingerprint() if folder else {}
        self._saved_step = -1
        self._background = Background()
        self.newest: Path | None = None

    def resume(self, like: TrainState) -> Checkpoint | None:
        """The newest sound checkpoint of the same run; None, with a warning, if there is none.

        Raises:
            CheckpointError: All are damaged, or it is of another configuration, other rows or
                another base model.

        Warns:
            UserWarning: There is none; newer ones are damaged; it does not say of which base model
                it is; it was made in another environment, with its steps divided otherwise, or
                beside evaluations on other held-out rows.
        """
        damaged: dict[Path, DamagedCheckpointError] = {}
        notes: list[str] = []
        for path in reversed(checkpoints(self._folder) if self._folder else []):
            try:
                loaded = load_checkpoint(
                    path,
                    like,
                    check=lambda facts, path=path: notes.extend(self._check(path, facts)),
                )
            except DamagedCheckpointError as error:
                damaged[path] = error
                continue
            _leave_out(damaged, path)
            _tell(notes)
            self.newest, self._saved_step = path, loaded.step
            return loaded
        for error in damaged.values():
            raise error
        _tell([f"resume: {self._folder} has no checkpoint to go on from; the run begins at step 0"])
        return None

    def keeps(self, best: int) -> bool:
        """Whether the checkpoint of the best evaluation so far is there and sound.

        Warns:
            UserWarning: It is not.
        """
        assert self._folder is not None
        try:
            read_record(checkpoint_path(self._folder, best))
        except DamagedCheckpointError as error:
            _tell(
                [
                    f"{error}; it has the weights of the best evaluation so far, and the run goes "
                    "on without them: its best is that of the evaluations from here on"
                ]
            )
            return False
        return True

    def _check(self, path: Path, facts: dict[str, Any]) -> list[str]:
        """Refuse the checkpoint of another run; returns what the same run would not promise."""
        notes = []
        changes = rounding_changes(path, facts["config"], self._config)
        if facts["rows"] != self.inputs["rows"]:
            raise CheckpointError(f"{path} was made with other training rows")
        found = facts.get("base_model")
        if found is None:
            notes.append(
                f"{path} does not say which base model it was made on, as versions before the hash "
                "was kept did not; it is taken to be this one"
            )
        elif found != self.inputs["base_model"]:
            raise CheckpointError(
                f"{path} was made on another base model: the hash of its weights and architecture "
                f"is {found}, that of this one is {self.inputs['base_model']}"
            )
        held_out = self.inputs["held_out"]
        if facts.get("held_out", held_out) != held_out:
            if self._config.keep_best or self._config.early_stopping_patience:
                raise CheckpointError(
                    f"{path} was made with other held-out rows; training.keep_best and "
                    "early_stopping_patience compare evaluations, which have to be on the same ones"
                )
            notes.append(
                f"{path} was made with other held-out rows: the history's evaluations up to there "
                "are not to be compared with those after it"
            )
        others = differences(facts["environment"], as_json(self._environment))
        for what, found in (
            ("in another environment", others),
            ("with its steps divided otherwise", [str(change) for change in changes]),
        ):
            if found:
                notes.append(
                    f"{path} was made {what}, so the run will equal an uninterrupted one "
                    f"numerically and not bit for bit: {'; '.join(found)}"
                )
        return notes

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
        made_with = {"config": as_json(self._config), "environment": self._environment}
        facts = facts | made_with | self.inputs | self._rendered
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


def _leave_out(damaged: Mapping[Path, CheckpointError], sound: Path) -> None:
    """Put damaged checkpoints where their steps can be saved again, and say so."""
    for path, error in damaged.items():
        set_aside(path)
        _warn(f"{error}; the run goes on from {sound}, the newest sound checkpoint")


def _tell(notes: list[str]) -> None:
    for note in notes:
        _warn(note)


def _warn(message: str) -> None:
    # From here through its caller, `resume`, the run and `fit` to the caller of that.
    warnings.warn(message, stacklevel=6)
