"""The job store's SQLite file: how it is opened, and how its tables came to be."""

import contextlib
import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ._errors import JobError

BUSY_SECONDS = 30.0
SCHEMA_VERSION = 1

_SCHEMA = (
    """
    CREATE TABLE jobs (
        job_id TEXT PRIMARY KEY,
        status TEXT NOT NULL,
        base_model TEXT NOT NULL,
        resolved_model TEXT NOT NULL,
        created_at REAL NOT NULL,
        started_at REAL,
        finished_at REAL,
        error TEXT,
        requested_action TEXT,
        attempt INTEGER NOT NULL,
        owner_host TEXT,
        owner_boot TEXT,
        owner_pid INTEGER,
        owner_started TEXT,
        heartbeat_at REAL
    )
    """,
    """
    CREATE TABLE events (
        event_id INTEGER PRIMARY KEY AUTOINCREMENT,
        job_id TEXT NOT NULL REFERENCES jobs (job_id),
        at REAL NOT NULL,
        kind TEXT NOT NULL,
        message TEXT NOT NULL
    )
    """,
    "CREATE INDEX events_by_job ON events (job_id, event_id)",
    """
    CREATE TRIGGER events_keep_their_text BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END
    """,
    """
    CREATE TRIGGER events_stay BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END
    """,
)


@contextmanager
def transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the store for one write transaction, making its tables the first time.

    A connection lives for one transaction, so a store can be used from any thread and after a
    fork. An exception inside the block rolls everything back.

    Args:
        path: the SQLite file; its folder is created.

    Raises:
        JobError: the file is no job store, cannot be written, or was written by a newer version of
            this package.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _create(path)
    connection = _connect(path)
    try:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise JobError(f"{path}: the job store cannot be written: {error}") from error
        yield connection
        connection.execute("COMMIT")
    finally:
        # Closing rolls back whatever was not committed.
        connection.close()


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a store that is there for reading; see `transaction`. Nothing is made or changed.

    Raises:
        JobError: the file is no job store, cannot be read, or was written by a newer version of
            this package.
    """
    try:
        connection = _connect(path)
    except JobError:
        if os.access(path.parent, os.W_OK):
            raise
        # Reading through the journal needs a file beside the store. Where nobody may write one,
        # nobody writes the store either.
        connection = _connect(path, "?mode=ro&immutable=1")
    try:
        yield connection
    finally:
        connection.close()


def _connect(path: Path, options: str = "?mode=rw") -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(
            path.as_uri() + options, timeout=BUSY_SECONDS, isolation_level=None, uri=True
        )
    except sqlite3.DatabaseError as error:
        raise JobError(f"{path}: the job store cannot be opened: {error}") from error
    try:
        connection.row_factory = sqlite3.Row
        # In WAL mode anything less than FULL may lose acknowledged commits when power fails.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        _check_version(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise JobError(f"{path} cannot be used as a job store: {error}") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _create(path: Path) -> None:
    """Make the tables in a file of another name, and give it the store's name if that is free.

    Nobody ever opens a store without its tables or before its journal mode is set: changing the
    mode of a file that others are opening fails at once, without waiting for the lock.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        connection = sqlite3.connect(temporary, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN")
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            connection.execute("COMMIT")
        finally:
            # The last connection to close moves the journal into the file and removes it.
            connection.close()
        # Another process was first: its store is as good as this one.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA_VERSION:
        raise JobError(
            f"{path}: the job store has schema version {version}, this package knows version "
            f"{SCHEMA_VERSION}; upgrade modelops-jax or choose another home"
        )
