"""A run on a mesh reads its model onto the mesh: no device ever holds all of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

# In a process of its own: the number of devices is fixed when JAX starts. Prints, for the command
# and for a job, the bytes of weights that each device holds when the training begins.
_SCRIPT = """
import json, sys
from pathlib import Path
import jax
jax.config.update("jax_num_cpu_devices", 8)
from modelops_jax import Dataset
from modelops_jax.cli import _finetune
from modelops_jax.jobs import _train
from modelops_jax.jobs._folder import JobFolder, JobRequest
from modelops_jax.models import DecoderConfig, Model, init_params, load
import modelops_jax.training as training

config = DecoderConfig(264, 64, 128, 4, 8, 8, 8, 64, 1e4, 1e-5, tie_word_embeddings=False)
params = init_params(config, 1)
Model(config, params, load("tiny").tokenizer, name="deep").save("deep")
whole = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
del params
Dataset([{"prompt": "a", "completion": "b"}] * 8).to_jsonl("rows.jsonl")

class Begun(Exception):
    pass

def begin(model, *_, **__):
    held = dict.fromkeys(map(str, jax.devices()), 0)
    for leaf in jax.tree.leaves(model.params):
        for part in leaf.addressable_shards:
            held[str(part.device)] += part.data.nbytes
    raise Begun(held)

def held_by(run):
    try:
        run()
    except Begun as begun:
        return begun.args[0]

training.fit = _train.fit = begin
with open("run.toml", "w") as file:
    file.write('model = "deep"\\noutput = "out"\\n[data]\\ntrain = "rows.jsonl"\\n'
               '[training.mesh]\\nfsdp = 8\\n')

folder = JobFolder(Path("job"))
rows = Dataset.from_file("rows.jsonl")
folder.write_inputs(JobRequest("deep", "deep", {"mesh": {"fsdp": 8}}), rows, None)

found = {
    "whole": whole,
    "command": held_by(lambda: _finetune._train(training.load_config("run.toml"), resume=False)),
    "job": held_by(lambda: _train.train(folder, print, lambda: False, progress="off")),
}
print(json.dumps(found))
"""


def test_no_device_holds_the_model(tmp_path: Path):
    """By the command line and in a job; norms alone are on every device."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for name in ("command", "job"):
        assert len(found[name]) == 8
        assert all(0 < held < found["whole"] / 7 for held in found[name].values()), name
