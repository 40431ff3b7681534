"""FineTuningJob from end to end, on the preset that ships with the package."""

import dataclasses
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from modelops_jax.data import Dataset, DatasetError
from modelops_jax.jobs import FineTuningJob, JobError, JobNotFoundError, JobStateError
from modelops_jax.models import LoraConfig, SubstitutedModelWarning, UnknownModelError, load
from modelops_jax.training import (
    TrainingConfig,
    _run,
    config_from_dict,
    fit,
    latest_checkpoint,
    tokenize,
    train_step,
)
from modelops_jax.training._model_hash import model_hash

HELLO = [{"prompt": "Hello", "completion": "Hi there!"}]
# Far too many steps to end by itself in a test.
ENDLESS = TrainingConfig(epochs=100_000, batch_size=1, remat="none")

# The snippet of the documentation; only its import line is ours.
DOCUMENTED = """
from modelops_jax import FineTuningJob, Dataset

# Create and run a fine-tuning job
dataset = Dataset(data=[{"prompt": "Hello", "completion": "Hi there!"}])
job = FineTuningJob(base_model="gpt-3.5-turbo", dataset=dataset)
job_id = job.run()
print(f"Job {job_id}: {job.refresh_status()}")
"""

# A script that begins a job which cannot end in time, and says so at its third step.
SCRIPT = """
import sys, time
from modelops_jax.data import Dataset
from modelops_jax.jobs import FineTuningJob
from modelops_jax.training import TrainingConfig, latest_checkpoint
rows = Dataset([{"prompt": "Hello", "completion": "Hi there!"}])
config = TrainingConfig(epochs=100_000, batch_size=1, checkpoint_every=1, remat="none")
job = FineTuningJob("tiny", rows, config=config)
print(job.run(), flush=True)
while len(job.metrics()) < 3 or not latest_checkpoint(job.folder / "checkpoints"):
    time.sleep(0.01)
print("training", flush=True)
time.sleep(600)
"""


def hello(**arguments: Any) -> FineTuningJob:
    """A job on the documented row."""
    return FineTuningJob("tiny", Dataset(HELLO), **arguments)


def test_the_documented_script(start_python: Callable, home: Path):
    """As a script it prints, warns, waits for its job at its end, and another process predicts."""
    script = start_python(DOCUMENTED)
    output, errors = script.communicate(timeout=120)
    assert script.returncode == 0, errors
    match = re.fullmatch(r"Job (ft-\d{14}-[0-9a-z]{6}): running\n", output)
    assert match, output
    # Line 7 is where the script calls run().
    assert "<string>:7: SubstitutedModelWarning: 'gpt-3.5-turbo' is a hosted model" in errors
    job = FineTuningJob.load(match[1])
    assert (job.status, job.error) == ("completed", None)
    record = job.record()
    assert (record.base_model, record.resolved_model) == ("gpt-3.5-turbo", "tiny")
    assert [event.kind for event in job.events()] == [
        "pending",
        "substituted",
        "running",
        "completed",
    ]
    assert job.folder == home / "jobs" / match[1]
    # This process is another one than the script's.
    assert job.predict(["Hello"]) == ["Hi there!"]


def test_the_life_of_a_job(capfd: pytest.CaptureFixture[str]):
    """Pending, running, completed; then it predicts, and cannot run again."""
    job = hello(eval_dataset=Dataset(HELLO))
    assert (job.status, job.error, job.events(), job.metrics()) == ("pending", None, [], [])
    assert job.wait() == "pending"
    assert not job.folder.exists()
    assert job.run() == job.job_id
    assert job.run() == job.job_id
    with pytest.raises(JobStateError, match="is running; only a completed job can predict"):
        job.predict(["Hello"])
    assert job.wait() == "completed"
    assert job.record().attempt == 1
    assert job.predict(["Hello"]) == ["Hi there!"]
    assert job.predict([]) == []
    message = [{"role": "user", "content": "Hello"}]
    assert job.predict([message], max_new_tokens=3) == ["Hi "]
    # What another process holds of a job whose folder is taken away.
    other = FineTuningJob.load(job.job_id)
    assert other.predict([message], max_new_tokens=3) == ["Hi "]
    aside = job.folder.rename(job.folder.with_name("aside"))
    assert job.predict(["Hello"]) == ["Hi there!"]
    with pytest.raises(JobError, match=r"its folder .* is gone"):
        other.predict(["Hello"])
    aside.rename(job.folder)
    with pytest.raises(JobStateError, match="is completed, which is final"):
        job.run()
    with pytest.raises(JobStateError, match="is completed, which is final"):
        job.cancel()
    losses = [record["loss"] for record in job.metrics() if "loss" in record]
    assert losses[-1] < 0.1 < losses[0]
    assert "eval_loss" in job.metrics()[-1]
    assert capfd.readouterr() == ("", "")
    assert sorted(path.name for path in job.folder.iterdir()) == [
        "config.json",
        "eval.jsonl",
        "metrics.jsonl",
        "model",
        "request.json",
        "train.jsonl",
    ]


