"""What is asked of models on the same rows, and how tests of pairs become a comparison."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from statistics import NormalDist
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import modelops_jax.metrics as numeric
from modelops_jax._distinct_shards import distinct_rows_of_shards
from modelops_jax.metrics import Interval

from ._builtin import BuiltIn, is_by_class
from ._class_scores import IGNORED
from ._comparison import MetricComparison, PairComparison, best_first, compact_letters
from ._computed import Confidence
from ._evidence import NEEDS_ROWS, Evidence
from ._result import EvaluationResult

Models = tuple[str, str]
NO_ROWS = "there are no rows to compare models on"
ALL_IGNORED = f"{NO_ROWS}: all have the label to be ignored"


@dataclass(frozen=True)
class Question:
    """Which pairs of models are compared, and how."""

    pairs: tuple[Models, ...]
    baseline: str | None
    correction: str
    confidence: Confidence

    @property
    def drawn(self) -> dict[str, Any]:
        """What functions of differences take."""
        return {
            "pairs": self.pairs,
            "level": self.confidence.level,
            "method": "bca" if self.confidence.method == "bca" else "percentile",
            "n_resamples": self.confidence.n_resamples,
            "seed": self.confidence.seed,
        }

    def compared(
        self,
        bound: Mapping[str, numeric.Metric],
        values: Mapping[str, Mapping[str, Any]],
        intervals: Mapping[str, Mapping[str, Interval]],
        test: Callable[[str, Models], PairComparison],
    ) -> dict[str, MetricComparison]:
        """The models by each metric.

        Args:
            bound: the metrics.
            values: by model and metric the value.
            intervals: by model and metric its interval.
            test: gives the difference of two models by a metric; its p-value is adjusted here.
        """
        found, level = {}, self.confidence.level
        for name, metric in bound.items():
            tested = [test(name, pair) for pair in self.pairs]
            p_values = [one.p_value for one in tested]
            adjusted = numeric.adjust_p_values(p_values, method=self.correction)
            done = tuple(
                replace(one, adjusted_p_value=float(p), distinguishable=bool(p <= 1 - level))
                for one, p in zip(tested, adjusted, strict=True)
            )
            higher = numeric.METRICS[metric.name].higher_is_better
            ordered = best_first({m: float(own[name]) for m, own in values.items()}, higher)
            apart = [(one.first, one.second) for one in done if one.distinguishable]
            against_all = self.baseline is None
            found[name] = MetricComparison(
                metric=name,
                higher_is_better=higher,
                values=ordered,
                intervals={model: intervals[model][name] for model in ordered},
                pairs=done,
                letters=compact_letters(list(ordered), apart) if against_all else {},
                baseline=self.baseline,
            )
        return found


def pairs_of(models: Sequence[str], baseline: str | None) -> tuple[Models, ...]:
    """Every two models, or each with the baseline."""
    if baseline is None:
        return tuple(combinations(models, 2))
    return tuple((model, baseline) for model in models if model != baseline)


def uncompared(
    metrics: Iterable[Any],
    compared: Mapping[str, MetricComparison],
    reasons: Mapping[str, str],
    results: Mapping[str, EvaluationResult],
    baseline: str | None,
) -> tuple[dict[str, MetricComparison], list[str]]:
    """The values of metrics that are not compared, and what to warn of.

    Args:
        metrics: all metrics.
        compared: those that are.
        reasons: by metric why it is not; none for metrics of a caller's own.
        results: of each model.
        baseline: the model that others are compared with.
    """
    found, notes = {}, []
    for metric in metrics:
        if is_by_class(metric):
            notes.append(f"{metric.name} is not compared: it has a value for each class")
        elif metric.name not in compared:
            why = reasons.get(metric.name, "a metric of your own is computed, not resampled")
            notes.append(f"{metric.name} is not compared: {why}")
            values = {model: result.metrics[metric.name] for model, result in results.items()}
            higher = metric.higher_is_better if isinstance(metric, BuiltIn) else None
            ordered = best_first(values, higher)
            found[metric.name] = MetricComparison(
                metric.name, higher, ordered, {}, (), {}, baseline
            )
    return found, notes


def bind_all(
    evidence: Evidence, members: Mapping[str, Any], unlike: bool
) -> tuple[dict[str, numeric.Metric], dict[str, str]]:
    """The numeric metrics that can be compared, and why the others cannot.

    Args:
        evidence: what all models said, as far as metrics have to know it.
        members: the metrics.
        unlike: whether rows are in groups, or weigh differently.
    """
    bound, refused = {}, {}
    for name, metric in members.items():
        try:
            found = metric.bind(evidence)
        except ValueError as error:
            # The rows of each model have been evaluated: it needs a table of too many classes.
            refused[name] = str(error)
            continue
        if found.no_interval is not None:
            refused[name] = found.no_interval
        elif unlike and found.resampling == "closed" and not found.reweighs:
            refused[name] = NEEDS_ROWS
        else:
            bound[name] = found
    return bound, refused


def by_difference(
    pair: Models, drawn: numeric.Difference, only: tuple[int, int] | None
) -> PairComparison:
    """One difference by its swaps, or by McNemar's test.

    Args:
        pair: the models.
        drawn: the difference.
        only: of accuracies of independent rows, how many rows only one of the two has right.
    """
    p_value, test = float(drawn.p_value), "permutation"
    if only is not None:
        p_value, test = mcnemar(only), "McNemar (mid-p)"
    return PairComparison(*pair, float(drawn.value), drawn.interval, p_value, math.nan, test, False)


def mcnemar(only: tuple[int, int]) -> float:
    """The p-value, from how many rows only one of two models has right."""
    return numeric.mcnemar_test([1, 1], [1, 0], [0, 1], counts=np.array(only)).p_value


def only_right(rights: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """By two models how many rows only the first has right, int64 of shape (models, models).

    Args:
        rights: whether each model has each row right, shape (models, rows).
        counts: how many rows each of these stands for; None: one.
    """
    weight = np.ones(rights.shape[1]) if counts is None else counts.astype(np.float64)
    # Sums of counts below 2**53 are exact.
    return np.rint((rights * weight) @ (~rights).T).astype(np.int64)


@dataclass(frozen=True)
class RowSample:
    """What all models saw, and what each said, as numbers.

    What is counted of the references of a text may depend on the prediction. Rows that lie on
    devices have one reference, and weights of 0 or a mask where some of them do not count.
    """

    true: Mapping[str, np.ndarray | jax.Array]
    predicted: Mapping[str, np.ndarray | jax.Array]
    question: Question
    weight: Any = None

    def compare(self, bound: Mapping[str, numeric.Metric]) -> dict[str, MetricComparison]:
        """The models by each metric."""
        if not bound:
            return {}
        asked = self.question.confidence
        ranked = any(metric.resampling == "groups" for metric in bound.values())
        queries = asked.groups if ranked else None
        values = {
            model: numeric.compute(
                bound, self.true[model], pred, weight=self.weight, groups=queries
            ).values
            for model, pred in self.predicted.items()
        }
        intervals = {
            model: numeric.confidence_intervals(
                bound,
                self.true[model],
                pred,
                weight=self.weight,
                groups=asked.groups,
                **asked.options,
            )
            for model, pred in self.predicted.items()
        }
        one_true, *others = self.true.values()
        all_alike = all(one_true is other or np.array_equal(one_true, other) for other in others)
        drawn = numeric.paired_differences(
            {n: m for n, m in bound.items() if m.resampling != "closed" or not self._alike},
            one_true if all_alike else self.true,
            self.predicted,
            weight=self.weight,
            groups=asked.groups,
            **self.question.drawn,
        )

        def test(name: str, pair: Models) -> PairComparison:
            if name not in drawn:
                return self._by_delong(pair)
            only = None
            if bound[name].name == "accuracy_score" and self._alike:
                one, other = (list(self.true).index(model) for model in pair)
                only = int(self._only[one, other]), int(self._only[other, one])
            return by_difference(pair, drawn[name][pair], only)

        return self.question.compared(bound, values, intervals, test)

    @property
    def _alike(self) -> bool:
        """Whether rows are independent, and count once each or not at all."""
        alike = self.weight is None or self.weight.dtype == bool
        return alike and self.question.confidence.groups is None

    @cached_property
    def _only(self) -> np.ndarray:
        """By two models how many rows only the first has right."""
        rights = [right_rows(true, self.predicted[model]) for model, true in self.true.items()]
        if self._layout is None:
            return only_right(np.stack(rights))
        found = distinct_rows_of_shards(rights, [2] * len(rights), self.weight, *self._layout)
        return only_right(found.rows.T == 1, found.counts)

    @property
    def _layout(self) -> Any:
        """How the rows lie on devices; None: they do not."""
        return numeric.row_layout(next(iter(self.true.values())))

    def _by_delong(self, pair: Models) -> PairComparison:
        first, second = (self.predicted[model] for model in pair)
        level, true = self.question.confidence.level, self.true[pair[0]]
        # Rows to ignore have a label of their own.
        there = true >= 0 if self.weight is None else (true >= 0) & self.weight
        xp = np if self._layout is None else jnp
        area = numeric.delong_test(xp.maximum(true, 0), first, second, weight=there)
        wide = NormalDist().inv_cdf((1 + level) / 2) * area.standard_error
        low, high = area.difference - wide, area.difference + wide
        interval = Interval(max(low, -1.0), min(high, 1.0), level, "DeLong", 0, None)
        return PairComparison(
            *pair, area.difference, interval, area.p_value, math.nan, "DeLong", False
        )


def right_rows(true: Any, predicted: Any) -> Any:
    """Of each row whether it is right, of several labels whether all that are to be read are."""
    return ((true == predicted) | (true == IGNORED)).reshape(len(true), -1).all(axis=1)
