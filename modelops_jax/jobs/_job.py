"""The job as its user holds it."""

import dataclasses
import os
import secrets
import string
import threading
import time
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from modelops_jax.data import Dataset, DatasetError, RowKind
from modelops_jax.models import SubstitutedModelWarning, describe, load, resolve
from modelops_jax.training import TrainingConfig, labels_in, row_kind

from ._errors import JobError, JobStateError
from ._folder import JobFolder, JobRequest
from ._home import resolve_home
from ._interrupt import unwatch, watch
from ._labels import check_labels
from ._launch import anything_runs_here, interrupt_all, launch, running_here, settle
from ._predict import Predictor, Prompt
from ._records import JobEvent, JobRecord
from ._states import JobStatus
from ._store import JobStore
from ._train import train

_WAIT_SECONDS = 0.5
_ID_CHARACTERS = string.digits + string.ascii_lowercase


class FineTuningJob:
    """Fine-tunes a base model on a dataset, in the background, and keeps a record of it.

    A job is a row in a store and a folder, both under `home`; nothing is written before `run()`.
    Its states are `pending`, `running`, `completed`, `failed`, `cancelled` and `interrupted`. The
    store is the truth: any process can load the job by its id, watch it and cancel it.

    A script that ends waits for its jobs. Ctrl-C stops them at their next step and makes them
    `interrupted`; so does the death of the process, which the next look at the job finds out.
    `run()` on an interrupted job goes on from the last checkpoint in its folder: after Ctrl-C that
    is the step it stopped at; after a crash it is the last one that `config.checkpoint_every` asked
    for, or else the beginning. A job with a checkpoint is `interrupted`, too, where it cannot write
    (the disk is full, say); after the last step `run()` writes the model and trains no more.

    Args:
        base_model: a folder or `.gguf` file, a preset's name, or another name that
            `modelops_jax.models.resolve` knows.
        dataset: the rows to train on; copied into the job's folder by `run()`.
        config: how to train; `TrainingConfig.default_for(model)` when None.
        eval_dataset: rows to measure the loss on while training.
        labels: classes that the model is to tell, or the one name of a value to predict: it gets a
            new head for them, unless it has one for just these already, and the rows have a label.
            "auto" takes the classes that occur in `dataset`, sorted. With `config.dpo` the rows are
            pairs of a chosen and a rejected answer.
        home: where jobs are kept; by default the MODELOPS_HOME variable or, without it, the
            platform's data folder. It has to be on a local disk.

    Example:
        >>> import tempfile
        >>> from modelops_jax.data import Dataset
        >>> rows = Dataset([{"prompt": "Hello", "completion": "Hi there!"}])
        >>> with tempfile.TemporaryDirectory() as home:
        ...     job = FineTuningJob("tiny", rows, home=home)
        ...     job_id = job.run()
        ...     job.status, job.wait(), job.predict(["Hello"])
        ('running', 'completed', ['Hi there!'])
    """

    def __init__(
        self,
        base_model: str | os.PathLike[str] = "gpt-3.5-turbo",
        dataset: Dataset | None = None,
        *,
        config: TrainingConfig | None = None,
        eval_dataset: Dataset | None = None,
        labels: Sequence[str] | Literal["auto"] | None = None,
        home: str | os.PathLike[str] | None = None,
    ):
        if not isinstance(base_model, str | os.PathLike):
            raise TypeError(
                f"base_model: found {type(base_model).__name__}, expected a model's name or path"
            )
        if config is not None and not isinstance(config, TrainingConfig):
            raise TypeError(
                f"config: found {type(config).__name__}, expected a TrainingConfig "
                "(modelops_jax.training.load_config reads one from a TOML file)"
            )
        check_labels(labels, config)
        self.base_model = os.fspath(base_model)
        self._dataset = dataset
        self._eval_dataset = eval_dataset
        self._config = config
        self._labels = labels
        self._store = JobStore(resolve_home(home))
        self._job_id = _new_id()
        self._stored = False
        self._storing = threading.Lock()
        self._predictor: Predictor | None = None

    @classmethod
    def load(cls, job_id: str, home: str | os.PathLike[str] | None = None) -> "FineTuningJob":
        """Find a job that this or another process has run.

        Args:
            job_id: as `run()` returned it.
            home: as for the job's own `home`.

        Raises:
            JobNotFoundError: no such job there.
        """
        store = JobStore(resolve_home(home))
        job = cls(store.read(job_id).base_model, home=store.home)
        job._job_id = job_id
        job._stored = True
        return job

    @property
    def job_id(self) -> str:
        """`ft-YYYYMMDDHHMMSS-xxxxxx`: ids sort by the time (UTC) their jobs were made."""
        return self._job_id

    @property
    def folder(self) -> Path:
        """Where the job's rows, configuration, log and weights are, from `run()` on."""
        return self._folder.path

    @property
    def status(self) -> str:
        """The job's status as it is now; the same as `refresh_status()`."""
        return self.refresh_status()

    @property
    def error(self) -> str | None:
        """What made the job `failed` or `interrupted`, type and message; None if no error did."""
        return self.record().error if self._stored else None

    def run(self, wait: bool = False) -> str:
        """Start the job in a background thread.

        On a job that runs already, here or in another process, this starts nothing. On an
        `interrupted` one it goes on from the last checkpoint. A failure while training does not
        raise: it makes the job `failed` or `interrupted`, is logged, and is there as `error`.

        Args:
            wait: return only when the job has ended, and show its progress. Without it nothing is
                printed while the job trains.

        Returns:
            The job's id.

        Raises:
            DatasetError: the dataset is missing or empty, or has rows of a wrong shape.
            TypeError: the dataset is no `Dataset`.
            UnknownModelError: no model has the name `base_model`.
            JobStateError: the job is completed, failed or cancelled; these are final.

        Warns:
            SubstitutedModelWarning: the name is a hosted model's, and a local preset stands in.
        """
        with self._storing:
            if not self._stored:
                self._create()
                self._stored = True
        watch(interrupt_all)
        trainer = partial(train, progress="auto" if wait else "off")
        # A start that somebody else was faster with has changed the status: look again.
        while (record := settle(self._store, self.job_id)).status != JobStatus.RUNNING:
            if record.status.is_final:
                raise JobStateError(
                    f"job {self.job_id} is {record.status}, which is final; "
                    "make a new FineTuningJob to train again"
                )
            if launch(self._store, self._folder, record, trainer) is not None:
                break
        if wait:
            self.wait()
        return self.job_id

    def refresh_status(self) -> str:
        """Read the job's status from the store, after checking that a running job's worker lives.

        Returns:
            "pending", "running", "completed", "failed", "cancelled" or "interrupted".
        """
        if not self._stored:
            return JobStatus.PENDING.value
        return settle(self._store, self.job_id).status.value

    def wait(self, timeout: int | float | None = None) -> str:
        """Wait until the job does not run any more, wherever it runs.

        Args:
            timeout: give up after so many seconds; the job runs on.

        Returns:
            The status then: "running" after a timeout, at once "pending" for a job never started.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            status, runner = self.refresh_status(), running_here(self.job_id)
            if status != JobStatus.RUNNING and runner is None:
                break
            pause = _WAIT_SECONDS
            if deadline is not None:
                pause = min(pause, deadline - time.monotonic())
            if pause <= 0:
                break
            if runner is None:
                time.sleep(pause)
            else:
                runner.done.wait(pause)
        if not anything_runs_here():
            unwatch()
        return status

    def cancel(self) -> None:
        """Ask for the job to stop: a running one does so at its next step, for good.

        A job that waits to be run (again) is cancelled at once, and one that is cancelled stays
        so. If training ends before the request is seen, the job completes.

        Raises:
            JobStateError: the job is completed or failed, or was never run.
        """
        if not self._stored:
            raise JobStateError(f"job {self.job_id} was never run, so there is nothing to cancel")
        while (record := settle(self._store, self.job_id)).status != JobStatus.CANCELLED:
            if record.status == JobStatus.RUNNING:
                done = self._store.request_cancel(self.job_id)
            else:
                done = self._store.transition(record, JobStatus.CANCELLED, "cancelled before a run")
            if done:
                break
        runner = running_here(self.job_id)
        if runner is not None:
            runner.cancel()

    def record(self) -> JobRecord:
        """The job's row in the store: times, owner, and the model that was really used.

        Raises:
            JobStateError: the job was never run, so the store does not have it.
        """
        if not self._stored:
            raise JobStateError(f"job {self.job_id} was never run, so it has no record yet")
        return settle(self._store, self.job_id)

    def events(self) -> list[JobEvent]:
        """The job's history, oldest first; empty before `run()`."""
        return self._store.events(self.job_id) if self._stored else []

    def metrics(self) -> list[dict[str, Any]]:
        """The training records so far, oldest first.

        Returns:
            Dicts with "attempt", "step", "loss" (nats per trained token), "learning_rate" and more,
            as `modelops_jax.training.fit` logs them; empty before the first step.

        Raises:
            JobError: the job's folder is gone.
        """
        return self._existing_folder().read_metrics() if self._stored else []

    def predict(
        self, prompts: Sequence[Prompt], *, max_new_tokens: int | None = None
    ) -> list[str] | list[float]:
        """Answer prompts with the trained model, greedily; a model with labels tells them.

        Args:
            prompts: strings, each put to the model as a training row's prompt was, or lists of
                messages; for a model with labels the texts, as strings.
            max_new_tokens: longest answer; by default twice the longest one in the training rows.

        Returns:
            One answer, label or value for each prompt.

        Raises:
            JobStateError: the job is not completed.
            JobError: its folder is gone, and not all that is needed of it was read before.
            TypeError: `prompts` is no list of strings and lists.
            ValueError: a prompt is longer than the model's context, a list is no conversation, or
                `max_new_tokens` is given to a model with labels.
        """
        status = self.refresh_status()
        if status != JobStatus.COMPLETED:
            why = f" ({self.error})" if self.error else ""
            raise JobStateError(
                f"job {self.job_id} is {status}{why}; only a completed job can predict"
            )
        if self._predictor is None:
            model = load(self._existing_folder().model_path)
            self._predictor = Predictor(model, lambda: self._existing_folder().read_train())
        return self._predictor.predict(prompts, max_new_tokens=max_new_tokens)

    def __repr__(self) -> str:
        return f"FineTuningJob({self.job_id!r}, base_model={self.base_model!r})"

    @property
    def _folder(self) -> JobFolder:
        return JobFolder(self._store.home / "jobs" / self.job_id)

    def _existing_folder(self) -> JobFolder:
        if not self._folder.path.is_dir():
            raise JobError(
                f"job {self.job_id} is in the store, but its folder {self._folder.path} is gone"
            )
        return self._folder

    def _kind(self) -> RowKind:
        """What the rows are for."""
        config = self._config or TrainingConfig()
        kind, rows = row_kind(self._labels or (), config), self._dataset
        if kind == "text" and isinstance(rows, Dataset) and rows.problems():
            # Labelled rows are right for a base model that has labels of its own.
            own = describe(resolve(self.base_model).name).config.labels
            kind = row_kind(own, config)
        return kind

    def _create(self) -> None:
        """Write the job's inputs to its folder, then its row; everything is checked first."""
        kind = self._kind()
        rows = _checked("dataset", self._dataset, kind)
        held_out = None
        if self._eval_dataset is not None:
            held_out = _checked("eval_dataset", self._eval_dataset, kind)
        labels = self._labels
        if labels is not None:
            labels = _labels_in(rows) if labels == "auto" else list(labels)
        resolved = resolve(self.base_model)
        if resolved.warning is not None:
            warnings.warn(resolved.warning, SubstitutedModelWarning, stacklevel=3)
        config = None if self._config is None else dataclasses.asdict(self._config)
        self._folder.write_inputs(
            JobRequest(self.base_model, resolved.name, config, labels, kind), rows, held_out
        )
        self._store.create(
            self.job_id,
            base_model=self.base_model,
            resolved_model=resolved.name,
            substitution=resolved.warning,
        )


