"""Resampled tables of counts: their cost does not depend on how many rows were counted."""

from collections.abc import Iterable, Iterator

import numpy as np

from ._counts import Counts
from ._exact import ExactCount
from ._interval import Resampled
from ._metric import Metric
from ._pair import Pair

# Cells drawn at once, to bound memory.
_DRAWN_CELLS = 1 << 24


def resample_cells(
    metric: Metric, state: Counts, tables: Iterable[Counts], *, jackknife: bool
) -> Resampled:
    """A metric's values over tables drawn from the one of these counts.

    Leaving out one row is the same for all rows of a cell, so the jackknife takes one table a
    filled cell.
    """
    assert isinstance(state.cells, ExactCount)

    def values(tables: Iterable[Counts]) -> np.ndarray:
        return np.concatenate([metric.finalizer(np, drawn).value for drawn in tables])

    counts = state.cells.integers()
    estimate = np.asarray(values(_as_states(counts[None], state))[0])
    drawn = values(tables)
    if not jackknife:
        return Resampled(estimate, drawn)
    filled = np.flatnonzero(counts)
    left_out = np.concatenate(
        [values(_as_states(_less_one(counts, part), state)) for part in _parts(filled, counts.size)]
        or [estimate[None]]
    )
    rows = counts.reshape(-1)[filled] if filled.size else np.ones(1)
    return Resampled(estimate, drawn, left_out, rows)


def draw_tables(state: Counts, n_resamples: int, seed: int) -> Iterator[Counts]:
    """Tables of as many rows as were counted, some at a time.

    Drawing n rows with replacement and counting cells is one multinomial draw.
    """
    assert isinstance(state.cells, ExactCount)
    counts = state.cells.integers()
    filled = np.flatnonzero(counts)
    total = int(counts.sum())
    share = counts.reshape(-1)[filled] / max(total, 1)
    random = np.random.default_rng(seed)
    for part in _parts(np.arange(n_resamples), counts.size):
        tables = np.zeros((part.size, counts.size))
        if total:
            tables[:, filled] = random.multinomial(total, share, size=part.size)
        yield from _as_states(tables.reshape(part.size, *counts.shape), state)


def _parts(items: np.ndarray, cells: int) -> list[np.ndarray]:
    size = max(1, _DRAWN_CELLS // cells)
    return [items[start : start + size] for start in range(0, items.size, size)]


def _less_one(counts: np.ndarray, filled: np.ndarray) -> np.ndarray:
    tables = np.repeat(counts.reshape(1, -1), filled.size, axis=0)
    tables[np.arange(filled.size), filled] -= 1
    return tables.reshape(-1, *counts.shape)


def _as_states(tables: np.ndarray, state: Counts) -> Iterator[Counts]:
    tables = tables.astype(np.float64)
    yield Counts(Pair(tables, np.zeros_like(tables)), state.invalid)
