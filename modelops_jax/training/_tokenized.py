"""A dataset as token ids: flat arrays, whether they are in memory or mapped from a disk."""

import dataclasses
import functools
import hashlib
import operator
from collections.abc import Iterable, Iterator
from typing import SupportsIndex

import numpy as np
from jaxtyping import Bool, Int, Int64, Integer

from ._rows import TokenizedRow

# Arrays that may be larger than memory are read in pieces of about so many tokens.
TOKENS_READ_AT_ONCE = 1 << 22


@dataclasses.dataclass(frozen=True, eq=False)
class TokenizedDataset:
    """Tokenised rows, one after the other in flat arrays.

    Row i has the tokens `offsets[i]` to `offsets[i + 1]`. `len(dataset)` and `dataset[i]`, a
    `TokenizedRow`, are those of Grain's `RandomAccessDataSource`.

    Args:
        token_ids: Of all rows.
        trained: Which tokens the loss is on; each row has one at least after its first token.
        offsets: Where each row begins, and after them where the last one ends.

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
    def fingerprint(self) -> str:
        """Of the rows, wherever they are kept."""
        digest = hashlib.sha256(self.lengths.tobytes())
        for start, end in self._pieces():
            tokens = slice(self.offsets[start], self.offsets[end])
            digest.update(np.asarray(self.token_ids[tokens], np.int32).tobytes())
            digest.update(self.trained[tokens].tobytes())
        return digest.hexdigest()

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
            places = np.flatnonzero(trained)
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
