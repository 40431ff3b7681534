"""A model small enough to train in milliseconds."""

import dataclasses

import pytest

from modelops_jax.data import Dataset
from modelops_jax.models import DecoderConfig, Model, init_params, load
from modelops_jax.training import GenerationConfig
from modelops_jax.training._generation import GenerationMetrics


@pytest.fixture(scope="session")
def model() -> Model:
    """The preset's tokenizer on a decoder of 20,000 random weights."""
    tiny = load("tiny")
    config = DecoderConfig(tiny.config.vocab_size, 16, 32, 2, 2, 1, 8, 256, 1e4, 1e-5, True)
    return dataclasses.replace(tiny, config=config, params=init_params(config, 0, stddev=0.3))


@pytest.fixture(scope="session")
def rows() -> Dataset:
    """Rows of very different lengths."""
    lengths = [3, 14, 1, 12, 11, 7, 15, 2, 13, 9, 5]
    return Dataset(
        [
            {"prompt": f"Say {index}", "completion": "ab" * length}
            for index, length in enumerate(lengths)
        ]
    )


@pytest.fixture
def measured(monkeypatch, model):
    """The metrics that an evaluation while training has of given answers."""

    def measure(rows, answers, **settings):
        monkeypatch.setattr(type(model), "generate", lambda *_, **__: answers)
        config = GenerationConfig(**settings)
        metrics = GenerationMetrics(config, model, Dataset(rows), drop_overlong=False)
        return metrics.measure(model.params)

    return measure
