"""`modelops finetune`: a run from a file to a folder, what it would take, and going on."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from modelops_jax.cli import _finetune, main
from modelops_jax.cli._signals import stop_on_signals
from modelops_jax.models import DecoderConfig, init_params, load
from modelops_jax.training import _run, load_config, tokenize_to_disk


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A model of 20,000 random weights, as a folder."""
    tiny = load("tiny")
    config = DecoderConfig(tiny.config.vocab_size, 16, 32, 2, 2, 1, 8, 256, 1e4, 1e-5, True)
    model = dataclasses.replace(tiny, config=config, params=init_params(config, 0, stddev=0.3))
    folder = tmp_path_factory.mktemp("base") / "small"
    model.save(folder)
    return folder


@pytest.fixture
def run(tmp_path, base) -> Path:
    """The TOML file of a run of four steps; its output is beside it."""
    rows = [{"prompt": f"Say {n}", "completion": "ab" * (n % 3)} for n in range(1, 11)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = tmp_path / "run.toml"
    path.write_text(
        f'model = "{base}"\noutput = "{tmp_path / "out"}"\n'
        f'[data]\ntrain = "{tmp_path / "rows.jsonl"}"\neval_fraction = 0.2\n'
        "[training]\nbatch_size = 4\nmax_steps = 4\nlearning_rate = 1e-2\n"
    )
    return path


def test_a_run_leaves_a_model_and_how_it_was_made(run, base, capsys):
    """The folder reproduces it, and a second run does not write over it."""
    assert main(["finetune", str(run), "training.checkpoint_every=3", "--format", "json"]) == 0
    output = run.parent / "out"
    facts = json.loads(capsys.readouterr().out)
    assert facts["model"] == str(output / "model")
    history = [json.loads(line) for line in (output / "history.jsonl").read_text().splitlines()]
    assert [record["step"] for record in history] == [1, 2, 3, 4, 4]
    assert facts["loss"] == history[3]["loss"]
    assert facts["eval_loss"] == history[4]["eval_loss"]
    assert load_config(output / "run.toml") == load_config(run, ["training.checkpoint_every=3"])
    environment = json.loads((output / "environment.json").read_text())
    assert environment["packages"]["jax"] == jax.__version__
    inputs = json.loads((output / "inputs.json").read_text())
    assert inputs.keys() == {"rows", "held_out", "base_model"}
    assert all(len(digest) == 64 for digest in inputs.values())
    assert len(set(inputs.values())) == 3
    made, before = load(output / "model"), load(base)
    assert made.tokenizer.encode("Say 1") == before.tokenizer.encode("Say 1")
    alike = jax.tree.map(np.array_equal, made.params, before.params)
    assert not any(jax.tree.leaves(alike))
    assert main(["finetune", str(run), "--resume"]) == 1
    assert "model is there already; choose another output" in capsys.readouterr().err


def test_a_stopped_run_goes_on_only_when_asked(run, capsys, monkeypatch):
    """Exit code 130, a checkpoint and no model; then the weights of a run that was not stopped."""
    assert main(["finetune", str(run), f"output={run.parent / 'whole'}"]) == 0

    @contextlib.contextmanager
    def stop_after_two():
        yield iter([False, False, True]).__next__

    with monkeypatch.context() as patched:
        patched.setattr(_finetune, "stop_on_signals", stop_after_two)
        assert main(["finetune", str(run), "--resume"]) == 130
    out, err = capsys.readouterr()
    where = run.parent / "out" / "checkpoints"
    assert f"modelops: --resume found no checkpoint in {where}; the run begins at step 0\n" in err
    assert "held-out loss" in out
    assert "modelops: stopped after step 2; --resume goes on" in err
    assert not (run.parent / "out" / "model").exists()
    assert main(["finetune", str(run)]) == 1
    assert (
        "step-00000002 is of an earlier run; go on from it with --resume" in capsys.readouterr().err
    )
    settings = (run.parent / "out" / "run.toml").read_text()
    assert main(["finetune", str(run), "training.seed=1", "--resume"]) == 1
    assert "was made with another training configuration" in capsys.readouterr().err
    assert (run.parent / "out" / "run.toml").read_text() == settings, "of a run that never was"
    assert main(["finetune", str(run), "--resume"]) == 0
    assert "found no checkpoint" not in capsys.readouterr().err
    models = [load(run.parent / name / "model").params for name in ("whole", "out")]
    jax.tree.map(np.testing.assert_array_equal, *models)


def test_a_model_that_cannot_be_written_is_written_by_resuming(
    run, capsys, monkeypatch, files_of_at_most
):
    """The error says what is kept; --resume trains nothing and gives the bytes of a whole run."""
    settings = ["training.lora.rank=1"]
    assert main(["finetune", str(run), *settings, f"output={run.parent / 'whole'}"]) == 0
    size = (run.parent / "whole" / "model" / "model.safetensors").stat().st_size
    with files_of_at_most(size - 1):  # which is more than the checkpoint of adapters
        assert main(["finetune", str(run), *settings]) == 1
    output, kept = run.parent / "out", run.parent / "out" / "checkpoints" / "step-00000004"
    err = capsys.readouterr().err
    assert f"modelops: {output / 'model'} could not be written: " in err
    assert f"; what was trained is kept in {kept}, and --resume goes on from there\n" in err
    monkeypatch.setattr(_run, "train_step", None)  # which can then not be called
    assert main(["finetune", str(run), *settings, "--resume"]) == 0
    for file in (run.parent / "whole" / "model").iterdir():
        assert (output / "model" / file.name).read_bytes() == file.read_bytes()
    lines = (output / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 4]


class Killed(BaseException):
    """Nothing catches it."""


def test_a_killed_run_keeps_its_records_and_goes_on_without_doubles(run, monkeypatch):
    """Killed after step 3, and gone on with from the checkpoint of step 2."""
    settings = ["training.checkpoint_every=2", "training.eval_every=2"]
    asked = iter([False] * 3)

    def stop():
        for answer in asked:
            return answer
        raise Killed

    history = run.parent / "out" / "history.jsonl"
    with monkeypatch.context() as patched:
        patched.setattr(_finetune, "stop_on_signals", lambda: contextlib.nullcontext(stop))
        with pytest.raises(Killed):
            main(["finetune", str(run), *settings])
    before = [json.loads(line) for line in history.read_text().splitlines()]
    assert [record["step"] for record in before] == [1, 2, 2, 3]
    assert main(["finetune", str(run), *settings, "--resume"]) == 0
    records = [json.loads(line) for line in history.read_text().splitlines()]
    assert [record["step"] for record in records] == [1, 2, 2, 3, 4, 4]
    assert records[:3] == before[:3]
    assert records[3]["loss"] == before[3]["loss"]


@pytest.mark.faults
def test_a_run_that_is_killed_for_good_goes_on_to_the_same_bytes(run):
    """SIGKILL after a record, whenever that is: history and weights of a run left alone."""
    settings = ["training.checkpoint_every=2", "training.max_steps=60", "training.epochs=30"]

    def start(output, *options):
        code = "import sys; from modelops_jax.cli import main; sys.exit(main(sys.argv[1:]))"
        command = [sys.executable, "-c", code, "finetune", str(run), *settings, *options]
        return subprocess.Popen([*command, f"output={run.parent / output}"])

    def records(output):
        lines = (run.parent / output / "history.jsonl").read_text().splitlines()
        timed = {"seconds", "tokens_per_second"}
        return [{k: v for k, v in json.loads(x).items() if k not in timed} for x in lines]

    assert start("whole").wait() == 0
    history = run.parent / "cut" / "history.jsonl"
    process = start("cut")
    while not (history.exists() and history.read_bytes().count(b"\n") > 10):
        assert process.poll() is None, "it ended before it was killed"
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert 10 < history.read_bytes().count(b"\n") < 60
    assert start("cut", "--resume").wait() == 0
    assert records("cut") == records("whole")
    models = [load(run.parent / name / "model").params for name in ("whole", "cut")]
    jax.tree.map(np.testing.assert_array_equal, *models)


def test_counts_of_answers_are_shown_as_counts():
    """Beside values, which have four digits and an interval."""
    values = {"eval_mae": 0.5, "eval_mae_interval": [0.25, 1.0], "eval_mae_left_out": 1200}
    shown = _finetune._text({"model": "m", "step": 3, "seconds": 1.0, "loss": None, **values})
    assert shown.splitlines()[2:] == [
        "held-out mae           0.5000 (0.2500 to 1.0000)",
        "held-out mae left out  1,200",
    ]


def test_a_run_on_labels_finds_them_in_its_rows(run, capsys):
    """Its folder names them, its model tells them, and a further run keeps them."""
    rows = [{"text": f"Say {n}", "label": ("spam", "ham")[n % 2]} for n in range(10)]
    (run.parent / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = ["labels=auto", "training.lora.rank=2"]
    assert main(["finetune", str(run), *settings]) == 0
    assert "held-out accuracy" in capsys.readouterr().out
    output = run.parent / "out"
    assert load_config(output / "run.toml").labels == ("ham", "spam")
    assert load(output / "model").config.labels == ("ham", "spam")
    again = [f"model={output / 'model'}", "labels=auto"]
    described = _finetune._inputs(load_config(run, again)).model
    assert described.config.labels == ("ham", "spam")
    lines = [json.dumps(row) for row in rows[:3]] + ['{"text": "Say 3", "label": 1}']
    (run.parent / "rows.jsonl").write_text("\n".join(lines))
    assert main(["finetune", str(run), "labels=auto", f"output={run.parent / 'b'}"]) == 1
    assert 'labels = "auto": ' in (err := capsys.readouterr().err)
    assert "row 3 (line 4): the label is the number 1" in err


def test_a_run_on_pairs_of_answers(run, capsys):
    """What it would take; rows of another kind are refused with their lines."""
    arguments = ["finetune", str(run), "training.dpo.beta=0.2", "--dry-run"]
    assert main(arguments) == 1
    assert "line 1: found keys ['prompt', 'completion']" in capsys.readouterr().err
    pairs = [{"prompt": f"Say {n}", "chosen": "ab", "rejected": "c"} for n in range(10)]
    (run.parent / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs))
    found = _finetune._inputs(load_config(run, ["training.dpo.beta=0.2"]))
    assert found.held_out is not None
    assert (len(found.train), len(found.held_out)) == (8, 2)
    assert found.held_out.validate("preference")
    assert main(["finetune", str(run), "labels=['a']", "training.dpo.beta=0.2"]) == 1
    assert "labels and training.dpo are both given" in capsys.readouterr().err


@pytest.mark.model  # slow: preferences are three programs
def test_pairs_are_learned_from_a_file(run, capsys):
    """The run says what its objective reports."""
    pairs = [{"prompt": f"Say {n}", "chosen": "ab", "rejected": "c"} for n in range(10)]
    (run.parent / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs))
    assert main(["finetune", str(run), "training.dpo.beta=0.2"]) == 0
    assert "held-out rewards/margins" in capsys.readouterr().out
    assert load(run.parent / "out" / "model").generate(["Say 1"], max_new_tokens=1)


