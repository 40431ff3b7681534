"""Time full fine-tuning of a Llama of 1.2 billion parameters on the default device.

    python benchmarks/training_device.py                             # one GPU of 80 GB
    python benchmarks/training_device.py --size tiny --length 128    # does it work? On a CPU too

Random weights, rows of random tokens packed by best-fit decreasing into sequences of one length,
all tokens trained. Reports real tokens a second, the share of what a large matrix product of the
same type reaches, by the formula of `plan`, and the device's peak memory.
"""

import argparse
import datetime
import statistics
import time
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from modelops_jax.models import DecoderConfig, init_params
from modelops_jax.training import (
    BatchShape,
    Objective,
    TokenizedRow,
    TrainingConfig,
    activation_dtype,
    gradient_memory,
    make_optimizer,
    make_packed_batch,
    pack_rows,
    start_state,
    train_step,
)
from modelops_jax.training._flops import epoch_flops

SIZES = {
    # The shape of Llama 3.2 1B.
    "1b": DecoderConfig(
        vocab_size=128_256,
        hidden_size=2048,
        intermediate_size=8192,
        num_layers=16,
        num_heads=32,
        num_kv_heads=8,
        head_dim=64,
        max_position=131_072,
        rope_theta=5e5,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
    ),
    "tiny": DecoderConfig(256, 64, 128, 2, 4, 2, 16, 4096, 1e4, 1e-5, True),
}


def matrix_peak(dtype: Any, size: int) -> float:
    """Operations a second of a large product of random numbers of this type, the best of five.

    Equal numbers would be multiplied up to an eighth faster.
    """
    values = jax.random.normal(jax.random.key(0), (size, size), dtype)
    product = jax.jit(jnp.matmul)
    product(values, values).block_until_ready()
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        product(values, values).block_until_ready()
        times.append(time.perf_counter() - begun)
    return 2 * size**3 / min(times)


def make_steps(
    config: DecoderConfig, count: int, sequences: int, length: int
) -> list[tuple[Any, list[int]]]:
    """Batches of packed rows, and the lengths of the rows of each.

    The sequences of a step are drawn from all: the first ones that packing fills are the fullest.
    """
    random = np.random.default_rng(0)
    lengths = random.integers(length // 16, length // 2, 8 * sequences * count)
    whole, steps = pack_rows(lengths, length), []
    drawn = random.permutation(len(whole))[: sequences * count].reshape(count, sequences)
    for step in drawn.tolist():
        packed = [whole[at] for at in step]
        rows = [
            [
                TokenizedRow(
                    random.integers(0, config.vocab_size, lengths[at]).astype(np.int32),
                    np.ones(lengths[at], bool),
                )
                for at in sequence
            ]
            for sequence in packed
        ]
        shape = BatchShape(sequences, length, sequences * length)
        used = [int(lengths[at]) for sequence in packed for at in sequence]
        steps.append((make_packed_batch(rows, shape=shape, pad_id=0), used))
    return steps


def main() -> None:
    parser = argparse.ArgumentParser(description="Time full fine-tuning on the default device.")
    parser.add_argument("--size", choices=SIZES, default="1b")
    parser.add_argument("--length", type=int, default=2048)
    parser.add_argument("--sequences", type=int, default=4, help="packed sequences a step")
    parser.add_argument("--steps", type=int, default=8, help="steps after the first")
    parser.add_argument("--remat", choices=("none", "dots", "layer"), default="dots")
    parser.add_argument("--report", default="", help="folder; '' for none")
    options = parser.parse_args()
    remat: Literal["none", "dots", "layer"] = options.remat
    model, training = SIZES[options.size], TrainingConfig(learning_rate=1e-5, schedule="constant")
    dtype = activation_dtype(training)
    device = jax.devices()[0]
    peak = matrix_peak(dtype, 8192 if device.platform != "cpu" else 1024)
    objective = Objective(model, None, dtype, remat)
    optimizer = make_optimizer(training, options.steps + 1)
    state = start_state(optimizer, init_params(model, 0))
    steps = make_steps(model, options.steps + 1, options.sequences, options.length)
    memory, seconds, losses = gradient_memory(), [], []
    for batch, _ in steps:
        begun = time.perf_counter()
        state, sums = train_step(objective, optimizer, state, None, [batch], memory)
        losses.append(float(sums.loss) / int(sums.units))  # waits for the device
        seconds.append(time.perf_counter() - begun)
    if not np.isfinite(losses).all():
        raise SystemExit(f"the losses are {losses}")
    lengths = np.asarray([length for _, used in steps[1:] for length in used])
    params = state.trainable
    operations = epoch_flops(
        model, training, params, params, lengths=lengths, trained_tokens=int(lengths.sum())
    )
    rate, share = lengths.sum() / sum(seconds[1:]), operations / sum(seconds[1:]) / peak
    stats = device.memory_stats() or {}
    used = f"{stats['peak_bytes_in_use'] / 1e9:.1f} GB" if "peak_bytes_in_use" in stats else "-"
    weights = sum(leaf.size for leaf in jax.tree.leaves(params)) / 1e6
    padding = 1 - lengths.sum() / (options.steps * options.sequences * options.length)
    text = "\n".join(
        [
            "# Full fine-tuning on one device\n",
            f"{datetime.date.today()}, {device.device_kind}, jax {jax.__version__}. Llama of "
            f"{weights:,.0f} M parameters, {dtype.name} with float32 weights and moments (AdamW), "
            f"{options.sequences} x {options.length} packed, remat {remat!r}.\n",
            "| real tokens/s | ms a step | share of a product's peak | peak, TFLOP/s | memory "
            "| padding | first step, s |",
            "|---|---|---|---|---|---|---|",
            f"| {rate:,.0f} | {statistics.median(seconds[1:]) * 1e3:,.1f} | {share:.1%} "
            f"| {peak / 1e12:,.2f} | {used} | {padding:.1%} | {seconds[0]:.1f} |\n",
            f"Losses: {', '.join(f'{loss:.4f}' for loss in losses[:4])}.\n",
        ]
    )
    print(text)
    if options.report:
        name = f"{datetime.date.today()}-training-{device.platform}.md"
        (Path(options.report) / name).write_text(text)


if __name__ == "__main__":
    main()
