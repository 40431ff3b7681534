"""Teach all weights of a small language model to tell spam from ham.

    python training/full_finetune.py --config configs/full_finetune.toml training.seed=0

Needs `python -m modelops_jax.models smollm2-135m-instruct`.
Expected with `configs/tiny/full_finetune.toml` on the 40 shortest mails: losses
5.5288, 4.9432, 4.4225 (within 1e-4; tests/recipes). The run above, with seed 0: exact match 0.900
on 400 test mails, 95 % interval 0.867 to 0.926 (one run, 6 minutes on two busy cores).
"""

import argparse
from collections.abc import Sequence

from modelops_jax import Dataset, ModelEvaluator, TaskType
from modelops_jax.models import load
from modelops_jax.training import fit, load_config, render_prompt


def main(argv: Sequence[str] | None = None) -> list[dict]:
    parser = argparse.ArgumentParser(description="Fine-tune every weight on spam and ham.")
    parser.add_argument("--config", default="configs/full_finetune.toml")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    arguments = parser.parse_args(argv)
    run = load_config(arguments.config, arguments.overrides)
    if run.data.test is None or run.data.eval_fraction is None:
        parser.error(f"{arguments.config}: this recipe needs data.test and data.eval_fraction")
    rows, test = Dataset.from_file(run.data.train), Dataset.from_file(run.data.test)
    held_out, train = rows.split(run.data.eval_fraction, run.training.seed)
    model = load(run.model, mesh=run.training.mesh)

    result = fit(model, train, config=run.training, eval=held_out, folder=run.output)

    prompts = [render_prompt(model.tokenizer, row["prompt"]) for row in test]
    answers = result.model.generate(prompts, max_new_tokens=8)
    evaluator = ModelEvaluator(TaskType.TEXT_GENERATION)
    print(evaluator.evaluate([row["completion"] for row in test], answers, confidence=0.95))
    return result.history


if __name__ == "__main__":
    main()
