"""The decoder's laws; its numbers are held against transformers elsewhere."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modelops_jax.models import (
    Adapters,
    DecoderConfig,
    KeyValues,
    Llama3Scaling,
    LoraConfig,
    Past,
    forward,
    init_lora,
    init_params,
    merge_lora,
    score_targets,
    sum_log_likelihood,
    unembed,
)

CONFIG = DecoderConfig(53, 24, 40, 3, 4, 2, 6, 64, 1e4, 1e-5, False)
LOCAL = dataclasses.replace(
    CONFIG,
    family="gemma3_text",
    sliding_window=4,
    local_layers=(True, False, True),
    local_rope_theta=100.0,
)


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
def adapters(params):
    """Adapters that change something."""
    fresh = init_lora(params, LoraConfig(rank=4, alpha=8.0), 1)
    random = np.random.default_rng(2)

    def noisy(leaf):
        return jnp.asarray(0.2 * random.standard_normal(leaf.shape), jnp.float32)

    return Adapters(jax.tree.map(noisy, fresh.weights), fresh.config)


# Jitted, so that tests with the same shapes compile once.
RUN = jax.jit(forward, static_argnames=("config",))


def tokens(*shape: int) -> jax.Array:
    """Random token ids."""
    return jnp.asarray(np.random.default_rng(0).integers(0, 53, shape), jnp.int32)


def test_later_tokens_do_not_move_earlier_states(params):
    """Attention is causal."""
    ids = tokens(2, 12)
    changed = ids.at[:, 8].set((ids[:, 8] + 1) % 53)
    before, after = RUN(params, CONFIG, ids)[0], RUN(params, CONFIG, changed)[0]
    np.testing.assert_array_equal(before[:, :8], after[:, :8])
    assert not np.allclose(before[:, 8:], after[:, 8:])


# Two sequences in one row, positions counted anew, and padding.
PACKED = jnp.asarray([[1] * 7 + [2] * 9 + [0] * 4], jnp.int32)
IN_SEGMENT = jnp.asarray([[*range(7), *range(9), *range(4)]], jnp.int32)


def test_packed_segments_equal_separate_rows(params):
    """Each gives what it gives alone."""
    ids = tokens(2, 12)
    packed = jnp.concatenate([ids[:1, :7], ids[1:, :9], jnp.zeros((1, 4), jnp.int32)], axis=1)
    hidden, _ = RUN(params, CONFIG, packed, segment_ids=PACKED, positions=IN_SEGMENT)
    alone, _ = RUN(params, CONFIG, ids)
    np.testing.assert_allclose(hidden[0, :7], alone[0, :7], atol=2e-5)
    np.testing.assert_allclose(hidden[0, 7:16], alone[1, :9], atol=2e-5)
    assert np.isfinite(hidden).all()


def test_another_segment_moves_nothing(params):
    """A change in one packed segment leaves the other's states bit for bit as they were."""
    ids, layout = tokens(1, 20), {"segment_ids": PACKED, "positions": IN_SEGMENT}
    before, _ = RUN(params, CONFIG, ids, **layout)
    after, _ = RUN(params, CONFIG, ids.at[0, 2].add(1), **layout)
    np.testing.assert_array_equal(before[:, 7:16], after[:, 7:16])
    assert not np.allclose(before[:, 2:7], after[:, 2:7])


@pytest.mark.parametrize("rows", [1, 2])
def test_past_equals_one_long_row(params, rows: int):
    """Reading a beginning first, once for all rows or once for each, changes nothing."""
    ids = tokens(2, 12).at[:, :6].set(tokens(rows, 6))
    whole, cache = RUN(params, CONFIG, ids)
    head = jax.tree.map(lambda leaf: leaf[:, :rows, :6], cache)
    hidden, _ = RUN(
        params,
        CONFIG,
        ids[:, 6:],
        positions=jnp.broadcast_to(jnp.arange(6, 12, dtype=jnp.int32)[None], (2, 6)),
        past=[Past(head, jnp.ones((rows, 6), bool), jnp.arange(6)[None])],
    )
    np.testing.assert_allclose(hidden, whole[:, 6:], atol=2e-5)


