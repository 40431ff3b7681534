"""Columns of a Parquet file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ._problem import DatasetError

_ROWS = 1 << 16


def parquet_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, Sequence[Any], float]]:
    """Number, cells and share read of each row.

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
            rows, number = max(1, file.metadata.num_rows), 0
            for batch in file.iter_batches(batch_size=_ROWS, columns=list(columns)):
                cells = [batch.column(name).to_pylist() for name in columns]
                for row in zip(*cells, strict=True):
                    number += 1
                    yield number, row, number / rows
    # pyarrow says of damaged pages that they could not be read, without the file.
    except (pyarrow.ArrowException, OSError) as error:
        raise DatasetError(f"{path}: no Parquet file, or a damaged one: {error}") from error
