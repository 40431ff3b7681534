"""The other architecture takes the same path: nothing in this room knows of it."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

from modelops_jax.data import Dataset
from modelops_jax.models import (
    LoraConfig,
    MeshShape,
    Model,
    init_params,
    load,
    make_mesh,
    shard_weights,
)
from modelops_jax.training import TrainingConfig, fit

CONFIG = TrainingConfig(batch_size=4, learning_rate=2e-2, max_steps=12, epochs=20, log_every=1)


@pytest.fixture(scope="module")
def gpt2(model: Model) -> Model:
    """The size of the other tests' model, as a GPT-2."""
    changes = {"family": "gpt2", "rope_theta": None, "num_kv_heads": 2}
    config = dataclasses.replace(model.config, **changes)
    return dataclasses.replace(model, config=config, params=init_params(config, 0, stddev=0.3))


@pytest.mark.model  # slow: gradients that nothing else compiles
@pytest.mark.parametrize("lora", [None, LoraConfig(rank=4)], ids=["full", "lora"])
def test_gpt2_learns_and_is_saved(
    gpt2: Model, rows: Dataset, tmp_path: Path, lora: LoraConfig | None
):
    """All weights, or adapters on its linear maps: the loss halves, and the folder has it all."""
    config = dataclasses.replace(CONFIG, lora=lora)
    result = fit(gpt2, rows, config=config, progress="off")
    losses = [record["loss"] for record in result.history]
    assert losses[-1] < 0.5 * losses[0]
    result.model.save(tmp_path / "tuned")
    again = load(tmp_path / "tuned")
    jax.tree.map(np.testing.assert_array_equal, again.params, result.model.params)
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), result.model.params, gpt2.params)
    untouched = [
        jax.tree_util.keystr(p) for p, yes in jax.tree.leaves_with_path(changed) if not yes
    ]
    adapted = {"q", "k", "v", "o", "up", "down"}
    if lora is None:
        assert not untouched
    else:
        assert not any(f"{name}_proj']['weight" in path for path in untouched for name in adapted)


def test_the_table_of_axes_has_its_weights(gpt2: Model):
    """Every bias, norm and the positions find their place on a mesh."""
    placed = shard_weights(gpt2.params, make_mesh(MeshShape()))
    positions = placed["model"]["embed_positions"]["weight"].sharding.spec
    assert tuple(positions) == (None, "fsdp")
    bias = placed["model"]["layers"]["mlp"]["up_proj"]["bias"].sharding.spec
    assert tuple(bias) == (None, "tensor")
