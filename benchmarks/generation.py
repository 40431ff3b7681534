"""Time generation beside transformers: the same model, prompts and number of tokens.

    python benchmarks/generation.py

Both take turns in one process, greedily and without a stop token; what is compiled is compiled
before. Prints a table and writes it to benchmarks/reports, dated.
"""

import argparse
import datetime
import importlib.metadata
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from modelops_jax.models import Model, generate, load

# Batch -> how many times transformers' tokens a second ours has to be.
BARS = {1: 1.0, 16: 3.0}
PROMPT_TOKENS = 24
# Two programs round differently, so that now and then a row goes another way at a near tie.
LEAST_AGREEMENT = 0.75

Contender = Callable[[list[list[int]]], list[list[int]]]


def ours(model: Model, new_tokens: int) -> Contender:
    """`modelops_jax.models.generate`."""

    def run(prompts: list[list[int]]) -> list[list[int]]:
        options: dict[str, Any] = {"max_new_tokens": new_tokens, "stop_ids": (), "pad_id": 0}
        return generate(model.params, model.config, prompts, **options)

    return run


def transformers_generate(folder: Path, new_tokens: int) -> Contender:
    """Its `generate`, with its key/value cache."""
    import torch
    from transformers import AutoModelForCausalLM

    loaded: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    loaded.generation_config.eos_token_id = None

    def run(prompts: list[list[int]]) -> list[list[int]]:
        ids = torch.tensor(prompts)
        with torch.no_grad():
            made = loaded.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=new_tokens,
                pad_token_id=0,
            )
        return made[:, ids.shape[1] :].tolist()

    return run


def compare(model: Model, contenders: dict[str, Contender], new_tokens: int, rounds: int) -> str:
    """The table's rows: the best of the rounds of each."""
    lines = [
        "| rows | ours, tokens/s | transformers, tokens/s | ours is | bar | equal rows |",
        "|---|---|---|---|---|---|",
    ]
    random = np.random.default_rng(0)
    for batch, bar in BARS.items():
        prompts = random.integers(100, model.config.vocab_size, (batch, PROMPT_TOKENS)).tolist()
        made = {name: run(prompts) for name, run in contenders.items()}
        equal = float(np.mean([a == b for a, b in zip(*made.values(), strict=True)]))
        if batch > 1 and equal < LEAST_AGREEMENT:
            raise SystemExit(f"only {equal:.0%} of {batch} rows are the same as transformers'")
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, run in contenders.items():
                begun = time.perf_counter()
                run(prompts)
                seconds[name].append(time.perf_counter() - begun)
        own, theirs = (batch * new_tokens / min(times) for times in seconds.values())
        reached = "yes" if own / theirs >= bar else "**no**"
        lines.append(
            f"| {batch} | {own:.1f} | {theirs:.1f} | {own / theirs:.2f} x | {bar} {reached} "
            f"| {equal:.0%} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time generation beside transformers.")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--tokens", type=int, default=64, help="new tokens a row")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--report", default="benchmarks/reports", help="folder; '' for none")
    options = parser.parse_args()
    model = load(options.model)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        model.save(folder)
        contenders = {
            "ours": ours(model, options.tokens),
            "transformers": transformers_generate(folder, options.tokens),
        }
        table = compare(model, contenders, options.tokens, options.rounds)
    today = datetime.date.today().isoformat()
    versions = ", ".join(
        f"{package} {importlib.metadata.version(package)}"
        for package in ("jax", "torch", "transformers")
    )
    text = (
        f"# Generation beside transformers\n\n{today}, {platform.machine()}, {os.cpu_count()} x "
        f"cpu, {versions}. {options.model}, float32, greedy, {PROMPT_TOKENS} prompt and "
        f"{options.tokens} new tokens a row, best of {options.rounds} rounds in turn.\n\n{table}\n"
        "\nWhat was profiled, and tried where a bar is missed: `benchmarks/training_notes.md`.\n"
    )
    print(text)
    if options.report:
        (Path(options.report) / f"{today}-generation.md").write_text(text)


if __name__ == "__main__":
    main()
