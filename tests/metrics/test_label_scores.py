"""Scores of every label of rows that have several, against scikit-learn."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from modelops_jax import metrics
from modelops_jax.metrics import MetricStream, bootstrap_intervals, compute, metric

sk: Any = sklearn.metrics
LABELS = 4
OF_RANKS = {
    "roc_auc_score": sk.roc_auc_score,
    "average_precision_score": sk.average_precision_score,
}
OF_COLUMNS = {
    "log_loss": lambda *rows, **more: sk.log_loss(*rows, labels=[0, 1], **more),
    "brier_score_loss": sk.brier_score_loss,
}


def rows(seed: int = 0, count: int = 50):
    """Indicators, each row with some labels and without some, tied probabilities, and weights."""
    random = np.random.default_rng(seed)
    y_true = random.integers(0, 2, (count, LABELS))
    y_true[:, 0] = 1 - y_true[:, 1]
    probability = np.clip(np.round(0.4 * random.random((count, LABELS)) + 0.3 * y_true, 2), 0, 1)
    return y_true, np.clip(probability, 0.01, 0.99), random.random(count)


def same(found, expected):
    """Equal within 1e-12, nan where nan is expected."""
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_ranks_of_labels_equal_scikit_learns(weighted):
    """Every average, of one state; merged batches too."""
    y_true, score, weight = rows()
    given = weight if weighted else None
    averages = ("micro", "macro", "weighted", "samples", None)
    configured = {
        f"{name} {average}": metric(name, num_labels=LABELS, average=average)
        for name in OF_RANKS
        for average in averages
    }
    stream = MetricStream(configured)
    for part in (slice(20), slice(20, None)):
        stream.update(y_true[part], score[part], weight=None if given is None else given[part])
    whole = compute(configured, y_true, score, weight=given).values
    for name, oracle in OF_RANKS.items():
        for average in averages:
            expected = oracle(y_true, score, average=average, sample_weight=given)
            same(whole[f"{name} {average}"], expected)
            same(stream.report().values[f"{name} {average}"], expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_losses_of_labels_are_scikit_learns_of_their_columns(weighted):
    """Each label's, of all entries as one column, and the means; logits are sigmoids."""
    y_true, probability, weight = rows(1)
    given = weight if weighted else None
    averages = ("micro", "macro", "weighted", None)
    configured = {
        f"{name} {average}": metric(name, num_labels=LABELS, average=average)
        for name in OF_COLUMNS
        for average in averages
    }
    logits = np.log(probability / (1 - probability))
    of_logits = {
        name: metric(name, num_labels=LABELS, average=None, from_logits=True) for name in OF_COLUMNS
    }
    found = compute(configured, y_true, probability, weight=given).values
    from_logits = compute(of_logits, y_true, logits, weight=given).values
    support = (y_true * (weight[:, None] if weighted else 1)).sum(axis=0)
    for name, oracle in OF_COLUMNS.items():
        columns = zip(y_true.T, probability.T, strict=True)
        every = [oracle(*column, sample_weight=given) for column in columns]
        flat = None if given is None else np.repeat(given, LABELS)
        expected = {
            "micro": oracle(y_true.ravel(), probability.ravel(), sample_weight=flat),
            "macro": np.mean(every),
            "weighted": np.average(every, weights=support),
            None: every,
        }
        for average in averages:
            same(found[f"{name} {average}"], expected[average])
        same(from_logits[name], every)


def test_ignored_entries_are_as_good_as_absent():
    """Each label is of its own rows, a row of the labels that are left, whatever the score was."""
    y_true, score, weight = rows(2)
    seen = np.random.default_rng(9).random(y_true.shape) > 0.25
    seen[3] = False
    given = np.where(seen, y_true, -1)
    spoiled = np.where(seen, score, math.nan)
    options: dict[str, Any] = {"num_labels": LABELS, "ignore_index": -1}
    wide = np.broadcast_to(weight[:, None], seen.shape)
    columns = [seen & (np.arange(LABELS) == k) for k in range(LABELS)]
    names = (*OF_RANKS, *OF_COLUMNS)
    configured = {
        f"{name} {average}": metric(name, average=average, **options)
        for name in names
        for average in ("micro", None)
    }
    of_ranks = {n: metric(n, average="samples", absent="skip", **options) for n in OF_RANKS}
    kept = {n: m for n, m in configured.items() if n.split()[0] in OF_RANKS} | of_ranks
    summed = {n: m for n, m in configured.items() if n not in kept}
    report = compute(kept, given, spoiled, weight=weight)
    found = report.values | compute(summed, given, spoiled, weight=weight).values
    for name, oracle in (OF_RANKS | OF_COLUMNS).items():
        every = [oracle(y_true[w], score[w], sample_weight=wide[w]) for w in columns]
        same(found[f"{name} None"], every)
        same(found[f"{name} micro"], oracle(y_true[seen], score[seen], sample_weight=wide[seen]))
    for name, oracle in OF_RANKS.items():
        both = [len(set(y_true[i][seen[i]])) == 2 for i in range(len(seen))]
        some = [bool((y_true[i] * seen[i]).any()) for i in range(len(seen))]
        which = np.flatnonzero(both if name == "roc_auc_score" else some)
        of_rows = [oracle(y_true[i][seen[i]], score[i][seen[i]]) for i in which]
        same(found[name], np.average(of_rows, weights=weight[which]))
        assert report.undefined[name] == seen.any(axis=1).sum() - len(which)


