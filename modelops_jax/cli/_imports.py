"""`--import MODULE`: what a command imports before it begins."""

import importlib
import os
import sys
from collections.abc import Sequence

import typer


def import_modules(names: Sequence[str]) -> None:
    """Import modules, of the environment or else of the working folder.

    Only what is named runs: a `jax.py` that lies beside the data is not imported in place of JAX,
    as `python -m` would.

    Raises:
        typer.BadParameter: there is none of that name. What a module itself raises stays as it is.
    """
    if not names:
        return
    folder = os.getcwd()
    added = folder not in sys.path
    if added:
        sys.path.append(folder)
    try:
        for name in names:
            _import(name)
    finally:
        if added and folder in sys.path:
            sys.path.remove(folder)


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise typer.BadParameter(
            f"found {name!r}, which is no module of this folder nor of the environment",
            param_hint="--import",
        ) from error
