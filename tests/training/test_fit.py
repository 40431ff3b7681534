"""Training's laws: accumulation, evaluation, adapters, and real learning."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from modelops_jax.models import (
    Adapters,
    LoraConfig,
    MeshShape,
    init_lora,
    make_mesh,
    shard_weights,
)
from modelops_jax.training import (
    Batches,
    BatchShape,
    LossSums,
    Objective,
    TokenizedRow,
    TrainingConfig,
    TrainingDiverged,
    evaluate_loss,
    fit,
    gradient_sums,
    make_batch,
    make_optimizer,
    start_state,
    tokenize,
    train_step,
)

# Runs of it on all rows have one shape, which is compiled once.
QUICK = TrainingConfig(batch_size=4, learning_rate=1e-2, max_steps=6, epochs=10)
ONE_TARGET = LoraConfig(rank=2, targets=("q_proj",))


def assert_equal_trees(left, right):
    """Bit for bit."""
    jax.tree.map(np.testing.assert_array_equal, left, right)


def batches_of(data, size: int, dropout_seed: int | None = None):
    """All rows, in their order."""
    indices = range(len(data))
    groups = [indices[start : start + size] for start in indices[::size]]
    # One shape, compiled once.
    batches = Batches(data, groups, size=size, pad_id=0, worth=1000, dropout_seed=dropout_seed)
    return [batches.make(group) for group in groups]


def objective_of(model, lora=None) -> Objective:
    """The loss of full fine-tuning, or of adapters."""
    return Objective(model.config, lora, jnp.float32, "none")


DROPPING = LoraConfig(rank=2, dora=True, dropout=0.3)


@pytest.mark.parametrize(
    "lora", [None, DROPPING, pytest.param(LoraConfig(rank=2), marks=pytest.mark.model)]
)
def test_accumulated_gradients_equal_the_full_batch(model, rows, lora):
    """Micro-batches of 2 or 5 rows, all with different masks, give the batch's gradient."""
    data = tokenize(rows, model.tokenizer, QUICK, context=256, name="training")
    trainable, frozen = model.params, None
    if lora is not None:
        fresh = init_lora(model.params, lora, 0)
        # B at zero would make A's gradient zero, and the test blind to it.
        shifted = jax.tree.map(lambda leaf: leaf + 0.01, fresh.weights)
        trainable, frozen = shifted, model.params

    def mean_gradients(size: int):
        batches = batches_of(data, size, 0 if lora and lora.dropout else None)
        gradients, sums = gradient_sums(objective_of(model, lora), trainable, frozen, batches)
        assert int(sums.units) == data.trained_tokens
        return jax.tree.map(lambda leaf: np.asarray(leaf) / int(sums.units), gradients), sums

    full, full_sums = mean_gradients(len(data))
    norm = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(full))
    for size in (5,) if lora is None else (2,):
        parts, sums = mean_gradients(size)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-6 * max(norm, 1.0)),
            parts,
            full,
        )
        assert float(sums.loss) == pytest.approx(float(full_sums.loss), rel=1e-6)
        assert int(sums.totals["correct"]) == int(full_sums.totals["correct"])
        assert float(sums.worst) == pytest.approx(float(full_sums.worst), rel=1e-6)


def test_loss_is_the_mean_over_trained_tokens(model, rows):
    """Against log-likelihoods of whole rows, of which each token sees what is before it."""
    data = tokenize(rows, model.tokenizer, QUICK, context=256, name="training")
    sums = evaluate_loss(
        objective_of(model),
        model.params,
        None,
        batches_of(data, 4),
    )
    ids = np.zeros((len(data), int(data.lengths.max())), np.int32)
    for index, row in enumerate(data):
        ids[index, : len(row.token_ids)] = row.token_ids
    every = scipy.special.log_softmax(np.asarray(model.logits(ids), np.float64), axis=-1)
    total, worst = 0.0, 0.0
    for row, logs in zip(data, every, strict=True):
        losses = [-logs[at - 1, row.token_ids[at]] for at in np.flatnonzero(row.trained) if at > 0]
        total, worst = total + sum(losses), max(worst, *losses)
    assert float(sums.loss) == pytest.approx(total, rel=1e-5)
    assert float(sums.worst) == pytest.approx(worst, rel=1e-5)
    assert int(sums.units) == data.trained_tokens


