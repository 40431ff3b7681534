"""Every family against transformers itself, in the folders it writes and reads today."""

import copy
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.models import Model, Params, forward, load, score_targets
from modelops_jax.models._hf import folder_tensors
from modelops_jax.models._presets import byte_tokenizer

from .families import CONFIGS, draw, excerpt, token_ids

ASSET = Path(__file__).parent / "assets" / "family_references.npz"

pytestmark = [
    pytest.mark.model,
    # transformers warns about its own internals.
    pytest.mark.filterwarnings("default"),
]


class Pair(NamedTuple):
    """One model, theirs and ours."""

    family: str
    theirs: Any
    logits: np.ndarray
    ours: Model


@pytest.fixture(scope="module", params=CONFIGS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A model of transformers, and what we read from the folder it saves."""
    import torch
    import transformers

    family, fields = request.param, CONFIGS[request.param]
    # transformers writes into the objects it is given.
    config = transformers.AutoConfig.for_model(**copy.deepcopy(fields))
    theirs = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            drawn = draw(name, tuple(weight.shape), fields["model_type"])
            weight.copy_(torch.from_numpy(drawn))
        logits = theirs.eval()(torch.from_numpy(token_ids())).logits.numpy()
    folder = tmp_path_factory.mktemp(family)
    byte_tokenizer().save(folder)
    theirs.save_pretrained(folder)
    return Pair(family, theirs, logits, load(folder))


def test_logits_equal_those_of_transformers(pair: Pair):
    """All of them, within 1e-5 of the largest one."""
    found = np.asarray(pair.ours.logits(token_ids()))
    assert np.abs(found - pair.logits).max() < 1e-5 * np.abs(pair.logits).max()


def test_the_stored_reference_is_what_transformers_computes(pair: Pair):
    """The suite without transformers compares with the same numbers."""
    with np.load(ASSET) as stored:
        expected = stored[f"{pair.family}.logits"]
    np.testing.assert_allclose(excerpt(pair.logits), expected, rtol=0, atol=1e-4)


def test_transformers_loads_what_is_saved(pair: Pair, tmp_path: Path):
    """Our export gives transformers the same weights and, bit for bit, the same logits."""
    import torch
    import transformers

    pair.ours.save(tmp_path / "saved")
    loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "saved", attn_implementation="eager", output_loading_info=True
    )
    again, info = loaded
    assert not any(info.values())
    assert type(again) is type(pair.theirs)
    with torch.no_grad():
        logits = again.eval()(torch.from_numpy(token_ids())).logits.numpy()
    np.testing.assert_array_equal(logits, pair.logits)


def test_gradients_equal_those_of_transformers(pair: Pair):
    """Of the next-token loss, for every tensor by its stored name."""
    import torch

    ids = token_ids()
    theirs = torch.from_numpy(ids)
    pair.theirs.zero_grad()
    pair.theirs(theirs, labels=theirs).loss.backward()
    expected = {name: weight.grad.numpy() for name, weight in pair.theirs.named_parameters()}
    config = pair.ours.config

    def loss(params: Params) -> jax.Array:
        hidden, _ = forward(params, config, jnp.asarray(ids, jnp.int32))
        states = hidden[:, :-1].reshape(-1, hidden.shape[-1])
        targets = jnp.asarray(ids[:, 1:].reshape(-1), jnp.int32)
        return -score_targets(params, config, states, targets).log_likelihood.mean()

    found = dict(folder_tensors(config, jax.jit(jax.grad(loss))(pair.ours.params)))
    assert found.keys() == expected.keys()
    largest = max(float(np.abs(gradient).max()) for gradient in expected.values())
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name], gradient, rtol=0, atol=2e-5 * largest, err_msg=name)
