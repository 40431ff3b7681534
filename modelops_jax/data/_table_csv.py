"""Columns of a CSV or TSV file, by the names in its first row."""

import csv
import gzip
import io
import operator
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from ._jsonl import BOM, GZIP_MAGIC, UTF16_MARKS
from ._problem import DatasetError, Problem

# How far the file is read is looked up once in so many lines.
_LINES_A_SHARE = 1024
_BYTES_AT_ONCE = 1 << 18


def csv_rows(
    path: Path, columns: Sequence[str]
) -> Iterator[tuple[int, Sequence[str] | Problem, float]]:
    """Line on which it ends, cells (or what is wrong) and share read of each row.

    Raises:
        DatasetError: The first row cannot be read, or does not name the columns once each.
    """
    size = path.stat().st_size
    delimiter = "\t" if ".tsv" in path.suffixes else ","
    with open(path, "rb") as file:
        lines = _Lines(file)
        if lines.is_utf16:
            raise DatasetError(f"{path}: the file is UTF-16 or UTF-32; expected UTF-8")
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            header = next(reader, [])
        except csv.Error as error:
            raise DatasetError(f"{path}, line 1: {error}; expected the columns' names") from None
        places = _places(path, header, columns)
        # Of one column `itemgetter` gives the cell and no sequence of cells.
        cells_of = (
            operator.itemgetter(*places) if len(places) > 1 else lambda row: (row[places[0]],)
        )
        share, told, width = 0.0, 0, len(header)
        while True:
            try:
                row = next(reader, None)
            except (csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as error:
                damaged = not isinstance(error, csv.Error)
                code, line = ("damaged_gzip" if damaged else "invalid_csv"), reader.line_num
                yield line, Problem(code, str(error), line=line), 1.0 if damaged else 0.0
                if damaged:
                    return
                continue
            if row is None:
                return
            line = reader.line_num
            if line - told >= _LINES_A_SHARE:
                share, told = min(1.0, file.tell() / size), line
            if lines.bad is not None:
                yield line, Problem("invalid_utf8", lines.bad, line=line), share
                lines.bad = None
            elif len(row) == width:
                yield line, cells_of(row), share
            elif row:
                message = f"found {len(row)} cells, expected {len(header)}, as in the first row"
                yield line, Problem("invalid_csv", message, line=line), share


def _places(path: Path, header: list[str], columns: Sequence[str]) -> list[int]:
    for name in columns:
        if header.count(name) != 1:
            found = "no column" if name not in header else f"{header.count(name)} columns"
            known = ", ".join(map(repr, header[:20])) or "none"
            raise DatasetError(f"{path}: {found} {name!r}; the columns are {known}")
    return [header.index(name) for name in columns]


class _Lines:
    """The lines of a file as text; `bad` says what was wrong with the bytes of the last ones."""

    def __init__(self, file: io.BufferedReader) -> None:
        head = file.peek(2)[:2]
        self.is_utf16 = head in UTF16_MARKS
        self._file = file
        self._zipped = head == GZIP_MAGIC
        self.bad: str | None = None

    def __iter__(self) -> Iterator[str]:
        for place, block in enumerate(self._blocks()):
            if place == 0:
                block[0] = block[0].removeprefix(BOM)
            try:
                text = b"".join(block).decode()
            except UnicodeDecodeError:
                yield from map(self._decoded, block)
            else:
                yield from io.StringIO(text, newline="\n")

    def _blocks(self) -> Iterator[list[bytes]]:
        if self._zipped:  # line by line: of a damaged file those before the damage are good
            yield from ([line] for line in gzip.GzipFile(fileobj=self._file))
        while block := self._file.readlines(_BYTES_AT_ONCE):
            yield block

    def _decoded(self, raw: bytes) -> str:
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            byte = f"0x{raw[error.start]:02x}"
            self.bad = f"byte {error.start + 1} ({byte}) is not UTF-8: {error.reason}"
            return raw.decode(errors="replace")
