"""Columns of files in chunks: every format gives the same rows, and every bad row its line."""

import datetime
import gzip
import json
import zipfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.csv
import pyarrow.parquet
import pytest

from modelops_jax.data import CellKind, DatasetError, read_table
from modelops_jax.data._cells import CellError, read_whole, reader_of

ROWS = [("ham", 0.5), ("spam", -2.0), ("spam", 1e-3), ("ham", 7.0), ("eggs", 0.0)]
KINDS: dict[str, CellKind] = {"y": "label", "score": "number"}


def _write(folder: Path, ending: str) -> Path:
    path = folder / f"rows{ending}"
    labels, scores = [label for label, _ in ROWS], [score for _, score in ROWS]
    lines = [json.dumps({"score": score, "id": 1, "y": label}) for label, score in ROWS]
    if ending.startswith(".jsonl"):
        text = "\n".join(lines) + "\n"
    else:
        separator = "\t" if ending == ".tsv" else ","
        cells = [["score", "id", "y"], *([str(score), "1", label] for label, score in ROWS)]
        text = "\r\n".join(separator.join(row) for row in cells)
    if ending == ".npz":
        np.savez(path, y=np.array(labels), score=np.array(scores), other=np.zeros(2))
    elif ending == ".parquet":
        pyarrow.parquet.write_table(pyarrow.table({"score": scores, "y": labels}), path)
    elif ending.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, newline="")
    return path


@pytest.mark.parametrize(
    "ending", [".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".tsv", ".npz", ".parquet"]
)
def test_every_format_gives_the_same_columns_in_chunks(tmp_path, ending):
    chunks = list(read_table(_write(tmp_path, ending), KINDS, chunk_rows=2))
    assert [len(chunk.lines) for chunk in chunks] == [2, 2, 1]
    assert chunks[-1].done == 1.0
    found = {name: [v for chunk in chunks for v in chunk.columns[name]] for name in KINDS}
    assert list(zip(found["y"], found["score"], strict=True)) == ROWS
    assert not any(chunk.problems for chunk in chunks)


def _problems(path: Path, kinds: dict[str, CellKind] | None = None) -> tuple[list[str], list[int]]:
    chunks = list(read_table(path, kinds or KINDS))
    problems = [str(problem) for chunk in chunks for problem in chunk.problems]
    return problems, [line for chunk in chunks for line in chunk.lines]


def test_bad_lines_of_jsonl_are_named_and_the_others_kept(tmp_path):
    lines = [
        b'{"y": "ham", "score": 1}',
        b"{broken",
        b"",
        b'{"y": "ham"}',
        b'{"y": "ham", "score": "high"}',
        b'{"y": "ham", "score": true}',
        b'{"y": 3, "score": 1}',
        b'{"y": "ham", "score": 1e999}',
        b'{"y": "ham", "score": 1, "y": "spam"}',
        b'{"y": "\xff", "score": 1}',
        b"[1, 2]",
        b'{"y": "ham", "score": ' + b"9" * 5000 + b"}",
        b'{"y": null, "score": 1}',
        b'{"y": "spam", "score": 2}',
    ]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines))
    problems, kept = _problems(path)
    assert kept == [1, 14]
    expected = [
        "line 2: Expecting property name",
        "line 4: no key 'score'; the keys are 'y'",
        "line 5: score: found str 'high', expected a number",
        "line 6: score: found bool True, expected a number",
        "line 7: y: found int 3, expected a string, as in the first rows",
        "line 8: ",
        "line 9: the key 'y' occurs twice",
        "line 10: byte 8 (0xff) is not UTF-8",
        "line 11: found list [1, 2], expected an object",
        "line 12: ",
        "line 13: y: found NoneType None, expected a label",
    ]
    assert len(problems) == len(expected)
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start), problem


