"""The files of a tokenised dataset: written beside, forced to the disk, then named.

A dataset's folder holds the tokens of all rows (uint16, or uint32 for a larger vocabulary), one
byte a token for whether it is trained, the offsets of the rows (int64), all little-endian, and
`manifest.json`, which says what they were made from. It is never changed once it has its name.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Int64, Integer

# Format 1 marked turns of weight 0 as trained under `train_on = "all"`.
FORMAT = 2
TOKENS, TRAINED, OFFSETS, MANIFEST = "tokens.bin", "trained.bin", "offsets.bin", "manifest.json"
_TYPES = {"uint16": np.dtype("<u2"), "uint32": np.dtype("<u4")}


class TokenStoreError(ValueError):
    """A folder is no tokenised dataset, or a damaged one."""


class Stored(NamedTuple):
    """Where a dataset is kept, how many rows there are, and what its manifest says of them.

    `first_row` is the index of the first row of this part of it.
    """

    folder: Path
    rows: int
    fingerprint: str
    made_from: Mapping[str, Any]
    left_out: list[str]
    first_row: int = 0


class Fingerprint:
    """SHA-256 of tokenised rows, whatever the type that their tokens are kept in."""

    def __init__(self) -> None:
        self._tokens, self._trained = hashlib.sha256(), hashlib.sha256()

    def add(self, token_ids: Integer[np.ndarray, " n"], trained: Bool[np.ndarray, " n"]) -> None:
        self._tokens.update(token_ids.astype("<u4").tobytes())
        self._trained.update(trained.tobytes())

    def of(self, lengths: Int[np.ndarray, " rows"]) -> str:
        """With the number of tokens of each row, which come after all of them."""
        parts = self._tokens.digest() + self._trained.digest() + lengths.astype("<i8").tobytes()
        return hashlib.sha256(parts).hexdigest()


class TokenWriter:
    """Writes a dataset row after row; as a context it leaves the whole dataset or nothing.

    Args:
        folder: The dataset's folder, which must not exist.
        vocab_size: Of the tokenizer.
        made_from: What decides the dataset, for the manifest.
    """

    def __init__(self, folder: Path, vocab_size: int, made_from: Mapping[str, Any]):
        self._folder, self._made_from = folder, made_from
        self._type = "uint16" if vocab_size <= 1 << 16 else "uint32"
        self._temporary = folder.with_name(f".tmp-{folder.name}")
        self._lengths: list[np.ndarray] = []
        self._fingerprint = Fingerprint()
        self.left_out: list[str] = []

    def __enter__(self) -> "TokenWriter":
        # What a killed process left; the caller sees to it that nobody writes here now.
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir(parents=True)
        self._tokens = open(self._temporary / TOKENS, "wb")
        self._trained = open(self._temporary / TRAINED, "wb")
        return self

    def add(
        self,
        token_ids: Integer[np.ndarray, " n"],
        trained: Bool[np.ndarray, " n"],
        lengths: Int[np.ndarray, " rows"],
    ) -> None:
        """Append rows, one after the other in flat arrays."""
        self._tokens.write(token_ids.astype(_TYPES[self._type]).tobytes())
        self._trained.write(trained.tobytes())
        self._fingerprint.add(token_ids, trained)
        self._lengths.append(lengths)

    def __exit__(
        self, kind: type[BaseException] | None, error: Any, traceback: TracebackType | None
    ) -> None:
        try:
            self._tokens.close()
            self._trained.close()
            if kind is None:
                self._commit()
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _commit(self) -> None:
        lengths = np.concatenate([np.zeros(0, np.int64), *self._lengths])
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype("<i8")
        offsets.tofile(self._temporary / OFFSETS)
        manifest = {
            "format": FORMAT,
            "rows": len(lengths),
            "tokens": int(offsets[-1]),
            "type": self._type,
            "fingerprint": self._fingerprint.of(lengths),
            "made_from": self._made_from,
            "left_out": self.left_out,
        }
        text = json.dumps(manifest, indent=2, ensure_ascii=False)
        (self._temporary / MANIFEST).write_text(text, "utf-8")
        force_to_disk([*self._temporary.iterdir(), self._temporary])
        self._temporary.rename(self._folder)
        force_to_disk([self._folder.parent])


def force_to_disk(paths: Iterable[Path]) -> None:
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def open_arrays(
    folder: Path,
) -> tuple[
    Integer[np.ndarray, " tokens"], Bool[np.ndarray, " tokens"], Int64[np.ndarray, " ends"], Stored
]:
    """The arrays of a dataset's folder, tokens and marks mapped; see `TokenizedDataset.open`."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise TokenStoreError(
            f"{folder} is no tokenised dataset: it has no {MANIFEST}; expected a folder that "
            "tokenize_to_disk wrote"
        ) from None
    except ValueError as error:
        raise TokenStoreError(f"{folder / MANIFEST} is damaged: {error}") from error
    if manifest.get("format") != FORMAT or manifest.get("type") not in _TYPES:
        raise TokenStoreError(
            f"{folder / MANIFEST}: found format {manifest.get('format')!r} with tokens of type "
            f"{manifest.get('type')!r}, expected format {FORMAT} with {' or '.join(_TYPES)}"
        )
    rows, tokens, kind = manifest["rows"], manifest["tokens"], _TYPES[manifest["type"]]
    for name, size in {
        TOKENS: tokens * kind.itemsize,
        TRAINED: tokens,
        OFFSETS: (rows + 1) * 8,
    }.items():
        found = (folder / name).stat().st_size if (folder / name).exists() else "no"
        if found != size:
            raise TokenStoreError(f"{folder / name}: found {found} bytes, expected {size}")
    stored = Stored(
        folder.absolute(),
        rows,
        manifest["fingerprint"],
        manifest["made_from"],
        manifest["left_out"],
    )
    # A memmap gives memmaps for every row, which are slow to make; a plain view does not.
    token_ids = np.memmap(folder / TOKENS, kind, "r").view(np.ndarray)
    trained = np.memmap(folder / TRAINED, np.bool_, "r").view(np.ndarray)
    return token_ids, trained, np.fromfile(folder / OFFSETS, "<i8"), stored
