"""Runs that go on from a checkpoint as if nothing had happened, and what keeps them from it."""

import dataclasses
import functools
import json
import re

import jax
import numpy as np
import pytest

from modelops_jax.models import CheckpointError, LoraConfig
from modelops_jax.training import TrainingConfig, _saver, fit

# Runs of it on all rows have one shape, which is compiled once.
QUICK = TrainingConfig(batch_size=4, learning_rate=1e-2, max_steps=6, epochs=10)
ONE_TARGET = LoraConfig(rank=2, targets=("q_proj",))
DROPPING = LoraConfig(rank=2, dora=True, dropout=0.3)


def assert_equal_trees(left, right):
    """Bit for bit."""
    jax.tree.map(np.testing.assert_array_equal, left, right)


def test_resumed_run_equals_the_uninterrupted_one(model, rows, tmp_path):
    """Stopped after 3 of 8 steps and continued: weights and history as if nothing happened."""
    config = dataclasses.replace(QUICK, max_steps=8, lora=DROPPING)
    whole = fit(model, rows, config=config, folder=tmp_path / "whole", progress="off")
    seen = []
    half = fit(
        model,
        rows,
        config=config,
        folder=tmp_path / "half",
        callback=seen.append,
        stop=lambda: len(seen) == 3,
        progress="off",
    )
    assert half.stopped
    assert half.checkpoint is not None
    rest = fit(model, rows, config=config, folder=tmp_path / "half", resume=True, progress="off")
    assert_equal_trees(rest.model.params, whole.model.params)
    timed = {"seconds", "tokens_per_second"}
    assert [{k: r[k] for k in r.keys() - timed} for r in rest.history] == [
        {k: r[k] for k in r.keys() - timed} for r in whole.history
    ]


def test_a_stop_without_a_new_step_leaves_the_checkpoint_alone(model, rows, tmp_path):
    """Resumed and stopped at once: the good copy is not removed to be written again."""
    first = fit(model, rows, config=QUICK, folder=tmp_path, stop=iter([False, True]).__next__)
    assert first.checkpoint is not None
    before = (first.checkpoint / "state.json").stat().st_ino
    again = fit(model, rows, config=QUICK, folder=tmp_path, resume=True, stop=lambda: True)
    assert again.stopped
    assert again.checkpoint == first.checkpoint
    assert (first.checkpoint / "state.json").stat().st_ino == before


def test_resume_refuses_another_configuration(model, rows, tmp_path):
    """A checkpoint of other settings would silently be another run."""
    fit(model, rows, config=QUICK, folder=tmp_path, progress="off")
    other = dataclasses.replace(QUICK, learning_rate=2e-2)
    message = r"another training configuration: training\.learning_rate was 0\.01 and is 0\.02$"
    with pytest.raises(CheckpointError, match=message):
        fit(model, rows, config=other, folder=tmp_path, resume=True, progress="off")


def begun(model, rows, config, folder):
    """A run that was stopped before its first step, and what goes on from it as far."""
    options = {"folder": folder, "progress": "off", "stop": lambda: True}
    fit(model, rows, config=config, **options)

    def go_on(rows=rows, **changes):
        other = dataclasses.replace(config, **changes)
        return fit(model, rows, config=other, resume=True, **options)

    return go_on


DIVIDED = r"made with its steps divided otherwise, so .* numerically and not bit for bit: "


def test_what_is_logged_and_kept_may_change_when_a_run_goes_on(model, rows, tmp_path):
    """And how a step is divided, with a warning; of adapters and optimizers nothing may."""
    go_on = begun(model, rows, dataclasses.replace(QUICK, lora=ONE_TARGET), tmp_path)
    assert go_on(log_every=3, checkpoint_every=2, keep_checkpoints=4, max_skipped_steps=9).stopped
    assert go_on(epochs=20).stopped, "as many steps as before"
    with pytest.warns(
        UserWarning, match=DIVIDED + r"training\.micro_batch_size was None and is 2$"
    ):
        go_on(micro_batch_size=2)
    with pytest.raises(CheckpointError, match=r"training\.lora\.rank was 2 and is 3$"):
        go_on(lora=LoraConfig(rank=3, targets=("q_proj",)))
    with pytest.raises(CheckpointError, match="run of 6 steps; this one has 7: a run may become"):
        go_on(max_steps=7)
    # A setting that a later version added, and one that only a later version knows.
    record = tmp_path / "step-00000000" / "state.json"
    content = json.loads(record.read_text()) | {"format": 2}
    del content["record_sha256"], content["facts"]["config"]["target_worst_loss"]
    record.write_text(json.dumps(content))
    assert go_on().stopped
    content["facts"]["config"]["from_tomorrow"] = 1
    record.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"another version's settings: .*'training\.from_tom"):
        go_on()


