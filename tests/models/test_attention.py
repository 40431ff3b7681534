"""Packed segments stay apart in every implementation of attention that may be chosen."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.models import DecoderConfig, _attention, forward, init_params, unembed
from modelops_jax.models._attention import _attend_by_jax, attend
from modelops_jax.models._views import causal_mask

CONFIG = DecoderConfig(53, 24, 40, 2, 4, 2, 6, 64, 1e4, 1e-5, False)
SEGMENTS = jnp.asarray([[1] * 7 + [2] * 6 + [0] * 3, [1] * 16], jnp.int32)


@pytest.fixture(params=["xla", "cudnn"])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What JAX could choose."""
    if request.param == "cudnn" and jax.default_backend() != "gpu":
        pytest.skip("cuDNN needs a GPU")
    chosen = partial(jax.nn.dot_product_attention, implementation=request.param)
    monkeypatch.setattr(jax.nn, "dot_product_attention", chosen)
    return request.param


@pytest.mark.model  # slow, and the path of accelerators
def test_jax_computes_what_we_do(implementation: str):
    """Values and gradients of all tokens but padding, whose are finite."""
    random = np.random.default_rng(0)
    kind = jnp.bfloat16 if implementation == "cudnn" else jnp.float32
    shapes = ((2, 16, 4, 8), (2, 16, 2, 8), (2, 16, 2, 8))
    arrays = [jnp.asarray(random.normal(size=shape), kind) for shape in shapes]
    weight = jnp.asarray(random.normal(size=(2, 16, 32)), kind) * (SEGMENTS != 0)[:, :, None]
    near = jnp.arange(16)[:, None] - jnp.arange(16)[None] < 5
    mask = causal_mask(SEGMENTS) & near[None]

    def ours(query, keys, values):
        return attend(query, [(keys, values, mask)], scale=0.4, softcap=None)

    def theirs(query, keys, values):
        return _attend_by_jax(query, keys, values, mask, scale=0.4)

    used = np.asarray(SEGMENTS != 0)
    atol = 1e-5 if kind == jnp.float32 else 3e-2
    np.testing.assert_allclose(
        np.asarray(theirs(*arrays), np.float32)[used],
        np.asarray(ours(*arrays), np.float32)[used],
        atol=atol,
    )
    assert jnp.isfinite(theirs(*arrays)).all()
    for name, one, other in zip(
        ("query", "keys", "values"),
        *(
            jax.grad(lambda *a, f=f: (f(*a) * weight).astype(jnp.float32).sum(), (0, 1, 2))(*arrays)
            for f in (ours, theirs)
        ),
        strict=True,
    ):
        found = np.asarray(other, np.float32)
        np.testing.assert_allclose(found, np.asarray(one, np.float32), atol=5 * atol, err_msg=name)


@pytest.mark.parametrize("softcap", [None, 2.0])
@pytest.mark.parametrize(("shared", "block"), [(False, 128), (True, 128), (False, 2)])
def test_values_and_gradients_are_those_of_the_definition(
    softcap: float | None, shared: bool, block: int, monkeypatch: pytest.MonkeyPatch
):
    """Against a softmax written out and differentiated by JAX, in float64 but for our scores."""
    monkeypatch.setattr(_attention, "BLOCK", block)
    random = np.random.default_rng(0)
    shapes = [(2, 5, 4, 3), (1 if shared else 2, 7, 2, 3), (1 if shared else 2, 7, 2, 3)]
    # Two slots before the queries' own, and nobody looks ahead.
    mask = jnp.asarray(random.random((2, 5, 7)) < 0.6) & jnp.tri(5, 7, 2, dtype=bool)
    mask = mask.at[:, :, 0].set(True)
    with jax.enable_x64(True):
        arrays = [jnp.asarray(random.normal(size=shape)) for shape in shapes]
        weight = jnp.asarray(random.normal(size=(2, 5, 12)))

        def ours(query, keys, values):
            return attend(query, [(keys, values, mask)], scale=0.7, softcap=softcap)

        def theirs(query, keys, values):
            keys, values = (jnp.repeat(x, 2, axis=2) for x in (keys, values))
            keys, values = (jnp.broadcast_to(x, (2, *x.shape[1:])) for x in (keys, values))
            scores = 0.7 * jnp.einsum("bthc,bshc->bhts", query, keys)
            scores = scores if softcap is None else softcap * jnp.tanh(scores / softcap)
            weights = jax.nn.softmax(jnp.where(mask[:, None], scores, -jnp.inf), axis=-1)
            return jnp.einsum("bhts,bshc->bthc", weights, values).reshape(2, 5, -1)

        np.testing.assert_allclose(ours(*arrays), theirs(*arrays), atol=1e-6)
        found, expected = (
            jax.grad(lambda *a, f=f: (f(*a) * weight).sum(), (0, 1, 2))(*arrays)
            for f in (ours, theirs)
        )
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=2e-6)


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_another_segment_moves_no_logit(monkeypatch: pytest.MonkeyPatch, backend: str):
    """Acceptance test 5: a change in one packed row leaves the other's logits bit for bit."""
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    called = []
    attention = jax.nn.dot_product_attention

    def noticed(*arguments, **options):
        called.append(options["mask"].shape)
        return attention(*arguments, **options)

    monkeypatch.setattr(jax.nn, "dot_product_attention", noticed)
    params = init_params(CONFIG, 0, stddev=0.3)
    ids = jnp.asarray(np.random.default_rng(0).integers(0, 53, (2, 16)), jnp.int32)

    @jax.jit
    def logits(ids):
        return unembed(params, CONFIG, forward(params, CONFIG, ids, segment_ids=SEGMENTS)[0])

    before, after = logits(ids), logits(ids.at[0, 2].set((ids[0, 2] + 1) % 53))
    np.testing.assert_array_equal(before[0, 7:13], after[0, 7:13])
    np.testing.assert_array_equal(before[1], after[1])
    assert not np.allclose(before[0, 2:7], after[0, 2:7], atol=1e-2)
    assert called == ([(2, 1, 16, 16)] if backend == "gpu" else [])