def test_a_prefix_equals_longer_rows(params, adapters):
    """A beginning computed once for all rows gives the states and the gradients of whole rows."""
    head, tail = tokens(7), tokens(3, 5)
    whole = jnp.concatenate([jnp.broadcast_to(head[None], (3, 7)), tail], axis=1)
    segments = jnp.asarray([[1] * 5, [1] * 5, [1] * 3 + [0] * 2], jnp.int32)
    weights = jax.random.normal(jax.random.key(3), (3, 5, 24))
    weights = weights * segments[:, :, None].astype(jnp.float32)

    def once(trained):
        params, low_rank = trained
        hidden, _ = forward(
            params,
            CONFIG,
            tail,
            prefix_ids=head,
            segment_ids=segments,
            adapters=Adapters(low_rank, adapters.config),
        )
        return (hidden * weights).sum()

    def again(trained):
        params, low_rank = trained
        hidden, _ = forward(
            params,
            CONFIG,
            whole,
            segment_ids=jnp.concatenate([jnp.ones((3, 7), jnp.int32), segments], axis=1),
            adapters=Adapters(low_rank, adapters.config),
        )
        return (hidden[:, 7:] * weights).sum()

    ours, our_gradients = jax.jit(jax.value_and_grad(once))((params, adapters.weights))
    theirs, their_gradients = jax.jit(jax.value_and_grad(again))((params, adapters.weights))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(their_gradients))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=2e-6 * largest),
        our_gradients,
        their_gradients,
    )


@pytest.fixture(scope="module")
def local_params():
    """Weights for `LOCAL`; the norms of Gemma multiply by 1 + weight."""
    return init_params(LOCAL, 0, stddev=0.3)


LEARNED = dataclasses.replace(CONFIG, family="gpt2", rope_theta=None, num_kv_heads=4)


def test_learned_positions_begin_anew_in_each_segment():
    """GPT-2's table counts from a segment's beginning, and goes on after a common prefix."""
    params = init_params(LEARNED, 0, stddev=0.3)
    head, tail = tokens(7), tokens(2, 5)
    rows = [jnp.concatenate([head, row]) for row in tail]
    alone, _ = RUN(params, LEARNED, jnp.stack(rows))
    packed, _ = RUN(
        params,
        LEARNED,
        tail.reshape(1, -1),
        segment_ids=jnp.asarray([[1] * 5 + [2] * 5], jnp.int32),
        positions=jnp.asarray([[*range(7, 12)] * 2], jnp.int32),
        prefix_ids=head,
    )
    np.testing.assert_allclose(packed.reshape(2, 5, -1), alone[:, 7:], atol=2e-5)


def test_windows_do_not_count_other_segments(local_params):
    """Local layers see the last tokens of their own segment, wherever it lies in the row."""
    ids = tokens(2, 9)
    segments = jnp.asarray([[1] * 7 + [0] * 2, [1] * 9], jnp.int32)
    alone, _ = RUN(local_params, LOCAL, ids, segment_ids=segments)
    packed, _ = RUN(
        local_params,
        LOCAL,
        jnp.concatenate([ids[:1, :7], ids[1:]], axis=1),
        segment_ids=jnp.asarray([[1] * 7 + [2] * 9], jnp.int32),
        positions=jnp.asarray([[*range(7), *range(9)]], jnp.int32),
    )
    np.testing.assert_allclose(packed[0, :7], alone[0, :7], atol=2e-5)
    np.testing.assert_allclose(packed[0, 7:], alone[1], atol=2e-5)
    wider = dataclasses.replace(LOCAL, sliding_window=5)
    assert not np.allclose(RUN(local_params, wider, ids)[0][1], alone[1], atol=1e-2)


def test_windows_reach_into_a_prefix(local_params):
    """Of a beginning computed once, local layers see the tokens that are near enough."""
    head, tail = tokens(7), tokens(3, 5)
    once, _ = RUN(local_params, LOCAL, tail, prefix_ids=head)
    whole = jnp.concatenate([jnp.broadcast_to(head[None], (3, 7)), tail], axis=1)
    np.testing.assert_allclose(once, RUN(local_params, LOCAL, whole)[0][:, 7:], atol=2e-5)


