"""`--import MODULE`: what a command imports before it begins."""

import importlib
import os
import sys
from collections.abc import Iterable

import typer


def import_modules(names: Iterable[str]) -> None:
    """Import modules, from the working folder too, as `python -m` does.

    Raises:
        typer.BadParameter: there is none of that name. What a module itself raises stays as it is.
    """
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            raise typer.BadParameter(
                f"found {name!r}, which is no module of this folder nor of the environment",
                param_hint="--import",
            ) from error
