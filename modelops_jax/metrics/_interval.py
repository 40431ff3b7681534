"""Confidence intervals: what one is, and how resampled values become one."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from modelops_jax._option_types import require_integer, require_number

_NORMAL = NormalDist()
_cdf: Callable[..., np.ndarray] = np.vectorize(_NORMAL.cdf, otypes=[np.float64])
_quantile: Callable[..., np.ndarray] = np.vectorize(_NORMAL.inv_cdf, otypes=[np.float64])

# Of the largest value: what is nearer to the estimate is a tie, as sums of the same rows in another
# order differ in their last digits.
_ROUNDING = 32 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Interval:
    """A confidence interval, and all that is needed to get it again."""

    low: float | np.ndarray
    """Lower end: a float, or an array for a metric with an entry per class."""

    high: float | np.ndarray
    """Upper end."""

    level: float
    """Nominal coverage, in (0, 1)."""

    method: str
    """How it was made."""

    n_resamples: int
    """How many resamples were drawn; 0 where the ends are computed without any."""

    seed: int | None
    """Of the resamples; None without any."""


@dataclass(frozen=True)
class Resampled:
    """A metric's values over resamples, with a column per entry of the metric."""

    estimate: np.ndarray  # shape (...)
    values: np.ndarray  # over resamples, shape (resamples, ...)
    left_out: np.ndarray | None = None  # with parts of the rows left out, shape (parts, ...)
    part_rows: np.ndarray | None = None  # how many parts are the same as each of these

    def ends(self, level: float, bca: bool) -> tuple[np.ndarray, np.ndarray]:
        """The two ends, of the resamples in which the value is defined and finite.

        Percentile: the quantiles at (1 - level) / 2 and (1 + level) / 2. BCa moves both by the
        bias z0 = quantile of the normal at the share of resamples below the estimate (ties one
        half) and by the acceleration `sum d^3 / (6 (sum d^2)^1.5)` of the jackknife's
        d = mean - value with a part left out. Where either does not exist (all resamples on
        one side, say) the percentile interval is what remains.
        """
        values = np.where(np.isfinite(self.values), self.values, np.nan)
        shape = values.shape[1:]
        flat = values.reshape(len(values), -1)
        tails = np.repeat([[(1 - level) / 2], [(1 + level) / 2]], flat.shape[1], axis=1)
        if bca:
            tails = self._moved(flat, tails)
        low, high = _quantiles(flat, tails)
        return low.reshape(shape), high.reshape(shape)

    def _moved(self, values: np.ndarray, tails: np.ndarray) -> np.ndarray:
        assert self.left_out is not None
        estimate = np.asarray(self.estimate, np.float64).reshape(-1)
        with np.errstate(invalid="ignore"):
            apart = values - estimate
            tied = np.abs(apart) <= _ROUNDING * np.fmax.reduce(np.abs(values), axis=0, initial=0)
            below = np.sum((apart < 0) & ~tied, axis=0) + 0.5 * np.sum(tied, axis=0)
            share = below / np.sum(~np.isnan(values), axis=0)
        usable = (share > 0) & (share < 1)
        bias = _quantile(np.where(usable, share, 0.5))
        parts = np.asarray(self.left_out, np.float64).reshape(len(self.left_out), -1)
        many = np.ones(len(parts)) if self.part_rows is None else self.part_rows
        pull = np.average(parts, axis=0, weights=many) - parts
        cubes, squares = many @ pull**3, many @ pull**2
        spread = np.isfinite(squares) & (squares > 0)
        acceleration = np.where(spread, cubes / (6 * np.where(spread, squares, 1) ** 1.5), 0.0)
        from_bias = bias + _quantile(tails)
        room = 1 - acceleration * from_bias
        moved = _cdf(bias + from_bias / np.where(room > 0, room, 1))
        return np.where(usable & spread & (room > 0).all(axis=0), moved, tails)


def _quantiles(values: np.ndarray, tails: np.ndarray) -> np.ndarray:
    """For every column its own quantiles of what is not nan; nan of nothing. Shape of `tails`."""
    ordered = np.sort(values, axis=0)  # nan last
    last = np.sum(~np.isnan(values), axis=0) - 1
    place = tails * np.maximum(last, 0)
    before = np.floor(place).astype(np.int64)
    after = np.minimum(before + 1, np.maximum(last, 0))
    column = np.arange(values.shape[1])
    share = place - before
    left, right = ordered[before, column], ordered[after, column]
    return np.where(last < 0, np.nan, left + share * (right - left))


def make_interval(
    ends: tuple[Any, Any],
    level: float,
    method: str,
    n_resamples: int = 0,
    seed: int | None = None,
) -> Interval:
    """An interval whose ends are floats, or arrays where there is an entry per class."""
    low, high = (float(end) if np.ndim(end) == 0 else np.asarray(end) for end in ends)
    return Interval(low, high, level, method, n_resamples, seed)


def check_level(level: float) -> None:
    """Refuse what is no share.

    Raises:
        ValueError: a level outside (0, 1).
        TypeError: no number.
    """
    if not 0 < require_number(level, "level") < 1:
        raise ValueError(f"level must be between 0 and 1, not {level!r}")


def check_resamples(n_resamples: int) -> None:
    """Refuse fewer than two.

    Raises:
        ValueError: too few resamples.
        TypeError: no integer.
    """
    if require_integer(n_resamples, "n_resamples") < 2:
        raise ValueError(f"n_resamples must be at least 2, not {n_resamples!r}")


def check_seed(seed: int) -> None:
    """Refuse what would not give the same resamples again, or none.

    Raises:
        ValueError: a seed that is negative or of more than 32 bits.
        TypeError: no integer.
    """
    if not 0 <= require_integer(seed, "seed") < 2**32:  # JAX would keep the lower 32 bits
        raise ValueError(f"seed must be 0 or positive and below 2**32, not {seed!r}")
