"""The interval that fits each metric."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from ._bootstrap import (
    Ends,
    bootstrap_intervals,
    closed_interval,
    count_intervals,
    kept_intervals,
)
from ._compute import compute
from ._exact import ExactCount
from ._host_columns import are_alike, numbers
from ._interval import Interval, check_level, check_resamples, check_seed
from ._metric import Metric
from ._proportion import ProportionMethod, interval_of
from ._statistic import Statistic
from ._types import Matrix, State, Vector

IntervalMethod = Literal["auto", "percentile", "bca", "wilson", "exact"]


def confidence_intervals(
    metrics: Mapping[str, Metric],
    y_true: Vector,
    y_pred: Vector | Matrix,
    *,
    weight: Vector | None = None,
    groups: Vector | None = None,
    level: float = 0.95,
    method: IntervalMethod | str = "auto",
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Confidence intervals of metrics, by the method that fits each.

    "auto" takes Wilson's interval for a metric that is a share of unweighted, independent rows,
    or rises with one, DeLong's for exact AUROC of such rows, and the percentile bootstrap for the
    rest. Shares are accuracy, the losses that are 1 minus it, top-k accuracy, micro-averages, and
    the precision, recall, specificity, Jaccard index and F1 of a class or label. A bootstrap of 100
    rows that are all right would say [1, 1]; Wilson's interval has a width there.

    Args:
        metrics: the metrics under the names their intervals will have.
        y_true: reference labels or values, shape (n,).
        y_pred: predicted labels or values, shape (n,), or what else the metrics take.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        groups: None, or an id for every row, shape (n,): rows of one id may depend on each other,
            and are resampled together.
        level: nominal coverage, in (0, 1).
        method: "auto"; "percentile" or "bca", as in `bootstrap_intervals`; "wilson" or "exact",
            as in `proportion_interval`.
        n_resamples: how many resamples of a bootstrap.
        seed: of a bootstrap; the same seed gives the same interval.

    Returns:
        By metric its interval, which names its method.

    Raises:
        ValueError: another method; "wilson" or "exact" for what is no share of unweighted,
            independent rows; and what `bootstrap_intervals` refuses.

    Example:
        >>> from modelops_jax.metrics import confidence_intervals, metric
        >>> metrics = {"accuracy": metric("accuracy_score"), "mse": metric("mean_squared_error")}
        >>> found = confidence_intervals(metrics, [1, 0] * 50, [1, 0] * 49 + [0, 0])
        >>> {name: interval.method for name, interval in found.items()}
        {'accuracy': 'Wilson', 'mse': 'Poisson percentile'}
        >>> round(found["accuracy"].low, 3), round(found["accuracy"].high, 3)
        (0.946, 0.998)
    """
    check_method(method, level, n_resamples, seed)
    weighted = weight is not None and numbers(weight, "weight").dtype != bool
    found: dict[str, Interval] = {}
    if method not in get_args(Ends) and not weighted and groups is None:
        states = compute(metrics, y_true, y_pred, weight=weight).states
        found = of_shares(metrics, states, level, method)
    rest = without(metrics, found, method)
    if rest:
        found |= bootstrap_intervals(
            rest,
            y_true,
            y_pred,
            weight=weight,
            groups=groups,
            level=level,
            method="percentile" if method == "auto" else method,
            n_resamples=n_resamples,
            seed=seed,
        )
    return {name: found[name] for name in metrics}


