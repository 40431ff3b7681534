"""Metrics of what was counted of texts, against sacrebleu, exact fractions and the definitions."""

import math
from fractions import Fraction
from typing import Any

import jax
import numpy as np
import pytest
import sklearn.metrics
from sacrebleu.metrics.bleu import BLEU

from modelops_jax.metrics import (
    METRICS,
    MetricStream,
    accuracy_score,
    bleu_score,
    bootstrap_intervals,
    chrf_score,
    compute,
    compute_slices,
    count_attempts,
    metric,
    pass_at_k,
    perplexity,
    rouge_1_score,
    squad_f1_score,
    token_accuracy_score,
    word_error_rate,
)

RNG = np.random.default_rng(8)
FEW = {
    "bleu_score": {"max_ngram_order": 2},
    "chrf_score": {"char_order": 2},
    "pass_at_k": {"k": 2},
}
LANGUAGE = {
    name: metric(name, **FEW.get(name, {}))
    for name, info in METRICS.items()
    if info.inputs in ("overlaps", "errors", "log_likelihoods", "tokens", "attempts")
}


def overlaps(count: int, orders: int, most: int = 9, seed: int = 0):
    """Lengths of references and predictions, and n-grams shared; some rows share nothing."""
    random = np.random.default_rng(seed)
    reference, length = random.integers(0, most, (2, count))
    shared = [
        random.integers(0, np.maximum(np.minimum(length, reference) - n, 0) + 1)
        * (random.random(count) < 0.8 - 0.1 * n)
        for n in range(orders)
    ]
    return reference, np.stack([length, *shared], axis=1)


@pytest.mark.parametrize("effective_order", [False, True])
@pytest.mark.parametrize(
    ("smooth_method", "smooth_value"),
    [
        ("exp", None),
        ("floor", None),
        ("floor", 0.3),
        ("add-k", None),
        ("add-k", 2.0),
        ("none", None),
    ],
)
def test_bleu_of_counts_is_sacrebleus(smooth_method, smooth_value, effective_order):
    """Every smoothing, with orders of which nothing is shared and orders without n-grams."""
    options = {"smooth_method": smooth_method, "smooth_value": smooth_value}
    options["effective_order"] = effective_order
    seen = set()
    for seed in range(40):
        reference, counts = overlaps(1 + seed % 4, 4, most=4 + seed % 7, seed=seed)
        predicted = [int(np.maximum(counts[:, 0] - n, 0).sum()) for n in range(4)]
        expected = BLEU.compute_bleu(
            correct=counts[:, 1:].sum(axis=0).tolist(),
            total=predicted,
            sys_len=int(counts[:, 0].sum()),
            ref_len=int(reference.sum()),
            **options,
        ).score
        assert float(bleu_score(reference, counts, **options)) == pytest.approx(expected, rel=1e-12)
        seen.add((expected > 0, 0 in predicted, 0 in counts[:, 1:].sum(axis=0)))
    assert len(seen) >= (4 if effective_order or smooth_method == "add-k" else 3)


def test_chrf_leaves_out_orders_that_a_side_does_not_have():
    """By hand: letters and pairs of "abc" and "ab"; no triple is predicted, so two orders count."""
    assert chrf_score([3], [[2, 2, 1, 0]], char_order=3, beta=1) == pytest.approx(
        100 * 2 * 1 * (2 / 3 + 1 / 2) / 2 / (1 + (2 / 3 + 1 / 2) / 2)
    )
    assert chrf_score([0, 3], [[2, 0], [0, 0]], char_order=1) == 0
    # Letters predicted for a reference without any do not count.
    assert chrf_score([0, 2], [[5, 0], [2, 2]], char_order=1) == 100


def test_pass_at_k_is_the_exact_fraction():
    """Against 1 - C(n - c, k) / C(n, k) in integers, up to large n, and k of every size."""
    attempts = np.array([5, 7, 20, 200, 10_000, 1_000_000])
    for k in (1, 5):
        passes = np.array([0, 7, 3, 1, 9_997, 1])
        exact = [
            1 - Fraction(math.comb(n - c, k), math.comb(n, k))
            for n, c in zip(attempts.tolist(), passes.tolist(), strict=True)
        ]
        found = [float(pass_at_k([n], [c], k=k)) for n, c in zip(attempts, passes, strict=True)]
        assert found == pytest.approx([float(one) for one in exact], rel=0, abs=1e-14)
        mean = float(sum(exact) / len(exact))
        assert float(pass_at_k(attempts, passes, k=k)) == pytest.approx(mean, rel=0, abs=1e-14)
    exact = 1 - Fraction(math.comb(180, 100), math.comb(200, 100))
    assert float(pass_at_k([200], [20], k=100)) == pytest.approx(float(exact), abs=1e-13)


