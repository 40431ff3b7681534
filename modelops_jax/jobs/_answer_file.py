"""The answers of a model on disk, chunk by chunk, so that a killed evaluation goes on.

manifest.json      what the answers depend on: model, rows, settings
predictions.jsonl  a line a row, in the order of the rows
.lock              the process that has the folder open, while it runs

Answers are made in chunks of a fixed size, and a chunk that is not complete is made again: rows
are then always read in the same batches, whose rounding they share, and a resumed evaluation is
the uninterrupted one to the last bit.
"""

import fcntl
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from modelops_jax.data import write_atomic

# About as many as are read at once; what a kill loses is at most this.
CHUNK_ROWS = 32

_MANIFEST = "manifest.json"

Record = dict[str, Any]


class AnswerFile:
    """The answers in a folder, which is this one's until it is closed (`with`).

    Args:
        folder: made if it is not there.
        manifest: what the answers depend on.
        scored_by: the metrics of their scores, which may be others than before.

    Raises:
        ValueError: the folder holds answers of something else; the message says what differs; or
            another evaluation that is running has it.
        OSError: the folder cannot be made or read.
    """

    scored_by: Sequence[str]
    """The metrics that the answers there were scored by."""

    def __init__(self, folder: Path, manifest: Mapping[str, Any], scored_by: Sequence[str]) -> None:
        self.path = folder / "predictions.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(folder)
        try:
            self._open(folder, manifest, scored_by)
        except BaseException:
            self._lock.close()
            raise

    def _open(self, folder: Path, manifest: Mapping[str, Any], scored_by: Sequence[str]) -> None:
        self._manifest_path = folder / _MANIFEST
        self._manifest = json.loads(json.dumps(manifest))
        self._wanted = self.scored_by = list(scored_by)
        if found := kept_manifest(folder):
            self.scored_by = found.pop("scored_by")
            if found != self._manifest:
                raise ValueError(_difference(folder, found, self._manifest))
        elif self.path.exists():
            raise ValueError(f"{self.path} is there without a manifest.json; choose another folder")
        else:
            self._write_manifest()

    def __enter__(self) -> "AnswerFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def read(self, rows: int) -> list[Record]:
        """The answers of the chunks that are complete; what comes after them is cut off.

        Args:
            rows: how many there are to be in all.

        Raises:
            ValueError: a line that is no answer to its row.
        """
        if not self.path.exists():
            return []
        written = self.path.read_bytes()
        # A killed process may have left half a line.
        lines = written[: written.rfind(b"\n") + 1].splitlines(keepends=True)
        complete = len(lines) if len(lines) == rows else len(lines) // CHUNK_ROWS * CHUNK_ROWS
        records = []
        for number, line in enumerate(lines[:complete]):
            try:
                record = json.loads(line)
            except ValueError as error:
                raise ValueError(f"{self.path}, line {number + 1}: {error}") from error
            if not isinstance(record, dict) or record.get("row") != number or number >= rows:
                raise ValueError(
                    f"{self.path}, line {number + 1}: expected the answer to row {number} of {rows}"
                )
            records.append(record)
        os.truncate(self.path, sum(map(len, lines[:complete])))
        return records

    def append(self, records: Sequence[Record]) -> None:
        """Write the answers of a chunk; after a return they survive a power loss."""
        with open(self.path, "ab") as file:
            file.write(_lines(records))
            file.flush()
            os.fsync(file.fileno())

    def replace(self, records: Sequence[Record]) -> None:
        """Write the answers anew, as the present metrics score them; whole or not at all."""
        write_atomic(self.path, _lines(records))
        self._write_manifest()

    def _write_manifest(self) -> None:
        facts = self._manifest | {"scored_by": self._wanted}
        write_atomic(self._manifest_path, f"{json.dumps(facts, indent=2)}\n".encode())


def kept_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of the answers in a folder; empty if there is none."""
    path = folder / _MANIFEST
    return json.loads(path.read_bytes()) if path.exists() else {}


def answer_all(
    file: AnswerFile | None, rows: int, answer: Callable[[range], list[Record]]
) -> list[Record]:
    """The answers to all rows: those that are there, and the others made and kept.

    Args:
        file: where they are kept; None: nowhere.
        rows: how many.
        answer: makes those of a chunk.
    """
    records = file.read(rows) if file else []
    for start in range(len(records), rows, CHUNK_ROWS):
        made = answer(range(start, min(start + CHUNK_ROWS, rows)))
        if file:
            file.append(made)
        records += made
    return records


def _locked(folder: Path) -> IO[str]:
    """The lock on a folder, which the system gives up when the process ends, however it does."""
    lock = open(folder / ".lock", "a+")  # closed with the answers
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        owner = lock.read().strip()
        lock.close()
        raise ValueError(
            f"{folder} is in use by another evaluation, process {owner or 'unknown'}; wait for it, "
            "or choose another folder"
        ) from error
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def _lines(records: Sequence[Record]) -> bytes:
    return "".join(
        f"{json.dumps(record, ensure_ascii=False, allow_nan=False)}\n" for record in records
    ).encode()


def _difference(folder: Path, found: Any, wanted: Any) -> str:
    one, other = _flat(found, ""), _flat(wanted, "")
    key = next(k for k in {**one, **other} if one.get(k) != other.get(k))
    return (
        f"{folder} holds answers of another evaluation: {key} is {one.get(key)!r}, this one has "
        f"{other.get(key)!r}; choose another folder, or remove that one"
    )


def _flat(value: Any, at: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {at: value}
    found: dict[str, Any] = {}
    for key, entry in value.items():
        found |= _flat(entry, f"{at}.{key}" if at else str(key))
    return found
