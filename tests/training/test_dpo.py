"""Preference tuning: the loss by its definition, the reference, and what a run records."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.data import Dataset
from modelops_jax.jobs._predict import _answer_bytes
from modelops_jax.models import LoraConfig
from modelops_jax.training import (
    ConfigError,
    DpoLoss,
    Objective,
    TrainingConfig,
    evaluate_loss,
    fit,
    read_examples,
)
from modelops_jax.training._generation import _question
from modelops_jax.training._plan import Plan, batches_by_length
from modelops_jax.training._reference import reference_values

CONFIG = TrainingConfig(batch_size=4, learning_rate=1e-2, dpo=DpoLoss(beta=0.3))
# Of odd number, so that a batch has a pair that is padding, and of different lengths.
PAIRS = Dataset(
    [
        {"prompt": f"Say {index}", "chosen": "ab" * (1 + index % 3), "rejected": "c" * (index + 1)}
        for index in range(7)
    ]
)


def log_likelihoods(model, rows) -> np.ndarray:
    """Of the trained tokens of each row, in float64, from the logits of whole rows."""
    ids = np.zeros((len(rows), int(rows.lengths.max())), np.int32)
    for index, row in enumerate(rows):
        ids[index, : len(row.token_ids)] = row.token_ids
    logits = np.asarray(model.logits(ids), np.float64)
    logits -= logits.max(axis=-1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return np.asarray([logs[index, row.at, row.targets].sum() for index, row in enumerate(rows)])


def test_the_loss_is_its_definition(model):
    """Against NumPy on log-likelihoods of whole rows, for a policy that moved away."""
    rows = read_examples(model, PAIRS, CONFIG, name="training").rows
    plan = Plan(rows, CONFIG, model)
    values = reference_values(model.params, model.config, rows, plan, dtype=jnp.float32)
    reference = log_likelihoods(model, rows)
    ends = np.concatenate([[0], np.cumsum(rows.trained_counts)])
    np.testing.assert_allclose(np.add.reduceat(values, ends[:-1]), reference, rtol=1e-5)

    random = np.random.default_rng(0)
    moved = jax.tree.map(
        lambda leaf: leaf + 0.05 * random.standard_normal(leaf.shape).astype(np.float32),
        model.params,
    )
    objective = Objective(model.config, None, jnp.float32, "none", DpoLoss(beta=0.3))
    batches = [batch for batch, _ in batches_by_length(rows, plan, values=values)]
    sums = jax.device_get(evaluate_loss(objective, moved, None, batches))
    policy = log_likelihoods(dataclasses.replace(model, params=moved), rows)
    rewards = 0.3 * (policy - reference).reshape(-1, 2)
    margins = rewards[:, 0] - rewards[:, 1]
    losses = np.log1p(np.exp(-margins))
    assert np.ptp(margins) > 1, "the test would not see much"
    assert int(sums.units) == len(PAIRS)
    report = objective.report(sums)
    assert report["loss"] == pytest.approx(losses.mean(), rel=1e-5)
    assert float(sums.worst) == pytest.approx(losses.max(), rel=1e-5)
    assert report["rewards/chosen"] == pytest.approx(rewards[:, 0].mean(), rel=1e-4)
    assert report["rewards/rejected"] == pytest.approx(rewards[:, 1].mean(), rel=1e-4)
    assert report["rewards/margins"] == pytest.approx(margins.mean(), rel=1e-4)
    assert report["rewards/accuracies"] == (margins > 0).mean()


def test_a_run_begins_at_the_reference_and_prefers_the_chosen_answers(model):
    """At first nothing is preferred, and the loss is log 2; in the end all chosen answers are."""
    config = dataclasses.replace(
        CONFIG, epochs=8, micro_batch_size=2, lora=LoraConfig(rank=2), eval_every=14
    )
    result = fit(model, PAIRS, config=config, eval=PAIRS, progress="off")
    first, last = result.history[0], result.history[-1]
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert first["rewards/margins"] == pytest.approx(0, abs=1e-5)
    assert last["eval_rewards/accuracies"] == 1
    assert last["eval_loss"] < 0.5
    rows = read_examples(model, PAIRS, config, name="training").rows
    gained = (log_likelihoods(result.model, rows) - log_likelihoods(model, rows)).reshape(-1, 2)
    margin = 0.3 * (gained[:, 0] - gained[:, 1]).mean()
    assert last["eval_rewards/margins"] == pytest.approx(margin, rel=1e-3)


def test_only_rows_that_are_trained_on_are_read_by_the_reference(model):
    """A run of one step, of four pairs or of three, leaves those of the other step alone."""
    config = dataclasses.replace(CONFIG, max_steps=1)
    rows = read_examples(model, PAIRS, config, name="training").rows
    used = Plan(rows, config, model).used_sequences()
    assert len(set(used.tolist())) == len(used)
    assert len(used) in (3, 4)
    assert len(Plan(rows, CONFIG, model).used_sequences()) == 7


def test_an_answer_to_a_conversation_is_trained_alone(model):
    """Earlier turns of the assistant belong to the prompt; both answers share it."""
    turn = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    row = {
        "prompt": [*turn, turn[0]],
        "chosen": [{"role": "assistant", "content": "Yes?"}],
        "rejected": [{"role": "assistant", "content": "What"}],
    }
    rows = read_examples(model, Dataset([row]), CONFIG, name="training").rows
    decode = model.tokenizer.decode
    assert [decode(row.targets.tolist()) for row in rows] == ["Yes?", "What"]
    before = [row.token_ids[: row.at[0] + 1].tolist() for row in rows]
    assert before[0] == before[1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"packing": True}, 'packing must be false and train_on "assistant", found True'),
        ({"train_on": "all"}, "found False and 'all'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    """Packed pairs, and a loss on more than the answers."""
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(CONFIG, **settings)


def test_what_two_conversations_share_is_their_prompt(model):
    """Without a prompt, as in files of whole conversations: the same tokens, trained alike."""
    asked = [
        {"role": "user", "content": "2+2?"},
        {"role": "assistant", "content": "4"},
        {"role": "user", "content": "3+3?"},
    ]
    answers = {
        name: [{"role": "assistant", "content": text}]
        for name, text in (("chosen", "6"), ("rejected", "seven"))
    }
    apart = Dataset([{"prompt": asked, **answers}])
    whole = Dataset([{name: [*asked, *answer] for name, answer in answers.items()}])
    assert whole.validate("preference")
    one, other = (
        read_examples(model, rows, CONFIG, name="training").rows for rows in (apart, whole)
    )
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left.token_ids, right.token_ids)
        np.testing.assert_array_equal(left.at, right.at)
        assert len(left.at) < len(left.token_ids) / 2
    assert _question(model, whole[0]) == _question(model, apart[0]) == (asked, "6")
    assert _answer_bytes(whole[0]) == _answer_bytes(apart[0]) == len("seven")


def test_bad_pairs_and_values_are_named(model):
    """A row of another kind by its index, and values out of their range."""
    with pytest.raises(ValueError, match=r"row 0: found keys .* expected 'prompt', 'chosen'"):
        fit(model, Dataset([{"prompt": "a", "completion": "b"}]), config=CONFIG)
    long = Dataset([PAIRS[0], PAIRS[0] | {"rejected": "x" * 10}])
    with pytest.raises(ValueError, match=r"longer than 32 tokens; the first is row 1 with \d+"):
        fit(model, long, config=dataclasses.replace(CONFIG, max_length=32))
    with pytest.raises(ValueError, match=r"dpo\.beta must be positive"):
        DpoLoss(beta=0.0)
