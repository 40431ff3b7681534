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
# Sizes that are considered; choosing takes the square of it.
MOST_SIZES = 256


class BatchShape(NamedTuple):
    """Padded size of a batch: rows, tokens of each, and trained tokens of all together.

    `computed` tokens of all rows together are what layers work on; None is all of rows x tokens.
    """

    rows: int
    tokens: int
    targets: int
    computed: int | None = None

    @property
    def places(self) -> int:
        """What layers work on."""
        return self.rows * self.tokens if self.computed is None else self.computed


def tokens_worth_a_shape(parameters: int) -> int:
    """Padded tokens that a shape has to save to be worth its compilation.

    Args:
        parameters: Number of the model's parameters; a token trains with 6 FLOPs for each.
    """
    flops = COMPILE_FLOPS.get(jax.default_backend(), COMPILE_FLOPS_ELSEWHERE)
    return math.ceil(flops / (6 * parameters))


def choose_shapes(
    rows: int, needed: Int[np.ndarray, "batches _"], *, worth: int = 0
) -> list[BatchShape]:
    """At most four shapes, smallest first, that hold every batch with the least padding.

    Args:
        rows: Number of rows of every shape.
        needed: Longest row (tokens) and number of trained tokens of each batch, and, where layers
            are to work on tokens alone, the number of tokens.
        worth: Computed padding (tokens) that one more shape has to save.

    Returns:
        Shapes in order of what layers work on. A batch fits the first one that is large enough.

    Example:
        >>> import numpy as np
        >>> needed = np.asarray([[90, 3], [61, 9], [64, 3], [93, 3]])
        >>> choose_shapes(4, needed)
        [BatchShape(rows=4, tokens=64, targets=16, computed=None), \
BatchShape(rows=4, tokens=96, targets=16, computed=None)]
        >>> choose_shapes(4, np.asarray([[90, 3, 200], [61, 9, 187]]), worth=9)
        [BatchShape(rows=4, tokens=96, targets=16, computed=200)]
    """
    tokens = _round_up_all(needed[:, 0])
    places = rows * tokens
    if needed.shape[1] > 2:
        places = np.minimum(_round_up_all(needed[:, 2]), places)
    sizes, counts = np.unique(places, return_counts=True)
    before = np.concatenate([[0], np.cumsum(counts)])
    # cost[i]: computed places of the i + 1 smallest sizes. previous[i]: where the shape before
    # the one that ends at i ends, -1 if there is none.
    cost, previous = sizes * before[1:], [np.full(len(sizes), -1)]
    while len(previous) < MOST_SHAPES and len(sizes) > 1:
        extended = cost[None, :] + sizes[:, None] * (before[1:, None] - before[None, 1:])
        smaller = np.tri(len(sizes), k=-1, dtype=bool)
        extended = np.where(smaller, extended, np.iinfo(np.int64).max)[1:]
        if cost[-1] - extended[-1].min() < max(worth, 1):
            break
        cost = np.concatenate([cost[:1], extended.min(axis=1)])
        previous.append(np.concatenate([[-1], extended.argmin(axis=1)]))
    chosen, at = [], len(sizes) - 1
    while at >= 0:
        chosen.append(at)
        at = previous.pop()[at]
    shapes, smallest = [], 0
    for size in sizes[chosen[::-1]].tolist():
        held = (places > smallest) & (places <= size)
        length = int(tokens[held].max())
        targets = _round_up(int(needed[held, 1].max()), TARGET_STEP)
        computed = size if size < rows * length else None
        shapes.append(BatchShape(rows, length, targets, computed))
        smallest = size
    return shapes


def _round_up_all(counts: Int[np.ndarray, " batches"]) -> Int[np.ndarray, " batches"]:
    """Counts of tokens as multiples of a step, of which there are at most 256."""
    step = _round_up(-(-int(counts.max()) // MOST_SIZES), TOKEN_STEP)
    return -(-counts // step) * step


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step
