"""`modelops finetune`: a run from a file to a folder, what it would take, and going on."""

import contextlib
import dataclasses
import json
import os
import signal
from pathlib import Path

import jax
import numpy as np
import pytest

from modelops_jax.cli import _finetune, main
from modelops_jax.cli._signals import stop_on_signals
from modelops_jax.models import DecoderConfig, init_params, load
from modelops_jax.training import load_config


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


def test_a_run_leaves_a_model_and_how_it_was_made(run, capsys):
    """The folder reproduces it, and a second run does not write over it."""
    assert main(["finetune", str(run), "training.seed=3", "--format", "json"]) == 0
    output = run.parent / "out"
    facts = json.loads(capsys.readouterr().out)
    assert facts["model"] == str(output / "model")
    history = [json.loads(line) for line in (output / "history.jsonl").read_text().splitlines()]
    assert [record["step"] for record in history] == [1, 2, 3, 4, 4]
    assert facts["loss"] == history[3]["loss"]
    assert facts["eval_loss"] == history[4]["eval_loss"]
    assert load_config(output / "run.toml") == load_config(run, ["training.seed=3"])
    environment = json.loads((output / "environment.json").read_text())
    assert environment["packages"]["jax"] == jax.__version__
    assert load(output / "model").generate(["Say 1"], max_new_tokens=1)
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
        assert main(["finetune", str(run)]) == 130
    out, err = capsys.readouterr()
    assert "held-out loss" in out
    assert "modelops: stopped after step 2; --resume goes on" in err
    assert not (run.parent / "out" / "model").exists()
    assert main(["finetune", str(run)]) == 1
    assert (
        "step-00000002 is of an earlier run; go on from it with --resume" in capsys.readouterr().err
    )
    assert main(["finetune", str(run), "--resume"]) == 0
    models = [load(run.parent / name / "model").params for name in ("whole", "out")]
    jax.tree.map(np.testing.assert_array_equal, *models)


def test_a_dry_run_reads_no_weights_and_writes_nothing(run, base, tmp_path, capsys):
    """The plan as text and as JSON, for a folder that has no weights at all."""
    light = tmp_path / "light"
    light.mkdir()
    for file in base.iterdir():
        if file.suffix != ".safetensors":
            (light / file.name).write_bytes(file.read_bytes())
    arguments = ["finetune", str(run), f"model={light}", "--dry-run", "--memory", "8"]
    assert main([*arguments, "--format", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["steps"], facts["rows"], facts["held_out_rows"]) == (4, 8, 2)
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
