"""McNemar's test: do two classifiers of the same rows err equally often?"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec

from ._host_columns import numbers
from ._packed import Packed
from ._sharded import Layout, placed_together, shared_layout
from ._statistic import require_labels
from ._types import Column, Vector

McNemarMethod = Literal["exact", "mid-p"]
# Sums of counts are integers of 64 bits.
_MOST = 2.0**62
# Half of a fair coin's tosses has a standard deviation of half their root.
_DEVIATIONS = 20
# Of more tosses that sum is long, and the coin as good as normal.
_MANY = 1 << 36
# From so many on the terms of Stirling's series left out are below a float's precision.
_FEW = 256
# Below it nine terms of the series are all of its digits.
_NEAR = 0.1


@dataclass(frozen=True)
class McNemarTest:
    """What McNemar's test found."""

    only_first: int
    """Rows that the first predictions have right and the second wrong."""

    only_second: int
    """Rows that the second predictions have right and the first wrong."""

    p_value: float
    """The chance, were both as often right, of so many rows or more on one side."""

    method: str
    """"exact" or "mid-p"."""


def mcnemar_test(
    y_true: Vector,
    first: Vector,
    second: Vector,
    *,
    counts: Vector | None = None,
    method: McNemarMethod | str = "mid-p",
) -> McNemarTest:
    """McNemar's test of whether two lists of predicted labels are right equally often.

    Of the rows that exactly one of the two has right, each is as likely the first's as the
    second's under the null hypothesis, so their number is binomial with chance 1/2.

    Args:
        y_true: true labels, shape (n,), any integers or booleans. Rows are independent.
        first: predicted labels, shape (n,).
        second: other predicted labels of the same rows, shape (n,).
        counts: how many rows each entry stands for, non-negative integers of shape (n,); None: one.
        method: "exact": the two-sided binomial test, which rejects too seldom; "mid-p": half of
            the chance of exactly what was seen is left out, which rejects about as often as the
            level says.

    Returns:
        Both counts and the p-value in [0, 1], 1 where no row tells the two apart.

    Raises:
        ValueError: shapes that differ or are not one axis, counts that are negative or add up to
            more than 2**62, another method, or arrays that lie on devices in different ways.
        TypeError: labels or counts that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import mcnemar_test
        >>> found = mcnemar_test([1] * 10, [1] * 8 + [0] * 2, [0] * 7 + [1] * 3, method="exact")
        >>> found.only_first, found.only_second, round(found.p_value, 4)
        (7, 2, 0.1797)

    Source: McNemar, Psychometrika 12, 1947; Fagerland, Lydersen and Laake, "The McNemar test for
    binary matched-pairs data", BMC Medical Research Methodology 13, 2013.
    """
    if method not in get_args(McNemarMethod):
        raise ValueError(f"method must be one of {get_args(McNemarMethod)}, not {method!r}")
    given = {"y_true": y_true, "first": first, "second": second}
    given |= {} if counts is None else {"counts": counts}
    labels = {name: numbers(values, name) for name, values in given.items()}
    for name, values in labels.items():
        require_labels(values, name)
    shapes = {name: values.shape for name, values in labels.items()}
    if len(set(shapes.values())) != 1 or labels["y_true"].ndim != 1:
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"expected arrays of one axis and one length; found {found}")
    layout = shared_layout(labels)
    if layout is None:
        of_one, of_other, least, whole = _sides(np, *map(np.asarray, labels.values()))
    else:
        of_one, of_other, least, whole = _sides_of_shards(labels, layout)
    if least < 0:
        raise ValueError(f"counts holds {least}; expected none below 0")
    if whole > _MOST:
        raise ValueError(f"counts add up to {float(whole):.3g}; expected at most {_MOST:.3g}")
    only_first, only_second = int(of_one), int(of_other)
    p_value = _two_sided(only_first, only_second, mid=method == "mid-p")
    return McNemarTest(only_first, only_second, p_value, str(method))


