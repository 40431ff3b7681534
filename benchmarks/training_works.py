"""What the trainers are timed on, and one trainer's run in a process of its own.

    python benchmarks/training_works.py CONTENDER FOLDER

`benchmarks/training.py` writes the folder (the model as a Hugging Face folder, the tokenised
batches of every step and `work.json`) and starts this once a contender, so that peak memory is
one contender's own. Prints one line of JSON: seconds and loss of each step, and peak memory.
"""

import dataclasses
import functools
import importlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

FRUGAL = 'ours, remat = "layer"'


@dataclasses.dataclass(frozen=True)
class Work:
    """One line of the table: the same for every contender."""

    name: str
    model: str
    lora_rank: int | None
    batch_size: int
    steps: int
    learning_rate: float
    bars: dict[str, float]
    """By contender: how many times as slow as ours it has to be."""

    memory_bar: tuple[str, float] | None = None
    """A contender, and the share of its memory that ours with `remat = "layer"` may need."""

    first_step_bar: float | None = None
    """Most seconds that our first step may take, with all that is compiled in it."""

    contenders: tuple[str, ...] = (FRUGAL, "trl", "trl without checkpointing")
    padded_tokens: int | None = None
    """Rows of so many random tokens, all of them trained; None: the spam rows."""


TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

WORKS = {
    "lora": Work(
        "SmolLM2-135M, LoRA of rank 16 on all projections, spam rows, 8 a step",
        "smollm2-135m-instruct", 16, 8, 24, 2e-4, {"trl": 2.5}, ("trl", 0.4), 20,
    ),
    "full": Work(
        "SmolLM2-135M, all weights, spam rows, 8 a step",
        "smollm2-135m-instruct", None, 8, 8, 1e-5, {"trl": 2.0},
    ),
    "padded": Work(
        "Llama of 42 M parameters, all weights, 4 rows of 256 trained tokens a step",
        "llama-42m", None, 4, 10, 1e-4, {"transformers loop": 1.0},
        contenders=("transformers loop",), padded_tokens=256,
    ),
}  # fmt: skip

Run = Callable[[Work, Path, list[list[dict[str, Any]]]], list[tuple[float, float]]]


def ours(
    work: Work, folder: Path, steps: list[list[dict[str, Any]]], remat: Literal["auto", "layer"]
) -> list[tuple[float, float]]:
    """`modelops_jax.training.fit`, from the text of the rows; or its step, on given tokens."""
    from modelops_jax import Dataset
    from modelops_jax.models import LoraConfig, load
    from modelops_jax.training import TrainingConfig, fit

    model = load(folder / "model")
    config = TrainingConfig(
        batch_size=work.batch_size,
        max_steps=work.steps,
        learning_rate=work.learning_rate,
        schedule="constant",
        remat=remat,
        lora=LoraConfig(rank=work.lora_rank, targets=TARGETS, alpha=32) if work.lora_rank else None,
    )
    if work.padded_tokens:
        return _our_steps(model, config, steps)
    rows = Dataset.from_file(folder / "rows.jsonl")
    history = fit(model, rows, config=config, progress="off").history
    return [(record["seconds"], record["loss"]) for record in history]


def _our_steps(model: Any, config: Any, steps: list[list[dict]]) -> list[tuple[float, float]]:
    import jax

    from modelops_jax.training import (
        BatchShape,
        Objective,
        TokenizedRow,
        gradient_memory,
        make_batch,
        make_optimizer,
        start_state,
        train_step,
    )

    objective = Objective(model.config, None, np.dtype(np.float32), config.remat)
    optimizer = make_optimizer(config, len(steps))
    state, memory, found = start_state(optimizer, model.params), gradient_memory(), []
    for rows in steps:
        begun = time.perf_counter()
        made = [
            TokenizedRow(
                np.asarray(row["input_ids"], np.int32), np.ones(len(row["input_ids"]), bool)
            )
            for row in rows
        ]
        length = len(made[0].token_ids)
        shape = BatchShape(len(made), length, len(made) * (length - 1))
        batch = make_batch(made, shape=shape, pad_id=0)
        state, sums = train_step(objective, optimizer, state, {}, [batch], memory)
        sums = jax.device_get(sums)
        found.append((time.perf_counter() - begun, float(sums.loss) / int(sums.units)))
    return found


def in_trl(work: Work, folder: Path, steps: list[list[dict]], checkpointing: bool = True) -> Any:
    """TRL's SFTTrainer, with PEFT for LoRA; its defaults but for what the work says."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback

    datasets, peft, trl = map(importlib.import_module, ("datasets", "peft", "trl"))

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.seconds: list[float] = []

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.begun = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.seconds.append(time.perf_counter() - self.begun)

    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    clock = Clock()
    trainer = trl.SFTTrainer(
        model=model,
        processing_class=AutoTokenizer.from_pretrained(folder / "model"),
        train_dataset=datasets.Dataset.from_list([row for rows in steps for row in rows]),
        args=trl.SFTConfig(
            output_dir=str(folder / "trl"),
            use_cpu=True,
            bf16=False,
            max_steps=work.steps,
            per_device_train_batch_size=work.batch_size,
            learning_rate=work.learning_rate,
            lr_scheduler_type="constant",
            train_sampling_strategy="sequential",
            gradient_checkpointing=checkpointing,
            completion_only_loss=True,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        peft_config=peft.LoraConfig(r=work.lora_rank, lora_alpha=32, target_modules=list(TARGETS))
        if work.lora_rank
        else None,
        callbacks=[clock],
    )
    trainer.train()
    losses = [record["loss"] for record in trainer.state.log_history if "loss" in record]
    return list(zip(clock.seconds, losses, strict=True))


def transformers_loop(work: Work, folder: Path, steps: list[list[dict]]) -> Any:
    """The plain loop: forward, backward, clip, fused AdamW."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=work.learning_rate, weight_decay=0.0, fused=True
    )
    model.train()
    found = []
    for rows in steps:
        begun = time.perf_counter()
        ids = torch.tensor([row["input_ids"] for row in rows])
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        found.append((time.perf_counter() - begun, loss.item()))
    return found


CONTENDERS: dict[str, Run] = {
    "ours": functools.partial(ours, remat="auto"),
    FRUGAL: functools.partial(ours, remat="layer"),
    "trl": in_trl,
    "trl without checkpointing": lambda *arguments: in_trl(*arguments, checkpointing=False),
    "transformers loop": transformers_loop,
}


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    facts = json.loads((folder / "work.json").read_text())
    begun = time.perf_counter()
    work = dataclasses.replace(WORKS[facts["work"]], steps=len(facts["steps"]))
    found = CONTENDERS[name](work, folder, facts["steps"])
    print(
        json.dumps(
            {
                "seconds": [seconds for seconds, _ in found],
                "losses": [loss for _, loss in found],
                "whole": time.perf_counter() - begun,
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