def test_invisible_past_counts_for_nothing(params):
    """Slots that a row may not see do not move it, whatever is in them."""
    ids, at = tokens(2, 6), jnp.arange(6, dtype=jnp.int32)[None]
    garbage = jnp.full((3, 2, 6, 2, 6), 1e4)
    past = [Past(KeyValues(garbage, garbage), jnp.zeros((2, 6), bool), at)]
    positions = jnp.broadcast_to(at, (2, 6))
    hidden, _ = RUN(params, CONFIG, ids, positions=positions, past=past)
    np.testing.assert_allclose(hidden, RUN(params, CONFIG, ids)[0], atol=1e-6)


def test_merged_adapters_equal_added_ones(params, adapters):
    """W x + s B (A x) is (W + s B A) x."""
    ids = tokens(2, 12)
    added, _ = RUN(params, CONFIG, ids, adapters=adapters)
    merged, _ = RUN(merge_lora(params, adapters), CONFIG, ids)
    np.testing.assert_allclose(added, merged, atol=5e-5)
    assert not np.allclose(added, RUN(params, CONFIG, ids)[0], atol=0.1)


def test_fresh_adapters_change_nothing(params, adapters):
    """B starts at zero."""
    ids = tokens(2, 12)
    fresh = init_lora(params, adapters.config, 0)
    added, _ = RUN(params, CONFIG, ids, adapters=fresh)
    np.testing.assert_array_equal(added, RUN(params, CONFIG, ids)[0])


def test_the_scale_of_adapters(params):
    """alpha / rank, or alpha / sqrt(rank) when stabilised."""
    plain = LoraConfig(rank=4, alpha=8.0)
    assert init_lora(params, plain, 0).scale == 2.0
    stable = LoraConfig(rank=4, alpha=8.0, rank_stabilized=True)
    assert init_lora(params, stable, 0).scale == 4.0


def test_adapters_only_where_targeted(params):
    """Patterns choose the linear maps."""
    fresh = init_lora(params, LoraConfig(rank=2, targets=("q_proj", "*own*")), 0)
    assert {name for block in fresh.weights.values() for name in block} == {"q_proj", "down_proj"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 0}, "lora.rank must be at least 1, found 0"),
        ({"alpha": 0.0}, "lora.alpha must be positive"),
        ({"targets": ("w_proj",)}, "'w_proj' matches none of q_proj"),
        ({"targets": ()}, "lora.targets is empty"),
    ],
)
def test_wrong_lora_settings_are_named(settings, message):
    """A pattern that adapts nothing is an error, not a silent no-op."""
    with pytest.raises(ValueError, match=message):
        LoraConfig(**settings)


def test_rematerialised_gradients_are_the_same(params, adapters):
    """Computing again instead of keeping changes memory, not numbers."""
    ids = tokens(2, 8)

    def loss(weights, remat, unroll=False):
        added = Adapters(weights, adapters.config)
        hidden, _ = forward(params, CONFIG, ids, adapters=added, remat=remat, unroll=unroll)
        return hidden.sum()

    gradient = jax.jit(jax.grad(loss), static_argnums=(1, 2))
    kept = gradient(adapters.weights, "none")
    for other in (("layer",), ("dots",), ("none", True)):
        again = gradient(adapters.weights, *other)
        for one, two in zip(jax.tree.leaves(kept), jax.tree.leaves(again), strict=True):
            # Entries are sums that cancel: their rounding is that of the largest.
            np.testing.assert_allclose(two, one, rtol=0, atol=1e-5 * np.abs(one).max())


