"""pass@k: the chance that one of k generated programs passes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from modelops_jax._option_types import require_count

from ._call import call
from ._finalizers import Mean
from ._metric import Metric
from ._rowwise import Prepared, RowMean, blocks_of_rows, prepared
from ._statistic import WEIGHT_COMPLAINT, Rows, Statistic, float_type
from ._types import State, Value, Vector


@dataclass(frozen=True)
class AnyOf:
    """The chance that k of n attempts, drawn without replacement, hold one of the c that pass.

    `1 - C(n - c, k) / C(n, k)` as a product of k ratios, none of which is large.
    """

    k: int

    def __call__(self, attempts: Any, passed: Any) -> Any:
        def ratio(draw: Any) -> Any:
            left = attempts - passed - draw
            return jnp.maximum(left, jnp.zeros_like(left)) / (attempts - draw)

        def step(draw: Any, none: Any) -> Any:
            return none * ratio(jnp.asarray(draw, attempts.dtype))

        return 1 - lax.fori_loop(1, self.k, step, ratio(jnp.zeros_like(attempts)))


@dataclass(frozen=True)
class AttemptMean(RowMean):
    """The mean over problems of a number computed from their attempts and those that passed."""

    k: int = 1

    @classmethod
    def family(cls) -> type[Statistic]:
        return cls

    def complaints(self) -> dict[str, str]:
        return {
            "y_true": f"numbers of attempts that are not whole, or below k={self.k}",
            "y_pred": "numbers of passes that are not whole, negative, or above the attempts",
            "weight": WEIGHT_COMPLAINT,
        }

    def prepare(self, rows: Rows) -> Prepared:
        dtype = float_type(rows.y_true, rows.y_pred, rows.weight)
        attempts, passed = rows.y_true.astype(dtype), rows.y_pred.astype(dtype)
        enough = _whole(attempts) & (attempts >= self.k)
        possible = _whole(passed) & (passed >= 0) & ~(passed > attempts)
        return prepared(rows, attempts, passed, ~enough, ~possible, filling=self.k)

    @classmethod
    def of_rows_together(cls, statistics: Sequence[Any], rows: Rows) -> list[State]:
        # What is invalid depends on k; what they have in common XLA finds itself.
        return [blocks_of_rows([statistic], rows)[0] for statistic in statistics]


def _whole(numbers: Any) -> Any:
    return jnp.isfinite(numbers) & (jnp.floor(numbers) == numbers)


def pass_at_k_metric(*, k: int) -> Metric:
    """The metric of `pass_at_k`."""
    k = require_count(k, "k")
    return Metric("pass_at_k", (AttemptMean(AnyOf(k), k=k),), Mean())


def pass_at_k(
    y_true: Vector,
    y_pred: Vector,
    *,
    k: int,
    weight: Vector | None = None,
    axis_name: str | None = None,
) -> Value:
    """pass@k: the mean over problems of the chance that one of k attempts passes, estimated from n.

    `1 - C(n - c, k) / C(n, k)` of n attempts of which c pass: without bias, as the share of
    problems with a pass among the first k attempts is, and with less variance.

    Args:
        y_true: how many attempts each problem had, shape (n,), k or more.
        y_pred: how many of them passed, shape (n,). `count_attempts` makes both from attempts.
        k: how many attempts a user would make.
        weight: None, a boolean mask or non-negative numbers, shape (n,).
        axis_name: inside `shard_map`, the mesh axis over whose shards to merge.

    Returns:
        A scalar in [0, 1]; best 1. nan of no problems.

    Raises:
        ValueError: shapes that differ or are not one axis, a k below 1; concrete numbers of
            attempts below k, passes that are negative or more than the attempts, and numbers that
            are not whole (under tracing these give nan).

    Example:
        >>> from modelops_jax.metrics import pass_at_k
        >>> round(float(pass_at_k([10, 10], [1, 5], k=2)), 6)
        0.488889

    Source: Chen et al., "Evaluating large language models trained on code", 2021.
    """
    return call(pass_at_k_metric(k=k), y_true, y_pred, weight, axis_name)


def count_attempts(passed: Any, problems: Any) -> tuple[np.ndarray, np.ndarray]:
    """Count attempts and passes of each problem, as `pass_at_k` takes them.

    Args:
        passed: for every attempt whether it passed, shape (m,), booleans or 0 and 1.
        problems: for every attempt the problem it was at, shape (m,), labels of any one kind.

    Returns:
        The numbers of attempts and of passes, int64 of shape (n,), problems in sorted order.

    Raises:
        ValueError: shapes that differ or are not one axis, or an entry of `passed` that is neither
            0 nor 1, with its index.

    Example:
        >>> from modelops_jax.metrics import count_attempts
        >>> attempts, passes = count_attempts([1, 0, 0, 1, 1], ["a", "a", "b", "b", "b"])
        >>> attempts.tolist(), passes.tolist()
        ([2, 3], [1, 2])
    """
    hits, names = np.asarray(passed), np.asarray(problems)
    if hits.ndim != 1 or hits.shape != names.shape:
        raise ValueError(
            f"expected passed and problems of one axis and one length; found {hits.shape} and "
            f"{names.shape}"
        )
    wrong = np.flatnonzero((hits != 0) & (hits != 1))
    if wrong.size:
        raise ValueError(f"passed has {hits[wrong[0]]!r} at index {wrong[0]}; expected 0 or 1")
    _, place = np.unique(names, return_inverse=True)
    attempts = np.bincount(place)
    return attempts, np.bincount(place[hits != 0], minlength=attempts.size)
