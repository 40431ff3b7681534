"""Differences between models that predicted the same rows."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from ._bootstrap import MEAN_OF_TRUE, Ends, check_bootstrap
from ._compute import compute
from ._counted import compute_counts
from ._differences import Asked, Difference, by_cells, pairs_of
from ._host_columns import numbers
from ._interval import Resampled
from ._joint_cells import JointCells
from ._kept_draws import draws_of
from ._metric import Metric
from ._row_draws import draw_rows
from ._statistic import SummedStatistic
from ._types import Matrix, Vector


def paired_differences(
    metrics: Mapping[str, Metric],
    y_true: Vector | Matrix | Mapping[str, Vector],
    y_preds: Mapping[str, Vector | Matrix],
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    weight: Vector | None = None,
    groups: Vector | None = None,
    level: float = 0.95,
    method: Ends | str = "percentile",
    n_resamples: int = 2000,
    seed: int = 0,
) -> dict[str, dict[tuple[str, str], Difference]]:
    """Differences of metrics between models on the same rows, with intervals and tests.

    What makes a row hard is common to all models, so their values vary together and a difference
    varies less than either: overlapping intervals of two models say little about it.

    The interval is the percentile bootstrap of the difference, every resample the same rows for
    all models. The test swaps the two models' predictions of a row, or of a group of rows, with
    chance 1/2 (for means that is a random sign of each row's difference): its two-sided p-value is
    (1 + swaps whose difference is at least as large) / (1 + swaps). Of metrics of which only the
    order of the scores counts (areas, average precision, Spearman's correlation) a row's ranks
    among the model's own scores are swapped: two models' scores may be on different scales.

    Of labels of independent, unweighted rows both draws are of the counts of each combination of
    the models' cells: their cost does not depend on how many rows there are.

    Args:
        metrics: the metrics under the names their differences will have.
        y_true: reference labels or values, shape (n,); by model where they depend on it, as the
            length of the reference nearest to a model's text does.
        y_preds: by model its predictions of these rows, of the shape that the metrics take.
        pairs: which differences, (first, second) for the value of first minus that of second.
            None: every two models once, in the order of `y_preds`.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        groups: None, or an id for every row, shape (n,): rows of one id may depend on each other,
            and are resampled and swapped together. Metrics of ranked groups need them, as
            integers; a group that has no value with any model is left out.
        level: nominal coverage of the intervals, in (0, 1).
        method: "percentile" or "bca", as in `bootstrap_intervals`.
        n_resamples: how many resamples, and how many random swaps.
        seed: the same seed gives the same result.

    Returns:
        By metric, by pair the difference. Resamples and swaps in which it is undefined or
        infinite are left out; nan if it is so in all, or of the rows as they are.

    Raises:
        ValueError: fewer than two models, a pair of unknown models, and what
            `bootstrap_intervals` refuses.

    Example:
        >>> from modelops_jax.metrics import metric, paired_differences
        >>> found = paired_differences(
        ...     {"mse": metric("mean_squared_error")},
        ...     [0.0] * 40,
        ...     {"old": [1.0, 2.0] * 20, "new": [0.9, 1.9] * 20},
        ... )["mse"]["old", "new"]
        >>> round(found.value, 2), found.interval.low > 0, found.p_value < 0.01
        (0.29, True, True)

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 13 and 15;
    Yeh, "More accurate tests for the statistical significance of result differences", 2000;
    Venkatraman and Begg, "A distribution-free procedure for comparing receiver operating
    characteristic curves from a paired experiment", Biometrika 83, 1996 (swapped ranks).
    """
    check_bootstrap(metrics, level, method, n_resamples, seed)
    for name, metric in metrics.items():
        if metric.resampling == "closed" and not metric.reweighs:
            raise ValueError(f"{name}: {metric.name} has no bootstrap of its statistic")
    names = list(y_preds)
    asked = Asked(tuple(names), pairs_of(names, pairs), level, method, n_resamples, seed)
    if isinstance(y_true, Mapping):
        if y_true.keys() != y_preds.keys():
            raise ValueError(
                f"y_true is of {list(y_true)} and y_preds of {names}; expected the same"
            )
        of_model = {name: y_true[name] for name in names}
    else:
        of_model = dict.fromkeys(names, y_true)
    ranked = any(metric.resampling == "groups" for metric in metrics.values())
    ids = groups if ranked else None
    reports = [
        compute(metrics, of_model[name], pred, weight=weight, groups=ids)
        for name, pred in y_preds.items()
    ]
    of_metric = {name: [report.values[name] for report in reports] for name in metrics}
    found: dict[str, dict[tuple[str, str], Difference]] = {}
    for name, metric in metrics.items():
        if metric.resampling == "groups":
            parts = [metric.of_groups([r.states[s] for s in metric.statistics]) for r in reports]
            values = {model: part[0] for model, part in zip(names, parts, strict=True)}
            found[name] = paired_differences(
                {name: MEAN_OF_TRUE}, values, values, pairs=asked.pairs, weight=parts[0][1],
                groups=np.arange(len(parts[0][0])), level=level, method=method,
                n_resamples=n_resamples, seed=seed,
            )[name]  # fmt: skip
    kind = "Poisson" if groups is None else "Poisson of groups"
    by_kept = {name: metric for name, metric in metrics.items() if metric.reweighs}
    if by_kept:
        own = {
            (name, model): (metric, [report.states[s] for s in metric.statistics])
            for name, metric in by_kept.items()
            for model, report in enumerate(reports)
        }
        draws = draws_of([states for _, states in own.values()], groups, seed)
        values_of = [draws.resampled(own, n_resamples)]
        values_of += [draws.jackknifed(own)] if asked.bca else []
        two_models = {}
        for name, pair in itertools.product(by_kept, asked.pairs):
            first, second = asked.places(pair)
            two_models[name, pair] = *own[name, first], own[name, second][1]
        swapped = draws.swapped(two_models, n_resamples)
        for name in by_kept:
            resampled, *left = (
                np.stack([values[name, model] for model in range(len(names))], axis=1)
                for values in values_of
            )
            drawn = Resampled(np.asarray(of_metric[name]), resampled, next(iter(left), None))
            of_pairs = {pair: swapped[name, pair] for pair in asked.pairs}
            found[name] = asked.differences(of_metric[name], drawn, of_pairs, kind)
    trues, preds = list(of_model.values()), list(y_preds.values())
    if groups is None and _is_mask(weight):
        for statistic, counted in by_cells(metrics).items():
            joint = JointCells.of_rows(statistic, trues, preds, weight)
            found |= asked.of_cells(counted, of_metric, joint)
    by_rows = {name: metric for name, metric in metrics.items() if name not in found}
    if by_rows:
        statistics = dict.fromkeys(s for metric in by_rows.values() for s in metric.statistics)
        sums = draw_rows(
            {s: reports[0].states[s] for s in statistics if isinstance(s, SummedStatistic)},
            trues if isinstance(y_true, Mapping) else [y_true],
            preds,
            weight=weight,
            groups=groups,
            poisson=n_resamples,
            signs=n_resamples,
            jackknife=asked.bca,
            seed=seed,
        )
        found |= asked.of_sums(by_rows, of_metric, sums, kind)
    return {name: found[name] for name in metrics}


def paired_count_differences(
    metrics: Mapping[str, Metric],
    y_true: Vector,
    y_preds: Mapping[str, Vector],
    counts: np.ndarray,
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    level: float = 0.95,
    method: Ends | str = "percentile",
    n_resamples: int = 2000,
    seed: int = 0,
) -> dict[str, dict[tuple[str, str], Difference]]:
    """The same differences of distinct rows and how often each occurs.

    They are those of `paired_differences` of the rows themselves, to the last bit.

    Args:
        metrics: metrics whose `resampling` is "cells", under the names their differences will have.
        y_true: reference labels, shape (n,).
        y_preds: by model its predictions, shape (n,).
        counts: how many rows have these labels, non-negative integers of shape (n,), with a sum
            below 2**48.
        pairs: as in `paired_differences`.
        level: nominal coverage of the intervals, in (0, 1).
        method: "percentile" or "bca".
        n_resamples: how many resamples, and how many random swaps.
        seed: the same seed gives the same result.

    Returns:
        By metric, by pair the difference.

    Raises:
        ValueError: what `compute_counts` and `paired_differences` refuse.
        TypeError: counts that are not integers.

    Example:
        >>> import numpy as np
        >>> from modelops_jax.metrics import metric, paired_count_differences
        >>> found = paired_count_differences(
        ...     {"accuracy": metric("accuracy_score")},
        ...     [1, 1, 1],
        ...     {"old": [0, 1, 1], "new": [1, 0, 1]},
        ...     np.array([20, 50, 30]),
        ... )["accuracy"]["old", "new"]
        >>> round(found.value, 2), found.p_value < 0.01, found.interval.method
        (0.3, True, 'paired multinomial percentile')
    """
    check_bootstrap(metrics, level, method, n_resamples, seed)
    asked = Asked(tuple(y_preds), pairs_of(list(y_preds), pairs), level, method, n_resamples, seed)
    reports = [compute_counts(metrics, y_true, pred, counts) for pred in y_preds.values()]
    values = {name: [report.values[name] for report in reports] for name in metrics}
    found: dict[str, dict[tuple[str, str], Difference]] = {}
    for statistic, own in by_cells(metrics).items():
        trues = [y_true] * len(y_preds)
        joint = JointCells.of_rows(statistic, trues, list(y_preds.values()), counts=counts)
        found |= asked.of_cells(own, values, joint)
    return {name: found[name] for name in metrics}


def _is_mask(weight: Vector | None) -> bool:
    return weight is None or numbers(weight, "weight").dtype == bool
