"""A sweep: its members are the runs that `fit` would do, through programs compiled once."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from modelops_jax.models import LoraConfig, merge_lora
from modelops_jax.training import TrainingConfig, fit, sweep, sweep_table
from modelops_jax.training._step import _accumulate, _measure, _update_at_once

CONFIG = TrainingConfig(
    batch_size=4,
    max_steps=5,
    weight_decay=0.1,
    warmup_steps=1,
    remat="none",
    lora=LoraConfig(alpha=4.0),
)


@pytest.mark.model  # 16 s of compilations; the example of `sweep` runs always
def test_a_member_is_the_run_alone(model, rows):
    """The smaller rank, the other rate and seed: losses and weights equal within rounding."""
    programs: tuple[Any, ...] = (_accumulate, _update_at_once, _measure)
    before = [program._cache_size() for program in programs]
    members = sweep(
        model,
        rows,
        config=CONFIG,
        learning_rates=[1e-3, 2e-2],
        ranks=[1, 3],
        seeds=[0, 5],
        eval=rows[:3],
    )
    compiled = [
        program._cache_size() - count for program, count in zip(programs, before, strict=True)
    ]
    assert compiled == [1, 1, 1], "eight members, one program each"
    assert len({tuple(member.record.items()) for member in members}) == 8
    found = next(
        member
        for member in members
        if (member.record["learning_rate"], member.record["rank"], member.record["seed"])
        == (2e-2, 1, 5)
    )
    lora = LoraConfig(alpha=4.0, rank=1)
    alone = dataclasses.replace(CONFIG, learning_rate=2e-2, seed=5, lora=lora)
    result = fit(model, rows, config=alone, eval=rows[:3], progress="off")
    last, evaluation = result.history[-2:]
    assert found.record["loss"] == pytest.approx(last["loss"], rel=1e-5)
    assert found.record["eval_loss"] == pytest.approx(evaluation["eval_loss"], rel=1e-5)
    assert found.record["eval_token_accuracy"] == evaluation["eval_token_accuracy"]
    merged = merge_lora(model.params, found.adapters)
    jax.tree.map(
        lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5),
        merged,
        result.model.params,
    )
    lines = sweep_table(members).splitlines()
    assert len(lines) == 9
    losses = [float(line.split()[lines[0].split().index("eval_loss")]) for line in lines[1:]]
    assert losses == sorted(losses)


def test_steps_that_are_not_finite_are_in_the_record_and_the_table(model, rows):
    """A rate that ruins the weights in one step: what comes after is skipped, of that member."""
    config = dataclasses.replace(CONFIG, warmup_steps=0, max_steps=6)
    members = sweep(model, rows, config=config, learning_rates=[1e-3, 1e30], ranks=[2], seeds=[0])
    assert [member.record["skipped_steps"] for member in members] == [0, 5]
    head, *lines = [line.split() for line in sweep_table(members).splitlines()]
    assert [line[head.index("skipped_steps")] for line in lines] == ["0", "5"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lora": None}, "trains adapters"),
        ({"packing": True}, "no training.packing True"),
        ({"ema_decay": 0.9}, r"no training\.ema_decay 0\.9"),
        ({"optimizer": "schedule_free_adamw", "schedule": "constant"}, "no training.optimizer"),
    ],
)
def test_settings_that_a_sweep_has_not_are_refused(model, rows, settings, message):
    """Each by its name."""
    config = dataclasses.replace(CONFIG, **settings)
    with pytest.raises(ValueError, match=message):
        sweep(model, rows, config=config, learning_rates=[1e-3], ranks=[1], seeds=[0])
    adafactor = dataclasses.replace(CONFIG, optimizer="adafactor", weight_decay=0.0)
    with pytest.raises(ValueError, match=r"of several ranks has no .*'adafactor'"):
        sweep(model, rows, config=adafactor, learning_rates=[1.0], ranks=[1, 2], seeds=[0])
    with pytest.raises(ValueError, match="at least one entry each"):
        sweep(model, rows, config=CONFIG, learning_rates=[], ranks=[1], seeds=[0])
    with pytest.raises(ValueError, match="the evaluation dataset is empty"):
        sweep(model, rows, config=CONFIG, learning_rates=[1.0], ranks=[1], seeds=[0], eval=rows[:0])
