"""Running evaluations on disk: arrays and JSON in one safetensors file, checked when it is read."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import ml_dtypes  # noqa: F401 - names bfloat16 to NumPy, which safetensors then reads and writes
import numpy as np
import safetensors
import safetensors.numpy

from ._atomic import write_atomic
from ._version import __version__

_KEY, _FORMAT = "modelops_jax", 3


def write_state(
    path: str | os.PathLike[str], kind: str, facts: Mapping[str, Any], arrays: dict[str, np.ndarray]
) -> None:
    """Write a state, whole or not at all.

    Args:
        path: the file; its folder must exist.
        kind: whose state it is.
        facts: all of it that is no array; must be JSON.
        arrays: the arrays by name.

    Raises:
        OSError: the file cannot be written.
    """
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    record = {"format": _FORMAT, "version": __version__, "kind": kind, "facts": dict(facts)}
    record["sha256"] = _checksum(record, arrays)
    write_atomic(path, safetensors.numpy.save(arrays, {_KEY: json.dumps(record)}))


def read_state(
    path: str | os.PathLike[str], kind: str
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a state that `write_state` wrote.

    Returns:
        Its facts and its arrays.

    Raises:
        OSError: the file cannot be read.
        ValueError: no state of this kind and format, or one that is damaged.
    """
    try:
        with safetensors.safe_open(path, "np") as file:
            record = json.loads((file.metadata() or {}).get(_KEY, "null"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is no saved state: {error}") from error
    found = record.get("kind") if isinstance(record, dict) else None
    if found != kind:
        raise ValueError(f"{path} holds {found or 'no state'}; expected the state of a {kind}")
    if record["format"] != _FORMAT:
        raise ValueError(f"{path} has format {record['format']}; this version reads {_FORMAT}")
    if record.pop("sha256", None) != _checksum(record, arrays):
        raise ValueError(f"{path} is damaged: its content is not what its checksum says")
    return record["facts"], arrays


def described(value: Any) -> Any:
    """A configuration as JSON: equal for equal configurations, in every process.

    Functions go by their names.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: described(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": _name_of(type(value)), **fields}
    if isinstance(value, tuple | list):
        return [described(entry) for entry in value]
    if isinstance(value, Mapping):
        return {str(key): described(entry) for key, entry in value.items()}
    return _name_of(value) if hasattr(value, "__qualname__") else repr(value)


def refuse_other(path: str | os.PathLike[str], saved: Any, expected: Any) -> None:
    """Refuse the state of metrics other than those it is read for.

    Args:
        path: the file, for the message.
        saved: name -> `described` metric, as it was saved.
        expected: the same of the metrics it is read for.

    Raises:
        ValueError: naming the first metric in which they differ.
    """
    if saved == expected:
        return
    if list(saved) != list(expected):
        raise ValueError(f"{path} is the state of {list(saved)}; expected {list(expected)}")
    where, found, wanted = _first_difference(saved, expected, "")
    raise ValueError(
        f"{path} is the state of other metrics: {where} is {json.dumps(found)}; "
        f"expected {json.dumps(wanted)}"
    )


def _first_difference(found: Any, wanted: Any, where: str) -> tuple[str, Any, Any]:
    entries = [dict(enumerate(v)) if isinstance(v, list) else v for v in (found, wanted)]
    if all(isinstance(entry, dict) for entry in entries) and entries[0].keys() == entries[1].keys():
        key = next(key for key in entries[0] if entries[0][key] != entries[1][key])
        path = f"{where}.{key}" if where else str(key)
        return _first_difference(entries[0][key], entries[1][key], path)
    return where, found, wanted


def _name_of(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def _checksum(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}\n".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()
