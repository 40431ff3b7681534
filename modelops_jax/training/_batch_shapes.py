"""Few shapes, little padding.

Every shape of a batch is compiled, which costs seconds; every padded token is computed, which
costs as much as a real one. All batches of a run are known before its first step, so the shapes
are chosen for them.
"""

import math
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Int

# Most shapes, however much padding another one would save.
MOST_SHAPES = 4
# What a device computes in the seconds that compiling a training step takes. Measured on two CPU
# cores: 3.5 s at 230 GFLOP/s. Compilation is as long for an accelerator of a thousand times that.
COMPILE_FLOPS = {"cpu": 8e11}
COMPILE_FLOPS_ELSEWHERE = 8e14
# Lengths and numbers of targets are multiples of these: vector registers and product tiles.
TOKEN_STEP = 8
TARGET_STEP = 16
# Lengths that are considered; choosing takes the square of it.
MOST_LENGTHS = 256


class BatchShape(NamedTuple):
    """Padded size of a batch: rows, tokens of each, and trained tokens of all together."""

    rows: int
    tokens: int
    targets: int


def tokens_worth_a_shape(parameters: int) -> int:
    """Padded tokens that a shape has to save to be worth its compilation.

    Args:
        parameters: Number of the model's parameters; a token trains with 6 FLOPs for each.
    """
    flops = COMPILE_FLOPS.get(jax.default_backend(), COMPILE_FLOPS_ELSEWHERE)
    return math.ceil(flops / (6 * parameters))


def choose_shapes(
    rows: int, needed: Int[np.ndarray, "batches 2"], *, worth: int = 0
) -> list[BatchShape]:
    """At most four shapes, shortest first, that hold every batch with the least padding.

    Args:
        rows: Number of rows of every shape.
        needed: Longest row (tokens) and number of trained tokens of each batch.
        worth: Padded tokens that one more shape has to save.

    Returns:
        Shapes in order of their tokens. A batch fits the first one that is long enough.

    Example:
        >>> import numpy as np
        >>> needed = np.asarray([[90, 3], [61, 9], [64, 3], [93, 3]])
        >>> choose_shapes(4, needed)
        [BatchShape(rows=4, tokens=64, targets=16), BatchShape(rows=4, tokens=96, targets=16)]
    """
    step = _round_up(-(-int(needed[:, 0].max()) // MOST_LENGTHS), TOKEN_STEP)
    tokens = -(-needed[:, 0] // step) * step
    lengths, counts = np.unique(tokens, return_counts=True)
    before = np.concatenate([[0], np.cumsum(counts)])
    # cost[i]: padded tokens of the i + 1 shortest lengths. previous[i]: where the shape before
    # the one that ends at i ends, -1 if there is none.
    cost, previous = lengths * before[1:], [np.full(len(lengths), -1)]
    while len(previous) < MOST_SHAPES and len(lengths) > 1:
        extended = cost[None, :] + lengths[:, None] * (before[1:, None] - before[None, 1:])
        shorter = np.tri(len(lengths), k=-1, dtype=bool)
        extended = np.where(shorter, extended, np.iinfo(np.int64).max)[1:]
        if rows * (cost[-1] - extended[-1].min()) < max(worth, 1):
            break
        cost = np.concatenate([cost[:1], extended.min(axis=1)])
        previous.append(np.concatenate([[-1], extended.argmin(axis=1)]))
    chosen, at = [], len(lengths) - 1
    while at >= 0:
        chosen.append(at)
        at = previous.pop()[at]
    shapes, shortest = [], 0
    for length in lengths[chosen[::-1]].tolist():
        held = needed[(tokens > shortest) & (tokens <= length), 1].max()
        shapes.append(BatchShape(rows, length, _round_up(int(held), TARGET_STEP)))
        shortest = length
    return shapes


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step
