"""One attempt: what becomes of a job when training ends, breaks, is stopped or is killed."""

import logging
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from modelops_jax.jobs import JobRecord, JobStatus
from modelops_jax.jobs._folder import JobFolder
from modelops_jax.jobs._interrupt import unwatch, watch
from modelops_jax.jobs._launch import interrupt_all, launch, running_here, settle
from modelops_jax.jobs._runner import JobRunner, TrainFunction
from modelops_jax.jobs._store import JobStore

Eventually = Callable[[Callable[[], bool]], None]

# A process that trains job ft-1 until it is stopped. Its arguments: the home folder, then what the
# main thread does meanwhile.
WORKER = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from modelops_jax.jobs import FineTuningJob
from modelops_jax.jobs._folder import JobFolder
from modelops_jax.jobs._interrupt import unwatch, watch
from modelops_jax.jobs._launch import interrupt_all, launch
from modelops_jax.jobs._store import JobStore

home = Path(sys.argv[1])
store, folder = JobStore(home), JobFolder(home / "jobs" / "ft-1")

def train(folder, on_record, stop):
    for step in range(1, 100_000):
        if stop():
            return SimpleNamespace(model=None, adapters=None, stopped=True)
        on_record({"step": step})
        if step == 3:
            print("training", flush=True)
        time.sleep(0.01)

watch(interrupt_all)
launch(store, folder, store.read("ft-1"), train)
if sys.argv[2] == "work":
    time.sleep(600)
if sys.argv[2] == "wait":
    FineTuningJob.load("ft-1").wait()
