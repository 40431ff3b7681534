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
        JobError: the file was written by a newer version of this package.
    """
    connection = _connect(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")
    finally:
        # Closing rolls back whatever was not committed.
        connection.close()


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the store for reading, making its tables the first time; see `transaction`."""
    connection = _connect(path)
    try:
        yield connection
    finally:
        connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _create(path)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        # In WAL mode anything less than FULL may lose acknowledged commits when power fails.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        _check_version(connection, path)
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