def state_intervals(
    metrics: Mapping[str, Metric],
    states: Mapping[Statistic, State],
    *,
    groups: Vector | None = None,
    level: float = 0.95,
    method: IntervalMethod | str = "auto",
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """The same intervals of metrics of counts, or of kept rows, from their concrete states alone.

    Args:
        metrics: metrics whose `resampling` is "cells", "kept" or "closed"; or "rows", of unweighted
            rows, where the metric is a share of them, as top-k accuracy is.
        states: the concrete state of each of their statistics, as in `Report.states`.
        groups: None, or of kept rows an id for each, shape (n,), as in `confidence_intervals`; all
            metrics are then of kept rows.
        level: nominal coverage, in (0, 1).
        method: as in `confidence_intervals`.
        n_resamples: how many resamples of a bootstrap.
        seed: of a bootstrap.

    Returns:
        By metric its interval: what `confidence_intervals` gives of the rows.

    Raises:
        ValueError: another method, "wilson" or "exact" for what is no share of rows, groups of
            metrics that are not of kept rows, and what `count_intervals` refuses.

    Example:
        >>> from modelops_jax.metrics import compute, metric, state_intervals
        >>> metrics = {"accuracy": metric("accuracy_score")}
        >>> states = compute(metrics, [1, 1, 0, 0] * 25, [1, 0, 0, 1] * 25).states
        >>> state_intervals(metrics, states)["accuracy"].method
        'Wilson'
    """
    check_method(method, level, n_resamples, seed)
    found: dict[str, Interval] = {}
    if groups is not None and (others := [n for n, m in metrics.items() if not m.reweighs]):
        raise ValueError(f"{', '.join(others)}: groups are of kept rows, which the state has not")
    if method not in get_args(Ends) and groups is None:
        counted = {
            name: metric
            for name, metric in metrics.items()
            if isinstance(getattr(states[metric.statistics[0]], "cells", None), ExactCount)
            or metric.resampling == "rows"
        }
        found = of_shares(counted, states, level, method)
    rest = without(metrics, found, method)
    ends = "percentile" if method == "auto" else method
    closed = {n: m for n, m in rest.items() if m.resampling == "closed" and groups is None}
    closed = {name: metric for name, metric in closed.items() if _alike(metric, states)}
    found |= {name: closed_interval(metric, states, level) for name, metric in closed.items()}
    kept = {n: metric for n, metric in rest.items() if metric.reweighs and n not in closed}
    drawn = {"level": level, "method": ends, "n_resamples": n_resamples, "seed": seed}
    if kept:
        found |= kept_intervals(kept, states, groups=groups, **drawn)
    counted = {n: metric for n, metric in rest.items() if n not in kept and n not in closed}
    if counted:
        found |= count_intervals(counted, states, **drawn)
    return {name: found[name] for name in metrics}


def _alike(metric: Metric, states: Mapping[Statistic, State]) -> bool:
    """Whether every row of the state counts once or not at all."""
    weights = [w for s in metric.statistics if (w := _weight(states[s])) is not None]
    return all(map(are_alike, weights))


def _weight(state: State) -> Any:
    return getattr(state, "weight", None)


def check_method(method: str, level: float, n_resamples: int, seed: int) -> None:
    """Refuse what is no method, level, number of resamples or seed (ValueError)."""
    if method not in get_args(IntervalMethod):
        raise ValueError(f"method must be one of {get_args(IntervalMethod)}, not {method!r}")
    check_level(level)
    check_resamples(n_resamples)
    check_seed(seed)


def of_shares(
    metrics: Mapping[str, Metric], states: Mapping[Statistic, State], level: float, method: str
) -> dict[str, Interval]:
    """The intervals of those that are shares of unweighted, independent rows."""
    found = {}
    for name, metric in metrics.items():
        share = metric.proportion([states[statistic] for statistic in metric.statistics])
        if share is not None:
            found[name] = interval_of(share, level, "wilson" if method == "auto" else method)
    return found


def without(
    metrics: Mapping[str, Metric], found: Mapping[str, Interval], method: str
) -> dict[str, Metric]:
    """The metrics that are no shares, for which a method that was asked for by name has to fit."""
    rest = {name: metric for name, metric in metrics.items() if name not in found}
    if rest and method in get_args(ProportionMethod):
        raise ValueError(
            f"method={method!r} is for shares of unweighted, independent rows, which "
            f"{', '.join(rest)} {'is' if len(rest) == 1 else 'are'} not"
        )
    return rest
