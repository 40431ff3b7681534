"""The job store: the truth about every job, in one SQLite file.

Every change of status goes through `JobStore.transition`, which changes the row only if it still
is what the caller saw, and writes the event in the same transaction.
"""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from ._database import reading, transaction
from ._errors import JobNotFoundError
from ._process import ProcessIdentity
from ._records import JobEvent, JobRecord, event_of, record_of
from ._states import JobStatus, check_transition

CANCEL = "cancel"


class JobStore:
    """Jobs and their events under one home folder, shared by any number of processes.

    Nothing is read or written before the first call of a method. The folder has to be on a local
    disk: SQLite's write-ahead log does not work over a network file system.

    Args:
        home: the folder; the file is `jobs.sqlite3` in it.
        clock: seconds since 1970, for the times that are stored.
    """

    def __init__(self, home: Path, clock: Callable[[], float] = time.time):
        self.home = home
        self.path = home / "jobs.sqlite3"
        self._clock = clock

    def now(self) -> float:
        """Seconds since 1970 by the clock that stamps heartbeats."""
        return self._clock()

    def create(
        self, job_id: str, *, base_model: str, resolved_model: str, substitution: str | None = None
    ) -> JobRecord:
        """Add a job as `pending`.

        Args:
            job_id: not used before.
            base_model: the name that was asked for.
            resolved_model: what it stands for.
            substitution: why that is another model, if it is one; becomes an event.
        """
        with transaction(self.path) as connection:
            connection.execute(
                "INSERT INTO jobs (job_id, status, base_model, resolved_model, created_at, attempt)"
                " VALUES (?, ?, ?, ?, ?, 0)",
                (job_id, JobStatus.PENDING, base_model, resolved_model, self._clock()),
            )
            self._append(connection, job_id, JobStatus.PENDING, f"created for {base_model}")
            if substitution is not None:
                self._append(connection, job_id, "substituted", substitution)
            return self._row(connection, job_id)

    def read(self, job_id: str) -> JobRecord:
        """The job's row as it is now.

        Raises:
            JobNotFoundError: no such job under this home.
        """
        if not self.path.exists():
            raise JobNotFoundError(
                f"no job {job_id!r}: no job was ever run under {self.home} (no {self.path.name})"
            )
        with reading(self.path) as connection:
            return self._row(connection, job_id)

    def job_ids(self) -> list[str]:
        """The ids of all jobs, the newest last; none where no job was ever run."""
        if not self.path.exists():
            return []
        with reading(self.path) as connection:
            rows = connection.execute("SELECT job_id FROM jobs ORDER BY created_at, job_id")
            return [row["job_id"] for row in rows]

    def transition(
        self,
        seen: JobRecord,
        to: JobStatus,
        message: str,
        *,
        owner: ProcessIdentity | None = None,
        error: str | None = None,
    ) -> JobRecord | None:
        """Move a job to another state, if it still is in the one the caller saw.

        Args:
            seen: the row the decision was made on; its status and attempt must still hold.
            to: the new state. `running` begins a new attempt.
            message: the event's text.
            owner: the process that runs the job; given for `running` and only then.
            error: what went wrong; given for `failed`, and for `interrupted` if an error did it.

        Returns:
            The new row, or None when somebody else was faster.

        Raises:
            JobStateError: `seen.status` does not lead to `to`.
        """
        check_transition(seen.job_id, seen.status, to)
        assert (owner is not None) == (to == JobStatus.RUNNING)
        assert to != JobStatus.FAILED or error is not None
        assert error is None or to in (JobStatus.FAILED, JobStatus.INTERRUPTED)
        now = self._clock()
        values: dict[str, object] = {"status": to, "requested_action": None, "error": error}
        if owner is not None:
            values |= {
                "attempt": seen.attempt + 1,
                "started_at": now,
                "finished_at": None,
                "owner_host": owner.host,
                "owner_boot": owner.boot,
                "owner_pid": owner.pid,
                "owner_started": owner.started,
                "heartbeat_at": now,
            }
        else:
            values["finished_at"] = now
        assignments = ", ".join(f"{column} = ?" for column in values)
        with transaction(self.path) as connection:
            changed = connection.execute(
                f"UPDATE jobs SET {assignments} WHERE job_id = ? AND status = ? AND attempt = ?",
                (*values.values(), seen.job_id, seen.status, seen.attempt),
            )
            if changed.rowcount == 0:
                return None
            self._append(connection, seen.job_id, to, message)
            return self._row(connection, seen.job_id)

    def request_cancel(self, job_id: str) -> bool:
        """Ask the owner of a running job to stop; asking twice is asking once.

        Returns:
            Whether the job was running and so has the request.
        """
        with transaction(self.path) as connection:
            record = self._row(connection, job_id)
            if record.status != JobStatus.RUNNING:
                return False
            if record.requested_action != CANCEL:
                connection.execute(
                    "UPDATE jobs SET requested_action = ? WHERE job_id = ?", (CANCEL, job_id)
                )
                self._append(connection, job_id, "cancel_requested", "stops at the next step")
            return True

    def beat(self, job_id: str, attempt: int) -> bool:
        """Say that the owner of an attempt is alive.

        Returns:
            Whether the attempt is still the one that runs.
        """
        with transaction(self.path) as connection:
            changed = connection.execute(
                "UPDATE jobs SET heartbeat_at = ? WHERE job_id = ? AND attempt = ? AND status = ?",
                (self._clock(), job_id, attempt, JobStatus.RUNNING),
            )
            return changed.rowcount == 1

    def events(self, job_id: str) -> list[JobEvent]:
        """The job's history, oldest first."""
        with reading(self.path) as connection:
            rows = connection.execute(
                "SELECT * FROM events WHERE job_id = ? ORDER BY event_id", (job_id,)
            )
            return [event_of(row) for row in rows]

    def _append(self, connection: sqlite3.Connection, job_id: str, kind: str, message: str) -> None:
        connection.execute(
            "INSERT INTO events (job_id, at, kind, message) VALUES (?, ?, ?, ?)",
            (job_id, self._clock(), kind, message),
        )

    def _row(self, connection: sqlite3.Connection, job_id: str) -> JobRecord:
        row = connection.execute("SELECT * FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
        if row is None:
            raise JobNotFoundError(f"no job {job_id!r} in {self.path}")
        return record_of(row)
