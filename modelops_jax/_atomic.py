"""Writing a file so that a reader, or a crash, finds the old one or the new one, never a part."""

import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

BLOCK_BYTES = 1 << 20


def write_atomic(path: str | os.PathLike[str], data: bytes | Iterable[bytes]) -> None:
    """Write a file whole or not at all.

    The bytes go to a temporary file in the same folder, which is synced, renamed over the target,
    and the folder is synced: after a return the file survives a power loss. On any error the
    temporary file is removed and the old file is as it was; a killed process may leave a hidden
    ``.NAME.*.tmp`` behind, never a torn target. (Only if the very last step, syncing the folder,
    fails, is the new file in place although an error is raised.) A symbolic link is followed, and
    an existing file keeps its mode.

    Args:
        path: The file to write; its folder must exist.
        data: The content, whole or in pieces.

    Raises:
        OSError: The file cannot be written; the error names it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_atomic(f"{folder}/greeting.txt", b"hello")
        ...     Path(folder, "greeting.txt").read_bytes()
        b'hello'
    """
    target = Path(os.path.realpath(path))
    try:
        mode = _mode_to_keep(target)
        # The name is cut so that the temporary one fits any file system.
        temporary = target.with_name(f".{target.name[:32]}.{secrets.token_hex(8)}.tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            try:
                if mode is not None:
                    os.fchmod(descriptor, mode)
                for block in _blocks(data):
                    _write_all(descriptor, block)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(temporary, target)
        except BaseException as error:
            _remove(temporary, error)
            raise
        _sync_folder(target.parent)
    except OSError as error:
        # The caller knows the target, not our temporary file, and a full disk names nothing. The
        # second name is deleted because None would be printed.
        error.filename = os.fspath(path)
        del error.filename2
        raise


def _mode_to_keep(target: Path) -> int | None:
    """The mode of the file that will be replaced; None if there is none yet."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        if not target.parent.is_dir():
            reason = f"the folder {target.parent} does not exist; create it first"
            raise FileNotFoundError(errno.ENOENT, reason) from None
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "expected the path of a file, found a folder")
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "expected a regular file, found a device, pipe or socket")
    return stat.S_IMODE(mode)


def _blocks(data: bytes | Iterable[bytes]) -> Iterator[bytes | bytearray]:
    """The data in pieces of at least `BLOCK_BYTES`, the last one excepted."""
    if isinstance(data, bytes):
        yield data
        return
    block = bytearray()
    for piece in data:
        block += piece
        if len(block) >= BLOCK_BYTES:
            yield block
            block = bytearray()
    yield block


def _write_all(descriptor: int, block: bytes | bytearray) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _remove(temporary: Path, error: BaseException) -> None:
    try:
        temporary.unlink(missing_ok=True)
    except OSError as removal:
        error.add_note(f"the temporary file {temporary} could not be removed: {removal}")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
