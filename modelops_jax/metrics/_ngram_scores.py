"""BLEU and chrF from the lengths of texts and the n-grams they share."""

import math
from typing import get_args

from modelops_jax._option_types import require_count, require_number

from ._call import call
from ._metric import Metric
from ._overlap_counts import NgramsOfBoth, OverlapTotals, PredictedNgrams
from ._text_finalizers import Bleu, CharacterF, Smoothing
from ._types import Matrix, Value, Vector

_AMOUNTS = {"floor": 0.1, "add-k": 1.0}


def bleu_score_metric(
    *,
    max_ngram_order: int = 4,
    smooth_method: Smoothing | str = "exp",
    smooth_value: float | int | None = None,
    effective_order: bool = False,
) -> Metric:
    """The metric of `bleu_score`."""
    orders = _orders(max_ngram_order, "max_ngram_order")
    smoothing = next((method for method in get_args(Smoothing) if method == smooth_method), None)
    if smoothing is None:
        raise ValueError(
            f"smooth_method must be one of {get_args(Smoothing)}, not {smooth_method!r}"
        )
    if smooth_value is not None and smoothing not in _AMOUNTS:
        raise ValueError(f"smooth_value={smooth_value!r} is for smooth_method 'floor' and 'add-k'")
    usual = _AMOUNTS.get(smoothing, 0.0)
    amount = usual if smooth_value is None else require_number(smooth_value, "smooth_value")
    if not 0 <= amount < math.inf:
        raise ValueError(f"smooth_value must be 0 or more and finite, not {smooth_value!r}")
    width = 2 + 2 * len(orders)
    statistic = OverlapTotals(PredictedNgrams(orders), orders=orders, width=width)
    return Metric("bleu_score", (statistic,), Bleu(len(orders), smoothing, amount, effective_order))


def chrf_score_metric(*, char_order: int = 6, beta: float | int = 2) -> Metric:
    """The metric of `chrf_score`."""
    orders = _orders(char_order, "char_order")
    if not 0 <= require_number(beta, "beta") < math.inf:
        raise ValueError(f"beta must be 0 or more and finite, not {beta!r}")
    statistic = OverlapTotals(NgramsOfBoth(orders), orders=orders, width=3 * len(orders))
    return Metric("chrf_score", (statistic,), CharacterF(len(orders), float(beta)))


def bleu_score(
    y_true: Vector,
    y_pred: Matrix,
    *,
    weight: Vector | None = None,
    max_ngram_order: int = 4,
    smooth_method: Smoothing | str = "exp",
    smooth_value: float | int | None = None,
    effective_order: bool = False,
    axis_name: str | None = None,
) -> Value:
    """Corpus BLEU: the geometric mean of the n-gram precisions, less what is too short, times 100.

    `100 min(1, exp(1 - r / p)) exp(mean over n of log(shared_n / predicted_n))`, where r and p are
    the lengths of all references and predictions, and the counts are sums over all rows: BLEU is
    no mean of sentences. `modelops_jax.evaluation.bleu_metric` counts texts.

    Args:
        y_true: tokens of the reference, shape (n,); of several, the length nearest to that of the
            prediction.
        y_pred: shape (n, 1 + N): tokens of the prediction, then by order 1 to N how many of its
            n-grams are in the reference, each as often as it occurs there at most.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        max_ngram_order: N.
        smooth_method: what becomes of an order of which nothing is shared: "exp" counts half an
            n-gram, a quarter at the next such order, and so on; "floor" counts `smooth_value`;
            "add-k" adds it to both counts of all orders but the first; "none" makes the score 0.
        smooth_value: None: 0.1 for "floor", 1 for "add-k".
        effective_order: leave out orders longer than all predictions, whose precision is 0/0;
            otherwise they make the score 0.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 100]; best 100. 0 if nothing is shared. nan of no rows.

    Raises:
        ValueError: shapes that do not fit, options outside their choices; concrete lengths that
            are negative or not finite, or more n-grams shared than predicted (under tracing these
            give nan).

    Example:
        >>> from modelops_jax.metrics import bleu_score
        >>> # "the cat sat on a mat" for "the cat sat on the mat"
        >>> round(float(bleu_score([6], [[6, 5, 3, 2, 1]])), 4)
        53.7285

    Source: Papineni et al., "BLEU: a method for automatic evaluation of machine translation", 2002;
    the numbers are sacrebleu's (Post, "A call for clarity in reporting BLEU scores", 2018).
    """
    options = {"smooth_method": smooth_method, "smooth_value": smooth_value}
    metric = bleu_score_metric(
        max_ngram_order=max_ngram_order, effective_order=effective_order, **options
    )
    return call(metric, y_true, y_pred, weight, axis_name)


def chrf_score(
    y_true: Vector,
    y_pred: Matrix,
    *,
    weight: Vector | None = None,
    char_order: int = 6,
    beta: float | int = 2,
    axis_name: str | None = None,
) -> Value:
    """Corpus chrF: F of the mean precision and the mean recall of character n-grams, times 100.

    `100 (1 + beta^2) P R / (beta^2 P + R)`, where P and R are means over the orders of
    shared / predicted and shared / reference n-grams, each a ratio of sums over all rows.
    `modelops_jax.evaluation.chrf_metric` counts texts.

    Args:
        y_true: characters of the reference, shape (n,).
        y_pred: shape (n, 1 + N): characters of the prediction, then by order 1 to N how many of
            its n-grams are in the reference, each as often as it occurs there at most.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        char_order: N.
        beta: how many times as important recall is.
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 100]; best 100. 0 if nothing is shared. Orders that one side has no n-gram
        of are left out of the means. nan of no rows.

    Raises:
        ValueError: shapes that do not fit, options outside their range; concrete lengths that are
            negative or not finite, or more n-grams shared than predicted (under tracing these
            give nan).

    Example:
        >>> from modelops_jax.metrics import chrf_score
        >>> # "abd" for "abc": two of three letters, one of two pairs
        >>> round(float(chrf_score([3], [[3, 2, 1, 0]], char_order=3)), 4)
        38.8889

    Source: Popovic, "chrF: character n-gram F-score for automatic MT evaluation", 2015; the numbers
    are sacrebleu's.
    """
    metric = chrf_score_metric(char_order=char_order, beta=beta)
    return call(metric, y_true, y_pred, weight, axis_name)


def _orders(highest: int, name: str) -> tuple[int, ...]:
    return tuple(range(1, require_count(highest, name) + 1))
