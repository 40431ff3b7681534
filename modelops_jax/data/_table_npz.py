"""Columns of an NPZ file: arrays of one length, read some rows at a time."""

import contextlib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ._problem import DatasetError


def npz_blocks(
    path: Path, columns: Sequence[str], block_rows: int
) -> Iterator[tuple[list[list[Any]], float]]:
    """The cells of each column, of so many rows at a time, and the share read.

    Raises:
        DatasetError: The file is no NPZ, misses an array, or holds one of objects, of no rows'
            axis, or of another length.
    """
    import numpy as np

    try:
        with contextlib.ExitStack() as stack:
            archive = stack.enter_context(zipfile.ZipFile(path))
            known = [name.removesuffix(".npy") for name in archive.namelist()]
            opened = []
            for name in columns:
                if name not in known:
                    names = ", ".join(map(repr, known[:20])) or "none"
                    raise DatasetError(f"{path}: no array {name!r}; the arrays are {names}")
                file = stack.enter_context(archive.open(f"{name}.npy"))
                opened.append((file, *_header(path, name, file)))
            lengths = {shape[0] for _, shape, _ in opened}
            if len(lengths) != 1:
                shapes = ", ".join(
                    f"{name} {shape}" for name, (_, shape, _) in zip(columns, opened, strict=True)
                )
                raise DatasetError(f"{path}: the arrays are of different lengths: {shapes}")
            (rows,) = lengths
            for start in range(0, rows, block_rows):
                count = min(block_rows, rows - start)
                cells = []
                for file, shape, dtype in opened:
                    width = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
                    data = file.read(count * width)
                    if len(data) != count * width:
                        raise DatasetError(f"{path}: an array ends after fewer rows than it says")
                    cells.append(np.frombuffer(data, dtype).reshape(count, *shape[1:]).tolist())
                yield cells, (start + count) / rows
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DatasetError(f"{path}: no NPZ file, or a damaged one: {error}") from error


def _header(path: Path, name: str, file: Any) -> tuple[tuple[int, ...], Any]:
    """Shape and type of an array."""
    import numpy as np

    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
    except ValueError as error:
        raise DatasetError(f"{path}: {name!r} is no NumPy array: {error}") from error
    if fortran and len(shape) > 1:
        raise DatasetError(
            f"{path}: {name!r} is stored column by column (Fortran order), of shape {shape}; "
            "expected rows: save numpy.ascontiguousarray of it"
        )
    if dtype.kind not in "biufU" or not shape:
        raise DatasetError(
            f"{path}: {name!r} is {dtype} of shape {shape}; expected numbers, bools or strings "
            "with rows on the first axis (objects are never unpickled)"
        )
    return shape, dtype
