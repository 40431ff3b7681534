"""JSON Lines, read strictly: nothing is guessed, rounded or dropped in silence."""

import functools
import gzip
import io
import json
import math
import os
import reprlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from ._file_row import FileRow
from ._json_values import TOO_DEEP, is_too_deep, json_fault
from ._problem import DatasetError, Problem
from ._rows import Fault, RowKind, describe, row_faults

BOM = b"\xef\xbb\xbf"
GZIP_MAGIC = b"\x1f\x8b"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
EXPECTED_FILE = "expected a JSONL file: UTF-8, one JSON object per line"
JSON_OF_MANY_LINES = "; JSONL has each object whole on a line, and no list around them"


class _DuplicateKeyError(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    items = dict(pairs)
    if len(items) != len(pairs):
        seen: set[str] = set()
        repeated = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise _DuplicateKeyError(f"the key {repeated!r} occurs twice in one object")
    return items


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"the number {reprlib.repr(digits)} is beyond the range of a float")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


# msgspec is fast, strict and exact, but keeps the last of two equal keys and explains little; the
# standard parser, made as strict but for lone surrogates, sees the keys and says what is wrong.
_decode = msgspec.json.Decoder().decode
_decode_unique = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse
).decode
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def read_rows(path: str | os.PathLike[str], kind: RowKind = "text") -> list[dict[str, Any]]:
    """The rows of a JSONL file, plain or gzip.

    Raises:
        DatasetError: A line is not a row; every such line is listed.
        OSError: The file cannot be read; a missing one is a `FileNotFoundError`.
        TypeError: `path` is no path.
    """
    rows: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for _, row, found in stream_rows(path, kind):
        problems += found
        if not found:
            rows.append(row)
    if problems:
        raise DatasetError.listing(os.fspath(path), problems)
    return rows


def stream_rows(
    path: str | os.PathLike[str], kind: RowKind = "text"
) -> Iterator[tuple[int, Any, list[Problem]]]:
    """The rows of a JSONL file, plain or gzip, one at a time.

    Args:
        path: The file; it may be larger than memory.
        kind: What the rows are for, as in `Dataset.validate`.

    Yields:
        For each line that is not blank its number, from 1, its value, and what keeps that from
        being a row; nothing does in a good one, which keeps its line in a `Dataset`.

    Raises:
        OSError: The file cannot be read; a missing one is a `FileNotFoundError`.
        TypeError: `path` is no path.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "rows.jsonl")
        ...     _ = path.write_text('\\n{"prompt": "2+2?", "completion": "4"}')
        ...     list(stream_rows(path))
        [(2, {'prompt': '2+2?', 'completion': '4'}, [])]
    """
    # An integer would be taken as an open file descriptor, and that closed.
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path: found {describe(path)}, expected the path of a file")
    try:
        file = open(path, "rb")
    except (FileNotFoundError, IsADirectoryError) as error:
        reason = f"{error.strerror}; {EXPECTED_FILE}"
        raise type(error)(error.errno, reason, os.fspath(path)) from None
    faults_of = functools.partial(row_faults, kind=kind)
    with file:
        for number, row, faults in numbered_rows(file, faults_of):
            found = [Problem(code, message, line=number) for code, message in faults]
            yield number, row if found else FileRow(row, number), found


def encode_row(row: object, index: int) -> bytes:
    """One line of JSONL, newline included.

    Args:
        row: The row.
        index: Its index, for the error.

    Raises:
        DatasetError: The row is not a dict of JSON values; the text names row and field.
    """
    if not isinstance(row, dict):
        fault = f"found {describe(row)}, expected a dict"
    elif is_too_deep(row):
        fault = TOO_DEEP
    else:
        fault = json_fault(row)
    if fault is not None:
        problem = Problem("not_json", fault, row=index)
        raise DatasetError(f"cannot be written as JSON: {problem}", [problem])
    return f"{_encode(row)}\n".encode()


def numbered_rows(
    file: io.BufferedReader, faults_of: Callable[[Any], Iterable[Fault]]
) -> Iterator[tuple[int, Any, list[Fault]]]:
    """Number, value and faults of each line that is not blank.

    `faults_of` finds the faults of a value that was read.
    """
    stream, number = file, 0
    head = file.peek(2)[:2]
    if head in UTF16_MARKS:
        yield 1, None, [("invalid_utf8", f"the file is UTF-16 or UTF-32; {EXPECTED_FILE}")]
        return
    if head == GZIP_MAGIC:
        stream = gzip.GzipFile(fileobj=file)
    try:
        for number, raw in enumerate(stream, start=1):
            line = raw.removeprefix(BOM) if number == 1 else raw
            line = line.rstrip(b" \t\r\n")
            if line:
                yield number, *_decode_line(line, faults_of)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        yield number + 1, None, [("damaged_gzip", f"the gzip file is damaged here: {error}")]


def _decode_line(
    line: bytes, faults_of: Callable[[Any], Iterable[Fault]]
) -> tuple[Any, list[Fault]]:
    try:
        try:
            row = _decode(line)
        except ValueError as error:  # msgspec's errors and UnicodeDecodeError are both of this kind
            return None, [_explain(line, error)]
    except RecursionError:  # from either parser
        return None, [("too_deep", TOO_DEEP)]
    if is_too_deep(row):
        return None, [("too_deep", TOO_DEEP)]
    faults = list(faults_of(row))
    if isinstance(row, dict) and line.count(b'":') == len(row) and line.count(b":") == len(row):
        return row, faults  # as many keys as there are in the line: none of them twice
    try:
        _decode_unique(line.decode())
    except _DuplicateKeyError as error:
        faults.append(("duplicate_key", str(error)))
    return row, faults


def _explain(line: bytes, error: ValueError) -> Fault:
    """Why the fast parser refused a line, in the words of the standard one."""
    try:
        text = line.decode()
    except UnicodeDecodeError as decoding:
        byte = f"0x{line[decoding.start]:02x}"
        return "invalid_utf8", f"byte {decoding.start + 1} ({byte}) is not UTF-8: {decoding.reason}"
    try:
        value = _decode_unique(text)
    except _DuplicateKeyError as parsing:
        return "duplicate_key", str(parsing)
    except json.JSONDecodeError as parsing:
        found = repr(text[parsing.pos : parsing.pos + 20]) if text[parsing.pos :] else "end of line"
        hint = JSON_OF_MANY_LINES if text.strip() in ("[", "{", "[{") else ""
        fault = f"{parsing.msg} at character {parsing.pos + 1}, found {found}{hint}"
        return "invalid_json", fault
    except ValueError as parsing:
        return "invalid_json", str(parsing)
    return "invalid_json", json_fault(value) or str(error)
