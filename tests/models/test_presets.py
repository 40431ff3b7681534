"""The preset `tiny`: small, the same everywhere, and in need of nothing."""

import jax
import numpy as np

from modelops_jax.models import load


def test_tiny_is_small():
    """Fewer than two million parameters, and a context of 2048 bytes."""
    model = load("tiny")
    assert sum(leaf.size for leaf in jax.tree.leaves(model.params)) < 2_000_000
    assert model.config.max_position == 2048
    assert model.tokenizer.vocab_size == model.config.vocab_size


def test_tiny_is_the_same_each_time():
    """Two loads give the same weights, in the type asked for."""
    one, other = load("tiny"), load("tiny", dtype="bfloat16")
    assert one.name == other.name == "tiny"
    jax.tree.map(
        lambda a, b: np.testing.assert_array_equal(a.astype(b.dtype), b), one.params, other.params
    )
    assert {leaf.dtype.name for leaf in jax.tree.leaves(other.params)} == {"bfloat16"}
