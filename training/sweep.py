"""Learning rates, ranks and seeds on one model, compiled once: a table and a picture.

    python training/sweep.py --config configs/sweep.toml --rates 1e-3 3e-3 1e-2 --ranks 2 8

Needs `pip install "modelops-jax[report]"` for the picture.
Expected with any settings: each member's loss is that of `fit` alone within 1e-5, and three
programs are compiled however many members there are (tests/training/test_sweep.py).
"""

import argparse
import statistics
from collections.abc import Sequence

import matplotlib.pyplot as plt

from modelops_jax import Dataset
from modelops_jax.models import load
from modelops_jax.training import SweepMember, load_config, sweep, sweep_table


def draw(members: Sequence[SweepMember], path: str) -> None:
    """Held-out loss over learning rates: a line of means for each rank, a point for each seed."""
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    records = [member.record for member in members]
    for rank in sorted({record["rank"] for record in records}):
        own = [record for record in records if record["rank"] == rank]
        rates = sorted({record["learning_rate"] for record in own})
        losses = [[r["eval_loss"] for r in own if r["learning_rate"] == rate] for rate in rates]
        (line,) = axes.plot(rates, [statistics.mean(values) for values in losses], label=f"{rank}")
        for rate, values in zip(rates, losses, strict=True):
            axes.plot([rate] * len(values), values, "o", color=line.get_color(), markersize=4)
    axes.set(xscale="log", xlabel="Learning rate", ylabel="Held-out loss (nats a token)")
    axes.legend(title="Rank")
    figure.savefig(path)
    plt.close(figure)


def main(argv: Sequence[str] | None = None) -> list[dict]:
    parser = argparse.ArgumentParser(description="Sweep learning rates, ranks and seeds.")
    parser.add_argument("--config", default="configs/sweep.toml")
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-3, 3e-3, 1e-2])
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 8])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--set", nargs="*", default=[], metavar="key=value", dest="overrides")
    arguments = parser.parse_args(argv)
    run = load_config(arguments.config, arguments.overrides)
    if run.data.eval_fraction is None:
        parser.error(f"{arguments.config}: this recipe needs data.eval_fraction")
    # One division for all members, so that their held-out losses are comparable.
    held_out, train = Dataset.from_file(run.data.train).split(run.data.eval_fraction)
    members = sweep(
        load(run.model),
        train,
        config=run.training,
        learning_rates=arguments.rates,
        ranks=arguments.ranks,
        seeds=arguments.seeds,
        eval=held_out,
        callback=lambda record: print(record, flush=True),
    )
    run.output.mkdir(parents=True, exist_ok=True)
    table = sweep_table(members)
    (run.output / "sweep.txt").write_text(table + "\n", "utf-8")
    draw(members, str(run.output / "sweep.svg"))
    print(f"{table}\nPicture: {run.output / 'sweep.svg'}")
    return [member.record for member in members]


if __name__ == "__main__":
    main()
