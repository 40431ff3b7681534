"""The programs of a step: which memory they write over, and which loops they have."""

import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.models import DecoderConfig, LoraConfig, init_params
from modelops_jax.training import (
    BatchShape,
    LossSums,
    Objective,
    TokenizedRow,
    TrainingConfig,
    gradient_memory,
    make_batch,
    make_optimizer,
    start_state,
    train_step,
)
from modelops_jax.training._divide import divide
from modelops_jax.training._in_place import Pull, move_state, move_weights
from modelops_jax.training._step import (
    _accumulate,
    _cleared,
    _update_at_once,
    lower_gradients,
    lower_update,
)

WEIGHTS = {"embed": jnp.ones((3, 5)), "norm": {"weight": jnp.ones(7)}}
ROW = TokenizedRow(np.arange(8, dtype=np.int32), np.arange(8) > 3)
BATCH = make_batch([ROW], shape=BatchShape(1, 8, 16), pad_id=0)
SUMS = LossSums(jnp.float32(1), jnp.int32(1), jnp.float32(1), {})


def squares(trainable, frozen, batch):
    """A loss whose program is compiled at once."""
    loss = jnp.asarray(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(trainable)))
    return loss, LossSums(loss, jnp.int32(1), loss, {})


def nbytes(tree: Any) -> int:
    """Of all arrays."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))


def check_written_over(lowered: Any, tree: Any) -> None:
    """The results lie where the arrays of the tree do, says the compiled program."""
    compiled = lowered.compile()
    header = compiled.as_text().splitlines()[0]
    many = [leaf for leaf in jax.tree.leaves(tree) if leaf.size]
    assert header.count("-alias)") == len(many)
    assert "input_output_alias" in header
    assert compiled.memory_analysis().alias_size_in_bytes == nbytes(many)


@pytest.mark.parametrize("sums", [None, SUMS])
def test_gradients_are_written_over_those_of_before(sums: LossSums | None):
    """Over those they are added to, and over those that nobody reads any more."""
    lowered = _accumulate.lower(
        WEIGHTS, None, BATCH, WEIGHTS, sums, objective=squares, placement=None
    )
    check_written_over(lowered, WEIGHTS)


def test_cleared_gradients_stay_where_they_are():
    check_written_over(_cleared.lower(WEIGHTS), WEIGHTS)


def test_adamw_moves_weights_and_moments_where_they_are():
    """In its two programs; and a step leaves nothing of the state before it."""
    optimizer: Any = make_optimizer(TrainingConfig(), 10)
    state = start_state(optimizer, WEIGHTS)
    pull = Pull(WEIGHTS, jnp.float32(1), jnp.bool(True))
    rule = optimizer.rule
    check_written_over(move_weights.lower(WEIGHTS, state.optimizer, pull, rule=rule), WEIGHTS)
    check_written_over(move_state.lower(state.optimizer, pull, rule=rule), state.optimizer)
    state = start_state(optimizer, jax.tree.map(jnp.copy, WEIGHTS))
    train_step(squares, optimizer, state, None, [BATCH], gradient_memory())
    consumed = (state.trainable, state.optimizer)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(consumed))


@pytest.mark.parametrize(
    "settings", [{"optimizer": "sgd"}, {"optimizer": "muon"}, {"ema_decay": 0.9}]
)
def test_a_rule_that_is_applied_at_once_writes_over_the_whole_state(settings: dict[str, Any]):
    optimizer = make_optimizer(TrainingConfig(**settings), 10)
    state = start_state(optimizer, WEIGHTS)
    lowered = _update_at_once.lower(state, WEIGHTS, SUMS, optimizer=optimizer, placement=None)
    check_written_over(lowered, state)


def objective_of(layers: int, remat: Literal["none", "layer"], lora: LoraConfig | None = None):
    """The loss of a small decoder, and its weights."""
    config = DecoderConfig(53, 8, 8, layers, 2, 1, 4, 64, 1e4, 1e-5, True)
    return Objective(config, lora, np.dtype(np.float32), remat), init_params(config, 0)


def layer_loops(jaxpr: Any, layers: int) -> list[int]:
    """How many passes each loop over all layers has."""
    found = []
    for equation in jaxpr.eqns:
        if equation.primitive.name == "scan" and equation.params["length"] == layers:
            found.append(math.ceil(layers / equation.params["unroll"]))
        inside = jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda node: hasattr(node, "eqns")
        )
        for node in inside:
            node = getattr(node, "jaxpr", node)
            found += layer_loops(node, layers) if hasattr(node, "eqns") else []
    return found


@pytest.mark.parametrize(
    ("backend", "layers", "remat", "passes"),
    [
        ("cpu", 3, "none", 1),
        ("cpu", 9, "none", 9),  # many layers take long to compile
        ("cpu", 3, "layer", 3),  # the compiler would find what is computed again, and keep it
        ("gpu", 3, "none", 3),
    ],
)
def test_layers_are_unrolled_where_that_is_faster(
    monkeypatch: pytest.MonkeyPatch,
    backend: str,
    layers: int,
    remat: Literal["none", "layer"],
    passes: int,
):
    """One pass of the loop over the layers has all of them, or one."""
    objective, params = objective_of(layers, remat)
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    traced = jax.make_jaxpr(lambda tree: objective(tree, None, BATCH)[0])(params)
    assert layer_loops(traced.jaxpr, layers) == [passes]


@pytest.mark.model  # slow: compiles whole gradients
@pytest.mark.parametrize("lora", [None, LoraConfig(rank=2)])
@pytest.mark.parametrize(("remat", "loops"), [("none", 0), ("layer", 2)])
def test_the_program_of_a_step(
    lora: LoraConfig | None, remat: Literal["none", "layer"], loops: int
):
    """Unrolled layers leave no loop, others one each way; every gradient has its place."""
    objective, params = objective_of(3, remat, lora)
    config = TrainingConfig(lora=lora)
    trainable, frozen = divide(params, config)
    lowered = lower_gradients(objective, trainable, frozen, BATCH, accumulates=True)
    compiled = lowered.compile()
    assert compiled.as_text().count(" while(") == loops
    header = compiled.as_text().splitlines()[0]
    leaves = jax.tree.leaves(trainable)
    assert header.count("-alias)") >= len(leaves)
    assert compiled.memory_analysis().alias_size_in_bytes >= nbytes(leaves)
    optimizer = make_optimizer(config, 10)
    state = start_state(optimizer, trainable)
    lowered = lower_update(objective, optimizer, state, frozen, BATCH)
    assert lowered.compile().memory_analysis().alias_size_in_bytes == nbytes(leaves)
