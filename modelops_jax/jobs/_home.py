"""Where jobs are kept: the argument, else MODELOPS_HOME, else the platform's data folder."""

import os
from pathlib import Path

import platformdirs


def resolve_home(home: str | os.PathLike[str] | None) -> Path:
    """Find the folder that holds the job store and the jobs' folders.

    Args:
        home: a folder, or None for the MODELOPS_HOME variable and after it the platform's data
            folder (`~/.local/share/modelops` on Linux).

    Returns:
        The absolute path; nothing is created.

    Example:
        >>> resolve_home("/srv/models").as_posix()
        '/srv/models'
    """
    chosen = home if home is not None else os.environ.get("MODELOPS_HOME")
    if not chosen:
        chosen = platformdirs.user_data_path("modelops", appauthor=False)
    return Path(chosen).expanduser().absolute()
