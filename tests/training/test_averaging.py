"""Averages of the weights: by their definitions, and in a run that evaluates and returns them."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

from modelops_jax.training import (
    ConfigError,
    Objective,
    TrainingConfig,
    TrainState,
    activation_dtype,
    average_weights,
    evaluate_loss,
    final_weights,
    fit,
    make_optimizer,
    tokenize,
)
from modelops_jax.training._plan import Plan, batches_by_length

QUICK = TrainingConfig(batch_size=4, learning_rate=1e-2, max_steps=6, epochs=10)


def assert_equal_trees(left, right):
    """Bit for bit."""
    jax.tree.map(np.testing.assert_array_equal, left, right)


def moving_average(weights, decay: float):
    """Of the weights after each step, in float64 and by definition."""
    powers = decay ** np.arange(len(weights) - 1, -1, -1, dtype=np.float64)
    return np.tensordot(powers / powers.sum(), np.asarray(weights, np.float64), axes=1)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_the_moving_average_is_its_definition(decay: float, dtype: str):
    """The start does not count; steps too small for bfloat16 are not lost in the average."""
    random = np.random.default_rng(0)
    optimizer: Any = average_weights(decay)
    weights = jnp.asarray(random.normal(size=(4, 3)), dtype)
    state, seen = optimizer.init(weights), []
    assert (state.average == weights).all()
    for _ in range(50):
        step = jnp.asarray(0.01 * random.normal(size=(4, 3)), dtype)
        same, state = optimizer.update(step, state, weights)
        assert_equal_trees(same, step)
        weights = optax.apply_updates(weights, step)
        seen.append(np.asarray(weights, np.float64))
    np.testing.assert_allclose(state.average, moving_average(seen, decay), atol=2e-6)
    assert state.average.dtype == jnp.float32


def test_the_schedule_free_optimizer_is_that_of_optax():
    """Where nothing decays; what is evaluated is the average, which is not what is trained."""
    config = TrainingConfig(
        optimizer="schedule_free_adamw", schedule="constant", learning_rate=0.1, max_grad_norm=1e9
    )
    ours, theirs = make_optimizer(config, 20), contrib.schedule_free_adamw(0.1)

    def descend(optimizer: Any) -> Any:
        params: Any = jnp.asarray([[1.0, -2.0], [3.0, 0.5]])
        state = optimizer.init(params)
        for _ in range(20):
            updates, state = optimizer.update(jnp.sin(params), state, params)
            params = optax.apply_updates(params, updates)
        return params, state

    trained, state = descend(ours)
    expected, other = descend(theirs)
    np.testing.assert_allclose(trained, expected, rtol=1e-6)
    found = final_weights(TrainState(trained, state, jnp.int32(0)))
    expected = contrib.schedule_free_eval_params(other, expected)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert not np.allclose(found, trained, atol=1e-3)


@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_a_decay_without_an_average_is_refused(decay: float):
    """0 would be the weights themselves, 1 the first ones for ever."""
    with pytest.raises(ConfigError, match=r"training\.ema_decay must be in \(0, 1\), found"):
        TrainingConfig(ema_decay=decay)


def test_a_run_evaluates_and_returns_the_average(model, rows, tmp_path):
    """That of the weights in its checkpoints; and to the byte after a stop and a resume."""
    from safetensors.numpy import load_file

    config = dataclasses.replace(
        QUICK, ema_decay=0.8, checkpoint_every=1, keep_checkpoints=9, eval_every=3
    )
    whole = fit(model, rows, config=config, eval=rows, folder=tmp_path / "a", progress="off")
    files = sorted((tmp_path / "a").glob("step-*/state.safetensors"))
    assert len(files) == 6
    stored = [load_file(path) for path in files]
    for path, leaf in jax.tree.leaves_with_path(whole.model.params):
        name = f".trainable{jax.tree_util.keystr(path)}"
        expected = moving_average([arrays[name] for arrays in stored], 0.8)
        np.testing.assert_allclose(leaf, expected, atol=1e-6)
        assert not np.allclose(leaf, stored[-1][name], atol=1e-4), name

    # The last evaluation is of what is returned.
    data = tokenize(rows, model.tokenizer, config, context=256, name="evaluation")
    found = batches_by_length(data, Plan(data, config, model))
    batches = [batch for batch, _ in found]
    objective = Objective(model.config, None, activation_dtype(config), config.remat)
    sums = evaluate_loss(objective, whole.model.params, {}, batches)
    losses = [record["eval_loss"] for record in whole.history if "eval_loss" in record]
    assert float(sums.loss) / int(sums.units) == pytest.approx(losses[-1], rel=1e-6)

    asked = iter([False] * 4 + [True])
    fit(model, rows, config=config, eval=rows, folder=tmp_path / "b", stop=asked.__next__)
    again = fit(model, rows, config=config, eval=rows, folder=tmp_path / "b", resume=True)
    assert_equal_trees(again.model.params, whole.model.params)


def test_accelerators_compute_in_bfloat16(monkeypatch: pytest.MonkeyPatch):
    """Unless a type is asked for; a CPU computes in float32."""
    assert activation_dtype(TrainingConfig()) == jnp.float32
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert activation_dtype(TrainingConfig()) == jnp.bfloat16
    assert activation_dtype(TrainingConfig(compute_dtype="float32")) == jnp.float32


def test_bfloat16_computes_and_float32_remembers(model, rows, tmp_path):
    """Losses near those of float32; weights and moments in float32; the model in its own type."""
    from safetensors.numpy import load_file

    runs = {}
    for kind in ("float32", "bfloat16"):
        config = dataclasses.replace(QUICK, compute_dtype=kind, max_steps=3, learning_rate=1e-5)
        folder = tmp_path / kind
        narrow = dataclasses.replace(
            model, params=jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), model.params)
        )
        result = fit(narrow, rows, config=config, folder=folder, progress="off")
        assert {leaf.dtype.name for leaf in jax.tree.leaves(result.model.params)} == {"bfloat16"}
        stored = load_file(folder / "step-00000003" / "state.safetensors")
        floats = {array.dtype.name for array in stored.values()} - {"int32"}
        assert floats == {"float32"}
        # A step of 1e-5 is lost in bfloat16 beside weights of 0.3.
        moved = {
            name: np.mean(array != narrow_leaf(narrow.params, name))
            for name, array in stored.items()
            if name.startswith(".trainable")
        }
        assert min(moved.values()) > 0.2, moved
        runs[kind] = [record["loss"] for record in result.history]
    assert runs["bfloat16"] != runs["float32"]
    np.testing.assert_allclose(runs["bfloat16"], runs["float32"], rtol=0.02)


def narrow_leaf(params, name: str) -> np.ndarray:
    """The base model's weight of a stored name, in float32."""
    found = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(params)}
    return np.asarray(found[name.removeprefix(".trainable")], np.float32)
