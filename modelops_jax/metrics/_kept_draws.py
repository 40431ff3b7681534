"""Bootstrap, jackknife and swaps of kept rows: how often each row counts, some sets at a time.

What a row, or a group of rows, draws depends on its place and the seed alone, and every metric
and model is measured on the same draws, some sets at a time, which take a byte a row each. What is
measured on them is sorted before: 24 bytes an entry for each metric and model, 8 more for each
distinct number, and a float64 or two where the numbers themselves are summed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from modelops_jax._row_groups import group_codes

from ._draws import AT_ONCE, CALLS, GROUP, PARTS, draw_units
from ._host_columns import computed_now
from ._interval import Resampled
from ._kept_rows import KeptRows
from ._metric import Metric
from ._reweighed import Reweighed
from ._sharded import layout_of_states
from ._sharded_kept import ShardDraws
from ._statistic import Statistic
from ._types import State, Vector

# Numbers of one measurement: of more its columns leave the cache, and take three times as long.
_BLOCK_NUMBERS = 1 << 17


class KeptDraws:
    """The draws of so many rows, each a unit of its own or all rows of a group one."""

    def __init__(self, rows: int, groups: Vector | None, seed: int) -> None:
        self._codes = None if groups is None else group_codes(groups, rows)
        self._units = rows if self._codes is None else int(self._codes.max(initial=-1)) + 1
        self._seed = seed

    def resamples(self, several: int) -> Iterator[np.ndarray]:
        """Poisson(1) counts, shape (sets, rows), until there are `several` sets."""
        return self._drawn(several, "poisson")

    def swaps(self, several: int) -> Iterator[np.ndarray]:
        """0 or 1 with chance 1/2 each, shape (sets, rows)."""
        return self._drawn(several, "swaps")

    def left_out(self) -> Iterator[np.ndarray]:
        """The jackknife's: 0 for the rows of one part in turn, of at most 512, and 1 for others."""
        parts = max(1, min(self._units, PARTS))
        part = np.arange(self._units) % parts
        for first in range(0, parts, AT_ONCE):
            which = np.arange(first, min(first + AT_ONCE, parts))
            yield self._of_rows((part[None, :] != which[:, None]).astype(np.uint8))

    def resampled(
        self, models: Mapping[Any, tuple[Metric, Sequence[State]]], several: int
    ) -> dict[Any, np.ndarray]:
        """Of each metric of a model's states the values over resamples, shape (several, ...)."""
        return measured(_measures(models), self.resamples(several))

    def jackknifed(
        self, models: Mapping[Any, tuple[Metric, Sequence[State]]]
    ) -> dict[Any, np.ndarray]:
        """The values with parts of the rows left out, shape (parts, ...)."""
        return measured(_measures(models), self.left_out())

    def swapped(
        self, pairs: Mapping[Any, tuple[Metric, Sequence[State], Sequence[State]]], several: int
    ) -> dict[Any, np.ndarray]:
        """Of each metric of two models' states the differences over swaps of rows."""
        differences = {name: swapped_difference(*pair) for name, pair in pairs.items()}
        return measured(differences, self.swaps(several))

    def _drawn(self, several: int, kind: str) -> Iterator[np.ndarray]:
        with computed_now():
            key = jax.random.fold_in(jax.random.key(self._seed), 1 + (kind == "swaps"))
        for place, first in enumerate(range(0, several, AT_ONCE)):
            with computed_now():
                of_sets = jax.random.fold_in(key, place)
                parts = [
                    draw_units(kind, of_sets, np.asarray(start // GROUP, np.int32), size)
                    for start, size in self._calls()
                ]
            counts = np.concatenate([np.asarray(part) for part in parts], axis=1)
            yield self._of_rows(counts[: several - first, : self._units])

    def _calls(self) -> Iterator[tuple[int, int]]:
        for start in range(0, max(1, self._units), CALLS[-1]):
            left = min(self._units - start, CALLS[-1])
            yield start, next(size for size in CALLS if size >= left)

    def _of_rows(self, counts: np.ndarray) -> np.ndarray:
        return counts if self._codes is None else counts[:, self._codes]


def resample_kept(
    metrics: Mapping[str, Metric],
    states: Mapping[Statistic, State],
    *,
    groups: Vector | None,
    n_resamples: int,
    jackknife: bool,
    seed: int,
) -> dict[str, Resampled]:
    """The values of metrics of kept rows over resamples of them, from their concrete states.

    Args:
        metrics: metrics that `Metric.reweighed` can measure.
        states: the concrete state of each of their statistics.
        groups: None, or for every row its group, shape (n,): all rows of a group draw alike.
        n_resamples: how many resamples.
        jackknife: whether to leave out parts of the rows as well.
        seed: of the draws.
    """
    own = {n: (metric, [states[s] for s in metric.statistics]) for n, metric in metrics.items()}
    draws = draws_of([kept for _, kept in own.values()], groups, seed)
    drawn = draws.resampled(own, n_resamples)
    left = draws.jackknifed(own) if jackknife else {}
    return {
        name: Resampled(np.asarray(metric.finalize(kept).value), drawn[name], left.get(name))
        for name, (metric, kept) in own.items()
    }


def draws_of(
    states: Sequence[Sequence[State]], groups: Vector | None, seed: int
) -> KeptDraws | ShardDraws:
    """The draws of the rows of concrete states, made where these lie."""
    layout = layout_of_states(list(states))
    rows = {len(state.weight) for several in states for state in several}
    of_rows = max(rows, default=0), groups, seed
    return KeptDraws(*of_rows) if layout is None else ShardDraws(*of_rows, layout)


def _measures(models: Mapping[Any, tuple[Metric, Sequence[State]]]) -> dict[Any, Reweighed]:
    return {name: metric.reweighed(states) for name, (metric, states) in models.items()}


def measured(
    measures: Mapping[Any, Reweighed], sets: Iterator[np.ndarray]
) -> dict[Any, np.ndarray]:
    """Each measure's values on all sets of counts, shape (sets, ...)."""
    found: dict[Any, list[np.ndarray]] = {name: [] for name in measures}
    for counts in sets:
        for name, measure in measures.items():
            found[name].append(of_sets(measure, counts))
    return {name: np.concatenate(values) for name, values in found.items()}


def of_sets(measure: Reweighed, counts: np.ndarray) -> np.ndarray:
    """A measure's values on sets of counts, of which as many are taken at once as fit a cache."""
    several = max(1, _BLOCK_NUMBERS // max(1, counts.shape[1]))
    parts = [counts[at : at + several] for at in range(0, len(counts), several)]
    return np.concatenate([measure(part) for part in parts])


def swapped_difference(
    metric: Metric, states: Sequence[State], others: Sequence[State]
) -> Reweighed:
    """The metric's difference of two models as a function of which rows have been swapped.

    The rows of both are sorted together, and a row of either counts or does not. Where only the
    order of the scores counts, each model's are its ranks before, as their scales may differ.

    Args:
        metric: a metric that `reweighs`.
        states: of one model, in NumPy.
        others: of the other.
    """
    both = []
    for statistic, one, other in zip(metric.statistics, states, others, strict=True):
        assert isinstance(statistic, KeptRows)
        both.append(statistic.join([metric.exchangeable(one), metric.exchangeable(other)]))
    measure = metric.reweighed(both)

    def difference(swap: np.ndarray) -> np.ndarray:
        stay = 1 - swap
        return measure(np.hstack([stay, swap])) - measure(np.hstack([swap, stay]))

    return difference