def test_labels_without_a_value():
    """One nobody has makes means of ranks nan unless skipped; it has a loss all the same."""
    y_true, score, _ = rows(3)
    y_true[:, 2] = 0
    found = metrics.roc_auc_score(y_true, score, num_labels=LABELS)
    assert math.isnan(found)
    others = [0, 1, 3]
    found = metrics.roc_auc_score(y_true, score, num_labels=LABELS, absent="skip")
    same(found, sk.roc_auc_score(y_true[:, others], score[:, others]))
    nothing = np.full_like(y_true[:, 2], -1)
    y_true[:, 2] = nothing
    options: dict[str, Any] = {"num_labels": LABELS, "ignore_index": -1}
    same(
        metrics.brier_score_loss(y_true, score, **options),
        np.mean((y_true - score)[:, others] ** 2),
    )
    assert math.isnan(metrics.brier_score_loss(y_true[:0], score[:0], **options))


@pytest.mark.model
@pytest.mark.parametrize("name", [*OF_RANKS, *OF_COLUMNS])
def test_scores_of_labels_trace_and_ignore_masked_rows(name):
    """Under jit, of each average, masked rows of nan; and the gradient of the losses is finite."""
    y_true, score, _ = rows(4)
    keep = np.arange(len(score)) % 3 > 0
    spoiled = jnp.asarray(np.where(keep[:, None], score, math.nan), jnp.float32)
    function = metrics.METRICS[name].function
    for average in ("micro", "macro", "weighted", None) + (
        ("samples",) if name in OF_RANKS else ()
    ):

        def value(pred, average=average):
            return function(y_true, pred, weight=keep, num_labels=LABELS, average=average)

        expected = function(y_true[keep], score[keep], num_labels=LABELS, average=average)
        np.testing.assert_allclose(jax.jit(value)(spoiled), expected, rtol=2e-6)
        if name in OF_COLUMNS and average == "macro":
            assert np.isfinite(jax.grad(value)(spoiled)).all()


def test_intervals_resample_whole_rows():
    """The spread of resamples is that of rows drawn by hand, of losses and of ranks."""
    y_true, score, _ = rows(5, 60)
    y_true[:, 1:], score[:, 1:] = y_true[:, :1], score[:, :1]  # labels that are all one
    for names in (("brier_score_loss",), tuple(OF_RANKS)):
        configured = {
            f"{name} {average}": metric(name, num_labels=LABELS, average=average)
            for name in names
            for average in ("micro", "macro")
        }
        ends = bootstrap_intervals(configured, y_true, score, n_resamples=200)
        random = np.random.default_rng(0)
        drawn = random.integers(0, 60, (200, 60))
        oracles = OF_RANKS | {"brier_score_loss": sk.brier_score_loss}
        for name in names:
            by_hand = [oracles[name](y_true[i, 0], score[i, 0]) for i in drawn]
            expected = np.subtract(*np.quantile(by_hand, [0.975, 0.025]))
            for average in ("micro", "macro"):
                end = ends[f"{name} {average}"]
                assert end.high - end.low == pytest.approx(expected, rel=0.25)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("roc_auc_score", {"num_classes": 3}, r"num_classes=3 is for rows of one label each"),
        ("roc_auc_score", {"max_fpr": 0.5}, r"max_fpr=0.5 is for rows of one label each"),
        ("roc_auc_score", {"multi_class": "ovo"}, r"multi_class='ovo' is for rows of one label"),
        ("roc_auc_score", {"average": "binary"}, r"average must be one of .*'samples'.* or None"),
        ("log_loss", {"average": "samples"}, r"average must be one of .*, not 'samples'"),
        ("log_loss", {"num_labels": None, "average": None}, r"needs num_labels"),
    ],
)
def test_options_that_do_not_fit_are_refused(name, options, message):
    """With the option, and what it is for."""
    with pytest.raises(ValueError, match=message):
        metric(name, **{"num_labels": LABELS} | options)


def test_rows_that_do_not_fit_are_refused():
    """Other labels, other widths and what is no probability."""
    y_true, score, _ = rows(6)
    bad = score.copy()
    bad[4, 1] = 1.5
    with pytest.raises(ValueError, match=r"y_pred: 1 rows with a number outside 0 to 1"):
        metrics.log_loss(y_true, bad, num_labels=LABELS)
    for name in ("log_loss", "roc_auc_score"):
        function = metrics.METRICS[name].function
        with pytest.raises(ValueError, match="y_true has 4 columns; num_labels=3"):
            function(y_true, score, num_labels=3)
        with pytest.raises(ValueError, match=r"y_true: 50 rows with a label other than 0 and 1"):
            function(y_true + 1, score, num_labels=LABELS)
