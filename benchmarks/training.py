"""Time fine-tuning beside TRL with PEFT and a plain transformers loop, each in its own process.

    make bench-training
    python benchmarks/training.py --only lora --steps 4 --report ''

All train the same weights on the same rows in the same order; the losses are compared, and the
run fails where they differ. Tokens are real ones: padding counts for nobody.
"""

import argparse
import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from training_works import FRUGAL, WORKS, Work

from modelops_jax import Dataset
from modelops_jax.models import DecoderConfig, Model, init_params, load
from modelops_jax.training import TrainingConfig, epoch_batches, tokenize

SPAM = "training/data/spam/train.jsonl"
NOTES = Path(__file__).parent / "training_notes.md"
LLAMA_42M = DecoderConfig(
    vocab_size=32000,
    hidden_size=512,
    intermediate_size=1376,
    num_layers=8,
    num_heads=8,
    num_kv_heads=8,
    head_dim=64,
    max_position=2048,
    rope_theta=1e4,
    rms_norm_eps=1e-5,
    tie_word_embeddings=True,
)
# Losses of float32 runs part slowly: the first step's tightly, later ones with the weights.
TOLERANCE_FIRST, TOLERANCE = 1e-3, 5e-2


@dataclasses.dataclass(frozen=True)
class Result:
    """One contender's run."""

    seconds: list[float]
    losses: list[float]
    whole: float
    peak: int

    def steady(self, tokens: list[int]) -> float:
        """Real tokens a second in the second half of the steps, when all is compiled."""
        half = len(tokens) // 2
        return sum(tokens[half:]) / sum(self.seconds[half:])

    def all_steps(self, tokens: list[int]) -> float:
        """Real tokens a second of all steps, compilation included."""
        return sum(tokens) / sum(self.seconds)

    @property
    def first(self) -> float:
        """How much longer the first step took than the middle one: compilation."""
        return self.seconds[0] - statistics.median(self.seconds)


def prepare(key: str, work: Work, folder: Path) -> list[int]:
    """Write what every contender reads; returns the real tokens of each step."""
    model = base_model(work)
    model.save(folder / "model")
    if work.padded_tokens:
        random = np.random.default_rng(0)
        shape = (work.steps, work.batch_size, work.padded_tokens)
        ids = random.integers(0, model.config.vocab_size, shape).tolist()
        steps = [[{"input_ids": row, "completion_mask": [1] * len(row)} for row in s] for s in ids]
    else:
        rows = Dataset.from_file(SPAM)
        rows.to_jsonl(folder / "rows.jsonl")
        config = TrainingConfig(batch_size=work.batch_size)
        tokens = tokenize(
            rows, model.tokenizer, config, context=model.config.max_position, name="training"
        )
        order = epoch_batches(tokens.lengths, work.batch_size, seed=config.seed, epoch=0)[
            : work.steps
        ]
        steps = [
            [
                {
                    "input_ids": tokens[index].token_ids.tolist(),
                    "completion_mask": tokens[index].trained.astype(int).tolist(),
                }
                for index in group
            ]
            for group in order
        ]
    (folder / "work.json").write_text(json.dumps({"work": key, "steps": steps}))
    return [sum(len(row["input_ids"]) for row in rows) for rows in steps]


def base_model(work: Work) -> Model:
    """The model of a work; random weights in the shape of a Llama of 42 M parameters."""
    if work.model != "llama-42m":
        return load(work.model)
    tokenizer = load("tiny").tokenizer  # goes with the folder; the rows are tokens
    return Model(LLAMA_42M, init_params(LLAMA_42M, 0), tokenizer, name="llama-42m")


def contend(name: str, folder: Path, python: str) -> Result:
    """Run one contender in its own process."""
    script = Path(__file__).with_name("training_works.py")
    done = subprocess.run(
        [python, str(script), name, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.getcwd(), "TOKENIZERS_PARALLELISM": "false"},
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-4000:]}")
    return Result(**json.loads(done.stdout.splitlines()[-1]))


def agree(name: str, found: Result, expected: Result) -> None:
    """Refuse to compare the times of runs that learn different things."""
    pairs = list(zip(found.losses, expected.losses, strict=True))
    for step, (theirs, own) in enumerate(pairs):
        tolerance = TOLERANCE if step else TOLERANCE_FIRST
        if abs(theirs - own) > tolerance * max(1.0, abs(own)):
            raise SystemExit(f"step {step + 1}: the loss of {name} is {theirs}, ours {own}")


