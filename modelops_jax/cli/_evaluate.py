"""`modelops evaluate`: metrics of a file of predictions, or of a model's answers."""

import enum
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._columns import Columns
from ._evaluate_file import FileEvaluation, read_file
from ._evaluate_model import ModelQuestions, ask_model
from ._imports import import_modules
from ._metric_option import read_metric_option
from ._page import write_page

if TYPE_CHECKING:
    from modelops_jax.evaluation import Comparison, EvaluationResult


class Format(enum.StrEnum):
    """How the result is printed."""

    TABLE = "table"
    JSON = "json"


class Method(enum.StrEnum):
    """How intervals are made."""

    AUTO = "auto"
    PERCENTILE = "percentile"
    BCA = "bca"
    WILSON = "wilson"
    EXACT = "exact"


class Task(enum.StrEnum):
    """What the columns hold."""

    CLASSIFICATION = "classification"
    BINARY = "binary"
    MULTICLASS = "multiclass"
    MULTILABEL = "multilabel"
    REGRESSION = "regression"
    RANKING = "ranking"
    TEXT_GENERATION = "text_generation"


def evaluate(
    file: Annotated[
        Path,
        typer.Argument(
            help="Predictions: JSONL, CSV, TSV, NPZ or Parquet, also .gz. With --model prompts "
            "and completions, or conversations; for a model with labels texts and their labels: "
            "JSONL."
        ),
    ],
    task: Annotated[
        Task | None,
        typer.Option(
            help="What the columns hold.",
            show_default="classification, with --model text_generation, or what its labels are",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[KEY=]NAME[:OPTION=VALUE,...]",
            help="A metric in place of the task's, such as f1_score or fbeta_score:beta=2; "
            "KEY=NAME names its value; average=none gives one for each class. Repeatable. The "
            "names are in docs/metrics.md.",
        ),
    ] = None,
    modules: Annotated[
        list[str] | None,
        typer.Option(
            "--import",
            metavar="MODULE",
            help="A module to import first, such as a file of this folder (without .py) that "
            "registers metrics of your own for --metric; one of the environment goes first. "
            "Repeatable.",
        ),
    ] = None,
    true: Annotated[
        str,
        typer.Option(
            help="Column of what is right. Of texts also a list of right ones, for metrics that "
            "take several: BLEU, chrF, ROUGE, SQuAD's."
        ),
    ] = "y_true",
    pred: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Column of what was predicted. Repeatable: the columns are compared.",
            show_default="y_pred",
        ),
    ] = None,
    score: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[LABEL=]COLUMN",
            help="Column of scores or probabilities of class 1 (of --positive), beside labels; "
            "of several classes a LABEL=COLUMN for each. With several --pred as many, in their "
            "order; several COLUMNs without --pred are compared by their scores.",
        ),
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="The label that has the high scores.", show_default="1")
    ] = None,
    ignore: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            help="Leave out the rows whose true label this is, in tasks of one label a row.",
            show_default="none",
        ),
    ] = None,
    slice: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN[,COLUMN]",
            help="Column to compute the metrics by; a,b for both crossed. Repeatable.",
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="Column of ids whose rows are resampled together; in a ranking the query that a "
            "row belongs to."
        ),
    ] = None,
    weight: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column of the weight of each row, a number of at least 0; the pictures of "
            "--report are weighted, too.",
        ),
    ] = None,
    ci: Annotated[
        float | None, typer.Option(help="Level of confidence intervals, 0.95 say.")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="Of several --pred, or --score, the one to compare all others with.",
        ),
    ] = None,
    interval: Annotated[
        Method,
        typer.Option(
            help="How intervals are made: auto fits each metric; percentile and bca are "
            "bootstraps, wilson and exact of metrics that are shares of rows."
        ),
    ] = Method.AUTO,
    resamples: Annotated[
        int | None,
        typer.Option(
            min=2, help="Resamples of a bootstrap.", show_default="1000, of a comparison 2000"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the intervals.")] = 0,
    format: Annotated[Format, typer.Option(help="How to print the result.")] = Format.TABLE,
    output: Annotated[
        Path | None, typer.Option(help="Write the result to this file, as JSON.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write one HTML page with tables and plots, which needs no network."),
    ] = None,
    allow_bad_rows: Annotated[
        bool, typer.Option("--allow-bad-rows", help="Leave bad rows out instead of failing.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(help="A model, by name or path, to ask every prompt of FILE."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="With --model: where answers, result and report are kept.",
            show_default="evaluations/MODEL-FILE",
        ),
    ] = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            help="With --model: longest answer.", show_default="twice the longest completion"
        ),
    ] = None,
    temperature: Annotated[
        float, typer.Option(help="With --model: 0 takes the likeliest token, above it samples.")
    ] = 0.0,
    top_k: Annotated[
        int | None, typer.Option(help="With --model: sample among the k likeliest tokens.")
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(help="With --model: sample from this much probability.")
    ] = None,
) -> None:
    """Compute the metrics of a file of predictions, of any size, or of a model's answers.

    The file is read in chunks, and memory does not grow with it (with --slice: but for the number
    of slices; comparing labels: for the number of combinations of labels; comparing errors and
    other means, or with --weight: for --resamples; with --group: for the number of groups, and of
    those in each slice), other than for --group in rankings, exact AUROC and average precision,
    medians, ranks, a maximum by slice, and, without --group, BCa intervals of means, or with
    --weight of anything, which need all rows at once. Bad rows (of a label that is an empty cell,
    say) are listed with their lines and fail the command, unless --allow-bad-rows leaves them out.

    With --model the answers to the prompts of the file are made first, and kept with their scores
    in --folder as they come: the same command again goes on where it was stopped. --slice and
    --group are keys of its rows. A model with labels (a classifier, or a model of a value) says
    them of every text; metrics of scores and probabilities read those of its classes.

    With --task ranking --group COLUMN the rows of each query are ranked by their scores (--pred)
    and measured against their relevance (--true: 0 and up, or true and false): NDCG, mean
    reciprocal rank and mean average precision, unless --metric names others. The rows of a query
    may lie anywhere in the file.
    """
    import_modules(modules or [])
    crossed = [tuple(name.split(",")) for name in slice or []]
    columns = Columns(true, pred or [], score or [], crossed, group, weight)
    if ci is None and len(columns.models) < 2:
        for option, given in (
            ("--interval", interval is not Method.AUTO), ("--resamples", resamples is not None),
        ):  # fmt: skip
            if given:
                raise ValueError(f"{option} needs --ci, or several --pred or --score")
    if model is not None:
        for option, given in (
            ("--pred", pred), ("--score", score), ("--positive", positive),
            ("--ignore", ignore), ("--baseline", baseline), ("--weight", weight),
        ):  # fmt: skip
            if given:
                raise ValueError(f"{option} is for a file of predictions, not for --model")
        sampling = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
        answered = ask_model(
            ModelQuestions(
                model=model,
                dataset=file,
                task=None if task is None else str(task),
                metrics=[read_metric_option(text) for text in metric or []],
                folder=folder,
                generation={"max_new_tokens": max_new_tokens, **sampling},
                confidence=ci,
                interval=str(interval),
                resamples=resamples,
                slices=crossed,
                group=group,
                report=report,
                allow_bad_rows=allow_bad_rows,
            )
        )
        facts = {"predictions": str(answered.path), "bad_rows": answered.result.invalid_count}
        _tell(answered.result, facts, format, output)
        return
    asked = FileEvaluation(
        file=file,
        task=str(task or Task.CLASSIFICATION),
        told=task is not None,
        columns=columns,
        metrics=[read_metric_option(text) for text in metric or []],
        positive=positive,
        ignore=ignore,
        confidence=ci,
        interval=str(interval),
        resamples=resamples,
        baseline=baseline,
        seed=seed,
        allow_bad_rows=allow_bad_rows,
        pictures=report is not None,
    )
    found = read_file(asked)
    facts = {"file": str(file), "bad_rows": found.bad.count}
    if report is not None:
        write_page(report, asked, found)
    _tell(found.result, facts, format, output)


def _tell(
    result: "EvaluationResult | Comparison",
    facts: dict[str, Any],
    format: Format,
    output: Path | None,
) -> None:
    """Print the result, and write it to a file."""
    text = json.dumps(result.to_dict() | facts, indent=2, allow_nan=False)
    if output is not None:
        from modelops_jax.data import write_atomic

        write_atomic(output, f"{text}\n".encode())
    print(text if format is Format.JSON else result)
