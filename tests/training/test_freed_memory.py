"""What a long compilation freed is given back before its program runs, while a model is trained."""

import contextlib

import jax
import jax.numpy as jnp
import pytest

from modelops_jax.training import TrainingConfig, _fit, _freed_memory, fit


def test_memory_is_given_back_after_long_compilations_only(monkeypatch: pytest.MonkeyPatch):
    given_back: list[str] = []
    monkeypatch.setattr(_freed_memory, "_release", lambda: lambda: given_back.append("now"))
    with _freed_memory.freed_after_compiling():
        monkeypatch.setattr(_freed_memory, "LONG_COMPILATION", float("inf"))
        jax.jit(lambda x: x * 3 + 1)(jnp.ones(7)).block_until_ready()
        assert not given_back
        monkeypatch.setattr(_freed_memory, "LONG_COMPILATION", 0.0)
        jax.jit(lambda x: x * 3 + 2)(jnp.ones(7)).block_until_ready()
        assert given_back
    given_back.clear()
    jax.jit(lambda x: x * 3 + 4)(jnp.ones(7)).block_until_ready()
    assert not given_back


def test_a_run_compiles_inside_it(model, rows, monkeypatch: pytest.MonkeyPatch):
    open_at: list[str] = []

    @contextlib.contextmanager
    def watched():
        open_at.append("begin")
        yield
        open_at.append("end")

    monkeypatch.setattr(_fit, "freed_after_compiling", watched)
    config = TrainingConfig(batch_size=4, max_steps=1)

    def note(_: object) -> None:
        open_at.append("record")

    fit(model, rows, config=config, callback=note, progress="off")
    assert open_at == ["begin", "record", "end"]
