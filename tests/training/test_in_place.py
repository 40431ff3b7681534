"""A step's end in two programs equals optax's rule behind its clip; memory is used again."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from modelops_jax.training import (
    BatchShape,
    LossSums,
    TokenizedRow,
    TrainingConfig,
    gradient_memory,
    gradient_sums,
    make_batch,
    make_optimizer,
    start_state,
    train_step,
)
from modelops_jax.training._in_place import ClippedRule

WEIGHTS = {
    "embed": jnp.asarray([[0.3, -0.7], [1.1, 0.2]]),
    "norm": {"weight": jnp.asarray([1.0, 2.0])},
}
SHAPE = BatchShape(1, 8, 16)


def pull(trainable, frozen, batch):
    """Each weight is pulled to 0, as strongly as the batch's first token says."""
    strength = batch.token_ids[0, 0].astype(jnp.float32)
    loss = strength * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(trainable))
    value = jax.lax.stop_gradient(loss)
    return loss, LossSums(value, jnp.full((), 2, jnp.int32), value, {})


def batch_of(token: int):
    """A batch whose first token is this one."""
    row = TokenizedRow(np.asarray([token, 9], np.int32), np.asarray([False, True]))
    return make_batch([row], shape=SHAPE, pad_id=0)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("adamw", lambda mask: optax.adamw(0.1, b2=0.95, weight_decay=0.5, mask=mask)),
        ("lion", lambda mask: optax.lion(0.1, weight_decay=0.5, mask=mask)),
    ],
)
def test_the_weights_are_those_of_the_whole_rule(name: Literal["adamw", "lion"], rule):
    """With gradients that are clipped and some that are not, as sums over two units."""
    config = TrainingConfig(
        optimizer=name, learning_rate=0.1, warmup_steps=0, schedule="constant", adam_b2=0.95,
        weight_decay=0.5, max_grad_norm=3.0,
    )  # fmt: skip
    ours = make_optimizer(config, 10)
    assert isinstance(ours, ClippedRule)
    mask = {"embed": True, "norm": {"weight": False}}
    theirs = optax.chain(optax.clip_by_global_norm(3.0), rule(mask))
    state, expected = start_state(ours, jax.tree.map(jnp.copy, WEIGHTS)), WEIGHTS
    moments, memory = theirs.init(WEIGHTS), gradient_memory()
    norms = []
    for token in (1, 40, 2):
        batch = batch_of(token)
        gradients = jax.tree.map(lambda leaf, token=token: token * leaf, expected)
        norms.append(float(optax.tree.norm(gradients)))
        updates, moments = theirs.update(gradients, moments, expected)
        expected = optax.apply_updates(expected, updates)
        state, _ = train_step(pull, ours, state, None, [batch], memory)
    assert min(norms) < 3 < max(norms)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), state.trainable, expected
    )


@pytest.mark.parametrize(("name", "decay"), [("sgd", None), ("adamw", 0.9)])
def test_a_rule_whose_state_reads_the_weights_is_applied_at_once(
    name: Literal["sgd", "adamw"], decay: float | None
):
    """A momentum of decayed gradients, and an average of the weights."""
    config = TrainingConfig(optimizer=name, ema_decay=decay)
    assert not isinstance(make_optimizer(config, 10), ClippedRule)


@pytest.mark.parametrize("tokens", [(1,), (1, 4, 2)])
def test_memory_that_was_used_before_changes_no_gradient(tokens: tuple[int, ...]):
    """Whatever lies in it, for one micro-batch and for several."""
    batches = [batch_of(token) for token in tokens]
    memory = gradient_memory()
    assert memory is not None
    memory.give(jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), WEIGHTS))
    found, sums = gradient_sums(pull, WEIGHTS, None, batches, memory)
    expected, others = gradient_sums(pull, WEIGHTS, None, batches)
    jax.tree.map(np.testing.assert_array_equal, (found, sums), (expected, others))
    for one, weight in zip(jax.tree.leaves(found), jax.tree.leaves(WEIGHTS), strict=True):
        np.testing.assert_allclose(one, 2 * sum(tokens) * weight, rtol=1e-6)