"""


class Model:
    """Weights that are one file."""

    def save(self, path: Path) -> None:
        """Write them."""
        path.mkdir()
        (path / "weights").write_text("trained")


class Result(NamedTuple):
    """What a trainer hands back."""

    model: Any
    stopped: bool
    adapters: None = None


class Trainer:
    """Trains until it is told to go on, and keeps to `stop`."""

    def __init__(self):
        self.go_on = threading.Event()

    def __call__(self, folder: JobFolder, on_record: Callable, stop: Callable) -> Result:
        on_record({"step": 1, "loss": 1.0})
        while not self.go_on.wait(0.005):
            if stop():
                return Result(Model(), stopped=True)
        return Result(Model(), stopped=False)


def begin(store: JobStore, folder: JobFolder, train: TrainFunction) -> JobRunner:
    """Start job ft-1."""
    runner = launch(store, folder, store.read("ft-1"), train)
    assert runner is not None
    return runner


@pytest.mark.usefixtures("pending")
def test_training_that_ends_makes_the_job_completed(store: JobStore, folder: JobFolder):
    """Weights, log and row are all there."""
    trainer = Trainer()
    runner = begin(store, folder, trainer)
    assert settle(store, "ft-1").status == "running"
    assert running_here("ft-1") is runner
    trainer.go_on.set()
    runner.thread.join()
    assert settle(store, "ft-1").status == "completed"
    assert running_here("ft-1") is None
    assert (folder.model_path / "weights").read_text() == "trained"
    assert folder.read_metrics() == [{"attempt": 1, "step": 1, "loss": 1.0}]


@pytest.mark.usefixtures("pending")
@pytest.mark.parametrize(
    ("error", "text"),
    [(RuntimeError("no memory"), "RuntimeError: no memory"), (OSError(), "OSError")],
)
def test_training_that_raises_makes_the_job_failed(
    store: JobStore,
    folder: JobFolder,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    text: str,
):
    """The error is in the row and in the events, its traceback in the folder, its news logged."""

    def train(*_: object) -> Result:
        raise error

    begin(store, folder, train).thread.join()
    record = settle(store, "ft-1")
    assert (record.status, record.error) == ("failed", text)
    assert store.events("ft-1")[-1].message == text
    assert "Traceback" in folder.traceback_path.read_text()
    assert "raise error" in folder.traceback_path.read_text()
    assert [(entry.levelno, text in entry.message) for entry in caplog.records] == [
        (logging.ERROR, True)
    ]


@pytest.mark.usefixtures("pending")
def test_weights_that_cannot_be_saved_make_the_job_failed(store: JobStore, folder: JobFolder):
    """A job is completed only when its weights are there."""

    class Unsavable(Model):
        def save(self, path: Path) -> None:
            raise OSError("no space left")

    begin(store, folder, lambda *_: Result(Unsavable(), stopped=False)).thread.join()
    record = settle(store, "ft-1")
    assert (record.status, record.error) == ("failed", "OSError: no space left")


def full_disk(folder: JobFolder, *_: object) -> Result:
    """Training that finds no room for its second checkpoint."""
    (folder.checkpoints_path / "step-00000002").mkdir(parents=True)
    raise OSError("no space left")


@pytest.mark.usefixtures("pending")
@pytest.mark.parametrize("status", ["interrupted", "cancelled"])
def test_what_a_full_disk_has_kept_can_be_gone_on_with(
    store: JobStore, folder: JobFolder, monkeypatch: pytest.MonkeyPatch, caplog: Any, status: str
):
    """Also if there is no room for a traceback; unless the job was to be cancelled."""
    monkeypatch.setattr(JobFolder, "write_traceback", full_disk)
    trainer = Trainer()

    def train(*arguments: Any) -> Result:
        trainer(*arguments)
        return full_disk(folder)

    runner = begin(store, folder, train)
    if status == "cancelled":
        store.request_cancel("ft-1")
    else:
        trainer.go_on.set()
    runner.thread.join()
    kept = folder.checkpoints_path / "step-00000002"
    text = f"OSError: no space left; what was trained is kept in {kept}, and run() goes on from"
    record = settle(store, "ft-1")
    assert record.status == status
    assert store.events("ft-1")[-1].message.startswith(text)
    assert (record.error or "").startswith(text) == (status == "interrupted")
    assert "no traceback is kept: " in caplog.text


@pytest.mark.usefixtures("pending")
def test_checkpoints_are_there_until_the_job_is_completed(
    store: JobStore, folder: JobFolder, monkeypatch: pytest.MonkeyPatch, caplog: Any
):
    """An attempt that dies with its model written has a next one, which needs them whole."""
    kept = folder.checkpoints_path / "step-00000002"
    kept.mkdir(parents=True)
    at_transition = []
    transition = store.transition

    def watched(*arguments: Any, **named: Any) -> JobRecord | None:
        at_transition.append((arguments[1], folder.model_path.exists(), kept.exists()))
        return transition(*arguments, **named)

    def refuse(*_: object) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(store, "transition", watched)
    with monkeypatch.context() as patch:
        patch.setattr(JobFolder, "remove_checkpoints", refuse)
        begin(store, folder, lambda *_: Result(Model(), stopped=False)).thread.join()
    assert at_transition[-1] == ("completed", True, True)
    assert settle(store, "ft-1").status == "completed"
    assert "job ft-1: checkpoints remain: not yours" in caplog.text


@pytest.mark.usefixtures("pending")
def test_a_cancel_request_in_the_store_stops_training(store: JobStore, folder: JobFolder):
    """Whoever writes the request, the owner answers it at its next step."""
    runner = begin(store, folder, Trainer())
    store.request_cancel("ft-1")
    runner.thread.join(10)
    record = store.read("ft-1")
    assert (record.status, record.requested_action) == ("cancelled", None)
    assert not folder.model_path.exists()


@pytest.mark.usefixtures("pending")
def test_an_interrupt_stops_training_and_the_job_can_run_again(
    store: JobStore, folder: JobFolder, caplog: pytest.LogCaptureFixture
):
    """Interrupted is not lost: the next attempt is the second, and says where it begins."""
    runner = begin(store, folder, Trainer())
    assert interrupt_all()
    assert not interrupt_all()
    runner.thread.join(10)
    assert store.read("ft-1").status == "interrupted"
    again = Trainer()
    again.go_on.set()
    begin(store, folder, again).thread.join()
    record = store.read("ft-1")
    assert (record.status, record.attempt) == ("completed", 2)
    begun = [event.message for event in store.events("ft-1") if event.kind == "running"]
    assert begun[0].startswith("attempt 1 in process ")
    assert "begins" not in begun[0]
    assert begun[1].endswith("; no checkpoint was kept, so it begins at step 0")
    assert f"job ft-1: {begun[1]}" in caplog.text


@pytest.mark.usefixtures("pending")
def test_an_attempt_says_what_it_goes_on_from(store: JobStore, folder: JobFolder):
    """The newest checkpoint that the one before has kept."""
    for _ in range(2):
        runner = begin(store, folder, Trainer())
        (folder.checkpoints_path / "step-00000007").mkdir(parents=True, exist_ok=True)
        runner.interrupt()
        runner.thread.join(10)
    begun = [event.message for event in store.events("ft-1") if event.kind == "running"]
    assert "step-" not in begun[0]
    assert begun[1].endswith("; goes on from step-00000007")


@pytest.mark.usefixtures("pending")
def test_an_attempt_that_lost_its_job_writes_nothing(
    store: JobStore, folder: JobFolder, caplog: pytest.LogCaptureFixture
):
    """Somebody took it for dead and started another attempt: the first one's result is dropped."""
    trainer = Trainer()
    runner = begin(store, folder, trainer)
    store.transition(store.read("ft-1"), JobStatus.INTERRUPTED, "taken for dead")
    second = store.transition(
        store.read("ft-1"), JobStatus.RUNNING, "elsewhere", owner=store.read("ft-1").owner
    )
    trainer.go_on.set()
    runner.thread.join(10)
    assert store.read("ft-1") == second
    assert not folder.model_path.exists()
    assert "its result is not kept" in caplog.text


