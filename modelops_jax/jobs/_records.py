"""What the store holds, as plain values: a job's row and its events."""

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime

from ._process import ProcessIdentity
from ._states import JobStatus


@dataclass(frozen=True)
class JobRecord:
    """A job's row at the moment it was read.

    Attributes:
        job_id: sortable by time of creation.
        status: where the job was in its life.
        base_model: the name that was asked for.
        resolved_model: what that name stood for: a preset, a folder or file, or a hub id.
        created_at: in UTC, like the other times.
        started_at: start of the latest attempt; None before the first.
        finished_at: end of the latest attempt; None while it runs.
        error: what made it fail, or interrupted it, type and message; None if nothing did.
        requested_action: "cancel" while a running job has yet to answer that request.
        attempt: how often it has been started; 0 before the first time.
        owner: the process of the latest attempt.
        heartbeat_at: when that process last said it was alive.
    """

    job_id: str
    status: JobStatus
    base_model: str
    resolved_model: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None
    requested_action: str | None
    attempt: int
    owner: ProcessIdentity | None
    heartbeat_at: datetime | None


@dataclass(frozen=True)
class JobEvent:
    """One line of a job's history; the store only ever appends them.

    Attributes:
        event_id: grows with time, unique in the store.
        at: in UTC.
        kind: a status for a transition; "substituted" when another model stands in for the named
            one; "cancel_requested".
        message: for people.
    """

    event_id: int
    at: datetime
    kind: str
    message: str


def record_of(row: sqlite3.Row) -> JobRecord:
    """Read a row of the jobs table."""
    owner = None
    if row["owner_pid"] is not None:
        owner = ProcessIdentity(
            row["owner_host"], row["owner_boot"], row["owner_pid"], row["owner_started"]
        )
    return JobRecord(
        job_id=row["job_id"],
        status=JobStatus(row["status"]),
        base_model=row["base_model"],
        resolved_model=row["resolved_model"],
        created_at=datetime.fromtimestamp(row["created_at"], UTC),
        started_at=_time(row["started_at"]),
        finished_at=_time(row["finished_at"]),
        error=row["error"],
        requested_action=row["requested_action"],
        attempt=row["attempt"],
        owner=owner,
        heartbeat_at=_time(row["heartbeat_at"]),
    )


def event_of(row: sqlite3.Row) -> JobEvent:
    """Read a row of the events table."""
    return JobEvent(
        row["event_id"], datetime.fromtimestamp(row["at"], UTC), row["kind"], row["message"]
    )


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
