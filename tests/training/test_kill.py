"""Kill -9 at random moments, some of them inside a save, and resume: nothing is lost."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

KILLS = 20
STEPS = 160
# A real run: adapters on the preset, a checkpoint a step, a record a step.
RUN = f"""
import sys
from modelops_jax.data import Dataset
from modelops_jax.models import LoraConfig, load
from modelops_jax.training import TrainingConfig, fit

rows = Dataset([{{"prompt": f"Say {{n}}", "completion": "ab" * n}} for n in range(1, 12)])
config = TrainingConfig(
    batch_size=4, epochs=1000, max_steps={STEPS}, checkpoint_every=1, lora=LoraConfig(rank=4)
)
fit(
    load("tiny"), rows, config=config, folder=sys.argv[1], resume=True, progress="off",
    callback=lambda record: print(record["step"], flush=True),
)
"""


def start(folder: Path, cache: Path) -> subprocess.Popen[str]:
    """A process that trains, or goes on training, in a folder."""
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    command = [sys.executable, "-c", RUN, str(folder)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def outcome(folder: Path):
    """The arrays of the only checkpoint, and its history without the times."""
    (checkpoint,) = folder.glob("step-*")
    history = json.loads((checkpoint / "state.json").read_text())["facts"]["history"]
    timed = {"seconds", "tokens_per_second"}
    records = [{key: r[key] for key in sorted(r.keys() - timed)} for r in history]
    return load_file(checkpoint / "state.safetensors"), records


@pytest.mark.faults
def test_a_run_killed_at_random_moments_equals_one_that_was_not(tmp_path: Path):
    """Twenty kills; the same bytes and the same history, no step missing or doubled."""
    cache = tmp_path / "cache"
    with start(tmp_path / "whole", cache) as process:
        process.communicate()
        assert process.returncode == 0
    moments = random.Random(0)
    killed_in_a_save = 0
    folder = tmp_path / "killed"
    for _ in range(KILLS):
        with start(folder, cache) as process:
            assert process.stdout is not None
            for _ in range(moments.randint(0, 5)):
                process.stdout.readline()
            time.sleep(moments.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL, "it ended before it was killed: more steps"
        killed_in_a_save += any(folder.glob(".tmp-*")) if folder.exists() else 0
    with start(folder, cache) as process:
        process.communicate()
        assert process.returncode == 0
    assert killed_in_a_save
    arrays, history = outcome(folder)
    expected_arrays, expected_history = outcome(tmp_path / "whole")
    assert [record["step"] for record in history] == list(range(1, STEPS + 1))
    assert history == expected_history
    assert arrays.keys() == expected_arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, expected_arrays[name], strict=True)
