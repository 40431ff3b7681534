"""Results as strict JSON and back."""

import dataclasses
import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from modelops_jax.metrics import Interval

from ._task_type import TaskType

_FORMAT = 2
# Fields that hold several values; any other tuple is a label.
_TUPLES = ("per_class", "slices", "models", "pairs")


def to_plain(result: Any) -> dict[str, Any]:
    """The fields of a result as dicts, lists and scalars that every JSON reader takes."""
    marks: list[dict[str, Any]] = []
    found = {
        field.name: _plain(getattr(result, field.name), (field.name,), marks)
        for field in dataclasses.fields(result)
    }
    return {"format": _FORMAT, **found, "not_finite": marks}


def from_plain(result: type, of_class: type, of_slice: type, data: Mapping[str, Any]) -> Any:
    """The result that `to_plain` wrote.

    Raises:
        ValueError: data of another format, or without some of it.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"the data are a {type(data).__name__}; expected a dict, as of to_dict")
    if data.get("format") != _FORMAT:
        raise ValueError(
            f"the data have format {data.get('format')!r}; expected {_FORMAT}, as "
            "EvaluationResult.to_dict writes it"
        )
    try:
        return _from_plain(result, of_class, of_slice, _copied(data))
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(
            "the data are not what EvaluationResult.to_dict writes: "
            f"{type(error).__name__}: {error}"
        ) from error


def _from_plain(result: type, of_class: type, of_slice: type, data: dict[str, Any]) -> Any:
    for mark in data["not_finite"]:
        *way, last = mark["at"]
        place: Any = data
        for step in way:
            place = place[step]
        place[last] = float(mark["value"])
    fields = {field.name: data[field.name] for field in dataclasses.fields(result)}
    fields |= {
        "task_type": TaskType(data["task_type"]),
        "intervals": _intervals(data["intervals"]),
        # Results were written before classes had intervals.
        "per_class": tuple(
            of_class(**one | {"intervals": _intervals(one.get("intervals", {}))})
            for one in data["per_class"]
        ),
        "slices": tuple(
            of_slice(**one | {"intervals": _intervals(one["intervals"])}) for one in data["slices"]
        ),
    }
    return result(**fields)


def _plain(value: Any, at: tuple[Any, ...], marks: list[dict[str, Any]]) -> Any:
    if isinstance(value, TaskType):
        return value.value
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist(), at, marks)
    if dataclasses.is_dataclass(value):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(entry, (*at, str(key)), marks) for key, entry in value.items()}
    if isinstance(value, list) or (isinstance(value, tuple) and at[-1] in _TUPLES):
        return [_plain(entry, (*at, index), marks) for index, entry in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        marks.append({"at": list(at), "value": repr(float(value))})
        return None
    return _label(value)


def _label(value: Hashable) -> Any:
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value if value is None else repr(value)


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(entry) for key, entry in value.items()}
    return [_copied(entry) for entry in value] if isinstance(value, list) else value


def _intervals(data: Mapping[str, Any]) -> dict[str, Interval]:
    return {name: Interval(**interval) for name, interval in data.items()}
