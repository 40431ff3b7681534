"""The rows a model learns from, or is judged on."""

import copy
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, SupportsIndex, get_args, overload

from modelops_jax._atomic import write_atomic

from ._file_row import FileRow
from ._json_values import TOO_DEEP, is_too_deep
from ._jsonl import encode_row, read_rows
from ._problem import DatasetError, Problem
from ._rows import EXPECTED_ROW, RowKind, describe, row_faults
from ._split import split_indices


class Dataset:
    """A list of rows of text.

    A row is ``{"prompt": str, "completion": str}``, or ``{"messages": [...]}`` where a message is
    ``{"role": "system" | "user" | "assistant" | "tool", "content": str}`` and at least one is by
    the assistant. Further keys are kept, of which a chat template may write those of a message,
    such as ``tool_calls``; what would belong to a prompt and stands beside its messages, such as
    ``tools``, is refused. Rows of both kinds may be mixed.

    Two more kinds of rows are for other objectives, and are asked for by name where rows are read
    or checked. A ``"labelled"`` row is ``{"text": str, "label": str | int | float}``, or has a
    ``"prompt"`` instead of the text. A ``"preference"`` row is ``{"prompt": str, "chosen": str,
    "rejected": str}``, or three lists of messages, of which both answers have one by the assistant;
    or two such lists without a prompt, which then is the messages with which both begin.

    The rows are copied in, deeply: no dataset shares anything with the list it was made from or
    with another dataset, so slicing, splitting and sanitizing copy too. Its own rows are open:
    ``.data``, iteration and ``dataset[i]`` give the rows themselves, and changing them changes
    this dataset.

    Args:
        data: The rows, a list or any other iterable of dicts. Rows of a wrong shape are accepted,
            and reported by `validate` and `problems`.

    Raises:
        TypeError: `data` is not an iterable of dicts.
        DatasetError: A row is nested more than 100 levels deep.

    Example:
        >>> dataset = Dataset([{"prompt": "2+2?", "completion": "4"}])
        >>> dataset.validate(), len(dataset), dataset[0]["completion"]
        (True, 1, '4')
    """

    def __init__(self, data: Iterable[Mapping[str, Any]] | None = None) -> None:
        if isinstance(data, str | os.PathLike):
            raise TypeError(
                f"data: found the path {os.fspath(data)!r}, expected a list of dicts; "
                "read a file with Dataset.from_file(path)"
            )
        if isinstance(data, Mapping):
            raise TypeError(
                f"data: found one {type(data).__name__}, expected a list of dicts, one per row"
            )
        if data is not None and not isinstance(data, Iterable):
            raise TypeError(f"data: found {describe(data)}, expected a list of dicts")
        self._rows = [_copy_row(row, i) for i, row in enumerate(() if data is None else data)]

    @property
    def data(self) -> list[dict[str, Any]]:
        """The rows themselves: appending to this list or editing a row changes the dataset."""
        return self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._rows)

    @overload
    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> "Dataset": ...

    def __getitem__(self, index: SupportsIndex | slice) -> "dict[str, Any] | Dataset":
        """One row (the row itself), or for a slice a new dataset of copies."""
        if isinstance(index, slice):
            return Dataset(self._rows[index])
        if not isinstance(index, SupportsIndex):
            raise TypeError(f"row: found {describe(index)}, expected an index or a slice")
        try:
            return self._rows[index]
        except IndexError:
            raise IndexError(f"row {index}: the dataset has n = {len(self)} rows") from None

    def __eq__(self, other: object) -> bool:
        return self._rows == other._rows if isinstance(other, Dataset) else NotImplemented

    def __repr__(self) -> str:
        return f"Dataset({len(self)} row{'' if len(self) == 1 else 's'})"

    def validate(self, kind: RowKind = "text") -> bool:
        """Whether every row has the shape described above; an empty dataset does.

        Args:
            kind: What the rows are for: "text", "labelled" or "preference".

        Raises:
            ValueError: There is no such kind.

        Example:
            >>> Dataset([{"prompt": "2+2?"}]).validate()
            False
        """
        _check_kind(kind)
        return not any(fault for row in self._rows for fault in row_faults(row, kind))

    def problems(self, kind: RowKind = "text") -> list[Problem]:
        """Everything that keeps `validate` from being true, in the order of the rows.

        Args:
            kind: What the rows are for, as in `validate`.

        Returns:
            One `Problem` (row index, code, message) for each fault; a row may have several.

        Example:
            >>> for problem in Dataset([{"prompt": "2+2?"}]).problems():
            ...     print(problem)
            row 0: found keys ['prompt'], expected 'prompt' and 'completion', or 'messages'
            >>> Dataset([{"text": "Win money", "label": "spam"}]).problems("labelled")
            []
        """
        _check_kind(kind)
        return [
            Problem(code, message, row=i)
            for i, row in enumerate(self._rows)
            for code, message in row_faults(row, kind)
        ]

    def place(self, index: SupportsIndex) -> str:
        """What messages call a row: its index, and its line if it was read from a file.

        A row keeps its line in every dataset that it is copied to.

        Example:
            >>> import pathlib, tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = pathlib.Path(folder, "rows.jsonl")
            ...     _ = path.write_text('\\n{"prompt": "2+2?", "completion": "4"}')
            ...     Dataset.from_file(path).place(0)
            'row 0 (line 2)'
        """
        row = self[index]
        at = range(len(self))[index]
        return f"row {at} (line {row.line})" if isinstance(row, FileRow) else f"row {at}"

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], kind: RowKind = "text") -> "Dataset":
        """Read a JSONL file: one row per line, as UTF-8, plain or gzip.

        A byte order mark, either line ending and blank lines are accepted. Everything else is
        strict and exact: integers keep all their digits, and bytes that are not UTF-8, halves of
        surrogate pairs, ``NaN``, numbers beyond the range of a float, duplicate keys, a second
        value in a line and nesting beyond 100 levels are errors, as is a row of a wrong shape.

        Args:
            path: The file.
            kind: What the rows are for, as in `validate`.

        Returns:
            A dataset that `validate` finds good. `to_jsonl` gives such a file back.

        Raises:
            DatasetError: Some lines are no rows. Its `.problems` has all of them with line number
                and reason, its text the first 20.
            FileNotFoundError: There is no such file.

        Example:
            >>> import pathlib, tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = pathlib.Path(folder, "rows.jsonl")
            ...     _ = path.write_text('{"prompt": "2+2?", "completion": "4"}')
            ...     Dataset.from_file(path).data
            [{'prompt': '2+2?', 'completion': '4'}]
        """
        dataset = cls()
        _check_kind(kind)
        dataset._rows = read_rows(path, kind)
        return dataset

    def to_jsonl(self, path: str | os.PathLike[str]) -> None:
        """Write a JSONL file, one row per line, whole or not at all (see `write_atomic`).

        Characters are written as they are, integers with all their digits, tuples as lists. Rows
        of a wrong shape are written too; `from_file` will refuse them.

        Args:
            path: The file; an old one is replaced, and stays as it was if anything fails.

        Raises:
            DatasetError: A value is not a JSON value; the text names its row and field.
            OSError: The file cannot be written.

        Example:
            >>> import pathlib, tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = pathlib.Path(folder, "rows.jsonl")
            ...     Dataset([{"prompt": "café?", "completion": "oui"}]).to_jsonl(path)
            ...     path.read_text(encoding="utf-8")
            '{"prompt": "café?", "completion": "oui"}\\n'
        """
        write_atomic(path, (encode_row(row, i) for i, row in enumerate(self._rows)))

    def split(self, fraction: float, seed: SupportsIndex = 0) -> tuple["Dataset", "Dataset"]:
        """Divide the rows at random into two new datasets; every row goes to exactly one.

        The division depends on the number of rows, the fraction and the seed alone, never on the
        process or the version of Python. Each side keeps the order of the rows.

        Args:
            fraction: Share of the rows that goes to the first side, strictly between 0 and 1.
            seed: Any integer.

        Returns:
            The first side with ``round(n * fraction)`` rows, but at least one and at most n - 1,
            and the second side with the others.

        Raises:
            ValueError: The fraction is out of range, or there are fewer than 2 rows.

        Example:
            >>> rows = [{"prompt": str(i), "completion": "x"} for i in range(10)]
            >>> train, held_out = Dataset(rows).split(0.8, seed=0)
            >>> len(train), len(held_out)
            (8, 2)
        """
        first, second = split_indices(len(self), fraction, seed)
        return Dataset(self._rows[i] for i in first), Dataset(self._rows[i] for i in second)


def _check_kind(kind: object) -> None:
    if kind not in get_args(RowKind):
        raise ValueError(f"kind: found {kind!r}, expected one of {', '.join(get_args(RowKind))}")


def _copy_row(row: object, index: int) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise TypeError(f"data: row {index}: found {describe(row)}, {EXPECTED_ROW}")
    if is_too_deep(row):
        # Such a row cannot even be copied: Python's recursion limit comes first.
        problem = Problem("too_deep", TOO_DEEP, row=index)
        raise DatasetError.listing("data", [problem])
    return copy.deepcopy(row)
