"""Checkpoints: a folder of safetensors and JSON that exists whole or not at all.

A checkpoint is written under another name, forced to the disk and then renamed; an older one
is removed only after that. It holds what a step changes and nothing else: the row order is a
function of the seed and the step, and frozen weights stay in their own files.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from modelops_jax.models import CheckpointError

from ._step import TrainState

ARRAYS, RECORD = "state.safetensors", "state.json"
_FORMAT = 3
_WITHOUT_RECORD_HASH = 2
_PREFIX, _ASIDE = "step-", "earlier-"


class DamagedCheckpointError(CheckpointError):
    """A file of a checkpoint is missing, cannot be read, or is not what was written."""


class Checkpoint(NamedTuple):
    """A loaded checkpoint: the step it was made after, the state, and the run's own facts."""

    step: int
    state: TrainState
    facts: dict[str, Any]


def _named_leaves(state: TrainState) -> dict[str, Any]:
    leaves, _ = jax.tree.flatten_with_path(state)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


def save_checkpoint(
    folder: str | Path,
    step: int,
    state: TrainState,
    facts: Mapping[str, Any],
    *,
    keep: int = 1,
    keep_every: int | None = None,
    keep_steps: Collection[int] = (),
) -> Path:
    """Write step 24 as `folder/step-00000024`, atomically, then remove older ones beside it.

    Args:
        folder: Where the run keeps its checkpoints; made if it is missing.
        step: Number of finished steps.
        state: What a step changes.
        facts: What the run needs to go on and what it ran with; must be JSON.
        keep: How many of the newest checkpoints stay.
        keep_every: Steps whose multiples stay as well.
        keep_steps: Steps that stay as well.

    Returns:
        The checkpoint's folder.

    Raises:
        CheckpointError: The folder has a checkpoint of that step; it is left as it is.
        OSError: It cannot be written. What was written of it is removed, and those before it stay.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    final = checkpoint_path(folder, step)
    if final.exists():
        raise CheckpointError(f"{final} exists already; a checkpoint is never written over")
    temporary = folder / f".tmp-{final.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir()
        _write(temporary, step, state, facts)
        temporary.rename(final)
        _force_to_disk(folder)
    except (OSError, SafetensorError) as error:  # the latter from a disk that is full, too
        shutil.rmtree(temporary, ignore_errors=True)
        raise OSError(f"the checkpoint {final} could not be written: {error}") from error
    for older in checkpoints(folder)[:-keep]:
        at = int(older.name.removeprefix(_PREFIX))
        if at not in keep_steps and (keep_every is None or at % keep_every):
            shutil.rmtree(older)
    return final


def _write(folder: Path, step: int, state: TrainState, facts: Mapping[str, Any]) -> None:
    arrays = {name: np.asarray(leaf) for name, leaf in _named_leaves(state).items()}
    save_file(arrays, folder / ARRAYS)
    record = {
        "format": _FORMAT,
        "step": step,
        "sha256": _checksum(folder / ARRAYS),
        "facts": dict(facts),
    }
    # As JSON gives it back, which turns every key into a string.
    record["record_sha256"] = _record_checksum(json.loads(json.dumps(record)))
    (folder / RECORD).write_text(json.dumps(record, indent=2, sort_keys=True), "utf-8")
    for path in (*folder.iterdir(), folder):
        _force_to_disk(path)


def checkpoint_path(folder: str | Path, step: int) -> Path:
    """Where the checkpoint of a step is kept."""
    return Path(folder) / f"{_PREFIX}{step:08d}"


def set_aside_checkpoints(folder: str | Path) -> None:
    """Put the checkpoints of an earlier run out of the way of a new one in the same folder.

    They are found no more by `latest_checkpoint`, and stay until `remove_set_aside`.
    """
    for path in checkpoints(folder):
        set_aside(path)


def set_aside(path: Path) -> None:
    """Put one checkpoint out of the way."""
    aside = path.with_name(_ASIDE + path.name)
    if aside.exists():
        shutil.rmtree(aside)
    path.rename(aside)


def remove_set_aside(folder: str | Path) -> None:
    """Remove what was set aside, once the new run has something of its own."""
    for path in Path(folder).glob(f"{_ASIDE}{_PREFIX}*"):
        shutil.rmtree(path)


def load_checkpoint(
    path: str | Path,
    like: TrainState,
    *,
    check: Callable[[dict[str, Any]], None] | None = None,
) -> Checkpoint:
    """Read a checkpoint into the tree of `like`.

    Args:
        path: The checkpoint's folder.
        like: A state of the same run, for its tree, shapes and dtypes.
        check: Called with the run's facts before the arrays are looked at, to refuse those of
            another run by what they were made with.

    Returns:
        The checkpoint.

    Raises:
        DamagedCheckpointError: The folder is no whole checkpoint, or the SHA-256 of its arrays or
            its record is not the one that was written.
        CheckpointError: Its format or its arrays are not those of `like`.
    """
    path = Path(path)
    record = read_record(path)
    if check is not None:
        check(record["facts"])
    arrays = load_file(path / ARRAYS)
    wanted = _named_leaves(like)
    if arrays.keys() != wanted.keys():
        missing, extra = sorted(wanted.keys() - arrays.keys()), sorted(arrays.keys() - wanted)
        raise CheckpointError(f"{path}: missing arrays {missing}, unknown arrays {extra}")
    for name, leaf in wanted.items():
        found = arrays[name]
        if found.shape != leaf.shape or found.dtype != leaf.dtype:
            raise CheckpointError(
                f"{path}: {name} is {found.dtype}{list(found.shape)}, "
                f"expected {leaf.dtype}{list(leaf.shape)}"
            )
    leaves = [_beside(arrays[name], leaf) for name, leaf in wanted.items()]
    state = jax.tree.unflatten(jax.tree.structure(like), leaves)
    return Checkpoint(record["step"], state, record["facts"])


def read_record(path: Path) -> dict[str, Any]:
    """The record of a checkpoint whose files are those that were written.

    Raises:
        DamagedCheckpointError, CheckpointError: As `load_checkpoint`, of the files alone.
    """
    try:
        record = json.loads((path / RECORD).read_text("utf-8"))
        checksum = _checksum(path / ARRAYS)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise DamagedCheckpointError(
                f"{path} is no checkpoint: {error.filename} is missing"
            ) from error
        if error.errno == errno.EIO:
            raise DamagedCheckpointError(f"{path} is damaged: {error}") from error
        raise
    except ValueError as error:
        raise DamagedCheckpointError(f"{path / RECORD} is damaged: {error}") from error
    if not isinstance(record, dict) or "format" not in record:
        raise DamagedCheckpointError(f"{path / RECORD} is damaged: it has no format")
    own = record.pop("record_sha256", None)
    found = _record_checksum(record)
    if own != found and (own is not None or record["format"] == _FORMAT):
        raise DamagedCheckpointError(
            f"{path / RECORD} is damaged: the SHA-256 of what it says is {found}, expected {own}"
        )
    if record["format"] not in (_WITHOUT_RECORD_HASH, _FORMAT):
        raise CheckpointError(f"{path}: format {record['format']}, expected {_FORMAT}")
    if checksum != record["sha256"]:
        raise DamagedCheckpointError(
            f"{path / ARRAYS} is damaged: its SHA-256 is {checksum}, expected {record['sha256']}"
        )
    return record


def _beside(array: np.ndarray, like: Any) -> jax.Array:
    """The array on the devices of `like`, divided over a mesh as that is."""
    if isinstance(like, jax.Array) and isinstance(like.sharding, NamedSharding):
        return jax.device_put(array, like.sharding)
    return jnp.asarray(array)


def latest_checkpoint(folder: str | Path) -> Path | None:
    """The newest checkpoint of a run's folder, or None."""
    found = checkpoints(folder)
    return found[-1] if found else None


def checkpoints(folder: str | Path) -> list[Path]:
    """The checkpoints of a run's folder, the newest last."""
    return sorted(Path(folder).glob(f"{_PREFIX}{'[0-9]' * 8}"))


def _checksum(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _record_checksum(record: Mapping[str, Any]) -> str:
    """Of everything that a record says, however it is laid out."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _force_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
