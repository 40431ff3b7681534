"""The job store: one truth, whatever happens at the same time."""

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from modelops_jax.jobs import JobError, JobNotFoundError, JobRecord, JobStateError, JobStatus
from modelops_jax.jobs._process import ProcessIdentity
from modelops_jax.jobs._store import JobStore

OWNER = ProcessIdentity("host", "boot", 7, "70")

# Waits for a file to appear, so that all contestants start together, then tries to win the job.
RACE = """
import sys, time
from pathlib import Path
from modelops_jax.jobs._process import current_process
from modelops_jax.jobs._states import JobStatus
from modelops_jax.jobs._store import JobStore
store, gate = JobStore(Path(sys.argv[1])), Path(sys.argv[2])
seen = [store.read(job_id) for job_id in sys.argv[3:]]
print("ready", flush=True)
while not gate.exists():
    time.sleep(0.001)
won = [store.transition(record, JobStatus.RUNNING, "mine", owner=current_process())
       for record in seen]
print(" ".join(record.job_id for record in won if record is not None))
"""

# The very first use of many stores, each by several processes at once.
FIRST_USE = """
import sys, time
from pathlib import Path
from modelops_jax.jobs._store import JobStore
home, gate, job_id = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
print("ready", flush=True)
while not gate.exists():
    time.sleep(0.001)
for number in range(40):
    JobStore(home / str(number)).create(job_id, base_model="tiny", resolved_model="tiny")
"""


def start(store: JobStore, seen: JobRecord) -> JobRecord:
    """Move a job to running."""
    record = store.transition(seen, JobStatus.RUNNING, "started", owner=OWNER)
    assert record is not None
    return record


def test_a_transition_and_its_event_are_written_together(store: JobStore, pending: JobRecord):
    """Row and history tell the same story."""
    running = start(store, pending)
    done = store.transition(running, JobStatus.FAILED, "it broke", error="E: it broke")
    assert done == store.read("ft-1")
    assert done is not None
    assert (done.status, done.attempt, done.error) == ("failed", 1, "E: it broke")
    assert done.owner == OWNER
    assert done.started_at is not None
    assert done.finished_at is not None
    assert done.created_at <= done.started_at <= done.finished_at
    kinds = [event.kind for event in store.events("ft-1")]
    assert kinds == ["pending", "running", "failed"]


def test_a_transition_on_an_old_look_changes_nothing(store: JobStore, pending: JobRecord):
    """Compare-and-set: status and attempt must still be what the caller saw."""
    first = start(store, pending)
    assert store.transition(pending, JobStatus.CANCELLED, "too late") is None
    store.transition(first, JobStatus.INTERRUPTED, "lost")
    second = start(store, store.read("ft-1"))
    assert second.attempt == 2
    assert store.transition(first, JobStatus.COMPLETED, "a ghost") is None
    assert store.read("ft-1") == second
    assert "a ghost" not in [event.message for event in store.events("ft-1")]


def test_an_illegal_transition_is_refused_and_leaves_no_trace(store: JobStore, pending: JobRecord):
    """Final states stay; the event is not written either."""
    done = store.transition(start(store, pending), JobStatus.COMPLETED, "done")
    assert done is not None
    before = store.events("ft-1")
    with pytest.raises(JobStateError, match="job ft-1 is completed, which is final"):
        store.transition(done, JobStatus.RUNNING, "again", owner=OWNER)
    assert store.events("ft-1") == before
    assert store.read("ft-1") == done


def test_only_the_running_attempt_has_a_heart(store: JobStore, pending: JobRecord):
    """A heartbeat is accepted from the attempt that runs and from no other."""
    assert not store.beat("ft-1", 0)
    running = start(store, pending)
    assert store.beat("ft-1", 1)
    assert not store.beat("ft-1", 2)
    store.transition(running, JobStatus.INTERRUPTED, "lost")
    assert not store.beat("ft-1", 1)


def test_a_cancel_request_is_for_running_jobs_and_kept_once(store: JobStore, pending: JobRecord):
    """The request is a column beside the status, with one event however often it is made."""
    assert not store.request_cancel("ft-1")
    running = start(store, pending)
    assert store.request_cancel("ft-1")
    assert store.request_cancel("ft-1")
    asked = store.read("ft-1")
    assert (asked.status, asked.requested_action) == ("running", "cancel")
    done = store.transition(running, JobStatus.CANCELLED, "stopped")
    assert done is not None
    assert done.requested_action is None
    kinds = [event.kind for event in store.events("ft-1")]
    assert kinds == ["pending", "running", "cancel_requested", "cancelled"]


