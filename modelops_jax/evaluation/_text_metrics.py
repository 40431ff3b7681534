"""Metrics of texts: counted on the host, row by row, and summed as numbers."""

import dataclasses
import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import modelops_jax.metrics as numeric

from ._builtin import OnePassMetric
from ._computed import Computed
from ._errors import UndefinedMetricWarning
from ._evidence import Evidence, Pair
from ._text_counts import (
    BleuNgrams,
    ChrfNgrams,
    Edits,
    Lengths,
    Matches,
    RougeNgrams,
    RougeSubsequence,
    SquadMatches,
    SquadWords,
)
from ._texts import read_texts


@dataclass(frozen=True)
class CountPair(Pair):
    """What was counted of every row's reference and prediction."""

    reference: np.ndarray
    predicted: np.ndarray

    @property
    def y_true(self) -> np.ndarray:
        return self.reference

    @property
    def y_pred(self) -> np.ndarray:
        return self.predicted


@dataclass(frozen=True)
class TextReader:
    """Reads references and predictions, and counts."""

    count: Any
    names: tuple[str, str] = ("y_pred", "y_true")

    def __call__(self, y_true: Any, y_pred: Any) -> CountPair:
        """Read both; see `read_texts` for what is refused."""
        return CountPair(*self.count(read_texts(y_pred, y_true, self.names)))


@dataclass(frozen=True)
class TextKind:
    """How a metric of texts is made."""

    counter: type
    numeric: str
    """The metric of `modelops_jax.metrics.METRICS` that it is on what is counted."""

    fixed: Mapping[str, Any] = field(default_factory=dict)
    """What of the counter is no option."""

    tunable: bool = False
    """Whether the numeric metric's options are options."""

    one_reference: bool = False
    """Whether a row has one reference, and no list of them."""

    no_rows: float = math.nan
    unit: str = "row"
    """That of which there is none where the value is undefined."""

    @property
    def counted(self) -> tuple[str, ...]:
        """The options of the counter."""
        every = (one.name for one in dataclasses.fields(self.counter))
        return tuple(name for name in every if name not in self.fixed)

    @property
    def options(self) -> tuple[str, ...]:
        """All options."""
        more = numeric.METRICS[self.numeric].options if self.tunable else ()
        return tuple(dict.fromkeys((*self.counted, *more)))


TEXT_METRICS: Mapping[str, TextKind] = {
    "bleu_score": TextKind(BleuNgrams, "bleu_score", tunable=True),
    "character_error_rate": TextKind(
        Edits,
        "character_error_rate",
        {"of_words": False},
        one_reference=True,
        unit="character of a reference",
    ),
    "chrf_score": TextKind(ChrfNgrams, "chrf_score", tunable=True),
    "exact_match": TextKind(Matches, "accuracy_score", one_reference=True, no_rows=0.0),
    "length_ratio": TextKind(Lengths, "length_ratio", one_reference=True, no_rows=0.0),
    "rouge_1_score": TextKind(RougeNgrams, "rouge_1_score", {"order": 1}),
    "rouge_2_score": TextKind(RougeNgrams, "rouge_2_score", {"order": 2}),
    "rouge_l_score": TextKind(RougeSubsequence, "rouge_l_score"),
    "squad_exact_match": TextKind(SquadMatches, "accuracy_score", no_rows=0.0),
    "squad_f1_score": TextKind(SquadWords, "squad_f1_score"),
    "word_error_rate": TextKind(
        Edits,
        "word_error_rate",
        {"of_words": True},
        one_reference=True,
        unit="word of a reference",
    ),
}


