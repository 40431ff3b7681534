"""Prepare rows for training beside TRL: text to packed tokens, and what packing saves.

    python benchmarks/training_data.py [--rows 100000] [--length 1024] [--rounds 2] [--report '']

Both begin with the same prompt/completion rows in memory (the spam rows again and again, each with
its number, so that none is equal to another) and end with tokens, marks of what is trained, and
rows packed by best-fit decreasing. The numbers of tokens and of trained tokens are compared, and
the run fails where they differ. Contenders take turns; the table has each one's best round.
"""

import argparse
import datetime
import importlib
import importlib.metadata
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from modelops_jax import Dataset
from modelops_jax.models import Model, load
from modelops_jax.training import (
    Batches,
    TokenCounts,
    TrainingConfig,
    epoch_batches,
    pack_rows,
    shared_prefix,
    tokenize,
    tokenize_to_disk,
)

SPAM = "training/data/spam/train.jsonl"
# How many times TRL's rows a second ours have to be.
BAR = 1.0
Prepared = tuple[int, int, int]
"""Tokens, trained tokens, packed sequences."""


def many_rows(count: int) -> list[dict[str, str]]:
    """The spam rows, numbered."""
    spam = Dataset.from_file(SPAM).data
    return [
        {**spam[index % len(spam)], "prompt": f"{index}. {spam[index % len(spam)]['prompt']}"}
        for index in range(count)
    ]


def ours(model: Model, rows: list[dict[str, str]], length: int, folder: Path) -> Prepared:
    """In memory, as `fit` does."""
    config = TrainingConfig(max_length=length, packing=True)
    dataset = tokenize(Dataset(rows), model.tokenizer, config, context=length, name="training")
    packed = pack_rows(dataset.lengths, length)
    return dataset.tokens, dataset.trained_tokens, len(packed)


def ours_on_disk(processes: int) -> Callable[..., Prepared]:
    """To files, in a new folder, or in the one that has them already."""

    def run(model: Model, rows: list[dict[str, str]], length: int, folder: Path) -> Prepared:
        config = TrainingConfig(max_length=length, packing=True)
        own = folder / "kept" if processes == 0 else Path(tempfile.mkdtemp(dir=folder))
        path = folder / "rows.jsonl"
        dataset = tokenize_to_disk(
            path, own, model.tokenizer, config, context=length, processes=processes or 1
        )
        return dataset.tokens, dataset.trained_tokens, len(pack_rows(dataset.lengths, length))

    return run


def in_trl(processes: int | None) -> Callable[..., Prepared]:
    """`SFTTrainer`'s own preparation: everything that it does to the rows before the first step."""

    def run(model: Model, rows: list[dict[str, str]], length: int, folder: Path) -> Prepared:
        datasets, transformers, trl = map(
            importlib.import_module, ("datasets", "transformers", "trl")
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "model")
        config = transformers.LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1,
            num_attention_heads=1,
        )  # fmt: skip
        messages = [
            {
                "prompt": [{"role": "user", "content": row["prompt"]}],
                "completion": [{"role": "assistant", "content": row["completion"]}],
            }
            for row in rows
        ]
        trainer = trl.SFTTrainer(
            model=transformers.LlamaForCausalLM(config),
            processing_class=tokenizer,
            train_dataset=datasets.Dataset.from_list(messages),
            args=trl.SFTConfig(
                output_dir=str(folder / "trl"),
                packing=True,
                max_length=length,
                completion_only_loss=True,
                dataset_num_proc=processes,
                use_cpu=True,
                bf16=False,
                report_to="none",
                disable_tqdm=True,
            ),
        )
        packed = trainer.train_dataset.with_format("numpy")
        tokens = sum(map(len, packed["input_ids"]))
        trained = sum(int((labels != -100).sum()) for labels in packed["labels"])
        return tokens, trained, len(packed)

    return run


CONTENDERS: dict[str, Callable[..., Prepared]] = {
    "ours": ours,
    "ours, to disk": ours_on_disk(1),
    "ours, to disk, 2 processes": ours_on_disk(2),
    "ours, opened again": ours_on_disk(0),
    "trl": in_trl(None),
    "trl, 2 processes": in_trl(2),
}


