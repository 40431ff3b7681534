"""Values of TOML tables, checked against the fields of configuration dataclasses."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from modelops_jax._did_you_mean import did_you_mean


class ConfigError(ValueError):
    """A configuration names an unknown key, or gives a key a value it cannot take."""


def build(cls: type, table: Mapping[str, Any], *, prefix: str, place: str) -> Any:
    """Make a configuration dataclass from a TOML table, checking keys and types.

    `place` is what messages begin with: the file and a colon, or nothing.
    """
    known = {field.name: field for field in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in table.items():
        if key not in known:
            deeper = [f"; did you mean {prefix}{name}.{key}?" for name in _tables_with(key, hints)]
            near = did_you_mean(key, known) or f"; known keys: {', '.join(known)}"
            hint = deeper[0] if deeper else near
            raise ConfigError(f"{place}unknown key {prefix + key!r}{hint}")
        values[key] = convert(hints[key], value, name=prefix + key, place=place)
    for name, field in known.items():
        required = field.default is field.default_factory is dataclasses.MISSING
        if name not in values and required:
            raise ConfigError(f"{place}missing key {prefix + name!r}")
    try:
        return cls(**values)
    except ValueError as error:
        raise ConfigError(f"{place}{error}") from error


def check_fields(config: Any, prefix: str) -> None:
    """Check every field of a configuration that is being made, and give it its field's type.

    Args:
        config: A frozen dataclass, in its `__post_init__`.
        prefix: What stands before a field's name in messages.

    Raises:
        ConfigError: A value is of another type.
    """
    for name, hint in typing.get_type_hints(type(config)).items():
        value = convert(hint, getattr(config, name), name=prefix + name, place="")
        object.__setattr__(config, name, value)


def _tables_with(key: str, hints: Mapping[str, Any]) -> list[str]:
    """The fields that are tables with such a key."""
    return [
        name
        for name, hint in hints.items()
        for choice in typing.get_args(hint) or (hint,)
        if isinstance(choice, type) and dataclasses.is_dataclass(choice)
        if key in (field.name for field in dataclasses.fields(choice))
    ]


def convert(hint: Any, value: Any, *, name: str, place: str) -> Any:
    """Check one TOML value against its field's type, turning tables into dataclasses."""
    words: list[str] = []
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        choices = [choice for choice in typing.get_args(hint) if choice is not type(None)]
        if value is None and len(choices) < len(typing.get_args(hint)):
            return None
        *others, hint = choices
        words = [word for other in others for word in typing.get_args(other)]
        if isinstance(value, str) and value in words:
            return value
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        if isinstance(value, hint):
            return value
        if isinstance(value, Mapping):
            return build(hint, value, prefix=f"{name}.", place=place)
        expected = "a table"
    elif typing.get_origin(hint) is Literal:
        if value in typing.get_args(hint):
            return value
        expected = "one of " + ", ".join(repr(choice) for choice in typing.get_args(hint))
    elif typing.get_origin(hint) is tuple:
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return tuple(value)
        expected = "a list of strings"
    elif hint is Path:
        if isinstance(value, str | Path) and str(value):
            return Path(value).expanduser()
        expected = "a path"
    elif hint is float:
        if isinstance(value, int | float | np.integer | np.floating) and not isinstance(
            value, bool
        ):
            return float(value)
        expected = "a number"
    else:
        if hint is int and isinstance(value, np.integer):
            return int(value)
        if isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
            return value
        expected = {int: "an integer", str: "a string", bool: "true or false"}[hint]
    expected = " or ".join([expected, *map(repr, words)])
    raise ConfigError(f"{place}{name} must be {expected}, found {value!r}")
