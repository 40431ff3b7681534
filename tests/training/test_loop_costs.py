"""What the loop may not do: wait for the device at every step, or compile without end."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from modelops_jax.training import (
    TrainingConfig,
    _batch_shapes,
    _in_place,
    _plan,
    _run,
    _step,
    fit,
)


class Watched:
    """A value on the device that counts how often the host reads it."""

    reads = 0

    def __init__(self, value: Any):
        self.value = value

    def __array__(self, *arguments: Any, **options: Any) -> np.ndarray:
        Watched.reads += 1
        return np.asarray(self.value, *arguments, **options)

    def __float__(self) -> float:
        return float(self.__array__())

    def __int__(self) -> int:
        return int(self.__array__())

    def __bool__(self) -> bool:
        return bool(self.__array__())


@pytest.fixture(autouse=True)
def _watched_steps(monkeypatch: pytest.MonkeyPatch):
    """Whatever a step hands to the loop, but the weights, is watched."""
    step = _run.train_step

    def watched(objective: Any, optimizer: Any, state: Any, *others: Any) -> Any:
        if isinstance(state.skipped, Watched):
            state = state._replace(skipped=state.skipped.value)
        state, sums = step(objective, optimizer, state, *others)
        return state._replace(skipped=Watched(state.skipped)), jax.tree.map(Watched, sums)

    monkeypatch.setattr(_run, "train_step", watched)


def test_the_host_waits_at_logged_steps_only_and_few_programs_are_compiled(
    model, rows, monkeypatch: pytest.MonkeyPatch
):
    """Acceptance test 9: ten steps of rows of all lengths in two shapes, and two records."""
    monkeypatch.setattr(_batch_shapes, "MOST_SHAPES", 2)
    monkeypatch.setattr(_plan, "tokens_worth_a_shape", lambda _: 1)
    config = TrainingConfig(batch_size=2, epochs=2, max_steps=10, log_every=5, learning_rate=1e-2)
    ends = (_in_place.clipped_scale, _in_place.move_weights, _in_place.move_state)
    programs: Any = (_step._accumulate, *ends)
    for program in programs:
        program.clear_cache()  # of the rows and weights that other tests train, too
    seen = []

    def stop() -> bool:  # asked before each step
        seen.append(Watched.reads)
        return False

    history = fit(model, rows, config=config, stop=stop, progress="off").history
    assert [record["step"] for record in history] == [5, 10]
    grown = np.diff(seen) > 0
    # What a record says is fetched at the end of its step, so before the next one.
    assert np.flatnonzero(grown).tolist() == [4]
    assert [program._cache_size() for program in programs] == [2, 1, 1, 1]

    every = dataclasses.replace(config, log_every=1, max_steps=3)
    seen.clear()
    fit(model, rows, config=every, stop=stop, progress="off")
    assert (np.diff(seen) > 0).all(), "the count would not notice a loop that waits"
