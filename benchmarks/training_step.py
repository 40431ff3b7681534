"""Time one LoRA step on the shape of SmolLM2-135M with random weights.

    python benchmarks/training_step.py [--rows 8] [--tokens 112]

Prints compile and run time of the forward pass and of forward and backward with each `remat`
setting, the best of `--repeats` runs each, and the memory that XLA reserves for temporaries.
"""

import argparse
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from modelops_jax.models import DecoderConfig, LoraConfig, init_lora, init_params
from modelops_jax.training import BatchShape, Objective, TokenizedRow, make_batch

SMOLLM2 = DecoderConfig(
    vocab_size=49152,
    hidden_size=576,
    intermediate_size=1536,
    num_layers=30,
    num_heads=9,
    num_kv_heads=3,
    head_dim=64,
    max_position=8192,
    rope_theta=1e5,
    rms_norm_eps=1e-5,
    tie_word_embeddings=True,
)


def measure(name: str, function: Callable, arguments: tuple, tokens: int, repeats: int) -> None:
    begun = time.perf_counter()
    compiled = jax.jit(function).lower(*arguments).compile()
    compile_seconds = time.perf_counter() - begun
    runs = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        jax.block_until_ready(compiled(*arguments))
        runs.append(time.perf_counter() - begun)
    best = min(runs[1:])
    memory = compiled.memory_analysis()
    temporary = f"{memory.temp_size_in_bytes / 1e9:.2f} GB" if memory else "unknown"
    print(
        f"{name:<24} compile {compile_seconds:5.1f} s   run {best:6.2f} s   "
        f"{tokens / best:7.0f} tokens/s   temporaries {temporary}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Time one LoRA step.")
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=112)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    rows = []
    for _ in range(options.rows):
        ids = random.integers(0, SMOLLM2.vocab_size, options.tokens).astype(np.int32)
        # Two trained tokens a row, as in a one-word answer.
        rows.append(TokenizedRow(ids, np.arange(options.tokens) >= options.tokens - 2))
    shape = BatchShape(options.rows, options.tokens, 2 * options.rows)
    batch = jax.tree.map(jnp.asarray, make_batch(rows, shape=shape, pad_id=0))
    params = init_params(SMOLLM2, 0)
    adapters = init_lora(params, LoraConfig(rank=options.rank), 0)
    tokens = options.rows * options.tokens
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}, batch {batch.token_ids.shape}")

    def loss(weights, params, batch, remat="none"):
        return Objective(SMOLLM2, adapters.config, jnp.float32, remat)(weights, params, batch)[0]

    arguments = (adapters.weights, params, batch)
    measure("forward", loss, arguments, tokens, options.repeats)
    for remat in ("none", "dots", "layer"):

        def step(weights, params, batch, remat=remat):
            return jax.value_and_grad(loss)(weights, params, batch, remat)

        measure(f"step, remat {remat}", step, arguments, tokens, options.repeats)


if __name__ == "__main__":
    main()
