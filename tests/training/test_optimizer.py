"""Optimizers and schedules by their names."""

import dataclasses
import typing
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

from modelops_jax.models import DecoderConfig, init_params
from modelops_jax.training import (
    ConfigError,
    TrainingConfig,
    learning_rate_schedule,
    make_optimizer,
)

OPTIMIZERS = typing.get_args(typing.get_type_hints(TrainingConfig)["optimizer"])


def parameters() -> Any:
    """The kinds of leaves a model has: stacked matrices, stacked norms, an embedding."""
    random = np.random.default_rng(0)
    shapes = {
        "embed_tokens": {"weight": (5, 3)},
        "layers": {"q_proj": {"weight": (2, 4, 3)}, "input_layernorm": {"weight": (2, 3)}},
    }
    return jax.tree.map(
        lambda shape: jnp.asarray(random.normal(size=shape), jnp.float32),
        shapes,
        is_leaf=lambda node: isinstance(node, tuple),
    )


def config_of(**fields: Any) -> TrainingConfig:
    """A configuration from fields whose types the table of optimizers does not know."""
    return TrainingConfig(**fields)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_comes_down_a_bowl(name: str):
    """A sum of squares falls to a hundredth, in every kind of leaf."""
    rate = {"muon": 0.2, "adafactor": 0.1, "schedule_free_adamw": 0.1}.get(name, 0.02)
    schedule = "constant" if name == "schedule_free_adamw" else "cosine"
    config = config_of(
        optimizer=name,
        learning_rate=rate,
        warmup_steps=5,
        max_grad_norm=10.0,
        schedule=schedule,
    )
    optimizer = make_optimizer(config, 400)
    params = parameters()

    @jax.jit
    def descend(params):
        def step(carry, _):
            params, state = carry
            updates, state = optimizer.update(params, state, params)  # the gradient of x^2 / 2
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, optimizer.init(params)), None, length=400)[0][0]

    for before, after in zip(
        jax.tree.leaves(params), jax.tree.leaves(descend(params)), strict=True
    ):
        assert jnp.sum(after**2) < 0.01 * jnp.sum(before**2)


def first_update(optimizer: optax.GradientTransformation, params: Any) -> Any:
    """What a step without gradients adds to the weights."""

    def update(params: Any) -> Any:
        nothing = jax.tree.map(jnp.zeros_like, params)
        return optimizer.update(nothing, optimizer.init(params), params)[0]

    return jax.jit(update)(params)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "adafactor"])
def test_weight_decay_spares_norms(name: str):
    """Without a gradient, matrices shrink and norms stay."""
    config = config_of(optimizer=name, learning_rate=0.1, schedule="constant", weight_decay=0.1)
    optimizer, params = make_optimizer(config, 1), parameters()
    updates = first_update(optimizer, params)
    for path in (("embed_tokens",), ("layers", "q_proj"), ("layers", "input_layernorm")):
        update, leaf = updates, params
        for key in (*path, "weight"):
            update, leaf = update[key], leaf[key]
        expected = 0.0 if "norm" in path[-1] else -0.01 * leaf
        # The schedule-free update is the difference of two weights, which are rounded.
        atol = 1e-6 if name == "schedule_free_adamw" else 1e-7
        np.testing.assert_allclose(update, expected * jnp.ones_like(leaf), atol=atol)


def test_adafactor_refuses_a_decay_it_does_not_have():
    """A setting that would do nothing is an error."""
    with pytest.raises(ConfigError, match="weight_decay must be 0 for adafactor, found"):
        TrainingConfig(optimizer="adafactor", weight_decay=0.1)


def test_a_schedule_free_optimizer_refuses_what_would_work_against_it():
    """It averages by itself, at a constant rate."""
    for field, value in (("schedule", "cosine"), ("ema_decay", 0.9), ("adam_b1", 0.0)):
        fields = {"schedule": "constant", field: value}
        with pytest.raises(ConfigError, match=rf"training\.{field} must be"):
            config_of(optimizer="schedule_free_adamw", **fields)


def test_muon_takes_each_layer_for_itself():
    """A stacked matrix gets the update that each layer's own matrix (out, in) would get."""
    config = TrainingConfig(optimizer="muon", learning_rate=0.1, schedule="constant")
    params = parameters()
    optimizer = make_optimizer(dataclasses.replace(config, max_grad_norm=1e9), 1)
    stacked: Any = optimizer.update(params, optimizer.init(params), params)[0]
    alone = contrib.muon(0.1, consistent_rms=0.2)
    for layer in range(2):
        # optax's own matrices are (in, out).
        matrix = params["layers"]["q_proj"]["weight"][layer].T
        update: Any = alone.update(matrix, alone.init(matrix), matrix)[0]
        ours = stacked["layers"]["q_proj"]["weight"][layer].T
        np.testing.assert_allclose(ours, update, atol=1e-6)


def test_schedule_rises_linearly_and_falls_as_a_cosine():
    """No step at rate 0; the peak after the warm-up; the final share at the end."""
    config = TrainingConfig(learning_rate=1.0, warmup_steps=4, final_rate_ratio=0.1)
    schedule = learning_rate_schedule(config, 24)
    rates = [float(np.asarray(schedule(step))) for step in range(25)]
    assert rates[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    for step in range(4, 25):
        cosine = 0.1 + 0.9 * 0.5 * (1 + np.cos(np.pi * (step - 4) / 20))
        assert rates[step] == pytest.approx(cosine, abs=1e-6)


def test_other_schedules():
    """Straight down to the final share; or the peak throughout."""
    linear = TrainingConfig(learning_rate=1.0, schedule="linear", final_rate_ratio=0.2)
    schedule = learning_rate_schedule(linear, 8)
    assert [float(np.asarray(schedule(step))) for step in (0, 4, 8)] == pytest.approx([1, 0.6, 0.2])
    constant = TrainingConfig(learning_rate=1.0, schedule="constant", warmup_steps=2)
    schedule = learning_rate_schedule(constant, 8)
    rates = [float(np.asarray(schedule(step))) for step in (0, 1, 7)]
    assert rates == pytest.approx([0.5, 1, 1])


def test_weight_decay_spares_biases():
    """Without gradients, matrices shrink, and norms and biases stay."""
    config = DecoderConfig(11, 8, 12, 2, 2, 1, 4, 16, 1e4, 1e-5, False, family="qwen2")
    params = jax.tree.map(lambda leaf: leaf + 1.0, init_params(config, 0))
    optimizer = make_optimizer(TrainingConfig(weight_decay=0.1, warmup_steps=0), 10)
    updates = first_update(optimizer, params)
    spared = {
        jax.tree_util.keystr(path)
        for path, update in jax.tree.leaves_with_path(updates)
        if not np.asarray(update).any()
    }
    vectors = {"q_proj']['bias", "k_proj']['bias", "v_proj']['bias", "layernorm", "['norm']"}
    assert len(spared) == 6
    assert all(any(vector in name for vector in vectors) for name in spared)
