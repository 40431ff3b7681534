"""`modelops evaluate`: metrics of a file of predictions."""

import enum
import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from modelops_jax.data import Problem
    from modelops_jax.evaluation import EvaluationResult, EvaluationStream

# Bad rows that are listed; all are counted.
LISTED = 20


class Format(enum.StrEnum):
    """How the result is printed."""

    TABLE = "table"
    JSON = "json"


class Task(enum.StrEnum):
    """What the columns hold."""

    CLASSIFICATION = "classification"
    BINARY = "binary"
    MULTICLASS = "multiclass"
    MULTILABEL = "multilabel"
    REGRESSION = "regression"
    RANKING = "ranking"
    TEXT_GENERATION = "text_generation"


# Task -> what the cells of the true and of the predicted column are.
CELLS = {
    Task.CLASSIFICATION: ("label", "label"),
    Task.BINARY: ("label", "label"),
    Task.MULTICLASS: ("label", "label"),
    Task.MULTILABEL: ("labels", "labels"),
    Task.REGRESSION: ("number", "number"),
    Task.RANKING: ("label", "number"),
    Task.TEXT_GENERATION: ("text", "text"),
}

# Their intervals follow from counts.
COUNTED = (Task.CLASSIFICATION, Task.BINARY, Task.MULTICLASS)


def evaluate(
    file: Annotated[Path, typer.Argument(help="JSONL, CSV, TSV, NPZ or Parquet, also .gz.")],
    task: Annotated[Task, typer.Option(help="What the columns hold.")] = Task.CLASSIFICATION,
    true: Annotated[str, typer.Option(help="Column of what is right.")] = "y_true",
    pred: Annotated[str, typer.Option(help="Column of what was predicted.")] = "y_pred",
    slice: Annotated[
        list[str] | None,
        typer.Option(help="Column to compute the metrics by; a,b for both crossed. Repeatable."),
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Column of ids whose rows are resampled together.")
    ] = None,
    ci: Annotated[
        float | None, typer.Option(help="Level of confidence intervals, 0.95 say.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the intervals.")] = 0,
    format: Annotated[Format, typer.Option(help="How to print the result.")] = Format.TABLE,
    output: Annotated[
        Path | None, typer.Option(help="Write the result to this file, as JSON.")
    ] = None,
    allow_bad_rows: Annotated[
        bool, typer.Option("--allow-bad-rows", help="Leave bad rows out instead of failing.")
    ] = False,
) -> None:
    """Compute the metrics of a file of predictions, of any size.

    The file is read in chunks, and memory does not grow with it but for slices, groups, exact
    AUROC, multilabel metrics and intervals of means, which need all rows at once. Bad rows are
    listed with their lines and fail the command, unless --allow-bad-rows leaves them out.
    """
    from modelops_jax.evaluation import ModelEvaluator, UndefinedMetricWarning

    crossed = [tuple(name.split(",")) for name in slice or []]
    columns: dict[str, Any] = {true: CELLS[task][0]}
    others = [*(name for names in crossed for name in names), *([group] if group else [])]
    for name, kind in [(pred, CELLS[task][1]), *((name, "label") for name in others)]:
        if columns.setdefault(name, kind) != kind or name == pred == true:
            raise ValueError(f"the column {name!r} cannot serve as two things at once")
    evaluator = ModelEvaluator(str(task))
    whole = bool(others) or (ci is not None and task not in COUNTED)
    stream = None if whole else evaluator.stream()
    rows, problems = _read(file, columns, true, pred, stream)
    count = stream.rows if stream else len(rows[true])
    if problems:
        _list(file, problems)
        if not allow_bad_rows:
            raise ValueError(
                f"{file}: {len(problems):,} bad row(s), {count:,} good; nothing was "
                "computed (--allow-bad-rows leaves them out)"
            )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UndefinedMetricWarning)
        if stream is not None:
            result = stream.result(confidence=ci, seed=seed)
        else:
            slices = {name: rows[name] for names in crossed for name in names}
            result = evaluator.evaluate(
                rows[true],
                rows[pred],
                confidence=ci,
                groups=rows[group] if group else None,
                seed=seed,
                slices={**slices, **{names: None for names in crossed if len(names) > 1}},
            )
    for warning in caught:
        print(f"modelops: {warning.message}", file=sys.stderr)
    facts = result.to_dict() | {"file": str(file), "bad_rows": len(problems)}
    text = json.dumps(facts, indent=2, allow_nan=False)
    if output is not None:
        from modelops_jax.data import write_atomic

        write_atomic(output, f"{text}\n".encode())
    print(text if format is Format.JSON else _table(result, len(problems)))


def _read(
    file: Path, columns: dict[str, Any], true: str, pred: str, stream: "EvaluationStream | None"
) -> tuple[dict[str, list[Any]], list["Problem"]]:
    """Feed the rows to the stream, or collect them; returns what was collected and the bad rows."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from modelops_jax.data import read_table

    rows: dict[str, list[Any]] = {name: [] for name in columns}
    problems: list[Problem] = []
    console = Console(stderr=True)
    shown = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Progress(*shown, console=console, disable=not console.is_terminal) as bar:
        work = bar.add_task(file.name, total=1.0)
        for chunk in read_table(file, columns):
            problems += chunk.problems
            if stream is None:
                for name, cells in chunk.columns.items():
                    rows[name] += cells
            elif chunk.lines:
                stream.update(chunk.columns[true], chunk.columns[pred])
            bar.update(work, completed=chunk.done)
    return rows, problems


def _list(file: Path, problems: list["Problem"]) -> None:
    for problem in problems[:LISTED]:
        print(f"{file}, {problem}", file=sys.stderr)
    if len(problems) > LISTED:
        print(f"... and {len(problems) - LISTED:,} more", file=sys.stderr)


def _table(result: "EvaluationResult", bad: int) -> str:
    left_out = f"\n({bad:,} bad row(s) left out)" if bad else ""
    return f"{result}{left_out}"
