"""Whether a slice differs from the other rows where rows of a group depend on each other."""

import math
from typing import NamedTuple

import jax
import numpy as np
from jax.scipy.special import betainc

from modelops_jax._row_groups import group_codes

from ._host_columns import computed_now, numbers
from ._types import Vector


def grouped_slice_tests(
    slices: Vector, groups: Vector, numerators: Vector, denominators: Vector | None = None
) -> list[float]:
    """Two-sided t tests of every slice against all other rows, of rows that come in groups.

    What is tested is a mean of numbers, or a ratio of two sums over the same rows (the share of
    the predicted rows that are right, say). A row's residual is its numerator less its denominator
    times the ratio of all rows; residuals add up to 0, and whole groups are the units.

    A slice whose groups have all of their rows in it is tested as by `student_tests`: the spread
    of all groups tells how far the slice's sum is from 0 by chance, because that of its own few
    groups would be found too small. A group of many rows varies more. How much, depends on how
    alike its rows are: as its rows (if they are independent), or as their square (if they are
    all alike). Both are tried, and the larger p-value is given. Where a group has rows on both
    sides, it is compared with itself: the sum of the groups' differences between the slice and
    its share of the group, by their own spread, with the degrees of freedom that as many
    differences of equal spread would have (Satterthwaite's, from the numbers of rows).

    A mean of weighted rows is tested with each row as a group, its weight as denominator and its
    weighted number as numerator.

    Args:
        slices: the number of each row's slice, from 0, shape (n,).
        groups: the group of each row, of any kind that can be sorted, shape (n,).
        numerators: a number for each row, shape (n,).
        denominators: non-negative numbers, shape (n,); None: 1 for each row.

    Returns:
        The p-values of slice 0, 1, ..., in [0, 1]; 1 where either side has no row, with fewer
        than three groups, and where all residuals are 0.

    Raises:
        ValueError: groups that are not one for each row.

    Example:
        >>> from modelops_jax.metrics import grouped_slice_tests
        >>> of_group = [0.0, 1.0, 0.5, 4.0, 5.0, 4.5]
        >>> rows = [number for number in of_group for _ in range(2)]
        >>> found = grouped_slice_tests([0] * 6 + [1] * 6, sorted([*range(6)] * 2), rows)
        >>> [round(p, 6) for p in found]
        [0.05, 0.05]

    Source: the residual of a ratio, Cochran, "Sampling techniques", 3rd edition, 1977, section
    9A; the approximate degrees of freedom, Satterthwaite, "An approximate distribution of
    estimates of variance components", Biometrics Bulletin 2, 1946.
    """
    of_row = np.asarray(numbers(slices, "slices"))
    group = group_codes(groups, of_row.size)
    above = np.asarray(numbers(numerators, "numerators"), np.float64)
    below = np.ones_like(above)
    if denominators is not None:
        below = np.asarray(numbers(denominators, "denominators"), np.float64)
    count = int(of_row.max(initial=-1)) + 1
    group = np.unique(group[below > 0], return_inverse=True)[1]
    of_row, above, below = (column[below > 0] for column in (of_row, above, below))
    if not below.size:
        return [1.0] * count
    units = int(group.max()) + 1
    residual = above - below * (above.sum() / below.sum())
    whole = _Sums(np.bincount(group, residual, units), np.bincount(group, below, units))
    order = np.argsort(of_row, kind="stable")
    ends = np.searchsorted(of_row[order], np.arange(count + 1))
    # Rounded up to few sizes, each of which is compiled once.
    size = 1 << max(0, count - 1).bit_length()
    statistics, freedom, least = np.zeros(size), np.ones(size), np.zeros(count)
    for place in range(count):
        rows = order[ends[place] : ends[place + 1]]
        inside, where = np.unique(group[rows], return_inverse=True)
        part = _Sums(np.bincount(where, residual[rows]), np.bincount(where, below[rows]))
        if units < 3 or not rows.size or rows.size == below.size:
            continue
        if np.array_equal(part.size, whole.size[inside]) and inside.size < units:
            statistics[place] = _of_whole_groups(whole, inside)
            freedom[place] = units - 2
            least[place] = math.exp(-_log_ways(units, inside.size))
        else:
            statistics[place], freedom[place] = _of_divided_groups(whole, inside, part)
    with computed_now(), jax.enable_x64(True):
        # The tails of Student's distribution, both.
        tails = betainc(freedom / 2, np.full(size, 0.5), freedom / (freedom + statistics))
    return np.maximum(np.asarray(tails)[:count], least).clip(0, 1).tolist()


class _Sums(NamedTuple):
    """Of every group the sum of its residuals, and of its denominators."""

    residual: np.ndarray
    size: np.ndarray


def _of_whole_groups(whole: _Sums, inside: np.ndarray) -> float:
    """The square of t: the smaller of those of rows that are independent, and that are alike."""
    own = np.zeros(whole.size.size, bool)
    own[inside] = True
    total = whole.residual[own].sum()
    sides = whole.size[own].sum(), whole.size[~own].sum()
    share = sides[0] / (sides[0] + sides[1])
    left = whole.residual - whole.size * np.where(own, total / sides[0], -total / sides[1])
    found = []
    for variance in (whole.size, whole.size**2):
        scale = np.sum(left**2 / variance) / (own.size - 2)
        weights = np.where(own, (1 - share) ** 2, share**2)
        found.append(_square(total, scale * np.sum(weights * variance)))
    return min(found)


def _of_divided_groups(whole: _Sums, inside: np.ndarray, part: _Sums) -> tuple[float, float]:
    """The square of t, and its degrees of freedom."""
    share = part.size.sum() / whole.size.sum()
    apart, size = -share * whole.residual, share**2 * whole.size
    apart[inside] += part.residual
    size[inside] += ((1 - share) ** 2 - share**2) * part.size
    units = apart.size
    spread = units / (units - 1) * np.sum((apart - apart.mean()) ** 2)
    freedom = size.sum() ** 2 / np.sum(size**2) - 1
    return _square(apart.sum(), spread), float(np.clip(freedom, 1, units - 1))


def _square(total: float, variance: float) -> float:
    return float(total**2 / variance) if variance > 0 else math.inf if total else 0.0


def _log_ways(units: int, some: int) -> float:
    return math.lgamma(units + 1) - math.lgamma(some + 1) - math.lgamma(units - some + 1)
