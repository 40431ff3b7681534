"""What `plan` says before a run is what the run then does."""

import dataclasses
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.data import Dataset
from modelops_jax.models import (
    DecoderConfig,
    Description,
    LoraConfig,
    Model,
    init_params,
)
from modelops_jax.training import (
    BatchShape,
    DpoLoss,
    Objective,
    TokenizedRow,
    TrainingConfig,
    _estimate,
    make_batch,
    make_optimizer,
    plan,
    start_state,
    tokenize,
)
from modelops_jax.training._batches import Batch, Batches
from modelops_jax.training._divide import divide
from modelops_jax.training._flops import epoch_flops
from modelops_jax.training._memory import (
    MOST_COMPILATIONS,
    largest_that_fits,
    param_shapes,
    state_shapes,
)
from modelops_jax.training._plan import Plan

CONFIG = TrainingConfig(batch_size=4, epochs=2, lora=LoraConfig(rank=2))


def test_a_plan_says_what_the_run_does(model, rows):
    """Against every batch of the run, counted one by one."""
    found = plan(model, rows, config=CONFIG, largest_batch=False)
    data = tokenize(rows, model.tokenizer, CONFIG, context=256, name="training")
    run = Plan(data, CONFIG, model)
    batches = [batch for step in range(run.total_steps) for batch in run.batches(step)]
    assert (found.steps, found.epoch_steps, found.rows) == (6, 3, 11)
    assert found.epoch_tokens == sum(len(row.token_ids) for row in data)
    trained = sum(int(batch.weight.astype(bool).sum()) for batch in batches) / 2
    assert found.trained_share == trained / found.epoch_tokens
    prefixes = sum(batch.prefix_ids.size for batch in batches)
    places = sum(batch.computed.size or batch.token_ids.size for batch in batches)
    tokens = sum(int((batch.segment_ids != 0).sum()) for batch in batches)
    assert found.padding_share == (places - tokens) / (places + prefixes)
    assert found.parameters == sum(leaf.size for leaf in jax.tree.leaves(model.params))
    # Rank 2 on maps of (16, 16), 2 x (16, 8), (16, 16) and 3 x (16, 32), in two layers.
    assert found.trained_parameters == 2 * 2 * (32 + 24 + 24 + 32 + 3 * 48)
    assert found.memory > 4 * (found.parameters + 3 * found.trained_parameters)
    assert found.seconds is None
    assert json.loads(json.dumps(found.to_dict()))["steps"] == 6
    assert "6 (3 an epoch, 2.00 epochs)" in str(found)


def test_the_weights_of_a_model_are_not_read(model, rows, tmp_path):
    """A folder without them is planned as the loaded model is."""
    model.save(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    found = plan(tmp_path / "model", rows, config=CONFIG, largest_batch=False)
    expected = plan(model, rows, config=CONFIG, largest_batch=False)
    assert dataclasses.replace(found, model="tiny") == expected


def test_the_largest_batch_is_the_last_that_fits(model, rows, monkeypatch):
    """By the bytes that a run of that batch size has; here 50 more for each row."""
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), model.params)
    described = Description(model.config, shapes, model.tokenizer, "small")
    used = plan(described, rows, config=CONFIG, largest_batch=False).memory
    bytes_of_size = _estimate._Step.bytes_of_size

    def growing(step, size: int) -> int:
        assert bytes_of_size(step, 4) == used
        return used + 50 * (size - 4)

    monkeypatch.setattr(_estimate._Step, "bytes_of_size", growing)
    for memory, largest in ((used + 149, 6), (used - 1, 3), (used * 2, 11)):
        found = plan(described, rows, config=CONFIG, memory=memory)
        assert (found.largest_batch, found.largest_is_exact) == (largest, True)
        assert found.fits == (memory >= used)
        assert f"largest batch  {largest} in one pass" in str(found)
        assert ("DOES NOT FIT in" in str(found)) == (memory < used)


@pytest.mark.parametrize(("memory", "largest"), [(899, 8), (1100, 11), (99, 0)])
def test_references_count_for_the_memory_and_not_for_the_search(
    model, rows, monkeypatch, memory, largest
):
    """Of 4 pairs at once they take more than a step that adds gradients up pair by pair.

    No batch is made but those that are lowered.
    """

    def bytes_of(name: str, of_pair: int) -> None:
        def lower(*args, **settings) -> int:
            (batch,) = (arg for arg in args if isinstance(arg, Batch))
            lowered.append(name)
            return of_pair * len(batch.token_ids) + 50 * settings.get("accumulates", 0)

        monkeypatch.setattr(_estimate, name, lower)

    made, lowered = [], []
    make = Batches.make
    monkeypatch.setattr(Batches, "make", lambda *args: made.append(args) or make(*args))
    monkeypatch.setattr(_estimate, "program_bytes", lambda found: found)
    monkeypatch.setattr(_estimate, "array_bytes", lambda tree: 0)
    bytes_of("lower_gradients", 100)
    bytes_of("lower_update", 0)
    bytes_of("lower_reference", 1000)
    pairs = Dataset([{"prompt": "a", "chosen": row["completion"], "rejected": "b"} for row in rows])
    config = dataclasses.replace(CONFIG, micro_batch_size=1, dpo=DpoLoss())
    found = plan(model, pairs, config=config, memory=memory)
    assert (found.memory, found.largest_batch, found.largest_is_exact) == (4000, largest, True)
    assert found.rows == len(pairs)
    assert len(made) == len(lowered) - lowered.count("lower_update")