@pytest.mark.parametrize("statement", ["UPDATE events SET message = 'x'", "DELETE FROM events"])
def test_events_are_append_only(store: JobStore, pending: JobRecord, statement: str):
    """The file itself refuses to rewrite history."""
    connection = sqlite3.connect(store.path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()


def test_the_file_is_in_wal_mode(store: JobStore, pending: JobRecord):
    """Readers and a writer do not wait for each other."""
    connection = sqlite3.connect(store.path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_an_unknown_job_is_named_with_the_store(store: JobStore):
    """The error says which id and where it was looked for."""
    with pytest.raises(JobNotFoundError, match=r"no job 'ft-nope': no job was ever run under .*"):
        store.read("ft-nope")
    assert not store.path.exists(), "looking made something"
    store.create("ft-1", base_model="tiny", resolved_model="tiny")
    with pytest.raises(JobNotFoundError, match=r"no job 'ft-nope' in .*jobs\.sqlite3"):
        store.read("ft-nope")


def test_a_file_that_is_no_store_is_named(store: JobStore):
    """Garbage under the store's name is refused by its path, for reading and for writing."""
    store.path.write_bytes(b"garbage" * 1000)
    for use in (
        lambda: store.read("ft-1"),
        lambda: store.create("ft-1", base_model="tiny", resolved_model="tiny"),
    ):
        with pytest.raises(JobError, match=r"jobs\.sqlite3 cannot be used as a job store: file is"):
            use()


READ_ONLY = """
import os, sys
from pathlib import Path
from modelops_jax.jobs import JobError
from modelops_jax.jobs._store import JobStore
os.setgid(65534), os.setuid(65534)
store = JobStore(Path(sys.argv[1]))
print(store.read("ft-1").base_model)
try:
    store.create("ft-2", base_model="tiny", resolved_model="tiny")
except JobError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user who may not write")
def test_a_store_in_a_read_only_place_is_read():
    """Somebody else's finished jobs can be looked at; a write is refused by its path."""
    with tempfile.TemporaryDirectory() as folder:  # a folder that another user can enter
        os.chmod(folder, 0o755)
        store = JobStore(Path(folder) / "home")
        store.create("ft-1", base_model="tiny", resolved_model="tiny")
        code = [sys.executable, "-c", READ_ONLY, str(store.home)]
        done = subprocess.run(code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    name, refusal = done.stdout.splitlines()
    assert name == "tiny"
    assert "jobs.sqlite3" in refusal


def test_a_newer_store_is_refused(store: JobStore, pending: JobRecord):
    """A file of a later version is left alone."""
    connection = sqlite3.connect(store.path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(JobError, match="schema version 99"):
        store.read("ft-1")


def test_of_several_processes_exactly_one_starts_a_job(
    home: Path, store: JobStore, start_python: Callable, tmp_path: Path
):
    """Compare-and-set across processes: every job has one winner and one `running` event."""
    ids = [f"ft-{n}" for n in range(30)]
    for job_id in ids:
        store.create(job_id, base_model="tiny", resolved_model="tiny")
    gate = tmp_path / "gate"
    racers = [start_python(RACE, home, gate, *ids) for _ in range(2)]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n", racer.stderr.read()
    gate.touch()
    won = [racer.communicate(timeout=30)[0].split() for racer in racers]
    assert sorted(won[0] + won[1]) == sorted(ids)
    for job_id in ids:
        record = store.read(job_id)
        assert record.attempt == 1
        assert record.owner is not None
        assert job_id in won[[racer.pid for racer in racers].index(record.owner.pid)]
        assert [event.kind for event in store.events(job_id)] == ["pending", "running"]


def test_several_processes_may_make_the_store_at_once(
    home: Path, start_python: Callable, tmp_path: Path
):
    """The first use migrates under a lock, and no one is told that the database is locked."""
    gate = tmp_path / "gate"
    makers = [start_python(FIRST_USE, home, gate, job_id) for job_id in ("ft-a", "ft-b")]
    for maker in makers:
        assert maker.stdout.readline() == "ready\n", maker.stderr.read()
    gate.touch()
    for maker in makers:
        _, errors = maker.communicate(timeout=30)
        assert maker.returncode == 0, errors
    for number in range(40):
        for job_id in ("ft-a", "ft-b"):
            assert JobStore(home / str(number)).read(job_id).status == "pending"
