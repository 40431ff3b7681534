"""Whether a metric obeys the laws that streams, slices, weights and intervals rely on."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from ._by_name import metric
from ._compute import compute
from ._stream import MetricStream
from ._table import METRICS
from ._types import Matrix, Vector

# Relative to max(1, |value|): of float64 on the host, and of float32 under tracing.
_CLOSE, _CLOSE_TRACED = 1e-9, 1e-5


def check_laws(
    name: str, y_true: Vector | Matrix, y_pred: Vector | Matrix, **options: Any
) -> tuple[str, ...]:
    """Try on some rows whether a metric of the table obeys its laws; for tests of your own metrics.

    Permutation, repetition, weight 0, merge, padding, jit and vmap, as `LAWS` lists them; sharding,
    traces and gradients are not tried. A metric of groups of rows is none of those that can be.

    Args:
        name: a name of `METRICS`.
        y_true: valid rows, shape (n,) or what the metric takes; 10 to 1,000 of them will do.
        y_pred: the same of predictions.
        options: of the metric.

    Returns:
        The laws that were tried, all of them obeyed: those that the metric is not excused from.

    Raises:
        AssertionError: the law that is broken, with both values.
        ValueError: an unknown metric, or rows that it refuses.

    Example:
        >>> from modelops_jax.metrics import check_laws
        >>> check_laws("mean_squared_error", [1.0, 2.5, 3.0], [1.5, 2.0, 5.0])
        ('permutation', 'repetition', 'zero_weight', 'merge', 'padding', 'jit', 'vmap')
    """
    trial = _Trial(name, options, np.asarray(y_true), np.asarray(y_pred))
    trials: dict[str, Callable[[], None]] = {
        "permutation": trial.permutation,
        "repetition": trial.repetition,
        "zero_weight": trial.zero_weight,
        "merge": trial.merge,
        "padding": trial.padding,
        "jit": trial.jit,
        "vmap": trial.vmap,
    }
    tried = [law for law in trials if law not in METRICS[name].excused]
    for law in tried:
        trials[law]()
    return tuple(tried)


class _Trial:
    """The rows, and their value as they are."""

    def __init__(
        self, name: str, options: dict[str, Any], y_true: np.ndarray, y_pred: np.ndarray
    ) -> None:
        self.name, self.options = name, options
        self.metric = metric(name, **options)
        self.rows = (y_true, y_pred)
        self.random = np.random.default_rng(0)
        self.value = self.of(self.rows)

    def of(self, rows: Any, weight: Any = None) -> Any:
        return compute({self.name: self.metric}, *rows, weight=weight).values[self.name]

    def same(self, law: str, found: Any, expected: Any, tolerance: float = _CLOSE) -> None:
        one, other = np.asarray(found, np.float64), np.asarray(expected, np.float64)
        if not np.allclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True):
            raise AssertionError(f"{self.name} breaks the law {law!r}: {one} is not {other}")

    def permutation(self) -> None:
        order = self.random.permutation(len(self.rows[0]))
        self.same("permutation", self.of([column[order] for column in self.rows]), self.value)

    def repetition(self) -> None:
        weight = self.random.integers(0, 4, len(self.rows[0]))
        copies = [np.repeat(column, weight, axis=0) for column in self.rows]
        self.same("repetition", self.of(self.rows, weight.astype(float)), self.of(copies))

    def zero_weight(self) -> None:
        keep = np.arange(len(self.rows[0])) % 3 != 1
        spoiled = [np.array(column) for column in self.rows]
        for column in spoiled:
            if column.dtype.kind in "if":
                column[~keep] = np.nan if column.dtype.kind == "f" else -7
        expected = self.of([column[keep] for column in self.rows])
        self.same("zero_weight", self.of(spoiled, keep), expected)
        self.same("zero_weight", self.of(spoiled, keep.astype(float)), expected)

    def merge(self) -> None:
        parts = [MetricStream({self.name: self.metric}) for _ in range(2)]
        middle = len(self.rows[0]) // 3
        for stream, part in zip(parts, (slice(middle, None), slice(middle)), strict=True):
            stream.update(*(column[part] for column in self.rows))
        parts[0].merge(parts[1])
        self.same("merge", parts[0].report().values[self.name], self.value)

    def padding(self) -> None:
        longer = [
            np.concatenate([c, np.zeros_like(c[:2]), np.zeros_like(c[:1])]) for c in self.rows
        ]
        mask = np.arange(len(longer[0])) < len(self.rows[0])
        self.same("padding", self.of(longer, mask), self.value)

    def jit(self) -> None:
        traced = jax.jit(self._function)(*map(_narrow, self.rows))
        self.same("jit", traced, self.value, _CLOSE_TRACED)

    def vmap(self) -> None:
        twice = (np.stack([_narrow(column), _narrow(column[::-1])]) for column in self.rows)
        found = jax.jit(jax.vmap(self._function))(*twice)
        self.same("vmap", found, np.stack([self.value, self.value]), _CLOSE_TRACED)

    def _function(self, y_true: Any, y_pred: Any) -> Any:
        return METRICS[self.name].function(y_true, y_pred, **self.options)


def _narrow(column: np.ndarray) -> np.ndarray:
    """As a jitted function has it: 32 bits."""
    return column.astype({"f": np.float32, "i": np.int32}.get(column.dtype.kind, column.dtype))
