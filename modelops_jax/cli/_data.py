"""`modelops data`: rows to learn from, checked and tokenised."""

import enum
import sys
from pathlib import Path
from typing import Annotated

import typer

data = typer.Typer(no_args_is_help=True, help="Check and tokenise files of rows to learn from.")


class Kind(enum.StrEnum):
    """What a row is for."""

    TEXT = "text"
    LABELLED = "labelled"
    PREFERENCE = "preference"


class TrainOn(enum.StrEnum):
    """Which tokens of a row are learned."""

    ASSISTANT = "assistant"
    LAST = "last"
    ALL = "all"


class Overlong(enum.StrEnum):
    """What becomes of a row that is too long."""

    ERROR = "error"
    DROP = "drop"


@data.callback()
def _group() -> None:
    """Check and tokenise files of rows to learn from."""


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


@data.command()
def tokenize(
    file: Annotated[Path, typer.Argument(help="JSONL of rows of text, also .gz, of any size.")],
    folder: Annotated[Path, typer.Argument(help="Where tokenised datasets are kept.")],
    model: Annotated[str, typer.Option(help="Name or path of the model that is to learn them.")],
    train_on: Annotated[
        TrainOn, typer.Option(help="Tokens that are learned; see training.train_on.")
    ] = TrainOn.ASSISTANT,
    max_length: Annotated[
        int | None, typer.Option(min=1, help="Longest row in tokens; the model's context if less.")
    ] = None,
    overlong: Annotated[
        Overlong, typer.Option(help="Refuse a file with longer rows, or leave them out.")
    ] = Overlong.ERROR,
    processes: Annotated[
        int, typer.Option(min=1, help="How many tokenise; one uses all cores for most templates.")
    ] = 1,
) -> int:
    """Tokenise a JSONL file once, for every run that learns the same rows.

    For example: modelops data tokenize rows.jsonl tokens --model smollm2-135m-instruct

    Prints the dataset's own folder inside FOLDER, which data.train of a run's TOML file may name.
    Of the model only the tokenizer is read. A dataset that was made of the same file in the same
    way is there already, and is not made again. The options have to be those of the run.
    """
    from modelops_jax.models import describe
    from modelops_jax.training import TrainingConfig, tokenize_to_disk

    found = describe(model)
    config = TrainingConfig(train_on=train_on.value, max_length=max_length, overlong=overlong.value)
    context = found.config.max_position
    made = tokenize_to_disk(
        file, folder, found.tokenizer, config, context=context, processes=processes
    )
    assert made.stored is not None
    print(
        f"{made.stored.folder}: {len(made):,} rows of {made.tokens:,} tokens, "
        f"{made.trained_tokens:,} of them trained; {len(made.stored.left_out):,} rows left out"
    )
    return 0
