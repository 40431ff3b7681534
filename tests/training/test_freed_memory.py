"""What a long compilation freed is given back before its program runs, while a model is trained."""

import jax
import jax.numpy as jnp
import pytest

from modelops_jax.training import TrainingConfig, _freed_memory, fit


def test_memory_is_given_back_after_compiling_in_a_run_only(
    model, rows, monkeypatch: pytest.MonkeyPatch
):
    given_back: list[str] = []
    monkeypatch.setattr(_freed_memory, "_release", lambda: lambda: given_back.append("now"))
    monkeypatch.setattr(_freed_memory, "LONG_COMPILATION", 0.0)
    fit(model, rows, config=TrainingConfig(batch_size=5, max_steps=1), progress="off")
    assert given_back
    given_back.clear()
    jax.jit(lambda x: x * 3 + 1)(jnp.ones(7)).block_until_ready()
    assert not given_back
