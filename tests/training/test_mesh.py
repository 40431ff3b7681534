"""Eight simulated devices give what one gives: losses, gradients, checkpoints."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from modelops_jax import Dataset
from modelops_jax.models import MeshShape, load, make_mesh
from modelops_jax.training import ConfigError, TrainingConfig, config_from_dict, fit

# In a process of its own: the number of devices is fixed when JAX starts. Prints, by mesh, the
# largest difference from one device and the shape of a device's part of a weight.
_SCRIPT = """
import dataclasses, json, sys
import jax
jax.config.update("jax_num_cpu_devices", 8)
import numpy as np
from modelops_jax import Dataset
from modelops_jax.models import (
    DecoderConfig, LoraConfig, MeshShape, Model, init_params, load, make_mesh, shard_weights,
)
from modelops_jax.training import (
    BatchShape, DpoLoss, Objective, TokenizedRow, TrainingConfig, fit, gradient_sums, make_batch,
    read_examples,
)
from modelops_jax.training._objective import loss_of
from modelops_jax.training._placement import put_batch
from modelops_jax.training._plan import Plan
from modelops_jax.training._reference import reference_values

def losses(result):
    return [r.get("loss", r.get("eval_loss")) for r in result.history]

config = DecoderConfig(264, 32, 48, 2, 4, 2, 8, 64, 1e4, 1e-5, False)
params = init_params(config, 1, stddev=0.3)
random = np.random.default_rng(0)
rows = [
    TokenizedRow(random.integers(0, 260, length).astype(np.int32), random.random(length) < 0.7)
    for length in (9, 16, 4, 12, 16)
]
batch = make_batch(rows, shape=BatchShape(8, 16, 64), pad_id=0)
objective = Objective(config, None, np.dtype(np.float32), "layer")
expected, sums = jax.device_get(gradient_sums(objective, params, {}, [batch]))
largest = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(expected))
found, refer = {}, json.loads(sys.argv[4])
for shape in [(8, 1, 1), (1, 8, 1), (1, 1, 4), (2, 2, 2), *[(1, 1, 8)] * refer]:
    mesh = make_mesh(MeshShape(*shape))
    placed = shard_weights(params, mesh)
    with jax.set_mesh(mesh):
        gradients, own = gradient_sums(objective, placed, {}, [put_batch(batch, mesh)])
    part = gradients["model"]["layers"]["mlp"]["up_proj"]["weight"]
    off = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), jax.device_get(gradients), expected)
    found[str(shape)] = {
        "gradient": max(jax.tree.leaves(off)) / largest,
        "loss": abs(float(own.loss) / float(sums.loss) - 1),
        "part": part.sharding.shard_shape(part.shape),
    }

# Acceptance test 1: the same rows in micro-batches of two, or of one for each device.
narrow = init_params(config, 1, stddev=0.1)
counts = json.loads(sys.argv[2])
if max(counts) >= len(rows):  # so many that the last micro-batch is another one, and incomplete
    rows = rows * 3
    batch = make_batch(rows, shape=BatchShape(16, 16, 192), pad_id=0)
expected, sums = jax.device_get(gradient_sums(objective, narrow, {}, [batch]))
for devices in counts:
    mesh, size = make_mesh(MeshShape(data=devices)), max(2, devices)
    parts = [
        make_batch(rows[at : at + size], shape=BatchShape(size, 16, 16 * size), pad_id=0)
        for at in range(0, len(rows), size)
    ]
    with jax.set_mesh(mesh):
        placed = shard_weights(narrow, mesh)
        gradients, own = gradient_sums(objective, placed, {}, [put_batch(b, mesh) for b in parts])
    off = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), jax.device_get(gradients), expected)
    found[f"{devices} devices, accumulated"] = {
        "gradient": max(jax.tree.leaves(off)) / int(sums.units),
        "loss": abs(float(own.loss) / float(sums.loss) - 1),
        "counts": [int(own.units), int(sums.units)],
        "parts": len(parts),
    }

