"""Preference tuning against TRL on the same weights and rows."""

import copy
import dataclasses
import importlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.data import Dataset
from modelops_jax.training import DpoLoss, Objective, TrainingConfig, evaluate_loss, read_examples
from modelops_jax.training._plan import Plan, batches_by_length
from modelops_jax.training._reference import reference_values

pytestmark = [
    pytest.mark.model,
    # TRL and transformers warn about their own internals.
    pytest.mark.filterwarnings("default"),
]

PAIRS = [
    {"prompt": f"Say {index}:", "chosen": "ab" * (1 + index % 3), "rejected": "c" * (index + 1)}
    for index in range(7)
]


def test_loss_and_rewards_are_those_of_trl(model, tmp_path: Path):
    """Of a policy that has moved away from its reference, in one evaluation of all pairs."""
    pytest.importorskip("trl")
    transformers, trl, datasets = map(importlib.import_module, ("transformers", "trl", "datasets"))
    # Without a template both read a row as prompt and answer and the end of the sequence.
    plain = dataclasses.replace(model.tokenizer, chat_template=None)
    base = dataclasses.replace(model, tokenizer=plain)
    random = np.random.default_rng(0)
    moved = jax.tree.map(
        lambda leaf: leaf + 0.05 * random.standard_normal(leaf.shape).astype(np.float32),
        base.params,
    )
    base.save(tmp_path / "base")
    dataclasses.replace(base, params=moved).save(tmp_path / "moved")

    def theirs(name: str):
        return transformers.AutoModelForCausalLM.from_pretrained(tmp_path / name)

    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "base")
    trainer = trl.DPOTrainer(
        model=theirs("moved"),
        ref_model=theirs("base"),
        args=trl.DPOConfig(
            output_dir=str(tmp_path / "trl"),
            beta=0.3,
            per_device_eval_batch_size=len(PAIRS),
            use_cpu=True,
            bf16=False,
            report_to="none",
        ),
        train_dataset=datasets.Dataset.from_list(copy.deepcopy(PAIRS)),
        eval_dataset=datasets.Dataset.from_list(copy.deepcopy(PAIRS)),
        processing_class=tokenizer,
    )
    expected = trainer.evaluate()

    config = TrainingConfig(batch_size=4, dpo=DpoLoss(beta=0.3))
    rows = read_examples(base, Dataset(PAIRS), config, name="training").rows
    plan = Plan(rows, config, base)
    values = reference_values(base.params, base.config, rows, plan, dtype=jnp.float32)
    objective = Objective(base.config, None, jnp.float32, "none", DpoLoss(beta=0.3))
    batches = [batch for batch, _ in batches_by_length(rows, plan, values=values)]
    found = objective.report(jax.device_get(evaluate_loss(objective, moved, None, batches)))
    for name, value in found.items():
        assert value == pytest.approx(expected[f"eval_{name}"], rel=1e-3, abs=1e-4), name
    other = dataclasses.replace(objective, loss=DpoLoss(beta=0.33))
    changed = other.report(jax.device_get(evaluate_loss(other, moved, None, batches)))
    assert changed["loss"] != pytest.approx(expected["eval_loss"], rel=1e-2)
