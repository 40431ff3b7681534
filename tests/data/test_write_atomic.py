"""A file is written whole or not at all, whatever fails and whenever the process dies."""

import errno
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import modelops_jax
from modelops_jax.data import Dataset, write_atomic

OLD = b"old"
# More than two blocks of a mebibyte, so that there are several writes.
NEW = [b"a" * 700_000, b"b" * 700_000, b"c" * 700_000, b"d" * 700_000]
SYSCALLS = ("open", "fchmod", "write", "fsync", "close", "replace")


def run(script: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a script in a Python of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=Path(modelops_jax.__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file that exists already."""
    path = tmp_path / "target.bin"
    path.write_bytes(OLD)
    return path


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[..., None]], None]]:
    """Has a function called before each system call of a write, with its name and arguments."""
    with monkeypatch.context() as patch:

        def install(before: Callable[..., None]) -> None:
            def wrap(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
                def wrapped(*arguments: Any) -> Any:
                    if name == "close":  # a failing close has closed
                        call(*arguments)
                    before(name, *arguments)
                    return None if name == "close" else call(*arguments)

                return wrapped

            for name in SYSCALLS:
                patch.setattr(os, name, wrap(name, getattr(os, name)))

        yield install


@pytest.mark.parametrize("data", [b"", b"new", [], [b""], [b"ne", b"", b"w"], iter([b"new"]), NEW])
def test_content(tmp_path: Path, data: Any):
    """The file holds the bytes, whole or in pieces, and nothing else is left in the folder."""
    pieces = [data] if isinstance(data, bytes) else list(data)
    write_atomic(tmp_path / "new", data if isinstance(data, bytes) else iter(pieces))
    assert (tmp_path / "new").read_bytes() == b"".join(pieces)
    assert list(tmp_path.iterdir()) == [tmp_path / "new"]


def test_order_of_the_steps(target: Path, calls: Callable[..., None]):
    """Written, synced, closed, renamed, then the folder is synced: what a power loss asks for."""
    seen: list[str] = []
    calls(lambda name, *_: seen.append(name))
    write_atomic(target, NEW)
    assert [name for i, name in enumerate(seen) if i == 0 or seen[i - 1] != name] == [
        *("open", "fchmod", "write", "fsync", "close", "replace"),
        *("open", "fsync", "close"),
    ]
    assert seen.count("write") == 2


@pytest.mark.parametrize("k", range(10))
@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_failure_at_every_step(
    target: Path, calls: Callable[..., None], k: int, failure: BaseException
):
    """If step k fails, the old file stays (after the rename, the new) and no other is left."""
    seen: list[str] = []

    def fail(name: str, *_: object) -> None:
        seen.append(name)
        if len(seen) == k + 1:
            raise failure

    calls(fail)
    with pytest.raises(type(failure)) as caught:
        write_atomic(target, NEW)
    assert target.read_bytes() == (b"".join(NEW) if "replace" in seen[:-1] else OLD)
    assert os.listdir(target.parent) == [target.name]
    if isinstance(failure, OSError):
        assert str(caught.value) == f"[Errno {errno.ENOSPC}] No space left: '{target}'"


def test_failing_source(target: Path):
    """If the data itself fails half-way, the old file is as it was and no other is left."""

    def data() -> Iterator[bytes]:
        yield from NEW
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_atomic(target, data())
    assert target.read_bytes() == OLD
    assert os.listdir(target.parent) == [target.name]


def test_failing_removal_does_not_hide_the_cause(target: Path, monkeypatch: pytest.MonkeyPatch):
    """If the temporary file cannot be removed, the first error is raised with a note."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "removal failed")

    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OSError, match="removal failed") as caught:
        write_atomic(target, b"new")
    (note,) = caught.value.__notes__
    assert "could not be removed" in note
    assert target.read_bytes() == OLD


def test_short_writes(target: Path, monkeypatch: pytest.MonkeyPatch):
    """A system that writes fewer bytes than asked is asked again."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    write_atomic(target, bytes(range(256)))
    assert target.read_bytes() == bytes(range(256))


def test_limit_of_the_kernel(target: Path):
    """If the kernel itself stops the write half-way, the error names the file and the old stays."""
    script = """
import resource, sys
from modelops_jax.data import Dataset
dataset = Dataset([{"prompt": "p" * 1000, "completion": "c"}] * 3000)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    dataset.to_jsonl(sys.argv[1])
except OSError as error:
    print(error)
"""
    process = run(script, str(target))
    out, err = process.communicate()
    assert (out, err) == (f"[Errno {errno.EFBIG}] File too large: '{target}'\n", "")
    assert target.read_bytes() == OLD
    assert os.listdir(target.parent) == [target.name]


def test_kill(tmp_path: Path):
    """A process killed while it writes leaves the one file or the other, complete."""
    script = """
import sys
from modelops_jax.data import Dataset
versions = [Dataset([{"prompt": text * 300, "completion": "c"}] * 3000) for text in "ab"]
versions[0].to_jsonl(sys.argv[1])
print("ready", flush=True)
while True:
    for version in reversed(versions):
        version.to_jsonl(sys.argv[1])
"""
    path = tmp_path / "rows.jsonl"
    datasets = [Dataset([{"prompt": t * 300, "completion": "c"}] * 3000) for t in "ab"]
    complete = set()
    for dataset in datasets:
        dataset.to_jsonl(path)
        complete.add(path.read_bytes())
    delays = random.Random(0)
    for _ in range(8):
        process = run(script, str(path))
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(delays.uniform(0, 0.06))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert path.read_bytes() in complete
        assert len(Dataset.from_file(path)) == 3000
    # What killed writers left behind is hidden, named after the file, and in nobody's way.
    assert all(p == path or p.match(".rows.jsonl.*.tmp") for p in tmp_path.iterdir())
    datasets[0].to_jsonl(path)
    assert Dataset.from_file(path) == datasets[0]


def test_writers_at_once(target: Path):
    """Writers of the same file do not mix: the last one wins, whole."""
    contents = [bytes([letter]) * 100_000 for letter in b"abcd"]

    def write(content: bytes) -> None:
        for _ in range(5):
            write_atomic(target, content)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert target.read_bytes() in (OLD, *contents)
    assert target.read_bytes() in contents
    assert os.listdir(target.parent) == [target.name]


def test_mode_of_a_new_file(tmp_path: Path):
    """A new file has the mode that any new file of this process has."""
    (tmp_path / "plain").touch()
    write_atomic(tmp_path / "atomic", b"")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_mode_is_kept(target: Path, mode: int):
    """A file that is replaced keeps its mode."""
    target.chmod(mode)
    write_atomic(target, b"new")
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_symbolic_link(target: Path):
    """A link stays a link; the file that it points to is replaced."""
    (target.parent / "folder").mkdir()
    link = target.parent / "folder" / "link"
    link.symlink_to("../target.bin")
    write_atomic(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, ".", "..."])
def test_long_and_odd_names(tmp_path: Path, name: str):
    """Any name that the file system takes can be written, a folder's excepted."""
    if name == ".":
        with pytest.raises(IsADirectoryError):
            write_atomic(tmp_path / name, b"new")
        return
    write_atomic(tmp_path / name, b"new")
    assert (tmp_path / name).read_bytes() == b"new"


def test_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A bare name is a file in the current folder."""
    monkeypatch.chdir(tmp_path)
    write_atomic("new", b"new")
    assert (tmp_path / "new").read_bytes() == b"new"


def test_missing_folder(tmp_path: Path):
    """A folder that does not exist is an error that names it and the file."""
    path = tmp_path / "absent" / "file"
    with pytest.raises(FileNotFoundError, match="absent does not exist; create it first") as caught:
        write_atomic(path, b"")
    assert caught.value.filename == str(path)


def test_folder_instead_of_a_file(tmp_path: Path):
    """A folder is not replaced by a file."""
    with pytest.raises(IsADirectoryError, match="expected the path of a file, found a folder"):
        write_atomic(tmp_path, b"")


def test_pipe_instead_of_a_file(tmp_path: Path):
    """A pipe or a device is not replaced by a file."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="expected a regular file, found a device, pipe or socket"):
        write_atomic(tmp_path / "pipe", b"")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
