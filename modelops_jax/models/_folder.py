"""A folder that is there whole or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError


@contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a hidden folder beside `path` to fill; sync it and rename it to `path` at the end.

    If the block raises, the hidden folder is removed and `path` never exists; a killed process may
    leave the hidden folder behind.

    Args:
        path: The folder to make, with its parents. It may exist only if it is empty.

    Raises:
        FileExistsError: `path` exists and is not an empty folder: nothing is ever overwritten.
        OSError: The folder could not be written, for want of room say.
    """
    target = Path(path).absolute()
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise FileExistsError(
            f"{target} exists and is not an empty folder; choose another path or remove it first"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    hidden = target.with_name(f".{target.name[:32]}.{secrets.token_hex(8)}.tmp")
    hidden.mkdir()
    try:
        yield hidden
        for entry in hidden.iterdir():
            _sync(entry)
        _sync(hidden)
        os.replace(hidden, target)
    except BaseException as error:
        shutil.rmtree(hidden)
        if isinstance(error, SafetensorError):  # as of a disk that is full
            raise OSError(f"{target} could not be written: {error}") from error
        if isinstance(error, OSError):
            why = f"{target} could not be written: {error}"
            raise (OSError(why) if error.errno is None else OSError(error.errno, why)) from error
        raise
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
