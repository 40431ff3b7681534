"""What a cell of a table may hold, and reading it strictly."""

import math
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Literal

from ._json_values import has_lone_surrogate
from ._rows import describe

CellKind = Literal["label", "number", "text", "texts", "labels", "relevance", "weight"]

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,4000}\s*")
_LARGEST = 1 << 63
# Up to here a float holds every integer.
_EXACT = 1 << 53
_NUMBERS = {int, float}


class CellError(ValueError):
    """A cell does not hold what its column holds."""


def reader_of(kind: CellKind, first: Sequence[Any], *, from_text: bool) -> Callable[[Any], Any]:
    """What reads the cells of a column.

    Args:
        kind: What the cells are.
        first: The cells of the first rows, which decide what kind of labels there are.
        from_text: Whether the cells are characters that may stand for numbers.
    """
    if kind == "number":
        return number_of_text if from_text else _number
    if kind == "text":
        return _text
    if kind == "texts":
        return _text if from_text else _texts
    if kind == "labels":
        return _Indicators()
    if kind == "relevance":
        return _relevance_of_text if from_text else _relevance
    if kind == "weight":
        return _weight_of_text if from_text else _weight
    if from_text:
        there = [cell for cell in first if cell]
        whole = bool(there) and all(_INTEGER.fullmatch(cell) for cell in there)
        return _integer_of_text if whole else _label_of_text
    return _Labels(next((_kind_of(cell) for cell in first if _kind_of(cell)), None))


def read_whole(read: Callable[[Any], Any], cells: Sequence[Any]) -> list[Any] | None:
    """What `read` makes of every cell of a column, by calls for the column and not for the cell.

    None where a cell may be wrong, or where there is no such way: `read` itself then tells.
    """
    kinds = set(map(type, cells))
    if read is _number and kinds == {float}:
        return list(cells) if all(map(math.isfinite, cells)) else None
    of_text = read in (number_of_text, _relevance_of_text, _weight_of_text)
    if of_text and not _is_written("".join(cells)):
        return None
    if of_text or (read in (_relevance, _weight) and kinds <= _NUMBERS):
        try:
            values = list(map(float, cells))
        except (ValueError, OverflowError):
            return None
        # Beyond these an integer may not be what it was; nan is not between them.
        good = all(-_EXACT <= value <= _EXACT for value in values)
        return values if good and (read is number_of_text or min(values) >= 0) else None
    if read is _integer_of_text:
        return list(map(int, cells)) if all(map(_INTEGER.fullmatch, cells)) else None
    kind = read.kind if isinstance(read, _Labels) else None
    if kinds == {int} and kind == "an integer":
        return list(cells) if -_LARGEST <= min(cells) and max(cells) < _LARGEST else None
    if kinds == {bool} and kind == "true or false":
        return list(cells)
    if kinds == {str} and (read in (_text, _texts, _label_of_text) or kind == "a string"):
        distinct = set(cells)
        missing = read is _label_of_text and "" in distinct
        return None if missing or any(map(has_lone_surrogate, distinct)) else list(cells)
    return None


def _is_written(text: str) -> bool:
    """Whether numbers are written as files write them: Python also reads 1_0, and other digits."""
    return text.isascii() and "_" not in text


def _number(cell: Any) -> float:
    if isinstance(cell, bool) or not isinstance(cell, int | float | Decimal):
        raise CellError(f"found {describe(cell)}, expected a number")
    if isinstance(cell, int) and abs(cell) > _EXACT:
        raise CellError(
            f"found {describe(cell)}, expected an integer of at most 2**53 in size, which a float "
            "holds exactly"
        )
    value = float(cell)
    if not math.isfinite(value):
        raise CellError(f"found {value}, expected a finite number")
    return value


def number_of_text(cell: str) -> float:
    """The finite number that a text is, with nothing but white space around it.

    Raises:
        CellError: It is none, or an integer beyond 2**53 in size.
    """
    try:
        if not _is_written(cell):
            raise ValueError
        return _number(int(cell) if _WHOLE.fullmatch(cell) else float(cell))
    except CellError:
        raise
    except ValueError:
        raise CellError(f"found {cell[:40]!r}, expected a number") from None


def _relevance(cell: Any) -> float:
    return _at_least_0(float(cell) if isinstance(cell, bool) else _number(cell), "relevance")


def _relevance_of_text(cell: str) -> float:
    return _at_least_0(number_of_text(cell), "relevance")


def _weight(cell: Any) -> float:
    return _at_least_0(_number(cell), "weight")


def _weight_of_text(cell: str) -> float:
    return _at_least_0(number_of_text(cell), "weight")


def _at_least_0(value: float, what: str) -> float:
    if value < 0:
        raise CellError(f"found {value:g}, expected a {what} of at least 0")
    return value


def _text(cell: Any) -> str:
    if not isinstance(cell, str):
        raise CellError(f"found {describe(cell)}, expected a string")
    if has_lone_surrogate(cell):
        raise CellError("found characters that are no valid Unicode")
    return cell


def _texts(cell: Any) -> str | list[str]:
    if not isinstance(cell, list):
        return _text(cell)
    if not cell:
        raise CellError("found an empty list, expected a string or a list of strings")
    for place, text in enumerate(cell):
        try:
            _text(text)
        except CellError as error:
            raise CellError(f"[{place}]: {error}") from None
    return cell


def _label_of_text(cell: str) -> str:
    # A file of text has no other way to leave a value out.
    if not cell:
        raise CellError("found an empty cell, expected a label")
    return _text(cell)


def _integer_of_text(cell: str) -> int:
    if not cell:
        raise CellError("found an empty cell, expected an integer, as in the first rows")
    if not _INTEGER.fullmatch(cell):
        raise CellError(f"found {cell[:40]!r}, expected an integer, as in the first rows")
    return int(cell)


class _Indicators:
    """Lists of 0 and 1 of one length."""

    def __init__(self) -> None:
        self._width: int | None = None

    def __call__(self, cell: Any) -> list[int]:
        if not isinstance(cell, list | tuple) or not all(x in (0, 1) for x in cell):
            raise CellError(f"found {describe(cell)}, expected a list of 0 and 1")
        if self._width is None:
            self._width = len(cell)
        if len(cell) != self._width:
            raise CellError(
                f"found {describe(cell)}, expected a list of {self._width}, as in the first rows"
            )
        return [int(x) for x in cell]


def _kind_of(cell: Any) -> str | None:
    if isinstance(cell, bool):
        return "true or false"
    if isinstance(cell, int) or (isinstance(cell, float) and cell.is_integer()):
        return "an integer"
    if isinstance(cell, Decimal) and cell.is_finite():
        return "a string" if "." in f"{cell:f}" else "an integer"
    return "a string" if isinstance(cell, str) else None


class _Labels:
    """Labels of one kind: strings, integers or bools.

    A decimal is an integer, or with digits behind the point the string that a file of text has.
    """

    def __init__(self, kind: str | None) -> None:
        self.kind = kind

    def __call__(self, cell: Any) -> Any:
        kind = _kind_of(cell)
        if kind is None:
            raise CellError(
                f"found {describe(cell)}, expected a label: a string, an integer, true or false"
            )
        self.kind = self.kind or kind
        if kind != self.kind:
            raise CellError(f"found {describe(cell)}, expected {self.kind}, as in the first rows")
        if kind == "a string":
            return f"{cell:f}" if isinstance(cell, Decimal) else _text(cell)
        if kind == "an integer" and not -_LARGEST <= cell < _LARGEST:
            raise CellError(f"found {describe(cell)}, beyond the range of a 64-bit integer")
        return int(cell) if kind == "an integer" else cell
