"""Weights on their way from a file to the devices: the host never holds the model."""

import json
import os
import subprocess
import sys
from typing import Any

import jax.numpy as jnp
import pytest

from modelops_jax.models._stacked import _with_layer

# In a process of its own: the number of devices is fixed when JAX starts. Prints the largest
# number of bytes that NumPy and Python held at once while a model was read, by where it went to.
_SCRIPT = """
import json, os, sys, tracemalloc
import jax
jax.config.update("jax_num_cpu_devices", 8)
import numpy as np
from modelops_jax.models import DecoderConfig, MeshShape, Model, init_params, load, make_mesh

config = DecoderConfig(264, 128, 256, 24, 4, 2, 32, 64, 1e4, 1e-5, tie_word_embeddings=False)
params = init_params(config, 1)
Model(config, params, load("tiny").tokenizer, name="deep").save(sys.argv[1])
leaves = jax.tree.leaves(params)
found = {
    "whole": sum(leaf.nbytes for leaf in leaves),
    "tensor": config.intermediate_size * config.hidden_size * 4,
}
for name, shape in {"one": None, "fsdp": (1, 8, 1), "all": (2, 2, 2)}.items():
    mesh = make_mesh(MeshShape(*shape)) if shape else None
    load(sys.argv[1], mesh=mesh)  # what is compiled stays in memory
    tracemalloc.start()
    read = jax.tree.leaves(load(sys.argv[1], mesh=mesh).params)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    up = max(read, key=lambda leaf: leaf.nbytes)
    found[name] = {
        "peak": peak,
        "same": all(np.array_equal(a, b) for a, b in zip(read, leaves, strict=True)),
        "parts": sorted({part.data.nbytes for part in up.addressable_shards}),
        "devices": len(up.addressable_shards),
        "whole": up.nbytes,
    }
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory):
    """What the script prints."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(tmp_path_factory.mktemp("streamed") / "deep")],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(("mesh", "devices", "share"), [("fsdp", 8, 8), ("all", 8, 4)])
def test_a_tensor_leaves_the_host_before_the_next_is_read(found, mesh, devices, share):
    """The host holds a few tensors of one layer at most, and each device its part alone."""
    case = found[mesh]
    assert case["same"]
    assert case["devices"] == devices
    assert case["parts"] == [case["whole"] // share]
    assert found["whole"] > 80 * found["tensor"]
    assert case["peak"] < 6 * found["tensor"], "what is held at once: a fraction of the model"


def test_one_cpu_takes_the_arrays_over(found):
    """They are filled on the host, once: there is no second copy of the model."""
    case = found["one"]
    assert case["same"]
    assert found["whole"] < case["peak"] < found["whole"] + 6 * found["tensor"]


def test_a_layer_is_written_into_the_array_that_is_there():
    """The stacked array is not copied for each of its layers."""
    array = jnp.zeros((3, 4, 5))
    lowered: Any = _with_layer.lower(array, 1, jnp.ones((4, 5)), place=None)
    assert lowered.compile().memory_analysis().alias_size_in_bytes == array.nbytes
