"""Generation and scoring equal the plain, uncached, unbatched computation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from modelops_jax.models import DecoderConfig, forward, generate, init_params, score, unembed
from modelops_jax.models._append import split_layers
from modelops_jax.models._batching import batches, common_prefix
from modelops_jax.models._sampling import sample

CONFIG = DecoderConfig(97, 32, 48, 3, 4, 2, 8, 128, 1e4, 1e-5, True)
STOP = 5


@pytest.fixture(scope="module")
def params():
    """Weights wide enough that greedy choices are far apart."""
    return init_params(CONFIG, 0, stddev=0.3)


def make_prompts(shared: int, lengths: list[int]) -> list[list[int]]:
    """Random prompts that begin with the same tokens."""
    random = np.random.default_rng(1)
    head = random.integers(6, 97, shared).tolist()
    return [head + random.integers(6, 97, length).tolist() for length in lengths]


@jax.jit
def padded_logits(params, token_ids, segment_ids):
    """Of a whole sequence, without a cache."""
    hidden, _ = forward(params, CONFIG, token_ids, segment_ids=segment_ids)
    return unembed(params, CONFIG, hidden)


def plain_logits(params, tokens: list[int]) -> np.ndarray:
    """Of each token of a sequence, which is read alone."""
    padded = np.zeros((1, 64), np.int32)
    padded[0, : len(tokens)] = tokens
    segments = (np.arange(64) < len(tokens)).astype(np.int32)[None]
    return np.asarray(padded_logits(params, padded, segments)[0, : len(tokens)])


def plain_greedy(params, prompt: list[int], count: int) -> list[int]:
    """Greedy continuation by running the whole sequence again for every token."""
    tokens, new = list(prompt), []
    for _ in range(count):
        token = int(plain_logits(params, tokens)[-1].argmax())
        if token == STOP:
            break
        new.append(token)
        tokens.append(token)
    return new


@pytest.mark.parametrize(("shared", "layers"), [(0, None), (11, 2)])
def test_cached_ragged_batch_equals_plain_greedy(
    params, shared: int, layers: int | None, monkeypatch: pytest.MonkeyPatch
):
    """The cache, the padding and the shared beginning change no token; nor does a whole step.

    A CPU runs a program for some layers; an accelerator one a token, and looks at some tokens only.
    """
    if layers is None:
        monkeypatch.setattr("modelops_jax.models._generate.split_layers", lambda _: None)
    else:
        monkeypatch.setattr("modelops_jax.models._append.LAYERS_A_CALL", layers)
    prompts = make_prompts(shared, [3, 40, 1, 9, 17])
    made = generate(params, CONFIG, prompts, max_new_tokens=8, stop_ids=(STOP,), pad_id=0)
    assert made == [plain_greedy(params, prompt, 8) for prompt in prompts]


def test_stop_token_ends_a_row_and_is_not_returned(params):
    """Rows stop on their own; the others go on."""
    prompts = make_prompts(0, [4, 6, 8])
    free = generate(params, CONFIG, prompts, max_new_tokens=6, stop_ids=(), pad_id=0)
    stop = free[1][2]
    stopped = generate(params, CONFIG, prompts, max_new_tokens=6, stop_ids=(stop,), pad_id=0)
    for before, after in zip(free, stopped, strict=True):
        assert after == before[: before.index(stop)] if stop in before else after == before


def test_a_caller_may_end_rows_and_watch(params):
    """On a CPU it is asked after every token; the others go on, and progress counts the ended."""
    prompts = make_prompts(0, [4, 6, 8])
    settings = {"max_new_tokens": 6, "stop_ids": (), "pad_id": 0}
    free = generate(params, CONFIG, prompts, **settings)
    seen: list[tuple[int, int]] = []
    made = generate(
        params,
        CONFIG,
        prompts,
        ended=lambda row, ids: row == 1 and ids[-2:] == free[1][1:3],
        progress=lambda finished, total: seen.append((finished, total)),
        **settings,
    )
    assert made == [free[0], free[1][:3], free[2]]
    assert seen == [(0, 3), (0, 3), (1, 3), (1, 3), (1, 3), (3, 3)]


def test_layers_apart_are_the_same_memory(params):
    """Weights of a CPU are not copied, and a model on several devices is left whole."""
    split = split_layers(params)
    assert split is not None
    for index, layer in enumerate(split.layers):
        apart, stacked = layer["mlp"]["up_proj"]["weight"], params["model"]["layers"]["mlp"]
        pointer = stacked["up_proj"]["weight"].unsafe_buffer_pointer()
        assert apart.unsafe_buffer_pointer() == pointer + index * apart.nbytes


def test_sampling_does_not_depend_on_the_batch(params):
    """A row's draws depend on the seed and its index, not on its neighbours."""
    prompts = make_prompts(3, [27, 28, 7])  # the first two alone have one shape
    settings = {"max_new_tokens": 5, "stop_ids": (STOP,), "pad_id": 0, "temperature": 1.0}
    together = generate(params, CONFIG, prompts, seed=3, **settings)
    alone = generate(params, CONFIG, prompts[:1], seed=3, **settings)
    assert together[0] == alone[0]
    assert together != generate(params, CONFIG, prompts, seed=4, **settings)
    numbered = generate(params, CONFIG, prompts[:1], seed=3, rows=[1], **settings)
    assert numbered != alone
    # The prompt of number 1 alone, in the batch shape of one row.
    assert generate(params, CONFIG, prompts[1:2], seed=3, rows=[1], **settings) == together[1:2]
    with pytest.raises(ValueError, match="rows has 2 numbers for 1 prompts"):
        generate(params, CONFIG, prompts[:1], rows=[0, 1], **settings)


