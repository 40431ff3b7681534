"""Columns of a Parquet file.

Of what a column of text in another file would hold, dates and times are read as that text.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ._problem import DatasetError


def parquet_blocks(
    path: Path, columns: Sequence[str], block_rows: int
) -> Iterator[tuple[list[list[Any]], float]]:
    """The cells of each column, of so many rows at a time, and the share read.

    Raises:
        DatasetError: The file is no Parquet file, or has no such column.
        ImportError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            f'{path}: reading Parquet needs pyarrow: pip install "modelops-jax[parquet]"'
        ) from error
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            known = file.schema_arrow.names
            for name in columns:
                if (found := known.count(name)) != 1:
                    names = ", ".join(map(repr, known[:20])) or "none"
                    many = f"{found} columns" if found else "no column"
                    raise DatasetError(f"{path}: {many} {name!r}; the columns are {names}")
            rows, done = max(1, file.metadata.num_rows), 0
            for batch in file.iter_batches(batch_size=block_rows, columns=list(columns)):
                done += batch.num_rows
                yield [_cells(batch.column(name)) for name in columns], done / rows
    # pyarrow says of damaged pages that they could not be read, without the file.
    except (pyarrow.ArrowException, OSError) as error:
        raise DatasetError(f"{path}: no Parquet file, or a damaged one: {error}") from error


def _cells(column: Any) -> list[Any]:
    """The cells of an Arrow array as Python has them; dates and timestamps as ISO 8601."""
    import pyarrow

    if pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pyarrow.types.is_date(column.type):
        column = column.cast(pyarrow.date32())
    elif not pyarrow.types.is_timestamp(column.type):
        return column.to_pylist()
    # Python has no nanoseconds; pyarrow gives them as what pandas has, if that is installed.
    return _iso_texts(column.to_numpy(zero_copy_only=False), getattr(column.type, "tz", None))


def _iso_texts(times: Any, zone: str | None) -> list[str | None]:
    """Times of NumPy as text, of those with a zone in UTC: "2026-11-26", "2026-11-26T09:30:00Z".

    A fraction of a second has the digits that it needs, so that one time is one text in any unit.
    """
    import numpy as np

    texts: list[str | None] = np.datetime_as_string(times).tolist()
    for place in np.flatnonzero(np.isnat(times)).tolist():
        texts[place] = None
    mark = "Z" if zone else ""
    if np.datetime_data(times.dtype)[0] == "D":
        return texts
    return [
        t if t is None else (t.rstrip("0").rstrip(".") if "." in t else t) + mark for t in texts
    ]
