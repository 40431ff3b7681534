"""`compare`: several models on the same rows, and which differences are real."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ._builtin import OnePassMetric, by_reader, is_by_class
from ._columns import check_columns
from ._compared import ALL_IGNORED, NO_ROWS, Question, RowSample, bind_all, pairs_of
from ._comparison import Comparison, MetricComparison
from ._computed import Confidence
from ._conclude import Asked
from ._evidence import Pair
from ._finish import check_confidence, refuse_weighted_own
from ._joint_there import models_there, sides_of, states_there
from ._label_pair import LabelPair
from ._likelihoods import reads_scores
from ._model_evaluator import ModelEvaluator
from ._queries import ByQuery, QueryPair, read_queries
from ._sharded import gathered
from ._task_type import TaskType
from ._vectors import listed
from ._weights import present


def compare(
    y_true: Iterable[Any],
    predictions: Mapping[str, Iterable[Any]] | None,
    *,
    scores: Mapping[str, Any] | None = None,
    weight: Iterable[Any] | None = None,
    task: TaskType | str | ModelEvaluator,
    baseline: str | None = None,
    groups: Iterable[Any] | None = None,
    confidence: float = 0.95,
    interval: str = "auto",
    correction: str = "holm",
    n_resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare models that predicted the same rows, and say which differences are real.

    What makes a row hard is common to all models, so two models whose own intervals overlap may
    well differ. Each difference has a paired interval and a test: McNemar's (mid-p) for accuracy,
    exact match and subset accuracy, DeLong's for AUROC of two classes, and for the rest, and for
    all metrics in groups, the permutation test that swaps the predictions of two models; see
    `modelops_jax.metrics.paired_differences`. Max error, means over more than 128 classes and added
    metrics of your own have values but no comparison.

    Where all columns are JAX arrays whose rows are sharded alike over a mesh, integer labels (up to
    4,096 apart, or else up to 4,096 kinds of them), numbers, label sets, tokens, scores and
    rankings by query are compared on their devices, with the result of the same rows on the host:
    counts of combinations of labels, sums, values and those of queries are fetched. Rows of weight
    0, as padding, may hold anything; resamples of rows are those of the host (BCa's: where 512 rows
    or more count). More kinds of labels are read on the host. Metrics of your own get the arrays as
    given; where some rows do not count, those that do, on the host.

    Args:
        y_true: what is right, one entry per row.
        predictions: by model what it predicted, of the same length. None if no metric reads it.
        scores: by model the `y_score` of `ModelEvaluator.evaluate`, for metrics that read it; of
            several classes the same classes for all models.
        weight: of each row, as for `ModelEvaluator.evaluate`; weighted rows are resampled and
            swapped as they are.
        task: the task, its name, or an evaluator whose metrics to compare by.
        baseline: the model to compare all others with; None: all with all.
        groups: an id for every row: rows of one id (of one user, one document) may depend on each
            other, and are resampled and swapped together. Metrics of rankings by query need it,
            as the query of each row. None: all rows are independent.
        confidence: the level of the intervals, in (0, 1); a difference is called real if its
            adjusted p-value is at most 1 - this level.
        interval: the method of the intervals, as for `ModelEvaluator.evaluate`; differences have
            a bootstrap, "bca" if that is asked for and percentile otherwise.
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
        NoIntervalWarning: a metric is not compared; the message says why.

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
    models = check_models(predictions, scores, baseline)
    evaluator = task if isinstance(task, ModelEvaluator) else ModelEvaluator(task)
    y_true, groups, weight = listed(y_true), listed(groups), listed(weight)
    wanted = check_confidence(confidence, seed, groups, interval, n_resamples)
    assert wanted is not None
    said = (
        dict.fromkeys(models)
        if predictions is None
        else {model: listed(rows) for model, rows in predictions.items()}
    )
    scored = dict.fromkeys(models) if scores is None else in_one_order(scores)
    question = Question(pairs_of(models, baseline), baseline, correction, wanted)
    asked = Asked(evaluator.task_type, evaluator.metrics, models, question)
    compared_by = [metric for metric in evaluator.metrics if not is_by_class(metric)]
    built_in: dict[str, Any] = {m.name: m for m in compared_by if isinstance(m, OnePassMetric)}
    there = models_there(y_true, said, scored, weight, groups)
    if there is not None:
        if not there.rows:
            raise ValueError(NO_ROWS)
        names = {metric.name: metric for metric in compared_by}
        for name in models:
            check_columns(names, y_true, said[name], scored[name])
        refuse_weighted_own(names, None if there.total is None else there.weight)
        drawing = {"n_resamples": n_resamples, "seed": seed}
        states = states_there(by_reader(built_in), models, there, drawing)
        if states is not None:
            columns = partial(sides_of, there) if len(built_in) < len(names) else lambda model: None
            return asked.conclude(states, there.rows, names, columns)
    y_true, weight, groups = gathered(y_true), gathered(weight), gathered(groups)
    truth: Any = y_true
    own, _, y_true, said, scored, groups = present(
        weight,
        0 if weight is None else len(truth),
        y_true=truth,
        predictions=said,
        scores=scored,
        groups=groups,
    )
    wanted = replace(wanted, groups=groups)
    # Refuses, and warns of, what an evaluation of each model would.
    results = asked.evaluate(
        lambda model: evaluator.evaluate(
            y_true, said[model], y_score=scored[model], weight=own, groups=groups
        ),
        stacklevel=3,
    )
    rows = results[models[0]].sample_count
    if not rows:
        raise ValueError(NO_ROWS)
    question = replace(question, confidence=wanted)
    compared: dict[str, MetricComparison] = {}
    reasons: dict[str, str] = {}
    for read, members in by_reader(built_in).items():
        # Read together, all models have one set of classes.
        read_second = said if scores is None or not reads_scores(read) else scored
        second = _joined([read_second[model] for model in models])
        if read is read_queries:
            second = ByQuery(second, _end_to_end([groups] * len(models)))
        joint = read(_end_to_end([y_true] * len(models)), second)
        if not joint.rows:
            raise ValueError(ALL_IGNORED)
        unlike = groups is not None or own is not None
        bound, refused = bind_all(joint.for_all(members), members, unlike)
        reasons |= refused
        true, predicted = (
            column.reshape(len(models), len(column) // len(models), *column.shape[1:])
            for column in (np.asarray(joint.y_true), np.asarray(joint.y_pred))
        )
        sample = RowSample(
            dict(zip(models, true, strict=True)),
            dict(zip(models, predicted, strict=True)),
            replace(question, confidence=_of_one_model(joint, wanted, true.shape[1])),
            _first_weights(joint, own, len(models), true.shape[1]),
        )
        compared |= sample.compare(bound)
    names = [metric.name for metric in compared_by]
    return asked.sum_up(names, rows, results, compared, reasons, stacklevel=3)


def check_models(predictions: Any, scores: Any, baseline: str | None) -> list[str]:
    """The models of both, which have to be the same.

    Raises:
        TypeError: what is no mapping.
        ValueError: fewer than two models, other models in one than in the other, or an unknown
            baseline.
    """
    given: dict[str, Any] = {
        name: columns
        for name, columns in (("predictions", predictions), ("scores", scores))
        if columns is not None or (name == "predictions" and scores is None)
    }
    for name, columns in given.items():
        if not isinstance(columns, Mapping):
            raise TypeError(
                f"{name} is a {type(columns).__name__}; expected a dict of model -> what it "
                "predicted"
            )
        if len(columns) < 2:
            raise ValueError(f"{name} has {list(columns)}; expected two models or more")
    one, *others = given.values()
    models = list(one)
    if any(other.keys() != one.keys() for other in others):
        found = " and ".join(f"{name} has {list(columns)}" for name, columns in given.items())
        raise ValueError(f"{found}; expected the same models")
    if baseline is not None and baseline not in one:
        raise ValueError(f"baseline is {baseline!r}; choose one of: {', '.join(map(str, models))}")
    return models


def _end_to_end(parts: Iterable[Any]) -> Any:
    parts = list(parts)
    if all(hasattr(part, "__array__") for part in parts):
        return np.concatenate([np.asarray(part) for part in parts])
    return [entry for part in parts for entry in part]


def _joined(parts: Sequence[Any]) -> Any:
    """The predictions, or scores, of all models one after the other."""
    first = parts[0]
    if not isinstance(first, Mapping):
        return _end_to_end(parts)
    return {name: _end_to_end([part[name] for part in parts]) for name in first}


def in_one_order(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Scores by model, of each class in the order of the first model's.

    Raises:
        ValueError: scores by class of which one model has others than the first.
    """
    first, *_ = parts = list(scores.values())
    if not any(isinstance(part, Mapping) for part in parts):
        return dict(scores)
    for part in parts:
        if not isinstance(part, Mapping) or part.keys() != first.keys():
            one, other = (
                list(columns) if isinstance(columns, Mapping) else type(columns).__name__
                for columns in (first, part)
            )
            raise ValueError(
                f"scores has the columns {one} of one model and {other} of another; expected the "
                "same"
            )
    return {model: {name: own[name] for name in first} for model, own in scores.items()}


def _of_one_model(joint: Pair, wanted: Confidence, rows: int) -> Confidence:
    """What is asked for of the rows of a model, which are as many of all that were read."""
    if isinstance(joint, QueryPair):
        return replace(wanted, groups=joint.queries[:rows])
    kept = joint.kept if isinstance(joint, LabelPair) else None
    if kept is None or wanted.groups is None:
        return wanted
    each = len(kept) * rows // len(joint.y_true)
    return wanted.of(np.flatnonzero(kept[:each]))


def _first_weights(
    joint: Pair, weight: np.ndarray | None, models: int, rows: int
) -> np.ndarray | None:
    """The weights of the rows of a model."""
    if weight is None:
        return None
    of_all = joint.weighted(np.tile(weight, models)).weight
    assert of_all is not None
    return of_all[:rows]
