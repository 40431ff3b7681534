"""Sums over rows under many sets of row weights at once: one matrix product a block of rows.

Of a large table, where most of the product would be times 0, each row is added to its cell instead.
A bootstrap resample weighs rows by Poisson(1) draws, a permutation by signs, a jackknife leaves
parts of them out.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from modelops_jax._distinct_shards import group_codes_of_shards
from modelops_jax._row_groups import group_codes

from ._compute import padded
from ._draws import GROUP, PARTS, Draws, add_block, block_rows
from ._host_columns import computed_now, numbers, precision_scope
from ._metric import Metric
from ._pair import Pair
from ._sharded import Layout, placed_alike, row_layout, shared_layout
from ._sharded_draws import sums_of_shards
from ._statistic import SummedStatistic, columns_of, float_type
from ._types import Column, Matrix, State, Vector


@dataclass(frozen=True)
class RowSums:
    """The sums of every statistic's columns, for every set of weights and every model."""

    draws: Draws
    states: Mapping[SummedStatistic, State]
    sums: Mapping[SummedStatistic, np.ndarray]  # shape (sets, models, columns), float64

    def sample(self) -> "RowSums":
        """The sample itself."""
        return self._slice(0, 1)

    def signed(self) -> "RowSums":
        """Sums of the rows, each with a random sign."""
        return self._slice(1 + self.draws.poisson, self.draws.signs)

    def left_out(self) -> "RowSums":
        """The jackknife's samples."""
        return self._slice(1 + self.draws.poisson + self.draws.signs, self.draws.parts)

    def _slice(self, first: int, count: int) -> "RowSums":
        part = {s: sums[first : first + count] for s, sums in self.sums.items()}
        return replace(self, sums=part)

    def values(self, metric: Metric) -> np.ndarray:
        """The metric's value for every set of weights and every model, shape (sets, models, ...).

        In float64 whatever the rows were: ties of resampled values have to stay ties.
        """
        sets, models = self.sums[self._own(metric)[0]].shape[:2]
        leaves = jax.tree.leaves([self.states[s] for s in self._own(metric)])
        eps = max((np.finfo(x.dtype).eps for x in leaves if x.dtype.kind == "f"), default=0.0)
        with computed_now(), jax.enable_x64(True):
            states = _of_sums(
                tuple(self._own(metric)),
                float(eps),
                tuple(self.sums[s].reshape(sets * models, -1) for s in self._own(metric)),
                tuple(jax.tree.map(_widened, self.states[s]) for s in self._own(metric)),
            )
        values = np.asarray(metric.finalizer(np, *jax.device_get(states)).value, np.float64)
        return values.reshape(sets, models, *values.shape[1:])

    def drawn(self, metric: Metric) -> tuple[np.ndarray, np.ndarray]:
        """The metric's values for the sample, shape (models, ...), and for the resamples.

        By one program, as every metric and number of sets compiles its own.
        """
        values = self._slice(0, 1 + self.draws.poisson).values(metric)
        return values[0], values[1:]

    @staticmethod
    def _own(metric: Metric) -> list[SummedStatistic]:
        assert metric.resampling is not None
        return [s for s in metric.statistics if isinstance(s, SummedStatistic)]


