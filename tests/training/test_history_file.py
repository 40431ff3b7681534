"""The history of a run on the disk, while the run goes on."""

import json

from modelops_jax.training import append_history


def steps(path):
    """The steps of the whole lines."""
    return [json.loads(line)["step"] for line in path.read_text("utf-8").splitlines()]


def test_records_are_there_as_they_are_made_and_once_after_a_kill(tmp_path):
    """A continuation replaces what it makes again, and half a line; a new run begins anew."""
    path = tmp_path / "history.jsonl"
    with append_history(path, resume=False) as append:
        for step in (1, 2, 2, 3, 4):
            append({"step": step, "run": 1})
            assert steps(path)[-1] == step
    with open(path, "a") as file:
        file.write('{"step": 5, "ru')
    with append_history(path, resume=True) as append:
        assert path.read_text("utf-8").endswith('"ru'), "touched before there was a record"
        append({"step": 3, "run": 2})
        append({"step": 3, "run": 2, "eval_loss": 1.0})
    assert steps(path) == [1, 2, 2, 3, 3]
    with append_history(path, resume=True) as append:
        append({"step": 1, "run": 3})
    assert steps(path) == [1]
    with append_history(path, resume=False):
        assert path.read_bytes() == b""