def _sides(xp: Any, y_true: Any, first: Any, second: Any, counts: Any = None) -> tuple[Any, ...]:
    """The rows that only the first has right, those that only the second has; the least count, and
    all of them added up, in float64."""
    one, other = (_equal(xp, y_true, side) for side in (first, second))
    sides = one & ~other, other & ~one
    if counts is None:
        several = (xp.sum(side, dtype=np.int64) for side in sides)
        return *several, xp.zeros((), np.int64), xp.zeros((), np.float64)
    several = counts.astype(np.uint64 if counts.dtype.kind == "u" else np.int64)
    totals = (xp.sum(xp.where(side, several, xp.zeros_like(several))) for side in sides)
    return *totals, xp.min(several, initial=0), xp.sum(several.astype(np.float64))


def _equal(xp: Any, labels: Any, others: Any) -> Any:
    if xp is np:
        return labels == others
    # Of signed and unsigned 64 bits JAX would make floats.
    alike = labels.astype(np.uint64) == others.astype(np.uint64)
    below = [
        side < 0 if side.dtype.kind == "i" else jnp.zeros_like(alike) for side in (labels, others)
    ]
    return alike & (below[0] == below[1])


def _sides_of_shards(labels: Mapping[str, Column], layout: Layout) -> tuple[Any, ...]:
    """`_sides` of rows that stay on their devices."""
    with jax.enable_x64(True):
        placed, _ = placed_together(list(labels.values()), layout)  # the zeros are right twice
        return _counting_program(layout)(*placed).fetched()


@functools.lru_cache(maxsize=16)
def _counting_program(layout: Layout) -> Any:
    def count(*columns: Any) -> Packed:
        *sides, least, whole = _sides(jnp, *columns)
        totals = [lax.psum(side, layout.axes) for side in (*sides, whole)]
        return Packed.of((*totals[:2], lax.pmin(least, layout.axes), totals[2]))

    def program(*columns: Any) -> Any:
        divided, same = PartitionSpec(layout.axes), PartitionSpec()
        return jax.shard_map(count, mesh=layout.mesh, in_specs=divided, out_specs=same)(*columns)

    return jax.jit(program)


def _two_sided(one: int, other: int, *, mid: bool) -> float:
    """The two-sided p-value of a fair coin's `one` heads and `other` tails."""
    fewer, tosses = min(one, other), one + other
    point = _chance(fewer, tosses)
    if tosses > _MANY:
        # Up to half of the point the sum is the normal distribution's, to nine digits.
        deviations = abs(other - one) / math.sqrt(tosses)
        below = math.erfc(deviations / math.sqrt(2)) / 2 - point / 2
        return min(1.0, 2 * (below + (0.5 if mid else 1.0) * point))
    # From k = fewer down: (k - 1) has k / (tosses - k + 1) of the chance of k. After so many
    # standard deviations nothing of it is left.
    terms = min(fewer, _DEVIATIONS * (math.isqrt(tosses) + 1))
    heads = fewer - np.arange(terms, dtype=np.float64)
    below = point * float(np.sum(np.cumprod(heads / (tosses - heads + 1))))
    tail = below + (0.5 if mid else 1.0) * point
    return min(1.0, 2 * tail)


def _chance(heads: int, tosses: int) -> float:
    """The chance of so many heads of a fair coin, at most half of the tosses.

    By Stirling's series: logarithms of factorials as large as the tosses would lose all digits.
    """
    if heads < _FEW:
        top = math.lgamma(tosses + 1) - math.lgamma(tosses - heads + 1) - math.lgamma(heads + 1)
        return math.exp(top - tosses * math.log(2))
    tails = tosses - heads
    lead = (tails - heads) / tosses
    # (1 - lead) log(1 - lead) + (1 + lead) log(1 + lead), whose terms cancel where it is small.
    if lead > _NEAR:
        spread = (1 - lead) * math.log1p(-lead) + (1 + lead) * math.log1p(lead)
    else:
        spread = sum(lead ** (2 * k) / (k * (2 * k - 1)) for k in range(1, 10))
    rest = _beyond_stirling(tosses) - _beyond_stirling(heads) - _beyond_stirling(tails)
    scale = math.sqrt(tosses / heads / tails / (2 * math.pi))
    return scale * math.exp(rest - tosses / 2 * spread)


def _beyond_stirling(n: int) -> float:
    """What `log n!` is above `log(2 pi n) / 2 + n log n - n`."""
    return 1 / (12 * n) - 1 / (360 * n**3) + 1 / (1260 * n**5)
