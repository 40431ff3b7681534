"""Columns of a CSV or TSV file, by the names in its first row."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from ._jsonl import BOM, GZIP_MAGIC, UTF16_MARKS
from ._problem import DatasetError, Problem

# How far the file is read is looked up once in so many lines.
_LINES_A_SHARE = 1024


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
                yield line, [row[place] for place in places], share
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
        self._stream = iter(gzip.GzipFile(fileobj=file) if head == GZIP_MAGIC else file)
        self._first = True
        self.bad: str | None = None

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        raw = next(self._stream)
        if self._first:
            raw, self._first = raw.removeprefix(BOM), False
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            byte = f"0x{raw[error.start]:02x}"
            self.bad = f"byte {error.start + 1} ({byte}) is not UTF-8: {error.reason}"
            return raw.decode(errors="replace")
