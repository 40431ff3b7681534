"""How uncertain an area under the ROC curve is: DeLong's error, and the test of two models.

The area is the mean placement of either class (see `_placements`), and its variance is that of the
placements: a sum over rows, although the area is one over pairs.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

from ._host_columns import numbers
from ._placements import placed
from ._read_scores import read_scores
from ._scores import Scores
from ._sharded import placed_alike, shared_layout
from ._types import Vector


@dataclass(frozen=True)
class AreaEstimate:
    """An area under the ROC curve and how uncertain it is."""

    area: float
    """The exact area; nan unless both classes occur."""

    standard_error: float
    """DeLong's; nan unless both classes have two rows."""

    low: float
    """Lower end of the confidence interval."""

    high: float
    """Upper end."""

    level: float
    """Nominal coverage, in (0, 1)."""

    method: str
    """"DeLong", or "Newcombe" where DeLong's error is 0."""


@dataclass(frozen=True)
class AreaComparison:
    """Two models' areas under the ROC curve on the same rows."""

    area_a: float
    area_b: float

    difference: float
    """`area_a - area_b`."""

    standard_error: float
    """Of the difference."""

    z: float
    """The difference over its standard error."""

    p_value: float
    """Two-sided: the chance of so large a z if the areas are equal."""


def roc_auc_interval(
    y_true: Vector, y_score: Vector, *, weight: Vector | None = None, level: float = 0.95
) -> AreaEstimate:
    """Exact area under the ROC curve with DeLong's standard error and interval.

    The variance of the area is the variance of the positives' placements over their number plus
    that of the negatives' over theirs. The interval is symmetric in the logit of the area, by the
    delta method, so that it stays in [0, 1]. Where all placements of a class are equal (every
    pair won, say) the error is 0, but not the uncertainty: the ends are then Newcombe's, at which
    the area is as far away as the normal quantile times the error of such an area.

    For concrete input; time n log n. Of arrays sharded over a mesh the devices exchange the rows
    among themselves, and areas and errors alone are fetched.

    Args:
        y_true: labels, shape (n,), booleans or integers 0 and 1; rows are independent draws.
        y_score: scores, shape (n,), higher meaning more likely positive.
        weight: None, or a mask, shape (n,): booleans, or numbers 0 and 1.
        level: nominal coverage, in (0, 1).

    Returns:
        The area, its standard error and the interval. Error and ends are nan where a class has
        fewer than two rows.

    Raises:
        ValueError: what `roc_auc_score` refuses, weights other than 0 and 1, or a level outside
            (0, 1).
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import roc_auc_interval
        >>> found = roc_auc_interval([0, 0, 0, 1, 1, 1], [0.1, 0.4, 0.3, 0.35, 0.8, 0.7])
        >>> round(found.area, 4), round(found.standard_error, 4)
        (0.8889, 0.1571)
        >>> round(found.low, 4), round(found.high, 4), found.method
        (0.2614, 0.9945, 'DeLong')

    Source: DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated
    receiver operating characteristic curves", Biometrics 44, 1988. Sun and Xu, "Fast
    implementation of DeLong's algorithm", IEEE Signal Processing Letters 21, 2014. Newcombe,
    "Confidence intervals for an effect size measure based on the Mann-Whitney statistic, part 2",
    Statistics in Medicine 25, 2006, method 5.
    """
    return area_estimate(read_scores(y_true, y_score, weight), level)


def delong_test(
    y_true: Vector, score_a: Vector, score_b: Vector, *, weight: Vector | None = None
) -> AreaComparison:
    """DeLong's test of whether two models have the same area under the ROC curve.

    Both score the same rows: what makes a row hard for both cancels, so that the error of the
    difference is that of the difference of the rows' placements.

    For concrete input; time n log n. Of arrays sharded over a mesh the devices exchange the rows
    among themselves, and areas and errors alone are fetched.

    Args:
        y_true: labels, shape (n,), booleans or integers 0 and 1; rows are independent draws.
        score_a: the first model's scores, shape (n,), higher meaning more likely positive.
        score_b: the second model's, on any scale of their own.
        weight: None, or a mask, shape (n,): booleans, or numbers 0 and 1.

    Returns:
        Areas, difference, standard error, z and p-value. Without two rows of each class error, z
        and p are nan. With an error of 0 a difference of 0 has z 0 and p 1; any other has no z
        and p, which are nan.

    Raises:
        ValueError: what `roc_auc_score` refuses, or weights other than 0 and 1.
        TypeError: labels that are not integers or booleans.

    Example:
        >>> from modelops_jax.metrics import delong_test
        >>> y_true = [0, 0, 0, 0, 1, 1, 1, 1]
        >>> found = delong_test(y_true, [1, 2, 3, 5, 4, 6, 7, 8], [1, 6, 3, 7, 2, 5, 8, 4])
        >>> found.area_a, found.area_b, round(found.z, 4), round(found.p_value, 4)
        (0.9375, 0.5625, 1.8371, 0.0662)

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988.
    """
    given = {"y_true": numbers(y_true, "y_true"), "score_a": numbers(score_a, "score_a")}
    given["score_b"] = numbers(score_b, "score_b")
    layout = shared_layout(given)
    # Labels that are on the host go where either model's scores are.
    true = given["y_true"] if layout is None else placed_alike(given["y_true"], layout)
    scores = [(name, given[name]) for name in ("score_a", "score_b")]
    found = placed([read_scores(true, score, weight, name) for name, score in scores])
    difference, error = found.difference, found.error
    if error == 0:
        z = 0.0 if difference == 0 else math.nan
    else:
        z = difference / error
    p_value = math.erfc(abs(z) / math.sqrt(2))
    area_a, area_b = found.areas
    return AreaComparison(area_a, area_b, difference, error, z, p_value)


def area_estimate(state: Scores, level: float) -> AreaEstimate:
    """The area of concrete scores, wherever they lie, and how uncertain it is.

    Raises:
        ValueError: weights other than 0 and 1, or a level outside (0, 1).
    """
    found = placed([state])
    return estimate(found.difference, found.error, found.ups, found.downs, level)


def estimate(area: float, error: float, ups: int, downs: int, level: float) -> AreaEstimate:
    """An area of so many positive and negative rows, with the interval of this error.

    Raises:
        ValueError: a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, not {level!r}")
    quantile = NormalDist().inv_cdf((1 + level) / 2)
    method = "DeLong"
    if math.isnan(error):
        low = high = math.nan
    elif error == 0 or area in (0, 1):
        method = "Newcombe"
        low, high = (_newcombe_end(area, ups, downs, quantile, at) for at in (0.0, 1.0))
    else:
        logit, wide = math.log(area / (1 - area)), quantile * error / (area * (1 - area))
        low, high = _expit(logit - wide), _expit(logit + wide)
    return AreaEstimate(area, error, low, high, level, method)


def _newcombe_end(area: float, ups: int, downs: int, quantile: float, at: float) -> float:
    """The area on the way to `at` whose distance is the quantile times such an area's error."""

    def too_far(other: float) -> bool:
        more = (ups + downs) / 2 - 1
        spread = 1 + more * (1 - other) / (2 - other) + more * other / (1 + other)
        variance = other * (1 - other) * spread / (ups * downs)
        return abs(other - area) > quantile * math.sqrt(variance)

    near, far = area, at
    for _ in range(60):
        middle = (near + far) / 2
        near, far = (near, middle) if too_far(middle) else (middle, far)
    return near


def _expit(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0
