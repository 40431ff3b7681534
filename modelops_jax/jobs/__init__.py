"""Fine-tuning jobs: run in the background, recorded in a store, found again by id."""

from ._environment import fingerprint as fingerprint
from ._errors import JobError as JobError
from ._errors import JobNotFoundError as JobNotFoundError
from ._errors import JobStateError as JobStateError
from ._job import FineTuningJob as FineTuningJob
from ._job import list_jobs as list_jobs
from ._records import JobEvent as JobEvent
from ._records import JobRecord as JobRecord
from ._states import JobStatus as JobStatus
