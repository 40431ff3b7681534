"""A checkpoint is whole or absent, and only loads into its own run."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.models import CheckpointError
from modelops_jax.training import (
    TrainState,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)

STATE = TrainState({"a": jnp.arange(3.0)}, {"m": jnp.ones((2, 2))}, jnp.int32(7))


def test_round_trip(tmp_path):
    """Arrays come back bit for bit, with the step and the facts."""
    path = save_checkpoint(tmp_path, 5, STATE, {"k": [1, None]})
    loaded = load_checkpoint(path, STATE)
    assert (loaded.step, loaded.facts) == (5, {"k": [1, None]})
    jax.tree.map(np.testing.assert_array_equal, loaded.state, STATE)


def test_the_older_one_goes_only_after_the_newer_is_there(tmp_path, monkeypatch):
    """A failing save leaves the previous checkpoint and no half-written one."""
    first = save_checkpoint(tmp_path, 1, STATE, {})

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("modelops_jax.training._checkpoint.save_file", fail)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(tmp_path, 2, STATE, {})
    assert latest_checkpoint(tmp_path) == first
    monkeypatch.undo()
    second = save_checkpoint(tmp_path, 2, STATE, {})
    assert latest_checkpoint(tmp_path) == second
    assert not first.exists()


def test_the_newest_and_the_milestones_stay(tmp_path):
    """The last two, and the multiples of four."""
    for step in range(1, 10):
        save_checkpoint(tmp_path, step, STATE, {}, keep=2, keep_every=4)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["step-00000004", "step-00000008", "step-00000009"]


def test_nothing_is_written_over(tmp_path):
    """The same step again is refused, and the good copy stays."""
    path = save_checkpoint(tmp_path, 5, STATE, {"k": 1})
    with pytest.raises(CheckpointError, match="exists already"):
        save_checkpoint(tmp_path, 5, STATE, {"k": 2})
    assert load_checkpoint(path, STATE).facts == {"k": 1}


def test_damage_is_noticed(tmp_path):
    """One wrong bit in an array, or a record that is cut short."""
    path = save_checkpoint(tmp_path, 5, STATE, {})
    arrays = path / "state.safetensors"
    content = bytearray(arrays.read_bytes())
    content[-1] ^= 1
    arrays.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"state\.safetensors is damaged: its SHA-256"):
        load_checkpoint(path, STATE)
    (path / "state.json").write_text('{"format"')
    with pytest.raises(CheckpointError, match=r"state\.json is damaged"):
        load_checkpoint(path, STATE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"loss": 1.5', '"loss": 1.6'),
        ('"step": 5', '"step": 6'),
        ('"format": 3', '"format": 2'),
        ('"format": 3,', ""),
        ('"record_sha256"', '"record_sha257"'),
        ("nan", "nun"),
    ],
)
def test_a_record_that_says_something_else_is_noticed(tmp_path, before, after):
    """Every fact and every field is covered by the record's own hash; its layout is not."""
    facts = {"history": [{"loss": 1.5}], "by step": {10: (1e-300, "nan"), 9: float("nan")}}
    path = save_checkpoint(tmp_path, 5, STATE, facts)
    record = path / "state.json"
    text = record.read_text()
    record.write_text(text.replace("\n", "\n\n"))
    assert load_checkpoint(path, STATE).facts["history"] == [{"loss": 1.5}]
    assert before in text
    record.write_text(text.replace(before, after))
    with pytest.raises(CheckpointError, match=r"state\.json is damaged"):
        load_checkpoint(path, STATE)


def test_a_later_format_is_not_called_damaged(tmp_path):
    """A newer version may have written it."""
    path = save_checkpoint(tmp_path, 5, STATE, {})
    (path / "state.json").write_text('{"format": 4}')
    with pytest.raises(CheckpointError, match="format 4, expected 3"):
        load_checkpoint(path, STATE)


def test_foreign_arrays_are_named(tmp_path):
    """Missing, unknown and misshapen arrays."""
    path = save_checkpoint(tmp_path, 1, STATE, {})
    with pytest.raises(CheckpointError, match="missing arrays"):
        load_checkpoint(path, TrainState({"b": jnp.ones(3)}, {}, jnp.int32(0)))
    wrong = STATE._replace(trainable={"a": jnp.arange(4.0)})
    with pytest.raises(CheckpointError, match=r"float32\[3\], expected float32\[4\]"):
        load_checkpoint(path, wrong)


def test_no_checkpoint(tmp_path):
    """An empty or incomplete folder is named."""
    assert latest_checkpoint(tmp_path) is None
    path = save_checkpoint(tmp_path, 1, STATE, {})
    shutil.copytree(path, tmp_path / "copy")
    (tmp_path / "copy" / "state.json").unlink()
    with pytest.raises(CheckpointError, match=r"state\.json.* is missing"):
        load_checkpoint(tmp_path / "copy", STATE)
