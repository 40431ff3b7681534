"""The page of all settings: `python -m modelops_jax.training._config_page`."""

import dataclasses
import inspect
import json
import re
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal

from ._config import RunConfig

_HEAD = """# The settings of a run

Written from the configuration classes by
`python -m modelops_jax.training._config_page > docs/configuration.md`. The tables are those of the
TOML file that `modelops finetune` and `load_config` read; in Python their fields have the same
names: `TrainingConfig(lora=LoraConfig(rank=8))`. A key that is not here is an error that names the
nearest one. On the command line a setting wins over the file's: `training.lora.rank=8`. Where no
default stands, the key may be left out, and means what is said there.
"""


def page() -> str:
    """The page as Markdown."""
    return _HEAD + "".join(_section(cls, table) for cls, table in _tables(RunConfig, ""))


def _tables(cls: type, name: str) -> Iterator[tuple[type, str]]:
    """A configuration class with its place in the file, and then those of its tables."""
    yield cls, name
    for key, hint in typing.get_type_hints(cls).items():
        if table := _table_of(hint):
            yield from _tables(table, f"{name}.{key}".lstrip("."))


def _table_of(hint: Any) -> Any:
    """The configuration class that a field holds, if it holds one."""
    return next((choice for choice in _choices(hint) if dataclasses.is_dataclass(choice)), None)


def _choices(hint: Any) -> tuple[Any, ...]:
    """What a field may be, None aside."""
    is_union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    alternatives = typing.get_args(hint) if is_union else (hint,)
    return tuple(choice for choice in alternatives if choice is not type(None))


def _section(cls: type, table: str) -> str:
    meanings = _meanings(cls)
    hints = typing.get_type_hints(cls)
    rows = [
        f"| `{field.name}` | {_type(hints[field.name])} | {_default(field)} "
        f"| {meanings[field.name]} |\n"
        for field in dataclasses.fields(cls)
    ]
    title = f"`[{table}]`, in Python `{cls.__name__}`" if table else "Above all tables"
    head = "| key | value | by default | meaning |\n|---|---|---|---|\n"
    return f"\n## {title}\n\n{head}{''.join(rows)}"


def _meanings(cls: type) -> dict[str, str]:
    """What the class's docstring says of each argument."""
    text = inspect.cleandoc(cls.__doc__ or "").partition("\nArgs:\n")[2]
    arguments = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", text, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", meaning) for name, meaning in arguments}


def _type(hint: Any) -> str:
    names: list[str] = []
    for choice in _choices(hint):
        if typing.get_origin(choice) is Literal:
            names += [f'"{value}"' for value in typing.get_args(choice)]
        elif typing.get_origin(choice) is tuple:
            names.append("a list of strings")
        elif dataclasses.is_dataclass(choice):
            names.append("a table")
        else:
            names.append("string" if choice is str else choice.__name__.lower())
    return ", ".join(names)


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING or field.default in (None, ()):
        return ""
    if field.default is dataclasses.MISSING:
        return "**needed**"
    # JSON writes such values as TOML does.
    return f"`{json.dumps(field.default)}`"


if __name__ == "__main__":
    print(page(), end="")
