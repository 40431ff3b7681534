"""The rows of a dataset that a model can be asked, and what is wrong with the others."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modelops_jax.data import Dataset, DatasetError, Problem, stream_rows


@dataclass(frozen=True)
class GoodRows:
    """The rows that are left.

    Args:
        rows: the rows.
        places: the index of each among all rows that could be read.
        bad: what is wrong with those that were left out.
    """

    rows: Dataset
    places: Sequence[int]
    bad: tuple[Problem, ...] = ()

    def without(self, bad: Sequence[Problem], *, allowed: bool) -> "GoodRows":
        """The rows without those that have a problem, which names its row as it is in `rows`.

        Raises:
            DatasetError: there are problems, which are not allowed; or no row is left.
        """
        bad = [replace(one, row=self.places[one.row]) for one in bad if one.row is not None]
        if bad and not allowed:
            raise DatasetError.listing("dataset", bad)
        unfit = {one.row for one in bad}
        kept = [
            (row, at) for row, at in zip(self.rows, self.places, strict=True) if at not in unfit
        ]
        every = (*self.bad, *bad)
        if not kept:
            what = "good rows" if every else "rows"
            raise DatasetError(f"dataset: found no {what}, expected at least one")
        if not bad:
            return self
        return GoodRows(Dataset(row for row, _ in kept), [at for _, at in kept], every)

    @property
    def bad_count(self) -> int:
        """How many rows were left out, each of which may have several problems."""
        return len({one.row if one.line is None else one.line for one in self.bad})


def good_rows(dataset: Any, keys: Sequence[str], *, allow_bad_rows: bool) -> GoodRows:
    """The rows that are valid and have these keys.

    Args:
        dataset: rows, or their JSONL file.
        keys: keys that every row has to have.
        allow_bad_rows: whether the others are left out; else they are refused.

    Raises:
        DatasetError: rows that are refused, which it lists; or none that are good.
        OSError: the file cannot be read.
        TypeError: neither rows nor a path.
    """
    if isinstance(dataset, str | os.PathLike):
        found = _of_file(dataset, allow_bad_rows)
    elif isinstance(dataset, Dataset):
        found = GoodRows(dataset, range(len(dataset)))
        found = found.without(dataset.problems(), allowed=allow_bad_rows)
    else:
        raise TypeError(
            f"dataset: found {type(dataset).__name__}, expected a Dataset or the path of a file"
        )
    keyless = [
        Problem("missing_keys", fault, row=index, line=getattr(row, "line", None))
        for index, row in enumerate(found.rows)
        if (fault := _missing(row, keys))
    ]
    return found.without(keyless, allowed=allow_bad_rows)


def _of_file(path: str | os.PathLike[str], allow_bad_rows: bool) -> GoodRows:
    if not allow_bad_rows:
        rows = Dataset.from_file(path)
        return GoodRows(rows, range(len(rows)))
    lines = [(row, found) for _, row, found in stream_rows(path)]
    rows = Dataset(row for row, found in lines if not found)
    return GoodRows(rows, range(len(rows)), tuple(one for _, found in lines for one in found))


def _missing(row: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    """What is wrong with a row that lacks a key."""
    lacking = next((key for key in keys if key not in row), None)
    return None if lacking is None else f"has no key {lacking!r}: {list(row)}"
