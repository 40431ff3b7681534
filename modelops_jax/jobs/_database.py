"""The job store's SQLite file: how it is opened, and how its tables came to be."""

import sqlite3
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
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        # In WAL mode anything less than FULL may lose acknowledged commits when power fails.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    if _version(connection) == SCHEMA_VERSION:
        return
    connection.execute("PRAGMA journal_mode=WAL")
    # Two processes may arrive here together: the lock is taken first, then the version read again.
    connection.execute("BEGIN IMMEDIATE")
    version = _version(connection)
    if version == 0:
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    connection.execute("COMMIT")
    if version > SCHEMA_VERSION:
        raise JobError(
            f"{path}: the job store has schema version {version}, this package knows versions up "
            f"to {SCHEMA_VERSION}; upgrade modelops-jax or choose another home"
        )


def _version(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA user_version").fetchone()[0]
