"""The rows of a dataset that a model can be asked, and what is wrong with the others."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modelops_jax.data import Dataset, DatasetError, Problem, RowKind, stream_rows


@dataclass(frozen=True)
class GoodRows:
    """The rows that are left.

    Args:
        rows: the rows.
        places: where each was found: its line in the file, or its index in the dataset.
        of_file: whether they were read from a file.
        bad: what is wrong with those that were left out, each of which may have several problems.
        bad_count: how many were left out.
    """

    rows: Dataset
    places: Sequence[int]
    of_file: bool
    bad: tuple[Problem, ...] = ()
    bad_count: int = 0

    def without(self, bad: Sequence[Problem], *, allowed: bool) -> "GoodRows":
        """The rows without those that have a problem, which names its row as it is in `rows`.

        Raises:
            DatasetError: there are problems, which are not allowed; or no row is left.
        """
        unfit = {one.row for one in bad}
        bad = [self._found(one) for one in bad]
        if bad and not allowed:
            raise DatasetError.listing("dataset", bad)
        kept = [at for at in range(len(self.rows)) if at not in unfit]
        every = (*self.bad, *bad)
        if not kept:
            what = "good rows" if every else "rows"
            raise DatasetError(f"dataset: found no {what}, expected at least one")
        if not bad:
            return self
        rows = Dataset(self.rows[at] for at in kept)
        places = [self.places[at] for at in kept]
        return GoodRows(rows, places, self.of_file, every, self.bad_count + len(unfit))

    def _found(self, problem: Problem) -> Problem:
        """The problem with the place where its row was found."""
        assert problem.row is not None, "see `without`"
        place = self.places[problem.row]
        if self.of_file:
            return replace(problem, row=None, line=place)
        return replace(problem, row=place)


def good_rows(
    dataset: Any, keys: Sequence[str], kind: RowKind = "text", *, allow_bad_rows: bool
) -> GoodRows:
    """The rows that are valid and have these keys.

    Args:
        dataset: rows, or their JSONL file.
        keys: keys that every row has to have.
        kind: what the rows are for.
        allow_bad_rows: whether the others are left out; else they are refused.

    Raises:
        DatasetError: rows that are refused, which it lists; or none that are good.
        OSError: the file cannot be read.
        TypeError: neither rows nor a path.
    """
    if isinstance(dataset, str | os.PathLike):
        found = _of_file(dataset, kind, allow_bad_rows)
    elif isinstance(dataset, Dataset):
        found = GoodRows(dataset, range(len(dataset)), of_file=False)
        found = found.without(dataset.problems(kind), allowed=allow_bad_rows)
    else:
        raise TypeError(
            f"dataset: found {type(dataset).__name__}, expected a Dataset or the path of a file"
        )
    keyless = [
        Problem("missing_keys", fault, row=index)
        for index, row in enumerate(found.rows)
        if (fault := _missing(row, keys))
    ]
    return found.without(keyless, allowed=allow_bad_rows)


def _of_file(path: str | os.PathLike[str], kind: RowKind, allow_bad_rows: bool) -> GoodRows:
    lines = list(stream_rows(path, kind))
    bad = tuple(one for _, _, found in lines for one in found)
    if bad and not allow_bad_rows:
        raise DatasetError.listing(os.fspath(path), bad)
    good = [(number, row) for number, row, found in lines if not found]
    rows, places = Dataset(row for _, row in good), [number for number, _ in good]
    return GoodRows(rows, places, True, bad, len(lines) - len(good))


def _missing(row: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    """What is wrong with a row that lacks a key."""
    lacking = next((key for key in keys if key not in row), None)
    return None if lacking is None else f"has no key {lacking!r}: {list(row)}"
