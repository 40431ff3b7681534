"""`compare`: several models on the same rows, and which differences are real."""

import contextlib
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import NormalDist
from typing import Any

import numpy as np

import modelops_jax.metrics as numeric
from modelops_jax.metrics import Interval

from ._builtin import BuiltIn, Confidence, OnePassMetric, Pair, by_reader
from ._comparison import (
    Comparison,
    MetricComparison,
    PairComparison,
    best_first,
    compact_letters,
)
from ._finish import check_confidence
from ._model_evaluator import ModelEvaluator
from ._queries import ByQuery, QueryPair, read_queries
from ._task_type import TaskType


def compare(
    y_true: Iterable[Any],
    predictions: Mapping[str, Iterable[Any]],
    *,
    task: TaskType | str | ModelEvaluator,
    baseline: str | None = None,
    groups: Iterable[Any] | None = None,
    confidence: float = 0.95,
    correction: str = "holm",
    n_resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare models that predicted the same rows, and say which differences are real.

    What makes a row hard is common to all models, so two models whose own intervals overlap may
    well differ. Each difference has a paired interval and a test: McNemar's (mid-p) for accuracy,
    exact match and subset accuracy, DeLong's for AUROC, and for the rest the permutation test
    that swaps the predictions of two models; see `modelops_jax.metrics.paired_differences`.
    Means over more than 128 classes and added metrics of your own have values but no comparison,
    and AUROC has none in groups.

    Args:
        y_true: what is right, one entry per row.
        predictions: by model what it predicted, of the same length.
        task: the task, its name, or an evaluator whose metrics to compare by.
        baseline: the model to compare all others with; None: all with all.
        groups: an id for every row: rows of one id (of one user, one document) may depend on each
            other, and are resampled and swapped together. Metrics of rankings by query need it,
            as the query of each row. None: all rows are independent.
        confidence: the level of the intervals, in (0, 1); a difference is called real if its
            adjusted p-value is at most 1 - this level.
        correction: how p-values are adjusted for the number of pairs of a metric: "holm" or
            "benjamini-hochberg". Intervals are not adjusted, nor is the number of metrics.
        n_resamples: of the bootstrap, and how many swaps; the least p-value is 1 / (1 + this).
        seed: the same seed gives the same result.

    Returns:
        Values, intervals, differences, letters and verdicts by metric; `print` it to read it.

    Raises:
        TypeError: predictions that are no mapping, or what `ModelEvaluator.evaluate` refuses.
        ValueError: fewer than two models, an unknown baseline, no rows, another correction, and
            what `ModelEvaluator.evaluate` and `paired_differences` refuse.

    Warns:
        UndefinedMetricWarning: as `ModelEvaluator.evaluate` does, with the model's name.

    Example:
        >>> from modelops_jax.evaluation import compare
        >>> truth = ["yes", "no"] * 50
        >>> found = compare(
        ...     truth,
        ...     {"old": ["yes"] * 100, "new": truth[:90] + ["no", "yes"] * 5},
        ...     task="text_generation",
        ... ).metrics["exact_match"]
        >>> found.verdicts
        {'new': 'best', 'old': 'worse than the best'}
        >>> pair = found.pair("old", "new")
        >>> round(pair.difference, 2), pair.test, pair.p_value < 0.001
        (-0.4, 'McNemar (mid-p)', True)
    """
    models = _check(predictions, baseline)
    evaluator = task if isinstance(task, ModelEvaluator) else ModelEvaluator(task)
    wanted = check_confidence(confidence, seed, groups)
    assert wanted is not None
    # Refuses, and warns of, what an evaluation of each model would.
    results = {}
    for name in models:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            results[name] = evaluator.evaluate(y_true, predictions[name], groups=groups)
        for one in caught:
            warnings.warn(f"{name}: {one.message}", one.category, stacklevel=2)
    rows = results[models[0]].sample_count
    if not rows:
        raise ValueError("there are no rows to compare models on")
    pairs = list(combinations(models, 2))
    if baseline is not None:
        pairs = [(model, baseline) for model in models if model != baseline]
    built_in = {m.name: m for m in evaluator.metrics if isinstance(m, OnePassMetric)}
    compared: dict[str, MetricComparison] = {}
    for read, members in by_reader(built_in).items():
        # Read together, all models have one set of classes.
        said: Any = _end_to_end(predictions.values())
        if read is read_queries:
            said = ByQuery(said, _end_to_end([groups] * len(models)))
        joint = read(_end_to_end([y_true] * len(models)), said)
        bound = _bind(joint.for_all(members), members, groups is not None)
        true, predicted = (
            np.asarray(column).reshape(len(models), rows, *column.shape[1:])
            for column in (joint.y_true, joint.y_pred)
        )
        sample = _Sample(
            dict(zip(models, true, strict=True)),
            dict(zip(models, predicted, strict=True)),
            replace(wanted, groups=joint.queries[:rows])
            if isinstance(joint, QueryPair)
            else wanted,
            n_resamples,
        )
        compared |= sample.compare(bound, pairs, baseline, correction)
    for metric in evaluator.metrics:
        if metric.name not in compared:
            own = {m: results[m].metrics[metric.name] for m in models}
            higher = metric.higher_is_better if isinstance(metric, BuiltIn) else None
            compared[metric.name] = MetricComparison(
                metric.name, higher, best_first(own, higher), {}, (), {}, baseline
            )
    return Comparison(
        evaluator.task_type, rows, tuple(models), baseline, confidence, correction,
        {metric.name: compared[metric.name] for metric in evaluator.metrics},
    )  # fmt: skip


def _check(predictions: Any, baseline: str | None) -> list[str]:
    if not isinstance(predictions, Mapping):
        raise TypeError(
            f"predictions is a {type(predictions).__name__}; expected a dict of model -> what it "
            "predicted"
        )
    models = list(predictions)
    if len(models) < 2:
        raise ValueError(f"predictions has {models}; expected two models or more")
    if baseline is not None and baseline not in predictions:
        raise ValueError(f"baseline is {baseline!r}; choose one of: {', '.join(map(str, models))}")
    return models


def _end_to_end(parts: Iterable[Any]) -> Any:
    parts = list(parts)
    if all(hasattr(part, "__array__") for part in parts):
        return np.concatenate([np.asarray(part) for part in parts])
    return [entry for part in parts for entry in part]


def _bind(joint: Pair, members: Mapping[str, Any], in_groups: bool) -> dict[str, numeric.Metric]:
    """The numeric metrics that can be compared."""
    bound = {}
    for name, metric in members.items():
        # The rows of each model have been evaluated, so too many classes is all it can refuse.
        with contextlib.suppress(ValueError):
            bound[name] = metric.bind(joint)
    without = (None, "closed") if in_groups else (None,)
    return {name: metric for name, metric in bound.items() if metric.resampling not in without}


@dataclass(frozen=True)
class _Sample:
    """What all models saw, and what each said, as numbers.

    What is counted of the references of a text may depend on the prediction.
    """

    true: Mapping[str, np.ndarray]
    predicted: Mapping[str, np.ndarray]
    confidence: Confidence
    n_resamples: int

    def compare(
        self,
        bound: Mapping[str, numeric.Metric],
        pairs: Sequence[tuple[str, str]],
        baseline: str | None,
        correction: str,
    ) -> dict[str, MetricComparison]:
        """The models by each metric."""
        if not bound:
            return {}
        level, groups, seed = self.confidence.level, self.confidence.groups, self.confidence.seed
        ranked = any(metric.resampling == "groups" for metric in bound.values())
        queries = groups if ranked else None
        values = {
            model: numeric.compute(bound, self.true[model], pred, groups=queries).values
            for model, pred in self.predicted.items()
        }
        intervals = {
            model: numeric.confidence_intervals(
                bound, self.true[model], pred, groups=groups, level=level, seed=seed
            )
            for model, pred in self.predicted.items()
        }
        one_true, *others = self.true.values()
        all_alike = all(np.array_equal(one_true, other) for other in others)
        drawn = numeric.paired_differences(
            {name: metric for name, metric in bound.items() if metric.resampling != "closed"},
            one_true if all_alike else self.true,
            self.predicted,
            pairs=pairs,
            groups=groups,
            level=level,
            n_resamples=self.n_resamples,
            seed=seed,
        )
        found = {}
        for name, metric in bound.items():
            tested = [self._test(metric, pair, drawn.get(name, {}).get(pair)) for pair in pairs]
            adjusted = numeric.adjust_p_values([one.p_value for one in tested], method=correction)
            done = tuple(
                replace(one, adjusted_p_value=float(p), distinguishable=bool(p <= 1 - level))
                for one, p in zip(tested, adjusted, strict=True)
            )
            higher = numeric.METRICS[metric.name].higher_is_better
            ordered = best_first({m: float(own[name]) for m, own in values.items()}, higher)
            apart = [(one.first, one.second) for one in done if one.distinguishable]
            found[name] = MetricComparison(
                metric=name,
                higher_is_better=higher,
                values=ordered,
                intervals={model: intervals[model][name] for model in ordered},
                pairs=done,
                letters=compact_letters(list(ordered), apart) if baseline is None else {},
                baseline=baseline,
            )
        return found

    def _test(
        self, metric: numeric.Metric, pair: tuple[str, str], drawn: numeric.Difference | None
    ) -> PairComparison:
        """One difference; its p-value is not adjusted yet."""
        first, second = (self.predicted[model] for model in pair)
        level, true = self.confidence.level, self.true[pair[0]]
        if drawn is None:
            area = numeric.delong_test(true, first, second)
            wide = NormalDist().inv_cdf((1 + level) / 2) * area.standard_error
            low, high = area.difference - wide, area.difference + wide
            interval = Interval(max(low, -1.0), min(high, 1.0), level, "DeLong", 0, None)
            return PairComparison(
                *pair, area.difference, interval, area.p_value, math.nan, "DeLong", False
            )
        p_value, test = float(drawn.p_value), "permutation"
        if metric.name == "accuracy_score" and self.confidence.groups is None:
            right = [_right(true, predicted) for predicted in (first, second)]
            p_value = numeric.mcnemar_test(np.ones(len(true), bool), *right).p_value
            test = "McNemar (mid-p)"
        return PairComparison(
            *pair, float(drawn.value), drawn.interval, p_value, math.nan, test, False
        )


def _right(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Of each row whether it is right, of several labels whether all of them are."""
    return (true == predicted).reshape(len(true), -1).all(axis=1)
