"""Bootstrap intervals that resample statistics instead of rows.

Resampling n rows with replacement and counting cells is one multinomial draw over the cells:
for metrics of a table of unweighted counts the cost does not depend on n. Everything else takes
Poisson(1) weights of the rows, or of groups of rows: all resamples of all sums are one matrix
product a block, and kept rows are sorted once and summed in that order for each resample.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np

from ._cell_draws import draw_tables, resample_cells
from ._compute import compute
from ._counts import Counts
from ._exact import ExactCount
from ._finalizers import Mean
from ._host_columns import are_alike, numbers
from ._interval import Interval, Resampled, check_level, check_resamples, check_seed, make_interval
from ._kept_draws import resample_kept
from ._metric import Metric
from ._row_draws import RowSums, draw_rows
from ._row_functions import target
from ._rowwise import RowMean
from ._statistic import Statistic, SummedStatistic
from ._types import Matrix, State, Vector

Ends = Literal["percentile", "bca"]
MEAN_OF_TRUE = Metric("mean", (RowMean(target),), Mean())
WRITTEN: Mapping[str, str] = {"percentile": "percentile", "bca": "BCa"}


def bootstrap_intervals(
    metrics: Mapping[str, Metric],
    y_true: Vector | Matrix,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    groups: Vector | None = None,
    level: float = 0.95,
    method: Ends | str = "percentile",
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Bootstrap intervals of metrics, rows, or groups of rows, being independent draws.

    A metric whose `Metric.resampling` is "closed" gets the interval of its own formula instead:
    exact AUROC gets DeLong's (`roc_auc_interval`), where rows are independent and of weight 0 or 1.

    Metrics of kept rows (average precision, medians, ranks, other areas) cost `n_resamples` passes
    over the sorted rows: of 100,000 rows and 1,000 resamples some seconds a metric.

    Args:
        metrics: the metrics under the names their intervals will have.
        y_true: reference labels or values, shape (n,).
        y_pred: predicted labels or values, shape (n,), or what else the metrics take.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        groups: None, or an id for every row, shape (n,): rows of one id (of one patient, one
            document) may depend on each other, and are resampled together. Metrics of ranked
            groups need them, as integers.
        level: nominal coverage, in (0, 1).
        method: "percentile", or "bca" for ends corrected for bias and skewness. BCa's acceleration
            is that of the jackknife over the rows (or groups) of counts, and of up to 512 parts
            of all other rows.
        n_resamples: how many resamples.
        seed: the same seed gives the same interval.

    Returns:
        By metric its interval. Resamples in which the metric is undefined or infinite are left
        out; nan if it is so in all.

    Raises:
        ValueError: a metric without a bootstrap (`Metric.no_interval` says why), a level outside
            (0, 1), another method, too few resamples, groups that are not one id a row, rows that
            `compute` refuses, or for the sketched AUROC groups or weights other than 0 and 1.

    Example:
        >>> from modelops_jax.metrics import bootstrap_intervals, metric
        >>> accuracy = {"accuracy": metric("accuracy_score")}
        >>> found = bootstrap_intervals(accuracy, [1] * 100, [1] * 80 + [0] * 20)["accuracy"]
        >>> found.low < 0.8 < found.high, found.method
        (True, 'multinomial percentile')

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 13 and 14;
    Field and Welsh, "Bootstrapping clustered data", JRSS B 69, 2007.
    """
    check_bootstrap(metrics, level, method, n_resamples, seed)
    ranked = any(metric.resampling == "groups" for metric in metrics.values())
    ids = groups if ranked else None
    states = compute(metrics, y_true, y_pred, weight=weight, groups=ids).states
    weighted = weight is not None and numbers(weight, "weight").dtype != bool
    by_cells = {
        name: metric
        for name, metric in metrics.items()
        if metric.resampling == "cells" and not weighted and groups is None
    }
    alike = groups is None and (weight is None or _is_mask(weight))
    by_kept = {n: m for n, m in metrics.items() if m.reweighs and not (alike and _closed(m))}
    closed = {n: m for n, m in metrics.items() if _closed(m) and n not in by_kept}
    by_groups = {name: metric for name, metric in metrics.items() if metric.resampling == "groups"}
    other = {*by_cells, *by_kept, *closed, *by_groups}
    by_rows = {name: metric for name, metric in metrics.items() if name not in other}
    found = count_intervals(
        by_cells, states, level=level, method=method, n_resamples=n_resamples, seed=seed
    )
    for name, metric in closed.items():
        if groups is not None:
            raise ValueError(f"{name}: the interval of {metric.name} is for independent rows")
        found[name] = closed_interval(metric, states, level)
    if by_kept:
        found |= kept_intervals(
            by_kept, states, groups=groups, level=level, method=method,
            n_resamples=n_resamples, seed=seed,
        )  # fmt: skip
    for name, metric in by_groups.items():
        values, share = metric.of_groups([states[s] for s in metric.statistics])
        of_values = {"level": level, "method": method, "n_resamples": n_resamples, "seed": seed}
        mean = bootstrap_intervals({name: MEAN_OF_TRUE}, values, values, weight=share, **of_values)[
            name
        ]
        found[name] = dataclasses.replace(mean, method=f"Poisson of groups {WRITTEN[method]}")
    if by_rows:
        statistics = dict.fromkeys(s for m in by_rows.values() for s in m.statistics)
        sums = draw_rows(
            {s: states[s] for s in statistics if isinstance(s, SummedStatistic)},
            [y_true],
            [y_pred],
            weight=weight,
            groups=groups,
            poisson=n_resamples,
            jackknife=method == "bca",
            seed=seed,
        )
        kind = "Poisson" if groups is None else "Poisson of groups"
        found |= sum_intervals(by_rows, sums, level, method, kind, seed)[0]
    return {name: found[name] for name in metrics}


