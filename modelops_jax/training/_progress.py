"""Progress of a run: a bar on a terminal, plain lines elsewhere."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, get_args

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

ProgressMode = Literal["auto", "off"]
Reporter = Callable[[Mapping[str, Any]], None]
"""Takes the records of a run as they come."""

# Where no terminal can redraw a line, a line is written at most so often.
SECONDS_BETWEEN_LINES = 5.0
# Values of an evaluation that have a word of their own, or none.
_SHOWN = ("eval_loss", "eval_token_accuracy")


def _summary(record: Mapping[str, Any]) -> str:
    parts = []
    if "loss" in record:
        parts.append(f"loss {record['loss']:.4f}")
    elif "learning_rate" in record:
        parts.append(f"loss not finite, step skipped ({record['skipped_steps']} in all)")
    if "eval_loss" in record:
        parts.append(f"held-out loss {record['eval_loss']:.4f}")
    for key, value in record.items():
        if key.startswith("eval_") and key not in _SHOWN and isinstance(value, int | float):
            shown = f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
            parts.append(f"{key.removeprefix('eval_').replace('_', ' ')} {shown}")
    if "tokens_per_second" in record:
        parts.append(f"{record['tokens_per_second']:,.0f} tokens/s")
    return ", ".join(parts)


@contextlib.contextmanager
def show_progress(
    total_steps: int, done: int, mode: ProgressMode, console: Console | None = None
) -> Iterator[Reporter]:
    """A reporter that shows steps, loss, tokens/s and the time left.

    Args:
        total_steps: Steps of the whole run.
        done: Steps already behind.
        mode: "auto" shows progress, "off" shows nothing.
        console: Where to write; standard error by default, so that output stays clean.
    """
    if mode not in get_args(ProgressMode):
        raise ValueError(f"progress must be one of {get_args(ProgressMode)}, found {mode!r}")
    if mode == "off":
        yield lambda record: None
        return
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield _line_reporter(console, total_steps, done)
        return
    bar = Progress(
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[summary]}"),
        TimeRemainingColumn(),
        console=console,
    )
    with bar:
        task = bar.add_task("training", total=total_steps, completed=done, summary="compiling")
        shown: dict[str, Any] = {}

        def update(record: Mapping[str, Any]) -> None:
            shown.update(record)
            bar.update(task, completed=record["step"], summary=_summary(shown))

        yield update


def _line_reporter(console: Console, total_steps: int, done: int) -> Reporter:
    begun = time.monotonic()
    last = -SECONDS_BETWEEN_LINES

    def line(record: Mapping[str, Any]) -> None:
        nonlocal last
        now = time.monotonic() - begun
        is_end = record["step"] == total_steps or any(key.startswith("eval_") for key in record)
        if now - last < SECONDS_BETWEEN_LINES and not is_end:
            return
        last = now
        steps = record["step"] - done
        left = now / steps * (total_steps - record["step"]) if steps else 0.0
        console.print(
            f"step {record['step']}/{total_steps}: {_summary(record)}, {left:.0f} s left",
            highlight=False,
            soft_wrap=True,
        )

    return line