@pytest.mark.usefixtures("pending")
def test_an_attempt_that_lost_its_job_stops(store: JobStore, folder: JobFolder):
    """It does not train on for nobody."""
    runner = begin(store, folder, Trainer())
    store.transition(store.read("ft-1"), JobStatus.INTERRUPTED, "taken for dead")
    runner.thread.join(10)
    assert not runner.thread.is_alive()


@pytest.mark.usefixtures("pending")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ends_without_a_result_leaves_no_running_job(
    store: JobStore, folder: JobFolder, monkeypatch: pytest.MonkeyPatch
):
    """The store could not be written at the end: the next look finds the job interrupted."""
    trainer = Trainer()
    runner = begin(store, folder, trainer)

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "transition", fail)
        trainer.go_on.set()
        runner.thread.join(10)
    assert store.read("ft-1").status == "running"
    assert settle(store, "ft-1").status == "interrupted"
    assert store.events("ft-1")[-1].message == "its thread ended without a result"


def test_a_second_start_loses(store: JobStore, folder: JobFolder, pending: JobRecord):
    """A start on an old look does nothing."""
    trainer = Trainer()
    runner = begin(store, folder, trainer)
    assert launch(store, folder, pending, trainer) is None
    trainer.go_on.set()
    runner.thread.join()
    assert store.read("ft-1").attempt == 1


@pytest.mark.usefixtures("pending", "folder")
def test_a_killed_process_leaves_an_interrupted_job(
    home: Path, store: JobStore, folder: JobFolder, start_python: Callable
):
    """kill -9 in the middle: running before, interrupted after, nothing acknowledged is lost."""
    worker = start_python(WORKER, home, "work")
    assert worker.stdout.readline() == "training\n", worker.stderr.read()
    assert settle(store, "ft-1").status == "running"
    worker.kill()
    # The process is a zombie until it is waited for; the job is lost from now on.
    worker.wait()
    record = settle(store, "ft-1")
    assert record.status == "interrupted"
    assert record.owner is not None
    assert record.owner.pid == worker.pid
    events = store.events("ft-1")
    assert [event.kind for event in events] == ["pending", "running", "interrupted"]
    assert events[-1].message == f"process {worker.pid} is gone"
    steps = [record["step"] for record in folder.read_metrics()]
    assert steps[:3] == [1, 2, 3]
    assert steps == list(range(1, len(steps) + 1))


@pytest.mark.usefixtures("pending", "folder")
def test_another_process_can_ask_for_a_cancel(
    home: Path, store: JobStore, start_python: Callable, eventually: Eventually
):
    """The request is in the store, and the process that trains answers it."""
    worker = start_python(WORKER, home, "end")
    assert worker.stdout.readline() == "training\n", worker.stderr.read()
    assert store.request_cancel("ft-1")
    eventually(lambda: settle(store, "ft-1").status == "cancelled")
    assert worker.wait(timeout=30) == 0


@pytest.mark.usefixtures("pending", "folder")
def test_cancel_asked_of_a_process_that_dies_is_still_granted(
    home: Path, store: JobStore, start_python: Callable
):
    """A dead worker cannot answer, so the next look does."""
    worker = start_python(WORKER, home, "work")
    assert worker.stdout.readline() == "training\n", worker.stderr.read()
    worker.send_signal(signal.SIGSTOP)
    store.request_cancel("ft-1")
    assert settle(store, "ft-1").status == "running"
    worker.kill()
    worker.wait()
    assert settle(store, "ft-1").status == "cancelled"


@pytest.mark.usefixtures("pending", "folder")
@pytest.mark.parametrize("main", ["work", "wait", "end"])
def test_ctrl_c_interrupts_the_job_and_ends_the_script(
    home: Path, store: JobStore, start_python: Callable, main: str
):
    """In the script's own code, in its wait, and while Python waits for the thread at the end."""
    worker = start_python(WORKER, home, main)
    assert worker.stdout.readline() == "training\n", worker.stderr.read()
    worker.send_signal(signal.SIGINT)
    _, errors = worker.communicate(timeout=30)
    assert ("KeyboardInterrupt" in errors) == (main != "end"), errors
    assert "Exception ignored" not in errors
    assert "job ft-1 is interrupted: stopped by Ctrl-C" in errors
    record = store.read("ft-1")
    assert record.status == "interrupted"
    assert store.events("ft-1")[-1].message.startswith("stopped by Ctrl-C")


def test_ctrl_c_is_given_back(eventually: Eventually):
    """The handler that was there is called after ours, and is there again afterwards."""
    calls: list[str] = []
    before = signal.signal(signal.SIGINT, lambda *_: calls.append("theirs"))
    try:
        theirs = signal.getsignal(signal.SIGINT)
        for _ in range(2):
            watch(lambda: calls.append("ours") is None)
        signal.raise_signal(signal.SIGINT)
        eventually(lambda: len(calls) == 2)
        unwatch()
        assert signal.getsignal(signal.SIGINT) is theirs
    finally:
        signal.signal(signal.SIGINT, before)
    assert calls == ["ours", "theirs"]