def test_the_folder_reproduces_the_run():
    """Training on what the folder keeps gives the logged losses again."""
    config = TrainingConfig(epochs=2, batch_size=2, learning_rate=1e-3, seed=7, remat="none")
    rows = Dataset([{"prompt": str(n), "completion": str(n * n)} for n in range(5)])
    job = FineTuningJob("tiny", rows, config=config)
    job.run()
    rows.data.clear()
    assert job.wait() == "completed"
    kept = json.loads((job.folder / "config.json").read_text())
    assert config_from_dict(kept["training"]) == config
    assert kept["environment"]["cpu_count"] == os.cpu_count()
    examples = Dataset.from_file(job.folder / "train.jsonl")
    base = load(job.record().resolved_model)
    tokens = tokenize(examples, base.tokenizer, config, context=4096, name="training")
    assert kept["inputs"] == {
        "rows": tokens.fingerprint,
        "held_out": None,
        "base_model": model_hash(base),
    }
    again = fit(
        load(job.record().resolved_model),
        Dataset.from_file(job.folder / "train.jsonl"),
        config=config,
        progress="off",
    )
    assert [record["loss"] for record in again.history] == [
        record["loss"] for record in job.metrics()
    ]


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (None, "dataset: found None, expected a Dataset"),
        (Dataset(), "dataset: found no rows, expected at least one"),
        (Dataset([*HELLO, {"prompt": "Hello"}]), r"dataset: 1 problem\n  row 1: found keys"),
    ],
)
def test_bad_rows_are_refused_before_anything_is_written(
    dataset: Dataset | None, message: str, home: Path
):
    """The error says what is wrong, and leaves a pending job and an empty home."""
    job = FineTuningJob("tiny", dataset)
    with pytest.raises(DatasetError, match=message):
        job.run()
    held_out = Dataset() if dataset is None else dataset
    with pytest.raises(DatasetError, match="eval_dataset: "):
        hello(eval_dataset=held_out).run()
    assert job.status == "pending"
    assert list(home.iterdir()) == []


def test_a_stand_in_is_warned_about_once(capfd: pytest.CaptureFixture[str]):
    """Training in the thread does not repeat it; run(wait=True) shows progress and returns late."""
    job = FineTuningJob(dataset=Dataset(HELLO), config=TrainingConfig(max_steps=1, remat="none"))
    with pytest.warns(SubstitutedModelWarning, match="preset 'tiny'") as caught:
        assert job.run(wait=True) == job.job_id
    assert len(caught) == 1
    assert job.status == "completed"
    assert "loss" in capfd.readouterr().err


def test_a_job_with_adapters_keeps_them_too():
    """The folder `adapter` on the base model is the folder `model`."""
    lora = LoraConfig(rank=2, targets=("q_proj",))
    job = hello(config=TrainingConfig(max_steps=1, lora=lora, learning_rate=0.1, remat="none"))
    job.run(wait=True)
    assert job.status == "completed"
    merged, alone = load(job.folder / "model"), load("tiny", adapter=job.folder / "adapter")
    jax.tree.map(np.testing.assert_array_equal, merged.params, alone.params)
    settings = json.loads((job.folder / "adapter" / "adapter_config.json").read_text())
    assert (settings["base_model_name_or_path"], settings["r"]) == ("tiny", 2)


def test_an_unknown_base_model_is_refused_at_run(home: Path):
    """The models' own error, before a thread starts."""
    job = FineTuningJob("no-such-model", Dataset(HELLO))
    with pytest.raises(UnknownModelError, match="unknown model 'no-such-model'"):
        job.run()
    assert job.status == "pending"
    assert list(home.iterdir()) == []


def test_an_unknown_job_is_refused():
    """Loading by a wrong id names the id and the store."""
    with pytest.raises(JobNotFoundError, match="no job 'ft-nope'"):
        FineTuningJob.load("ft-nope")


def test_a_job_that_never_ran_has_no_record():
    """There is nothing to cancel, to read or to predict with."""
    job = hello()
    with pytest.raises(JobStateError, match="never run, so there is nothing to cancel"):
        job.cancel()
    with pytest.raises(JobStateError, match="has no record yet"):
        job.record()
    with pytest.raises(JobStateError, match="is pending; only a completed job can predict"):
        job.predict(["Hello"])


