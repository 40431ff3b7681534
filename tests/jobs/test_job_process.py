"""Telling a living process from a dead one, whoever has its pid now."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelops_jax.jobs import JobRecord, JobStatus
from modelops_jax.jobs._lease import LEASE_SECONDS, why_lost
from modelops_jax.jobs._process import ProcessIdentity, current_process, is_alive

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="only /proc tells start times")


def running(owner: ProcessIdentity, heartbeat_at: float = 1000.0) -> JobRecord:
    """A job that says it runs."""
    begun = datetime.fromtimestamp(1000.0, UTC)
    return JobRecord(
        job_id="ft-1",
        status=JobStatus.RUNNING,
        base_model="tiny",
        resolved_model="tiny",
        created_at=begun,
        started_at=begun,
        finished_at=None,
        error=None,
        requested_action=None,
        attempt=1,
        owner=owner,
        heartbeat_at=datetime.fromtimestamp(heartbeat_at, UTC),
    )


@needs_proc
def test_this_process_is_alive():
    """Identity holds against itself."""
    assert is_alive(current_process()) is True
    assert current_process().pid == os.getpid()


@needs_proc
def test_a_reused_pid_is_another_process():
    """The same pid with another start time is a process that is gone."""
    assert is_alive(dataclasses.replace(current_process(), started="1")) is False


@needs_proc
def test_a_killed_process_is_dead_even_before_it_is_reaped(
    eventually: Callable[[Callable[[], bool]], None],
):
    """A zombie still has its pid and its start time in /proc, but it is dead."""
    child = subprocess.Popen(["sleep", "600"])
    stat = Path(f"/proc/{child.pid}/stat")
    # No parenthesis in this program's name, so a plain split finds field 22, the start time.
    owner = dataclasses.replace(
        current_process(), pid=child.pid, started=stat.read_text().split()[21]
    )
    try:
        assert is_alive(owner) is True
    finally:
        child.kill()
    eventually(lambda: stat.read_text().split()[2] == "Z")
    assert is_alive(owner) is False
    child.wait()
    assert is_alive(owner) is False


@pytest.mark.parametrize("change", [{"host": "elsewhere"}, {"boot": "another"}, {"boot": None}])
def test_where_the_process_cannot_be_seen_the_heartbeat_decides(change: dict[str, str | None]):
    """Of another host, boot or container nothing is known but its silence."""
    owner = dataclasses.replace(current_process(), pid=1, **change)
    assert is_alive(owner) is None
    record = running(owner)
    assert why_lost(record, now=1000.0 + LEASE_SECONDS, trains_here=False) is None
    reason = why_lost(record, now=1000.0 + LEASE_SECONDS + 1, trains_here=False)
    assert reason is not None
    assert "silent for 61 s" in reason


@needs_proc
def test_a_living_process_keeps_its_job_however_long_it_was_silent():
    """A laptop that slept has not lost its job."""
    owner = dataclasses.replace(current_process(), pid=os.getppid())
    parent_stat = Path(f"/proc/{os.getppid()}/stat").read_text()
    owner = dataclasses.replace(owner, started=parent_stat.rpartition(")")[2].split()[19])
    assert why_lost(running(owner), now=1e9, trains_here=False) is None


@needs_proc
def test_this_process_lost_the_job_when_no_thread_of_it_trains():
    """The owner itself knows best."""
    record = running(current_process())
    assert why_lost(record, now=1000.0, trains_here=True) is None
    assert why_lost(record, now=1000.0, trains_here=False) == "its thread ended without a result"
