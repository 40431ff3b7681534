"""Checkpoints are written beside the loop, and a failed one is never silent."""

import contextlib
import dataclasses
import signal
import threading

import jax
import numpy as np
import pytest

from modelops_jax.training import TrainingConfig, _saver, fit, latest_checkpoint
from modelops_jax.training._background import Background

EACH_STEP = TrainingConfig(
    batch_size=4,
    learning_rate=1e-2,
    schedule="constant",
    max_steps=5,
    epochs=10,
    checkpoint_every=1,
)


def test_a_full_disk_ends_the_run_and_costs_no_checkpoint(model, rows, tmp_path, files_of_at_most):
    """The error says which; the one before is there, and the run goes on from it."""
    seen = []
    with contextlib.ExitStack() as stack:

        def record(entry):
            seen.append(entry["step"])
            if entry["step"] == 3:
                stack.enter_context(files_of_at_most(10_000))

        with pytest.raises(OSError, match=r"step-0000000\d could not be written: .*File too large"):
            fit(model, rows, config=EACH_STEP, folder=tmp_path, callback=record, progress="off")
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["step-00000002"], "the one before is gone, or half of the failed one is there"
    assert seen in ([1, 2, 3], [1, 2, 3, 4]), "the run went on for more than a step"
    result = fit(model, rows, config=EACH_STEP, folder=tmp_path, resume=True, progress="off")
    assert [record["step"] for record in result.history] == [1, 2, 3, 4, 5]
    whole = fit(model, rows, config=EACH_STEP, progress="off")
    jax.tree.map(np.testing.assert_array_equal, result.model.params, whole.model.params)


def test_a_folder_that_takes_no_checkpoint_is_found_out_before_a_step(model, rows, tmp_path):
    """A file in its place, or no right to write: not after hours of training."""
    records = []
    options = {"config": EACH_STEP, "callback": records.append, "progress": "off"}
    place = tmp_path / "file"
    place.write_text("not a folder")
    with pytest.raises(FileExistsError, match=str(place)):
        fit(model, rows, folder=place, **options)
    with pytest.MonkeyPatch.context() as patched:  # root may write everywhere
        patched.setattr(_saver.os, "access", lambda *_: False)
        with pytest.raises(PermissionError, match=f"{tmp_path} cannot be written to"):
            fit(model, rows, folder=tmp_path, **options)
    assert records == []


def test_the_loop_goes_on_while_one_checkpoint_is_written(model, rows, tmp_path, monkeypatch):
    """Steps are trained meanwhile, a second write waits, and the end waits for the last."""
    gone_on, at_once, most = threading.Event(), [], []
    write = _saver.save_checkpoint

    def slowly(folder, step, *rest, **options):
        at_once.append(step)
        most.append(len(at_once))
        if step == 2:
            assert gone_on.wait(30), "no step was trained while a checkpoint was written"
        path = write(folder, step, *rest, **options)
        at_once.remove(step)
        return path

    monkeypatch.setattr(_saver, "save_checkpoint", slowly)
    config = dataclasses.replace(EACH_STEP, keep_checkpoints=5)

    def record(entry):
        if entry["step"] == 3:
            assert not (tmp_path / "step-00000002").exists()
            gone_on.set()

    result = fit(model, rows, config=config, folder=tmp_path, callback=record, progress="off")
    assert most == [1] * 5
    assert result.checkpoint == latest_checkpoint(tmp_path) == tmp_path / "step-00000005"
    # Written after step 3 was trained, it is still the state of step 2.
    monkeypatch.undo()
    short = dataclasses.replace(EACH_STEP, max_steps=2)
    alone = fit(model, rows, config=short, folder=tmp_path / "short", progress="off").checkpoint
    assert alone is not None
    state = "state.safetensors"
    assert (tmp_path / alone.name / state).read_bytes() == (alone / state).read_bytes()


def test_an_error_is_raised_once_by_whatever_comes_next():
    """By a check once the work is over, by a wait, and by the start of other work."""

    def fail():
        raise OSError("no room")

    for look in (Background.wait, lambda background: background.start(lambda: None)):
        background = Background()
        background.start(fail)
        with pytest.raises(OSError, match="no room"):
            look(background)
        background.wait()


def test_ctrl_c_in_a_wait_does_not_end_the_work():
    """Whoever waits again, a run that ends say, waits until a checkpoint is there."""
    go_on, done = threading.Event(), []
    background = Background()
    background.start(lambda: done.append(go_on.wait(30)))
    main = threading.main_thread().ident
    assert main is not None
    threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        background.wait()
    threading.Timer(0.1, go_on.set).start()
    background.wait()
    assert done == [True]


def test_without_a_new_thread_the_caller_does_the_work(monkeypatch):
    """Python 3.12 starts none once a script is at its end, where jobs still train."""

    def refuse(self):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done = []
    Background().start(lambda: done.append(threading.current_thread()))
    assert done == [threading.current_thread()]
