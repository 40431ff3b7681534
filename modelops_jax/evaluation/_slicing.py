"""Slices as a person asks for them: columns of labels, one by one or crossed."""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import modelops_jax.metrics as numeric

from ._labels import CodedLabels, encode_labels
from ._result import SliceResult
from ._slice_units import UnitsThere

# Rows, the mean of their numbers, and the sum of squares about it.
Moments = tuple[int, float, float]

Asked = Mapping[str | tuple[str, ...], Any]


@dataclass(frozen=True)
class SliceOutcome:
    """What one metric is on the rows of one slice."""

    value: float
    undefined: int
    interval: numeric.Interval | None = None
    share: tuple[int, int] | None = None
    """Hits and rows, of a metric that is a share of independent rows, if it is to be tested."""
    moments: Moments | None = None
    """Of a metric that is a mean over independent rows, if it is to be tested."""
    p_value: float | None = None
    """Of a mean or a share of rows in groups, against the other rows, if it is to be tested."""


@dataclass(frozen=True)
class Slicing:
    """A division of the rows: the slice of each, what each slice is called, and its rows.

    Of rows that lie on devices the slices lie there, too, and of those in groups the units.
    """

    columns: tuple[str, ...]
    ids: Any
    keys: tuple[tuple[Hashable, ...], ...]
    rows: np.ndarray
    units: UnitsThere | None = None


def read_slices(slices: Asked, rows: int) -> list[Slicing]:
    """Read what a caller asks for.

    Args:
        slices: name of a column -> its labels, one for each row; a tuple of such names -> None
            for the slices of all their combinations that occur.
        rows: how many rows there are.

    Raises:
        TypeError: labels that are no labels, or a column for a tuple of names.
        ValueError: a column of another length, or a tuple with an unknown name.
    """
    check_keys(slices)
    coded = read_columns(slices, rows)
    return [_crossed(names, [coded[one] for one in names]) for names in read_names(slices)]


def check_keys(slices: Asked) -> None:
    """Refuse what is no dict of names and tuples of names (TypeError)."""
    if not isinstance(slices, Mapping):
        raise TypeError(
            f"slices is a {type(slices).__name__}; expected a dict of name -> labels, one a row"
        )
    for name in slices:
        if not (isinstance(name, str) or (isinstance(name, tuple) and name)):
            raise TypeError(f"slices has the key {name!r}; expected a name, or a tuple of names")


def read_columns(slices: Asked, rows: int) -> dict[str, CodedLabels]:
    """By name the labels of each column, coded; refuses what `read_slices` does of columns."""
    coded: dict[str, CodedLabels] = {}
    for name, column in slices.items():
        if isinstance(name, str):
            argument = f"slices[{name!r}]"
            labels = encode_labels({argument: column})
            codes = labels.codes[argument]
            if len(codes) != rows:
                raise ValueError(
                    f"{argument} has {len(codes)} entries and y_true has {rows}; "
                    "expected one length"
                )
            coded[name] = CodedLabels(labels.classes, {"ids": codes})
    return coded


def read_names(slices: Asked) -> list[tuple[str, ...]]:
    """Of each slicing the columns; refuses what `read_slices` does of crossed ones."""
    found, known = [], tuple(name for name in slices if isinstance(name, str))
    for name, column in slices.items():
        names = (name,) if isinstance(name, str) else name
        unknown = [one for one in names if one not in known]
        if unknown or (len(names) > 1 and len(set(names)) != len(names)):
            raise ValueError(
                f"slices[{name!r}] crosses the columns {names}; expected different ones of {known}"
            )
        if not isinstance(name, str) and column is not None:
            raise TypeError(f"slices[{name!r}] is not None; crossed slices need no column")
        found.append(names)
    return found


def _crossed(names: tuple[str, ...], columns: list[CodedLabels]) -> Slicing:
    ids = columns[0].codes["ids"].astype(np.int64)
    keys: list[tuple[Hashable, ...]] = [(label,) for label in columns[0].classes]
    for column in columns[1:]:
        size = len(column.classes)
        both, ids = np.unique(ids * size + column.codes["ids"], return_inverse=True)
        keys = [(*keys[pair // size], column.classes[pair % size]) for pair in both.tolist()]
    rows = np.bincount(ids, minlength=len(keys))
    return Slicing(names, ids.astype(np.int32), tuple(keys), rows)


def slice_results(
    slicings: list[Slicing],
    outcomes: list[list[dict[str, SliceOutcome]]],
    order: list[str],
    worst_first: Mapping[str, bool],
) -> tuple[SliceResult, ...]:
    """The slices with their outcomes, of each slicing the worst first.

    Args:
        slicings: the slicings.
        outcomes: for each slicing and slice the outcome of each metric.
        order: the metrics in the order of the result.
        worst_first: metric -> whether a higher value is better, of those that have a direction.
    """
    judge = next((name for name in order if name in worst_first), None)
    found: list[SliceResult] = []
    for slicing, parts in zip(slicings, outcomes, strict=True):
        tested = _against_the_rest(parts)
        made = [
            SliceResult(
                key=dict(zip(slicing.columns, key, strict=True)),
                rows=count,
                metrics={name: part[name].value for name in order if name in part},
                intervals={n: p.interval for n, p in part.items() if p.interval is not None},
                undefined={n: p.undefined for n, p in part.items() if p.undefined},
                p_values={n: tested[n].p_values[place] for n in order if n in tested},
                tests={name: tested[name].test for name in order if name in tested},
            )
            for place, (key, count, part) in enumerate(
                zip(slicing.keys, slicing.rows.tolist(), parts, strict=True)
            )
        ]
        if judge is not None:
            sign = 1 if worst_first[judge] else -1
            made.sort(key=lambda one: _badness(sign * one.metrics.get(judge, math.nan)))
        found += made
    return tuple(found)


class _Tested(NamedTuple):
    test: str
    p_values: list[float]


def _against_the_rest(parts: list[dict[str, SliceOutcome]]) -> dict[str, _Tested]:
    """By metric that has a test: its p-values of each slice against the others, by Holm."""
    found = {}
    for name in parts[0] if len(parts) > 1 else ():
        shares = [part[name].share for part in parts]
        moments = [one for part in parts if (one := part[name].moments) is not None]
        of_groups = [p for part in parts if (p := part[name].p_value) is not None]
        if None not in shares:
            pairs = np.asarray(shares, np.int64)
            others = pairs.sum(axis=0) - pairs
            test, values = (
                "Fisher",
                [
                    numeric.fisher_test(*pair, *other)
                    for pair, other in zip(pairs.tolist(), others.tolist(), strict=True)
                ],
            )
        elif len(moments) == len(parts):
            test, values = "Student", numeric.student_tests(*zip(*moments, strict=True))
        elif len(of_groups) == len(parts):
            test, values = "Student of groups", of_groups
        else:
            continue
        found[name] = _Tested(test, numeric.adjust_p_values(values, method="holm").tolist())
    return found


def _badness(value: float) -> tuple[bool, float]:
    """Undefined values come last."""
    return (value != value, value)
