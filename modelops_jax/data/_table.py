"""Columns of a file of any size, in chunks of rows."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ._cells import CellError, CellKind, read_whole, reader_of
from ._problem import DatasetError, Problem
from ._table_csv import csv_rows
from ._table_jsonl import jsonl_rows
from ._table_npz import npz_blocks
from ._table_parquet import parquet_blocks

CHUNK_ROWS = 1 << 16


@dataclass
class TableChunk:
    """Some rows of a table.

    `columns` has a list of values by column, all of one length; `lines` says where each row is
    in its file (line, or row of a file without lines, from 1), and `problems` which rows of this
    part of the file cannot be used and why; those are in no column. `done` is the share of the
    file that has been read, in [0, 1].
    """

    columns: dict[str, list[Any]]
    lines: list[int] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    done: float = 0.0


# (path, columns) -> (line, cells in the order of the columns or a problem, share read) of each row.
RowReader = Callable[[Path, Sequence[str]], Iterator[tuple[int, Sequence[Any] | Problem, float]]]
# (path, columns, rows) -> the cells of each column, of at most so many rows, and the share read.
BlockReader = Callable[[Path, Sequence[str], int], Iterator[tuple[list[list[Any]], float]]]

_BY_ROW: Mapping[str, RowReader] = {
    ".jsonl": jsonl_rows,
    ".ndjson": jsonl_rows,
    ".csv": csv_rows,
    ".tsv": csv_rows,
}
_BY_COLUMN: Mapping[str, BlockReader] = {".npz": npz_blocks, ".parquet": parquet_blocks}
_ENDINGS = (*_BY_ROW, *_BY_COLUMN)


def read_table(
    path: str | os.PathLike[str],
    columns: Mapping[str, CellKind],
    *,
    chunk_rows: int = CHUNK_ROWS,
) -> Iterator[TableChunk]:
    """Read columns of a JSONL, CSV, TSV, NPZ or Parquet file, some rows at a time.

    Memory does not grow with the file. What a file of text means by its characters is decided by
    its first chunk: labels that all look like integers are integers. An empty cell of CSV or TSV
    is a missing label, as null is in JSONL and Parquet; a text may be empty. Dates and timestamps
    of Parquet are texts by ISO 8601 ("2026-11-26"; those with a time zone in UTC, with a Z),
    decimals with digits behind the point are labels as they are written.

    Args:
        path: The file; its ending says what it is. JSONL and CSV may be compressed by gzip
            (`.jsonl.gz`).
        columns: The columns to read, and what their cells are: "label" (a string, an integer or a
            bool, the same in all rows), "number" (finite), "relevance" (a number of at least 0, or
            a bool), "weight" (a number of at least 0), "text", "texts" (a text or a list of some,
            at least one), or "labels" (a list of 0 and 1).
        chunk_rows: Rows in a chunk.

    Yields:
        Chunks of at most so many rows, at least one.

    Raises:
        DatasetError: The file is none of these or damaged as a whole, or has no such column; the
            message names the file, what was found and what was expected.
        ImportError: A Parquet file without pyarrow; the message names the extra.
        OSError: The file cannot be read.

    Example:
        >>> import tempfile
        >>> from modelops_jax.data import read_table
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "predictions.csv"
        ...     _ = path.write_text("y,p\\n1,1\\n0,1\\n1,one\\n")
        ...     (chunk,) = read_table(path, {"y": "label", "p": "text"})
        >>> chunk.columns
        {'y': [1, 0, 1], 'p': ['1', '1', 'one']}
    """
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise FileNotFoundError(f"{path}: {found}; expected a file of rows")
    endings = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    ending = endings[-1] if endings else ""
    if ending not in _ENDINGS:
        raise DatasetError(
            f"{path}: the ending {ending!r} is none of {', '.join(_ENDINGS)} (or of those with .gz)"
        )
    if not path.stat().st_size:
        raise DatasetError(f"{path}: the file is empty; expected rows")
    names = list(dict.fromkeys(columns))
    if ending in _BY_ROW:
        blocks = _in_blocks(_BY_ROW[ending](path, names), len(names), chunk_rows)
    else:
        blocks = _numbered(_BY_COLUMN[ending](path, names, chunk_rows))
    cells = _Cells(names, [columns[name] for name in names], from_text=ending in (".csv", ".tsv"))
    block = None
    for block in blocks:
        yield cells.read(block)
    if block is None:
        yield cells.read(_Block([], [[] for _ in names], [], 1.0))


@dataclass
class _Block:
    """Some rows as they are in the file: the line and, by column, the cell of each good one."""

    lines: Sequence[int]
    columns: Sequence[Sequence[Any]]
    problems: list[Problem]
    done: float


def _in_blocks(
    rows: Iterator[tuple[int, Sequence[Any] | Problem, float]], width: int, size: int
) -> Iterator[_Block]:
    """Rows that come one by one, so many at a time."""
    lines: list[int] = []
    cells: list[Sequence[Any]] = []
    problems: list[Problem] = []
    done = 0.0

    def taken(done: float) -> _Block:
        columns = list(zip(*cells, strict=True)) if cells else [()] * width
        block = _Block(lines.copy(), columns, problems.copy(), done)
        for part in (lines, cells, problems):
            part.clear()
        return block

    for line, row, done in rows:
        if isinstance(row, Problem):
            problems.append(row)
        else:
            lines.append(line)
            cells.append(row)
        if len(lines) + len(problems) >= size:
            yield taken(done)
    if lines or problems:
        yield taken(1.0)


def _numbered(blocks: Iterator[tuple[list[list[Any]], float]]) -> Iterator[_Block]:
    """Blocks of a file without lines, with the numbers of their rows."""
    number = 1
    for columns, done in blocks:
        count = len(columns[0])
        yield _Block(range(number, number + count), columns, [], done)
        number += count


class _Cells:
    """What reads the cells of each column, as the first block has them."""

    def __init__(self, names: list[str], kinds: list[CellKind], *, from_text: bool) -> None:
        self._names, self._kinds, self._from_text = names, kinds, from_text
        self._readers: list[Callable[[Any], Any]] | None = None

    def read(self, block: _Block) -> TableChunk:
        """The rows of a block, read as what they are."""
        if self._readers is None:
            self._readers = [
                reader_of(kind, first, from_text=self._from_text)
                for kind, first in zip(self._kinds, block.columns, strict=True)
            ]
        chunk = TableChunk(
            {name: [] for name in self._names}, problems=block.problems, done=block.done
        )
        if block.lines and (whole := self._whole_columns(block.columns)):
            chunk.columns = dict(zip(self._names, whole, strict=True))
            chunk.lines = list(block.lines)
            return chunk
        for line, *cells in zip(block.lines, *block.columns, strict=True):
            try:
                values = [
                    _read(read, name, cell)
                    for read, name, cell in zip(self._readers, self._names, cells, strict=True)
                ]
            except CellError as error:
                chunk.problems.append(Problem("wrong_value", str(error), line=line))
                continue
            chunk.lines.append(line)
            for name, value in zip(self._names, values, strict=True):
                chunk.columns[name].append(value)
        chunk.problems.sort(key=lambda problem: problem.line or 0)
        return chunk

    def _whole_columns(self, columns: Sequence[Sequence[Any]]) -> list[list[Any]] | None:
        """The columns read at once, several times as fast; None unless every cell is good."""
        assert self._readers is not None
        found = []
        for read, column in zip(self._readers, columns, strict=True):
            values = read_whole(read, column)
            if values is None:
                return None
            found.append(values)
        return found


def _read(read: Callable[[Any], Any], name: str, cell: Any) -> Any:
    try:
        return read(cell)
    except CellError as error:
        raise CellError(f"{name}: {error}") from None
