"""What the optimizer does besides following gradients."""

import jax
import jax.numpy as jnp
import numpy as np

from modelops_jax.models import DecoderConfig, init_params
from modelops_jax.training import TrainingConfig
from modelops_jax.training._optimizer import make_optimizer


def test_weight_decay_spares_vectors():
    """Without gradients, matrices shrink, and norms and biases stay."""
    config = DecoderConfig(11, 8, 12, 2, 2, 1, 4, 16, 1e4, 1e-5, False, family="qwen2")
    params = jax.tree.map(lambda leaf: leaf + 1.0, init_params(config, 0))
    optimizer = make_optimizer(TrainingConfig(weight_decay=0.1, warmup_steps=0), 10)
    zeros = jax.tree.map(jnp.zeros_like, params)
    updates, _ = optimizer.update(zeros, optimizer.init(params), params)
    spared = {
        jax.tree_util.keystr(path)
        for path, update in jax.tree.leaves_with_path(updates)
        if not np.asarray(update).any()
    }
    vectors = {"q_proj']['bias", "k_proj']['bias", "v_proj']['bias", "layernorm", "['norm']"}
    assert len(spared) == 6
    assert all(any(vector in name for vector in vectors) for name in spared)
