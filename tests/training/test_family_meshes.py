"""Windows, soft caps and norms of queries and keys on eight simulated devices, as on one."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.model  # slow: programs for a family and a mesh each

# In a process of its own: the number of devices is fixed when JAX starts. Prints, for a family and
# by mesh, the largest differences from one device and what is written there.
_SCRIPT = """
import dataclasses, json, sys
import jax
jax.config.update("jax_num_cpu_devices", 8)
import numpy as np
from modelops_jax.models import (
    DecoderConfig, LinearScaling, MeshShape, Model, init_params, load, make_mesh, shard_weights,
)
from modelops_jax.training import (
    BatchShape, Objective, TokenizedRow, gradient_sums, make_packed_batch,
)
from modelops_jax.training._placement import put_batch

sizes = (264, 32, 48, 4, 4, 2, 12, 64, 5e4, 1e-5, True)
local = {"sliding_window": 4, "local_layers": (True, False) * 2, "query_pre_attn_scalar": 20}
families = {
    "gemma2": local | {"attn_logit_softcapping": 5.0, "final_logit_softcapping": 10.0},
    "gemma3_text": local | {"local_rope_theta": 100.0, "rope_scaling": LinearScaling(4.0)},
    "mistral": {"sliding_window": 4},
}
name, random = sys.argv[1], np.random.default_rng(0)
config = DecoderConfig(*sizes, family=name, **families[name])
# Norms and all: at their start they would be the same for every number of a head.
params = jax.tree.map(
    lambda leaf: leaf + 0.3 * random.standard_normal(leaf.shape).astype(np.float32),
    init_params(config, 1, stddev=0.1),
)
rows = [
    TokenizedRow(random.integers(0, 260, length).astype(np.int32), random.random(length) < 0.7)
    for length in (9, 16, 4, 12, 16, 7, 5, 11)
]
sequences = [[row] for row in rows[:5]] + [rows[5:7], rows[7:]]  # two in one; the eighth is padding
batch = make_packed_batch(sequences, shape=BatchShape(8, 16, 80), pad_id=0)
tokenizer = load("tiny").tokenizer
prompts = ["Of windows", "Of w", "Of longer texts than any window", "Of"] * 2

def gradients(config, params, mesh=None):
    objective = Objective(config, None, np.dtype(np.float32), "layer")
    if mesh is None:
        return jax.device_get(gradient_sums(objective, params, {}, [batch]))
    with jax.set_mesh(mesh):
        parts = [put_batch(batch, mesh)]
        placed = shard_weights(params, mesh)
        return jax.device_get(gradient_sums(objective, placed, {}, parts))

def difference(found, expected):
    (own, sums), (right, right_sums) = found, expected
    largest = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(right))
    off = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), own, right)
    return {
        "gradient": max(jax.tree.leaves(off)) / largest,
        "loss": abs(float(sums.loss) / float(right_sums.loss) - 1),
    }

def written(params):
    model = Model(config, params, tokenizer, "model")
    texts = model.generate(prompts, max_new_tokens=12)
    sampled = model.generate(prompts, max_new_tokens=4, temperature=1.0, seed=3)
    sums, _ = model.score(prompts, texts)
    return [texts, sampled, sums.tolist()]

expected = gradients(config, params)
found = {"one": written(params)}
for shape in [(8, 1, 1), (1, 8, 1), (1, 1, 4), (2, 2, 2)]:
    mesh = make_mesh(MeshShape(*shape))
    found[str(shape)] = difference(gradients(config, params, mesh), expected)
    if shape in ((2, 2, 2), (1, 1, 4)):
        placed = shard_weights(params, mesh)
        found[str(shape)]["written"] = written(placed)
    if shape == (2, 2, 2):  # as while it is trained
        with jax.set_mesh(mesh):
            found[str(shape)]["training"] = written(placed)
changed = dataclasses.replace(config, sliding_window=5)
found["another window"] = difference(gradients(changed, params), expected)
print(json.dumps(found))
"""


@pytest.fixture(scope="module", params=["gemma2", "gemma3_text", "mistral"])
def found(request):
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, request.param],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "TF_CPP_MIN_LOG_LEVEL": "1",  # warnings of the compiler
            "XLA_FLAGS": "--xla_backend_optimization_level=0"
            " --xla_llvm_disable_expensive_passes=true",
        },
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "rematerialization" not in done.stderr, "an array is copied whole to every device"
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("shape", ["(8, 1, 1)", "(1, 8, 1)", "(1, 1, 4)", "(2, 2, 2)"])
def test_loss_and_gradients_are_those_of_one_device(found, shape):
    assert found[shape]["loss"] < 1e-5
    assert found[shape]["gradient"] < 1e-5
    # What a window of one token more changes would be seen.
    assert found["another window"]["loss"] > 1e-4
    assert found["another window"]["gradient"] > 1e-3


@pytest.mark.parametrize(
    ("shape", "where"),
    [("(1, 1, 4)", "written"), ("(2, 2, 2)", "written"), ("(2, 2, 2)", "training")],
)
def test_what_is_written_is_that_of_one_device(found, shape, where):
    """Greedily and by sampling, and the likelihoods of it, inside of a mesh's context and out."""
    (texts, sampled, sums), (own, own_sampled, own_sums) = found[shape][where], found["one"]
    assert (texts, sampled) == (own, own_sampled)
    assert len(set(texts)) > 2
    assert sums == pytest.approx(own_sums, rel=1e-5)