def test_a_failure_is_told(caplog: pytest.LogCaptureFixture):
    """A row longer than the context fails the job; the error is in the job and in the log."""
    job = FineTuningJob("tiny", Dataset([{"prompt": "x" * 5000, "completion": "y"}]))
    job.run()
    assert job.wait() == "failed"
    assert job.error is not None
    assert job.error in caplog.text
    with pytest.raises(JobStateError, match=re.escape(f"is failed ({job.error}); only")):
        job.predict(["Hello"])
    with pytest.raises(JobStateError, match="is failed, which is final"):
        job.run()


def test_a_job_that_diverges_fails_with_an_event(caplog: pytest.LogCaptureFixture):
    """Acceptance test 10: weights that were thrown away by their first step are never published."""
    config = dataclasses.replace(ENDLESS, learning_rate=1e38, max_skipped_steps=0)
    job = hello(config=config)
    job.run()
    assert job.wait() == "failed"
    assert job.error is not None
    assert job.error.startswith(
        "TrainingDiverged: 1 of the steps up to step 2 had a loss or a gradient"
    )
    assert job.error in job.events()[-1].message
    assert not (job.folder / "model").exists()
    # The second step's record was not made: it has no loss.
    assert [record["step"] for record in job.metrics()] == [1]


def test_a_job_is_cancelled_at_its_next_step():
    """Cancelling is final and can be said twice."""
    job = hello(config=ENDLESS)
    job.run()
    assert job.wait(timeout=0.1) == "running"
    job.cancel()
    assert job.wait(timeout=60) == "cancelled"
    job.cancel()
    with pytest.raises(JobStateError, match="is cancelled, which is final"):
        job.run()


def test_a_job_is_cancelled_while_its_step_is_compiled(monkeypatch: pytest.MonkeyPatch):
    """The compilation ends, and with it the one step that it is for; none follows."""
    begun, compiled = threading.Event(), []

    def step(*arguments: Any) -> Any:
        begun.set()
        return train_step(*arguments)

    def note(event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append((time.monotonic(), duration_secs))

    monkeypatch.setattr(_run, "train_step", step)
    # A number that no other test compiles.
    job = hello(config=dataclasses.replace(ENDLESS, lora=LoraConfig(rank=3, alpha=2.7)))
    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        job.run()
        assert begun.wait(60)
        job.cancel()
        asked = time.monotonic()
        assert job.wait(timeout=60) == "cancelled"
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
    assert max(seconds for at, seconds in compiled if at > asked) > 0.1
    assert [record["step"] for record in job.metrics()] == [1]
    assert not (job.folder / "model").exists()


def test_a_killed_job_is_interrupted_and_goes_on(start_python: Callable):
    """Another process sees it run, then sees it lost, and finishes it from its checkpoint."""
    script = start_python(SCRIPT)
    job_id = script.stdout.readline().strip()
    assert script.stdout.readline() == "training\n", script.stderr.read()
    job = FineTuningJob.load(job_id)
    assert job.status == "running"
    assert job.run() == job_id
    assert job.record().attempt == 1
    script.kill()
    assert job.wait(timeout=10) == "interrupted"
    before = job.metrics()
    kept = latest_checkpoint(job.folder / "checkpoints")
    assert kept
    job.run()
    while len(job.metrics()) <= len(before):
        assert job.wait(timeout=0.02) == "running"
    job.cancel()
    assert job.wait(timeout=60) == "cancelled"
    records = job.metrics()
    # Every step once; the restart began after the last checkpoint, not at the beginning. That is
    # of an earlier step than the last record where it was being written when the process died.
    assert [record["step"] for record in records] == list(range(1, len(records) + 1))
    lines = (job.folder / "metrics.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == records
    first_again = next(record["step"] for record in records if record["attempt"] == 2)
    assert f"step-{first_again - 1:08}" == kept.name
    assert 1 < first_again <= len(before) + 1
    kinds = [event.kind for event in job.events()]
    assert kinds == [
        *("pending", "running", "interrupted", "running"),
        *("cancel_requested", "cancelled"),
    ]


def test_ctrl_c_keeps_the_step_it_stopped_at():
    """KeyboardInterrupt reaches the caller; the job goes on later from exactly that step."""
    job = hello(config=ENDLESS)
    job.run()
    while not job.metrics():
        assert job.wait(timeout=0.02) == "running"
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert job.wait(timeout=60) == "interrupted"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    (checkpoint,) = (job.folder / "checkpoints").glob("step-*")
    stopped_at = int(checkpoint.name.removeprefix("step-"))
    assert job.metrics()[-1]["step"] == stopped_at
    job.run()
    while job.metrics()[-1]["attempt"] == 1:
        assert job.wait(timeout=0.02) == "running"
    job.cancel()
    assert job.wait(timeout=60) == "cancelled"
    attempts = {record["step"]: record["attempt"] for record in job.metrics()}
    assert (attempts[stopped_at], attempts[stopped_at + 1]) == (1, 2)
