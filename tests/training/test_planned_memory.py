"""What a plan says of memory against the peak of a process that trains."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

# Compiles and frees all first, so that what is measured are a run's own arrays. Prints the bytes
# that the plan says, and the highest there were beside what the process has without a model.
SCRIPT = """
import ctypes, gc, json, sys
import jax
from modelops_jax.data import Dataset
from modelops_jax.models import DecoderConfig, Model, init_params, load
from modelops_jax.training import config_from_dict, fit, plan

tokenizer = load("tiny").tokenizer
settings = json.loads(sys.argv[1])
config = config_from_dict(settings)
answer = "ab" * 40
texts = [{"prompt": f"Say {n}", "completion": answer} for n in range(10, 26)]
if config.dpo:
    texts = [{"prompt": row["prompt"], "chosen": answer, "rejected": "cd" * 40} for row in texts]
rows = Dataset(texts)
sizes = DecoderConfig(tokenizer.vocab_size, 512, 1536, 6, 8, 8, 64, 256, 1e4, 1e-5, True)

def memory(name):
    lines = open("/proc/self/status").read().splitlines()
    (line,) = [line for line in lines if line.startswith(name + ":")]
    return 1024 * int(line.split()[1])

def new_peak():
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")

def run():
    model = Model(sizes, init_params(sizes, 0), tokenizer, name="small")
    new_peak()
    fit(model, rows, config=config, progress="off")
    return memory("VmHWM"), plan(model, rows, config=config, largest_batch=False).memory

run()
new_peak()
without = memory("VmRSS")
peak, planned = run()
weights = sum(leaf.nbytes for leaf in jax.tree.leaves(init_params(sizes, 0)))
print(json.dumps({"planned": planned, "measured": peak - without, "weights": weights}))
"""

COMMON = {"batch_size": 16, "max_steps": 2, "epochs": 2}


@pytest.mark.model  # slow: trains a model of 20 million parameters
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"micro_batch_size": 4}, id="all weights"),
        pytest.param({"lora": {"rank": 8}, "micro_batch_size": 1, "dpo": {}}, id="preferences"),
        pytest.param({"optimizer": "sgd", "ema_decay": 0.9, "micro_batch_size": 4}, id="averaged"),
    ],
)
def test_a_run_takes_the_memory_that_is_planned(settings: dict[str, Any]):
    """Not less, and not as much more as one more copy of the weights would be."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(COMMON | settings)],
        capture_output=True,
        text=True,
        check=False,
        # Large arrays are given back to the system when they are freed.
        env=os.environ | {"JAX_PLATFORMS": "cpu", "MALLOC_MMAP_THRESHOLD_": "65536"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert 0.98 * found["planned"] < found["measured"] < found["planned"] + found["weights"]