def test_bad_rows_of_csv_are_named_by_the_line_they_end_on(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(
        b'y,score\n"two\nlines",1\nham\nham,nan\nham,\nham,1,2\n\nh\xffm,1\nspam,2\n"ham"x,3\nham,4\n'
    )
    problems, kept = _problems(path)
    assert kept == [3, 10, 12]
    assert [problem.split(":")[0] for problem in problems] == [
        "line 4", "line 5", "line 6", "line 7", "line 9", "line 11",
    ]  # fmt: skip
    assert "found 1 cells, expected 2" in problems[0]
    assert "expected a finite number" in problems[1]
    assert "found '', expected a number" in problems[2]
    assert "is not UTF-8" in problems[4]


def test_an_unterminated_quote_is_one_problem(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('y,score\nham,1\n"spam,2\nham,3\n')
    problems, kept = _problems(path)
    assert kept == [2]
    assert problems == ["line 4: unexpected end of data"]


def test_labels_of_text_are_integers_if_all_of_the_first_rows_are(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("y,score\n1,1\n-2,1\n")
    assert next(read_table(path, KINDS)).columns["y"] == [1, -2]
    path.write_text("y,score\n1,1\n007,1\n")
    assert next(read_table(path, KINDS)).columns["y"] == ["1", "007"]
    path.write_text("y,score\n1,1\nx,1\n")
    first, second = read_table(path, KINDS, chunk_rows=1)
    assert first.columns["y"] == [1]
    (problem,) = second.problems
    assert str(problem) == "line 3: y: found 'x', expected an integer, as in the first rows"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "the file is empty"),
        ("a.csv", b"y,y,score\n1,1,1\n", "2 columns 'y'; the columns are 'y', 'y', 'score'"),
        ("a.csv", b"x\n1\n", "no column 'y'; the columns are 'x'"),
        ("a.csv", "y,score\n".encode("utf-16"), "UTF-16"),
        ("a.npz", b"PK nothing", "no NPZ file, or a damaged one"),
        ("a.parquet", b"PAR1 nothing", "no Parquet file, or a damaged one"),
        ("a.xlsx", b"PK", "the ending '.xlsx' is none of .jsonl"),
    ],
)
def test_a_file_that_is_no_table_is_refused_by_name(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=message) as caught:
        list(read_table(path, KINDS))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": np.array([{"a": 1}], object), "score": np.ones(1)}, "'y' is object"),
        ({"y": np.ones(2), "score": np.ones(3)}, "different lengths: y \\(2,\\), score \\(3,\\)"),
        ({"y": np.ones(2)}, "no array 'score'; the arrays are 'y'"),
        ({"y": np.ones((2, 2), order="F"), "score": np.ones(2)}, "'y' is stored column by column"),
        ({"y": np.float64(1), "score": np.ones(1)}, "'y' is float64 of shape \\(\\)"),
    ],
)
def test_arrays_that_are_no_columns_are_refused(tmp_path, arrays, message):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    with pytest.raises(DatasetError, match=message):
        list(read_table(path, KINDS))


def test_a_cut_array_is_an_error_and_not_fewer_rows(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, y=np.arange(1000), score=np.ones(1000))
    whole = zipfile.ZipFile(path).read("y.npy")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("y.npy", whole[:-80])
        archive.writestr("score.npy", whole)
    with pytest.raises(DatasetError, match="ends after fewer rows"):
        list(read_table(path, KINDS))


def test_damaged_compression_is_told_with_the_file(tmp_path):
    """Of an NPZ that is compressed, and of a Parquet file whose footer is whole."""
    packed = tmp_path / "a.npz"
    np.savez_compressed(packed, y=np.arange(5000) % 7, score=np.arange(5000.0))
    columns = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(
        pyarrow.table({"y": ["a", "b"] * 50, "score": [0.5] * 100}), columns
    )
    for path, place in ((packed, 90), (columns, 10)):
        content = bytearray(path.read_bytes())
        for step in range(40):
            content[place + step] ^= 0xFF
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=f"{path}.* damaged one"):
            list(read_table(path, KINDS))