def test_sampled_frequencies_are_the_softmax():
    """A chi-square of 20,000 draws against the distribution that top-k and top-p leave."""
    logits = jnp.asarray([[2.0, 1.0, 0.5, 0.0, -1.0]])
    keys = jax.random.split(jax.random.key(0), 20_000)
    many = jnp.broadcast_to(logits, (20_000, 5))
    probabilities = np.exp(np.asarray(logits[0]) / 0.7)
    cases = [(None, None, 5), (3, None, 3), (None, 0.6, 1), (None, 0.9, 3), (1, None, 1)]
    for top_k, top_p, kept in cases:
        drawn = np.asarray(sample(many, keys, temperature=0.7, top_k=top_k, top_p=top_p))
        counts = np.bincount(drawn, minlength=5)
        expected = probabilities[:kept] / probabilities[:kept].sum() * 20_000
        assert counts[kept:].sum() == 0
        # 99.9 % quantile of chi-square with 4 degrees of freedom is 18.5.
        assert (np.square(counts[:kept] - expected) / expected).sum() < 18.5


def test_temperature_zero_takes_the_likeliest():
    """Greedy is the arg max, whatever the keys."""
    logits = jax.random.normal(jax.random.key(0), (7, 11))
    keys = jax.random.split(jax.random.key(1), 7)
    likeliest = np.argmax(np.asarray(logits), axis=-1).tolist()
    # Divided by the smallest of these, logits are infinite or no numbers.
    for temperature in (0.0, 1e-300, 1e-44, 2e-38, 1e-6):
        drawn = sample(logits, keys, temperature=temperature, top_k=3, top_p=0.9)
        assert drawn.tolist() == likeliest, temperature


def test_score_equals_the_log_softmax_of_each_token(params):
    """Sums of log-likelihoods, whatever the batch; an empty completion scores 0."""
    prompts = make_prompts(2, [3, 20, 6])
    completions = [[7, 8, 9], [], make_prompts(0, [33])[0]]
    sums, counts = score(params, CONFIG, prompts, completions, pad_id=0)
    assert counts.tolist() == [3, 0, 33]
    for prompt, completion, found in zip(prompts, completions, sums, strict=True):
        tokens = prompt + completion
        logs = scipy.special.log_softmax(plain_logits(params, tokens).astype(np.float64), axis=-1)
        expected = sum(logs[at - 1, tokens[at]] for at in range(len(prompt), len(tokens)))
        assert found == pytest.approx(expected, abs=1e-4)


def test_each_sequence_is_in_one_batch():
    """No row is lost or doubled, and rows of a batch fit its shape."""
    lengths = [1, 31, 32, 33, 700, 5000, 2, 2, 2]
    seen = []
    for batch in batches([[9] * length for length in lengths], pad_id=0):
        seen += batch.rows
        assert batch.token_ids.shape[0] & (batch.token_ids.shape[0] - 1) == 0
        for at, row in enumerate(batch.rows):
            assert batch.lengths[at] == lengths[row] <= batch.token_ids.shape[1]
    assert sorted(seen) == list(range(len(lengths)))


def test_common_prefix_leaves_a_token_in_every_prompt():
    """What is read once is a beginning of all prompts, in whole steps, never a whole prompt."""
    assert common_prefix([[1] * 20]) == 0
    assert common_prefix([[1] * 20, [1] * 20]) == 16
    assert common_prefix([[1] * 16, [1] * 20]) == 8
    assert common_prefix([[1] * 20, [2] * 20]) == 0
    assert common_prefix([[1] * 9 + [2], [1] * 9 + [3], [1] * 30]) == 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens must be at least 1, found 0"),
        ({"temperature": -1.0}, "temperature must be 0 or positive"),
        ({"temperature": float("nan")}, "temperature must be 0 or positive, and finite, found nan"),
        ({"seed": 2**32}, r"seed must be .* below 2\*\*32, found 4294967296"),
        ({"top_k": 0}, "top_k must be at least 1"),
        ({"top_p": 0.0}, "top_p must be in"),
        ({"prompts": [[1], []]}, r"prompts\[1\] has no tokens"),
        ({"prompts": [[1] * 126]}, r"prompts\[0\] has 126 tokens.*context of 128"),
    ],
)
def test_wrong_arguments_are_named(params, changes, message):
    """The message names the argument, what was found and what was expected."""
    arguments = {"prompts": [[1, 2]], "max_new_tokens": 4, "stop_ids": (STOP,), "pad_id": 0}
    with pytest.raises(ValueError, match=message):
        generate(params, CONFIG, **(arguments | changes))
