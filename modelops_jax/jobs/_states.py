"""The states of a job and every way from one to another.

    pending -> running -> completed | failed | cancelled
    running -> interrupted -> running          (a restart)
    pending | interrupted -> cancelled

`interrupted` is a job whose process died or was stopped with Ctrl-C, or that found no room on the
disk after its first checkpoint; it can be run again.
"""

from enum import StrEnum

from ._errors import JobStateError


class JobStatus(StrEnum):
    """Where a job is in its life; a plain string to whoever reads it.

    Example:
        >>> JobStatus.RUNNING == "running", JobStatus.FAILED.is_final
        (True, True)
    """

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def is_final(self) -> bool:
        """Whether nothing leads out of this state."""
        return not TRANSITIONS[self]


TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.PENDING: frozenset({JobStatus.RUNNING, JobStatus.CANCELLED}),
    JobStatus.RUNNING: frozenset(
        {
            JobStatus.COMPLETED,
            JobStatus.FAILED,
            JobStatus.CANCELLED,
            JobStatus.INTERRUPTED,
        }
    ),
    JobStatus.INTERRUPTED: frozenset({JobStatus.RUNNING, JobStatus.CANCELLED}),
    JobStatus.COMPLETED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}


def check_transition(job_id: str, before: JobStatus, after: JobStatus) -> None:
    """Refuse a transition that the table does not have.

    Args:
        job_id: named in the error.
        before: the state the job is in.
        after: the state it is asked to go to.

    Raises:
        JobStateError: `before` does not lead to `after`.

    Example:
        >>> check_transition("ft-1", JobStatus.COMPLETED, JobStatus.RUNNING)
        Traceback (most recent call last):
        modelops_jax.jobs._errors.JobStateError: job ft-1 is completed, which is final; \
it cannot become running
    """
    allowed = TRANSITIONS[before]
    if after in allowed:
        return
    if not allowed:
        raise JobStateError(f"job {job_id} is {before}, which is final; it cannot become {after}")
    raise JobStateError(
        f"job {job_id} is {before}; it can become {', '.join(sorted(allowed))}, not {after}"
    )
