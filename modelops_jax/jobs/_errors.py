"""What can go wrong between a caller and a job, drawn once."""


class JobError(ValueError):
    """A job was asked for something it cannot give; the message says what and why."""


class JobNotFoundError(JobError):
    """No job of that id is in the store that was searched."""


class JobStateError(JobError):
    """The job's status does not allow what was asked of it."""