model = Model(config, params, load("tiny").tokenizer, name="small")

# Labels and preferences: seven rows, the eighth is padding. One layer compiles fastest.
single = dataclasses.replace(config, num_layers=1)
shallow = Model(single, init_params(single, 1, stddev=0.3), model.tokenizer, name="shallow")
words = [f"win {k} money"[k:] for k in range(7)]
cases = {
    "labels": (
        shallow.with_labels(["ham", "spam", "other"]),
        Dataset([{"text": word, "label": k % 3} for k, word in enumerate(words)]),
        TrainingConfig(batch_size=8, mesh=MeshShape(data=8)),
    ),
    "preferences": (
        shallow,
        Dataset([{"prompt": word, "chosen": "yes", "rejected": word[::2]} for word in words]),
        TrainingConfig(batch_size=8, mesh=MeshShape(data=8), dpo=DpoLoss(beta=0.3)),
    ),
}
shapes = json.loads(sys.argv[3])
for case, (learner, data, settings) in cases.items():
    examples = read_examples(learner, data, settings, name="training")
    values = examples.values
    if values is None:
        values = random.normal(-5, 1, examples.rows.trained_tokens).astype(np.float32)
    plan = Plan(examples.rows, settings, learner, values=values)
    (batch,) = plan.batches(0)
    loss = loss_of(learner, settings)
    learned = Objective(learner.config, None, np.dtype(np.float32), "none", loss)
    expected, sums = jax.device_get(gradient_sums(learned, learner.params, {}, [batch]))
    for shape in shapes:
        mesh = make_mesh(MeshShape(*shape))
        placed = shard_weights(learner.params, mesh)
        with jax.set_mesh(mesh):
            gradients, own = gradient_sums(learned, placed, {}, [put_batch(batch, mesh)])
        name = "score" if case == "labels" else "lm_head"
        part = gradients[name]["weight"]
        off = [
            float(np.abs(a - b).max()) / float(np.abs(b).max())
            for a, b in zip(jax.tree.leaves(jax.device_get(gradients)), jax.tree.leaves(expected))
        ]
        found[f"{case} {tuple(shape)}"] = {
            "gradient": max(off),
            "loss": abs(float(own.loss) / float(sums.loss) - 1),
            "part": part.sharding.shard_shape(part.shape),
            "rows": int(own.units),
        }
        if refer and case == "preferences":
            of = lambda params, mesh: reference_values(
                params, learner.config, examples.rows, plan, mesh=mesh, dtype=np.float32
            )
            with jax.set_mesh(mesh):
                many = of(placed, mesh)
            one = of(learner.params, None)
            found[f"{case} {tuple(shape)}"]["reference"] = float(np.abs(many / one - 1).max())

# Whole runs, by plain gradients: what Adam divides by is noise where a gradient is nearly none.
if refer:
    learned = dataclasses.replace(single, family="gpt2", rope_theta=None, num_kv_heads=4)
    learned = Model(learned, init_params(learned, 1, stddev=0.3), model.tokenizer, name="learned")
    cases["positions"] = (
        learned,
        Dataset([{"prompt": word, "completion": word[::2]} for word in words]),
        TrainingConfig(batch_size=8),
    )
    for case, (learner, data, settings) in cases.items():
        settings = dataclasses.replace(
            settings, optimizer="sgd", learning_rate=3e-3, max_steps=4, epochs=4, mesh=None
        )
        over = dataclasses.replace(settings, mesh=MeshShape(2, 2, 2))
        one, many = (
            fit(learner, data, config=own, eval=data, progress="off") for own in (settings, over)
        )
        moved = jax.tree.map(
            lambda new, old, many: [float(np.abs(new - x).max()) for x in (old, many)],
            one.model.params, learner.params, jax.device_get(many.model.params),
        )
        moved = [x for x in jax.tree.leaves(moved, is_leaf=lambda x: isinstance(x, list))]
        found[f"{case} run"] = {
            "losses": losses(one), "many": losses(many),
            "moved": max(by for by, _ in moved), "off": max(off for _, off in moved),
        }