def test_columns_of_parquet_are_named_once_and_may_be_decimals(tmp_path):
    path = tmp_path / "a.parquet"
    prices = pyarrow.array([Decimal("1.50"), Decimal("-2.25")])
    pyarrow.parquet.write_table(pyarrow.table({"y": [1, 0], "score": prices}), path)
    assert next(read_table(path, KINDS)).columns["score"] == [1.5, -2.25]
    table = pyarrow.Table.from_arrays(3 * [prices], names=["y", "y", "score"])
    pyarrow.parquet.write_table(table, path)
    with pytest.raises(DatasetError, match="2 columns 'y'; the columns are 'y', 'y', 'score'"):
        list(read_table(path, KINDS))


def test_labels_of_parquet_are_what_a_file_of_text_has(tmp_path):
    """Days, decimals and categories, with rows that have none: as pyarrow writes them to CSV."""
    days = [datetime.date(2026, 11, 26), datetime.date(1969, 7, 20), datetime.date(2026, 11, 26)]
    table = pyarrow.table(
        {
            "day": days,
            "day64": pyarrow.array(days, pyarrow.date64()),
            "category of days": pyarrow.array(days).dictionary_encode(),
            "category": pyarrow.array(["b", "a", "b"]).dictionary_encode(),
            "price": pyarrow.array([Decimal("1.50"), Decimal("-0.25"), Decimal("1E+2")]),
            "number": pyarrow.array([Decimal(3), Decimal(-200), Decimal(3)], pyarrow.decimal128(9)),
        }
    )
    kinds: dict[str, CellKind] = dict.fromkeys(table.column_names, "label")
    pyarrow.csv.write_csv(table, tmp_path / "a.csv")
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    (as_text,), (found,) = (read_table(tmp_path / name, kinds) for name in ("a.csv", "a.parquet"))
    assert found.columns == as_text.columns
    assert found.columns["day"] == ["2026-11-26", "1969-07-20", "2026-11-26"]
    assert found.columns["number"] == [3, -200, 3]
    missing = pyarrow.table({name: [*table[name].to_pylist(), None] for name in kinds})
    pyarrow.parquet.write_table(missing, tmp_path / "a.parquet")
    (found,) = read_table(tmp_path / "a.parquet", kinds)
    assert found.columns == as_text.columns
    assert [problem.line for problem in found.problems] == [4]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_timestamps_of_parquet_are_iso_texts(tmp_path, unit, zone):
    """As Python writes them, in UTC; one time is one text in any unit that has it."""
    times = [datetime.datetime(2026, 11, 26, 9, 30), datetime.datetime(1969, 7, 20, 20, 17, 40)]
    expected = [time.isoformat() + ("Z" if zone else "") for time in times]
    if unit in ("us", "ns"):
        times.append(datetime.datetime(2026, 1, 1, microsecond=250_001))
        expected.append("2026-01-01T00:00:00.250001" + ("Z" if zone else ""))
    column = pyarrow.array(times, pyarrow.timestamp(unit, zone))
    pyarrow.parquet.write_table(pyarrow.table({"at": column}), tmp_path / "a.parquet")
    (found,) = read_table(tmp_path / "a.parquet", {"at": "label"})
    assert found.columns["at"] == expected


def test_numbers_of_text_are_written_as_files_write_them(tmp_path):
    """Python would read 1_0 as ten, and other scripts' digits."""
    path = tmp_path / "a.csv"
    path.write_text("y,score\na, 1.5e3 \na,1_0\na,\u0661\n")
    problems, kept = _problems(path)
    assert kept == [2]
    assert [one.split(": ")[-1] for one in problems] == [
        "found '1_0', expected a number",
        "found '\u0661', expected a number",
    ]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_an_integer_that_a_float_does_not_hold_is_a_bad_row(tmp_path, name):
    """2**53 + 1 would be read as 2**53; written as a float it is one."""
    path, cells = tmp_path / name, [str(2**53), str(-(2**53) - 1), "1e300", "1" * 400]
    lines = {".csv": ["y,score", *(f"a,{cell}" for cell in cells)]}
    rows = [f'{{"y": "a", "score": {cell}}}' for cell in cells]
    path.write_text("\n".join(lines.get(path.suffix, rows)) + "\n")
    problems, kept = _problems(path)
    first = 2 if path.suffix == ".csv" else 1
    assert kept == [first, first + 2]
    assert "found int -9007199254740993, expected an integer of at most 2**53" in problems[0]
    assert len(problems) == 2


