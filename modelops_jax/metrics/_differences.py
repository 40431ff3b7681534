"""From values over resamples and swaps to the differences of models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from ._bootstrap import WRITTEN
from ._interval import Interval, Resampled, make_interval
from ._joint_cells import JointCells
from ._metric import Metric
from ._row_draws import RowSums
from ._statistic import SummedStatistic

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


@dataclass(frozen=True)
class Asked:
    """Which differences are asked for, and how they are found."""

    models: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    level: float
    method: str
    n_resamples: int
    seed: int

    def places(self, pair: tuple[str, str]) -> tuple[int, int]:
        """The places of two models among all."""
        first, second = (self.models.index(model) for model in pair)
        return first, second

    @property
    def bca(self) -> bool:
        """Whether the jackknife is needed, too."""
        return self.method == "bca"

    def differences(
        self,
        values: Sequence[Any],
        drawn: Resampled,
        swapped: Mapping[tuple[str, str], np.ndarray],
        kind: str,
    ) -> dict[tuple[str, str], Difference]:
        """The differences of one metric.

        Args:
            values: of each model.
            drawn: over resamples, with an axis of models.
            swapped: by pair the differences over swaps.
            kind: of the resamples, for the intervals' method.
        """
        found = {}
        for pair in self.pairs:
            first, second = self.places(pair)
            value = np.asarray(np.float64(values[first]) - np.float64(values[second]))
            left = drawn.left_out
            with np.errstate(invalid="ignore"):
                left = None if left is None else left[:, first] - left[:, second]
                apart = drawn.values[:, first] - drawn.values[:, second]
            ends = Resampled(value, apart, left, drawn.part_rows).ends(self.level, self.bca)
            written = f"paired {kind} {WRITTEN[self.method]}"
            interval = make_interval(ends, self.level, written, self.n_resamples, self.seed)
            p_value = _two_sided(value, swapped[pair])
            found[pair] = Difference(
                float(value) if value.ndim == 0 else value,
                interval,
                float(p_value) if p_value.ndim == 0 else p_value,
            )
        return found

    def of_sums(
        self,
        metrics: Mapping[str, Metric],
        values: Mapping[str, Sequence[Any]],
        sums: RowSums,
        kind: str,
    ) -> dict[str, dict[tuple[str, str], Difference]]:
        """Of metrics of sums over rows, from the sums of all models."""
        found = {}
        for name, metric in metrics.items():
            drawn = Resampled(
                np.asarray(values[name]),
                sums.drawn(metric)[1],
                sums.left_out().values(metric) if self.bca else None,
            )
            swapped = {pair: _swapped(sums, metric, *self.places(pair)) for pair in self.pairs}
            found[name] = self.differences(values[name], drawn, swapped, kind)
        return found

    def of_cells(
        self,
        metrics: Mapping[str, Metric],
        values: Mapping[str, Sequence[Any]],
        joint: JointCells,
    ) -> dict[str, dict[tuple[str, str], Difference]]:
        """Of metrics of the cells of one statistic."""
        drawn = joint.resampled(metrics, self.n_resamples, self.seed, jackknife=self.bca)
        places = list(dict.fromkeys(map(self.places, self.pairs)))
        swaps = joint.swapped(metrics, places, self.n_resamples, self.seed)
        found = {}
        for name in metrics:
            swapped = {pair: swaps[name, self.places(pair)] for pair in self.pairs}
            found[name] = self.differences(values[name], drawn[name], swapped, "multinomial")
        return found


def pairs_of(
    models: Sequence[str], pairs: Sequence[tuple[str, str]] | None
) -> tuple[tuple[str, str], ...]:
    """The pairs that are asked for; None: every two models once, in order.

    Raises:
        ValueError: fewer than two models, or a pair of unknown ones.
    """
    if len(models) < 2:
        raise ValueError(f"y_preds must have two models or more to compare; it has {list(models)}")
    wanted = tuple(combinations(models, 2)) if pairs is None else tuple(pairs)
    for name in {name for pair in wanted for name in pair}:
        if name not in models:
            raise ValueError(f"pairs has the model {name!r}; y_preds has {', '.join(models)}")
    return wanted


def by_cells(metrics: Mapping[str, Metric]) -> dict[Any, dict[str, Metric]]:
    """Metrics of counts by their statistic."""
    found: dict[Any, dict[str, Metric]] = {}
    for name, metric in metrics.items():
        if metric.resampling == "cells":
            found.setdefault(metric.statistics[0], {})[name] = metric
    return found


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
