"""p-values of several tests at once."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

Adjustment = Literal["holm", "benjamini-hochberg"]


def adjust_p_values(
    p_values: Sequence[float] | np.ndarray, *, method: Adjustment | str = "holm"
) -> np.ndarray:
    """p-values adjusted for their number, to be compared with one significance level.

    "holm": at level a, the chance that any true hypothesis is rejected is at most a, however the
    tests depend on each other: `max over j <= i of min(1, (m - j + 1) p_j)` of the m sorted p.
    "benjamini-hochberg": the expected share of true hypotheses among the rejected is at most a,
    of independent (or positively dependent) tests: `min over j >= i of min(1, m p_j / j)`.

    Args:
        p_values: shape (m,), in [0, 1]. nan stays nan and is no test.
        method: "holm" or "benjamini-hochberg".

    Returns:
        The adjusted p-values, shape (m,), in [0, 1], none below its own p-value.

    Raises:
        ValueError: another number of axes, a p-value outside [0, 1], or another method.

    Example:
        >>> from modelops_jax.metrics import adjust_p_values
        >>> adjust_p_values([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
        >>> adjust_p_values([0.01, 0.04, 0.03], method="benjamini-hochberg").tolist()
        [0.03, 0.04, 0.04]

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal
    of Statistics 6, 1979; Benjamini and Hochberg, "Controlling the false discovery rate", JRSS B
    57, 1995.
    """
    if method not in get_args(Adjustment):
        raise ValueError(f"method must be one of {get_args(Adjustment)}, not {method!r}")
    found = np.asarray(p_values, np.float64)
    if found.ndim != 1:
        raise ValueError(f"p_values must have one axis, shape (m,); found {found.shape}")
    tested = found[~np.isnan(found)]
    if ((tested < 0) | (tested > 1)).any():
        raise ValueError("p_values must be in [0, 1]")
    order = np.argsort(tested, kind="stable")
    place = np.arange(1, tested.size + 1)
    if method == "holm":
        ordered = np.maximum.accumulate((tested.size - place + 1) * tested[order])
    else:
        ordered = np.minimum.accumulate((tested[order] * tested.size / place)[::-1])[::-1]
    adjusted = np.empty_like(tested)
    adjusted[order] = np.minimum(ordered, 1.0)
    result = found.copy()
    result[~np.isnan(found)] = adjusted
    return result
