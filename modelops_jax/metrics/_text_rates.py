"""Rates of whole corpora: errors by words or characters, log-likelihood by tokens or bytes."""

import math

from ._call import call
from ._metric import Metric
from ._row_functions import Domain, both_values
from ._text_finalizers import Rate
from ._totals import RowTotals
from ._types import Value, Vector

_COUNTS = Domain("non-negative", "non-negative")
_LIKELIHOODS = Domain("non-negative", "log-likelihood")


def word_error_rate_metric() -> Metric:
    """The metric of `word_error_rate`."""
    return Metric("word_error_rate", (RowTotals(both_values, _COUNTS),), Rate())


def character_error_rate_metric() -> Metric:
    """The metric of `character_error_rate`."""
    return Metric("character_error_rate", (RowTotals(both_values, _COUNTS),), Rate())


def perplexity_metric() -> Metric:
    """The metric of `perplexity`."""
    return Metric(
        "perplexity", (RowTotals(both_values, _LIKELIHOODS),), Rate(-1.0, exponential=True)
    )


def bits_per_byte_metric() -> Metric:
    """The metric of `bits_per_byte`."""
    per_nat = Rate(-1 / math.log(2))
    return Metric("bits_per_byte", (RowTotals(both_values, _LIKELIHOODS),), per_nat)


def word_error_rate(
    y_true: Vector, y_pred: Vector, *, weight: Vector | None = None, axis_name: str | None = None
) -> Value:
    """Word error rate: all word errors over all words of the references.

    A ratio of sums, so a long reference weighs more than a short one.
    `modelops_jax.evaluation.word_error_rate_metric` counts texts.

    Args:
        y_true: words of the reference, shape (n,).
        y_pred: the fewest words to insert, delete or substitute to get from the prediction to the
            reference, shape (n,).
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, inf); best 0. nan if all references together have no word.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete values that are negative or
            not finite (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import word_error_rate
        >>> float(word_error_rate([4, 6], [0, 3]))
        0.3

    Source: Woodard and Nelson, "An information theoretic measure of speech recognition
    performance", 1982.
    """
    return call(word_error_rate_metric(), y_true, y_pred, weight, axis_name)


def character_error_rate(
    y_true: Vector, y_pred: Vector, *, weight: Vector | None = None, axis_name: str | None = None
) -> Value:
    """Character error rate: all character errors over all characters of the references.

    A ratio of sums, so a long reference weighs more than a short one.
    `modelops_jax.evaluation.character_error_rate_metric` counts texts.

    Args:
        y_true: characters of the reference, shape (n,).
        y_pred: the fewest characters to insert, delete or substitute to get from the prediction to
            the reference, shape (n,).
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, inf); best 0. nan if all references together have no character.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete values that are negative or
            not finite (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import character_error_rate
        >>> float(character_error_rate([4, 12], [1, 1]))
        0.125

    Source: as `word_error_rate`.
    """
    return call(character_error_rate_metric(), y_true, y_pred, weight, axis_name)


def perplexity(
    y_true: Vector, y_pred: Vector, *, weight: Vector | None = None, axis_name: str | None = None
) -> Value:
    """Perplexity: e to the power of minus the log-likelihood of all tokens over their number.

    Rows are texts, and their sums are divided once: a mean of the perplexities of texts, or of
    batches, is another and a larger number.

    Args:
        y_true: how many tokens of each text were scored, shape (n,).
        y_pred: the summed log-likelihood of those tokens, shape (n,), in nats: 0 or less, of which
            rounding may make 0.001.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [1, inf); best 1. nan of no tokens.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete numbers of tokens that are
            negative or not finite, or log-likelihoods that are above 0 or not finite (under
            tracing these give nan).

    Example:
        >>> import math
        >>> from modelops_jax.metrics import perplexity
        >>> value = perplexity([2, 6], [2 * math.log(1 / 4), 6 * math.log(1 / 16)])
        >>> round(float(value), 4)
        11.3137

    Source: Jelinek et al., "Perplexity: a measure of the difficulty of speech recognition tasks",
    1977.
    """
    return call(perplexity_metric(), y_true, y_pred, weight, axis_name)


def bits_per_byte(
    y_true: Vector, y_pred: Vector, *, weight: Vector | None = None, axis_name: str | None = None
) -> Value:
    """Bits per byte: minus the log-likelihood of all texts, in bits, over their bytes.

    Unlike perplexity it compares models whose tokens differ.

    Args:
        y_true: bytes of each text in UTF-8, shape (n,).
        y_pred: the summed log-likelihood of its tokens, shape (n,), in nats: 0 or less, of which
            rounding may make 0.001.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, inf); best 0. nan of no bytes.

    Raises:
        ValueError: shapes that differ or are not one axis; concrete numbers of bytes that are
            negative or not finite, or log-likelihoods that are above 0 or not finite (under
            tracing these give nan).

    Example:
        >>> import math
        >>> from modelops_jax.metrics import bits_per_byte
        >>> round(float(bits_per_byte([10, 6], [10 * math.log(1 / 2), 6 * math.log(1 / 2)])), 6)
        1.0

    Source: Gao et al., "The Pile: an 800GB dataset of diverse text for language modeling", 2020.
    """
    return call(bits_per_byte_metric(), y_true, y_pred, weight, axis_name)