def test_a_run_of_a_constant_rate_may_become_longer(model, rows, tmp_path):
    """Finished after three steps, it is the run of six in the end."""
    config = dataclasses.replace(QUICK, schedule="constant")
    whole = fit(model, rows, config=config, progress="off")
    short = dataclasses.replace(config, max_steps=3)
    assert fit(model, rows, config=short, folder=tmp_path, progress="off").step == 3
    longer = fit(model, rows, config=config, folder=tmp_path, resume=True, progress="off")
    assert [record["step"] for record in longer.history] == [1, 2, 3, 4, 5, 6]
    assert_close = functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-6)
    jax.tree.map(assert_close, longer.model.params, whole.model.params)
    with pytest.raises(CheckpointError, match="run of 6 steps; this one has 3: a run may become"):
        fit(model, rows, config=short, folder=tmp_path, resume=True, progress="off")


def test_rows_of_a_template_that_tells_the_time_are_those_of_the_first_day(model, rows, tmp_path):
    """A run that goes on later has the rows it began with, as no other text would be."""
    template = "{{ strftime_now('%H:%M:%S.%f') }}" + str(model.tokenizer.chat_template)
    tokenizer = dataclasses.replace(model.tokenizer, chat_template=template)
    ticking = dataclasses.replace(model, tokenizer=tokenizer)
    first = fit(ticking, rows, config=QUICK, folder=tmp_path, progress="off", stop=lambda: True)
    stopped = {"config": QUICK, "progress": "off", "stop": lambda: True}
    again = fit(ticking, rows, folder=tmp_path, resume=True, **stopped)
    assert again.inputs == first.inputs
    anew = fit(ticking, rows, folder=tmp_path / "new", **stopped)
    assert anew.inputs != first.inputs


def test_resume_refuses_other_rows(model, rows, tmp_path):
    """Rows that changed between the two parts would silently be a run on neither."""
    fit(model, rows, config=QUICK, folder=tmp_path, progress="off")
    with pytest.raises(CheckpointError, match="other training rows"):
        fit(model, rows[1:], config=QUICK, folder=tmp_path, resume=True, progress="off")


