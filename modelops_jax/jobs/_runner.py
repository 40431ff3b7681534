"""One attempt of one job: a thread that trains, and one that keeps its lease."""

import logging
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, runtime_checkable

from modelops_jax.models import can_save_adapters, save_adapters

from ._errors import JobError
from ._folder import JobFolder
from ._lease import HEARTBEAT_SECONDS
from ._records import JobRecord
from ._states import JobStatus
from ._store import CANCEL, JobStore

POLL_SECONDS = 0.5

_logger = logging.getLogger(__name__)


@runtime_checkable  # the tests check annotations at run time
class Trained(Protocol):
    """What training hands back."""

    @property
    def model(self) -> Any:
        """Has `save(path)`, which writes a whole new folder or nothing."""
        ...

    @property
    def adapters(self) -> Any:
        """The adapters that the model's weights hold merged, or None."""
        ...

    @property
    def stopped(self) -> bool:
        """Whether training ended early because `stop()` said so."""
        ...


Record = dict[str, Any]
TrainFunction = Callable[[JobFolder, Callable[[Record], None], Callable[[], bool]], Trained]


class JobRunner:
    """Trains one attempt of a job in a thread that the interpreter waits for at its end.

    Args:
        store: where the job's row is.
        folder: the job's folder.
        record: the row as `running`, with this process as the owner.
        train: called as `train(folder, on_record, stop)` in the thread.
        on_end: called with this runner as the thread's last act.
    """

    def __init__(
        self,
        store: JobStore,
        folder: JobFolder,
        record: JobRecord,
        train: TrainFunction,
        on_end: Callable[["JobRunner"], None],
    ):
        self.store = store
        self.folder = folder
        self.record = record
        self._train = train
        self._on_end = on_end
        # Plain attributes: a signal handler sets the first, and must not take an Event's lock.
        self._interrupted = False
        self._cancelled = False
        self._lost = False
        self._ended = threading.Event()
        self.done = threading.Event()
        """Set as the thread's last act. Ctrl-C in `thread.join()` makes Python before 3.13 take a
        thread that still runs for one that has ended, and not wait for it when a script ends."""
        # Not a daemon: a script that ends waits for its job.
        self.thread = threading.Thread(target=self._run, name=record.job_id)
        self._lease = threading.Thread(
            target=self._keep_lease, name=f"{record.job_id}-lease", daemon=True
        )

    def start(self) -> None:
        """Begin to train."""
        # Both from here: once a script has reached its end, Python 3.12 lets no thread start.
        self._lease.start()
        self.thread.start()

    def interrupt(self) -> bool:
        """Stop at the next step and become `interrupted`; tell whether this was the first call."""
        first = not self._interrupted
        self._interrupted = True
        return first

    def cancel(self) -> None:
        """Stop at the next step and become `cancelled`."""
        self._cancelled = True

    def _stop(self) -> bool:
        return self._interrupted or self._cancelled or self._lost

    def _run(self) -> None:
        try:
            if self._finish(*self._attempt()) == JobStatus.COMPLETED:
                self._remove_checkpoints()
        finally:
            self._ended.set()
            self._lease.join()
            self._on_end(self)
            self.done.set()

    def _attempt(self) -> tuple[JobStatus, str, str | None]:
        """Train and save; give the status to go to, the event's text and the error."""
        try:
            with self.folder.open_metrics(self.record.attempt) as log:
                result = self._train(self.folder, log, self._stop)
            if result.stopped:
                return self._stopped_as()
            self._check_lease()
            save_adapter = None
            if result.adapters and can_save_adapters(result.adapters, result.model.config):
                base = self.record.resolved_model
                save_adapter = partial(
                    save_adapters,
                    adapters=result.adapters,
                    config=result.model.config,
                    base_model=base,
                )
            self.folder.publish_model(result.model.save, save_adapter)
            return JobStatus.COMPLETED, f"weights in {self.folder.model_path}", None
        except Exception as error:  # whatever training raises is the job's failure
            name = type(error).__name__
            text = f"{name}: {error}" if str(error) else name
            self._keep_traceback()
            # A disk that is full or away may be there again, and what was trained is on it.
            kept = self.folder.newest_checkpoint() if isinstance(error, OSError) else None
            if kept is None:
                return JobStatus.FAILED, text, text
            text += f"; what was trained is kept in {kept}, and run() goes on from there"
            if self._is_cancelled():
                return JobStatus.CANCELLED, text, None
            return JobStatus.INTERRUPTED, text, text

    def _keep_traceback(self) -> None:
        try:
            self.folder.write_traceback(traceback.format_exc())
        except OSError as error:  # of a disk that is full, say, which then is the failure itself
            _logger.warning("job %s: no traceback is kept: %s", self.record.job_id, error)

    def _remove_checkpoints(self) -> None:
        try:
            self.folder.remove_checkpoints()
        except OSError as error:
            _logger.warning("job %s: checkpoints remain: %s", self.record.job_id, error)

    def _stopped_as(self) -> tuple[JobStatus, str, str | None]:
        if self._is_cancelled():
            return JobStatus.CANCELLED, "stopped as asked", None
        return JobStatus.INTERRUPTED, "stopped by Ctrl-C; run() goes on from its checkpoint", None

    def _is_cancelled(self) -> bool:
        # A request that came while the job was stopping for another reason counts too.
        return self._cancelled or self.store.read(self.record.job_id).requested_action == CANCEL

    def _finish(self, status: JobStatus, message: str, error: str | None) -> JobStatus | None:
        """Write down what became of the attempt; None if the job was no longer its own."""
        job_id = self.record.job_id
        if self.store.transition(self.record, status, message, error=error) is None:
            now = self.store.read(job_id)
            _logger.error(
                "job %s: attempt %d ended as %s, but the job is %s in attempt %d by then; "
                "its result is not kept",
                *(job_id, self.record.attempt, status, now.status, now.attempt),
            )
            return None
        if error is not None:
            # Nobody may be waiting for this thread, so a failure must not be silent.
            where = self.folder.traceback_path
            _logger.error("job %s is %s: %s (see %s)", job_id, status, error, where)
        elif status == JobStatus.INTERRUPTED:
            _logger.warning("job %s is interrupted: %s", job_id, message)
        return status

    def _check_lease(self) -> None:
        if not self.store.beat(self.record.job_id, self.record.attempt):
            raise JobError(f"attempt {self.record.attempt} is no longer the one that runs")

    def _keep_lease(self) -> None:
        last_beat = time.monotonic()
        while not self._ended.wait(POLL_SECONDS):
            try:
                record = self.store.read(self.record.job_id)
                if time.monotonic() - last_beat >= HEARTBEAT_SECONDS:
                    self.store.beat(record.job_id, self.record.attempt)
                    last_beat = time.monotonic()
            except sqlite3.OperationalError as error:
                # A full disk or a long lock need not last; the next round tries again.
                _logger.warning("job %s: cannot reach the store: %s", self.record.job_id, error)
                continue
            if (record.status, record.attempt) != (JobStatus.RUNNING, self.record.attempt):
                self._lost = True
                return
            if record.requested_action == CANCEL:
                self._cancelled = True
