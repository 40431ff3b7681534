"""Reading JSON Lines: what is accepted, what is refused, how it is said (RFC 8259, RFC 3629)."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from modelops_jax.data import Dataset, DatasetError

GOOD = b'{"prompt": "p", "completion": "c"}'


def row(value: bytes) -> bytes:
    """A line whose row holds this JSON text under a further key."""
    return GOOD[:-1] + b', "x": ' + value + b"}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file of the test goes."""
    return tmp_path / "rows.jsonl"


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        pytest.param(row(rb'"\ud800"'), "invalid_json", "x: holds half of a sur", id="surrogate"),
        pytest.param(
            row(rb'"\ude00\ud83d"'), "invalid_json", "x: holds half of", id="swapped pair"
        ),
        pytest.param(row(b'"\xed\xa0\x80"'), "invalid_utf8", "(0xed) is not UTF-8", id="CESU-8"),
        pytest.param(row(b'"\xff"'), "invalid_utf8", "byte 42 (0xff) is not UTF-8", id="UTF-8"),
        pytest.param(row(b'"\xc3')[:-1], "invalid_utf8", "unexpected end of data", id="cut UTF-8"),
        pytest.param(b'{"\xff": 1}', "invalid_utf8", "byte 3 (0xff)", id="UTF-8 in a key"),
        pytest.param(
            b'{"prompt": "a", "completion": "c", "prompt": "b"}',
            "duplicate_key",
            "the key 'prompt' occurs twice in one object",
            id="duplicate keys",
        ),
        pytest.param(row(rb'{"a": 1, "\u0061": 1}'), "duplicate_key", "key 'a'", id="escaped key"),
        pytest.param(row(b'[{"a": NaN, "a": 1}]'), "invalid_json", "NaN is not a JSON", id="NaN"),
        pytest.param(row(b"-Infinity"), "invalid_json", "-Infinity is not a JSON", id="-Infinity"),
        pytest.param(row(b"1e999"), "invalid_json", "the number '1e999' is beyond", id="1e999"),
        pytest.param(row(b"7" * 5000), "invalid_json", "4300 digits", id="5000-digit int"),
        pytest.param(
            row(b"[" * 2000 + b"]" * 2000), "too_deep", "more than 100", id="nesting 2000"
        ),
        pytest.param(row(b"[" * 100 + b"]" * 100), "too_deep", "more than 100", id="nesting 101"),
        pytest.param(
            row(b"[1e999," * 900 + b"1" + b"]" * 900), "invalid_json", "'1e999'", id="both"
        ),
        pytest.param(GOOD + GOOD, "invalid_json", "Extra data at character 35, found", id="two"),
        pytest.param(GOOD + b" " + GOOD, "invalid_json", "Extra data at char", id="two, spaced"),
        pytest.param(GOOD + b",", "invalid_json", "Extra data at character 35, found ','", id=","),
        pytest.param(GOOD[:-1], "invalid_json", "found end of line", id="cut"),
        pytest.param(GOOD[:13], "invalid_json", "Unterminated string", id="cut in a string"),
        pytest.param(b"{'prompt': 1}", "invalid_json", "in double quotes at char", id="quotes"),
        pytest.param(b'{"a": 1,}', "invalid_json", "at character", id="trailing comma"),
        pytest.param(row(b"01"), "invalid_json", "found '1}'", id="leading zero"),
        pytest.param(row(b'"\x01"'), "invalid_json", "Invalid control character", id="control"),
        pytest.param(b"\0\0\0", "invalid_json", "Expecting value at character 1", id="NULs"),
        pytest.param(b" [", "invalid_json", "no list around them", id="a JSON file's beginning"),
        pytest.param(b"hello", "invalid_json", "found 'hello'", id="not JSON"),
        pytest.param(b'["p", "c"]', "not_an_object", "found list ['p', 'c'], exp", id="array"),
        pytest.param(b'"text"', "not_an_object", "found str 'text', expected an obj", id="string"),
        pytest.param(b"null", "not_an_object", "found NoneType None", id="null"),
        pytest.param(b'{"text": "p"}', "missing_keys", "found keys ['text'], expec", id="no keys"),
        pytest.param(
            b'{"prompt": "p"}', "missing_keys", "'completion', or 'messages'", id="one key"
        ),
        pytest.param(
            b'{"prompt": "p", "completion": "c", "messages": []}',
            "ambiguous_keys",
            "expected 'prompt' and 'completion', or 'messages', not both",
            id="both kinds",
        ),
    ],
)
def test_refused_lines(path: Path, line: bytes, code: str, reason: str):
    """A bad line is one problem with its number and reason; the good ones beside it are none."""
    path.write_bytes(GOOD + b"\n" + line + b"\n" + GOOD + b"\n")
    with pytest.raises(DatasetError) as caught:
        Dataset.from_file(path)
    (problem,) = caught.value.problems
    assert (problem.line, problem.row, problem.code) == (2, None, code)
    assert reason in problem.message
    assert str(caught.value) == f"{path}: 1 problem\n  line 2: {problem.message}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param(b"18446744073709551616", 2**64, id="2**64"),
        pytest.param(b"-9223372036854775809", -(2**63) - 1, id="below int64"),
        pytest.param(b"123456789012345678901234567890", int("1234567890" * 3), id="30-digit int"),
        pytest.param(b"9007199254740993", 2**53 + 1, id="2**53 + 1"),
        pytest.param(b"1.0", 1.0, id="float"),
        pytest.param(b"1e308", 1e308, id="1e308"),
        pytest.param(rb'"\ud83d\ude00"', "\U0001f600", id="surrogate pair"),
        pytest.param('"\u2028\x85é"'.encode(), "\u2028\x85é", id="other line separators"),
        pytest.param(rb'"\u0000\n"', "\0\n", id="escapes"),
        pytest.param(b'"2024-01-01"', "2024-01-01", id="date"),
        pytest.param(b'{"a": {"a": [{"a": 1}]}}', {"a": {"a": [{"a": 1}]}}, id="nested key"),
        pytest.param(b"null", None, id="null"),
    ],
)
def test_values_are_exact(path: Path, text: bytes, value: object):
    """A value is read as exactly what stands there, with its type."""
    path.write_bytes(row(text))
    (read,) = Dataset.from_file(path)
    assert read == {"prompt": "p", "completion": "c", "x": value}
    assert type(read["x"]) is type(value)


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        pytest.param(b"", 0, id="empty"),
        pytest.param(b"\n \t\r\n", 0, id="only blank lines"),
        pytest.param(b"\xef\xbb\xbf", 0, id="only a BOM"),
        pytest.param(GOOD, 1, id="no newline at the end"),
        pytest.param(b"\xef\xbb\xbf" + GOOD + b"\n" + GOOD, 2, id="BOM"),
        pytest.param(GOOD + b"\r\n" + GOOD + b"\r\n", 2, id="CRLF"),
        pytest.param(b"\n\n" + GOOD + b"\n  \n\r\n" + GOOD + b"\n\n", 2, id="blank lines"),
        pytest.param(b" \t" + GOOD + b" \t\n", 1, id="indented"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_accepted_files(path: Path, content: bytes, rows: int, pack: Any):
    """A BOM, either line ending, blank lines, a missing last newline and gzip are accepted."""
    path.write_bytes(pack(content))
    assert Dataset.from_file(path) == Dataset([json.loads(GOOD)] * rows)


def test_line_numbers_count_every_line(path: Path):
    """Blank lines and a BOM do not shift the number of a bad line."""
    path.write_bytes(b"\xef\xbb\xbf\r\n\n" + GOOD + b"\n\n{\n")
    with pytest.raises(DatasetError, match="line 5: Expecting property name"):
        Dataset.from_file(path)


def test_second_bom_is_an_error(path: Path):
    """A BOM that is not at the start of the file is no white space."""
    path.write_bytes(GOOD + b"\n\xef\xbb\xbf" + GOOD)
    with pytest.raises(DatasetError, match="line 2: "):
        Dataset.from_file(path)


def test_every_bad_line_is_reported(path: Path):
    """One error holds all problems in order; its text lists the first 20 and counts them all."""
    lines = [GOOD if number % 3 == 0 else b"oops" for number in range(1, 91)]
    lines[0] = b'{"prompt": 1, "completion": 2, "prompt": 3}'
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(DatasetError) as caught:
        Dataset.from_file(path)
    problems = caught.value.problems
    assert [problem.code for problem in problems[:4]] == [
        "not_text",
        "not_text",
        "duplicate_key",
        "invalid_json",
    ]
    bad = [number for number in range(1, 91) if number % 3]
    assert [problem.line for problem in problems] == [1, 1, *bad]
    text = str(caught.value).splitlines()
    assert text[0] == f"{path}: 62 problems"
    assert text[1:21] == [f"  {problem}" for problem in problems[:20]]
    assert text[21:] == ["  ... and 42 more (all of them in .problems)"]


def test_rows_need_not_be_alike(path: Path):
    """Keys that come late, change their type or hold lists keep their values (1.3's traps)."""
    rows: list[dict[str, Any]] = [
        {"prompt": "2024-01-01", "completion": str(i)} for i in range(2000)
    ]
    rows[1000]["id"] = 1
    rows[1001]["id"] = "s"
    rows[1002]["id"] = ["s", {"t": 2.0}]
    rows[1999]["late"] = True
    rows.append({"messages": [{"role": "assistant", "content": "c"}]})
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert Dataset.from_file(path).data == rows


def test_content_of_a_list_is_not_made_a_string(path: Path):
    """A content that is a list among strings is an error of its line."""
    messages = [{"role": "assistant", "content": [{"type": "text", "text": "c"}]}]
    path.write_bytes(GOOD + b"\n" + json.dumps({"messages": messages}).encode())
    with pytest.raises(DatasetError, match=r"line 2: messages\[0\]\.content: found list"):
        Dataset.from_file(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_other_encodings(path: Path, encoding: str):
    """A file with a mark of UTF-16 or UTF-32 is one problem that says so."""
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    path.write_bytes(mark + (GOOD + b"\n" + GOOD).decode().encode(encoding))
    with pytest.raises(DatasetError, match="1 problem\n  line 1: the file is UTF-16 or UTF-32"):
        Dataset.from_file(path)


@pytest.mark.parametrize("damage", ["cut", "flipped", "header"])
def test_damaged_gzip(path: Path, damage: str):
    """A gzip file that is cut or altered is an error, never a shorter dataset."""
    packed = bytearray(gzip.compress((GOOD + b"\n") * 1000))
    if damage == "cut":
        del packed[-12:]
    elif damage == "flipped":
        packed[-6] ^= 0xFF
    else:
        del packed[5:]
    path.write_bytes(packed)
    with pytest.raises(DatasetError, match="the gzip file is damaged here"):
        Dataset.from_file(path)


def test_missing_file(path: Path):
    """A missing file is a FileNotFoundError that names it and what was expected."""
    with pytest.raises(FileNotFoundError, match="expected a JSONL file: UTF-8, one JSON") as caught:
        Dataset.from_file(path)
    assert caught.value.filename == str(path)
    assert str(path) in str(caught.value)


def test_folder_instead_of_a_file(tmp_path: Path):
    """A folder is an error that names it and what was expected."""
    with pytest.raises(IsADirectoryError, match=f"expected a JSONL file.*'{tmp_path}'"):
        Dataset.from_file(tmp_path)
