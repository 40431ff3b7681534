"""Adapters by their definitions: DoRA's lengths, and dropout that follows the token."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.models import (
    Adapters,
    DecoderConfig,
    LoraConfig,
    forward,
    init_lora,
    init_params,
    merge_lora,
)
from modelops_jax.models._dropout import Noise, drop
from modelops_jax.models._lora import project

CONFIG = DecoderConfig(53, 24, 40, 3, 4, 2, 6, 64, 1e4, 1e-5, False)
DORA = LoraConfig(rank=4, alpha=8.0, dora=True, dropout=0.25)
RUN = jax.jit(forward, static_argnames=("config",))


@pytest.fixture(autouse=True)
def _strict_jax():
    """No silent promotion of types or ranks in our model code."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(scope="module")
def params():
    """Wide random weights: with small ones a wrong model looks right."""
    return init_params(CONFIG, 0, stddev=0.3)


@pytest.fixture(scope="module")
def adapters(params) -> Adapters:
    """DoRA adapters of every linear map, moved away from their start."""
    fresh = init_lora(params, DORA, 1)
    random = np.random.default_rng(2)
    noisy = jax.tree.map(
        lambda leaf: leaf + jnp.asarray(0.2 * random.normal(size=leaf.shape), jnp.float32),
        fresh.weights,
    )
    return Adapters(noisy, DORA)


def tokens(*shape: int) -> jax.Array:
    """Random token ids."""
    return jnp.asarray(np.random.default_rng(0).integers(0, 53, shape), jnp.int32)


def one_map(random):
    """A linear map of 5 inputs and 3 outputs with a bias, its adapter, and 7 inputs."""
    shapes = {"lora_A": (2, 5), "lora_B": (3, 2), "lora_magnitude_vector": (3,)}
    adapter = {name: random.normal(size=shape) for name, shape in shapes.items()}
    linear = {"weight": random.normal(size=(3, 5)), "bias": random.normal(size=3)}
    return random.normal(size=(7, 5)), linear, adapter


def on_device(tree):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), tree)


def test_dora_is_its_definition():
    """m (W + s B A) x / ||W + s B A|| + b, each row by its own length, in float64."""
    x, linear, adapter = one_map(np.random.default_rng(0))
    whole = linear["weight"] + 1.5 * adapter["lora_B"] @ adapter["lora_A"]
    rows = adapter["lora_magnitude_vector"] / np.linalg.norm(whole, axis=1)
    expected = x @ (rows[:, None] * whole).T + linear["bias"]
    arguments = on_device((x, {"o_proj": linear})), ("o_proj",), on_device({"o_proj": adapter})
    (x, linears), names, low_rank = arguments
    found = project(x, linears, names, low_rank, 1.5)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_the_length_of_a_row_has_no_gradient():
    """Gradients are those of the map whose lengths are given numbers (the paper's section 4.3)."""
    x, linear, adapter = on_device(one_map(np.random.default_rng(1)))
    whole = linear["weight"] + 1.5 * adapter["lora_B"] @ adapter["lora_A"]
    lengths = jnp.linalg.norm(whole, axis=1)

    def ours(adapter):
        return jnp.sin(project(x, {"o_proj": linear}, ("o_proj",), {"o_proj": adapter}, 1.5)[0])

    def fixed(adapter, lengths=lengths):
        whole = linear["weight"] + 1.5 * adapter["lora_B"] @ adapter["lora_A"]
        rows = adapter["lora_magnitude_vector"] / lengths
        return jnp.sin(x @ (rows[:, None] * whole).T + linear["bias"][None])

    def moving(adapter):
        whole = linear["weight"] + 1.5 * adapter["lora_B"] @ adapter["lora_A"]
        return fixed(adapter, jnp.linalg.norm(whole, axis=1))

    found, expected, other = (
        jax.jit(jax.grad(lambda a, f=f: f(a).sum()))(adapter) for f in (ours, fixed, moving)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), found, expected)
    assert not np.allclose(found["lora_A"], other["lora_A"], atol=1e-2)


def test_merged_adapters_equal_added_ones(params, adapters):
    """The weights with their new lengths give what the adapters gave beside them."""
    ids = tokens(2, 9)
    added, _ = RUN(params, CONFIG, ids, adapters=adapters)
    merged, _ = RUN(merge_lora(params, adapters), CONFIG, ids)
    np.testing.assert_allclose(added, merged, atol=1e-4)
    plain = Adapters(adapters.weights, LoraConfig(rank=4, alpha=4.0))
    assert not np.allclose(added, RUN(merge_lora(params, plain), CONFIG, ids)[0], atol=0.1)


def test_fresh_adapters_change_nothing(params):
    """B is zero, and each row has its own length."""
    ids = tokens(2, 9)
    added, _ = RUN(params, CONFIG, ids, adapters=init_lora(params, DORA, 0))
    np.testing.assert_allclose(added, RUN(params, CONFIG, ids)[0], atol=1e-5)


def test_dropout_belongs_to_the_token(params, adapters):
    """A row packed behind another, in a longer batch, is dropped as it is alone."""
    ids, random = tokens(1, 9), np.random.default_rng(0)
    words = jnp.asarray(random.integers(2**32, size=(1, 20)), jnp.uint32)
    alone, _ = RUN(params, CONFIG, ids, adapters=adapters, dropout=words[:, 5:14])
    packed, _ = RUN(
        params,
        CONFIG,
        jnp.concatenate([tokens(1, 5), ids, tokens(1, 6)], axis=1),
        segment_ids=jnp.asarray([[1] * 5 + [2] * 9 + [0] * 6], jnp.int32),
        positions=jnp.asarray([[*range(5), *range(9), *range(6)]], jnp.int32),
        adapters=adapters,
        dropout=words,
    )
    np.testing.assert_allclose(packed[:, 5:14], alone, atol=1e-4)
    for other in (None, words[:, :9]):
        hidden, _ = RUN(params, CONFIG, ids, adapters=adapters, dropout=other)
        assert not np.allclose(hidden, alone, atol=0.1)


def test_dropout_is_even_and_independent():
    """Every token, input, layer and map loses its share, and no two masks are alike."""
    random = np.random.default_rng(0)
    words = jnp.asarray(random.integers(2**32, size=64), jnp.uint32)
    ones = jnp.ones((64, 256), jnp.float32)
    masks = np.stack(
        [drop(ones, Noise(words, jnp.int32(la), 0.25), site) for la in range(8) for site in (0, 6)]
    ).reshape(8, 2, 64, 256)
    assert set(np.unique(masks)) == {0.0, np.float32(1 / 0.75)}
    kept = (masks > 0).astype(np.float64)
    for axis in range(4):
        others = tuple(other for other in range(4) if other != axis)
        count = kept.size / kept.shape[axis]
        error = (0.25 * 0.75 / count) ** 0.5
        assert np.abs(kept.mean(axis=others) - 0.75).max() < 5 * error
        # Neighbours along the axis agree as often as independent ones do.
        once, again = np.take(kept, range(1, kept.shape[axis]), axis), kept
        again = np.take(again, range(kept.shape[axis] - 1), axis)
        agree = 0.75**2 + 0.25**2
        error = (agree * (1 - agree) / once.size) ** 0.5
        assert abs((once == again).mean() - agree) < 5 * error


def test_wrong_dropout_is_named():
    """A rate of 1 would leave nothing."""
    with pytest.raises(ValueError, match=r"lora\.dropout must be in \[0, 1\), found 1"):
        LoraConfig(dropout=1.0)