def draw_rows(
    states: Mapping[SummedStatistic, State],
    y_trues: Sequence[Vector | Matrix],
    y_preds: Sequence[Vector | Matrix],
    *,
    weight: Vector | None,
    groups: Vector | None,
    poisson: int = 0,
    signs: int = 0,
    jackknife: bool = False,
    seed: int,
) -> RowSums:
    """Sum the columns of statistics over rows under many sets of weights.

    Args:
        states: the statistics, with a concrete state each to centre by.
        y_trues: one for all models, or one for each, shape (n,) or (n, k).
        y_preds: for each model, shape (n,) or (n, k).
        weight: None, a boolean mask or numbers, shape (n,), by which the sets are multiplied.
        groups: None, or for every row its group, shape (n,): all rows of a group draw alike.
        poisson: how many bootstrap resamples.
        signs: how many sets of random signs.
        jackknife: whether to leave out rows, or groups: each alone up to 512 of them.
        seed: of the draws.
    """
    columns = [
        *(numbers(true, "y_true") for true in y_trues),
        *(numbers(pred, "y_pred") for pred in y_preds),
    ]
    given: dict[str, Any] = {str(place): column for place, column in enumerate(columns)}
    given["weight"] = None if weight is None else numbers(weight, "weight")
    layout = shared_layout(given)
    if layout is not None:
        several = Draws(poisson, signs, 1 if jackknife else 0)
        parts = columns[: len(y_trues)], columns[len(y_trues) :], given["weight"], groups
        return _of_shards(states, several, *parts, seed, layout)
    trues = np.stack([np.asarray(numbers(true, "y_true")) for true in y_trues])
    preds = np.stack([np.asarray(numbers(pred, "y_pred")) for pred in y_preds])
    weights = None if weight is None else np.asarray(numbers(weight, "weight"))
    units = None if groups is None else group_codes(groups, trues.shape[1])
    if units is not None:
        order = np.argsort(units, kind="stable")
        trues, preds, units = trues[:, order], preds[:, order], units[order]
        weights = None if weights is None else weights[order]
    rows = trues.shape[1]
    found = rows if units is None else int(units[-1]) + 1 if rows else 0
    draws = Draws(poisson, signs, max(1, min(found, PARTS)) if jackknife else 0)
    statistics = tuple(states)
    with computed_now(), precision_scope(trues, preds, weights):
        boolean = weights is None or weights.dtype == bool
        dtype = float_type(trues, preds, None if boolean else weights)
        key = jax.random.key(seed)
        sums: tuple[Pair, ...] | None = None
        longest = block_rows(statistics, preds.shape[0], columns_of(preds[0]), scattered=True)
        for start in range(0, max(1, rows), longest):
            stop = min(start + longest, rows)
            size = GROUP if stop - start <= GROUP else longest
            first, places = start // GROUP, None
            if units is not None and rows:
                first = int(units[start]) // GROUP
                places = padded((units[start:stop] - first * GROUP).astype(np.int32), size)
            sums = add_block(
                statistics, dtype, draws, tuple(states.values()), sums, key,
                np.asarray(first, np.int32),
                places,
                np.asarray(stop - start, np.int32),
                np.stack([padded(true[start:stop], size) for true in trues]),
                np.stack([padded(pred[start:stop], size) for pred in preds]),
                None if weights is None else padded(weights[start:stop], size),
            )  # fmt: skip
        assert sums is not None
        totals = [np.asarray(pair.value(), np.float64) for pair in jax.device_get(sums)]
    return RowSums(draws, states, dict(zip(statistics, totals, strict=True)))


def _of_shards(
    states: Mapping[SummedStatistic, State],
    draws: Draws,
    trues: Sequence[Column],
    preds: Sequence[Column],
    weight: Column | None,
    groups: Vector | None,
    seed: int,
    layout: Layout,
) -> RowSums:
    """`draw_rows` where the rows lie; `draws.parts` says only whether there is a jackknife."""
    rows = trues[0].shape[0]
    with precision_scope(*trues, *preds, weight):
        codes, units = None, rows
        if isinstance(groups, jax.Array) and row_layout(groups) is not None:
            codes, units = group_codes_of_shards(groups, *layout)
        elif groups is not None:
            on_host = group_codes(groups, rows)
            codes, units = placed_alike(on_host.astype(np.int32), layout), int(on_host.max()) + 1
        draws = replace(draws, parts=draws.parts and min(units, PARTS))
        counted = weight is None or weight.dtype == bool
        sums = sums_of_shards(
            tuple(states),
            float_type(*trues, *preds, None if counted else weight),
            draws,
            tuple(states.values()),
            jax.random.key(seed),
            [placed_alike(column, layout) for column in trues],
            [placed_alike(column, layout) for column in preds],
            None if weight is None else placed_alike(weight, layout),
            codes,
            None if codes is None else units,
            layout,
        )
    totals = [np.asarray(pair.value(), np.float64) for pair in jax.device_get(sums)]
    return RowSums(draws, states, dict(zip(states, totals, strict=True)))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _of_sums(
    statistics: tuple[SummedStatistic, ...],
    eps: float,
    sums: tuple[Column, ...],
    states: tuple[State, ...],
) -> tuple[State, ...]:
    triples = zip(statistics, sums, states, strict=True)
    return tuple(
        statistic.without_noise(statistic.of_column_sums(total, state), total, eps)
        for statistic, total, state in triples
    )


def _widened(leaf: Any) -> np.ndarray:
    leaf = np.asarray(leaf)
    return leaf.astype(np.float64) if leaf.dtype.kind == "f" else leaf