def test_history_tells_what_happened(model, rows):
    """One record a step and one an evaluation; the loss falls; progress ends at the last step."""
    records = []
    config = dataclasses.replace(QUICK, eval_every=4)
    result = fit(model, rows, config=config, eval=rows[:2], callback=records.append)
    assert result.history == records
    steps = [record for record in records if "loss" in record]
    assert [record["step"] for record in steps] == [1, 2, 3, 4, 5, 6]
    assert [record["step"] for record in records if "eval_loss" in record] == [4, 6]
    assert steps[-1]["loss"] < steps[0]["loss"]
    assert steps[0]["learning_rate"] == pytest.approx(1e-2)
    assert [record["epoch"] for record in steps] == [0, 0, 0, 1, 1, 1]
    assert result.checkpoint is None
    assert not result.stopped


def test_the_base_model_is_left_alone(model, rows):
    """Neither adapters nor full fine-tuning change the weights they were given."""
    before = jax.tree.map(np.asarray, model.params)
    for lora in (None, ONE_TARGET):
        config = dataclasses.replace(QUICK, lora=lora)
        result = fit(model, rows, config=config, progress="off")
        assert_equal_trees(before, model.params)
        changed = jax.tree.map(lambda a, b: bool((a != b).any()), before, result.model.params)
        assert any(jax.tree.leaves(changed))


def test_a_model_from_a_mesh_is_trained_on_one_device_as_configured(model, rows):
    """What a run on a mesh gave, and a further run without one: the same numbers."""
    away = shard_weights(model.params, make_mesh(MeshShape()))
    config = dataclasses.replace(QUICK, max_steps=1)
    runs = [
        fit(one, rows, config=config, progress="off")
        for one in (model, dataclasses.replace(model, params=away))
    ]
    assert_equal_trees(runs[0].model.params, runs[1].model.params)


def test_only_adapted_weights_change(model, rows):
    """With adapters on `q_proj` alone, every other weight stays bit for bit."""
    config = dataclasses.replace(QUICK, lora=ONE_TARGET)
    tuned = fit(model, rows, config=config, progress="off").model.params
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), model.params, tuned)
    names = {
        jax.tree_util.keystr(path)
        for path, is_changed in jax.tree.leaves_with_path(changed)
        if is_changed
    }
    assert len(names) == 1
    assert "q_proj" in names.pop()


def test_frozen_weights_stay(model, rows):
    """Everything trains but what the patterns name, and the rest learns as well as it can."""
    config = dataclasses.replace(QUICK, freeze=("model.embed_tokens.*", "*norm*"))
    tuned = fit(model, rows, config=config, progress="off").model.params
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), model.params, tuned)
    for path, is_changed in jax.tree.leaves_with_path(changed):
        name = jax.tree_util.keystr(path)
        assert is_changed == ("_proj" in name), name


def test_freezing_names_its_mistakes(model, rows):
    """A pattern without a weight, and patterns that leave nothing."""
    for patterns, message in (
        (("*query*",), r"training\.freeze: '\*query\*' matches none of model\.embed_tokens"),
        (("*",), "nothing is left to train"),
    ):
        with pytest.raises(ValueError, match=message):
            fit(model, rows, config=dataclasses.replace(QUICK, freeze=patterns), progress="off")


def test_stops_when_every_token_is_learned(model):
    """`target_worst_loss` ends the run at the epoch in which no token was above it."""
    from modelops_jax.data import Dataset

    one = Dataset([{"prompt": "a", "completion": "b"}])
    config = TrainingConfig(epochs=300, learning_rate=1e-2, target_worst_loss=0.1)
    history = fit(model, one, config=config, progress="off").history
    assert history[-1]["step"] < 300
    assert history[-1]["worst_loss"] <= 0.1
    assert all(record["worst_loss"] > 0.1 for record in history[:-1])