def matrix_peak() -> float:
    """Floating point operations a second of a large float32 matrix product."""
    size = 2048
    values = jnp.ones((size, size), jnp.float32)
    product = jax.jit(jnp.matmul)
    product(values, values).block_until_ready()
    begun = time.perf_counter()
    for _ in range(5):
        product(values, values).block_until_ready()
    return 5 * 2 * size**3 / (time.perf_counter() - begun)


def operations_per_token(work: Work, model: Model) -> float:
    """Of the layers' matrix products: 2 a weight forward, 2 back to the inputs, 2 to the weights.

    LoRA does not go back to the weights. Attention scores, the adapters' own products and the
    head are left out, so the share is a little too small for everybody.
    """
    layers: Any = model.params["model"]["layers"]
    weights = sum(leaf.size for leaf in jax.tree.leaves(layers) if leaf.ndim == 3)
    return (4 if work.lora_rank else 6) * weights


def table(work: Work, results: dict[str, Result], tokens: list[int], peak: float) -> str:
    """The rows of a work."""
    lines = [
        "| contender | real tokens/s | of all steps | ours is | bar | peak memory, GB "
        "| ours needs | first step's extra s | of peak |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    own = results["ours"]
    operations = operations_per_token(work, base_model(work))
    for name, result in results.items():
        ratio = own.steady(tokens) / result.steady(tokens)
        bar = work.bars.get(name)
        reached = "" if bar is None else f"{bar} {'yes' if ratio >= bar else '**no**'}"
        lines.append(
            f"| {name} | {result.steady(tokens):.1f} | {result.all_steps(tokens):.1f} "
            f"| {ratio:.2f} x (all steps: {own.all_steps(tokens) / result.all_steps(tokens):.2f} x)"
            f" | {reached} | {result.peak / 1e9:.2f} | {own.peak / result.peak:.2f} x "
            f"| {result.first:.1f} | {result.steady(tokens) * operations / peak:.0%} |"
        )
    losses = [
        f"{name}: {', '.join(f'{x:.4f}' for x in r.losses[:4])}" for name, r in results.items()
    ]
    notes = ["First losses: " + "; ".join(losses) + "."]
    if work.first_step_bar:
        reached = "yes" if own.seconds[0] < work.first_step_bar else "**no**"
        notes.insert(
            0, f"Our first step takes {own.seconds[0]:.1f} s, what is compiled in it included "
            f"(bar: under {work.first_step_bar} s: {reached}).\n",
        )  # fmt: skip
    if work.memory_bar:
        name, bar = work.memory_bar
        share = results[FRUGAL].peak / results[name].peak
        reached = "yes" if share <= bar else "**no**"
        notes.insert(
            0, f"{FRUGAL}, needs {share:.3f} x the memory of {name} (bar {bar}: {reached}).\n"
        )
    return "\n".join([*lines, "", *notes])


def versions() -> str:
    """What took part."""
    found = [f"Python {platform.python_version()}"]
    for name in ("jax", "torch", "transformers", "trl", "peft"):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    return ", ".join(found)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time fine-tuning beside its peers.")
    parser.add_argument("--only", choices=WORKS, help="one of the works")
    parser.add_argument("--steps", type=int, help="steps of each work, instead of its own")
    parser.add_argument("--report", default="benchmarks/reports", help="folder; '' for none")
    options = parser.parse_args()
    peak = matrix_peak()
    today = datetime.date.today().isoformat()
    title = f"{today}, {platform.machine()}, {os.cpu_count()} x {jax.devices()[0].platform}"
    lines = [
        "# Fine-tuning beside its peers",
        "",
        f"{title}, {versions()}. Matrix products reach {peak / 1e9:.0f} GFLOP/s.",
        "",
        "Real tokens a second of the second half of the steps, and of all steps with what is "
        "compiled in them. Peak memory is of the whole process.",
    ]
    for key, work in WORKS.items():
        if options.only not in (None, key):
            continue
        work = dataclasses.replace(work, steps=options.steps or work.steps)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            tokens = prepare(key, work, folder)
            results: dict[str, Result] = {}
            for contender in ("ours", *work.contenders):
                print(f"{key}: {contender} ...", file=sys.stderr, flush=True)
                results[contender] = contend(contender, folder, sys.executable)
                agree(contender, results[contender], results["ours"])
        lines += ["", f"## {work.name}", "", table(work, results, tokens, peak)]
    text = "\n".join([*lines, "", NOTES.read_text()])
    print(text)
    if options.report:
        (Path(options.report) / f"{today}-training.md").write_text(text)


if __name__ == "__main__":
    main()
