"""Packed segments stay apart in every implementation of attention that may be chosen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.models import DecoderConfig, _attention, forward, init_params, unembed
from modelops_jax.models._attention import attend
from modelops_jax.models._views import causal_mask

CONFIG = DecoderConfig(53, 24, 40, 2, 4, 2, 8, 64, 1e4, 1e-5, False)
ON_GPU = jax.default_backend() == "gpu"
dot_product_attention = jax.nn.dot_product_attention
SEGMENTS = jnp.asarray([[1] * 7 + [2] * 6 + [0] * 3, [1] * 16], jnp.int32)


def by_xla(*arrays, implementation: str, **options):
    """What cuDNN computes, by what every machine has."""
    assert implementation == "cudnn"
    assert arrays[0].shape[1] % 2 == arrays[1].shape[1] % 2 == 0, "cuDNN refuses it"
    return dot_product_attention(*arrays, implementation="xla", **options)


@pytest.mark.model  # slow, and the path of one kind of accelerator
@pytest.mark.parametrize(("before", "tokens"), [(0, 16), (0, 15), (2, 16), (3, 16), (3, 15)])
def test_cudnn_computes_what_we_do(before: int, tokens: int, monkeypatch: pytest.MonkeyPatch):
    """Values and gradients of all tokens but padding, whose are finite."""
    random = np.random.default_rng(0)
    kind = jnp.bfloat16 if ON_GPU else jnp.float32
    if not ON_GPU:
        monkeypatch.setattr(jax.nn, "dot_product_attention", by_xla)
    slots = before + tokens
    shapes = ((2, tokens, 4, 8), (2, slots, 2, 8), (2, slots, 2, 8))
    arrays = [jnp.asarray(random.normal(size=shape), kind) for shape in shapes]
    segments = SEGMENTS[:, :tokens]
    weight = jnp.asarray(random.normal(size=(2, tokens, 32)), kind) * (segments != 0)[:, :, None]
    near = jnp.arange(tokens)[:, None] - jnp.arange(tokens)[None] < 5
    mask = causal_mask(segments) & near[None]
    earlier = jnp.broadcast_to((segments != 0)[:, :, None], (2, tokens, before))
    mask = jnp.concatenate([earlier, mask], axis=-1)

    def ours(query, keys, values):
        monkeypatch.setattr(_attention, "_fits_cudnn", lambda query: False)
        return attend(query, [(keys, values, mask)], scale=0.4, softcap=None)

    def theirs(query, keys, values):
        monkeypatch.setattr(_attention, "_fits_cudnn", lambda query: True)
        return attend(query, [(keys, values, mask)], scale=0.4, softcap=None)

    used = np.asarray(segments != 0)
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


def test_what_remat_keeps_has_the_name_it_looks_for():
    """A primitive of JAX's own, which has no public name."""
    from jax._src.cudnn import fused_attention_stablehlo

    primitives = filter(lambda x: hasattr(x, "bind"), vars(fused_attention_stablehlo).values())
    kept = [primitive.name for primitive in primitives if _attention.saves_attention(primitive)]
    assert "dot_product_attention_fwd" in kept
    assert not any("bwd" in name for name in kept)


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

        values, others = (jax.jit(f)(*arrays) for f in (ours, theirs))
        np.testing.assert_allclose(values, others, atol=1e-6)
        found, expected = (
            jax.jit(jax.grad(lambda *a, f=f: (f(*a) * weight).sum(), (0, 1, 2)))(*arrays)
            for f in (ours, theirs)
        )
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=2e-6)


@pytest.mark.parametrize("by_cudnn", [False, True])
def test_another_segment_moves_no_logit(monkeypatch: pytest.MonkeyPatch, by_cudnn: bool):
    """Acceptance test 5: a change in one packed row leaves the other's logits bit for bit."""
    monkeypatch.setattr(_attention, "_fits_cudnn", lambda query: by_cudnn)
    called = []

    def noticed(*arrays, **options):
        called.append(options["mask"].shape)
        return (dot_product_attention if ON_GPU else by_xla)(*arrays, **options)

    monkeypatch.setattr(jax.nn, "dot_product_attention", noticed)
    kind = jnp.bfloat16 if ON_GPU and by_cudnn else jnp.float32
    params = init_params(CONFIG, 0, stddev=0.3)
    ids = jnp.asarray(np.random.default_rng(0).integers(0, 53, (2, 16)), jnp.int32)

    @jax.jit
    def logits(ids):
        hidden, _ = forward(params, CONFIG, ids, segment_ids=SEGMENTS, dtype=kind)
        return unembed(params, CONFIG, hidden)

    before, after = logits(ids), logits(ids.at[0, 2].set((ids[0, 2] + 1) % 53))
    np.testing.assert_array_equal(before[0, 7:13], after[0, 7:13])
    np.testing.assert_array_equal(before[1], after[1])
    assert not np.allclose(before[0, 2:7], after[0, 2:7], atol=1e-2)
    assert called == ([(2, 1, 16, 16)] if by_cudnn else [])