def count_intervals(
    metrics: Mapping[str, Metric],
    states: Mapping[Statistic, State],
    *,
    level: float = 0.95,
    method: Ends | str = "percentile",
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Bootstrap intervals of count metrics from their concrete states alone.

    Exactly the bootstrap of independent, unweighted rows with one label each, at a cost that
    does not depend on how many there were. Weighted rows need `bootstrap_intervals`: drawing
    cells would give them intervals that are too narrow.

    Args:
        metrics: metrics whose `resampling` is "cells".
        states: the concrete state of each of their statistics, as in `Report.states`.
        level: nominal coverage, in (0, 1).
        method: "percentile" or "bca".
        n_resamples: how many resamples.
        seed: the same seed gives the same interval.

    Returns:
        By metric its interval.

    Raises:
        ValueError: a metric that is not of counts, a weighted state, a level outside (0, 1),
            another method, or too few resamples.

    Example:
        >>> from modelops_jax.metrics import compute, count_intervals, metric
        >>> metrics = {"f1": metric("f1_score")}
        >>> report = compute(metrics, [1, 1, 0, 0] * 25, [1, 0, 0, 1] * 25)
        >>> interval = count_intervals(metrics, report.states)["f1"]
        >>> interval.low < 0.5 < interval.high
        True
    """
    check_bootstrap(metrics, level, method, n_resamples, seed)
    bca = method == "bca"
    drawn: dict[Statistic, list[Counts]] = {}
    found = {}
    for name, metric in metrics.items():
        statistic, state = metric.statistics[0], states[metric.statistics[0]]
        if metric.resampling != "cells" or not isinstance(state.cells, ExactCount):
            raise ValueError(f"{name}: drawing cells needs a table of unweighted counts")
        if statistic not in drawn:
            drawn[statistic] = list(draw_tables(state, n_resamples, seed))
        resampled = resample_cells(metric, state, drawn[statistic], jackknife=bca)
        written = f"multinomial {WRITTEN[method]}"
        found[name] = make_interval(resampled.ends(level, bca), level, written, n_resamples, seed)
    return found


def kept_intervals(
    metrics: Mapping[str, Metric],
    states: Mapping[Statistic, State],
    *,
    groups: Vector | None = None,
    level: float,
    method: str,
    n_resamples: int,
    seed: int,
) -> dict[str, Interval]:
    """Bootstrap intervals of metrics that `reweighs` says are of kept rows, from their states."""
    bca = method == "bca"
    resampled = resample_kept(
        metrics, states, groups=groups, n_resamples=n_resamples, jackknife=bca, seed=seed
    )
    written = f"{'Poisson' if groups is None else 'Poisson of groups'} {WRITTEN[method]}"
    return {
        name: make_interval(drawn.ends(level, bca), level, written, n_resamples, seed)
        for name, drawn in resampled.items()
    }


def sum_intervals(
    metrics: Mapping[str, Metric], sums: RowSums, level: float, method: str, kind: str, seed: int
) -> list[dict[str, Interval]]:
    """For each model the bootstrap intervals of metrics of sums of rows, from the drawn sums.

    Args:
        metrics: metrics whose statistics the sums are of.
        sums: the drawn sums.
        level: nominal coverage, in (0, 1).
        method: "percentile" or "bca".
        kind: of the resamples, for the intervals' method.
        seed: of the draws.
    """
    bca = method == "bca"
    found: list[dict[str, Interval]] = []
    for name, metric in metrics.items():
        estimate, values = sums.drawn(metric)
        left = sums.left_out().values(metric) if bca else None
        found = found or [{} for _ in estimate]
        for model, own in enumerate(found):
            parts = None if left is None else left[:, model]
            resampled = Resampled(np.asarray(estimate[model]), values[:, model], parts)
            written, draws = f"{kind} {WRITTEN[method]}", sums.draws.poisson
            own[name] = make_interval(resampled.ends(level, bca), level, written, draws, seed)
    return found


def closed_interval(metric: Metric, states: Mapping[Statistic, State], level: float) -> Interval:
    """The interval of a metric whose `resampling` is "closed"."""
    low, high, formula = metric.interval([states[s] for s in metric.statistics], level)
    return make_interval((low, high), level, formula)


def _closed(metric: Metric) -> bool:
    return metric.resampling == "closed"


def _is_mask(weight: Vector) -> bool:
    """Whether weights only say which rows count."""
    return are_alike(numbers(weight, "weight"))


def check_bootstrap(
    metrics: Mapping[str, Metric], level: float, method: str, n_resamples: int, seed: int
) -> None:
    """Refuse what a bootstrap cannot do.

    Raises:
        ValueError: see `bootstrap_intervals`.
    """
    check_level(level)
    check_resamples(n_resamples)
    check_seed(seed)
    if method not in get_args(Ends):
        raise ValueError(f"method must be one of {get_args(Ends)}, not {method!r}")
    for name, metric in metrics.items():
        if metric.no_interval is not None:
            raise ValueError(f"{name}: {metric.name} has no interval: {metric.no_interval}")