@pytest.mark.parametrize(
    "settings",
    [
        {"lora": LoraConfig(rank=2)},
        {"optimizer": "muon", "ema_decay": 0.9},
        {"optimizer": "adafactor", "freeze": ("*embed*",)},
    ],
)
def test_the_state_has_the_shapes_that_are_planned(model, settings):
    """Those of a run's first state, of weights in bfloat16 too."""
    config = TrainingConfig(**settings)
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), model.params)
    optimizer = make_optimizer(config, 10)
    trainable, frozen = divide(params, config)
    actual = start_state(optimizer, trainable), frozen
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), actual)
    assert state_shapes(param_shapes(params, None), config, optimizer, None) == shapes


@pytest.mark.parametrize("grow", [lambda n: 10 * n, lambda n: n * n, lambda n: 900 + n // 7 * 7])
@pytest.mark.parametrize("known", [1, 8, 64])
@pytest.mark.parametrize("limit", [5, 300, 1000, 5000])
def test_the_search_finds_what_trying_all_sizes_does(grow, known, limit):
    """Or says that it is not sure; never a size that does not fit."""
    asked = []

    def bytes_of(size: int) -> int:
        asked.append(size)
        return grow(size)

    found, is_exact = largest_that_fits(bytes_of, limit, known=(known, grow(known)), most=200)
    expected = max((size for size in range(1, 201) if grow(size) <= limit), default=0)
    assert len(asked) <= MOST_COMPILATIONS
    assert found <= expected
    assert found == expected or not is_exact
    if grow(1) == 10:
        assert is_exact, "bytes that grow by a line are found with the line"


def dot_operations(jaxpr, times: int = 1) -> int:
    """Multiplications and additions of all products in a traced program."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            operand = equation.invars[0].aval.shape
            inner = math.prod(operand[axis] for axis in contracted)
            total += times * 2 * inner * math.prod(equation.outvars[0].aval.shape)
        repeated = times * (equation.params["length"] if equation.primitive.name == "scan" else 1)
        inside = jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda node: hasattr(node, "eqns")
        )
        for node in inside:
            node = getattr(node, "jaxpr", node)
            total += dot_operations(node, repeated) if hasattr(node, "eqns") else 0
    return total


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    "settings", [{}, {"lora": LoraConfig(rank=5)}, {"freeze": ("*embed*", "*mlp*")}]
)
def test_the_formula_counts_the_products_of_the_traced_program(tied, settings):
    """Exactly, but for what it leaves out: pairs that the mask hides, and what is done twice."""
    config = DecoderConfig(260, 16, 32, 3, 2, 1, 8, 256, 1e4, 1e-5, tied)
    training = TrainingConfig(remat="none", **settings)
    params = init_params(config, 0)
    trainable, frozen = divide(params, training)
    tokens, trained = 40, 7
    row = TokenizedRow(np.arange(tokens, dtype=np.int32), np.arange(tokens) >= tokens - trained)
    batch = make_batch([row], shape=BatchShape(1, tokens, trained), pad_id=0)
    objective = Objective(config, training.lora, np.dtype(np.float32), "none")

    def gradient(weights):
        return jax.grad(objective, has_aux=True)(weights, frozen, batch)

    found = dot_operations(jax.make_jaxpr(gradient)(trainable).jaxpr)
    expected = epoch_flops(
        config, training, params, trainable, lengths=np.asarray([tokens]), trained_tokens=trained
    )
    hidden_pairs = tokens * tokens - tokens * (tokens + 1) // 2
    left_out = 12 * config.num_layers * 2 * 8 * hidden_pairs
    computed_again = 2 * config.num_layers * 2 * 8 * tokens * tokens  # attention's scores
    assert found == expected + left_out + computed_again


def test_a_window_bounds_the_pairs():
    """Counted one by one, in a model whose layers differ."""
    sizes = (260, 16, 32, 3, 2, 1, 8, 256, 1e4, 1e-5, True)
    local = (True, False, True)
    plain = DecoderConfig(*sizes, family="qwen2")
    windowed = DecoderConfig(*sizes, family="qwen2", sliding_window=4, local_layers=local)
    params, training = init_params(plain, 0), TrainingConfig()
    lengths = [3, 4, 9]

    def flops(config: DecoderConfig) -> int:
        return epoch_flops(
            config, training, params, params, lengths=np.asarray(lengths), trained_tokens=3
        )

    hidden = sum(max(at + 1 - 4, 0) for length in lengths for at in range(length))
    assert flops(plain) - flops(windowed) == 12 * 2 * 8 * hidden * 2


def test_a_step_is_timed_when_asked(model: Model, rows):
    """On zeros: the time of a run of twice the steps is about twice as long."""
    found = plan(model, rows, config=CONFIG, largest_batch=False, time_steps=True)
    assert found.seconds is not None
    assert 0 < found.seconds < 60
    assert ", compilation aside" in str(found)
