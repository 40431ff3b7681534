"""`modelops data` and `modelops jobs`: what they print, and with which exit code."""

import json
from pathlib import Path

import pytest

from modelops_jax.cli import main
from modelops_jax.data import Dataset
from modelops_jax.jobs._folder import JobFolder, JobRequest
from modelops_jax.jobs._store import JobStore
from modelops_jax.models import describe
from modelops_jax.training import (
    OverlongRowsWarning,
    TokenizedDataset,
    TrainingConfig,
    tokenize_to_disk,
)


def test_every_bad_line_is_listed_with_number_and_code(tmp_path, capsys):
    """Exit code 1; a good file gets 0."""
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    line = '{"prompt": "a", "completion": "b"}\n'
    good.write_text(line * 3)
    bad.write_text(line + '{"prompt": "a"}\n\nnot json\n' + line)
    assert main(["data", "check", str(good)]) == 0
    assert capsys.readouterr().out == f"{good}: 3 rows, 0 bad\n"
    assert main(["data", "check", str(bad)]) == 1
    out, err = capsys.readouterr()
    assert out == f"{bad}: 4 rows, 2 bad\n"
    listed = err.splitlines()
    assert [text.split(": ")[:2] for text in listed] == [
        [f"{bad}:2", "missing_keys"],
        [f"{bad}:4", "invalid_json"],
    ]


def test_tokens_are_kept_as_the_function_keeps_them(tmp_path, capsys):
    """In the same folder, whichever of the two comes first; the options decide what is in it."""
    path, tokens = tmp_path / "rows.jsonl", tmp_path / "tokens"
    rows = [{"prompt": "Say it", "completion": "ab" * length} for length in (1, 2, 40)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["data", "tokenize", str(path), str(tokens), "--model", "tiny"]
    assert main(command) == 0
    out = capsys.readouterr().out
    model = describe("tiny")
    context = model.config.max_position
    made = tokenize_to_disk(path, tokens, model.tokenizer, TrainingConfig(), context=context)
    assert made.stored is not None
    assert out == (
        f"{made.stored.folder}: 3 rows of {made.tokens} tokens, {made.trained_tokens} of them "
        "trained; 0 rows left out\n"
    )
    short = [*command, "--max-length", "60", "--train-on", "all"]
    assert main(short) == 1
    assert "row 2 (line 3)" in capsys.readouterr().err
    with pytest.warns(OverlongRowsWarning):
        assert main([*short, "--overlong", "drop"]) == 0
    out = capsys.readouterr().out
    folder, _, counts = out.partition(": ")
    kept = TokenizedDataset.open(folder)
    assert kept.trained_tokens == kept.tokens - 2
    assert counts == (
        f"2 rows of {kept.tokens} tokens, {kept.tokens - 2} of them trained; 1 rows left out\n"
    )
    assert main([*command[:2], str(tmp_path / "none.jsonl"), *command[3:]]) == 1


def test_a_file_without_rows_or_of_another_kind_fails(tmp_path, capsys):
    """Nothing to learn from is not good either."""
    path = tmp_path / "rows.jsonl"
    path.write_text("\n")
    assert main(["data", "check", str(path)]) == 1
    assert "has no rows" in capsys.readouterr().err
    path.write_text('{"prompt": "a", "completion": "b"}\n')
    assert main(["data", "check", str(path), "--kind", "preference"]) == 1
    assert main(["data", "check", str(tmp_path / "none.jsonl")]) == 1
    assert "none.jsonl" in capsys.readouterr().err


@pytest.fixture
def home(tmp_path) -> Path:
    """A home with a job that was made and never ran."""
    rows = Dataset([{"prompt": "Hello", "completion": "Hi there!"}])
    request = JobRequest("gpt-4o", "tiny", None)
    JobFolder(tmp_path / "jobs" / "ft-1").write_inputs(request, rows, None)
    JobStore(tmp_path).create("ft-1", base_model="gpt-4o", resolved_model="tiny")
    return tmp_path


def test_jobs_are_listed_shown_and_cancelled(home, capsys):
    """As text for people and as JSON for programs."""
    assert main(["jobs", "list", "--home", str(home)]) == 0
    assert capsys.readouterr().out.startswith("ft-1  pending ")
    assert main(["jobs", "list", "--home", str(home), "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["job_id"], listed["resolved_model"]) == ("ft-1", "tiny")
    assert main(["jobs", "cancel", "ft-1", "--home", str(home)]) == 0
    assert capsys.readouterr().out == "ft-1 is cancelled\n"
    assert main(["jobs", "show", "ft-1", "--home", str(home)]) == 0
    out = capsys.readouterr().out
    assert "status  cancelled" in out
    assert "model   gpt-4o (tiny)" in out
    assert "cancelled: cancelled before a run" in out
    assert main(["jobs", "show", "ft-1", "--home", str(home), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [event["kind"] for event in shown["events"]] == ["pending", "cancelled"]


def test_no_jobs_and_no_such_job(tmp_path, capsys):
    """An empty home is made by nobody who only looks."""
    home = tmp_path / "home"
    assert main(["jobs", "list", "--home", str(home)]) == 0
    assert capsys.readouterr().out == ""
    assert not home.exists()
    assert main(["jobs", "show", "ft-9", "--home", str(home)]) == 1
    assert "no job 'ft-9'" in capsys.readouterr().err
