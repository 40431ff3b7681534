"""A job's folder: what it was asked, what it decided, what it logged, what it made.

request.json    base model, resolved model and configuration as they were given
train.jsonl     the rows; eval.jsonl as well when rows were given for evaluation
config.json     the configuration in full, the environment of the latest attempt and, of one that
                came to an end, the hashes of the rows and the base model
metrics.jsonl   the records of the run; what an attempt does again stands there once
traceback.txt   of the last error
checkpoints/    what a further attempt goes on from; gone once the job is completed
model/          the trained weights, a Hugging Face folder; there once all of it is there
adapter/        the adapters alone, as PEFT loads them, if adapters were trained
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelops_jax.data import Dataset, RowKind, write_atomic
from modelops_jax.training import append_history, latest_checkpoint


@dataclass(frozen=True)
class JobRequest:
    """What a job was asked to do, as its folder keeps it.

    Attributes:
        base_model: the name as it was given.
        resolved_model: what that name stands for; `modelops_jax.models.load` takes it.
        config: the training configuration's fields; None for the model's default.
        labels: what a new head of the model is for; None for no new head.
        kind: what the rows are for.
    """

    base_model: str
    resolved_model: str
    config: dict[str, Any] | None
    labels: list[str] | None = None
    kind: RowKind = "text"


class JobFolder:
    """The files of one job.

    Args:
        path: the folder; it is created by `write_inputs`.
    """

    def __init__(self, path: Path):
        self.path = path
        self.train_path = path / "train.jsonl"
        self.eval_path = path / "eval.jsonl"
        self.config_path = path / "config.json"
        self.metrics_path = path / "metrics.jsonl"
        self.checkpoints_path = path / "checkpoints"
        self.traceback_path = path / "traceback.txt"
        self.model_path = path / "model"
        self.adapter_path = path / "adapter"
        self._request_path = path / "request.json"

    def write_inputs(self, request: JobRequest, train: Dataset, evaluation: Dataset | None) -> None:
        """Make the folder and write everything that a run of the job needs."""
        # It exists when an earlier call could not write everything.
        self.path.mkdir(parents=True, exist_ok=True)
        train.to_jsonl(self.train_path)
        if evaluation is not None:
            evaluation.to_jsonl(self.eval_path)
        write_atomic(self._request_path, _json(vars(request)))

    def read_request(self) -> JobRequest:
        """What the job was asked to do."""
        return JobRequest(**json.loads(self._request_path.read_bytes()))

    def read_train(self) -> Dataset:
        """The rows to train on."""
        return Dataset.from_file(self.train_path, self.read_request().kind)

    def read_eval(self) -> Dataset | None:
        """The rows to evaluate on, if any were given."""
        if not self.eval_path.exists():
            return None
        return Dataset.from_file(self.eval_path, self.read_request().kind)

    def write_config(
        self,
        config: dict[str, Any],
        environment: dict[str, object],
        inputs: Mapping[str, str | None] | None = None,
    ) -> None:
        """Keep the configuration in full, what it ran in, and the hashes of what it ran on."""
        kept = {"training": config, "environment": environment}
        if inputs is not None:
            kept["inputs"] = dict(inputs)
        write_atomic(self.config_path, _json(kept))

    def read_config(self) -> dict[str, Any] | None:
        """The configuration that an earlier attempt kept, if there was one."""
        if not self.config_path.exists():
            return None
        return json.loads(self.config_path.read_bytes())["training"]

    @contextmanager
    def open_metrics(self, attempt: int) -> Iterator[Callable[[dict[str, Any]], None]]:
        """Open the log of training records for appending.

        Steps that an earlier attempt has logged and this one does again are taken out of the file
        at its first record, and half a line that a kill left.

        Args:
            attempt: written into every record, so that a restart can be told from its forerunner.

        Returns:
            A function that appends one record and hands it to the operating system at once.
        """
        with append_history(self.metrics_path, resume=True) as append:
            yield lambda record: append({"attempt": attempt, **record})

    def read_metrics(self) -> list[dict[str, Any]]:
        """The records of the run, oldest first, each step as the last attempt saw it."""
        if not self.metrics_path.exists():
            return []
        whole, _, _ = self.metrics_path.read_bytes().rpartition(b"\n")
        run: list[dict[str, Any]] = []
        for record in map(json.loads, whole.splitlines()):
            # Folders of earlier versions keep what an attempt did again twice.
            if run and record["attempt"] != run[-1]["attempt"]:
                run = [earlier for earlier in run if earlier["step"] < record["step"]]
            run.append(record)
        return run

    def write_traceback(self, text: str) -> None:
        """Keep the traceback of a failure."""
        self.traceback_path.write_text(text, "utf-8", errors="backslashreplace")

    def publish_model(
        self, save: Callable[[Path], object], save_adapter: Callable[[Path], object] | None = None
    ) -> None:
        """Put the trained weights in `model/`.

        Args:
            save: writes the weights to the folder it is given, all of them or none.
            save_adapter: writes the adapters alone, to `adapter/`, where there are any.
        """
        for path, write in ((self.adapter_path, save_adapter), (self.model_path, save)):
            # An attempt that died between saving and `completed` left a folder that nobody uses.
            if path.exists():
                shutil.rmtree(path)
            if write is not None:
                write(path)

    def newest_checkpoint(self) -> Path | None:
        """What a further attempt goes on from, if there is anything."""
        return latest_checkpoint(self.checkpoints_path)

    def remove_checkpoints(self) -> None:
        """They have served once the job is completed; until then an attempt needs them whole."""
        if self.checkpoints_path.exists():
            shutil.rmtree(self.checkpoints_path)


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
