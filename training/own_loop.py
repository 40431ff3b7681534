"""A training loop of one's own over the library's parts: everything `fit` does not have to know.

    python training/own_loop.py --config configs/own_loop.toml

Change any line: the batches, the loss (a function of trained weights, frozen weights and a batch
that returns its sum and all sums), the step or the optimizer, which is any optax transformation.
Expected at step 60: loss 0.198, token accuracy 0.82 (one run, seed 0). With
`configs/tiny/own_loop.toml` on the 40 shortest mails: losses 5.5536, 5.0409, 4.2766 (within 1e-4;
tests/recipes).
"""

import argparse
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

from modelops_jax import Dataset
from modelops_jax.models import load
from modelops_jax.training import (
    Batches,
    Objective,
    epoch_batches,
    evaluate_loss,
    load_config,
    start_state,
    tokenize,
    train_step,
)


def main(argv: Sequence[str] | None = None) -> list[dict]:
    parser = argparse.ArgumentParser(description="A loop of one's own.")
    parser.add_argument("--config", default="configs/own_loop.toml")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    arguments = parser.parse_args(argv)
    run = load_config(arguments.config, arguments.overrides)
    if run.training.mesh:
        parser.error("training.mesh: this loop runs on one device; `fit` divides over several")
    model, config, history = load(run.model), run.training, []
    context, size = model.config.max_position, config.batch_size
    rows = tokenize(
        Dataset.from_file(run.data.train), model.tokenizer, config, context=context, name="training"
    )
    steps = [
        group.tolist()
        for epoch in range(config.epochs)
        for group in epoch_batches(rows.lengths, size, seed=config.seed, epoch=epoch)
    ][: config.max_steps]
    batches = Batches(rows, steps, size=size, pad_id=model.tokenizer.pad_id)
    objective = Objective(model.config, None, jnp.float32, config.remat)
    optimizer = optax.chain(
        optax.clip_by_global_norm(config.max_grad_norm), optax.adam(config.learning_rate)
    )
    # A step writes its result over its input, so the model's own weights are copied first.
    state = start_state(optimizer, jax.tree.map(jnp.copy, model.params))
    for step, group in enumerate(steps, start=1):
        state, sums = train_step(objective, optimizer, state, None, [batches.make(group)])
        history.append({"step": step, **objective.report(jax.device_get(sums))})
        print(history[-1])
    last = evaluate_loss(objective, state.trainable, None, [batches.make(steps[-1])])
    print(f"Loss on the last step's rows after it: {objective.report(jax.device_get(last))}")
    return history


if __name__ == "__main__":
    main()
