"""Every optimizer on eight simulated devices, beside itself on one."""

import json
import os
import subprocess
import sys
import typing

import numpy as np
import pytest

from modelops_jax.training import TrainingConfig

# Prints, by optimizer, the losses of both runs, how far weights moved and how far apart they are.
_SCRIPT = """
import json, sys
import jax
jax.config.update("jax_num_cpu_devices", 8)
import numpy as np
from modelops_jax import Dataset
from modelops_jax.models import DecoderConfig, MeshShape, Model, init_params, load
from modelops_jax.training import TrainingConfig, fit

config = DecoderConfig(264, 32, 48, 1, 4, 2, 8, 64, 1e4, 1e-5, False)
model = Model(config, init_params(config, 1, stddev=0.3), load("tiny").tokenizer, name="small")
words = [f"win {k} money"[k:] for k in range(7)]
rows = Dataset([{"prompt": word, "completion": word[::2]} for word in words])
found = {}
for optimizer in sys.argv[1:]:
    one, many = (
        fit(model, rows, eval=rows, progress="off", config=TrainingConfig(
            batch_size=8, max_steps=3, epochs=3, optimizer=optimizer, learning_rate=5e-3,
            schedule="constant", mesh=mesh,
        ))
        for mesh in (None, MeshShape(2, 2, 2))
    )
    by = lambda a, b: np.concatenate([
        np.abs(np.asarray(x) - np.asarray(y)).ravel() for x, y in zip(*map(jax.tree.leaves, (a, b)))
    ])
    off, moved = by(one.model.params, many.model.params), by(one.model.params, model.params)
    found[optimizer] = {
        "losses": [[r.get("loss", r.get("eval_loss")) for r in run.history] for run in (one, many)],
        "moved": float(moved.max()),
        "off": float(off.max()),
    }
print(json.dumps(found))
"""
OPTIMIZERS = typing.get_args(typing.get_type_hints(TrainingConfig)["optimizer"])


@pytest.fixture(scope="module")
def found():
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", "")
        + " --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
    }
    command = [sys.executable, "-c", _SCRIPT, *OPTIMIZERS]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.model  # slow: two runs for each
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_on_a_mesh_is_that_of_one_device(found, optimizer):
    """Three steps' losses, the held-out one after them, and every weight."""
    case = found[optimizer]
    one, many = case["losses"]
    assert len(one) == 4
    np.testing.assert_allclose(many, one, rtol=1e-5)
    assert case["off"] < 1e-5
    assert case["moved"] > 100 * case["off"]
