"""The jobs that this process trains, and telling lost ones from living ones."""

import logging
import threading

from ._folder import JobFolder
from ._lease import why_lost
from ._process import current_process
from ._records import JobRecord
from ._runner import JobRunner, TrainFunction
from ._states import JobStatus
from ._store import CANCEL, JobStore

_logger = logging.getLogger(__name__)

_active: dict[str, JobRunner] = {}
# Held from the transition to `running` until the runner is in `_active`, so that no thread of this
# process takes the job for lost in between.
_launching = threading.Lock()


def launch(
    store: JobStore, folder: JobFolder, seen: JobRecord, train: TrainFunction
) -> JobRunner | None:
    """Start an attempt of a job in a thread of this process.

    Args:
        store: where the job's row is.
        folder: the job's folder, inputs written.
        seen: the row as it was read, `pending` or `interrupted`.
        train: see `JobRunner`.

    Returns:
        The runner; None when another thread or process started the job first.

    Raises:
        JobStateError: the job is in another state.
    """
    with _launching:
        owner = current_process()
        message = f"attempt {seen.attempt + 1} in process {owner.pid} on {owner.host}"
        newest = folder.newest_checkpoint()
        if newest is not None:
            message += f"; goes on from {newest.name}"
        elif seen.attempt:
            message += "; no checkpoint was kept, so it begins at step 0"
        record = store.transition(seen, JobStatus.RUNNING, message, owner=owner)
        if record is None:
            return None
        if newest is None and seen.attempt:
            _logger.warning("job %s: %s", record.job_id, message)
        runner = JobRunner(store, folder, record, train, _forget)
        runner.start()
        _active[record.job_id] = runner
        return runner


def settle(store: JobStore, job_id: str) -> JobRecord:
    """Read a job's row, after turning a `running` whose worker is gone into what it is.

    Returns:
        The row as it is in the store now. A lost job is `interrupted`, or `cancelled` if that was
        asked of it.

    Raises:
        JobNotFoundError: no such job.
    """
    with _launching:
        record = store.read(job_id)
        if record.status != JobStatus.RUNNING:
            return record
        here = running_here(job_id)
        reason = why_lost(record, now=store.now(), trains_here=here is not None)
    if reason is None:
        return record
    to = JobStatus.CANCELLED if record.requested_action == CANCEL else JobStatus.INTERRUPTED
    # Whoever comes second finds the row changed and reads what it became.
    return store.transition(record, to, reason) or store.read(job_id)


def running_here(job_id: str) -> JobRunner | None:
    """The runner of a job whose thread lives in this process."""
    runner = _active.get(job_id)
    return runner if runner is not None and runner.thread.is_alive() else None


def anything_runs_here() -> bool:
    """Whether any thread of this process trains a job."""
    return any(runner.thread.is_alive() for runner in list(_active.values()))


def interrupt_all() -> bool:
    """Stop every job of this process at its next step; tell whether any was not yet stopping."""
    return any([runner.interrupt() for runner in list(_active.values())])


def _forget(runner: JobRunner) -> None:
    with _launching:
        _active.pop(runner.record.job_id, None)
