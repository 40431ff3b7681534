"""What is counted of a prediction and its references, row by row, on the host.

A counter gives for every row the reference's side, shape (n,), and the prediction's, shape (n,) or
(n, k), as the metric of `modelops_jax.metrics` takes them. Of several references it takes the one
that the metric's reference implementation takes.
"""

import functools
import importlib
import re
import string
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._texts import Texts

Counts = tuple[np.ndarray, np.ndarray]
# The length of the reference, that of the prediction, and how much they share, by order.
Row = tuple[int, ...]

_WORDS = re.compile(r"[a-z0-9]+")
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def text_library(module: str) -> Any:
    """A module of the `text` extra.

    Raises:
        ImportError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(
            f'this metric needs {module.partition(".")[0]}: pip install "modelops-jax[text]"'
        ) from error


@dataclass(frozen=True)
class Matches:
    """Whether prediction and reference are one text, surrounding white space left aside."""

    def __call__(self, texts: Texts) -> Counts:
        matches = texts.matches()
        return np.ones_like(matches), matches


@dataclass(frozen=True)
class Lengths:
    """Characters."""

    def __call__(self, texts: Texts) -> Counts:
        predictions, references = texts.lengths()
        return references, predictions


@dataclass(frozen=True)
class SquadMatches:
    """Whether the normalised prediction is one of the normalised references."""

    def __call__(self, texts: Texts) -> Counts:
        found = (
            squad_normalised(prediction) in map(squad_normalised, references)
            for prediction, references in texts.pairs()
        )
        matches = np.fromiter(found, np.bool_, len(texts))
        return np.ones_like(matches), matches


@dataclass(frozen=True)
class SquadWords:
    """Words of the normalised texts."""

    def __call__(self, texts: Texts) -> Counts:
        def words(text: str) -> list[str]:
            return squad_normalised(text).split()

        return _of_best(texts, words, _shared_ngrams((1,)), _squad_f1)


@dataclass(frozen=True)
class RougeNgrams:
    """Words, and the n-grams of one order that are shared."""

    order: int

    def __call__(self, texts: Texts) -> Counts:
        f1 = functools.partial(_f1, order=self.order)
        return _of_best(texts, rouge_words, _shared_ngrams((self.order,)), f1)


@dataclass(frozen=True)
class RougeSubsequence:
    """Words, and the length of their longest common subsequence."""

    def __post_init__(self) -> None:
        text_library("rapidfuzz.distance")

    def __call__(self, texts: Texts) -> Counts:
        longest = text_library("rapidfuzz.distance").LCSseq.similarity

        def shared(predicted: list[str], reference: list[str]) -> Row:
            return len(reference), len(predicted), longest(predicted, reference)

        return _of_best(texts, rouge_words, shared, _f1)


@dataclass(frozen=True)
class BleuNgrams:
    """Tokens, and the n-grams that are shared with any of the references.

    Each counts as often as it occurs in the reference that has most of it; the length is that of
    the reference nearest to the prediction's, of two as near the shorter one's.
    """

    tokenize: str = "13a"
    lowercase: bool = False
    max_ngram_order: int = 4

    def __post_init__(self) -> None:
        known = text_library("sacrebleu.metrics.bleu").BLEU.TOKENIZERS
        if self.tokenize not in known:
            raise ValueError(f"tokenize is {self.tokenize!r}; choose one of: {', '.join(known)}")

    def __call__(self, texts: Texts) -> Counts:
        split = _bleu_tokenizer(self.tokenize)
        orders = range(1, self.max_ngram_order + 1)
        reference = np.empty(len(texts), np.int64)
        predicted = np.empty((len(texts), 1 + self.max_ngram_order), np.int64)

        def tokens(text: str) -> list[str]:
            return split((text.lower() if self.lowercase else text).rstrip()).split()

        for row, (prediction, references) in enumerate(texts.pairs()):
            found, right = tokens(prediction), [tokens(text) for text in references]
            reference[row] = min((abs(len(r) - len(found)), len(r)) for r in right)[1]
            predicted[row, 0] = len(found)
            for order in orders:
                most = functools.reduce(Counter.__or__, (_ngrams(one, order) for one in right))
                predicted[row, order] = _shared(_ngrams(found, order), most)
        return reference, predicted


@dataclass(frozen=True)
class ChrfNgrams:
    """Characters other than white space, and their n-grams that are shared."""

    lowercase: bool = False
    char_order: int = 6
    beta: float | int = 2

    def __call__(self, texts: Texts) -> Counts:
        def characters(text: str) -> str:
            return "".join((text.lower() if self.lowercase else text).split())

        shared = _shared_ngrams(tuple(range(1, self.char_order + 1)))
        return _of_best(texts, characters, shared, functools.partial(_chrf, beta=self.beta))


@dataclass(frozen=True)
class Edits:
    """The fewest insertions, deletions and substitutions of words, or of characters."""

    of_words: bool

    def __post_init__(self) -> None:
        text_library("rapidfuzz.distance")

    def __call__(self, texts: Texts) -> Counts:
        distance = text_library("rapidfuzz.distance").Levenshtein.distance
        split = str.split if self.of_words else str.strip
        reference, edits = np.empty((2, len(texts)), np.int64)
        metric = "word_error_rate" if self.of_words else "character_error_rate"
        for row, (predicted, right) in enumerate(texts.single_pairs(metric)):
            units = split(right)
            reference[row], edits[row] = len(units), distance(split(predicted), units)
        return reference, edits


def squad_normalised(text: str) -> str:
    """The text in lower case, without ASCII punctuation, articles, and white space to spare."""
    bare = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def rouge_words(text: str) -> list[str]:
    """Runs of ASCII letters and digits, in lower case."""
    return _WORDS.findall(text.lower())


@functools.cache
def _bleu_tokenizer(name: str) -> Callable[[str], str]:
    return text_library("sacrebleu.metrics.bleu").BLEU(tokenize=name).tokenizer


def _of_best(
    texts: Texts,
    units: Callable[[str], Any],
    shared: Callable[[Any, Any], Row],
    score: Callable[[Row], float],
) -> Counts:
    """For each row the counts of the first of the references with the highest score."""
    rows = []
    for prediction, references in texts.pairs():
        predicted = units(prediction)
        found = [shared(predicted, units(text)) for text in references]
        rows.append(found[0] if len(found) == 1 else max(found, key=score))
    width = len(shared(units(""), units("")))
    table = np.array(rows, np.int64).reshape(-1, width)
    return table[:, 0], table[:, 1:]


def _shared_ngrams(orders: tuple[int, ...]) -> Callable[[Any, Any], Row]:
    def shared(predicted: Any, reference: Any) -> Row:
        both = (_shared(_ngrams(predicted, n), _ngrams(reference, n)) for n in orders)
        return len(reference), len(predicted), *both

    return shared


def _ngrams(units: Sequence[str], order: int) -> Counter[Hashable]:
    """How often each n-gram of a list of words, or of a string's characters, occurs."""
    if order == 1:
        return Counter(units)
    return Counter(zip(*(units[first:] for first in range(order)), strict=False))


def _shared(predicted: Counter[Hashable], reference: Counter[Hashable]) -> int:
    """How many n-grams both have. A loop: twice as fast as `&`, and BLEU and chrF live here."""
    total, get = 0, reference.get
    for ngram, count in predicted.items():
        other = get(ngram)
        if other is not None:
            total += count if count < other else other
    return total


def _f1(row: Row, order: int = 1) -> float:
    reference, predicted, shared = row
    both = max(reference - order + 1, 0) + max(predicted - order + 1, 0)
    return 2 * shared / both if both else 0.0


def _squad_f1(row: Row) -> float:
    return _f1(row) if row[0] or row[1] else 1.0


def _chrf(row: Row, beta: float | int) -> float:
    reference, predicted, *shared = row
    orders = range(1, min(reference, predicted, len(shared)) + 1)
    if not orders:
        return 0.0
    precision = sum(shared[n - 1] / (predicted - n + 1) for n in orders) / len(orders)
    recall = sum(shared[n - 1] / (reference - n + 1) for n in orders) / len(orders)
    below = beta**2 * precision + recall
    return (1 + beta**2) * precision * recall / below if below else 0.0
