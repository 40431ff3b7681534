"""`modelops data`: rows to learn from, checked."""

import enum
import sys
from pathlib import Path
from typing import Annotated

import typer

data = typer.Typer(no_args_is_help=True, help="Check files of rows to learn from.")


class Kind(enum.StrEnum):
    """What a row is for."""

    TEXT = "text"
    LABELLED = "labelled"
    PREFERENCE = "preference"


@data.callback()
def _group() -> None:
    """Check files of rows to learn from."""


@data.command()
def check(
    file: Annotated[Path, typer.Argument(help="JSONL, also .gz, of any size.")],
    kind: Annotated[Kind, typer.Option(help="What the rows are for.")] = Kind.TEXT,
) -> int:
    """Check every line of a JSONL file; exit code 1 if any is no row.

    Each bad line is listed on standard error with its number, a code and what is wrong.
    """
    from modelops_jax.data import stream_rows

    rows = bad = 0
    for _, _, found in stream_rows(file, kind.value):
        rows, bad = rows + 1, bad + bool(found)
        for problem in found:
            print(f"{file}:{problem.line}: {problem.code}: {problem.message}", file=sys.stderr)
    print(f"{file}: {rows:,} rows, {bad:,} bad")
    if not rows:
        print(f"modelops: {file} has no rows", file=sys.stderr)
    return 1 if bad or not rows else 0
