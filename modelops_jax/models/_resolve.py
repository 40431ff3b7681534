"""What a model's name stands for: a file, an alias, a preset, a packaged model, a hub id."""

import os
from pathlib import Path
from typing import Literal, NamedTuple

from modelops_jax._did_you_mean import did_you_mean

from ._aliases import aliases_file, read_aliases
from ._errors import UnknownModelError
from ._fetch import PACKAGED, fetch_command, locate
from ._hub import hub_folder, is_hub_id
from ._presets import PRESETS

HOSTED = {
    name: "tiny"
    for name in (
        "gpt-3.5-turbo",
        "gpt-4",
        "gpt-4-turbo",
        "gpt-4o",
        "gpt-4o-mini",
    )
}
"""Models that only their owner can run, and the preset that stands in for each."""


class Resolved(NamedTuple):
    """Where a model's name leads.

    Args:
        kind: What `location` is.
        location: The folder or file, or the preset's name.
        name: The name that leads there again, now and in another process.
        warning: What the user has to know, if the model is not the one that was named.
    """

    kind: Literal["folder", "gguf", "preset"]
    location: str
    name: str
    warning: str | None = None


def resolve(name_or_path: str | os.PathLike[str]) -> Resolved:
    """Find out what a model's name stands for; loads nothing.

    Tried in this order: a folder with a config.json or a `.gguf` file; an alias from the user's
    models.toml; a preset; the name of a hosted model, for which a preset stands in; a packaged
    model that was fetched; a Hugging Face id, from its cache and then from the network.

    Args:
        name_or_path: A path or a name.

    Returns:
        Where it leads. Nothing is warned about here: `load` does that.

    Raises:
        UnknownModelError: Nothing has this name; the message lists what was tried.

    Example:
        >>> resolve("tiny").kind
        'preset'
        >>> resolve("gpt-3.5-turbo").name
        'tiny'
    """
    name = os.fspath(name_or_path)
    if not name:
        raise UnknownModelError("the model's name is empty; expected a path or a name")
    aliases = read_aliases()
    seen = [name]
    while True:
        found = _local(name)
        if isinstance(found, Resolved):
            return found
        if name not in aliases:
            break
        name = aliases[name]
        if name in seen:
            raise UnknownModelError(
                f"{aliases_file()}: the aliases go round in a circle: {' -> '.join([*seen, name])}"
            )
        seen.append(name)
    tried = [found, f"alias in {aliases_file()}"]
    if name in PRESETS:
        return Resolved("preset", name, name)
    tried.append("preset")
    if name in HOSTED:
        preset = HOSTED[name]
        return Resolved(
            "preset",
            preset,
            preset,
            f"{name!r} is a hosted model whose weights are not public; the local preset "
            f"{preset!r} (small, randomly initialised) is used in its place",
        )
    if name in PACKAGED:
        path = locate(name)
        if path is None:
            raise UnknownModelError(
                f"the model {name!r} is not on this machine; fetch it with: {fetch_command(name)}"
            )
        return Resolved("gguf", str(path), name)
    tried.append("packaged model")
    if is_hub_id(name):
        folder = hub_folder(name)
        if isinstance(folder, Path):
            return Resolved("folder", str(folder), name)
        tried.append(folder)
    known = [*PRESETS, *PACKAGED, *sorted(aliases), *HOSTED]
    raise UnknownModelError(
        f"unknown model {name!r}"
        + (f", reached through the alias {seen[0]!r}" if len(seen) > 1 else "")
        + (did_you_mean(name, known) or ".")
        + f" Tried: {'; '.join(tried)}."
        + f" Known names: {', '.join(known)}."
    )


def _local(name: str) -> Resolved | str:
    """A folder or file of this name, or why there is none."""
    path = Path(name).expanduser()
    if path.is_dir():
        if (path / "config.json").exists():
            return Resolved("folder", str(path.absolute()), str(path.absolute()))
        return f"folder {path.absolute()} (is there, but has no config.json)"
    if path.is_file():
        if path.suffix == ".gguf":
            return Resolved("gguf", str(path.absolute()), str(path.absolute()))
        return f"file {path.absolute()} (is there, but its name does not end in .gguf)"
    return f"folder or .gguf file {path.absolute()} (no such path)"