@pytest.mark.parametrize("count", [1, 511, 512, 600])
def test_chunked_scores_equal_the_log_softmax(params, count: int):
    """Chunks and their padding are invisible, in values and in gradients."""
    hidden = jax.random.normal(jax.random.key(0), (count, 24))
    targets = jnp.asarray(np.random.default_rng(1).integers(0, 53, count), jnp.int32)

    def ours(states):
        scores = score_targets(params, CONFIG, states, targets)
        return scores.log_likelihood.sum(), scores

    def plain(states):
        logits = unembed(params, CONFIG, states)
        logs = jnp.take_along_axis(jax.nn.log_softmax(logits), targets[:, None], axis=-1)[:, 0]
        return logs.sum(), (logs, jnp.argmax(logits, axis=-1) == targets)

    (_, scores), found = jax.jit(jax.value_and_grad(ours, has_aux=True))(hidden)
    (_, (logs, is_top)), expected = jax.jit(jax.value_and_grad(plain, has_aux=True))(hidden)
    np.testing.assert_allclose(scores.log_likelihood, logs, atol=2e-5)
    np.testing.assert_array_equal(scores.is_top, is_top)
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("cap", [None, 3.0])
def test_gradients_made_in_the_forward_pass_are_those_of_the_log_softmax(params, cap):
    """Of the states and of the head, over the used targets alone, chunks and padding and all."""
    config = dataclasses.replace(CONFIG, family="gemma2", final_logit_softcapping=cap)
    hidden = jax.random.normal(jax.random.key(0), (300, 24))
    random = np.random.default_rng(1)
    targets = jnp.asarray(random.integers(0, 53, 300), jnp.int32)
    used = jnp.asarray(random.random(300) < 0.7)
    head = params["lm_head"]["weight"]

    def ours(head, states):
        weights = {**params, "lm_head": {"weight": head}}
        return 2 * sum_log_likelihood(weights, config, states, targets, used)[0]

    def plain(head, states):
        logits = unembed({**params, "lm_head": {"weight": head}}, config, states)
        logs = jnp.take_along_axis(jax.nn.log_softmax(logits), targets[:, None], axis=-1)[:, 0]
        return 2 * jnp.where(used, logs, 0.0).sum()

    value, found = jax.jit(jax.value_and_grad(ours, (0, 1)))(head, hidden)
    exact, expected = jax.jit(jax.value_and_grad(plain, (0, 1)))(head, hidden)
    np.testing.assert_allclose([value, jax.jit(ours)(head, hidden)], [exact] * 2, rtol=1e-6)
    of_states = jax.jit(jax.grad(lambda states: ours(head, states)))(hidden)  # a frozen head
    for gradients, of in ((found, expected), ([of_states], expected[1:])):
        for a, b in zip(gradients, of, strict=True):
            np.testing.assert_allclose(a, b, atol=2e-5)
    assert not of_states[~used].any()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("num_layers", 0, "num_layers must be positive, found 0"),
        ("num_kv_heads", 3, "num_kv_heads=3 must divide num_heads=4"),
        ("head_dim", 5, "head_dim must be even, found 5"),
        ("family", "bert", "family is 'bert'; expected one of llama, "),
        ("sliding_window", 4, "sliding_window=4 is not an option of 'llama'"),
        ("rope_theta", None, "rope_theta=None .*'llama' rotates by a base"),
        ("family", "gpt2", "rope_theta=10000.0 .*'gpt2' has learned positions"),
    ],
)
def test_wrong_sizes_are_named(field, value, message):
    """An impossible architecture is refused before any weight is made."""
    sizes = {name: getattr(CONFIG, name) for name in CONFIG.__dataclass_fields__}
    with pytest.raises(ValueError, match=message):
        DecoderConfig(**(sizes | {field: value}))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((8.0, 4.0, 4.0, 64), r"low_freq_factor=4\.0 must be below high_freq_factor=4\.0"),
        ((0.0, 1.0, 4.0, 64), r"factor must be positive, found 0\.0"),
    ],
)
def test_impossible_rotary_scaling_is_named(settings, message):
    """The ramp needs two different ends."""
    with pytest.raises(ValueError, match=message):
        Llama3Scaling(*settings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"local_layers": (True, False)}, r"needs sliding_window and one value for each of"),
        ({"sliding_window": None}, r"local_layers=.* needs sliding_window"),
        ({"sliding_window": None, "local_layers": ()}, r"local_rope_theta=100.0 needs sliding"),
        ({"attn_logit_softcapping": 5.0}, r"attn_logit_softcapping=5.0 is not an option"),
    ],
)
def test_contradicting_options_are_named(changes, message):
    """Layers, windows and families have to fit each other."""
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(LOCAL, **changes)
