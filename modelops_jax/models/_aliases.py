"""The user's own names for models: `models.toml`."""

import os
import tomllib
from pathlib import Path

import platformdirs


def aliases_file() -> Path:
    """`models.toml` in MODELOPS_HOME, else in the platform's configuration folder."""
    home = os.environ.get("MODELOPS_HOME")
    folder = Path(home).expanduser() if home else platformdirs.user_config_path("modelops", False)
    return folder.absolute() / "models.toml"


def read_aliases() -> dict[str, str]:
    """Read the user's aliases; none if there is no file.

    The file has one table, `[aliases]`, from a name to a path or to another model's name. A
    relative path counts from the file's folder.

    Returns:
        Alias to path or name; what exists as a path is absolute.

    Raises:
        ValueError: The file is not TOML or holds something else; the message names it.
    """
    path = aliases_file()
    if not path.exists():
        return {}
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid TOML: {error}") from error
    unknown = content.keys() - {"aliases"}
    if unknown:
        raise ValueError(f"{path}: unknown key {min(unknown)!r}; expected the table [aliases]")
    aliases = content.get("aliases", {})
    if not isinstance(aliases, dict):
        raise ValueError(f"{path}: aliases is {aliases!r}; expected a table")
    for name, target in aliases.items():
        if not isinstance(target, str):
            raise ValueError(
                f"{path}: aliases.{name} is {target!r}; expected a path or a model's name"
            )
    return {name: _absolute(path.parent, target) for name, target in aliases.items()}


def _absolute(folder: Path, target: str) -> str:
    place = folder / Path(target).expanduser()
    return str(place) if place.exists() else target
