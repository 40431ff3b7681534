"""Packed rows have the loss and the gradient that the same rows have apart, in every family."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.models import init_params
from modelops_jax.models._hf_config import read_config
from modelops_jax.training import (
    Batch,
    BatchShape,
    Objective,
    TokenizedDataset,
    TokenizedRow,
    add_sums,
    make_batch,
    make_packed_batch,
    pack_rows,
)

from ..models.families import CONFIGS

# Longer than any window, and with a beginning in common.
LENGTHS, HEAD = [20, 13, 17, 10, 14, 11], 8
SHAPE = BatchShape(rows=3, tokens=32, targets=48)
# (trained weights, batch) -> gradients of the summed loss, and the sums
Gradients = Callable[[Any, Batch], tuple[Any, Any]]


def rows_of(seed: int) -> TokenizedDataset:
    """Random rows with a beginning in common; about a third of the other tokens is trained."""
    random = np.random.default_rng(seed)
    rows = []
    for length in LENGTHS:
        ids = random.integers(0, 256, length).astype(np.int32)
        ids[:HEAD] = np.arange(HEAD)
        trained = random.random(length) < 0.3
        trained[: HEAD + 1], trained[-1] = False, True
        rows.append(TokenizedRow(ids, trained))
    return TokenizedDataset.from_rows(rows)


def total(gradients: Gradients, weights: Any, batches: list[Batch]) -> tuple[Any, Any]:
    """Gradients and sums over several batches."""
    parts = [gradients(weights, batch) for batch in batches]
    whole = jax.tree.map(lambda *leaves: sum(leaves), *(part for part, _ in parts))
    return whole, functools.reduce(add_sums, (sums for _, sums in parts))


def largest_difference(one: Any, other: Any) -> float:
    """Between two trees, relative to the largest number in the first one."""
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(one))
    parts = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), one, other)
    return max(jax.tree.leaves(parts)) / scale


CASES = [(family, prefix) for family in CONFIGS for prefix in (0, HEAD)]
# Each case compiles for 5 s, that of alternating windows for 11.
IN_EVERY_RUN = {("mistral", 0)}


@pytest.mark.parametrize(
    ("family", "prefix"),
    [pytest.param(*c, marks=() if c in IN_EVERY_RUN else pytest.mark.model) for c in CASES],
)
def test_acceptance_5_packed_equals_unpacked(family: str, prefix: int, tmp_path: Path):
    """Within 1e-6; without segments or without positions of their own it is another loss."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS[family]))
    config = read_config(tmp_path)
    weights = init_params(config, 0, stddev=0.15)

    objective = Objective(config, None, jnp.float32, "none")

    @jax.jit
    def gradients(weights: Any, batch: Batch) -> tuple[Any, Any]:
        return jax.grad(objective, has_aux=True)(weights, {}, batch)

    dataset = rows_of(seed=len(family))
    packed = pack_rows(dataset.lengths, SHAPE.tokens, prefix=prefix)
    assert len(packed) <= SHAPE.rows < len(dataset)
    sequences = [[dataset[row] for row in packed[index]] for index in range(len(packed))]
    together = make_packed_batch(sequences, shape=SHAPE, pad_id=3, prefix=prefix)
    apart = [
        make_batch([dataset[row] for row in rows], shape=SHAPE, pad_id=3, prefix=prefix)
        for rows in ([0, 1, 2], [3, 4], [5])
    ]
    expected, expected_sums = total(gradients, weights, apart)
    found, sums = gradients(weights, together)
    assert int(sums.units) == int(expected_sums.units) == dataset.trained_tokens
    assert float(sums.loss) == pytest.approx(float(expected_sums.loss), rel=1e-6)
    assert largest_difference(expected, found) < 1e-6

    # Layers that work on tokens alone: whatever the order and the filling of their places.
    real = np.flatnonzero(together.segment_ids)
    shape = SHAPE._replace(computed=len(real) + 3)
    compact = make_packed_batch(sequences, shape=shape, pad_id=3, prefix=prefix)
    assert sorted(compact.computed) == [*real, *[together.segment_ids.size] * 3]
    places = np.random.default_rng(2).permutation(compact.computed)
    of_tokens, of_sums = gradients(weights, compact._replace(computed=places))
    assert float(of_sums.loss) == pytest.approx(float(sums.loss), rel=1e-6)
    assert largest_difference(found, of_tokens) < 1e-6

    wrong = [together._replace(segment_ids=np.minimum(together.segment_ids, 1))]
    if prefix:  # rotary positions are relative: only those that see the prefix notice
        running = np.arange(prefix, prefix + SHAPE.tokens, dtype=np.int32)[None]
        wrong.append(together._replace(positions=np.repeat(running, SHAPE.rows, axis=0)))
    for batch in wrong:
        assert abs(float(gradients(weights, batch)[1].loss) / float(sums.loss) - 1) > 1e-5

    # What stands in the padding, and in another segment, changes no bit.
    random = np.random.default_rng(1)
    noise = random.integers(0, 256, together.token_ids.shape).astype(np.int32)
    padding = together.segment_ids == 0
    filled = together._replace(token_ids=np.where(padding, noise, together.token_ids))
    jax.tree.map(np.testing.assert_array_equal, gradients(weights, filled), (found, sums))
    second = together.segment_ids.reshape(-1)[together.at] == 2
    judged = together._replace(weight=together.weight * second)
    others = together.segment_ids == 1
    changed = judged._replace(token_ids=np.where(others, noise, together.token_ids))
    assert int(gradients(weights, judged)[1].units) > 0
    jax.tree.map(
        np.testing.assert_array_equal, gradients(weights, changed), gradients(weights, judged)
    )
