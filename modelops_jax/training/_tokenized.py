"""A dataset as token ids: flat arrays, whether they are in memory or mapped from a disk."""

import dataclasses
import functools
import operator
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
from jaxtyping import Bool, Int, Int64, Integer

from ._rows import TokenizedRow
from ._token_files import Fingerprint, Stored, open_arrays

# Arrays that may be larger than memory are read in pieces of about so many tokens.
TOKENS_READ_AT_ONCE = 1 << 22


@dataclasses.dataclass(frozen=True, eq=False)
class TokenizedDataset:
    """Tokenised rows, one after the other in flat arrays.

    Row i has the tokens `offsets[i]` to `offsets[i + 1]`. `len(dataset)` and `dataset[i]`, a
    `TokenizedRow`, are those of Grain's `RandomAccessDataSource`: reading changes nothing, so any
    number of threads may, and a dataset on a disk is pickled as its path. Only offsets and lengths
    are held in memory then, about 40 bytes a row.

    Args:
        token_ids: Of all rows.
        trained: Which tokens the loss is on; each row has one at least after its first token.
        offsets: Where each row begins, and after them where the last one ends.
        stored: Where the arrays are on a disk, or None; from `open`.

    Example:
        >>> import numpy as np
        >>> row = TokenizedRow(np.asarray([7, 8, 9], np.int32), np.asarray([False, True, True]))
        >>> dataset = TokenizedDataset.from_rows([row, row])
        >>> len(dataset), dataset[1].token_ids.tolist(), dataset.tokens, dataset.trained_tokens
        (2, [7, 8, 9], 6, 4)
    """

    token_ids: Integer[np.ndarray, " tokens"]
    trained: Bool[np.ndarray, " tokens"]
    offsets: Int64[np.ndarray, " ends"]
    stored: Stored | None = None

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> "TokenizedDataset":
        """A dataset that `tokenize_to_disk` wrote; its tokens are read when they are asked for.

        Args:
            folder: The dataset's own folder, `dataset.stored.folder`.

        Raises:
            TokenStoreError: The folder is no such dataset, or a file of it is missing, of another
                size than it was, or of an unknown format.
        """
        token_ids, trained, offsets, stored = open_arrays(Path(folder))
        return cls(token_ids, trained, offsets, stored)

    @classmethod
    def from_rows(cls, rows: Iterable[TokenizedRow]) -> "TokenizedDataset":
        """A dataset in memory."""
        rows = list(rows)
        ends = np.cumsum([len(row.token_ids) for row in rows], dtype=np.int64)
        return cls(
            np.concatenate([np.zeros(0, np.int32), *(row.token_ids for row in rows)]),
            np.concatenate([np.zeros(0, bool), *(row.trained for row in rows)]),
            np.concatenate([np.zeros(1, np.int64), ends]),
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: SupportsIndex) -> TokenizedRow:
        at = operator.index(index)
        if not -len(self) <= at < len(self):
            raise IndexError(f"row {at}: the dataset has n = {len(self)} rows")
        start, end = self.offsets[at % len(self) :][:2]
        return TokenizedRow(np.array(self.token_ids[start:end], np.int32), self.trained[start:end])

    def __reduce__(self) -> tuple[Any, ...]:
        if self.stored is None:
            return type(self), (self.token_ids, self.trained, self.offsets)
        return _reopen, (self.stored.folder, self.stored.first_row, len(self))

    def __iter__(self) -> Iterator[TokenizedRow]:
        return (self[index] for index in range(len(self)))

    @functools.cached_property
    def lengths(self) -> Int[np.ndarray, " rows"]:
        """Number of tokens of each row."""
        return np.diff(self.offsets)

    @functools.cached_property
    def trained_counts(self) -> Int[np.ndarray, " rows"]:
        """Number of tokens of each row that the loss is on; a first token has no state for it."""
        return self._trained_summary[0]

    @property
    def tokens(self) -> int:
        """Number of tokens of all rows."""
        return int(self.offsets[-1] - self.offsets[0])

    @property
    def trained_tokens(self) -> int:
        """Number of tokens the loss is on."""
        return int(self.trained_counts.sum())

    @functools.cached_property
    def largest_token(self) -> int:
        """The largest token id of all rows."""
        pieces = (slice(self.offsets[start], self.offsets[end]) for start, end in self._pieces())
        return max(int(self.token_ids[tokens].max()) for tokens in pieces)

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the rows, the same wherever they are kept."""
        if self.stored is not None and len(self) == self.stored.rows:
            return self.stored.fingerprint
        fingerprint = Fingerprint()
        for start, end in self._pieces():
            tokens = slice(self.offsets[start], self.offsets[end])
            fingerprint.add(self.token_ids[tokens], self.trained[tokens])
        return fingerprint.of(self.lengths)

    def shard(self, process_index: int, process_count: int) -> "TokenizedDataset":
        """The part of one process: consecutive rows, each in one part, as many in each or one more.

        Args:
            process_index: From 0, such as `jax.process_index()`.
            process_count: How many parts there are.

        Raises:
            ValueError: There is no such process, or it would have no row.
        """
        if not 0 <= process_index < process_count:
            raise ValueError(
                f"process_index is {process_index}; expected 0 to {process_count - 1}, one of "
                f"process_count = {process_count}"
            )
        start, end = (len(self) * at // process_count for at in (process_index, process_index + 1))
        if start == end:
            raise ValueError(
                f"{process_count} processes for {len(self)} row(s); expected a row for each"
            )
        return self._part(start, end)

    def _part(self, start: int, end: int) -> "TokenizedDataset":
        stored = self.stored
        if stored is not None:
            stored = stored._replace(first_row=stored.first_row + start)
        return TokenizedDataset(self.token_ids, self.trained, self.offsets[start : end + 1], stored)

    def shared_beginning(self) -> int:
        """Number of tokens that all rows begin with, and after which each trains its first one.

        The state before a row's first trained token predicts it, so that token is the row's own.
        """
        limit = int(self._trained_summary[1].min()) - 1
        starts = self.offsets[:-1]
        for at in range(limit):
            tokens = self.token_ids[starts + at]
            if (tokens != tokens[0]).any():
                return at
        return limit

    @functools.cached_property
    def _trained_summary(self) -> tuple[Int[np.ndarray, " rows"], Int[np.ndarray, " rows"]]:
        """Number of trained tokens of each row, and the position of the first one."""
        counts, firsts = np.zeros((2, len(self)), np.int64)
        for start, end in self._pieces():
            offsets = self.offsets[start : end + 1]
            trained = np.array(self.trained[offsets[0] : offsets[-1]])
            starts = offsets[:-1] - offsets[0]
            trained[starts] = False
            counts[start:end] = np.add.reduceat(trained, starts, dtype=np.int64)
            places = np.append(np.flatnonzero(trained), len(trained))
            firsts[start:end] = places[np.searchsorted(places, starts)] - starts
        return counts, firsts

    def _pieces(self) -> Iterator[tuple[int, int]]:
        """Ranges of rows that are read together."""
        start = 0
        while start < len(self):
            full = self.offsets[start] + TOKENS_READ_AT_ONCE
            end = max(int(np.searchsorted(self.offsets, full, side="right")) - 1, start + 1)
            yield start, end
            start = end


def _reopen(folder: Path, first_row: int, rows: int) -> TokenizedDataset:
    return TokenizedDataset.open(folder)._part(first_row, first_row + rows)
