"""A job's folder: its inputs come back, and its log survives a crash."""

import json
import math
from pathlib import Path

import pytest

from modelops_jax.data import Dataset
from modelops_jax.jobs._folder import JobFolder, JobRequest


def log(folder: JobFolder, attempt: int, steps: range) -> None:
    """Write a record for each step."""
    with folder.open_metrics(attempt) as append:
        for step in steps:
            append({"step": step, "loss": 1.0 / step})


def test_what_was_asked_comes_back(tmp_path: Path):
    """Request and rows are read as they were written."""
    folder = JobFolder(tmp_path / "a" / "ft-1")
    request = JobRequest("m", "/models/m", {"epochs": 3, "lora": {"rank": 4}, "max_steps": None})
    rows = Dataset([{"prompt": "grüß", "completion": "Gott"}])
    held_out = Dataset([{"prompt": "a", "completion": "b"}])
    folder.write_inputs(request, rows, held_out)
    assert folder.read_request() == request
    assert folder.read_train() == rows
    assert folder.read_eval() == held_out
    assert folder.read_config() is None
    folder.write_config({"epochs": 3}, {"python": "3"})
    assert folder.read_config() == {"epochs": 3}


def test_held_out_rows_are_optional(folder: JobFolder):
    """Without them there is no file."""
    assert folder.read_eval() is None


def test_records_are_on_file_as_soon_as_they_are_logged(folder: JobFolder):
    """Another process can watch a run."""
    assert folder.read_metrics() == []
    with folder.open_metrics(1) as append:
        append({"step": 1, "loss": math.inf})
        assert folder.read_metrics() == [{"attempt": 1, "step": 1, "loss": math.inf}]


def test_a_torn_record_is_not_read_and_does_not_spoil_the_next(folder: JobFolder):
    """Half a line is what a kill may leave; it costs that one record."""
    log(folder, 1, range(1, 3))
    with open(folder.metrics_path, "a") as file:
        file.write('{"attempt": 1, "st')
    assert [record["step"] for record in folder.read_metrics()] == [1, 2]
    log(folder, 2, range(3, 5))
    assert [record["step"] for record in folder.read_metrics()] == [1, 2, 3, 4]
    assert all(json.loads(line) for line in folder.metrics_path.read_text().splitlines())


@pytest.mark.parametrize(("restart", "expected"), [(1, [2, 2, 2]), (3, [1, 1, 2])])
def test_steps_that_a_restart_repeats_count_once(
    folder: JobFolder, restart: int, expected: list[int]
):
    """The course of the run has every step once, as the last attempt saw it."""
    log(folder, 1, range(1, 5))
    log(folder, 2, range(restart, 4))
    records = folder.read_metrics()
    assert [record["step"] for record in records] == [1, 2, 3]
    assert [record["attempt"] for record in records] == expected
    # What somebody plots who reads the file.
    on_file = [json.loads(line) for line in folder.metrics_path.read_text().splitlines()]
    assert on_file == records


def test_steps_that_stand_twice_in_an_earlier_versions_folder_count_once(folder: JobFolder):
    """Such a log is read by the same rule, and so is what a newer attempt appends to it."""
    steps = [(1, 1), (1, 2), (1, 3), (2, 2), (2, 3), (2, 3), (2, 4)]
    lines = [json.dumps({"attempt": attempt, "step": step}) for attempt, step in steps]
    folder.metrics_path.write_text("\n".join(lines) + "\n")
    once = [(1, 1), (2, 2), (2, 3), (2, 3), (2, 4)]  # an evaluation has its step's number
    assert [(one["attempt"], one["step"]) for one in folder.read_metrics()] == once
    log(folder, 3, range(4, 6))
    once[-1:] = [(3, 4), (3, 5)]
    assert [(one["attempt"], one["step"]) for one in folder.read_metrics()] == once


def test_weights_replace_those_of_an_attempt_that_died(folder: JobFolder):
    """Leftover weights go, the new weights stand; the checkpoints go when they are told to."""
    folder.model_path.mkdir()
    (folder.model_path / "old").touch()
    folder.checkpoints_path.mkdir()

    def save(path: Path) -> None:
        path.mkdir()
        (path / "new").touch()

    folder.publish_model(save)
    assert [path.name for path in folder.model_path.iterdir()] == ["new"]
    assert folder.checkpoints_path.exists()
    folder.remove_checkpoints()
    assert not folder.checkpoints_path.exists()
