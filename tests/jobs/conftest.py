"""Fixtures of the jobs' tests: a store, a job in it, and other processes."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelops_jax.data import Dataset
from modelops_jax.jobs._folder import JobFolder, JobRequest
from modelops_jax.jobs._records import JobRecord
from modelops_jax.jobs._store import JobStore

StartPython = Callable[..., subprocess.Popen[str]]


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for the test's jobs, here and in the processes that it starts."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("MODELOPS_HOME", str(folder))
    return folder


@pytest.fixture
def store(home: Path) -> JobStore:
    """A job store that nobody has used yet."""
    return JobStore(home)


@pytest.fixture
def folder(home: Path) -> JobFolder:
    """The folder of the job "ft-1", with its inputs."""
    folder = JobFolder(home / "jobs" / "ft-1")
    rows = Dataset([{"prompt": "Hello", "completion": "Hi there!"}])
    folder.write_inputs(JobRequest("tiny", "tiny", None), rows, None)
    return folder


@pytest.fixture
def pending(store: JobStore) -> JobRecord:
    """The job "ft-1", just made."""
    return store.create("ft-1", base_model="tiny", resolved_model="tiny")


@pytest.fixture
def start_python() -> Iterator[StartPython]:
    """Starts another Python process on some code; all of them are dead after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Waits, for 30 s at most, until something is so."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.02)

    return wait
