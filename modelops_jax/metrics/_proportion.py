"""Intervals of proportions, from counts alone and without resampling."""

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betainc

from ._host_columns import computed_now
from ._interval import Interval, check_level, make_interval
from ._metric import Proportion

ProportionMethod = Literal["wilson", "exact"]
_NAMES: Mapping[str, str] = {"wilson": "Wilson", "exact": "Clopper-Pearson"}


def proportion_interval(
    successes: int | np.integer | np.ndarray,
    trials: int | np.integer | np.ndarray,
    *,
    level: float = 0.95,
    method: ProportionMethod | str = "wilson",
) -> Interval:
    """The interval of a binomial proportion.

    "wilson": the score interval, all p with `|successes / trials - p| <= z sqrt(p (1 - p) /
    trials)`; its coverage is close to the level on average. "exact": Clopper and Pearson's, whose
    coverage is never below the level, and therefore mostly above it. Neither has a width of 0.

    Args:
        successes: how many trials succeeded, a number or an array of numbers.
        trials: how many there were, of the same shape. Of no trials the interval is [0, 1].
        level: nominal coverage, in (0, 1).
        method: "wilson" or "exact".

    Returns:
        The interval, within [0, 1]; its ends have the shape of the arguments.

    Raises:
        ValueError: fewer successes than 0 or more than trials, parts of one, shapes that differ,
            a level outside (0, 1), or another method.

    Example:
        >>> from modelops_jax.metrics import proportion_interval
        >>> found = proportion_interval(0, 100)
        >>> found.low, round(found.high, 4), found.method
        (0.0, 0.037, 'Wilson')

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA
    22, 1927; Clopper and Pearson, Biometrika 26, 1934; Brown, Cai and DasGupta, "Interval
    estimation for a binomial proportion", Statistical Science 16, 2001.
    """
    check_level(level)
    if method not in get_args(ProportionMethod):
        raise ValueError(f"method must be one of {get_args(ProportionMethod)}, not {method!r}")
    hits, rows = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    if hits.shape != rows.shape:
        raise ValueError(
            f"successes and trials must have one shape; found {hits.shape} and {rows.shape}"
        )
    if not np.all((hits >= 0) & (hits <= rows) & np.isfinite(rows)):
        raise ValueError(f"expected 0 <= successes <= trials; found {successes} of {trials}")
    if np.any(np.floor(hits) != hits) or np.any(np.floor(rows) != rows):
        raise ValueError(f"expected whole numbers; found {successes} of {trials}")
    ends = (_wilson if method == "wilson" else _exact)(hits, rows, level)
    return make_interval(ends, level, _NAMES[method])


def interval_of(found: Proportion, level: float, method: str) -> Interval:
    """The interval of a metric's value that rises with a proportion."""
    share = proportion_interval(
        np.asarray(np.rint(found.hits)), np.asarray(np.rint(found.rows)), level=level, method=method
    )
    if found.as_value is None:
        return share
    ends = found.as_value(np.asarray(share.low)), found.as_value(np.asarray(share.high))
    return make_interval(ends, level, share.method)


def _wilson(hits: np.ndarray, rows: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    z = NormalDist().inv_cdf((1 + level) / 2)
    some, misses = np.maximum(rows, 1), rows - hits
    # From the nearer end, so that 0 of n begins at exactly 0 and n of n ends at exactly 1.
    middle, reach = z * z / 2, z * np.sqrt(hits * misses / some + z * z / 4)
    low = np.where(hits == 0, 0.0, (hits + middle - reach) / (some + z * z))
    high = np.where(misses == 0, 1.0, 1 - (misses + middle - reach) / (some + z * z))
    return low, high


def _exact(hits: np.ndarray, rows: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    tail = (1 - level) / 2
    misses = rows - hits
    with computed_now(), jax.enable_x64(True):
        # The chance of at least these hits is betainc(hits, misses + 1, p).
        below = np.asarray(_root(np.maximum(hits, 1), misses + 1, np.float64(tail)))
        above = np.asarray(_root(np.maximum(misses, 1), hits + 1, np.float64(tail)))
    return np.where(hits == 0, 0.0, below), np.where(misses == 0, 1.0, 1 - above)


@jax.jit
def _root(a: jax.Array, b: jax.Array, tail: jax.Array) -> jax.Array:
    """The p at which betainc(a, b, p) is the tail, by bisection to the last bit near 1."""

    def halve(_: Any, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        short = betainc(a, b, middle) < tail
        return jnp.where(short, middle, low), jnp.where(short, high, middle)

    low, high = jax.lax.fori_loop(0, 60, halve, (jnp.zeros_like(a), jnp.ones_like(a)))
    return 0.5 * (low + high)
