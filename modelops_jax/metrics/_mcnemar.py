"""McNemar's test: do two classifiers of the same rows err equally often?"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ._host_columns import numbers
from ._statistic import require_labels
from ._types import Vector

McNemarMethod = Literal["exact", "mid-p"]


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
        ValueError: shapes that differ or are not one axis, negative counts, or another method.
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
    labels = {name: np.asarray(numbers(values, name)) for name, values in given.items()}
    for name, values in labels.items():
        require_labels(values, name)
    shapes = {name: values.shape for name, values in labels.items()}
    if len(set(shapes.values())) != 1 or labels["y_true"].ndim != 1:
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"expected arrays of one axis and one length; found {found}")
    several = labels.get("counts", np.ones(1, np.int64))
    if (several < 0).any():
        raise ValueError(f"counts holds {several.min()}; expected none below 0")
    right = [labels["y_true"] == labels[name] for name in ("first", "second")]
    only_first, only_second = (
        int(np.sum(one & ~other if counts is None else several[one & ~other]))
        for one, other in (right, right[::-1])
    )
    p_value = _two_sided(only_first, only_second, mid=method == "mid-p")
    return McNemarTest(only_first, only_second, p_value, str(method))


def _two_sided(one: int, other: int, *, mid: bool) -> float:
    """The two-sided p-value of a fair coin's `one` heads and `other` tails."""
    fewer, tosses = min(one, other), one + other
    # log of the chance of k heads, from k = fewer down: (k - 1) has k / (tosses - k + 1) of it.
    top = math.lgamma(tosses + 1) - math.lgamma(fewer + 1) - math.lgamma(tosses - fewer + 1)
    point = math.exp(top - tosses * math.log(2))
    heads = np.arange(fewer, 0, -1)
    below = point * float(np.sum(np.cumprod(heads / (tosses - heads + 1))))
    tail = below + (0.5 if mid else 1.0) * point
    return min(1.0, 2 * tail)
