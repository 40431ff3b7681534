"""Matches, lengths and error rates of texts as functions `(predictions, references)`."""

from collections.abc import Iterable
from typing import Any

from ._text_metrics import TextMetric, compute_texts

_NAMES = ("predictions", "references")


def exact_match_metric(predictions: Iterable[Any], references: Iterable[Any]) -> float:
    """Share of predictions that equal their reference, surrounding white space left aside.

    Args:
        predictions: generated texts: a list, tuple or NumPy array of strings.
        references: the right texts, of the same length.

    Returns:
        A float in [0, 1]; best 1.

    Raises:
        TypeError: one string instead of a list of them, or an entry that is no string, naming
            its index.
        ValueError: two lengths.

    Warns:
        UndefinedMetricWarning: there are no rows, and the value is 0.0.

    Example:
        >>> from modelops_jax.evaluation import exact_match_metric
        >>> exact_match_metric(["4", " Paris\\n", "5"], ["4", "Paris", "6"])
        0.6666666666666666

    """
    return compute_texts(TextMetric("exact_match", names=_NAMES), predictions, references)


def length_ratio_metric(predictions: Iterable[Any], references: Iterable[Any]) -> float:
    """Mean over examples of len(prediction) / len(reference), in characters.

    An empty reference counts 1.0 if its prediction is empty too and 0.0 if not.

    Args:
        predictions: generated texts: a list, tuple or NumPy array of strings.
        references: the right texts, of the same length.

    Returns:
        A float in [0, inf); 1 means as long as the references.

    Raises:
        TypeError: one string instead of a list of them, or an entry that is no string, naming
            its index.
        ValueError: two lengths.

    Warns:
        UndefinedMetricWarning: there are no rows, and the value is 0.0.

    Example:
        >>> from modelops_jax.evaluation import length_ratio_metric
        >>> length_ratio_metric(["ab", "abcd", ""], ["abcd", "abcd", ""])
        0.8333333333333334

    """
    return compute_texts(TextMetric("length_ratio", names=_NAMES), predictions, references)


def squad_exact_match_metric(predictions: Iterable[Any], references: Iterable[Any]) -> float:
    """Share of predictions that are one of their answers, normalised as SQuAD does.

    In lower case, without ASCII punctuation, then without the words a, an and the, then with single
    spaces. (The SQuAD script multiplies by 100.)

    Args:
        predictions: generated texts: a list, tuple or NumPy array of strings.
        references: the right texts, of the same length; an entry may be a list of several.

    Returns:
        A float in [0, 1]; best 1.

    Raises:
        TypeError: one string instead of a list of them, or an entry that is no string, naming
            its index.
        ValueError: two lengths.

    Warns:
        UndefinedMetricWarning: there are no rows, and the value is 0.0.

    Example:
        >>> from modelops_jax.evaluation import squad_exact_match_metric
        >>> squad_exact_match_metric(["The Eiffel Tower!", "in 1889"], [["eiffel tower"], "1889"])
        0.5

    Source: Rajpurkar et al., "SQuAD: 100,000+ questions for machine comprehension of text", 2016.
    """
    return compute_texts(TextMetric("squad_exact_match", names=_NAMES), predictions, references)


def squad_f1_metric(predictions: Iterable[Any], references: Iterable[Any]) -> float:
    """Mean F1 of the words shared with the best of the answers, normalised as SQuAD does.

    See `squad_exact_match_metric` for the normalisation. (The SQuAD script multiplies by 100.)

    Args:
        predictions: generated texts: a list, tuple or NumPy array of strings.
        references: the right texts, of the same length; an entry may be a list of several.

    Returns:
        A float in [0, 1]; best 1. Of rows without words on both sides 1, on one side 0.

    Raises:
        TypeError: one string instead of a list of them, or an entry that is no string, naming
            its index.
        ValueError: two lengths.

    Warns:
        UndefinedMetricWarning: there are no rows, and the value is nan.

    Example:
        >>> from modelops_jax.evaluation import squad_f1_metric
        >>> squad_f1_metric(["The Eiffel Tower!", "in 1889"], [["eiffel tower"], "1889"])
        0.8333333333333333

    Source: Rajpurkar et al., "SQuAD: 100,000+ questions for machine comprehension of text", 2016.
    """
    return compute_texts(TextMetric("squad_f1_score", names=_NAMES), predictions, references)


def word_error_rate_metric(predictions: Iterable[Any], references: Iterable[Any]) -> float:
    """Word error rate: insertions, deletions and substitutions over words of the references.

    Words are what white space divides. A ratio of sums over all rows.

    Args:
        predictions: generated texts: a list, tuple or NumPy array of strings.
        references: the right texts, of the same length.

    Returns:
        A float in [0, inf); best 0.

    Raises:
        TypeError: one string instead of a list of them, or an entry that is no string, naming
            its index.
        ValueError: two lengths.
        ImportError: the `text` extra is not installed.

    Warns:
        UndefinedMetricWarning: no reference has a word, and the value is nan.

    Example:
        >>> from modelops_jax.evaluation import word_error_rate_metric
        >>> word_error_rate_metric(["the cat sat", "yes"], ["the cat sat down", "yes"])
        0.2

    Source: Woodard and Nelson, "An information theoretic measure of speech recognition
    performance", 1982.
    """
    return compute_texts(TextMetric("word_error_rate", names=_NAMES), predictions, references)


def character_error_rate_metric(predictions: Iterable[Any], references: Iterable[Any]) -> float:
    """Character error rate: insertions, deletions and substitutions over characters.

    Characters are code points, less surrounding white space. A ratio of sums over all rows.

    Args:
        predictions: generated texts: a list, tuple or NumPy array of strings.
        references: the right texts, of the same length.

    Returns:
        A float in [0, inf); best 0.

    Raises:
        TypeError: one string instead of a list of them, or an entry that is no string, naming
            its index.
        ValueError: two lengths.
        ImportError: the `text` extra is not installed.

    Warns:
        UndefinedMetricWarning: no reference has a character, and the value is nan.

    Example:
        >>> from modelops_jax.evaluation import character_error_rate_metric
        >>> character_error_rate_metric(["kitten", "ab"], ["sitting", "abc"])
        0.4

    Source: as `word_error_rate_metric`.
    """
    return compute_texts(TextMetric("character_error_rate", names=_NAMES), predictions, references)
