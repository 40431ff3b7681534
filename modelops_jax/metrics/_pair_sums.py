"""What pairs of labels that come in batches weigh under sets of weights."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._compute import padded
from ._counts import IN_BOUNDS, CellStatistic
from ._draws import GROUP, Draws
from ._host_columns import computed_now, precision_scope
from ._metric import Metric
from ._pair import Pair
from ._row_draws import RowSums
from ._types import Column

# Rows of a block, and how many numbers their sets of weights are at most.
_BLOCK_GROUPS, _BLOCK_NUMBERS = 8, 1 << 22
# A pair of labels is one integer: the true one from this bit on.
_BITS = 32


def _check_labels(name: str, labels: np.ndarray, rows: int) -> None:
    if labels.dtype.kind not in "iub":
        raise TypeError(f"{name} must hold integers, not {labels.dtype}")
    if labels.shape[-1:] != (rows,):
        raise ValueError(
            f"{name} has shape {labels.shape} and weight ({rows},); expected one a row"
        )
    if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) < 1 << (_BITS - 1):
        raise ValueError(
            f"{name} has labels from {labels.min()} to {labels.max()}; expected 0 to 2**31 - 1"
        )


class PairSums:
    """The weight of each pair of labels in every set of draws, of several models on the same rows.

    Sums of pairs rather than of cells of a table, whose number of classes only the last rows tell.

    Args:
        draws: the sets.
        seed: of the draws.
        models: how many models.
    """

    def __init__(self, draws: Draws, seed: int, models: int = 1) -> None:
        self._draws, self._seed = draws, seed
        width = _BLOCK_NUMBERS // (GROUP * draws.count)
        self._block = GROUP * max(1, min(_BLOCK_GROUPS, width))
        self._models = [_Pairs(draws.count) for _ in range(models)]
        self._rows = 0
        # Rows that do not fill a block yet.
        self._waiting, self._weight = np.zeros((models, 0), np.int64), np.zeros(0)

    def update(self, y_true: np.ndarray, y_preds: Sequence[np.ndarray], weight: np.ndarray) -> None:
        """Add a batch of rows.

        Args:
            y_true: reference labels, integers from 0 to 2**31 - 1, shape (n,); or, where the models
                have been relabelled, for each model, shape (models, n).
            y_preds: for each model the predicted labels.
            weight: finite numbers of at least 0, shape (n,).

        Raises:
            ValueError: labels or weights out of range, or lengths that differ.
            TypeError: labels that are not integers.
        """
        weight = np.asarray(weight, np.float64)
        if weight.ndim != 1 or not (np.isfinite(weight) & (weight >= 0)).all():
            raise ValueError("weight must hold finite numbers of at least 0, one a row")
        for name, labels in (("y_true", y_true), *(("y_pred", pred) for pred in y_preds)):
            _check_labels(name, np.asarray(labels), weight.size)
        true = np.broadcast_to(y_true, (len(y_preds), len(weight)))
        pairs = np.stack([_as_pairs(*one) for one in zip(true, y_preds, strict=True)])
        pairs = np.concatenate([self._waiting, pairs], axis=1)
        weight = np.concatenate([self._weight, weight])
        whole = weight.size // self._block * self._block
        for start in range(0, whole, self._block):
            block = slice(start, start + self._block)
            self._models = self._with(self._models, pairs[:, block], weight[block])
            self._rows += self._block
        self._waiting, self._weight = pairs[:, whole:].copy(), weight[whole:].copy()

    @property
    def labels(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """By model both labels of the pairs that occur, some of which are there more than once."""
        every = zip(self._models, self._waiting, strict=True)
        return [_as_labels(np.concatenate([own.pairs, waiting])) for own, waiting in every]

    def relabel(self, labels: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        """Put these labels, of which several pairs may be one, in the place of `labels`."""
        for place, (own, (true, pred)) in enumerate(zip(self._models, labels, strict=True)):
            pairs, self._waiting[place] = np.split(_as_pairs(true, pred), [own.pairs.size])
            self._models[place] = own.renamed(pairs)

    def sums(self, metrics: Iterable[Metric], places: np.ndarray | None = None) -> RowSums | None:
        """The tables of all rows so far, under every set of weights; None of no rows.

        Args:
            metrics: metrics whose `resampling` is "cells".
            places: by label the number by which the metrics know it; None: the label itself.
        """
        models = self._models
        if self._weight.size:
            models = self._with([own.copy() for own in models], self._waiting, self._weight)
        if not models[0].pairs.size:
            return None
        states, tables = {}, {}
        for statistic in dict.fromkeys(s for metric in metrics for s in metric.statistics):
            assert isinstance(statistic, CellStatistic)
            with computed_now():
                states[statistic] = jax.device_get(statistic.identity(weighted=True))
            of_models = [own.table(statistic, places) for own in models]
            tables[statistic] = np.stack(of_models, axis=1)
        return RowSums(self._draws, states, tables)

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The state as JSON and named arrays."""
        arrays = {"waiting": self._waiting, "weight": self._weight}
        for place, own in enumerate(self._models):
            named = {"pairs": own.pairs, "high": own.sums.high, "low": own.sums.low}
            arrays |= {f"{place}/{name}": array for name, array in named.items()}
        return {"rows": self._rows}, arrays

    def set_arrays(self, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take over the state of sums of the same draws and models, as `to_arrays` gave it."""
        self._rows, self._waiting = facts["rows"], arrays["waiting"]
        self._weight = arrays["weight"]
        for place, own in enumerate(self._models):
            own.pairs = arrays[f"{place}/pairs"]
            own.sums = Pair(arrays[f"{place}/high"], arrays[f"{place}/low"])

    def _with(
        self, models: Sequence["_Pairs"], rows: np.ndarray, weight: np.ndarray
    ) -> list["_Pairs"]:
        """These sums, which are written to, with those of at most a block of rows."""
        distinct, places = zip(*(np.unique(own, return_inverse=True) for own in rows), strict=True)
        largest = max(new.size for new in distinct)
        cells = 1 << max(4, (largest - 1).bit_length())
        size = GROUP if weight.size <= GROUP else self._block
        with computed_now(), precision_scope(weight):
            added = _sums_of_block(
                self._draws,
                cells,
                jax.random.key(self._seed),
                np.asarray(self._rows // GROUP, np.int32),
                np.stack([padded(place.astype(np.int32), size) for place in places]),
                padded(weight, size),
            )
        found = zip(models, distinct, np.asarray(added), strict=True)
        return [own.plus(new, sums[: new.size]) for own, new, sums in found]


class _Pairs:
    """The pairs of one model, sorted, and what each weighs in every set."""

    def __init__(self, sets: int, pairs: np.ndarray | None = None) -> None:
        self.pairs = np.zeros(0, np.int64) if pairs is None else pairs
        # By pair and set, the sum and what rounding left of it.
        self.sums = Pair(*np.zeros((2, self.pairs.size, sets)))

    def copy(self) -> "_Pairs":
        found = _Pairs(0, self.pairs)
        found.sums = Pair(self.sums.high.copy(), self.sums.low.copy())
        return found

    def renamed(self, pairs: np.ndarray) -> "_Pairs":
        """With these in the place of the pairs; the sums of those that are one become one."""
        distinct, place = np.unique(pairs, return_inverse=True)
        found = _Pairs(self.sums.high.shape[1], distinct)
        for at, where in enumerate(place.tolist()):
            found._add_at(where, self.sums[at])
        return found

    def plus(self, new: np.ndarray, added: np.ndarray) -> "_Pairs":
        """With these sums of distinct pairs; what there was before is written to."""
        found, pairs = self, np.union1d(self.pairs, new)
        if pairs.size > self.pairs.size:
            found = _Pairs(self.sums.high.shape[1], pairs)
            found._add_at(np.searchsorted(pairs, self.pairs), self.sums)
        found._add_at(np.searchsorted(pairs, new), added)
        return found

    def table(self, statistic: CellStatistic, places: np.ndarray | None) -> np.ndarray:
        """The table of each set, shape (sets, cells)."""
        sides = np.stack(_as_labels(self.pairs))
        true, pred = (sides if places is None else places[sides]).astype(np.int32)
        with computed_now():
            cells = np.asarray(statistic.cell(jnp.asarray(true), jnp.asarray(pred))[0])
        table = np.zeros((statistic.size, self.sums.high.shape[1]))
        np.add.at(table, cells, self.sums.value())
        return table.T

    def _add_at(self, where: Any, more: Any) -> None:
        """Add to the sums of these pairs, of which each is there once."""
        total = self.sums[where] + more
        self.sums.high[where], self.sums.low[where] = total.high, total.low


def _as_pairs(true: np.ndarray, pred: np.ndarray) -> np.ndarray:
    return (true.astype(np.int64) << _BITS) | pred.astype(np.int64)


def _as_labels(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return pairs >> _BITS, pairs & ((1 << _BITS) - 1)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _sums_of_block(
    draws: Draws, size: int, key: jax.Array, first: Column, cells: Column, weight: Column
) -> jax.Array:
    """By model the weight of each of so many cells in every set, shape (models, size, sets)."""
    sets = draws.of_block(key, first, None, cells.shape[1]).astype(weight.dtype)
    weighted = sets.T * weight[:, None]
    none = jnp.zeros((size, draws.count), weight.dtype)
    return jnp.stack([none.at[own].add(weighted, mode=IN_BOUNDS) for own in cells])