def test_the_best_evaluation_is_kept_and_patience_ends_the_run(model, rows, tmp_path):
    """With a rate that ruins the model, the weights are those before the ruin."""
    held_out, train = rows[:2], rows[2:]
    config = dataclasses.replace(
        QUICK,
        learning_rate=0.3,
        max_steps=20,
        eval_every=1,
        log_every=100,
        keep_best=True,
        early_stopping_patience=3,
    )
    result = fit(model, train, config=config, eval=held_out, folder=tmp_path, progress="off")
    losses = {r["step"]: r["eval_loss"] for r in result.history if "eval_loss" in r}
    assert result.step == min(losses, key=losses.__getitem__)
    assert max(losses) == result.step + 3 < 20
    steps = [(r["step"], "epoch" in r) for r in result.history]
    assert steps[-2:] == [(max(losses), True), (max(losses), False)], "the last step's, and first"
    assert [step for step, of_step in steps if of_step] == [max(losses)]
    assert result.checkpoint == tmp_path / f"step-{max(losses):08d}"
    data = tokenize(held_out, model.tokenizer, config, context=256, name="evaluation")
    sums = evaluate_loss(objective_of(model), result.model.params, None, batches_of(data, 2))
    assert float(sums.loss) / int(sums.units) == pytest.approx(losses[result.step], rel=1e-5)
    again = fit(
        model, train, config=config, eval=held_out, folder=tmp_path, resume=True, progress="off"
    )
    assert again.history == result.history, "a finished run was continued"
    assert_equal_trees(again.model.params, result.model.params)


def test_settings_that_need_more_say_so(model, rows, tmp_path):
    """The best of no evaluations, or kept nowhere; a run that goes on from nowhere."""
    config = TrainingConfig(keep_best=True, eval_every=2)
    with pytest.raises(
        ValueError, match=r"training\.eval_every, training\.keep_best: need held-out"
    ):
        fit(model, rows, config=config, folder=tmp_path)
    with pytest.raises(ValueError, match="needs a folder"):
        fit(model, rows, config=TrainingConfig(keep_best=True), eval=rows)
    with pytest.raises(ValueError, match="resume needs a folder"):
        fit(model, rows, config=TrainingConfig(max_steps=1), resume=True)


def test_divergence_is_an_error(model, rows):
    """Losses that stay not finite end the run and name the step and the remedy."""
    broken = jax.tree.map(lambda leaf: leaf * jnp.nan, model.params)
    records = []
    with pytest.raises(
        TrainingDiverged, match=r"4 of the steps up to step 4 .* nan.*learning_rate"
    ):
        fit(
            dataclasses.replace(model, params=broken),
            rows,
            config=QUICK,
            callback=records.append,
            progress="off",
        )
    assert [record["skipped_steps"] for record in records] == [1, 2, 3]
    assert not any("loss" in record for record in records)


def scaled_square(trainable, frozen, batch):
    """A loss whose value and gradient the batch's first token decides."""
    loss = jnp.asarray([1.0, jnp.nan, jnp.inf, 2.0])[batch.token_ids[0, 0]] * (trainable**2).sum()
    one = jnp.ones((), jnp.int32)
    value = jax.lax.stop_gradient(loss)
    return loss, LossSums(value, one, value, {})


def test_a_step_that_is_not_finite_changes_nothing_but_the_count():
    """Weights and moments stay as they were, and the next step goes on from there."""
    optimizer = make_optimizer(QUICK, 10)

    def run(*tokens):
        state = start_state(optimizer, jnp.asarray([1.0, -2.0]))
        for token in tokens:
            row = TokenizedRow(np.asarray([token, 9], np.int32), np.asarray([False, True]))
            batch = make_batch([row], shape=BatchShape(1, 8, 16), pad_id=0)
            state, _ = train_step(scaled_square, optimizer, state, None, [batch])
        return jax.device_get(state)

    through = run(0, 1, 2, 3)
    assert through.skipped == 2
    assert_equal_trees(through._replace(skipped=0), run(0, 3)._replace(skipped=0))


def test_adapters_scale_is_alpha_over_rank(model):
    """The scale LoRA's authors define."""
    assert init_lora(model.params, LoraConfig(rank=4, alpha=6.0), 0).scale == 1.5
    assert isinstance(init_lora(model.params, LoraConfig(), 0), Adapters)