def list_jobs(home: str | os.PathLike[str] | None = None) -> list[JobRecord]:
    """The records of all jobs of a home, the newest last.

    A job that runs, and whose worker is found to be gone, is `interrupted` from then on.

    Args:
        home: as for `FineTuningJob`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as home:
        ...     list_jobs(home)
        []
    """
    store = JobStore(resolve_home(home))
    return [settle(store, job_id) for job_id in store.job_ids()]


def _new_id() -> str:
    random = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(6))
    return f"ft-{datetime.now(UTC):%Y%m%d%H%M%S}-{random}"


def _labels_in(rows: Dataset) -> list[str]:
    try:
        return labels_in(rows)
    except ValueError as error:
        raise ValueError(f'labels = "auto": dataset: {error}') from error


def _checked(argument: str, dataset: Dataset | None, kind: RowKind) -> Dataset:
    if dataset is None:
        raise DatasetError(f"{argument}: found None, expected a Dataset to train on")
    if not isinstance(dataset, Dataset):
        raise TypeError(
            f"{argument}: found {type(dataset).__name__}, expected a Dataset: Dataset(rows)"
        )
    if len(dataset) == 0:
        raise DatasetError(f"{argument}: found no rows, expected at least one")
    problems = dataset.problems(kind)
    if problems:
        raise DatasetError.listing(argument, problems)
    return dataset