def test_pass_at_k_refuses_what_no_problem_can_have():
    """Fewer attempts than k, more passes than attempts, and numbers that are not whole."""
    refused: list[tuple[Any, Any, str]] = [
        (
            [5, 1],
            [1, 1],
            "y_true: 1 numbers of attempts that are .* below k=2.* index 1",
        ),
        ([5, 2], [6, 1], "y_pred: 1 numbers of passes that are .* above the attempts.* index 0"),
        ([5.5], [1], "y_true"),
        ([5], [0.5], "y_pred"),
        ([5], [-1], "y_pred"),
    ]
    for attempts, passes, message in refused:
        with pytest.raises(ValueError, match=message):
            pass_at_k(attempts, passes, k=2)
        assert np.isnan(
            jax.jit(lambda n, c: pass_at_k(n, c, k=2))(np.array(attempts), np.array(passes))
        )
    traced = jax.jit(lambda n, c: pass_at_k(n, c, k=2))
    assert np.isnan(traced(np.array([5, 2]), np.array([6, 1])))
    with pytest.raises(ValueError, match="k must be at least 1, not 0"):
        metric("pass_at_k", k=0)


def test_attempts_are_counted_by_problem():
    """Against a loop, with problems in any order."""
    passed, problems = RNG.random(60) < 0.4, RNG.integers(0, 9, 60) * 10
    attempts, passes = count_attempts(passed, problems)
    names = sorted(set(problems.tolist()))
    assert attempts.tolist() == [int(np.sum(problems == name)) for name in names]
    assert passes.tolist() == [int(np.sum(passed[problems == name])) for name in names]
    with pytest.raises(ValueError, match=r"passed has .*2.* at index 1; expected 0 or 1"):
        count_attempts([1, 2], ["a", "b"])
    with pytest.raises(ValueError, match=r"one length; found \(2,\) and \(1,\)"):
        count_attempts([1, 0], ["a"])


def test_perplexity_is_of_all_tokens_and_not_of_batches():
    """One batch and two merged ones give the same, whatever their tokens: e to the mean loss."""
    tokens = RNG.integers(1, 50, 64)
    likelihoods = -tokens * RNG.exponential(size=64)
    keep = RNG.random(64) < 0.6
    expected = math.exp(-likelihoods[keep].sum() / tokens[keep].sum())
    assert float(perplexity(tokens, likelihoods, weight=keep)) == pytest.approx(expected, rel=1e-13)
    stream = MetricStream({"it": metric("perplexity")})
    for part in (slice(0, 10), slice(10, 64)):
        stream.update(tokens[part], likelihoods[part], weight=keep[part])
    assert float(stream.report().values["it"]) == pytest.approx(expected, rel=1e-13)
    with pytest.raises(ValueError, match=r"y_pred: 64 log-likelihoods that are above 0"):
        perplexity(tokens, -likelihoods)
    assert str(perplexity([3], [0.0])) == "1.0"
    assert str(METRICS["bits_per_byte"].function([3], [0.0])) == "0.0"


def test_token_accuracy_is_that_of_the_tokens_that_count():
    """Against scikit-learn over the flat tokens; ids beyond 32 bits are told apart."""
    y_true, other = RNG.integers(0, 4, (2, 30, 11))
    y_pred = np.where(RNG.random((30, 11)) < 0.6, y_true, other)
    keep = RNG.random((30, 11)) < 0.7
    marked = np.where(keep, y_true, -100)
    expected = sklearn.metrics.accuracy_score(y_true[keep], y_pred[keep])
    assert float(token_accuracy_score(marked, y_pred, ignore_index=-100)) == expected
    flat = accuracy_score(marked.ravel(), y_pred.ravel(), ignore_index=-100)
    assert float(flat) == expected
    assert float(token_accuracy_score(y_true + 2**32, y_true)) == 0
    assert float(token_accuracy_score([[1, -100]], [[0, -100]], ignore_index=-100)) == 0
    assert math.isnan(token_accuracy_score(marked[:, :0], y_pred[:, :0]))
    with pytest.raises(TypeError, match="y_pred must hold integer"):
        token_accuracy_score(y_true, y_pred.astype(float))
    with pytest.raises(ValueError, match="one shape"):
        token_accuracy_score(y_true, y_pred[:, :3])