text = Dataset([{"prompt": "x" * k, "completion": f"yes{k}"} for k in (1, 3, 5, 7, 9)])
run = TrainingConfig(batch_size=3, max_steps=4, checkpoint_every=2,
    lora=LoraConfig(rank=2, dora=True, dropout=0.2),
)
one = fit(model, text, config=run, eval=text, progress="off")
over = dataclasses.replace(run, mesh=MeshShape(2, 2, 2))
kept = sys.argv[1]
many = fit(model, text, config=over, eval=text, folder=kept + "/whole", progress="off")
def stop_at_two():
    stop_at_two.asked += 1
    return stop_at_two.asked == 3
stop_at_two.asked = 0
fit(model, text, config=over, eval=text, folder=kept + "/cut", stop=stop_at_two, progress="off")
again = fit(model, text, config=over, eval=text, folder=kept + "/cut", resume=True, progress="off")
found["fit"] = {
    "losses": float(np.abs(np.subtract(losses(one), losses(many))).max()),
    "resumed": losses(again) == losses(many),
    "same bytes": all(
        np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(many.model.params), jax.tree.leaves(again.model.params))
    ),
}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return run_on_devices(tmp_path_factory.mktemp("mesh"), [2], [(2, 2, 2)], False)


@pytest.fixture(scope="module")
def found_on_more(tmp_path_factory):
    axes = [(8, 1, 1), (1, 8, 1), (1, 1, 4), (1, 1, 8), (2, 2, 2)]
    return run_on_devices(tmp_path_factory.mktemp("mesh"), [1, 4, 8], axes, True)


def run_on_devices(folder, accumulated, shapes, refer):
    """What the script finds, with micro-batches on so many devices.

    Labels and preferences are learned on meshes of the shapes, with references if asked.
    """
    settings = map(json.dumps, (accumulated, shapes, refer))
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(folder), *settings],
        capture_output=True,
        text=True,
        check=False,
        # Programs for eight devices are large; compiling them quickly is all that matters here.
        env={
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "TF_CPP_MIN_LOG_LEVEL": "1",  # warnings of the compiler
            "XLA_FLAGS": os.environ.get("XLA_FLAGS", "")
            + " --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
            # Every run traces its programs anew.
            "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.02",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        },
    )
    assert done.returncode == 0, done.stderr[-3000:]
    warnings = [line for line in done.stderr.splitlines() if "rematerialization" in line]
    return json.loads(done.stdout.splitlines()[-1]) | {"warnings": warnings}


@pytest.mark.parametrize(
    ("shape", "part"),
    [
        ("(8, 1, 1)", [2, 48, 32]),
        ("(1, 8, 1)", [2, 48, 4]),
        ("(1, 1, 4)", [2, 12, 32]),
        ("(2, 2, 2)", [2, 24, 16]),
    ],
)
def test_loss_and_gradients_are_those_of_one_device(found, shape, part):
    check_gradients(found[shape], part)


@pytest.mark.model  # slow: a program for another mesh
def test_eight_devices_share_four_heads(found_on_more):
    check_gradients(found_on_more["(1, 1, 8)"], [2, 6, 32])


def check_gradients(case, part):
    assert case["loss"] < 1e-5
    assert case["gradient"] < 1e-5
    assert case["part"] == part  # and every device holds its share alone


def check_accumulated(case):
    assert case["gradient"] < 1e-6
    assert case["loss"] < 1e-6
    assert case["counts"][0] == case["counts"][1]
    assert case["parts"] > 1


def test_accumulated_gradients_are_those_of_the_whole_batch_on_two_devices(found):
    """Acceptance test 1: uneven masks, an incomplete last micro-batch, one division at the end."""
    check_accumulated(found["2 devices, accumulated"])


