"""`modelops finetune`: a run from its TOML file, or what it would take."""

import contextlib
import dataclasses
import enum
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from ._signals import stop_on_signals

if TYPE_CHECKING:
    from modelops_jax.data import Dataset
    from modelops_jax.models import Description
    from modelops_jax.training import FitResult, RunConfig, TokenizedDataset

MODEL, CHECKPOINTS, HISTORY = "model", "checkpoints", "history.jsonl"
CONFIG, ENVIRONMENT, INPUTS = "run.toml", "environment.json", "inputs.json"
# As shells say of a process that Ctrl-C ended.
INTERRUPTED = 130


class Inputs(NamedTuple):
    """What a run learns, and what of: the model without its weights, and the rows."""

    model: "Description"
    train: "Dataset | TokenizedDataset"
    held_out: "Dataset | None"


class Format(enum.StrEnum):
    """How the result is printed."""

    TEXT = "text"
    JSON = "json"


def finetune(
    config: Annotated[Path, typer.Argument(help="TOML file of the run; configs/ has some.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Settings that win over the file's."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what the run would take; read no weights.")
    ] = False,
    memory: Annotated[
        float | None,
        typer.Option(min=0.001, help="With --dry-run: GB of a device, instead of this machine's."),
    ] = None,
    time: Annotated[
        bool, typer.Option("--time", help="With --dry-run: time two steps on zeros as well.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest checkpoint of the output.")
    ] = False,
    format: Annotated[Format, typer.Option(help="How to print the result.")] = Format.TEXT,
) -> int:
    """Fine-tune a model as a TOML file says.

    For example: modelops finetune run.toml training.seed=1

    Paths in the file are relative to the working directory. The output folder gets the model as a
    Hugging Face folder (model), the records of the run (history.jsonl), its configuration in full
    (run.toml), the environment of its last part (environment.json), the hashes of the rows and the
    base model (inputs.json) and the checkpoints (checkpoints). Ctrl-C ends the run after its step
    and keeps a checkpoint for --resume; a second one ends it at once. After the last step, --resume
    writes a model that could not be written, and trains no more; where there is no checkpoint, it
    says so and begins at step 0.

    The rows are text to write; with labels in the file, texts with a label; with training.dpo,
    prompts with a chosen and a rejected answer.
    """
    from modelops_jax.training import load_config

    run = load_config(config, overrides or [])
    if dry_run:
        text, facts = _plan(run, memory, time)
        print(json.dumps(facts, indent=2) if format is Format.JSON else text)
        return 0
    if memory is not None or time:
        raise typer.BadParameter("--memory and --time are for --dry-run")
    result = _train(run, resume=_check_output(run, resume=resume))
    facts = _facts(run, result)
    print(json.dumps(facts, indent=2) if format is Format.JSON else _text(facts))
    if result.stopped:
        print(f"modelops: stopped after step {result.step}; --resume goes on", file=sys.stderr)
        return INTERRUPTED
    return 0


def _plan(run: "RunConfig", memory: float | None, time: bool) -> tuple[str, dict[str, Any]]:
    from modelops_jax.training import plan

    model, train, held_out = _inputs(run)
    given = None if memory is None else round(memory * 1e9)
    found = plan(model, train, config=run.training, memory=given, time_steps=time)
    rows = {"held_out_rows": 0 if held_out is None else len(held_out)}
    return str(found), found.to_dict() | rows


def _inputs(run: "RunConfig") -> Inputs:
    """The model with its labels, the training rows and the held-out ones."""
    from modelops_jax.data import Dataset
    from modelops_jax.models import describe
    from modelops_jax.training import ConfigError, TokenizedDataset, labels_in, row_kind

    model = describe(run.model)
    kind = row_kind(run.labels or model.config.labels, run.training)
    held_out = None if run.data.eval is None else Dataset.from_file(run.data.eval, kind)
    if run.data.train.is_dir():
        if kind != "text" or run.data.eval_fraction is not None:
            raise ConfigError(
                f"data.train is the folder {run.data.train}; labels, training.dpo and "
                "data.eval_fraction need a JSONL file of rows"
            )
        return Inputs(model, TokenizedDataset.open(run.data.train), held_out)
    train = Dataset.from_file(run.data.train, kind)
    if run.labels == "auto":
        try:
            model = model.with_labels(labels_in(train))
        except ValueError as error:
            raise ConfigError(f'labels = "auto": {run.data.train}: {error}') from error
    elif run.labels:
        model = model.with_labels(run.labels)
    if run.data.eval_fraction is not None:
        held_out, train = train.split(run.data.eval_fraction, run.training.seed)
    return Inputs(model, train, held_out)


def _check_output(run: "RunConfig", *, resume: bool) -> bool:
    """Whether there is a run to go on with; refuses to train over the results of an earlier one."""
    from modelops_jax.training import latest_checkpoint

    if (run.output / MODEL).exists():
        raise FileExistsError(
            f"{run.output / MODEL} is there already; choose another output, or remove it first"
        )
    newest = latest_checkpoint(run.output / CHECKPOINTS)
    if newest is not None and not resume:
        raise FileExistsError(
            f"{newest} is of an earlier run; go on from it with --resume, choose another output, "
            "or remove it first"
        )
    if newest is None and resume:
        # No error: what is killed and started again by a scheduler has --resume from the start.
        print(
            f"modelops: --resume found no checkpoint in {run.output / CHECKPOINTS}; the run begins "
            "at step 0",
            file=sys.stderr,
        )
    return newest is not None


def _train(run: "RunConfig", *, resume: bool) -> "FitResult":
    from modelops_jax.data import write_atomic
    from modelops_jax.models import load
    from modelops_jax.training import append_history, fingerprint, fit

    described, train, held_out = _inputs(run)
    # By the name that was found, since a substitution was warned about.
    model = load(described.name, mesh=run.training.mesh)
    labels = described.config.labels
    if labels != model.config.labels:
        model = model.with_labels(labels, seed=run.training.seed)
    run = dataclasses.replace(run, labels=labels or None)
    run.output.mkdir(parents=True, exist_ok=True)

    def keep_settings() -> None:
        write_atomic(run.output / CONFIG, run.to_toml().encode())
        write_atomic(run.output / ENVIRONMENT, json.dumps(fingerprint(), indent=2).encode())

    if not resume:  # whose settings stay, should these be refused
        keep_settings()
    history = run.output / HISTORY
    with _told_what_is_kept(run.output / CHECKPOINTS):
        with stop_on_signals() as stop, append_history(history, resume=resume) as append:
            result = fit(
                model,
                train,
                config=run.training,
                eval=held_out,
                folder=run.output / CHECKPOINTS,
                resume=resume,
                callback=append,
                stop=stop,
            )
        if resume:
            keep_settings()
        lines = (json.dumps(record).encode() + b"\n" for record in result.history)
        # What a loss of power took from the file, the checkpoint has.
        write_atomic(history, lines)
        write_atomic(run.output / INPUTS, json.dumps(dict(result.inputs), indent=2).encode())
        if not result.stopped:
            result.model.save(run.output / MODEL)
    return result


@contextlib.contextmanager
def _told_what_is_kept(checkpoints: Path) -> Iterator[None]:
    """Say with an error of the disk where a run can go on from."""
    from modelops_jax.training import latest_checkpoint

    try:
        yield
    except OSError as error:
        kept = latest_checkpoint(checkpoints)
        if kept is None:
            raise
        raise OSError(
            f"{error}; what was trained is kept in {kept}, and --resume goes on from there"
        ) from error


def _facts(run: "RunConfig", result: "FitResult") -> dict[str, Any]:
    """What a finished or stopped run comes to."""
    steps = [record for record in result.history if "loss" in record]
    evaluations = [
        record for record in result.history if any(k.startswith("eval_") for k in record)
    ]
    # With `keep_best` the weights are those of an earlier evaluation than the last.
    of_weights = [record for record in evaluations if record["step"] <= result.step][-1:]
    found = {
        key: v for record in of_weights for key, v in record.items() if key.startswith("eval_")
    }
    return {
        "model": None if result.stopped else str(run.output / MODEL),
        "checkpoint": None if result.checkpoint is None else str(result.checkpoint),
        "stopped": result.stopped,
        "step": result.step,
        "seconds": sum(record["seconds"] for record in result.history),
        "loss": steps[-1]["loss"] if steps else None,
        **found,
    }


def _text(facts: dict[str, Any]) -> str:
    lines = {
        "model": facts["model"] or "not yet",
        "step": f"{facts['step']:,} after {facts['seconds']:,.0f} s",
    }
    if facts["loss"] is not None:
        lines["loss"] = f"{facts['loss']:.4f}"
    for key, value in facts.items():
        if key.startswith("eval_") and not key.endswith("_interval"):
            ends = facts.get(f"{key}_interval")
            interval = f" ({ends[0]:.4f} to {ends[1]:.4f})" if ends else ""
            shown = f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
            lines[f"held-out {key.removeprefix('eval_').replace('_', ' ')}"] = shown + interval
    width = max(map(len, lines)) + 2
    return "\n".join(f"{name:<{width}}{text}" for name, text in lines.items())
