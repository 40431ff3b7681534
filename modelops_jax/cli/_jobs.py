"""`modelops jobs`: the fine-tuning jobs of this machine."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from modelops_jax.jobs import JobRecord

jobs = typer.Typer(no_args_is_help=True, help="See, resume and cancel fine-tuning jobs.")
Home = Annotated[
    Path | None,
    typer.Option(help="Where jobs are kept; MODELOPS_HOME or the platform's data folder if not."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@jobs.command("list")
def list_(home: Home = None, as_json: AsJson = False) -> None:
    """List all jobs, the newest last."""
    from modelops_jax.jobs import list_jobs

    records = list_jobs(home)
    if as_json:
        print(json.dumps([_plain(record) for record in records], indent=2))
        return
    for record in records:
        made = record.created_at.astimezone()
        print(f"{record.job_id}  {record.status:<11}  {made:%Y-%m-%d %H:%M}  {record.base_model}")


@jobs.command()
def show(
    job_id: Annotated[str, typer.Argument(help="As `jobs list` shows it.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show a job: its status, its newest record of training, and what happened to it."""
    from modelops_jax.jobs import FineTuningJob

    job = FineTuningJob.load(job_id, home)
    record, events, metrics = job.record(), job.events(), job.metrics()
    if as_json:
        told = [dataclasses.asdict(event) | {"at": event.at.isoformat()} for event in events]
        facts = {"folder": str(job.folder), "metrics": metrics, "events": told}
        print(json.dumps(_plain(record) | facts, indent=2))
        return
    print(f"job     {record.job_id}")
    print(f"status  {record.status}" + (f": {record.error}" if record.error else ""))
    print(f"model   {record.base_model}" + _instead(record))
    print(f"folder  {job.folder}")
    if metrics:
        shown = {k: v for k, v in metrics[-1].items() if k in ("step", "loss", "eval_loss")}
        print("newest  " + ", ".join(f"{key} {value:.6g}" for key, value in shown.items()))
    for event in events:
        print(f"{event.at.astimezone():%Y-%m-%d %H:%M:%S}  {event.kind}: {event.message}")


@jobs.command()
def resume(
    job_id: Annotated[str, typer.Argument(help="As `jobs list` shows it.")], home: Home = None
) -> int:
    """Go on with an interrupted job from its last checkpoint, and wait for its end."""
    from modelops_jax.jobs import FineTuningJob

    job = FineTuningJob.load(job_id, home)
    job.run(wait=True)
    status, error = job.refresh_status(), job.error
    print(f"{job_id} is {status}" + (f": {error}" if error else ""))
    return 0 if status == "completed" else 1


@jobs.command()
def cancel(
    job_id: Annotated[str, typer.Argument(help="As `jobs list` shows it.")], home: Home = None
) -> None:
    """Ask for a job to stop, for good; one that runs does so at its next step."""
    from modelops_jax.jobs import FineTuningJob

    job = FineTuningJob.load(job_id, home)
    job.cancel()
    status = job.refresh_status()
    asked = " and was asked to stop" if status == "running" else ""
    print(f"{job_id} is {status}{asked}")


def _instead(record: "JobRecord") -> str:
    return "" if record.resolved_model == record.base_model else f" ({record.resolved_model})"


def _plain(record: "JobRecord") -> dict[str, object]:
    """A record as JSON has it."""
    facts = dataclasses.asdict(record)
    return {
        key: value.isoformat() if hasattr(value, "isoformat") else value
        for key, value in facts.items()
    }
