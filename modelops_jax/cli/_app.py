"""The command `modelops` and its subcommands."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from modelops_jax._version import __version__

from ._data import data
from ._evaluate import evaluate
from ._finetune import finetune
from ._jobs import jobs

app = typer.Typer(
    name="modelops",
    help="Evaluate and fine-tune models on CPU, GPU or TPU.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(evaluate)
app.command()(finetune)
app.add_typer(data, name="data")
app.add_typer(jobs, name="jobs")


def _show_version(wanted: bool) -> bool:
    if wanted:
        print(f"modelops {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Evaluate and fine-tune models on CPU, GPU or TPU."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        arguments: What comes after `modelops`; the process's own by default.

    Returns:
        The exit code.
    """
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        code = app(given, prog_name="modelops", standalone_mode=False)
    except typer.Abort:
        print("modelops: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        shown = getattr(error, "show", None)  # click's own: wrong usage
        if shown is not None:
            shown()
            return getattr(error, "exit_code", 2)
        # The user's mistakes and the machine's; ours come with a traceback.
        if isinstance(error, ValueError | TypeError | OSError | ImportError | ArithmeticError):
            print(f"modelops: {error}", file=sys.stderr)
            return 1
        raise
    return code if isinstance(code, int) else 0
