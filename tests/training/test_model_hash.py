"""A checkpoint knows its base model by the hash of every weight."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import pytest

from modelops_jax.models import CheckpointError, LoraConfig, MeshShape, make_mesh, shard_weights
from modelops_jax.training import TrainingConfig, fit
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
    again = {"config": config, "folder": tmp_path, "resume": True, "progress": "off"}
    fit(model, rows, **again)
    faster = dataclasses.replace(model.config, rope_theta=2e4)
    for other in (changed(model, 0), dataclasses.replace(model, config=faster)):
        with pytest.raises(CheckpointError, match=r"step-00000001 was made on another base model"):
            fit(other, rows, **again)
    renamed = dataclasses.replace(model, name="elsewhere")
    assert [record["step"] for record in fit(renamed, rows, **again).history] == [1]


def test_an_older_checkpoint_that_does_not_say_is_taken_with_a_warning(model, rows, tmp_path):
    """Neither the base model nor the record's own hash can be compared; the run is not lost."""
    again = {"config": ONE_STEP, "folder": tmp_path, "resume": True, "progress": "off"}
    made = fit(model, rows, **again).checkpoint
    assert made is not None
    record = made / "state.json"
    content = json.loads(record.read_text())
    del content["facts"]["base_model"], content["record_sha256"]
    content["format"] = 2
    record.write_text(json.dumps(content))
    with pytest.warns(UserWarning, match="step-00000001 does not say which base model"):
        fit(model, rows, **again)


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
