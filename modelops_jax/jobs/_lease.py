"""When a job that says `running` is no longer believed.

The owner's process is looked at first: on this machine a dead one is known at once, and a living
one (a laptop that slept, a process stopped with Ctrl-Z) keeps its job however long it was silent.
Only where the process cannot be looked at does the heartbeat decide.
"""

from ._process import current_process, is_alive
from ._records import JobRecord

HEARTBEAT_SECONDS = 5.0
LEASE_SECONDS = 60.0


def why_lost(record: JobRecord, *, now: float, trains_here: bool) -> str | None:
    """Say why a running job has lost its worker.

    Args:
        record: a job that is `running`.
        now: seconds since 1970.
        trains_here: whether a thread of this very process trains it.

    Returns:
        The reason, for people; None when the job is to be believed.
    """
    assert record.owner is not None
    assert record.heartbeat_at is not None
    owner = record.owner
    if trains_here:
        return None
    if owner == current_process():
        return "its thread ended without a result"
    alive = is_alive(owner)
    if alive is not None:
        return None if alive else f"process {owner.pid} is gone"
    silence = now - record.heartbeat_at.timestamp()
    if silence <= LEASE_SECONDS:
        return None
    return f"process {owner.pid} on {owner.host} has been silent for {silence:.0f} s"
