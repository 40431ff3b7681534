"""BLEU, chrF and ROUGE as functions `(predictions, references)`."""

from collections.abc import Iterable
from typing import Any

from ._text_metrics import TextMetric, compute_texts

_NAMES = ("predictions", "references")


def bleu_metric(
    predictions: Iterable[Any],
    references: Iterable[Any],
    *,
    tokenize: str = "13a",
    lowercase: bool = False,
    max_ngram_order: int = 4,
    smooth_method: str = "exp",
    smooth_value: float | int | None = None,
    effective_order: bool = False,
) -> float:
    """Corpus BLEU: sacrebleu's number.

    See `modelops_jax.metrics.bleu_score` for the definition. N-grams count as often as they occur
    in the reference that has most of them, and the length is that of the nearest reference.

    Args:
        predictions: generated texts: a list, tuple or NumPy array of strings.
        references: the right texts, of the same length; an entry may be a list of several.
        tokenize: sacrebleu's tokenizer: "13a", "intl", "char", "zh", "none" and others.
        lowercase: whether case is left aside.
        max_ngram_order: the longest n-grams.
        smooth_method: "exp", "floor", "add-k" or "none".
        smooth_value: of "floor" and "add-k".
        effective_order: leave out orders longer than all predictions, as for single sentences.

    Returns:
        A float in [0, 100]; best 100. 0 if nothing is shared.

    Raises:
        TypeError: one string instead of a list of them, or an entry that is no string, naming
            its index.
        ValueError: two lengths, or an option that is none of its choices.
        ImportError: the `text` extra is not installed.

    Warns:
        UndefinedMetricWarning: there are no rows, and the value is nan.

    Example:
        >>> from modelops_jax.evaluation import bleu_metric
        >>> round(bleu_metric(["the cat sat on a mat"], ["the cat sat on the mat"]), 4)
        53.7285

    Source: Papineni et al., "BLEU: a method for automatic evaluation of machine translation", 2002;
    Post, "A call for clarity in reporting BLEU scores", 2018.
    """
    return compute_texts(
        TextMetric(
            "bleu_score",
            names=_NAMES,
            tokenize=tokenize,
            lowercase=lowercase,
            max_ngram_order=max_ngram_order,
            smooth_method=smooth_method,
            smooth_value=smooth_value,
            effective_order=effective_order,
        ),
        predictions,
        references,
    )


def chrf_metric(
    predictions: Iterable[Any],
    references: Iterable[Any],
    *,
    lowercase: bool = False,
    char_order: int = 6,
    beta: float | int = 2,
) -> float:
    """Corpus chrF: sacrebleu's number.

    See `modelops_jax.metrics.chrf_score` for the definition. White space is left aside; of several
    references the one of the highest chrF counts.

    Args:
        predictions: generated texts: a list, tuple or NumPy array of strings.
        references: the right texts, of the same length; an entry may be a list of several.
        lowercase: whether case is left aside.
        char_order: the longest n-grams.
        beta: how many times as important recall is.

    Returns:
        A float in [0, 100]; best 100. 0 if nothing is shared.

    Raises:
        TypeError: one string instead of a list of them, or an entry that is no string, naming
            its index.
        ValueError: two lengths, or an option outside its range.

    Warns:
        UndefinedMetricWarning: there are no rows, and the value is nan.

    Example:
        >>> from modelops_jax.evaluation import chrf_metric
        >>> round(chrf_metric(["the cat sat on a mat"], ["the cat sat on the mat"]), 4)
        65.9797

    Source: Popovic, "chrF: character n-gram F-score for automatic MT evaluation", 2015.
    """
    return compute_texts(
        TextMetric(
            "chrf_score", names=_NAMES, lowercase=lowercase, char_order=char_order, beta=beta
        ),
        predictions,
        references,
    )


def rouge_1_metric(predictions: Iterable[Any], references: Iterable[Any]) -> float:
    """ROUGE-1: mean F1 of the words shared.

    rouge-score's number, without stemming. Words are runs of ASCII letters and digits,
    in lower case. Of several references the one of the highest F1 counts.

    Args:
        predictions: generated texts: a list, tuple or NumPy array of strings.
        references: the right texts, of the same length; an entry may be a list of several.

    Returns:
        A float in [0, 1]; best 1. A row without any on either side counts 0.

    Raises:
        TypeError: one string instead of a list of them, or an entry that is no string, naming
            its index.
        ValueError: two lengths.

    Warns:
        UndefinedMetricWarning: there are no rows, and the value is nan.

    Example:
        >>> from modelops_jax.evaluation import rouge_1_metric
        >>> rouge_1_metric(["the cat sat on a mat"], ["The cat sat on the mat."])
        0.8333333333333334

    Source: Lin, "ROUGE: a package for automatic evaluation of summaries", 2004.
    """
    return compute_texts(TextMetric("rouge_1_score", names=_NAMES), predictions, references)


def rouge_2_metric(predictions: Iterable[Any], references: Iterable[Any]) -> float:
    """ROUGE-2: mean F1 of the pairs of neighbouring words shared.

    rouge-score's number, without stemming. Words are runs of ASCII letters and digits,
    in lower case. Of several references the one of the highest F1 counts.

    Args:
        predictions: generated texts: a list, tuple or NumPy array of strings.
        references: the right texts, of the same length; an entry may be a list of several.

    Returns:
        A float in [0, 1]; best 1. A row without any on either side counts 0.

    Raises:
        TypeError: one string instead of a list of them, or an entry that is no string, naming
            its index.
        ValueError: two lengths.

    Warns:
        UndefinedMetricWarning: there are no rows, and the value is nan.

    Example:
        >>> from modelops_jax.evaluation import rouge_2_metric
        >>> rouge_2_metric(["the cat sat on a mat"], ["The cat sat on the mat."])
        0.6

    Source: Lin, "ROUGE: a package for automatic evaluation of summaries", 2004.
    """
    return compute_texts(TextMetric("rouge_2_score", names=_NAMES), predictions, references)


def rouge_l_metric(predictions: Iterable[Any], references: Iterable[Any]) -> float:
    """ROUGE-L: mean F1 of the longest sequence of words that both have in this order.

    rouge-score's number, without stemming. Words are runs of ASCII letters and digits,
    in lower case. Of several references the one of the highest F1 counts.

    Args:
        predictions: generated texts: a list, tuple or NumPy array of strings.
        references: the right texts, of the same length; an entry may be a list of several.

    Returns:
        A float in [0, 1]; best 1. A row without any on either side counts 0.

    Raises:
        TypeError: one string instead of a list of them, or an entry that is no string, naming
            its index.
        ValueError: two lengths.
        ImportError: the `text` extra is not installed.

    Warns:
        UndefinedMetricWarning: there are no rows, and the value is nan.

    Example:
        >>> from modelops_jax.evaluation import rouge_l_metric
        >>> rouge_l_metric(["the cat sat on a mat"], ["The cat sat on the mat."])
        0.8333333333333334

    Source: Lin, "ROUGE: a package for automatic evaluation of summaries", 2004.
    """
    return compute_texts(TextMetric("rouge_l_score", names=_NAMES), predictions, references)