class TextMetric(OnePassMetric):
    """A metric of `TEXT_METRICS` with the arguments of the numeric metrics, (y_true, y_pred).

    Args:
        metric: its name.
        name: the key of the value in a result; None: that name.
        names: what the caller calls predictions and references, for messages.
        options: see the function of this metric.

    Raises:
        TypeError: an option that the metric does not have.
        ValueError: an option that is none of its choices.
        ImportError: what counts its texts is not installed.
    """

    def __init__(
        self,
        metric: str,
        *,
        name: str | None = None,
        names: tuple[str, str] = ("y_pred", "y_true"),
        **options: Any,
    ) -> None:
        kind = TEXT_METRICS[metric]
        for option in options:
            if option not in kind.options:
                has = (
                    f"its options are: {', '.join(kind.options)}" if kind.options else "it has none"
                )
                raise TypeError(f"{metric} has no option {option!r} for texts; {has}")
        self.higher_is_better = numeric.METRICS[kind.numeric].higher_is_better
        self._metric, self._kind, self._options = metric, kind, options
        self._name = metric if name is None else name
        wanted = numeric.METRICS[kind.numeric].options
        given = {o: value for o, value in options.items() if o in wanted and kind.tunable}
        self._numeric = numeric.metric(kind.numeric, **given)
        counted = {o: value for o, value in options.items() if o in kind.counted}
        self._reader = TextReader(kind.counter(**kind.fixed, **counted), names)

    @property
    def name(self) -> str:
        """The key of the value in a result."""
        return self._name

    @property
    def one_reference(self) -> bool:
        """Whether a row has one reference, and no list of them."""
        return self._kind.one_reference

    @property
    def reader(self) -> TextReader:
        return self._reader

    def of_no_rows(self) -> float:
        return self._kind.no_rows

    def bind(self, pair: Evidence) -> numeric.Metric:
        return self._numeric

    def rule(self, pair: Evidence) -> str:
        return f"there is no {self._kind.unit}, so the value is nan"

    def __repr__(self) -> str:
        options = "".join(f", {option}={value!r}" for option, value in self._options.items())
        return f"metric({self._metric!r}{options})"


def compute_texts(metric: TextMetric, predictions: Any, references: Any) -> float:
    """Compute a metric for a function that the user calls."""
    pair = metric.reader(references, predictions)
    outcome = pair.compute({metric.name: metric}, None)[metric.name]
    assert isinstance(outcome, Computed)
    if outcome.rule is not None:
        # From here through the public function to its caller.
        warnings.warn(outcome.rule, UndefinedMetricWarning, stacklevel=3)
    return outcome.value


def count_texts(
    metric: str, predictions: Iterable[Any], references: Iterable[Any], **options: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Count what a metric of texts is computed from, a row for each text.

    For weights, streams and programs of your own: the numbers are what the metric of that name in
    `modelops_jax.metrics` takes (of "exact_match" and "squad_exact_match": `accuracy_score`).

    Args:
        metric: a name that `ModelEvaluator("text_generation", metrics=[...])` takes.
        predictions: generated texts: a list, tuple or NumPy array of strings.
        references: the right texts, of the same length; an entry may be a list of several where
            the metric takes several.
        options: how to count, such as `tokenize` of "bleu_score".

    Returns:
        y_true, shape (n,), and y_pred, shape (n,) or (n, k).

    Raises:
        TypeError: an option that the metric does not have, one string instead of a list of them,
            or an entry that is no string, naming its index.
        ValueError: an unknown metric, an option that is none of its choices, or two lengths.
        ImportError: the `text` extra is not installed, and the metric needs it.

    Example:
        >>> from modelops_jax.evaluation import count_texts
        >>> from modelops_jax.metrics import rouge_1_score
        >>> y_true, y_pred = count_texts("rouge_1_score", ["a b c", "x"], ["a b d", "y z"])
        >>> y_true.tolist(), y_pred.tolist()
        ([3, 2], [[3, 2], [1, 0]])
        >>> float(rouge_1_score(y_true, y_pred, weight=[3.0, 1.0]))
        0.5
    """
    if metric not in TEXT_METRICS:
        raise ValueError(f"unknown metric {metric!r} of texts; known: {', '.join(TEXT_METRICS)}")
    counted = TextMetric(metric, names=("predictions", "references"), **options)
    pair = counted.reader(references, predictions)
    return pair.y_true, pair.y_pred
