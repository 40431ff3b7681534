"""Long work that survives its process: fine-tuning jobs, and the evaluation of models."""

from ._answer_settings import Generation as Generation
from ._errors import JobError as JobError
from ._errors import JobNotFoundError as JobNotFoundError
from ._errors import JobStateError as JobStateError
from ._evaluate_model import ModelEvaluation as ModelEvaluation
from ._evaluate_model import answer_tasks as answer_tasks
from ._evaluate_model import evaluate_model as evaluate_model
from ._job import FineTuningJob as FineTuningJob
from ._job import list_jobs as list_jobs
from ._records import JobEvent as JobEvent
from ._records import JobRecord as JobRecord
from ._states import JobStatus as JobStatus
