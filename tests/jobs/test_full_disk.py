"""A model that cannot be written is not lost: its job goes on from the last checkpoint."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from modelops_jax.cli import main
from modelops_jax.data import Dataset
from modelops_jax.jobs import FineTuningJob
from modelops_jax.models import LoraConfig
from modelops_jax.training import TrainingConfig, _run, latest_checkpoint

LORA = LoraConfig(rank=1, targets=("q_proj",))
CONFIG = TrainingConfig(max_steps=3, batch_size=1, learning_rate=0.1, lora=LORA, remat="none")
FilesOfAtMost = Callable[[int], contextlib.AbstractContextManager[None]]


def job_of_three_steps() -> FineTuningJob:
    """Adapters alone are in its checkpoint, which so is much smaller than its model."""
    rows = Dataset([{"prompt": "Hello", "completion": "Hi there!"}])
    return FineTuningJob("tiny", rows, config=CONFIG)


def files(job: FineTuningJob) -> dict[str, bytes]:
    """What a job has made."""
    made = [path for name in ("model", "adapter") for path in (job.folder / name).iterdir()]
    return {str(path.relative_to(job.folder)): path.read_bytes() for path in made}


def records(job: FineTuningJob) -> list[dict[str, Any]]:
    """The log of a job, apart from times."""
    timed = {"seconds", "tokens_per_second"}
    return [{k: v for k, v in one.items() if k not in timed} for one in job.metrics()]


def test_a_model_without_room_is_written_later_and_nothing_is_trained_again(
    files_of_at_most: FilesOfAtMost,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    """Interrupted, by an error that says what is kept and where; then the bytes of a whole job."""
    whole, by_command, by_call = (job_of_three_steps() for _ in range(3))
    whole.run(wait=True)  # also compiles what the others need
    assert max(map(len, files(whole).values())) > 200_000
    for job in (by_command, by_call):
        with files_of_at_most(200_000):
            job.run(wait=True)
        assert job.status == "interrupted"
        kept = job.folder / "checkpoints" / "step-00000003"
        assert latest_checkpoint(kept.parent) == kept
        assert job.error is not None
        assert job.error.startswith(f"OSError: {job.folder / 'model'} could not be written: ")
        assert job.error.endswith(
            f"; what was trained is kept in {kept}, and run() goes on from there"
        )
        assert job.events()[-1].message == job.error
        assert "File too large" in (job.folder / "traceback.txt").read_text()
        assert not (job.folder / "model").exists()
    monkeypatch.setattr(_run, "train_step", None)  # which can then not be called
    capsys.readouterr()
    assert main(["jobs", "show", by_command.job_id]) == 0
    assert f"status  interrupted: {by_command.error}" in capsys.readouterr().out
    assert main(["jobs", "resume", by_command.job_id]) == 0
    assert f"{by_command.job_id} is completed\n" in capsys.readouterr().out
    again = FineTuningJob.load(by_call.job_id)
    again.run(wait=True)
    for job in (by_command, again):
        assert (job.status, job.error, job.record().attempt) == ("completed", None, 2)
        assert files(job) == files(whole)
        assert [one | {"attempt": 1} for one in records(job)] == records(whole)
        assert not (job.folder / "checkpoints").exists()
    assert main(["jobs", "resume", by_command.job_id]) == 1
    assert "is completed, which is final" in capsys.readouterr().err