def test_lists_of_zeros_and_ones_are_read_as_such(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"y": [0, 1]}\n{"y": [0, 2]}\n{"y": 1}\n')
    problems, kept = _problems(path, {"y": "labels"})
    assert kept == [1]
    assert [p.split(",")[-1] for p in problems] == [" expected a list of 0 and 1"] * 2
    path.write_text('{"y": [0, 1]}\n{"y": [0, 1, 1]}\n')
    problems, kept = _problems(path, {"y": "labels"})
    assert kept == [1]
    assert problems[0].endswith("[0, 1, 1], expected a list of 2, as in the first rows")


@pytest.mark.parametrize("whole", ["1", "ham"])
def test_an_empty_cell_is_a_missing_label(tmp_path, whole):
    """As pandas reads one, and as null is in files that have null; texts may be empty."""
    label = (
        (lambda cell: int(cell) if cell else None) if whole == "1" else lambda cell: cell or None
    )
    cells = [whole, "", whole, whole], ["", "a", "", "b"]
    path = tmp_path / "rows.csv"
    path.write_text("y,text\n" + "".join(f"{y},{text}\n" for y, text in zip(*cells, strict=True)))
    kinds: dict[str, CellKind] = {"y": "label", "text": "text"}
    (chunk,) = read_table(path, kinds)
    assert chunk.columns == {"y": [label(whole)] * 3, "text": ["", "", "b"]}
    assert chunk.lines == [2, 4, 5]
    expected = "an integer, as in the first rows" if whole == "1" else "a label"
    assert [str(p) for p in chunk.problems] == [
        f"line 3: y: found an empty cell, expected {expected}"
    ]
    rows = [{"y": label(y), "text": text} for y, text in zip(*cells, strict=True)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for ending in (".parquet", ".jsonl"):
        (other,) = read_table(path.with_suffix(ending), kinds)
        assert (other.columns, other.lines) == (chunk.columns, [1, 3, 4])
        assert "y: found NoneType None" in str(other.problems)


@pytest.mark.parametrize("from_text", [True, False])
@pytest.mark.parametrize("kind", ["label", "number", "weight", "text", "labels"])
def test_a_column_read_at_once_is_its_cells_read_one_by_one(kind, from_text):
    """Or it is not read at once: whatever cell would be refused or changed decides that."""
    good = ["1", "20", "3"] if from_text else {"number": [0.5, 1.5]}.get(kind, [1, 0, 1])
    columns = [good, ["a", "b"], [*good, "x"], [*good, "1_0"], [*good, "nan"], [*good, ""]]
    columns += [[*good, "-3"]] if from_text else [[*good, -3], [*good, -0.5]]
    if not from_text:
        columns += [[True, False], [*good, True], [0.5, float("inf")], [1.0, 2.0], [1 << 64, 1]]
        columns += [["a", "\ud800"], [*good, None], [0.5, 1], [[0, 1], [1, 1]]]
    at_once = 0
    for column in columns:
        for first in (good, column):
            read = reader_of(kind, first, from_text=from_text)
            try:
                expected = [read(cell) for cell in column]
            except CellError:
                expected = None
            found = read_whole(reader_of(kind, first, from_text=from_text), column)
            at_once += found is not None
            if found is not None:
                assert found == expected
                assert list(map(type, found)) == list(map(type, expected or []))
    assert at_once or kind == "labels"
