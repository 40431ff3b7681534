"""Differences between models that predicted the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import jax
import numpy as np

from ._bootstrap import MEAN_OF_TRUE, WRITTEN, Ends, check_bootstrap
from ._compute import compute
from ._interval import Interval, Resampled, make_interval
from ._kept_draws import KeptDraws, measured, swapped_difference
from ._metric import Metric
from ._row_draws import RowSums, draw_rows
from ._statistic import SummedStatistic
from ._types import Matrix, Vector

# Values closer than this are ties: sums of the same numbers in another order.
_TIE = 1e-9


@dataclass(frozen=True)
class Difference:
    """The value of one model minus that of another on the same rows."""

    value: float | np.ndarray
    """A float, or an array for a metric with an entry per class."""

    interval: Interval
    """Of the difference, from a bootstrap of the rows with the same weights for both models."""

    p_value: float | np.ndarray
    """Of the permutation test whose null hypothesis is that the models are exchangeable."""


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
    if len(names) < 2:
        raise ValueError(f"y_preds must have two models or more to compare; it has {names}")
    wanted = list(combinations(names, 2)) if pairs is None else list(pairs)
    for name in {name for pair in wanted for name in pair}:
        if name not in y_preds:
            raise ValueError(f"pairs has the model {name!r}; y_preds has {', '.join(names)}")
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
    found: dict[str, dict[tuple[str, str], Difference]] = {}
    for name, metric in metrics.items():
        if metric.resampling == "groups":
            parts = [metric.of_groups([r.states[s] for s in metric.statistics]) for r in reports]
            values = {model: part[0] for model, part in zip(names, parts, strict=True)}
            found[name] = paired_differences(
                {name: MEAN_OF_TRUE}, values, values, pairs=wanted, weight=parts[0][1],
                groups=np.arange(len(parts[0][0])), level=level, method=method,
                n_resamples=n_resamples, seed=seed,
            )[name]  # fmt: skip
    bca = method == "bca"
    kind = "paired Poisson" if groups is None else "paired Poisson of groups"
    written = f"{kind} {WRITTEN[method]}"

    def difference(
        metric: str,
        pair: tuple[str, str],
        resampled: np.ndarray,
        left_out: np.ndarray | None,
        swapped: np.ndarray,
    ) -> Difference:
        """From the values of either model over resamples, and differences over swaps."""
        first, second = (names.index(model) for model in pair)
        value = np.asarray(
            np.float64(reports[first].values[metric]) - np.float64(reports[second].values[metric])
        )
        with np.errstate(invalid="ignore"):
            left = None if left_out is None else left_out[:, first] - left_out[:, second]
            drawn = Resampled(value, resampled[:, first] - resampled[:, second], left)
        interval = make_interval(drawn.ends(level, bca), level, written, n_resamples, seed)
        p_value = _two_sided(value, swapped)
        return Difference(
            float(value) if value.ndim == 0 else value,
            interval,
            float(p_value) if p_value.ndim == 0 else p_value,
        )

    by_kept = {name: metric for name, metric in metrics.items() if metric.reweighs}
    if by_kept:
        draws = KeptDraws(len(next(iter(of_model.values()))), groups, seed)
        kept = list(dict.fromkeys(s for metric in by_kept.values() for s in metric.statistics))
        # Of rows that lie on several devices these are read here, once for all metrics.
        fetched = [
            dict(zip(kept, jax.device_get([report.states[s] for s in kept]), strict=True))
            for report in reports
        ]
        own = {
            name: [[states[s] for s in metric.statistics] for states in fetched]
            for name, metric in by_kept.items()
        }
        measures = {
            (name, model): metric.reweighed(own[name][model])
            for name, metric in by_kept.items()
            for model in range(len(names))
        }
        values_of = [measured(measures, draws.resamples(n_resamples))]
        values_of += [measured(measures, draws.left_out())] if bca else []
        differences = {
            (name, pair): swapped_difference(
                metric, *(own[name][names.index(model)] for model in pair)
            )
            for name, metric in by_kept.items()
            for pair in wanted
        }
        swapped = measured(differences, draws.swaps(n_resamples))
        for name in by_kept:
            resampled, *left = (
                np.stack([values[name, model] for model in range(len(names))], axis=1)
                for values in values_of
            )
            found[name] = {}
            for pair in wanted:
                found[name][pair] = difference(
                    name, pair, resampled, next(iter(left), None), swapped[name, pair]
                )
    by_rows = {name: metric for name, metric in metrics.items() if name not in found}
    if not by_rows:
        return {name: found[name] for name in metrics}
    statistics = dict.fromkeys(s for metric in by_rows.values() for s in metric.statistics)
    sums = draw_rows(
        {s: reports[0].states[s] for s in statistics if isinstance(s, SummedStatistic)},
        [*of_model.values()] if isinstance(y_true, Mapping) else [y_true],
        list(y_preds.values()),
        weight=weight,
        groups=groups,
        poisson=n_resamples,
        signs=n_resamples,
        jackknife=bca,
        seed=seed,
    )
    for name, metric in by_rows.items():
        resampled = sums.resampled().values(metric)
        left_out = sums.left_out().values(metric) if bca else None
        found[name] = {}
        for pair in wanted:
            swapped = _swapped(sums, metric, *(names.index(model) for model in pair))
            found[name][pair] = difference(name, pair, resampled, left_out, swapped)
    return {name: found[name] for name in metrics}


def _swapped(sums: RowSums, metric: Metric, first: int, second: int) -> np.ndarray:
    """The metric's differences where rows have been swapped at random, shape (swaps, ...).

    Half of a row's two columns added, and half of them subtracted with a random sign: the sign
    says whose is whose. A cell that a swap empties is exactly empty, since a sum with all signs
    turned is rounded alike.
    """
    both, apart = {}, {}
    for statistic in metric.statistics:
        assert isinstance(statistic, SummedStatistic)
        total = sums.sample().sums[statistic]
        signed = sums.signed().sums[statistic]
        both[statistic] = 0.5 * (total[:, first] + total[:, second])
        apart[statistic] = 0.5 * (signed[:, first] - signed[:, second])
    shuffled = {s: np.stack([both[s] + apart[s], both[s] - apart[s]], axis=1) for s in both}
    values = RowSums(sums.draws, sums.states, shuffled).values(metric)
    with np.errstate(invalid="ignore"):
        return values[:, 0] - values[:, 1]


def _two_sided(value: np.ndarray, swapped: np.ndarray) -> np.ndarray:
    """The share of swaps, the identity among them, with so large a difference."""
    defined = np.isfinite(swapped)
    with np.errstate(invalid="ignore"):
        as_large = defined & (np.abs(swapped) >= np.abs(value) * (1 - _TIE))
    share = (1 + as_large.sum(axis=0)) / (1 + defined.sum(axis=0))
    return np.where(np.isfinite(value) & defined.any(axis=0), share, np.nan)
