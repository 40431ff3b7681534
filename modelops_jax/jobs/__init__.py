"""Fine-tuning jobs: run in the background, recorded in a store, found again by id."""

from ._errors import JobError as JobError
from ._errors import JobNotFoundError as JobNotFoundError
from ._errors import JobStateError as JobStateError
from ._job import FineTuningJob as FineTuningJob
from ._records import JobEvent as JobEvent
from ._records import JobRecord as JobRecord
from ._states import JobStatus as JobStatus