def flip_a_bit(path):
    """Damage a file as a disk does."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_damaged_checkpoint_costs_its_steps_and_not_the_run(model, rows, tmp_path):
    """The newest sound one is gone on from, to the end of the uninterrupted run."""
    config = dataclasses.replace(QUICK, checkpoint_every=1, keep_checkpoints=3)
    seen = []
    again = {"config": config, "folder": tmp_path, "progress": "off"}
    fit(model, rows, **again, callback=seen.append, stop=lambda: len(seen) == 4)
    kept = sorted(tmp_path.iterdir())
    flip_a_bit(kept[-1] / "state.safetensors")
    (kept[-2] / "state.json").unlink()
    with pytest.warns(UserWarning, match="newest sound") as warned:
        rest = fit(model, rows, **again, resume=True)
    assert [record["step"] for record in rest.history] == [1, 2, 3, 4, 5, 6]
    assert len(warned) == 2
    for warning, bad in zip(warned, reversed(kept[1:]), strict=True):
        assert str(bad) in str(warning.message)
        assert f"goes on from {kept[0]}, the newest sound" in str(warning.message)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        f"step-0000000{step}" for step in (4, 5, 6)
    ]
    whole = fit(model, rows, config=config, progress="off")
    assert_equal_trees(rest.model.params, whole.model.params)
    for path in tmp_path.iterdir():
        flip_a_bit(path / "state.json")
    with pytest.raises(CheckpointError, match=r"step-00000006.*damaged"):
        fit(model, rows, **again, resume=True)


def test_another_environment_and_other_held_out_rows_are_told(model, rows, tmp_path, monkeypatch):
    """What a resumed run does not promise then; and nothing is said where all is the same."""
    again = {"config": QUICK, "folder": tmp_path, "progress": "off"}
    fit(model, rows, **again, eval=rows[:2])
    again["resume"] = True
    fit(model, rows, **again, eval=rows[:2])
    with pytest.warns(UserWarning, match="step-00000006 was made with other held-out rows"):
        fit(model, rows, **again, eval=rows[:3])
    with pytest.warns(UserWarning, match="step-00000006 was made with other held-out rows"):
        fit(model, rows, **again)
    here = _saver.fingerprint()
    elsewhere = here | {"cpu_count": 999, "packages": {"jax": "0.1"}}
    monkeypatch.setattr(_saver, "fingerprint", lambda: elsewhere)
    was = here["cpu_count"], jax.__version__
    again["config"] = dataclasses.replace(QUICK, micro_batch_size=2, remat="layer")
    with pytest.warns(UserWarning, match="bit for bit") as warned:
        fit(model, rows, **again, eval=rows[:2])
    elsewhere, divided = sorted(str(one.message) for one in warned)
    assert elsewhere.endswith(
        "was made in another environment, so the run will equal an uninterrupted one numerically "
        f"and not bit for bit: cpu_count was {was[0]} and is 999; jax was '{was[1]}' and is '0.1'"
    )
    was = f"training.micro_batch_size was None and is 2; training.remat was {QUICK.remat!r} and is "
    assert re.search(f"{DIVIDED}{re.escape(was)}'layer'$", divided)


def test_a_best_checkpoint_that_is_lost_is_told_and_costs_itself_alone(model, rows, tmp_path):
    """Not found out when the run is at its end: the best is then of the evaluations after it."""
    config = dataclasses.replace(
        QUICK, learning_rate=0.3, eval_every=1, keep_best=True, schedule="constant", max_steps=9
    )
    seen = []
    again = {"config": config, "eval": rows[:3], "folder": tmp_path, "progress": "off"}

    def best():
        losses = {r["step"]: r["eval_loss"] for r in seen if "eval_loss" in r}
        return min(losses, key=losses.__getitem__), max(losses)

    fit(
        model,
        rows,
        **again,
        callback=seen.append,
        stop=lambda: bool(seen) and best()[0] < best()[1],
    )
    lost, newest = best()
    assert lost < newest < 9
    flip_a_bit(tmp_path / f"step-{lost:08d}" / "state.safetensors")
    del seen[:]
    message = rf"step-{lost:08d}.* is damaged: .*its best is that of the evaluations from here on"
    with pytest.warns(UserWarning, match=message):
        rest = fit(model, rows, **again, resume=True, callback=seen.append)
    assert (rest.step, 9) == best()
    assert {path.name for path in tmp_path.iterdir()} == {f"step-{rest.step:08d}", "step-00000009"}


def test_evaluations_that_are_compared_have_to_be_on_the_same_rows(model, rows, tmp_path):
    """The best of losses on other rows would be the best of nothing."""
    config = dataclasses.replace(QUICK, keep_best=True)
    again = {"config": config, "folder": tmp_path, "progress": "off"}
    fit(model, rows, **again, eval=rows[:2])
    with pytest.raises(CheckpointError, match=r"other held-out rows; training\.keep_best"):
        fit(model, rows, **again, eval=rows[:3], resume=True)


def test_a_new_run_does_not_continue_an_earlier_one(model, rows, tmp_path):
    """Begun anew in a used folder and killed before its first save, it starts from step 0."""
    earlier = fit(model, rows, config=QUICK, folder=tmp_path, progress="off").checkpoint
    assert earlier is not None

    def killed():
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fit(model, rows, config=QUICK, folder=tmp_path, stop=killed, progress="off")
        assert [path.name for path in tmp_path.iterdir()] == [f"earlier-{earlier.name}"]
    with pytest.warns(UserWarning, match="has no checkpoint to go on from; the run begins at st"):
        again = fit(model, rows, config=QUICK, folder=tmp_path, resume=True, progress="off")
    assert [record["step"] for record in again.history if "loss" in record] == [1, 2, 3, 4, 5, 6]
    assert [path.name for path in tmp_path.iterdir()] == [earlier.name]
