"""How far the answers of a model are: a bar on a terminal, plain lines elsewhere."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ._answer_file import CHUNK_ROWS


@contextlib.contextmanager
def shown_progress(total: int, done: int, mode: str) -> Iterator[Callable[[int], None]]:
    """A bar of rows on a terminal, a line a chunk elsewhere."""
    if mode not in ("auto", "off"):
        raise ValueError(f"progress must be 'auto' or 'off', found {mode!r}")
    console = Console(stderr=True)
    if mode == "off":
        yield lambda rows: None
    elif console.is_terminal:
        shown = TextColumn("answers"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*shown, console=console) as bar:
            work = bar.add_task("answers", total=total, completed=done)
            yield lambda rows: bar.update(work, completed=rows)
    else:
        shown_rows = done

        def line(rows: int) -> None:
            nonlocal shown_rows
            if rows > shown_rows and (rows == total or rows % CHUNK_ROWS == 0):
                shown_rows = rows
                console.print(f"answers {rows:,}/{total:,}", highlight=False)

        yield line
