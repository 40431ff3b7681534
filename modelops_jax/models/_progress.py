"""A bar for calls that take a while."""

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ._generate import Progress as Report


@contextlib.contextmanager
def show_rows(
    name: str, progress: Report | bool, console: Console | None = None
) -> Iterator[Report | None]:
    """What to tell about finished rows: the caller's own function, a bar for True, or nothing.

    Args:
        name: What the bar calls the work.
        progress: True, False, or a function of the numbers of finished and of all rows.
        console: Where the bar goes; standard error by default, so that output stays clean.
    """
    if not isinstance(progress, bool):
        yield progress
        return
    if not progress:
        yield None
        return
    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console or Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)
        yield lambda finished, total: bar.update(task, completed=finished, total=total)