@pytest.mark.model  # slow: programs for other numbers of devices
def test_accumulated_gradients_are_those_of_the_whole_batch_on_more_devices(found_on_more):
    for devices in (1, 4, 8):
        check_accumulated(found_on_more[f"{devices} devices, accumulated"])


def check_objective(case, part):
    assert case["rows"] == 7
    assert case["loss"] < 1e-5
    assert case["gradient"] < 1e-5  # of the largest of each weight
    assert case["part"] == part


@pytest.mark.parametrize(("kind", "part"), [("labels", [3, 16]), ("preferences", [132, 16])])
def test_labels_and_preferences_are_learned_as_on_one_device(found, kind, part):
    check_objective(found[f"{kind} (2, 2, 2)"], part)


@pytest.mark.model  # slow: programs for other meshes
@pytest.mark.parametrize(
    ("shape", "labels", "preferences"),
    [
        ("(8, 1, 1)", [3, 32], [264, 32]),
        ("(1, 8, 1)", [3, 4], [264, 4]),
        ("(1, 1, 4)", [3, 32], [66, 32]),
        ("(1, 1, 8)", [3, 32], [33, 32]),
        ("(2, 2, 2)", [3, 16], [132, 16]),
    ],
)
def test_labels_and_preferences_are_learned_alike_along_each_axis(
    found_on_more, shape, labels, preferences
):
    check_objective(found_on_more[f"labels {shape}"], labels)
    check_objective(found_on_more[f"preferences {shape}"], preferences)
    assert found_on_more[f"preferences {shape}"]["reference"] < 1e-5


def test_a_run_on_a_mesh_learns_the_same_and_resumes_to_the_byte(found):
    assert found["fit"]["losses"] < 1e-5
    assert found["fit"]["resumed"]
    assert found["fit"]["same bytes"]


def test_no_array_is_copied_whole_to_every_device(found):
    """The compiler says so where it finds no other way, as for looked-up rows of embeddings."""
    assert found["warnings"] == []


@pytest.mark.model  # slow: programs of three more runs
@pytest.mark.parametrize("kind", ["labels", "preferences", "positions"])
def test_whole_runs_on_a_mesh_are_those_of_one_device(found_on_more, kind):
    """Labels, preferences with their references, and learned positions, evaluations included."""
    case = found_on_more[f"{kind} run"]
    assert len(case["losses"]) == 5
    np.testing.assert_allclose(case["many"], case["losses"], rtol=1e-5)
    assert case["moved"] > 1e-3
    assert case["off"] < 1e-5
    assert found_on_more["warnings"] == []


@pytest.mark.model  # slow: two runs of the preset
def test_one_device_is_the_identity():
    rows = Dataset([{"prompt": "a", "completion": "b"}])
    runs = [
        fit(load("tiny"), rows, config=TrainingConfig(max_steps=1, mesh=mesh), progress="off")
        for mesh in (None, MeshShape())
    ]
    assert runs[0].history[0]["loss"] == runs[1].history[0]["loss"]


def test_too_many_devices_are_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"needs 4096 devices; there are \d+"):
        make_mesh(MeshShape(data=4096))
    with pytest.raises(ConfigError, match=r"mesh.tensor must be at least 1, found 0"):
        config_from_dict({"mesh": {"tensor": 0}})


def test_weights_are_read_straight_to_the_mesh(tmp_path):
    model = load("tiny")
    model.save(tmp_path / "model")
    mesh = make_mesh(MeshShape())
    loaded = load(tmp_path / "model", mesh=mesh)
    weight = loaded.params["model"]["layers"]["self_attn"]["o_proj"]["weight"]
    assert weight.sharding.mesh == mesh
    assert tuple(weight.sharding.spec) == (None, "fsdp", "tensor")
    assert (loaded.logits([[1, 2, 3]]) == model.logits([[1, 2, 3]])).all()
