"""What is kept for the backward pass follows the memory there is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.models import DecoderConfig, forward, init_params
from modelops_jax.training import _remat
from modelops_jax.training._remat import Kept, choose_remat

CONFIG = DecoderConfig(53, 24, 40, 5, 4, 2, 6, 64, 1e4, 1e-5, False)


def kept_bytes(remat: Kept, tokens: int) -> int:
    """Of all layers: what JAX hands from the forward to the backward pass, weights aside."""
    params = init_params(CONFIG, 0)
    ids = jnp.zeros((1, tokens), jnp.int32)

    def last(layers):
        params["model"]["layers"] = layers
        return forward(params, CONFIG, ids, remat=remat)[0]

    layers = params["model"]["layers"]
    _, pull = jax.eval_shape(lambda tree: jax.vjp(last, tree), layers)
    own = {leaf.shape for leaf in jax.tree.leaves(layers)}
    stacked = [leaf for leaf in jax.tree.leaves(pull) if leaf.shape[:1] == (5,)]
    return sum(leaf.size * leaf.dtype.itemsize for leaf in stacked if leaf.shape not in own)


def test_the_bytes_are_those_of_the_traced_program():
    """Within a tenth: softmax's divisors are left out."""
    expected = _remat._dots_bytes(CONFIG, 16, np.float32)
    assert kept_bytes("dots", 16) == pytest.approx(expected, rel=0.1)
    assert kept_bytes("layer", 16) < expected / 2


@pytest.mark.parametrize(("memory", "expected"), [(8, "dots"), (7.9, "layer"), (None, "layer")])
def test_products_are_kept_where_there_is_memory(monkeypatch, memory, expected):
    """An eighth of the device's memory is enough; an explicit choice stays."""
    need = _remat._dots_bytes(CONFIG, 16, np.float32)
    limit = None if memory is None else int(memory * need)
    monkeypatch.setattr(_remat, "device_memory", lambda: limit)
    assert choose_remat("auto", CONFIG, 16, np.float32) == expected
    assert choose_remat("none", CONFIG, 16, np.float32) == "none"
