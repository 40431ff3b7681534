"""A checkpoint knows its base model by the hash of every weight."""

import dataclasses
import json
import os

import jax
import jax.numpy as jnp
import pytest

from modelops_jax.models import CheckpointError, LoraConfig, MeshShape, make_mesh, shard_weights
from modelops_jax.training import TrainingConfig, fingerprint, fit
from modelops_jax.training._environment import differences
from modelops_jax.training._model_hash import model_hash

ONE_STEP = TrainingConfig(batch_size=4, learning_rate=1e-2, max_steps=1, lora=LoraConfig(rank=2))


def changed(model, index: int):
    """The model with one bit of the last number of one of its arrays turned."""
    leaves, structure = jax.tree.flatten(model.params)
    leaf = leaves[index]
    leaves[index] = leaf.at[(-1,) * leaf.ndim].set(jnp.nextafter(leaf[(-1,) * leaf.ndim], 9))
    return dataclasses.replace(model, params=structure.unflatten(leaves))


@pytest.mark.parametrize(
    "lora", [ONE_STEP.lora, pytest.param(None, marks=pytest.mark.model)], ids=["lora", "full"]
)
def test_resume_refuses_another_base_model(model, rows, tmp_path, lora):
    """Of the same shapes: one number of a weight moved by one bit, or one constant."""
    config = dataclasses.replace(ONE_STEP, lora=lora)
    again = {"config": config, "folder": tmp_path, "progress": "off"}
    fit(model, rows, **again)
    again["resume"] = True
    faster = dataclasses.replace(model.config, rope_theta=2e4)
    for other in (changed(model, 0), dataclasses.replace(model, config=faster)):
        with pytest.raises(CheckpointError, match=r"step-00000001 was made on another base model"):
            fit(other, rows, **again)
    renamed = dataclasses.replace(model, name="elsewhere")
    assert [record["step"] for record in fit(renamed, rows, **again).history] == [1]


def test_an_older_checkpoint_that_does_not_say_is_taken_with_a_warning(model, rows, tmp_path):
    """Neither the base model nor the record's own hash can be compared; the run is not lost.

    Its record of the environment has less, of which nothing differs, so nothing is said of it.
    """
    again = {"config": ONE_STEP, "folder": tmp_path, "progress": "off"}
    made = fit(model, rows, **again).checkpoint
    again["resume"] = True
    assert made is not None
    record = made / "state.json"
    content = json.loads(record.read_text())
    del content["facts"]["base_model"], content["record_sha256"]
    del content["facts"]["held_out"]
    content["format"] = 2
    content["facts"]["environment"] = {
        "jax": jax.__version__,
        "devices": [device.device_kind for device in jax.devices()],
        "cpu_count": os.cpu_count(),
    }
    record.write_text(json.dumps(content))
    with pytest.warns(UserWarning, match="step-00000001 does not say which base model") as warned:
        fit(model, rows, **again)
    assert len(warned) == 1


def test_only_what_decides_numbers_is_compared():
    """Not an update of the kernel, of Python or of what only reads and writes files."""
    here = fingerprint()
    packages = here["packages"]
    assert isinstance(packages, dict)
    updated = {"platform": "Linux-7", "python": "3.11.99"}
    others = packages | {"safetensors": "9", "tokenizers": "9"}
    assert differences(here | updated | {"packages": others}, here) == []
    moved = {"processor": "another", "xla_flags": "--flag", "devices": ["gpu: H100"]}
    found = differences(here | moved | {"packages": packages | {"optax": "0"}}, here)
    names = ["processor", "devices", "xla_flags", "optax"]
    assert [one.partition(" was ")[0] for one in found] == names


def test_every_weight_takes_part(model):
    """Each array to its last number, its type, its place, and its order."""
    found = {model_hash(model)}
    leaves, structure = jax.tree.flatten(model.params)
    for index in range(len(leaves)):
        found.add(model_hash(changed(model, index)))
    halves = [leaf.astype(jnp.bfloat16) for leaf in leaves]
    attention = model.params["model"]["layers"]["self_attn"]
    swapped = {**attention, "k_proj": attention["v_proj"], "v_proj": attention["k_proj"]}
    layers = {**model.params["model"]["layers"], "self_attn": swapped}
    others = [
        structure.unflatten(halves),
        {"model": {**model.params["model"], "layers": layers}},
        jax.tree.map(lambda leaf: leaf[::-1], model.params),
    ]
    found |= {model_hash(dataclasses.replace(model, params=params)) for params in others}
    assert len(found) == 1 + len(leaves) + len(others)


def test_where_the_weights_lie_takes_no_part(model):
    """On a mesh."""
    params = shard_weights(model.params, make_mesh(MeshShape()))
    assert model_hash(dataclasses.replace(model, params=params)) == model_hash(model)