def test_a_run_on_tokens_is_the_one_on_their_rows(run, base, capsys):
    """The losses are those of the same rows in memory; what needs text is refused."""
    rows = run.parent / "rows.jsonl"
    stored = tokenize_to_disk(
        *(rows, run.parent / "tokens", load(base).tokenizer, load_config(run).training), context=256
    ).stored
    assert stored is not None
    tokens = f"data.train={stored.folder}"
    assert main(["finetune", str(run), tokens]) == 1
    assert "data.eval_fraction need a JSONL file of rows" in capsys.readouterr().err
    run.write_text(run.read_text().replace("eval_fraction = 0.2\n", f'eval = "{rows}"\n'))
    losses = []
    for output, settings in (("a", []), ("b", [tokens])):
        arguments = [f"output={run.parent / output}", *settings, "--format", "json"]
        assert main(["finetune", str(run), *arguments]) == 0
        facts = json.loads(capsys.readouterr().out)
        losses.append((facts["loss"], facts["eval_loss"]))
    assert losses[0] == losses[1]


def test_a_dry_run_reads_no_weights_and_writes_nothing(run, base, tmp_path, capsys):
    """The plan as text and as JSON, for a folder that has no weights at all."""
    light = tmp_path / "light"
    light.mkdir()
    for file in base.iterdir():
        if file.suffix != ".safetensors":
            (light / file.name).write_bytes(file.read_bytes())
    # A batch of all rows, the largest there is, is one program to compile.
    settings = [f"model={light}", "training.batch_size=8"]
    arguments = ["finetune", str(run), *settings, "--dry-run", "--memory", "8"]
    assert main([*arguments, "--format", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["steps"], facts["rows"], facts["held_out_rows"]) == (3, 8, 2)
    assert (facts["memory_limit"], facts["largest_batch"], facts["fits"]) == (8e9, 8, True)
    assert not (tmp_path / "out").exists()
    assert main(["finetune", str(run), "--memory", "8"]) == 2
    assert "are for --dry-run" in capsys.readouterr().err


def test_mistakes_end_with_a_line_and_not_a_traceback(run, capsys):
    """A wrong key, a missing file, rows that are none."""
    assert main(["finetune", str(run), "training.batchsize=4"]) == 1
    assert "unknown key 'training.batchsize'; did you mean 'batch_size'" in capsys.readouterr().err
    assert main(["finetune", str(run.parent / "nothing.toml")]) == 1
    assert "no such file; expected a TOML file" in capsys.readouterr().err
    (run.parent / "rows.jsonl").write_text('{"prompt": "x"}\n')
    assert main(["finetune", str(run)]) == 1
    assert "line 1: found keys ['prompt']" in capsys.readouterr().err


def test_the_first_signal_asks_and_the_second_one_ends():
    """Ctrl-C does what it did before once the block is over, too."""
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signals() as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
