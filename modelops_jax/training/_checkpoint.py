"""Checkpoints: a folder of safetensors and JSON that exists whole or not at all.

A checkpoint is written under another name, forced to the disk and then renamed; the one before
it is removed only after that. It holds what a step changes and nothing else: the row order is a
function of the seed and the step, and frozen weights stay in their own files.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file, save_file

from modelops_jax.models import CheckpointError

from ._step import TrainState

_FORMAT = 1


class Checkpoint(NamedTuple):
    """A loaded checkpoint: the step it was made after, the state, and the run's own facts."""

    step: int
    state: TrainState
    facts: dict[str, Any]


def _named_leaves(state: TrainState) -> dict[str, Any]:
    leaves, _ = jax.tree.flatten_with_path(state)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


def save_checkpoint(
    folder: str | Path, step: int, state: TrainState, facts: Mapping[str, Any]
) -> Path:
    """Write step 24 as `folder/step-00000024`, atomically, then remove the older ones beside it.

    Args:
        folder: Where the run keeps its checkpoints; made if it is missing.
        step: Number of finished steps.
        state: Trained weights and optimizer state.
        facts: What the run needs to go on and what it ran with; must be JSON.

    Returns:
        The checkpoint's folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"step-{step:08d}"
    temporary = folder / f".tmp-{final.name}-{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    arrays = {name: np.asarray(leaf) for name, leaf in _named_leaves(state).items()}
    save_file(arrays, temporary / "state.safetensors")
    record = {"format": _FORMAT, "step": step, "facts": dict(facts)}
    (temporary / "state.json").write_text(json.dumps(record, indent=2, sort_keys=True), "utf-8")
    for path in (*temporary.iterdir(), temporary):
        _force_to_disk(path)
    shutil.rmtree(final, ignore_errors=True)
    temporary.rename(final)
    _force_to_disk(folder)
    for older in _checkpoints(folder):
        if older != final:
            shutil.rmtree(older)
    return final


def load_checkpoint(path: str | Path, like: TrainState) -> Checkpoint:
    """Read a checkpoint into the tree of `like`.

    Args:
        path: The checkpoint's folder.
        like: A state of the same run, for its tree, shapes and dtypes.

    Returns:
        The checkpoint.

    Raises:
        CheckpointError: The folder is no checkpoint, or its arrays are not those of `like`.
    """
    path = Path(path)
    try:
        record = json.loads((path / "state.json").read_text("utf-8"))
        arrays = load_file(path / "state.safetensors")
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is no checkpoint: {error.filename} is missing") from error
    if record["format"] != _FORMAT:
        raise CheckpointError(f"{path}: format {record['format']}, expected {_FORMAT}")
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
    leaves = [jnp.asarray(arrays[name]) for name in wanted]
    state = jax.tree.unflatten(jax.tree.structure(like), leaves)
    return Checkpoint(record["step"], state, record["facts"])


def latest_checkpoint(folder: str | Path) -> Path | None:
    """The newest checkpoint of a run's folder, or None."""
    found = _checkpoints(Path(folder))
    return found[-1] if found else None


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-????????"))


def _force_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