def test_rows_that_share_more_than_they_have_are_refused():
    """With the index of the first, on the host; nan under tracing."""
    for row in ([3, 4], [3, -1], [math.nan, 0]):
        counts = np.array([[3, 2], row, [2, 2]])
        with pytest.raises(ValueError, match=r"y_pred: 1 rows that are negative.* at index 1"):
            rouge_1_score([3, 3, 3], counts)
        assert np.isnan(jax.jit(rouge_1_score)(np.array([3, 3, 3]), counts))
    with pytest.raises(ValueError, match="y_true: 1 lengths that are negative"):
        rouge_1_score([-1], [[0, 0]])
    with pytest.raises(ValueError, match=r"y_pred has 2 columns; expected 5: .* order 1, 2, 3, 4"):
        bleu_score([3], [[3, 2]])


def test_no_rows_and_masked_rows_are_undefined():
    """nan and counted; rows without words are not: they have a value, or make a rate undefined."""
    together: dict[Any, dict[str, Any]] = {}
    for name, one in LANGUAGE.items():
        statistic = one.statistics[0]
        form = (statistic.true_axes, len(getattr(statistic, "orders", ())))
        together.setdefault(form, {})[name] = one
    for (axes, shared), metrics in together.items():
        y_true = np.zeros((3, 2) if axes == 2 else 3, np.int32)
        y_pred = np.zeros((3, 1 + shared) if shared else y_true.shape, np.int32)
        masked = np.zeros(3, bool)
        for report in (
            compute(metrics, y_true[:0], y_pred[:0], weight=masked[:0]),
            compute(metrics, y_true, y_pred, weight=masked),
        ):
            assert all(math.isnan(value) for value in report.values.values()), report.values
            assert set(report.undefined.values()) == {1}
    nothing = {n: LANGUAGE[n] for n in ("rouge_1_score", "squad_f1_score")}
    report = compute(nothing, [0, 0, 2], [[0, 0], [1, 0], [0, 0]])
    assert report.values == {"rouge_1_score": 0, "squad_f1_score": pytest.approx(1 / 3)}
    assert float(bleu_score([0], [[0, 0, 0, 0, 0]])) == 0
    report = compute({"wer": LANGUAGE["word_error_rate"]}, [0, 0], [0, 3])
    assert math.isnan(report.values["wer"])
    assert report.undefined == {"wer": 1}


def test_counts_do_not_stick_at_two_to_the_24():
    """Streamed in float32 they stay exact: sums of 2**24 and 1."""
    wer = metric("word_error_rate")
    state, update = wer.identity(), jax.jit(wer.update)
    for errors in (2**24, 1, 1, 1):
        state = update(state, np.array([2**24], np.int32), np.array([errors], np.int32))
    value = wer.finalize(state).value
    assert value * 4 * 2**24 == 2**24 + 3


def test_corpus_scores_are_resampled_and_sliced_by_their_rows():
    """Slices equal the rows alone; the interval is that of resampled rows of counts."""
    reference, counts = overlaps(400, 4, most=30, seed=3)
    bleu = {"bleu": metric("bleu_score")}
    language = RNG.integers(0, 3, 400)
    sliced = compute_slices(bleu, reference, counts, {"language": language}).slices["language"]
    for part, report in enumerate(sliced):
        rows = language == part
        alone = bleu_score(reference[rows], counts[rows])
        assert float(report.values["bleu"]) == pytest.approx(float(alone), rel=1e-12)
    found = bootstrap_intervals(bleu, reference, counts, n_resamples=2000)["bleu"]
    random = np.random.default_rng(1)
    drawn = []
    for _ in range(300):
        rows = random.integers(0, 400, 400)
        drawn.append(float(bleu_score(reference[rows], counts[rows])))
    ends = np.quantile(drawn, [0.025, 0.975])
    assert np.allclose(ends, np.array([found.low, found.high]), atol=0.18 * (ends[1] - ends[0]))
    assert found.method == "Poisson percentile"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("bleu_score", {"max_ngram_order": 0}, "max_ngram_order must be at least 1, not 0"),
        ("bleu_score", {"smooth_method": "exponential"}, "smooth_method must be one of"),
        ("bleu_score", {"smooth_value": 1.0}, "is for smooth_method 'floor' and 'add-k'"),
        ("bleu_score", {"smooth_method": "floor", "smooth_value": -1.0}, "0 or more"),
        ("chrf_score", {"char_order": 0}, "char_order must be at least 1"),
        ("chrf_score", {"beta": -1}, "beta must be 0 or more"),
    ],
)
def test_options_outside_their_choices_are_refused(name, options, message):
    """Before there are rows."""
    with pytest.raises(ValueError, match=message):
        metric(name, **options)


def test_squad_and_rouge_differ_where_there_are_no_words():
    """No answer is an answer; a summary without words is none."""
    assert float(squad_f1_score([0], [[0, 0]])) == 1
    assert float(rouge_1_score([0], [[0, 0]])) == 0
    assert float(word_error_rate([2, 4], [3, 0])) == 0.5