def preparation(options: argparse.Namespace) -> list[str]:
    """The table of preparing rows."""
    model = load("smollm2-135m-instruct")
    rows = many_rows(options.rows)
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.save(folder / "model")
        (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        ours_on_disk(0)(model, rows, options.length, folder)
        found: dict[str, Prepared] = {}
        for _ in range(options.rounds):
            for contender, run in CONTENDERS.items():
                begun = time.perf_counter()
                found[contender] = run(model, rows, options.length, folder)
                seconds = time.perf_counter() - begun
                best[contender] = min(seconds, best.get(contender, seconds))
                print(f"{contender}: {seconds:.1f} s, {found[contender]}", flush=True)
    reference = found["ours"]
    for contender, counts in found.items():
        # TRL keeps the newline that the template writes after the end of a turn, and trains it.
        extra = options.rows if contender.startswith("trl") else 0
        if counts[:2] != (reference[0] + extra, reference[1] + extra):
            raise SystemExit(f"{contender} has (tokens, trained, sequences) {counts}")
    lines = [
        "| contender | seconds | rows/s | times trl's | bar | sequences |",
        "|---|---|---|---|---|---|",
    ]
    for name, seconds in best.items():
        ratio = best["trl"] / seconds
        reached = f"{BAR} {'yes' if ratio >= BAR else '**no**'}" if name == "ours" else ""
        lines.append(
            f"| {name} | {seconds:.1f} | {options.rows / seconds:,.0f} | {ratio:.1f} x "
            f"| {reached} | {found[name][2]} |"
        )
    return lines


def padding() -> list[str]:
    """The table of what batches hold, in length buckets and packed."""
    model = load("smollm2-135m-instruct")
    config = TrainingConfig()
    spam = Dataset.from_file(SPAM)
    dataset = tokenize(spam, model.tokenizer, config, context=8192, name="training")
    lines = ["| rows | batches | places | padding | steps |", "|---|---|---|---|---|"]
    prefix = shared_prefix(dataset)

    def line(name: str, counts: TokenCounts, steps: int) -> str:
        return f"| spam | {name} | {counts.computed:,} | {counts.padding_share:.1%} | {steps} |"

    groups = [g.tolist() for g in epoch_batches(dataset.lengths - prefix, 8, seed=0, epoch=0)]
    buckets = Batches(dataset, groups, size=8, pad_id=0, worth=990)
    lines.append(line("8 rows of like length", buckets.count(groups), len(groups)))
    for length in (256, 512, 1024):
        packed = pack_rows(dataset.lengths, length, prefix=prefix)
        size = max(1, 1024 // length)
        lengths = packed.sums(dataset.lengths - prefix)
        groups = [g.tolist() for g in epoch_batches(lengths, size, seed=0, epoch=0)]
        batches = Batches(dataset, groups, size=size, pad_id=0, worth=990, sequences=packed)
        lines.append(line(f"{size} x {length} packed", batches.count(groups), len(groups)))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="Prepare rows beside TRL.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--length", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--report", default="benchmarks/reports", help="folder; '' for none")
    options = parser.parse_args()
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    today = datetime.date.today().isoformat()
    versions = ", ".join(
        f"{package} {importlib.metadata.version(package)}"
        for package in ("tokenizers", "transformers", "datasets", "trl")
    )
    text = "\n".join(
        [
            "# Preparing rows beside TRL\n",
            f"{today}, {platform.machine()}, {os.cpu_count()} cores, {versions}.\n",
            "## What batches of the spam rows hold\n",
            *padding(),
            f"\n## {options.rows:,} rows of text to sequences of {options.length} tokens, best of "
            f"{options.rounds} rounds in turn\n",
            *preparation(options),
            "\nThe numbers of tokens and of trained tokens are the same for all, but for one a row",
            "in TRL's: the newline that the template writes after a turn is kept and trained.\n",
        ]
    )
    print(text)
    if options.report:
        (Path(options.report) / f"{today}-training-data.md").write_text(text)


if __name__ == "__main__":
    main()
